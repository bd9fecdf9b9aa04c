"""A call that is cancelled or times out stops where it is: nothing more is sent, nothing leaks."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future
from contextlib import asynccontextmanager

import aiohttp
import anyio
import pytest
import requests

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from lattice_client import Credentials, LatticeAuth, RetryPolicy
from lattice_client.events import AttemptEnded
from support import canary
from support.asynchronous import closing
from support.raw_server import OK, raw_server

REGION = "us-west-2"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_WORDS = b"ExpiredTokenException: The security token included in the request is expired"
EXPIRED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(_WORDS), _WORDS)
ASYNC_CLIENTS = [
    "httpx on asyncio",
    "httpx on trio",
    "httpx2 on asyncio",
    "httpx2 on trio",
    "aiohttp",
]


@pytest.fixture(params=ASYNC_CLIENTS)
def client(request) -> str:
    return request.param


@asynccontextmanager
async def calling(client: str, auth: LatticeAuth, retry: RetryPolicy | None = None, **settings):
    """An asynchronous function that makes a call and gives its status; and the client."""
    if client.startswith("aiohttp"):
        if client == "aiohttp hook":
            made = aiohttp.ClientSession(middlewares=(auth,))
        else:
            made = lattice_client.aiohttp.client_session(auth, retry=retry, **settings)
        async with closing(made) as session:

            async def get(url: str) -> int:
                async with session.get(url) as response:
                    await response.read()
                    return response.status

            yield get, session
        return
    module = lattice_client.httpx2 if "httpx2" in client else lattice_client.httpx
    settings |= {"auth": auth, "retry": retry, "trust_env": False}
    async with module.AsyncClient(**settings) as http:

        async def get(url: str) -> int:
            return (await http.get(url)).status_code

        yield get, http


def busy_connections(client: object) -> int:
    if isinstance(client, aiohttp.ClientSession):
        return len(client.connector._acquired)
    pool = client._transport._inner.first._pool
    # Do not count connections that have no request yet: httpcore itself loses them when a call is
    # cancelled between connecting and sending (its issue 1093).
    active = [connection for connection in pool.connections if ", ACTIVE," in connection.info()]
    return len(active) + len(pool._requests)


def run(client: str, function, *arguments) -> None:
    anyio.run(function, client, *arguments, backend="trio" if "trio" in client else "asyncio")


def auth(credentials=None) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=credentials or canary.credentials())


async def _until(happened) -> None:
    while not happened():  # noqa: ASYNC110 it happens in a thread, which knows no event of a loop
        await anyio.sleep(0.001)


def test_while_credentials_are_fetched(client):
    fetching, may_end = threading.Event(), threading.Event()

    class Slow:
        ready: Credentials | None = None

        def peek(self):
            return self.ready

        def get(self):
            fetching.set()
            assert may_end.wait(20)
            self.ready = canary.credentials()
            return self.ready

    async def scenario(client, url):
        async with calling(client, auth(Slow())) as (get, inner):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get, url)
                await _until(fetching.is_set)
                tasks.cancel_scope.cancel()
            # The thread continues, and the next call uses what it fetches.
            assert not may_end.is_set()
            may_end.set()
            assert busy_connections(inner) == 0
            assert await get(url) == 200

    with raw_server() as server:
        run(client, scenario, server.url)
        assert len(server.requests) == 1
        assert server.requests[0].verified()


@pytest.mark.parametrize("client", [*ASYNC_CLIENTS, "aiohttp hook"])
def test_while_other_credentials_are_awaited(client):
    """The refusal is not returned, so its connection is released."""
    told = threading.Event()

    class NeverRenewed:
        def peek(self):
            return canary.credentials()

        get = peek

        def refused(self, _: Credentials) -> Future[None]:
            told.set()
            return Future()

    async def scenario(client, url):
        async with calling(client, auth(NeverRenewed())) as (get, inner):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get, f"{url}/refused")
                await _until(told.is_set)
                tasks.cancel_scope.cancel()
            assert busy_connections(inner) == 0
            assert await get(url) == 200

    with raw_server(lambda request: EXPIRED if request.target == b"/refused" else OK) as server:
        run(client, scenario, server.url)
        assert len(server.requests) == 2


@pytest.mark.parametrize("status", [503, 403])
def test_while_an_answer_is_read_that_is_perhaps_not_handed_out(client, status):
    answered = threading.Event()

    def observer(event) -> None:
        if isinstance(event, AttemptEnded):
            answered.set()

    async def scenario(client, server):
        async with calling(client, auth(), observers=[observer]) as (get, inner):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get, server.url)
                # The head is there, and the rest of the body does not come.
                await _until(answered.is_set)
                tasks.cancel_scope.cancel()
            assert busy_connections(inner) == 0

    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 9\r\n\r\nno, never".encode()
    with raw_server(lambda _: answer, faults=["half an answer"]) as server:
        run(client, scenario, server)
        assert len(server.requests) == 1


def test_while_the_answer_is_awaited(client):
    async def scenario(client, server):
        async with calling(client, auth()) as (get, inner):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get, server.url)
                await _until(lambda: server.requests)
                assert busy_connections(inner) >= 1
                tasks.cancel_scope.cancel()
            assert busy_connections(inner) == 0
            assert await get(server.url) == 200

    with raw_server(faults=["silence"]) as server:
        run(client, scenario, server)
        assert len(server.requests) == 2


def test_during_the_pause(client, monkeypatch):
    drawn = []
    monkeypatch.setattr(random, "random", lambda: drawn.append(1) or 1.0)
    retry = RetryPolicy(base=1000, cap=1000)

    async def scenario(client, server):
        async with calling(client, auth(), retry) as (get, inner):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get, server.url)
                await _until(lambda: drawn)
                tasks.cancel_scope.cancel()
            assert busy_connections(inner) == 0

    with raw_server(lambda _: UNAVAILABLE) as server:
        run(client, scenario, server)
        assert len(server.requests) == 1


def test_a_hundred_at_once(client):
    """Cancelled at any point."""

    async def scenario(client, server):
        async with calling(client, auth()) as (get, inner):
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(get, server.url)
                await _until(lambda: len(server.requests) > 20)
                tasks.cancel_scope.cancel()
            assert busy_connections(inner) == 0
            assert await get(server.url) == 200

    with raw_server() as server:
        run(client, scenario, server)
        assert all(request.verified() for request in server.requests)


# In seconds: so long that an answer comes in time on a busy machine too.
SHORT = 1.0


class TestReadTimeouts:
    def test_asynchronous(self, client, monkeypatch):
        monkeypatch.setattr(random, "random", lambda: 0.0)

        async def scenario(client, server):
            async with calling(client, auth()) as (get, inner):
                if isinstance(inner, aiohttp.ClientSession):
                    inner._timeout = aiohttp.ClientTimeout(sock_read=SHORT)
                else:
                    inner.timeout = SHORT
                assert await get(server.url) == 200
                assert busy_connections(inner) == 0

        with raw_server(faults=["silence"]) as server:
            run(client, scenario, server)
            assert len(server.requests) == 2
            assert all(request.verified() for request in server.requests)

    def test_requests(self, monkeypatch):
        monkeypatch.setattr(random, "random", lambda: 0.0)
        with (
            raw_server(faults=["silence", None, "silence"]) as server,
            lattice_client.requests.Session(auth()) as session,
        ):
            assert session.get(server.url, timeout=SHORT).status_code == 200
            assert len(server.requests) == 2
            server.drop_connections()
            with pytest.raises(requests.ReadTimeout):
                session.post(server.url, timeout=SHORT, data=b"{}")
            assert len(server.requests) == 3

    @pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
    def test_httpx(self, module, monkeypatch):
        monkeypatch.setattr(random, "random", lambda: 0.0)
        with (
            raw_server(faults=["silence"]) as server,
            module.Client(auth=auth(), trust_env=False, timeout=SHORT) as http,
        ):
            assert http.get(server.url).status_code == 200
            assert len(server.requests) == 2
