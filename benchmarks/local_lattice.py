"""The local Lattice's own speed:  python -m benchmarks.local_lattice [--quick]

How many requests it verifies and forwards in a second, beside an ASGI application that looks at
nothing under the same server; and how long it takes to start. Each server runs in a process of its
own; the client sends the same signed request over eight connections that stay open. It does not
sleep until an answer comes: to wake it is work of the system's that would be counted as the
server's. On a machine that has other things to do the processor's time says more than the clock's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lattice_client import Credentials
from lattice_client.signing import SigV4Signer

__all__ = ["Speed", "measure", "start_up"]

CREDENTIALS = Credentials("AKIABENCHMARK", "secret", "t" * 800)
HOST = "orders.internal.example.com"
TARGET = "/orders/7?page=3&status=open"
CONNECTIONS = 8
_END = b"{}"


@dataclass(frozen=True)
class Speed:
    """Of one server: requests a second, and microseconds of its processor's time for each."""

    per_second: float
    processor_us: float


def measure(requests: int = 4000, rounds: int = 5) -> dict[str, Speed]:
    """The best of some rounds for each of ``bare`` and ``lattice``, taken in turns."""
    with _serving("bare") as bare, _serving("lattice") as lattice:
        servers = {"bare": bare, "lattice": lattice}
        for server in servers.values():
            server.burst(requests // 10)
        measured: dict[str, list[Speed]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, server in servers.items():
                measured[name].append(server.burst(requests))
    return {
        name: Speed(
            max(speed.per_second for speed in speeds), min(speed.processor_us for speed in speeds)
        )
        for name, speeds in measured.items()
    }


def start_up(times: int = 10) -> dict[str, float]:
    """Milliseconds: ``serving`` from the first import to the first answer, in a running
    interpreter; ``processor`` the same, of the processor's time; ``process`` with the interpreter's
    own start."""
    taken: dict[str, list[float]] = {"serving": [], "processor": [], "process": []}
    # Not to keep bytecode is a habit of machines that only test; users' installers write it.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    for _ in range(times):
        began = time.perf_counter()
        out = subprocess.run(
            [sys.executable, "-c", _START],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        taken["process"].append((time.perf_counter() - began) * 1000)
        for name, milliseconds in zip(("serving", "processor"), out.split(), strict=True):
            taken[name].append(float(milliseconds))
    return {name: median(milliseconds) for name, milliseconds in taken.items()}


_START = """
import time
began, processor = time.perf_counter(), time.process_time()
import socket
from lattice_client.testing import LocalLattice, serve
lattice = LocalLattice()
lattice.add_service("orders", auth_type="NONE")
lattice.add_caller("orders-frontend")
with serve(lattice) as running:
    with socket.create_connection((running.host, running.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    print((time.perf_counter() - began) * 1000, (time.process_time() - processor) * 1000)
"""


class _Server:
    """A server's process, and connections to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        port = int(process.stdout.readline())
        self._sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        for sock in self._sockets:
            sock.setblocking(False)

    def burst(self, requests: int) -> Speed:
        data = _signed()
        turns = max(1, requests // CONNECTIONS)
        processor, began = self._processor(), time.perf_counter()
        for _ in range(turns):
            for sock in self._sockets:
                sock.sendall(data)
            for sock in self._sockets:
                came = b""
                while not came.endswith(_END):
                    with contextlib.suppress(BlockingIOError):
                        part = sock.recv(65536)
                        assert part, "the server has closed the connection"
                        came += part
                assert came.startswith(b"HTTP/1.1 200 "), came
        seconds, count = time.perf_counter() - began, turns * CONNECTIONS
        return Speed(count / seconds, (self._processor() - processor) / count * 1e6)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()

    def _processor(self) -> float:
        """Seconds of its processor's time until now; it says so when it is asked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@contextlib.contextmanager
def _serving(kind: str) -> Iterator[_Server]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.local_lattice", "--serve", kind],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        server = _Server(process)
        yield server
        server.close()
    finally:
        process.communicate()


def _signed() -> bytes:
    signed = SigV4Signer(CREDENTIALS, "us-west-2").sign("GET", HOST, TARGET)
    headers = {"host": HOST, "user-agent": "benchmark", "accept": "*/*"} | signed
    lines = [f"GET {TARGET} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def _target(scope: Any, receive: Any, send: Any) -> None:
    """Looks at nothing."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _END})


def _serve(kind: str) -> None:
    from lattice_client.testing import LocalLattice, serve
    from lattice_client.testing.server.running import _listen
    from lattice_client.testing.server.server_thread import ServerThread

    if kind == "bare":
        listener = _listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        thread = ServerThread(_target, listener, None)
        _tell(port)
        thread.stop()
    else:
        lattice = LocalLattice()
        lattice.add_service("orders", domain=HOST, target=_target)
        lattice.add_caller("orders-frontend", credentials=CREDENTIALS)
        with serve(lattice) as running:
            _tell(running.port)


def _tell(port: int) -> None:
    """The port; then the processor's time for each line that comes, until no more come."""
    print(port, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.local_lattice", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--serve", choices=["bare", "lattice"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve)
        return
    speeds = measure(80, 1) if given.quick else measure()
    started = start_up(1 if given.quick else 10)
    figures = {
        **{f"{name}: requests/s": round(speed.per_second) for name, speed in speeds.items()},
        **{f"{name}: processor µs": round(speed.processor_us) for name, speed in speeds.items()},
        "lattice / bare": round(speeds["lattice"].per_second / speeds["bare"].per_second, 2),
        **{f"start, {name}: ms": round(ms) for name, ms in started.items()},
    }
    print(json.dumps(figures, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
