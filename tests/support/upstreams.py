"""Servers behind a local Lattice, on real sockets."""

import asyncio
import contextlib
import socket
import threading

import uvicorn
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

from lattice_client.testing.server.server_thread import ServerThread


def listener():
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


@contextlib.contextmanager
def upstream(app):
    """Serve an ASGI application over HTTP/1.1; yields its URL."""
    sock, port = listener()
    server = ServerThread(with_lifespan(app), sock, None)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def http2_upstream(app, certificate=None):
    """Serve an ASGI application over HTTP/2 too, with TLS or prior knowledge; yields its URL.

    :param certificate: the paths of the certificate and its key.
    """
    sock, port = listener()
    config = Config()
    config.bind = [f"fd://{sock.detach()}"]
    config.errorlog = None
    config.include_date_header = False
    if certificate is not None:
        config.certfile, config.keyfile = certificate
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def main():
        await hypercorn_serve(with_lifespan(app), config, shutdown_trigger=stop.wait)

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextlib.contextmanager
def under_uvicorn(app):
    """Serve an ASGI application with uvicorn; yields its URL."""
    sock, port = listener()
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets=None):
            await super().startup(sockets)
            started.set()

    server = Server(uvicorn.Config(app, http="h11", log_config=None, date_header=False))
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def with_lifespan(app):
    """The application with an answer to the server's lifespan events."""

    async def wrapped(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped


@contextlib.contextmanager
def raw_upstream(*answers):
    """Read a request's head from each connection, send the next answer, and close it."""
    sock, port = listener()

    def run():
        for answer in answers:
            connection, _ = sock.accept()
            with connection:
                while b"\r\n\r\n" not in connection.recv(65536):
                    pass
                connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        thread.join()
        sock.close()
