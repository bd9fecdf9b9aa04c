"""Send a GiB through a proxied target, up or down; print the peak memory before and after.

In KiB, as Linux reports it.
"""

import sys
import time
from pathlib import Path

import httpx

from lattice_client.testing import LocalLattice, serve
from support.upstreams import upstream

SIZE, CHUNK = 1 << 30, b"x" * (1 << 16)
HEAD = {"type": "http.response.start", "status": 200, "headers": []}


async def sink_or_source(scope, receive, send):
    if scope["method"] == "GET":
        await send(HEAD)
        for _ in range(int(scope["path"][1:]) // len(CHUNK)):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    total, more = 0, True
    while more:
        message = await receive()
        total, more = total + len(message["body"]), message["more_body"]
    await send(HEAD)
    await send({"type": "http.response.body", "body": str(total).encode()})


def peak():
    # Not ru_maxrss, which starts at the parent's maximum.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def transfer(client, url, direction, size):
    if direction == "up":
        content = (CHUNK for _ in range(size // len(CHUNK)))
        assert client.post(url, content=content).text == str(size)
    else:
        with client.stream("GET", f"{url}/{size}") as response:
            assert sum(map(len, response.iter_raw())) == size


def main(direction):
    with upstream(sink_or_source) as url:
        lattice = LocalLattice()
        lattice.add_service("orders", auth_type="NONE", target=url)
        with serve(lattice) as running, httpx.Client(timeout=60) as client:
            transfer(client, running.url, direction, SIZE // 64)
            before, began = peak(), time.perf_counter()
            transfer(client, running.url, direction, SIZE)
            seconds = time.perf_counter() - began
            print(f"{direction}: {SIZE / seconds / 1e6:.0f} MB/s")
            print(before, peak())


main(sys.argv[1])
