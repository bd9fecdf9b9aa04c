"""A server for ASGI applications in a thread, quick to start and to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Final

from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.data_plane.connection import ConnectionLimits
from lattice_client.testing.server.http_connection import HTTPConnection, ServerState
from lattice_client.testing.targets.lifespan import Lifespan

if TYPE_CHECKING:
    from lattice_client.testing.server.certificates import Certificates

__all__ = ["ServerThread"]

_log = logging.getLogger("lattice_client.testing")

# How long requests in flight may go on when the server stops.
_GRACE_SECONDS = 1.0
_JOIN_SECONDS = 10.0
# Out of file descriptors, accept() fails and the listener stays readable: pause, or spin.
_PAUSE_SECONDS: Final = 0.1


class ServerThread:
    """Serves an ASGI application on a listening socket until it is stopped.

    :raises BaseException: the error that kept the server from starting.
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
        state = ServerState(app, limits or ConnectionLimits(), certificates)
        self._server = _Server(state, listener)
        # A daemon, so that a forgotten server does not keep the interpreter from exiting.
        self._thread = threading.Thread(target=self._run, name="local-lattice", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> None:
        """Stop serving: requests in flight get a second to end, then connections are closed."""
        self._server.stop()
        self._thread.join(_JOIN_SECONDS)
        if self._thread.is_alive():
            _log.warning("the local Lattice is still waiting for a target's thread to end")

    def close_idle(self) -> None:
        """Close the connections that wait for a request; return when they are closed."""
        self._server.close_idle()

    def _run(self) -> None:
        try:
            # This loop can watch a listener on every platform; the policy's may not.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._server.serve(self._ready))
        except BaseException as failure:  # noqa: BLE001 - raised in the thread that started this one
            if self._ready.is_set():
                _log.exception("the local Lattice's server failed")
            self._failure = failure
        finally:
            self._listener.close()
            self._ready.set()


class _Server:
    """Accepts connections itself, to close accepted ones even in the middle of a TLS handshake."""

    def __init__(self, state: ServerState, listener: socket.socket) -> None:
        self._state = state
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._connecting: dict[asyncio.Task[None], socket.socket] = {}

    def stop(self) -> None:
        """Make ``serve`` return. May be called from any thread, and more than once."""
        if self._loop is not None:
            # The loop is closed if the server has ended already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    def close_idle(self) -> None:
        """Close the connections that wait for a request, from another thread."""
        if self._loop is not None:
            closing = self._close_idle()
            try:
                asyncio.run_coroutine_threadsafe(closing, self._loop).result(_JOIN_SECONDS)
            except (RuntimeError, TimeoutError, CancelledError):
                closing.close()  # The loop has ended, or is ending: so do the connections.

    async def _close_idle(self) -> None:
        idle = {connection for connection in self._state.connections if not connection.busy}
        for connection in idle:
            connection.abort()
        await _until(lambda: idle.isdisjoint(self._state.connections))

    async def serve(self, ready: threading.Event) -> None:
        """Set ``ready``, and serve until ``stop`` is called."""
        loop = self._loop = asyncio.get_running_loop()
        lifespan = Lifespan(self._state.app)
        self._state.lifespan_state = await lifespan.started()
        self._listener.setblocking(False)
        self._listen(loop)
        ready.set()
        await self._stopping.wait()
        await self._stop_accepting(loop)
        await self._stop_requests()
        await lifespan.stop(grace=None)  # The targets' lifespans inside have a time-out.

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._stopping.is_set():
            loop.add_reader(self._listener, self._accept, loop)

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # The client has left already.
        except OSError as error:
            _log.warning("cannot accept a connection: %s", error)
            loop.remove_reader(self._listener)
            loop.call_later(_PAUSE_SECONDS, self._listen, loop)
            return
        task = loop.create_task(self._connect(loop, accepted))
        self._connecting[task] = accepted
        task.add_done_callback(self._connecting.pop)

    async def _connect(self, loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
        certificates = self._state.certificates
        # The client may not trust the certificate, or may leave.
        with contextlib.suppress(OSError):
            await loop.connect_accepted_socket(
                lambda: HTTPConnection(self._state),
                accepted,
                ssl=None if certificates is None else certificates.context,
            )

    async def _stop_accepting(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._listener)
        self._listener.close()
        connecting = dict(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        for accepted in connecting.values():
            # asyncio has closed all but those whose task had not begun.
            accepted.close()

    async def _stop_requests(self) -> None:
        connections = self._state.connections
        for connection in connections:
            connection.finish()
        await _until(lambda: not any(connection.busy for connection in connections))
        for connection in list(connections):
            connection.abort()
        await _until(lambda: not connections)
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(done: Callable[[], bool]) -> None:
    """Wait until it is done, for at most ``_GRACE_SECONDS``."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
