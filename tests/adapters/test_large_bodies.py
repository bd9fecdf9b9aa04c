"""Bodies that no memory holds: each library in a process of its own, whose memory is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from support.sink import Sink, sink

MIB = 1 << 20

# What a process does: a call of the same kind with a small body first, so that all is loaded and
# connected, then the large one; then it says by how much its memory has grown at most.
PROGRAM = """
import asyncio, re, sys
from lattice_client import Credentials, LatticeAuth, SigV4Auth
library, kind, url, size, path = sys.argv[1:]
size = int(size)
arguments = {"region": "us-west-2", "credentials": Credentials("AKIDEXAMPLE", "secret")}
# The body of a form is read to be hashed, and then to be sent.
auth = SigV4Auth("execute-api", **arguments) if kind == "form" else LatticeAuth(**arguments)
piece = b"x" * 65536

def pieces(size):
    for _ in range(size // len(piece)):
        yield piece

async def async_pieces(size):
    for each in pieces(size):
        yield each

def file(size):
    with open(path, "wb") as made:
        made.truncate(size)
    return open(path, "rb")

def sync_calls(call):
    def upload(size):
        if kind in ("file", "form"):
            with file(size) as body:
                return call("PUT", url, body)
        return call("PUT", url, pieces(size))
    return upload

if library == "requests":
    import lattice_client.requests
    def run(size):
        if kind == "download":
            with session.get(f"{url}/{size}", stream=True) as response:
                return sum(len(each) for each in response.iter_content(65536))
        def call(method, url, body):
            return session.request(method, url, data=body).status_code
        return sync_calls(call)(size)
    session = lattice_client.requests.Session(auth)
elif library in ("httpx", "httpx2"):
    module = __import__(f"lattice_client.{library}", fromlist=["Client"])
    client = module.Client(auth=auth, timeout=300, trust_env=False)
    def run(size):
        if kind == "download":
            with client.stream("GET", f"{url}/{size}") as response:
                return sum(len(each) for each in response.iter_bytes())
        def call(method, url, body):
            sent = {"files": {"file": body}} if kind == "form" else {"content": body}
            return client.request(method, url, **sent).status_code
        return sync_calls(call)(size)
elif library in ("httpx async", "httpx2 async"):
    module = __import__(f"lattice_client.{library.split()[0]}", fromlist=["AsyncClient"])
    runner = asyncio.Runner()
    client = module.AsyncClient(auth=auth, timeout=300, trust_env=False)
    async def call(size):
        if kind == "download":
            async with client.stream("GET", f"{url}/{size}") as response:
                return sum([len(each) async for each in response.aiter_bytes()])
        if kind == "form":
            with file(size) as body:
                return (await client.put(url, files={"file": body})).status_code
        return (await client.put(url, content=async_pieces(size))).status_code
    def run(size):
        return runner.run(call(size))
elif library == "proof":
    def run(size):
        return 200
else:
    import lattice_client.aiohttp
    runner = asyncio.Runner()
    async def make():
        return lattice_client.aiohttp.client_session(auth)
    session = runner.run(make())
    async def call(size):
        if kind == "download":
            async with session.get(f"{url}/{size}") as response:
                return sum([len(each) async for each in response.content.iter_chunked(65536)])
        body = async_pieces(size) if kind == "generator" else file(size)
        if kind == "form":
            body = {"file": body}
        async with session.put(url, data=body) as response:
            return response.status
    def run(size):
        return runner.run(call(size))

expected = (1 << 20, size) if kind == "download" else (200, 200)
assert run(1 << 20) == expected[0]
def most():
    # Not ru_maxrss: that begins with the most that the parent had.
    return int(re.search(r"VmHWM: *\t* *(\\d+) kB", open("/proc/self/status").read())[1])

before = most()
assert run(size) == expected[1]
if library == "proof":
    kept = b"".join(pieces(size))
print(most() - before)
"""

LIBRARIES = ["requests", "httpx", "httpx async", "httpx2", "httpx2 async", "aiohttp"]
CASES = [
    (library, kind)
    for library in LIBRARIES
    for kind in ("generator", "file", "form", "download")
    if not ("async" in library and kind == "file")  # asynchronous httpx takes no files
    and not (library == "requests" and kind == "form")  # requests reads forms into memory
    # aiohttp's first middleware releases read a file into memory, with or without us.
    and not (
        library == "aiohttp"
        and kind in ("file", "form")
        and not hasattr(aiohttp.Payload, "consumed")
    )
]


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc"
)


@pytest.fixture(scope="module")
def server() -> Sink:
    with sink() as running:
        yield running


def growth(server: Sink, library: str, kind: str, size: int, path) -> int:
    """By how much the most memory that the process ever had grew, in bytes."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, library, kind, server.url, str(size), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout) * 1024


def test_it_would_be_noticed(server, tmp_path):
    assert growth(server, "proof", "generator", 64 * MIB, tmp_path / "upload") > 60 * MIB


@pytest.mark.parametrize(("library", "kind"), CASES)
def test_64_mib(server, library, kind, tmp_path):
    assert growth(server, library, kind, 64 * MIB, tmp_path / "upload") < 32 * MIB


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("library", "kind"), CASES)
def test_1_gib(server, library, kind, tmp_path):
    grown = growth(server, library, kind, 1024 * MIB, tmp_path / "upload")
    print(f"{library}, {kind}: {grown / MIB:.1f} MiB")
    assert grown < 32 * MIB
