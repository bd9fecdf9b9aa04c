"""Names that move, take long to look up, or lead to services that redirect."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import aiohttp
import anyio
import httpx
import httpx2
import pytest

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
from adapters.drivers import CLIENTS, HOOKS, Driver
from lattice_client import Endpoint, LatticeAuth
from lattice_client.auth import request_signer
from lattice_client.events import Signed
from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.names import Told
from support.raw_server import OK, RawRequest, raw_server, redirect_to

REGION = "us-west-2"
FRIENDLY = "payments.internal.example.com"
MANAGED = "payments-0123456789abcdef0.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
LEADING = [HOOKS[-1], *CLIENTS]


def named(driver: Driver) -> str:
    return driver.name


@pytest.fixture
def client(driver, lattice_https):
    """What makes a client. The authority is for speed: the library's own has a thousand times as
    many to load."""
    return lambda auth: driver.client(auth, lattice_https.ca_file)


def auth_of(driver: Driver, names: Told, **arguments) -> LatticeAuth:
    return driver.auth(credentials=canary.credentials(), names=names, **arguments)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture
def backends() -> Iterator[list[RunningLattice]]:
    """The same name, served twice."""

    def local() -> LocalLattice:
        lattice = LocalLattice(region=REGION)
        lattice.add_service("payments", domain=FRIENDLY)
        lattice.add_caller("orders-frontend", credentials=canary.credentials())
        return lattice

    with serve(local()) as first, serve(local()) as second:
        yield [first, second]


class TestMoves:
    @pytest.mark.parametrize("driver", LEADING, ids=named)
    def test_calls_follow_and_none_fails(self, driver, client, backends):
        names = Told()
        with client(auth_of(driver, names)) as call:
            for number in range(20):
                there = backends[number >= 12]
                names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{there.port}")
                assert call("GET", f"http://{FRIENDLY}/{number}").status == 200
                if number == 14:
                    backends[0].stop()
        assert [len(backend.requests) for backend in backends] == [12, 8]
        assert all(seen.verified for backend in backends for seen in backend.requests)

    def test_under_load(self, backends):
        """Many threads call while the name moves to and fro."""
        addresses = [f"127.0.0.1:{backend.port}" for backend in backends]
        names = Told({FRIENDLY: Endpoint(FRIENDLY, REGION, addresses[0])})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        failures: list[object] = []
        client = lattice_client.httpx.Client(auth=auth, timeout=30)

        def work() -> None:
            for number in range(25):
                names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, addresses[number % 2])
                status = client.get(f"http://{FRIENDLY}/").status_code
                if status != 200:
                    failures.append(status)

        with client:
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert not failures
        assert sum(len(backend.requests) for backend in backends) == 100
        assert all(backend.requests for backend in backends)

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_each_attempt_asks_anew(self, driver, client, monkeypatch):
        """The first address is dead; by the second attempt the name has moved."""
        names = Told()
        with raw_server() as server, socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))
            names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{dead.getsockname()[1]}")

            def move() -> float:
                """Stands in for the draw of the pause before the second attempt."""
                names.known[FRIENDLY] = Endpoint(MANAGED, None, f"127.0.0.1:{server.port}")
                return 0.0

            monkeypatch.setattr(random, "random", move)
            with client(auth_of(driver, names)) as call:
                # A POST too: nothing was sent.
                answer = call("POST", f"http://{FRIENDLY}/?a=+", body=b"{}")
            assert (answer.status, answer.url) == (200, f"http://{FRIENDLY}/?a=+")
            (request,) = server.requests
            assert request.header("host") == MANAGED
            assert request.verified()
        assert names.peeked == [FRIENDLY, FRIENDLY]

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_an_attempt_at_a_stranger_bears_no_signature(self, driver, client, monkeypatch):
        names = Told()
        busy = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        with raw_server(lambda _: busy) as first, raw_server() as second:
            names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{first.port}")

            def move() -> float:
                there = f"127.0.0.1:{second.port}"
                names.known[FRIENDLY] = Endpoint(FRIENDLY, None, there, is_lattice=False)
                return 0.0

            monkeypatch.setattr(random, "random", move)
            with client(auth_of(driver, names)) as call:
                assert call("GET", f"http://{FRIENDLY}/").status == 200
            assert first.requests[0].verified()
            assert not second.requests[0].signed

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_a_strangers_refusal_of_a_later_attempt_has_no_remedy(
        self, driver, client, monkeypatch
    ):
        """Nor is that attempt called signed."""
        names, seen = Told(), []
        busy = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        said = b"InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than"
        ahead = formatdate(time.time() + 600, usegmt=True).encode()
        refusal = b"HTTP/1.1 403 No\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b"
        refusal %= (ahead, len(said), said)
        with raw_server(lambda _: busy) as first, raw_server(lambda _: refusal) as second:
            names.known[FRIENDLY] = Endpoint(FRIENDLY, REGION, f"127.0.0.1:{first.port}")

            def move() -> float:
                there = f"127.0.0.1:{second.port}"
                names.known[FRIENDLY] = Endpoint(FRIENDLY, None, there, is_lattice=False)
                return 0.0

            monkeypatch.setattr(random, "random", move)
            auth = auth_of(driver, names)
            with driver.client(auth, observers=[seen.append]) as call:
                assert call("GET", f"http://{FRIENDLY}/").status == 403
        assert (len(first.requests), len(second.requests)) == (1, 1)
        assert request_signer(auth)._recovery.clock.offsets == {}
        assert [type(event) for event in seen].count(Signed) == 1


class Slow(Told):
    """Answers only once allowed to, and fails a blocking look-up."""

    def __init__(self, known: dict[str, Endpoint]) -> None:
        super().__init__(known, cold=True)
        self.asked = anyio.Event()
        self.allowed = anyio.Event()

    def resolve(self, host: str) -> Endpoint:
        raise AssertionError(f"blocked an event loop for {host!r}")

    async def resolve_async(self, host: str) -> Endpoint:
        self.asked.set()
        await self.allowed.wait()
        return await super().resolve_async(host)


def call_httpx(module, auth, url):
    async def call() -> int:
        async with module.AsyncClient(auth=auth, trust_env=False, timeout=30) as client:
            return (await client.get(url)).status_code

    return call


def call_aiohttp(session, url):
    async def call() -> int:
        async with session() as client, client.get(url) as response:
            return response.status

    return call


def httpx_hook(library, ours):
    return lambda auth, url: call_httpx(library, ours.LatticeAuth(**auth), url)


def httpx_client(ours):
    return lambda auth, url: call_httpx(ours, LatticeAuth(**auth), url)


HTTPX = {
    "httpx hook": httpx_hook(httpx, lattice_client.httpx),
    "httpx client": httpx_client(lattice_client.httpx),
    "httpx2 hook": httpx_hook(httpx2, lattice_client.httpx2),
    "httpx2 client": httpx_client(lattice_client.httpx2),
}
AIOHTTP = {
    "aiohttp hook": lambda auth, url: call_aiohttp(
        lambda: aiohttp.ClientSession(middlewares=(LatticeAuth(**auth),)), url
    ),
    "aiohttp client": lambda auth, url: call_aiohttp(
        lambda: lattice_client.aiohttp.client_session(LatticeAuth(**auth)), url
    ),
}


@pytest.mark.parametrize(
    ("way", "backend"),
    [(way, backend) for way in HTTPX for backend in ("asyncio", "trio")]
    + [(way, "asyncio") for way in AIOHTTP],
)
def test_the_loop_goes_on_while_a_name_is_looked_up(way, backend):
    """If the loop were blocked, nothing could allow the answer."""

    async def main() -> None:
        names = Slow({"127.0.0.1": Endpoint("127.0.0.1")})
        auth = {"credentials": canary.credentials(), "names": names, "region": REGION}
        call = (HTTPX | AIOHTTP)[way](auth, server.url)
        done: list[int] = []

        async def one() -> None:
            done.append(await call())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            await names.asked.wait()
            assert not server.requests
            names.allowed.set()
        assert done == [200]
        assert server.requests[0].verified()
        assert len(names.awaited) == 1

    with raw_server() as server:
        anyio.run(main, backend=backend)


@pytest.mark.parametrize("driver", CLIENTS, ids=named)
class TestRedirects:
    """Redirects of a service that is called by an alias, and uses its managed name in redirects."""

    def names(self, port: int) -> Told:
        endpoint = Endpoint(MANAGED, connect_to=f"127.0.0.1:{port}")
        return Told({FRIENDLY: endpoint, MANAGED: endpoint})

    @pytest.mark.parametrize("location", ["/2", f"http://{FRIENDLY}/2", f"http://{MANAGED}/2"])
    def test_to_the_service_itself(self, driver, client, location):
        def respond(request: RawRequest) -> bytes:
            return redirect_to(location) if request.target == b"/1" else OK

        with (
            raw_server(respond) as server,
            client(auth_of(driver, self.names(server.port))) as call,
        ):
            answer = call("GET", f"http://{FRIENDLY}/1", redirects=True)
            assert answer.status == 200
            assert answer.url == (location if "://" in location else f"http://{FRIENDLY}/2")
        assert [request.target for request in server.requests] == [b"/1", b"/2"]
        for request in server.requests:
            assert request.header("host") == MANAGED
            assert request.verified()

    def test_to_a_stranger(self, driver, client):
        with (
            raw_server() as stranger,
            raw_server(lambda _: redirect_to(f"{stranger.url}/")) as server,
        ):
            names = self.names(server.port)
            names.known["127.0.0.1"] = Endpoint("127.0.0.1", is_lattice=False)
            with client(auth_of(driver, names)) as call:
                headers = {"X-Amz-Meta-Own": "1"}
                answer = call("GET", f"http://{FRIENDLY}/", headers=headers, redirects=True)
                assert answer.status == 200
        assert server.requests[0].verified()
        assert not stranger.requests[0].signed
        assert stranger.requests[0].header("host") == f"127.0.0.1:{stranger.port}"

    def test_to_a_stranger_that_is_lattice(self, driver, client):
        """Unsigned all the same, and under the name that Lattice knows."""
        with (
            raw_server() as stranger,
            raw_server(lambda _: redirect_to("http://orders.example.com/")) as server,
        ):
            names = self.names(server.port)
            names.known["orders.example.com"] = Endpoint(
                "orders.internal.example.com", REGION, f"127.0.0.1:{stranger.port}"
            )
            with client(auth_of(driver, names)) as call:
                assert call("GET", f"http://{FRIENDLY}/", redirects=True).status == 200
        assert not stranger.requests[0].signed
        assert stranger.requests[0].header("host") == "orders.internal.example.com"

    def test_cookies_belong_to_the_name_that_is_called(self, driver, client):
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: 0\r\n\r\n"
        with (
            raw_server(lambda _: answer) as server,
            client(auth_of(driver, self.names(server.port))) as call,
        ):
            for _ in range(2):
                assert call("GET", f"http://{FRIENDLY}/").status == 200
        assert [request.header("cookie") for request in server.requests] == [None, "a=1"]
        assert all(request.verified() for request in server.requests)


@pytest.mark.parametrize("make", [lambda auth: auth, lattice_client.aiohttp.middleware])
def test_aiohttp_leaves_the_request_as_it_was(make):
    """Other middlewares see what was asked for, also when they send it once more."""
    seen: list[tuple[str, str]] = []

    async def twice(request, handler):
        for _ in range(2):
            response = await handler(request)
            seen.append((str(request.url), request.headers["Host"]))
        return response

    async def call(server) -> None:
        names = Told({FRIENDLY: Endpoint(MANAGED, connect_to=f"127.0.0.1:{server.port}")})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        url = f"http://{FRIENDLY}/a"
        async with (
            aiohttp.ClientSession(middlewares=(twice, make(auth))) as session,
            session.get(url) as response,
        ):
            assert str(response.url) == url
        assert seen == [(url, FRIENDLY)] * 2

    with raw_server() as server:
        asyncio.run(call(server))
        assert len(server.requests) == 2
        assert all(request.verified() for request in server.requests)
