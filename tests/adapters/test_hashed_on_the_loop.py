"""A signed payload that stops the event loop while it is hashed is told once: httpx calls a
library-free hook as a function, and waits for it."""

from __future__ import annotations

import anyio
import httpx
import httpx2
import pytest

import lattice_client.httpx
import lattice_client.httpx2
from lattice_client import SigV4Auth
from support import canary

LARGE = b"x" * (1 << 20)
LIBRARIES = [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]


def of(kind):
    return kind("execute-api", region="us-west-2", credentials=canary.credentials())


def warnings(caplog) -> list[str]:
    records = [record for record in caplog.records if record.name == "lattice_client.auth"]
    return [record.getMessage() for record in records if "event loop" in record.getMessage()]


async def post_twice(library, auth, body: bytes) -> None:
    transport = library.MockTransport(lambda _: library.Response(200))
    async with library.AsyncClient(auth=auth, transport=transport) as client:
        for _ in range(2):
            response = await client.post("http://a.example/", content=body)
            assert "Authorization" in response.request.headers


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("library", "ours"), LIBRARIES, ids=["httpx", "httpx2"])
def test_it_is_told_once(library, ours, backend, caplog):
    anyio.run(post_twice, library, of(SigV4Auth), b"small", backend=backend)
    anyio.run(post_twice, library, of(ours.SigV4Auth), LARGE, backend=backend)
    assert not warnings(caplog)
    anyio.run(post_twice, library, of(SigV4Auth), LARGE, backend=backend)
    (warning,) = warnings(caplog)
    assert "lattice_client.httpx" in warning


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_not_without_a_loop(library, caplog):
    transport = library.MockTransport(lambda _: library.Response(200))
    with library.Client(auth=of(SigV4Auth), transport=transport) as client:
        client.post("http://a.example/", content=LARGE)
    assert not warnings(caplog)
