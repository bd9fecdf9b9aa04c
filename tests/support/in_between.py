"""A proxy between client and server that changes the heads of requests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["in_between"]

# Changes the head of a request, given as lines, the request line first.
Change = Callable[[list[bytes]], list[bytes]]


@contextmanager
def in_between(port: int, change: Change) -> Iterator[int]:
    """Proxy one request without a body for each connection.

    :param port: of the server at 127.0.0.1.
    :returns: the proxy's port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    threads = [threading.Thread(target=_accept, args=(listener, port, change))]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(20)


def _accept(listener: socket.socket, port: int, change: Change) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        # Either side may disconnect.
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
            head = b""
            while b"\r\n\r\n" not in head:
                received = client.recv(65536)
                if not received:
                    break
                head += received
            else:
                lines = change(head.removesuffix(b"\r\n\r\n").split(b"\r\n"))
                server.sendall(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
                while answer := server.recv(65536):
                    client.sendall(answer)
