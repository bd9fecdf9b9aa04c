"""A server on a bare socket: it keeps what it was sent, to the byte, and answers as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import h11

from lattice_client.testing import Verified, Verifier, WireRequest
from support import canary

__all__ = ["OK", "RawRequest", "RawServer", "raw_server", "redirect_to"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class RawRequest:
    method: str
    # As sent: path and query, or a whole URL where a proxy is asked.
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.encode()]
        return found[0].decode("latin-1") if found else None

    @property
    def signed(self) -> bool:
        return any(
            name.lower() == b"authorization" or name.lower().startswith(b"x-amz-")
            for name, _ in self.headers
        )

    def verified(self, *, service: str = "vpc-lattice-svcs", region: str = "us-west-2") -> Verified:
        """:raises RefusedError: where the signature is not right."""
        target = self.target
        if target.startswith(b"http://"):
            target = b"/" + target.split(b"/", 3)[3]
        path, _, query = target.partition(b"?")
        verifier = Verifier(lambda _: canary.credentials(), region=region, service=service)
        return verifier.verify(WireRequest(self.method, path, query, self.headers), self.body)


class RawServer:
    def __init__(self, respond: Callable[[RawRequest], bytes]) -> None:
        self.requests: list[RawRequest] = []
        self._respond = respond
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            parser = h11.Connection(h11.SERVER)
            while (request := self._read(parser, connection)) is not None:
                self.requests.append(request)
                try:
                    connection.sendall(self._respond(request))
                except OSError:
                    return
                parser = h11.Connection(h11.SERVER)

    def _read(self, parser: h11.Connection, connection: socket.socket) -> RawRequest | None:
        head, body = None, b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                try:
                    parser.receive_data(connection.recv(65536))
                except OSError:
                    return None
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return RawRequest(
                    head.method.decode(), head.target, tuple(head.headers.raw_items()), body
                )
            else:
                return None

    def close(self) -> None:
        # An accept() that waits is not woken by close() alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(20)


@contextmanager
def raw_server(respond: Callable[[RawRequest], bytes] = lambda _: OK) -> Iterator[RawServer]:
    server = RawServer(respond)
    try:
        yield server
    finally:
        server.close()


def redirect_to(location: str, *, status: int = 302, header: str = "Location") -> bytes:
    return (
        f"HTTP/1.1 {status} Elsewhere\r\n{header}: {location}\r\nContent-Length: 0\r\n\r\n"
    ).encode()
