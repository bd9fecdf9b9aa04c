"""The local Lattice under uvicorn, in a thread. The only file that imports uvicorn.

h11 reads the requests: it hands on the bytes of the target and of the header values as they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lattice_client.testing.asgi import ASGIApp, Receive, Scope, Send
from lattice_client.testing.connection import CONNECTION_STATE, Connection, ConnectionLimits
from lattice_client.testing.exchange import TLS_STATE, TLSDetails

if TYPE_CHECKING:
    from lattice_client.testing.certificates import Certificates

__all__ = ["ServerThread"]

_log = logging.getLogger("lattice_client.testing")

# Above Lattice's own limit on headers, so that it is the local Lattice that refuses.
_MAX_HEAD_BYTES = 256 * 1024
_MAX_GATHERED_BYTES = 64 * 1024
# How long requests in flight may go on when the server is told to stop.
_GRACE_SECONDS = 1.0
_JOIN_SECONDS = 10.0


class ServerThread:
    """Serves an ASGI application on a listening socket until it is stopped.

    :raises BaseException: whatever kept the server from starting.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        certificates: Certificates | None,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._listener = listener
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        config = _Config(app, certificates, limits or ConnectionLimits())
        self._server = _Server(config, self._ready)
        # A daemon, so that a forgotten server does not keep the interpreter from exiting.
        self._thread = threading.Thread(target=self._run, name="local-lattice", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Stop serving; connections are closed, requests in flight are given a second."""
        self._server.stop()
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            _log.warning("the local Lattice is still waiting for a target's thread to end")

    def _run(self) -> None:
        try:
            # The plain loop, on every platform and whatever the policy: it can watch a listener.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._server.serve(sockets=[self._listener]))
        except BaseException as failure:  # noqa: BLE001 - it belongs to whoever started the thread
            if self._ready.is_set():
                _log.exception("the local Lattice's server failed")
            self._failure = failure
        finally:
            self._listener.close()
            self._ready.set()


def _quiet_when_cancelled(app: ASGIApp) -> ASGIApp:
    """``app``, ending without an error when its task is cancelled.

    That happens to what is still in flight when the server stops, and uvicorn would report it with
    a traceback.
    """

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if scope["type"] != "http":
                raise

    return quiet


class _Config(uvicorn.Config):
    def __init__(
        self, app: ASGIApp, certificates: Certificates | None, limits: ConnectionLimits
    ) -> None:
        self.certificates = certificates
        self.limits = limits
        super().__init__(
            _quiet_when_cancelled(app),
            interface="asgi3",
            http=_Protocol,
            ws="none",
            lifespan="on",
            # The exchange adds its own date; "server" is not Lattice's; x-forwarded-for is for
            # the target and not to be believed.
            date_header=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        )

    def configure_logging(self) -> None:
        # uvicorn would set handlers and levels for the whole process.
        pass

    def load(self) -> None:
        super().load()
        if self.certificates is not None:
            self.ssl = self.certificates.context


class _Server(uvicorn.Server):
    """uvicorn's server, with a start and a stop that take no time.

    It accepts connections itself: whatever has been accepted can so be closed again, also in the
    middle of a TLS handshake. And it is woken by an event, where uvicorn looks ten times a second.
    """

    def __init__(self, config: _Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._connecting: dict[asyncio.Task[None], socket.socket] = {}

    def stop(self) -> None:
        """Make ``serve`` end; may be called from any thread, and more than once."""
        if self._loop is not None:
            # The loop is closed where it has ended already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self.lifespan.startup()
        self._loop = asyncio.get_running_loop()
        for listener in sockets or []:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._accept, self._loop, listener)
        self.started = True

    async def main_loop(self) -> None:
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stop_accepting(sockets or [])
        connections: set[Any] = self.server_state.connections
        for connection in connections:
            if connection.in_flight:
                connection.shutdown()  # Lets it close when the response is complete.
        await _until(lambda: not any(connection.busy for connection in connections))
        # What is still on its way is cut off. To close a connection instead of aborting it would be
        # to wait for a TLS peer to say goodbye as well.
        for connection in list(connections):
            connection.transport.abort()
        await _until(lambda: not connections)
        requests = list(self.server_state.tasks)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        await self.lifespan.shutdown()

    def _accept(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        try:
            accepted, _ = listener.accept()
        except OSError:
            return  # Gone before it was there.
        task = loop.create_task(self._connect(loop, accepted))
        self._connecting[task] = accepted
        task.add_done_callback(self._connecting.pop)

    async def _connect(self, loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            return _Protocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        # A client that does not trust the certificate, or leaves: not the server's trouble.
        with contextlib.suppress(OSError):
            await loop.connect_accepted_socket(protocol, accepted, ssl=self.config.ssl)

    async def _stop_accepting(self, listeners: list[socket.socket]) -> None:
        for listener in listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        connecting = dict(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        for accepted in connecting.values():
            # Those whose task had not even begun; for the others it is closed already.
            accepted.close()


async def _until(done: Callable[[], bool]) -> None:
    """Wait for something that takes a few rounds of the loop, but not longer than is decent."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


class _Gathering:
    """A transport that sends in one piece what is written in one turn of the loop.

    The server writes heads and bodies one by one; together they take half as long.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _MAX_GATHERED_BYTES:
            # For the transport to notice, and tell the writer to pause.
            self.flush()

    def flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self.flush()
        self._transport.abort()

    def reset(self, last: bytes) -> None:
        """Send what there is and some last bytes, and let the other side see a reset."""
        if self._transport.is_closing():
            return
        self.write(last)
        self.flush()
        # Not to linger is to reset: SO_LINGER in socket(7).
        with contextlib.suppress(OSError):
            self._transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        return self._size + self._transport.get_write_buffer_size()


class _Protocol(H11Protocol):
    """uvicorn's protocol, with Lattice's limits on connections, and faults."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self.access_log = False
        assert isinstance(self.config, _Config)  # noqa: S101 - what _Server gives it
        self.limits = self.config.limits
        self.certificates = self.config.certificates
        self.connection = Connection()
        self._lifetime: asyncio.TimerHandle | None = None
        self._waiting: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> bool:
        """Whether there is a request without a complete response."""
        return bool(self.cycle) and not self.cycle.response_complete

    @property
    def busy(self) -> bool:
        """Whether there is anything left to be sent."""
        with contextlib.suppress(AttributeError):  # Raised by a TLS transport closed twice.
            return self.in_flight or self.transport.get_write_buffer_size() > 0
        return False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        gathering = _Gathering(transport, self.loop)
        super().connection_made(gathering)  # type: ignore[arg-type]
        self.connection.reset_after = gathering.reset
        self.app_state = {**self.app_state, CONNECTION_STATE: self.connection}
        self._lifetime = self.loop.call_later(self.limits.lifetime, self._expire)
        self._waiting = self.loop.call_later(self.limits.idle, transport.close)
        ssl_object = transport.get_extra_info("ssl_object")
        if self.certificates is not None and ssl_object is not None:
            cipher = ssl_object.cipher()
            details = TLSDetails(
                version=ssl_object.version(),
                cipher=cipher[0] if cipher else None,
                server_name=self.certificates.server_name(ssl_object),
            )
            self.app_state = {**self.app_state, TLS_STATE: details}

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._lifetime, self._waiting):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # However slowly it comes, a head is to be there in time.
        if self.in_flight:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.limits.idle, self.transport.close)

    def on_response_complete(self) -> None:
        self.timeout_keep_alive = self.limits.idle  # type: ignore[assignment]  # a float will do
        super().on_response_complete()

    def _expire(self) -> None:
        self.connection.expired = True
        if self.in_flight:
            # To close would be to wait for a TLS peer that is still reading.
            self.transport.abort()
        else:
            self.transport.close()
