"""The cheapest HTTP server that keeps connections open: one fixed answer, no look at the request.

It runs in a process of its own, so that it takes no turns at the benchmark's GIL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cheap_server"]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_END = b"\r\n\r\n"


class _Answering(asyncio.Protocol):
    """Answers every head of a request; the requests here have no bodies."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._unfinished = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._unfinished = (self._unfinished + data).split(_END)
        self._transport.write(_ANSWER * len(heads))


@contextmanager
def cheap_server() -> Iterator[str]:
    """The server's origin, ``http://127.0.0.1:port``, while it runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.communicate()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Until whoever started it closes the pipe, however that comes about.
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_serve())
    os._exit(0)
