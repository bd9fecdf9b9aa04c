"""A call that is connected to the address that was judged looks like one by name to all others:
mocks, instrumentation, hooks, and the caller who reads the response or the error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohappyeyeballs
import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests
import responses
import respx

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.drivers import CLIENTS, HOOKS, Driver
from lattice_client import Endpoint, LatticeAuth, RetryPolicy
from support import canary
from support.names import Told
from support.raw_server import raw_server

NAME = "api.example.com"
MANAGED = "payments-0123456789abcdef0.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
ONCE = RetryPolicy(attempts=1)
# Those whose requests can be led to an address.
LEADING = [HOOKS[-1], *CLIENTS]


def named(driver: Driver) -> str:
    return driver.name


def judged(*addresses: str, is_lattice: bool, host: str = NAME) -> Endpoint:
    there = Endpoint(host, "us-west-2", is_lattice=is_lattice, addresses=addresses)
    return there._replace(addresses=(), at_address=there)


def auth_for(*addresses: str, is_lattice: bool = False, host: str = NAME) -> LatticeAuth:
    names = Told({NAME: judged(*addresses, is_lattice=is_lattice, host=host)})
    return LatticeAuth(region="us-west-2", credentials=canary.credentials(), names=names)


@pytest.fixture(params=[False, True], ids=["of another host", "of Lattice's"])
def auth(request) -> LatticeAuth:
    return auth_for("127.0.0.1", is_lattice=request.param)


@pytest.mark.parametrize("scheme", ["http", "https"])
class TestMocks:
    def test_responses(self, auth, scheme):
        url = f"{scheme}://{NAME}/orders"
        with (
            responses.RequestsMock() as mock,
            lattice_client.requests.Session(auth, retry=ONCE) as session,
        ):
            mock.get(url, json={})
            response = session.get(url)
            assert (response.url, response.request.url) == (url, url)
            assert mock.calls[0].request.url == url

    def test_respx(self, auth, scheme):
        """It takes the place of what a pool of httpcore does."""
        url = f"{scheme}://{NAME}/orders"
        with respx.mock as mock, lattice_client.httpx.Client(auth=auth, retry=ONCE) as client:
            route = mock.get(url).respond(json={})
            assert client.get(url).status_code == 200
            assert str(route.calls.last.request.url) == url

    def test_respx_asynchronous(self, auth, scheme):
        async def call() -> int:
            async with lattice_client.httpx.AsyncClient(auth=auth, retry=ONCE) as client:
                return (await client.get(url)).status_code

        url = f"{scheme}://{NAME}/orders"
        with respx.mock as mock:
            mock.get(url).respond(json={})
            assert asyncio.run(call()) == 200

    @pytest.mark.parametrize("library", [httpx, httpx2])
    def test_what_patches_the_transport(self, auth, scheme, library, monkeypatch):
        """As pytest-httpx and OpenTelemetry's instrumentation do."""
        ours = lattice_client.httpx if library is httpx else lattice_client.httpx2
        seen: list[str] = []

        def handle_request(transport, request):
            seen.append(str(request.url))
            return library.Response(200)

        monkeypatch.setattr(library.HTTPTransport, "handle_request", handle_request)
        with ours.Client(auth=auth, retry=ONCE) as client:
            url = f"{scheme}://{NAME}/orders"
            assert client.get(url).status_code == 200
        assert seen == [url]


@pytest.fixture
def dead_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def error_of(kind: str, auth: LatticeAuth, url: str) -> Exception:
    async def get() -> None:
        async with (
            lattice_client.aiohttp.client_session(auth, retry=ONCE) as session,
            session.get(url),
        ):
            pass

    try:
        if kind == "requests":
            with lattice_client.requests.Session(auth, retry=ONCE) as session:
                session.get(url, timeout=20)
        elif kind == "aiohttp":
            asyncio.run(get())
        else:
            with getattr(lattice_client, kind).Client(auth=auth, retry=ONCE) as client:
                client.get(url)
    except (OSError, httpx.ConnectError, httpx2.ConnectError) as error:
        return error
    pytest.fail("nothing listens there")


@pytest.mark.parametrize("kind", ["requests", "httpx", "httpx2", "aiohttp"])
def test_an_error_names_the_host(kind, auth, dead_port):
    url = f"http://{NAME}:{dead_port}/orders"
    error = error_of(kind, auth, url)
    told = " ".join((str(error), *getattr(error, "__notes__", ())))
    if kind.startswith("httpx"):
        told += str(error.request.url)
    assert NAME in told
    if isinstance(error, requests.exceptions.RequestException):
        assert error.request.url == url


def at(address: str, port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    return listener


@contextmanager
def silent_at(address: str, port: int = 0) -> Iterator[int]:
    """A listener that answers no one who connects, because its queue is full; and its port."""
    with at(address, port) as listener, socket.socket() as one, socket.socket() as other:
        listener.listen(0)
        for filling in (one, other):
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    with silent_at("127.0.0.3") as port:
        yield port


class TestAddressesThatDoNotAnswer:
    """A library that tries several addresses at once ("Happy Eyeballs", RFC 8305) still does: the
    first call of a name does not wait for its time-out."""

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @pytest.mark.parametrize("library", [httpx, httpx2])
    def test_asynchronous_httpx(self, library, backend, auth, silent):
        ours = lattice_client.httpx if library is httpx else lattice_client.httpx2

        async def call() -> list[int]:
            with anyio.fail_after(20):
                async with ours.AsyncClient(auth=auth, retry=ONCE, timeout=None) as client:
                    return [(await client.get(url)).status_code for _ in range(2)]

        is_lattice = auth.names.known[NAME].at_address.is_lattice
        auth = auth_for("127.0.0.3", "127.0.0.1", is_lattice=is_lattice)
        with raw_server(listener=at("127.0.0.1", silent)) as server:
            url = f"http://{NAME}:{server.port}/"
            assert anyio.run(call, backend=backend) == [200, 200]
        assert server.connections == 1
        assert all(each.signed == is_lattice for each in server.requests)

    @pytest.mark.parametrize("family", [socket.AF_UNSPEC, socket.AF_INET])
    @pytest.mark.parametrize("client", ["hook", "our client"])
    def test_aiohttp(self, client, family, auth, silent):
        is_lattice = auth.names.known[NAME].at_address.is_lattice
        auth = auth_for("[::1]", "127.0.0.3", "127.0.0.1", is_lattice=is_lattice)

        async def call(url: str) -> list[int]:
            connector = aiohttp.TCPConnector(family=family)
            async with asyncio.timeout(20), session_of(client, auth, connector) as session:
                statuses = []
                for _ in range(2):
                    async with session.get(url) as response:
                        statuses.append(response.status)
                return statuses

        with raw_server(listener=at("127.0.0.1", silent)) as server:
            assert asyncio.run(call(f"http://{NAME}:{server.port}/")) == [200, 200]
        assert [each.signed for each in server.requests] == [is_lattice] * 2
        # One to find the address, and one for the calls.
        assert server.connections == 2

    @pytest.mark.parametrize("client", ["hook", "our client"])
    def test_aiohttp_where_the_connection_that_finds_an_address_is_reset(self, client, monkeypatch):
        """Then it has no peer any more. The call makes its connection all the same."""

        connect, reset = aiohappyeyeballs.start_connection, [socket.socket()]

        async def start_connection(*given: Any, **named: Any) -> socket.socket:
            return reset.pop() if reset else await connect(*given, **named)

        async def call(url: str) -> int:
            async with session_of(client, auth, None) as session, session.get(url) as response:
                return response.status

        monkeypatch.setattr(aiohappyeyeballs, "start_connection", start_connection)
        auth = auth_for("127.0.0.3", "127.0.0.1")
        with raw_server() as server:
            assert asyncio.run(call(f"http://{NAME}:{server.port}/")) == 200

    @pytest.mark.parametrize("client", ["hook", "our client"])
    def test_aiohttp_after_a_call_that_ended_without_an_answer(self, client):
        """The session's time-out ends before that for connecting. The next call looks for another
        address at once: else each would wait for the one that died."""
        auth = auth_for("127.0.0.3", "127.0.0.1")
        closing = {"Connection": "close"}

        async def call(session: aiohttp.ClientSession, port: int, seconds: float = 20) -> int:
            timeout = aiohttp.ClientTimeout(total=seconds)
            url = f"http://{NAME}:{port}/"
            async with session.get(url, headers=closing, timeout=timeout) as response:
                return response.status

        async def calls() -> list[int]:
            async with session_of(client, auth, None) as session:
                with raw_server(listener=at("127.0.0.3")) as dying:
                    port = dying.port
                    statuses = [await call(session, port)]
                with silent_at("127.0.0.3", port), raw_server(listener=at("127.0.0.1", port)):
                    with pytest.raises(TimeoutError):
                        await call(session, port, 0.05)
                    return [*statuses, await call(session, port)]

        assert asyncio.run(calls()) == [200, 200]


def session_of(client: str, auth: LatticeAuth, connector: Any) -> aiohttp.ClientSession:
    if client == "hook":
        return aiohttp.ClientSession(middlewares=(auth,), connector=connector)
    return lattice_client.aiohttp.client_session(auth, retry=ONCE, connector=connector)


class _Elsewhere(aiohttp.abc.AbstractResolver):
    """As a test has it, to lead a real host's name to a server of its own."""

    async def resolve(self, host, port=0, family=socket.AF_INET):
        there = {"host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        return [{**there, "hostname": host}]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("client", ["hook", "our client"])
def test_a_resolver_of_ones_own_decides(client):
    auth = auth_for("127.0.0.3")  # nothing listens there

    async def call(url: str) -> int:
        connector = aiohttp.TCPConnector(resolver=_Elsewhere())
        async with session_of(client, auth, connector) as session, session.get(url) as response:
            return response.status

    with raw_server() as server:
        assert asyncio.run(call(f"http://{NAME}:{server.port}/")) == 200


@pytest.mark.parametrize("driver", CLIENTS, ids=named)
class TestAddressesThatChange:
    def test_connections_stay_while_an_answer_has_an_address_of_the_former(self, driver):
        names = Told()
        with raw_server() as first, raw_server(listener=at("127.0.0.2", first.port)) as second:
            auth = LatticeAuth(credentials=canary.credentials(), names=names)
            with driver.client(auth) as call:
                for others in ((), ("127.0.0.2",), ("127.0.0.3",)):
                    names.known[NAME] = judged(*others, "127.0.0.1", is_lattice=False)
                    assert call("GET", f"http://{NAME}:{first.port}/").status == 200
        # With aiohttp, another one finds the address when there are several.
        assert first.connections == 1 + ("aiohttp" in driver.name)
        assert not second.requests

    def test_others_are_followed_at_once(self, driver):
        """Between addresses of one kind, too: of a service-network endpoint and the next."""
        names = Told()
        with raw_server() as first, raw_server(listener=at("127.0.0.2", first.port)) as second:
            auth = LatticeAuth(credentials=canary.credentials(), names=names)
            with driver.client(auth) as call:
                for address in ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.2"):
                    names.known[NAME] = judged(address, is_lattice=True)
                    assert call("GET", f"http://{NAME}:{first.port}/").status == 200
        assert [len(each.requests) for each in (first, second)] == [2, 2]
        assert all(each.verified() for server in (first, second) for each in server.requests)


@pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
def test_former_pools_of_httpx_are_closed(module):
    names = Told()
    auth = LatticeAuth(credentials=canary.credentials(), names=names)
    with raw_server(listener=at("0.0.0.0")) as server, module.Client(auth=auth) as client:
        for number in range(1, 9):
            names.known[NAME] = judged(f"127.0.0.{number}", is_lattice=bool(number % 2))
            assert client.get(f"http://{NAME}:{server.port}/").status_code == 200
        # One for each kind, and those that the next call closes.
        assert len(client._transport._inner.others()) <= 4
    assert [each.signed for each in server.requests] == [True, False] * 4
