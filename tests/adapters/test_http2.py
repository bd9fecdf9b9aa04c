"""The second level of httpx and httpx2 over HTTP/2."""

from __future__ import annotations

import random
import ssl

import anyio
import pytest

import lattice_client.httpx
import lattice_client.httpx2
from lattice_client import LatticeAuth
from support import canary
from support.h2_server import h2_server

MODULES = [lattice_client.httpx, lattice_client.httpx2]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


def settings(server) -> dict[str, object]:
    return {
        "auth": LatticeAuth(region="us-west-2", credentials=canary.credentials()),
        "http2": True,
        "verify": ssl.create_default_context(cafile=server.ca_file),
        "trust_env": False,
    }


def answers(*responses: tuple[int, bytes] | None):
    left = list(responses)
    return lambda _: left.pop(0) if left else (200, b"ok")


@pytest.mark.parametrize("module", MODULES)
class TestAttempts:
    def test_twice_then_well(self, module, tmp_path):
        busy = (503, b"busy")
        with h2_server(answers(busy, busy), tmp_path) as server:
            with module.Client(**settings(server)) as client:
                response = client.put(f"{server.url}/a%20b?b=1&a=2", content=b"body")
                assert (response.status_code, response.http_version) == (200, "HTTP/2")
            assert [request.body for request in server.requests] == [b"body"] * 3
            assert all(request.verified() for request in server.requests)
            assert len({request.header("x-amzn-requestid") for request in server.requests}) == 1
            assert server.connections == 1

    def test_a_stream_that_is_reset(self, module, tmp_path):
        """httpx does not tell that the server has not looked at it: a POST is not sent again."""
        with h2_server(answers(None), tmp_path) as server:
            with module.Client(**settings(server)) as client:
                assert client.get(server.url).status_code == 200
            assert len(server.requests) == 2
        with h2_server(answers(None), tmp_path) as server:
            with (
                module.Client(**settings(server)) as client,
                pytest.raises(Exception, match="StreamReset"),
            ):
                client.post(server.url, content=b"{}")
            assert len(server.requests) == 1

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_many_on_one_connection(self, module, backend, tmp_path):
        async def scenario(server) -> None:
            async with (
                module.AsyncClient(**settings(server)) as client,
                anyio.create_task_group() as tasks,
            ):
                assert (await client.get(server.url)).status_code == 200
                for number in range(20):
                    tasks.start_soon(client.get, f"{server.url}/{number}")

        with h2_server(answers((200, b"ok"), *[(503, b"busy")] * 5), tmp_path) as server:
            anyio.run(scenario, server, backend=backend)
            assert len(server.requests) == 26
            assert all(request.verified() for request in server.requests)
            assert server.connections == 1
