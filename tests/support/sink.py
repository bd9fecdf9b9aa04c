"""A server that takes uploads of any size and gives downloads of any size, in constant memory."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Sink", "sink"]

_PIECE = 1 << 20
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sink:
    """``PUT`` takes any body; ``GET /N`` returns N bytes."""

    def __init__(self) -> None:
        # The size of each received body, including chunk framing.
        self.taken: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while True:
                head, body = b"", b""
                while b"\r\n\r\n" not in head:
                    received = connection.recv(_PIECE)
                    if not received:
                        return
                    head += received
                head, _, body = head.partition(b"\r\n\r\n")
                if head.startswith(b"GET"):
                    self._give(connection, int(head.split(b" ")[1][1:]))
                else:
                    self._take(connection, head, body)

    def _take(self, connection: socket.socket, head: bytes, begun: bytes) -> None:
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        taken, end = len(begun), begun[-5:]
        buffer = bytearray(_PIECE)
        while taken < int(length[1]) if length else end != b"0\r\n\r\n":
            count = connection.recv_into(buffer)
            if not count:
                return
            taken += count
            end = (end + bytes(buffer[max(0, count - 5) : count]))[-5:]
        self.taken.append(taken)
        connection.sendall(_OK)

    def _give(self, connection: socket.socket, size: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        piece = b"x" * _PIECE
        while size > 0:
            connection.sendall(piece[:size])
            size -= len(piece)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)


@contextmanager
def sink() -> Iterator[Sink]:
    server = Sink()
    try:
        yield server
    finally:
        server.close()
