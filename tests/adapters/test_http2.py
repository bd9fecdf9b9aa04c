"""The clients of httpx and httpx2 over HTTP/2."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate

import anyio
import httpx
import httpx2
import pytest

import lattice_client.httpx
import lattice_client.httpx2
from lattice_client import LatticeAuth
from lattice_client._wire import response_body
from support import canary
from support.h2_server import REFUSED_STREAM, Drip, GoAway, Reset, h2_server

LIBRARIES = {lattice_client.httpx: httpx, lattice_client.httpx2: httpx2}
MODULES = list(LIBRARIES)


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


def answers(*responses):
    left = list(responses)
    return lambda _: left.pop(0) if left else (200, b"ok")


def _once() -> Iterator[bytes]:
    yield b"{}"


async def _once_async() -> AsyncIterator[bytes]:
    yield b"{}"


def synchronously(module, server, method: str, content: bytes | None, on_head=None) -> object:
    content = _once() if content is None else content
    with (
        module.Client(**settings(server)) as client,
        client.stream(method, server.url, content=content) as response,
    ):
        if on_head is None:
            return response.status_code
        on_head()
        return response.status_code, len(response.read())


def on(backend: str):
    async def call(module, server, method, content, on_head) -> object:
        content = _once_async() if content is None else content
        async with (
            module.AsyncClient(**settings(server)) as client,
            client.stream(method, server.url, content=content) as response,
        ):
            if on_head is None:
                return response.status_code
            on_head()
            return response.status_code, len(await response.aread())

    def blocking(module, server, method: str, content: bytes | None, on_head=None) -> object:
        return anyio.run(call, module, server, method, content, on_head, backend=backend)

    return blocking


CALLS = {"sync": synchronously, "asyncio": on("asyncio"), "trio": on("trio")}


@pytest.fixture(params=CALLS)
def call(request):
    return CALLS[request.param]


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

    @pytest.mark.parametrize("unprocessed", [Reset(REFUSED_STREAM), GoAway(0)], ids=repr)
    def test_what_was_certainly_not_processed_is_sent_again(
        self, module, call, unprocessed, tmp_path
    ):
        """RFC 9113 section 8.7: whatever its method."""
        with h2_server(answers(unprocessed), tmp_path) as server:
            assert call(module, server, "POST", b"{}") == 200
            assert [request.body for request in server.requests] == [b"{}"] * 2
            assert all(request.verified() for request in server.requests)
            assert len({request.header("x-amzn-requestid") for request in server.requests}) == 1

    @pytest.mark.parametrize("unprocessed", [Reset(REFUSED_STREAM), GoAway(0)], ids=repr)
    def test_but_not_a_body_that_can_be_read_once(self, module, call, unprocessed, tmp_path):
        with h2_server(answers(unprocessed), tmp_path) as server:
            with pytest.raises(LIBRARIES[module].RemoteProtocolError):
                call(module, server, "POST", None)
            assert len(server.requests) == 1

    def test_streams_beyond_the_last_one_that_was_processed(self, module, tmp_path):
        with h2_server(answers((200, b"ok"), GoAway(1)), tmp_path) as server:
            with module.Client(**settings(server)) as client:
                assert client.get(server.url).status_code == 200
                assert client.post(server.url, content=b"{}").status_code == 200
            assert [request.method for request in server.requests] == ["GET", "POST", "POST"]
            assert all(request.verified() for request in server.requests)

    @pytest.mark.parametrize("perhaps", [Reset(0), Reset(2), Reset(8), GoAway(1)], ids=repr)
    def test_what_was_perhaps_processed(self, module, call, perhaps, tmp_path):
        """A GET is sent again, a POST is not."""
        with h2_server(answers(perhaps), tmp_path) as server:
            assert call(module, server, "GET", b"") == 200
            assert len(server.requests) == 2
        with h2_server(answers(perhaps), tmp_path) as server:
            with pytest.raises(LIBRARIES[module].RemoteProtocolError):
                call(module, server, "POST", b"{}")
            assert len(server.requests) == 1

    def test_a_refusal_that_drips_is_handed_out_and_stays_whole(
        self, module, call, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(response_body, "PATIENCE", 0.3)
        with h2_server(answers(Drip(403, b"x" * 500)), tmp_path) as server:
            assert call(module, server, "GET", b"", on_head=server.go_on.set) == (403, 500)
            assert not server.dripped_out

    def test_an_answer_that_drips_and_is_not_handed_out_is_let_go_of(
        self, module, call, tmp_path, monkeypatch
    ):
        """The connection's other streams live on."""
        monkeypatch.setattr(response_body, "PATIENCE", 0.3)
        with h2_server(answers(Drip(503, b"x" * 500)), tmp_path) as server:
            assert call(module, server, "GET", b"") == 200
            assert not server.dripped_out
            assert server.connections == 1

    def test_a_refusal_has_its_remedy(self, module, call, tmp_path):
        def respond(request):
            if (request.header("x-amz-date") or "")[:11] == time.strftime(
                "%Y%m%dT%H", time.gmtime()
            ):
                return 403, b"InvalidSignatureException: Signature expired: it is now earlier"
            return 200, b"ok"

        ahead = formatdate(time.time() + 7200, usegmt=True)
        with h2_server(respond, tmp_path, headers=[("date", ahead)]) as server:
            assert call(module, server, "POST", b"{}") == 200
            assert len(server.requests) == 2
            assert server.connections == 1

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
