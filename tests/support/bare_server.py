"""Bare ASGI applications under the local Lattice's server, raw sockets to it, and its clock."""

import asyncio
import contextlib
import http.client
import itertools
import socket
import ssl

from lattice_client.testing.data_plane.connection import ConnectionLimits
from lattice_client.testing.server.server_thread import ServerThread
from support.upstreams import listener, with_lifespan

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
SIZE = 4 * 1024 * 1024
DONE = (200, b"done", None)

# Kernel buffers are small compared with what these tests send.
_KERNEL_BYTES = 128 * 1024
_PART = b"x" * 16 * 1024
_SETTLED_TURNS = 10


class Serving:
    """A server with an application, and ``/good`` for other clients."""

    def __init__(self, app, certificates, limits):
        async def with_good(scope, receive, send):
            await (good if scope["path"] == "/good" else app)(scope, receive, send)

        sock, self._port = listener()
        small(sock)  # Accepted sockets inherit it.
        self._certificates = certificates
        self._thread = ServerThread(
            with_lifespan(with_good), sock, certificates, ConnectionLimits(**limits)
        )
        self._server = self._thread._server
        self.stop = self._thread.stop
        self.begin_to_stop = self._server.stop

    @property
    def is_running(self):
        return self._thread._thread.is_alive()

    @property
    def clients(self):
        """The addresses of those that are connected."""
        return [connection._scope["client"] for connection in self._server._state.connections]

    def holds(self, sock):
        """Whether the server still has this client's connection."""
        return sock.getsockname() in self.clients

    @property
    def held(self):
        """How many bytes of bodies wait to be received."""
        cycles = [connection._cycle for connection in self._server._state.connections]
        return sum(cycle.unreceived for cycle in cycles if cycle is not None)

    def connect(self):
        sock = small(socket.socket())
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", self._port))
        if self._certificates is None:
            return sock
        context = ssl.create_default_context(cafile=self._certificates.ca_file)
        return context.wrap_socket(sock, server_hostname="localhost")

    def do(self, callback):
        """Call a function in the server's loop."""
        self._server._loop.call_soon_threadsafe(callback)

    def turn(self):
        """Let the server work until it has answered another client."""
        with self.connect() as sock:
            sock.sendall(b"GET /good HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert whole(sock).endswith(b"good")

    def settle(self, progress):
        """Let the server work until it makes no more progress."""
        known = [progress()]
        while len(known) <= _SETTLED_TURNS:
            self.turn()
            now = progress()
            known = [*known, now] if now == known[-1] else [now]
        return known[-1]

    def fill(self, sock, size):
        """Send what the server takes, at most ``size`` bytes; return how many."""
        sock.setblocking(False)
        sent = 0

        def progress():
            nonlocal sent
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                while sent < size:
                    sent += sock.send(_PART[: size - sent])
            return sent

        self.settle(progress)
        sock.settimeout(20)
        return sent

    def later(self, seconds):
        """Advance the clock of the server's loop, and let it run what is due."""
        loop = self._server._loop
        clock = loop.time
        self.turn()
        self.do(lambda: setattr(loop, "time", lambda: clock() + seconds))
        self.turn()

    @contextlib.contextmanager
    def stopped_clock(self):
        """Stop the clock of the server's loop; only ``later`` sets it forward."""
        loop = self._server._loop
        clock, now = loop.time, loop.time()
        self.do(lambda: setattr(loop, "time", lambda: now))
        try:
            yield
        finally:
            self.do(lambda: setattr(loop, "time", clock))


@contextlib.contextmanager
def serving(app, certificates=None, **limits):
    """Serve an application, which gets all requests but those to ``/good``."""
    server = Serving(app, certificates, limits)
    try:
        yield server
    finally:
        server.stop()
        assert not server.is_running
        assert not server.clients


async def answer(send, body=b"done", headers=()):
    """A complete response."""
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def turns():
    """Let other tasks in the loop run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def good(_scope, _receive, send):
    await answer(send, b"good")


async def endless(_scope, _receive, send):
    """Only sends."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in itertools.count():
        await send({"type": "http.response.body", "body": b"%d " % number, "more_body": True})


def small(sock):
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, _KERNEL_BYTES)
    return sock


def response(sock):
    """A response's status, body and Connection header."""
    got = http.client.HTTPResponse(sock)
    got.begin()
    return got.status, got.read(), got.headers["connection"]


def whole(sock):
    """Everything that the other side sends until it shuts down its side."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def post(size, *headers):
    lines = [b"POST / HTTP/1.1", b"host: a", b"content-length: %d" % size, *headers]
    return b"\r\n".join([*lines, b"", b""])
