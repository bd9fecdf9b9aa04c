"""A server on a bare socket that keeps the bytes it receives, with scripted answers."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import h11

from lattice_client.testing import Verified, Verifier, WireRequest
from support import canary

__all__ = ["OK", "RawRequest", "RawServer", "raw_server", "redirect_to"]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class RawRequest:
    method: str
    # As sent: path and query, or a whole URL to a proxy.
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
        """:raises RefusedError: if the signature is wrong."""
        target = self.target
        if target.startswith(b"http://"):
            target = b"/" + target.split(b"/", 3)[3]
        path, _, query = target.partition(b"?")
        verifier = Verifier(lambda _: canary.credentials(), region=region, service=service)
        return verifier.verify(WireRequest(self.method, path, query, self.headers), self.body)


# Faults of a connection: it is reset immediately, after some bytes of the request or all of it, or
# in the middle of the answer's head; or there is no answer.
# Or it is closed after the answer, which may come before the request's body, or reset there.
# Or only half of the answer's body is sent; or it is sent byte by byte, until ``go_on`` is set.
Fault = Literal[
    "at once",
    "in the request",
    "before the body",
    "after the request",
    "in the answer",
    "half an answer",
    "drip",
    "reset",
    "silence",
    "close",
]
_CLOSING = ("before the body", "close")
_RESETTING = ("after the request", "in the answer", "reset")
# Seconds between bytes, and the number of bytes: more than any test's time-out.
_DRIP, _DROPS = 0.05, 600


class RawServer:
    """
    :param faults: the faults of the first connections in order; None for no fault.
    :param listener: a bound socket; None for a new one.
    """

    def __init__(
        self,
        respond: Callable[[RawRequest], bytes],
        faults: Iterable[Fault | None] = (),
        listener: socket.socket | None = None,
    ) -> None:
        self.requests: list[RawRequest] = []
        # The number of accepted connections.
        self.connections = 0
        # Set it to end the dripping; and whether that came too late.
        self.go_on = threading.Event()
        self.dripped_out = False
        self._respond = respond
        self._faults = iter(faults)
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self._listener.listen()
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
            self.connections += 1
            fault = next(self._faults, None)
            thread = threading.Thread(target=self._serve, args=(connection, fault))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, fault: Fault | None) -> None:
        with connection, suppress(OSError, h11.RemoteProtocolError):  # The client may disconnect.
            if fault == "at once":
                return _reset(connection)
            if fault == "in the request":
                connection.recv(20)
                return _reset(connection)
            parser = h11.Connection(h11.SERVER)
            early = fault == "before the body"
            while (request := self._read(parser, connection, early=early)) is not None:
                self.requests.append(request)
                if self._answer(connection, request, fault):
                    return _reset(connection)
                if fault in _CLOSING:
                    return None
                parser = h11.Connection(h11.SERVER)
        return None

    def _answer(self, connection: socket.socket, request: RawRequest, fault: Fault | None) -> bool:
        """
        :returns: whether to reset the connection.
        """
        match fault:
            case "silence" | "after the request":
                pass
            case "in the answer":
                connection.sendall(b"HTTP/1.1 20")
            case "half an answer":
                answer = self._respond(request)
                connection.sendall(answer[: -(len(answer.partition(b"\r\n\r\n")[2]) + 1) // 2])
            case "drip":
                self._drip(connection, self._respond(request))
            case _:
                connection.sendall(self._respond(request))
        return fault in _RESETTING

    def _drip(self, connection: socket.socket, answer: bytes) -> None:
        body = answer.index(b"\r\n\r\n") + 4
        connection.sendall(answer[:body])
        for at in range(body, min(body + _DROPS, len(answer))):
            if self.go_on.wait(_DRIP):
                connection.sendall(answer[at:])
                return
            connection.sendall(answer[at : at + 1])
        self.dripped_out = True

    def _read(
        self, parser: h11.Connection, connection: socket.socket, *, early: bool
    ) -> RawRequest | None:
        """:param early: return after the head."""
        head, body = None, b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(connection.recv(65536))
            elif isinstance(event, h11.Request):
                head = event
                if early:
                    return _request_of(head, b"")
                if parser.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    connection.sendall(parser.send(go_on))
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request_of(head, body)
            else:
                return None

    def drop_connections(self) -> None:
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.go_on.set()
        # close() alone does not wake a blocked accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(20)


def _request_of(head: h11.Request, body: bytes) -> RawRequest:
    return RawRequest(head.method.decode(), head.target, tuple(head.headers.raw_items()), body)


def _reset(connection: socket.socket) -> None:
    # Closing with a linger time of zero sends RST instead of FIN.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def raw_server(
    respond: Callable[[RawRequest], bytes] = lambda _: OK,
    faults: Iterable[Fault | None] = (),
    listener: socket.socket | None = None,
) -> Iterator[RawServer]:
    server = RawServer(respond, faults, listener)
    try:
        yield server
    finally:
        server.close()


def redirect_to(location: str, *, status: int = 302, header: str = "Location") -> bytes:
    return (
        f"HTTP/1.1 {status} Elsewhere\r\n{header}: {location}\r\nContent-Length: 0\r\n\r\n"
    ).encode()
