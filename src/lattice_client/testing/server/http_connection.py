"""ASGI over HTTP/1.1: a connection, and the requests on it, one after the other.

A request is read when the response before it is complete, so that answers keep their order; what
comes early waits, and where much of it comes the connection is not read. Source: ASGI
specification, "HTTP & WebSocket ASGI Message Format"; RFC 9112, whose sections are named below.
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
from lattice_client.testing.server.http_call import Call, plain_answer

if TYPE_CHECKING:
    from lattice_client.testing.server.certificates import Certificates

__all__ = ["HTTPConnection", "Served"]

_log = logging.getLogger("lattice_client.testing")

# What may wait to be read by an application before the client is left waiting.
_MAX_WAITING_BYTES: Final = 64 * 1024
_BUFFER_BYTES: Final = 64 * 1024
# How long a client may go on sending what nobody reads, before the connection is cut.
_LINGER_SECONDS: Final = 5.0
# How often to look whether a client that ended its side is still there.
_LOOK_SECONDS: Final = 0.5


@dataclass(eq=False)
class Served:
    """An application that is being served, and what is going on.

    :param state: what its lifespan left for requests.
    """

    app: ASGIApp
    limits: ConnectionLimits
    certificates: Certificates | None = None
    state: dict[str, Any] = field(default_factory=dict)
    connections: set[HTTPConnection] = field(default_factory=set)
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    # One for all: what comes is taken out of it before anything else does.
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(_BUFFER_BYTES)))


class HTTPConnection(asyncio.BufferedProtocol):
    """One client's connection."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader()
        self._call: Call | None = None
        self._connection = Connection(reset_after=self._reset)
        self._scope: Scope = {}
        self._state = {**served.state, CONNECTION_STATE: self._connection}
        self._held = b""
        self._is_lingering = False
        self._is_in_head = False
        self._is_half_closed = False
        self._looking: asyncio.TimerHandle | None = None
        self._has_written = True
        self._writable = asyncio.Event()
        self._writable.set()
        # Ends the connection, unless there is a request in time.
        self._waiting: asyncio.TimerHandle | None = None

    # For the server

    @property
    def in_flight(self) -> bool:
        """Whether there is a request without a complete response."""
        return self._call is not None and not self._call.is_answered

    @property
    def busy(self) -> bool:
        """Whether there is anything left to be sent."""
        return self.in_flight or self._transport.get_write_buffer_size() > 0

    def finish(self) -> None:
        """Close when the response in flight is complete; it says so, unless it has started."""
        if self._call is not None:
            self._call.writer.keep_alive = False

    def abort(self) -> None:
        """Close at once. To say goodbye would be to wait for a TLS client to do so as well."""
        self._transport.abort()

    # For the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._served.connections.add(self)
        self._lifetime = self._loop.call_later(self._served.limits.lifetime, self._expire)
        self._wait()
        tls = transport.get_extra_info("ssl_object")
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "server": _address(transport, "sockname"),
            "client": _address(transport, "peername"),
            "scheme": "http" if tls is None else "https",
            "root_path": "",
        }
        certificates = self._served.certificates
        if certificates is not None and tls is not None:
            cipher = tls.cipher()
            self._state[TLS_STATE] = TLSDetails(
                version=tls.version(),
                cipher=cipher[0] if cipher else None,
                server_name=certificates.server_name(tls),
            )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._connection.lost = True
        self._served.connections.discard(self)
        self._lifetime.cancel()
        self._stop_waiting()
        if self._looking is not None:
            self._looking.cancel()
        self._writable.set()
        if self._call is not None:
            self._call.leave()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's
        return self._served.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self._is_lingering:
            self._reader.feed(self._served.buffer[:nbytes])
            self._read()

    def eof_received(self) -> bool:
        """Whether the connection stays open: a client may end its side, and still wait for answers
        to whole requests (RFC 9293, section 3.6). TLS in asyncio knows no such half-closed state.
        """
        self._is_half_closed = True
        is_open = self._has_whole_request and self._scope["scheme"] == "http"
        if is_open:
            self._look()
        return is_open

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # For calls

    async def writable(self) -> None:
        """Wait until what has been written is on its way."""
        await self._writable.wait()

    def write_head(self, data: bytes) -> None:
        """Write a head, with the body's first part if that follows in this turn of the loop."""
        self._held += data
        self._loop.call_soon(self.write, b"")

    def write(self, data: bytes) -> None:
        """Write what comes next."""
        if self._held:
            data, self._held = self._held + data, b""
        if data and not self._is_lingering and not self._transport.is_closing():
            self._has_written = True
            self._transport.write(data)

    def read_more(self) -> None:
        """Go on reading: what had come has been taken."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def answered(self, call: Call) -> None:
        """Go on to the next request: the response is complete."""
        if self._transport.is_closing():
            return
        if call.writer.keep_alive:
            self._wait()
            self.read_more()
            self._read()
            if self._is_half_closed and not self._has_whole_request:
                self._close()
        elif self._reader.complete and not self._reader.unread:
            self._close()
        else:
            self._linger()

    def cut(self) -> None:
        """Close in the middle of a response, so that it does not look whole."""
        if self._call is not None and self._call.writer.ends_with_connection:
            self._reset(b"")
        else:
            self.write(b"")
            self._close()

    def _read(self) -> None:
        """Go on with the request in flight, and begin the next one."""
        try:
            while True:
                call = self._call
                if call is not None:
                    call.take(self._reader.next_body(), complete=self._reader.complete)
                    if not (call.is_answered and self._reader.complete):
                        break
                head = self._reader.next_head()
                self._call = None if head is None else self._begin(head)
                if head is None:
                    if self._reader.unread and not self._is_in_head:
                        # However slowly it comes, a head is to be there in time.
                        self._is_in_head = True
                        self._wait()
                    return
        except MalformedRequestError as error:
            self._refuse(error)
            return
        if call.is_answered:
            self._wait()  # For the rest of a body that nobody reads: it still comes.
        elif self._reader.unread + call.waiting > _MAX_WAITING_BYTES:
            self._transport.pause_reading()

    def _begin(self, head: RequestHead) -> Call:
        self._stop_waiting()
        self._is_in_head = False
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
        call = Call(self, head, scope)
        # Never one that begins at once, as an application may have asked the loop for: the call has
        # to be in flight before it is answered.
        task = asyncio.Task(call.run(self._served.app), loop=self._loop)
        self._served.calls.add(task)
        task.add_done_callback(self._served.calls.discard)
        return call

    def _refuse(self, error: MalformedRequestError) -> None:
        _log.warning("a request was refused: %s", error)
        call, self._call = self._call, None
        # Where it is the body that makes no sense, its request may have been answered.
        if self._reader.complete or call is None or not call.has_started:
            self.write(error.answer(*plain_answer(f"{error.phrase}: {error}")))
        if call is not None:
            call.leave()
        self._linger()

    def _close(self) -> None:
        # A TLS transport that is closed twice forgets that it is open.
        if not self._transport.is_closing():
            self._transport.close()

    def _linger(self) -> None:
        """Close, but not with a reset, which takes what was sent from a client that still sends:
        section 9.6."""
        self.write(b"")
        self._is_lingering = True
        ends = self._is_half_closed or not self._transport.can_write_eof()
        if self._transport.is_closing() or ends:
            self._close()
            return
        self._transport.write_eof()
        self.read_more()
        self._linger_on()

    @property
    def _has_whole_request(self) -> bool:
        """Whether the request in flight has come to its end."""
        return self.in_flight and self._reader.complete

    def _look(self) -> None:
        """Abort if a client that ended its side has left altogether.

        Only a write shows that: a client that has left answers it with a reset, on loopback before
        the write returns. Where no probe can be written, a client counts as gone when the response
        has written nothing since the last look.
        """
        if self._transport.is_closing() or self._call is None:
            return
        may_be_there = self._call.probe() or self._has_written
        sock = self._transport.get_extra_info("socket")
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or not may_be_there:
            self.abort()
            return
        self._has_written = False
        self._looking = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _linger_on(self) -> None:
        """Until the client has left, or has been given the time to read all."""
        self._stop_waiting()
        unsent = self._transport.get_write_buffer_size()
        then = self._linger_on if unsent else self._transport.abort
        self._waiting = self._loop.call_later(_LINGER_SECONDS, then)

    def _reset(self, last: bytes) -> None:
        """Send what there is and some last bytes, and let the other side see a reset."""
        if self._transport.is_closing():
            return
        self.write(last)
        # Not to linger is to reset: SO_LINGER in socket(7).
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
            # For a client that does not take what it was sent, or does not say goodbye.
            self._lifetime = self._loop.call_later(_LINGER_SECONDS, self.abort)

    def _wait(self) -> None:
        """Wait for a request, but not for ever."""
        self._stop_waiting()
        self._waiting = self._loop.call_later(self._served.limits.idle, self._close)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _address(transport: asyncio.Transport, which: str) -> tuple[str, int] | None:
    address = transport.get_extra_info(which)
    return (address[0], address[1]) if address else None
