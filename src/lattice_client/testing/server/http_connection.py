"""ASGI over HTTP/1.1: a connection and the requests on it, one after the other.

A request is read when the response before it is complete, so that answers keep their order. Bytes
that come early are buffered; when there are too many, reading pauses. Source: ASGI specification,
"HTTP & WebSocket ASGI Message Format"; RFC 9112, whose sections are named below.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from lattice_client.testing.asgi import ASGIApp, Scope
from lattice_client.testing.data_plane.connection import (
    CONNECTION_STATE,
    Connection,
    ConnectionLimits,
)
from lattice_client.testing.data_plane.tls import TLS_STATE, TLSDetails
from lattice_client.testing.server.http1 import MalformedRequestError, RequestHead, RequestReader
from lattice_client.testing.server.request_cycle import RequestCycle, plain_answer

if TYPE_CHECKING:
    from lattice_client.testing.server.certificates import Certificates

__all__ = ["HTTPConnection", "ServerState"]

_log = logging.getLogger("lattice_client.testing")

# Reading pauses when more than this waits for the application to receive it.
_MAX_UNRECEIVED_BYTES: Final = 64 * 1024
_BUFFER_BYTES: Final = 64 * 1024
# How long a client may go on sending after the last response, before the connection is cut.
_LINGER_SECONDS: Final = 5.0
# How often to check whether a client that ended its side is still there.
_CLIENT_CHECK_SECONDS: Final = 0.5


@dataclass(eq=False)
class ServerState:
    """What all connections of one server share.

    :param lifespan_state: what the application's lifespan left for requests.
    """

    app: ASGIApp
    limits: ConnectionLimits
    certificates: Certificates | None = None
    lifespan_state: dict[str, Any] = field(default_factory=dict)
    connections: set[HTTPConnection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    # One for all connections: each copies what it read before another reads.
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_BUFFER_BYTES)))


class HTTPConnection(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader()
        self._cycle: RequestCycle | None = None
        self._connection = Connection(reset_after=self._reset)
        self._scope: Scope = {}
        self._state = {**server.lifespan_state, CONNECTION_STATE: self._connection}
        self._held = b""
        self._is_lingering = False
        self._has_begun_head = False
        self._is_half_closed = False
        self._client_check: asyncio.TimerHandle | None = None
        self._has_written = True
        self._writable = asyncio.Event()
        self._writable.set()
        # Closes the connection unless a request comes in time.
        self._idle_timer: asyncio.TimerHandle | None = None

    # For the server

    @property
    def in_flight(self) -> bool:
        """Whether a request has no complete response yet."""
        return self._cycle is not None and not self._cycle.is_answered

    @property
    def busy(self) -> bool:
        """Whether anything is left to be sent."""
        return self.in_flight or self._transport.get_write_buffer_size() > 0

    def finish(self) -> None:
        """Close after the response in flight; its head says so, unless it is already sent."""
        if self._cycle is not None:
            self._cycle.writer.keep_alive = False

    def abort(self) -> None:
        """Close at once. A TLS closing handshake would wait for the client's part of it."""
        self._transport.abort()

    # For the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._server.connections.add(self)
        self._lifetime = self._loop.call_later(self._server.limits.lifetime, self._expire)
        self._start_idle_timer()
        tls = transport.get_extra_info("ssl_object")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "server": _address(transport, "sockname"),
            "client": _address(transport, "peername"),
            "scheme": "http" if tls is None else "https",
            "root_path": "",
        }
        certificates = self._server.certificates
        if certificates is not None and tls is not None:
            cipher = tls.cipher()
            self._state[TLS_STATE] = TLSDetails(
                version=tls.version(),
                cipher=cipher[0] if cipher else None,
                server_name=certificates.server_name(tls),
            )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._connection.lost = True
        self._server.connections.discard(self)
        self._lifetime.cancel()
        self._stop_idle_timer()
        if self._client_check is not None:
            self._client_check.cancel()
        self._writable.set()
        if self._cycle is not None:
            self._cycle.client_left()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._is_lingering:
            self._reader.feed(self._server.buffer[:nbytes])
            self._read()

    def eof_received(self) -> bool:
        """Tell asyncio whether the connection stays open.

        A client may end its side and still wait for answers to complete requests (RFC 9293, section
        3.6). TLS in asyncio has no such half-closed state.
        """
        self._is_half_closed = True
        is_open = self._has_whole_request and self._scope["scheme"] == "http"
        if is_open:
            self._check_client()
        return is_open

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # For request cycles

    async def writable(self) -> None:
        """Wait until the transport takes more data."""
        await self._writable.wait()

    def write_head(self, data: bytes) -> None:
        """Write a head, together with a body part that follows in this turn of the loop."""
        self._held += data
        self._loop.call_soon(self.write, b"")

    def write(self, data: bytes) -> None:
        """Write a held head and some data."""
        if self._held:
            data, self._held = self._held + data, b""
        if data and not self._is_lingering and not self._transport.is_closing():
            self._has_written = True
            self._transport.write(data)

    def resume_reading(self) -> None:
        """Go on reading: the application has received the buffered body."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def answered(self, cycle: RequestCycle) -> None:
        """Go on to the next request, or close: the response is complete."""
        if self._transport.is_closing():
            return
        if cycle.writer.keep_alive:
            self._start_idle_timer()
            self.resume_reading()
            self._read()
            if self._is_half_closed and not self._has_whole_request:
                self._close()
        elif self._reader.complete and not self._reader.unread:
            self._close()
        else:
            self._linger()

    def cut(self) -> None:
        """Close in the middle of a response, so that it does not look complete."""
        if self._cycle is not None and self._cycle.writer.ends_with_connection:
            self._reset(b"")
        else:
            self.write(b"")
            self._close()

    def _read(self) -> None:
        """Read on the request in flight, and begin the next one."""
        try:
            while True:
                cycle = self._cycle
                if cycle is not None:
                    cycle.feed_body(self._reader.next_body(), complete=self._reader.complete)
                    if not (cycle.is_answered and self._reader.complete):
                        break
                head = self._reader.next_head()
                self._cycle = None if head is None else self._begin(head)
                if head is None:
                    if self._reader.unread and not self._has_begun_head:
                        # A head that comes slowly must still be complete in time.
                        self._has_begun_head = True
                        self._start_idle_timer()
                    return
        except MalformedRequestError as error:
            self._refuse(error)
            return
        if cycle.is_answered:
            self._start_idle_timer()  # The rest of the body still comes, and is dropped.
        elif self._reader.unread + cycle.unreceived > _MAX_UNRECEIVED_BYTES:
            self._transport.pause_reading()

    def _begin(self, head: RequestHead) -> RequestCycle:
        self._stop_idle_timer()
        self._has_begun_head = False
        path, _, query = head.target.partition(b"?")
        text = path.decode("ascii")
        scope = {
            **self._scope,
            "http_version": head.version,
            "method": head.method,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
            "state": self._state.copy(),
        }
        cycle = RequestCycle(self, head, scope)
        # Not loop.create_task(): an application may have set an eager task factory, and the cycle
        # must be in flight before it is answered.
        task = asyncio.Task(cycle.run(self._server.app), loop=self._loop)
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        return cycle

    def _refuse(self, error: MalformedRequestError) -> None:
        _log.warning("a request was refused: %s", error)
        cycle, self._cycle = self._cycle, None
        # A request with a malformed body may have been answered already.
        if self._reader.complete or cycle is None or not cycle.has_started:
            self.write(error.answer(*plain_answer(f"{error.phrase}: {error}")))
        if cycle is not None:
            cycle.client_left()
        self._linger()

    def _close(self) -> None:
        # Closing a TLS transport twice would lose track of it, and leave it open.
        if not self._transport.is_closing():
            self._transport.close()

    def _linger(self) -> None:
        """Close without a reset, which would take the response from a client that still sends:
        section 9.6."""
        self.write(b"")
        self._is_lingering = True
        ends = self._is_half_closed or not self._transport.can_write_eof()
        if self._transport.is_closing() or ends:
            self._close()
            return
        self._transport.write_eof()
        self.resume_reading()
        self._linger_on()

    @property
    def _has_whole_request(self) -> bool:
        """Whether the request in flight has been read completely."""
        return self.in_flight and self._reader.complete

    def _check_client(self) -> None:
        """Abort if a client that ended its side has left altogether.

        Only a write shows that: it is answered with a reset, on loopback before the write returns.
        Where no probe can be written, the client counts as gone when nothing was written since the
        last check, and nothing waits for the client to read it.
        """
        if self._transport.is_closing() or self._cycle is None:
            return
        is_sending = self._has_written or self._transport.get_write_buffer_size() > 0
        may_be_there = self._cycle.probe() or is_sending
        sock = self._transport.get_extra_info("socket")
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or not may_be_there:
            self.abort()
            return
        self._has_written = False
        self._client_check = self._loop.call_later(_CLIENT_CHECK_SECONDS, self._check_client)

    def _linger_on(self) -> None:
        """Abort in a while, unless the client is still reading the response."""
        self._stop_idle_timer()
        unsent = self._transport.get_write_buffer_size()
        then = self._linger_on if unsent else self._transport.abort
        self._idle_timer = self._loop.call_later(_LINGER_SECONDS, then)

    def _reset(self, last: bytes) -> None:
        """Send what is held and some last bytes, then reset the connection."""
        if self._transport.is_closing():
            return
        self.write(last)
        # A linger time of 0 makes close() send a reset: SO_LINGER in socket(7).
        with contextlib.suppress(OSError):
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self._transport.abort()

    def _expire(self) -> None:
        self._connection.expired = True
        if self.in_flight or self._transport.is_closing():
            self.abort()
        else:
            self._close()
            # The client may not read the response, or not answer TLS's close_notify.
            self._lifetime = self._loop.call_later(_LINGER_SECONDS, self.abort)

    def _start_idle_timer(self) -> None:
        """Close the connection unless a request comes in time."""
        self._stop_idle_timer()
        self._idle_timer = self._loop.call_later(self._server.limits.idle, self._close)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None


def _address(transport: asyncio.Transport, which: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(which)
    return (address[0], address[1]) if address else None
