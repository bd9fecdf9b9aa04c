"""A server for ASGI applications, in a thread; its start and its stop take no time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.data_plane.connection import ConnectionLimits
from lattice_client.testing.server.http_connection import HTTPConnection, Served
from lattice_client.testing.targets.lifespan import Lifespan

if TYPE_CHECKING:
    from lattice_client.testing.server.certificates import Certificates

__all__ = ["ServerThread"]

_log = logging.getLogger("lattice_client.testing")

# How long requests in flight may go on when the server is told to stop.
_GRACE_SECONDS = 1.0
_JOIN_SECONDS = 10.0
# Without a file descriptor to spare there is no accepting, and no end of being told to.
_PAUSE_SECONDS: Final = 0.1


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
        served = Served(app, limits or ConnectionLimits(), certificates)
        self._server = _Server(served, listener)
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
                runner.run(self._server.serve(self._ready))
        except BaseException as failure:  # noqa: BLE001 - it belongs to whoever started the thread
            if self._ready.is_set():
                _log.exception("the local Lattice's server failed")
            self._failure = failure
        finally:
            self._listener.close()
            self._ready.set()


class _Server:
    """It accepts connections itself: whatever has been accepted can so be closed again, also in the
    middle of a TLS handshake."""

    def __init__(self, served: Served, listener: socket.socket) -> None:
        self._served = served
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._connecting: dict[asyncio.Task[None], socket.socket] = {}

    def stop(self) -> None:
        """Make ``serve`` end; may be called from any thread, and more than once."""
        if self._loop is not None:
            # The loop is closed where it has ended already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def serve(self, ready: threading.Event) -> None:
        """Serve until it is stopped; ``ready`` is set when it begins."""
        loop = self._loop = asyncio.get_running_loop()
        lifespan = Lifespan(self._served.app)
        self._served.state = await lifespan.started()
        self._listener.setblocking(False)
        self._listen(loop)
        ready.set()
        await self._stopping.wait()
        await self._stop_accepting(loop)
        await self._stop_calls()
        await lifespan.stop(grace=None)  # Those within it have theirs.

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._stopping.is_set():
            loop.add_reader(self._listener, self._accept, loop)

    def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # Gone before it was there.
        except OSError as error:
            _log.warning("no connection can be accepted just now: %s", error)
            loop.remove_reader(self._listener)
            loop.call_later(_PAUSE_SECONDS, self._listen, loop)
            return
        task = loop.create_task(self._connect(loop, accepted))
        self._connecting[task] = accepted
        task.add_done_callback(self._connecting.pop)

    async def _connect(self, loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
        certificates = self._served.certificates
        # A client that does not trust the certificate, or leaves: not the server's trouble.
        with contextlib.suppress(OSError):
            await loop.connect_accepted_socket(
                lambda: HTTPConnection(self._served),
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
            # Those whose task had not even begun; for the others it is closed already.
            accepted.close()

    async def _stop_calls(self) -> None:
        connections = self._served.connections
        for connection in connections:
            connection.finish()
        await _until(lambda: not any(connection.busy for connection in connections))
        for connection in list(connections):
            connection.abort()
        await _until(lambda: not connections)
        calls = list(self._served.calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def _until(done: Callable[[], bool]) -> None:
    """Wait for something that takes a few rounds of the loop, but not longer than is decent."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
