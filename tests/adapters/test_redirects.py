"""Nothing that signs leaves with a redirect to another origin, wherever a hook can prevent it."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
import weakref
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import pytest
import requests

import lattice_client.aiohttp
from adapters.drivers import CLIENTS, DRIVERS, HOOKS, Driver
from lattice_client import LatticeAuth, RetryPolicy
from lattice_client._wire.aiohttp import CallStore
from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.raw_server import OK, RawRequest, raw_server, redirect_to

REGION = "us-west-2"


async def redirector(scope, receive, send) -> None:
    """Sends its caller on to the URL in the query: ``/303?https://…``."""
    status = int(scope["path"].removeprefix("/"))
    location = scope["query_string"]
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"location", location), (b"content-length", b"0"),
    ]})  # fmt: skip
    await send({"type": "http.response.body", "body": b""})


def _local(name: str) -> LocalLattice:
    local = LocalLattice(region=REGION)
    local.add_service(name, domain=f"{name}.internal.example.com", auth_type="NONE")
    local.add_service("redirector", target=redirector, domain="redirector.internal.example.com")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    return local


@pytest.fixture(scope="module")
def home() -> Iterator[RunningLattice]:
    with serve(_local("home")) as running, running.resolving():
        yield running


@pytest.fixture(scope="module")
def stranger() -> Iterator[RunningLattice]:
    with serve(_local("stranger")) as running:
        yield running


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def client(driver):
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        yield call


def redirect(home: RunningLattice, status: int, to: str) -> str:
    return f"http://redirector.internal.example.com:{home.port}/{status}?{to}"


def credentials_in(seen: str) -> list[str]:
    names = [name.lower() for name, _ in json.loads(seen)["headers"]]
    return [name for name in names if name.startswith("x-amz-") or name == "authorization"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_to_another_origin(client, driver, home, stranger, status):
    url = redirect(home, status, f"{stranger.url}/")
    answer = client("GET", url, headers={"X-Amz-Meta-Own": "1"}, redirects=True)
    if driver.prevents_forwarding:
        assert answer.status == 200
        assert not credentials_in(answer.text)
    else:
        # httpx forwards the headers below its auth flow, and its hooks have no say in it: the
        # reason why the documentation says to leave follow_redirects off. Authorization it strips.
        assert b"authorization" not in {name.lower() for name, _ in stranger.requests[-1].headers}


def test_to_another_port_of_the_same_host(client, driver, stranger):
    if not driver.prevents_forwarding:
        pytest.skip("httpx gives its hooks no say in redirects")
    local = LocalLattice(region=REGION)
    local.add_service("redirector", target=redirector, auth_type="NONE")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as running:
        answer = client("GET", f"{running.url}/302?{stranger.url}/", redirects=True)
    assert local.requests[0].verified
    assert answer.status == 200
    assert not credentials_in(answer.text)


def test_not_followed_nothing_leaks(client, home, stranger):
    before = len(stranger.requests)
    assert client("GET", redirect(home, 302, f"{stranger.url}/")).status == 302
    assert len(stranger.requests) == before


def test_aiohttp_signs_each_hop_of_its_own_origin(home, stranger):
    driver = HOOKS[-1]
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        home.lattice.clear()
        call("GET", redirect(home, 302, "/302?/303?/404"), redirects=True)
        assert [bool(request.verified) for request in home.requests] == [True] * len(home.requests)
        assert len(home.requests) > 2
        # A call of its own to the stranger is signed: it is no part of a redirect.
        assert call("GET", stranger.url + "/").status == 200
        assert credentials_in(call("GET", stranger.url + "/").text)


def test_requests_drops_a_stale_signature(home):
    driver = HOOKS[0]
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        home.lattice.clear()
        # What follows is unsigned: a stale signature would be refused even where anyone may call.
        answer = call("GET", redirect(home, 302, "/404"), redirects=True)
    assert answer.status == 403
    assert "anonymous" in answer.text
    assert [bool(request.verified) for request in home.requests] == [True, False]


def test_a_url_that_a_redirect_named_is_not_held_against_another_auth_object(home, stranger):
    driver = HOOKS[-1]
    first, second = (driver.auth(region=REGION, credentials=canary.credentials()) for _ in range(2))
    with driver.client(first) as call:
        assert call("GET", redirect(home, 302, f"{stranger.url}/")).status == 302
    with driver.client(second) as call:
        assert credentials_in(call("GET", f"{stranger.url}/").text)


# Forms of a foreign URL that libraries rewrite before they follow it.
SPELLINGS = [
    "http://127.0.0.1:{port}",
    "http://127.0.0.1:{port}/%7e",
    "http://127.0.0.1:{port}/a b",
    "http://127.0.0.1:{port}/a/../b",
    "http://127.0.0.1:{port}/?q=a+b",
    "http://127.0.0.1:{port}/?q=%c3%a9",
    "http://127.0.0.1:{port}/?a[]=1",
    "http://127.0.0.1:{port}/#fragment",
    "HTTP://127.0.0.1:{port}/",
    "http://LOCALHOST:{port}/",
    "http://u:p@127.0.0.1:{port}/",
    "//127.0.0.1:{port}/x/./y",
]


@pytest.mark.parametrize(
    "driver",
    [driver for driver in DRIVERS if driver.prevents_forwarding],
    ids=lambda driver: driver.name,
)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_to_a_stranger_however_it_is_spelt(client, spelling):
    with raw_server() as stranger:
        location = spelling.format(port=stranger.port)
        with raw_server(lambda _: redirect_to(location)) as home:
            assert client("GET", home.url + "/", redirects=True).status == 200
            # The next call is its own, and signed.
            assert client("GET", home.url + "/").status == 302
    assert home.requests[0].verified()
    assert home.requests[1].verified()
    # requests makes an Authorization of its own from a URL's user information.
    allowed = ["authorization"] if "@" in location else []
    assert _signature_in(stranger.requests[0]) in ([], allowed)


def _signature_in(request: RawRequest) -> list[str]:
    names = [name.decode().lower() for name, _ in request.headers]
    return [name for name in names if name.startswith("x-amz-") or name == "authorization"]


def _auth(**arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(), **arguments)


async def _in_a_task(request, handler):
    return await asyncio.create_task(handler(request))


async def _twice(request, handler):
    """A retry middleware: whatever came first, once more."""
    await handler(request)
    return await handler(request)


MIDDLEWARES = {
    "in a task": lambda auth: (_in_a_task, auth),
    "its handler in a task": lambda auth: (auth, _in_a_task),
    "retried above": lambda auth: (_twice, auth),
    "retried below": lambda auth: (auth, _twice),
    "after another auth object": lambda auth: (_auth(hosts=["none.example"]), auth),
    "before another auth object": lambda auth: (auth, _auth(hosts=["none.example"])),
}


@pytest.mark.parametrize("header", ["Location", "URI"])
@pytest.mark.parametrize("middlewares", MIDDLEWARES.values(), ids=MIDDLEWARES)
@pytest.mark.parametrize("timeout", [20, None])
def test_aiohttp_among_other_middlewares(middlewares, header, timeout):
    auth = _auth()

    async def call(url: str, **arguments) -> None:
        async with (
            aiohttp.ClientSession(
                middlewares=middlewares(auth), timeout=aiohttp.ClientTimeout(timeout)
            ) as session,
            session.get(url, **arguments) as response,
        ):
            await response.read()

    with raw_server() as stranger:
        to_stranger = redirect_to(f"{stranger.url}/", header=header)
        with raw_server(lambda _: to_stranger) as home:
            asyncio.run(call(home.url))
            assert all(request.verified() for request in home.requests)
            assert stranger.requests
            assert not any(map(_signature_in, stranger.requests))
            # A call of one's own to where an unfollowed redirect has pointed is signed.
            asyncio.run(call(home.url, allow_redirects=False))
            asyncio.run(call(stranger.url))
            assert stranger.requests[-1].verified()


def test_aiohttp_a_chain_that_leaves_and_comes_back():
    auth = _auth()
    answers = {}

    async def call(url: str) -> None:
        async with aiohttp.ClientSession(middlewares=(auth,)) as session, session.get(url) as got:
            await got.read()

    with (
        raw_server(lambda request: answers[request.target]) as home,
        raw_server(lambda request: answers[request.target]) as stranger,
    ):
        answers[b"/1"] = redirect_to("/2")
        answers[b"/2"] = redirect_to(f"{stranger.url}/3")
        answers[b"/3"] = redirect_to("/4")
        answers[b"/4"] = redirect_to(f"{home.url}/5")
        answers[b"/5"] = OK
        asyncio.run(call(f"{home.url}/1"))
    assert [request.target for request in home.requests] == [b"/1", b"/2", b"/5"]
    assert all(request.verified() for request in home.requests)
    assert not any(map(_signature_in, stranger.requests))


def test_aiohttp_a_call_that_was_forgotten_is_still_no_strangers():
    """Between two hops of one call, so many others are redirected that it is forgotten."""
    auth = _auth()

    with (
        raw_server(
            lambda request: redirect_to("/3") if request.target == b"/2" else OK
        ) as stranger,
        raw_server(lambda _: redirect_to(f"{stranger.url}/2")) as home,
    ):

        async def forgetting(request, handler):
            response = await handler(request)
            if request.url.path == "/2":
                auth._aiohttp_hook._redirected._calls.clear()
            return response

        async def call() -> None:
            async with (
                aiohttp.ClientSession(middlewares=(auth, forgetting)) as session,
                session.get(f"{home.url}/1") as response,
            ):
                await response.read()

        asyncio.run(call())
    assert [request.target for request in stranger.requests] == [b"/2", b"/3"]
    assert not any(map(_signature_in, stranger.requests))


def test_aiohttp_what_is_remembered_of_calls_is_bounded(monkeypatch):
    monkeypatch.setattr("lattice_client._wire.aiohttp._MAX_REDIRECTED", 5)
    auth = _auth()

    async def call(url: str) -> None:
        async with aiohttp.ClientSession(middlewares=(auth,)) as session:
            for _ in range(12):
                async with session.get(url, allow_redirects=False) as response:
                    assert response.status == 302
            assert len(auth._aiohttp_hook._redirected._calls) == 5

    with raw_server(lambda _: redirect_to("/elsewhere")) as home:
        asyncio.run(call(home.url))


def test_aiohttp_no_other_call_is_looked_at_to_forget_the_oldest():
    """A list of them all would take 32 KiB."""

    class Request:
        def __init__(self, session: object) -> None:
            self._session, self._timer = session, object()

    session, store = Request(None), CallStore[int](4096)
    requests = [Request(session) for _ in range(4200)]
    for request in requests[:4100]:
        store.keep(request, 1)
    gc.collect()
    tracemalloc.start()
    try:
        for request in requests[4100:]:
            store.keep(request, 2)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 24 * 1024
    assert len(store) == 4096
    assert [store.get(each) for each in (requests[103], requests[104], requests[-1])] == [
        None,
        1,
        2,
    ]


@pytest.mark.parametrize("middleware", ["hook", "client"])
@pytest.mark.parametrize("timeout", [20, None])
@pytest.mark.parametrize("fault", [None, "after the request"])
def test_aiohttp_an_auth_object_keeps_no_closed_loop_alive(middleware, timeout, fault):
    """It may be shared, and outlives loops: of redirected calls and of those that were given up."""
    auth = _auth()
    shared = auth
    if middleware == "client":
        shared = lattice_client.aiohttp.middleware(auth, retry=RetryPolicy(attempts=1))

    async def call(url: str) -> weakref.ref[asyncio.AbstractEventLoop]:
        async with aiohttp.ClientSession(
            middlewares=(_in_other_words, shared), timeout=aiohttp.ClientTimeout(timeout)
        ) as session:
            with suppress(LookupError):
                async with session.get(url, allow_redirects=False) as response:
                    await response.read()
        return weakref.ref(asyncio.get_running_loop())

    with raw_server(lambda _: redirect_to("/elsewhere"), faults=[fault] * 4) as home:
        loop = asyncio.run(call(home.url))
        assert home.requests
    gc.collect()
    assert loop() is None


async def _in_other_words(request, handler):
    """So aiohttp does not repeat a call that was given up, and its error is kept."""
    try:
        return await handler(request)
    except aiohttp.ClientError:
        raise LookupError from None


def test_requests_a_prepared_request_is_signed_anew_after_a_redirect():
    """Whether a redirect is followed is not known to the hook: it takes the signature off."""
    auth = _auth()
    with raw_server(lambda _: redirect_to("/elsewhere")) as home, requests.Session() as session:
        prepared = session.prepare_request(requests.Request("GET", home.url, auth=auth))
        session.send(prepared, allow_redirects=False)
        assert "Authorization" not in prepared.headers
        session.send(auth(prepared), allow_redirects=False)
    assert all(request.verified() for request in home.requests)


@pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
class TestClients:
    """A redirect within an origin is signed again; one to another origin goes out unsigned."""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_within_the_origin(self, client, status, method):
        def respond(request: RawRequest) -> bytes:
            return redirect_to("/2?b=1&a=2", status=status) if request.target == b"/1" else OK

        body = b"{}" if method == "POST" else None
        with raw_server(respond) as home:
            assert client(method, f"{home.url}/1", body=body, redirects=True).status == 200
        assert all(request.verified() for request in home.requests)
        first, second = home.requests
        assert second.target == b"/2?b=1&a=2"
        # The rules of the library for methods and bodies: GET after 303, the same after 307.
        kept = status in (307, 308) or method == "GET"
        assert (second.method == method) is kept or status in (301, 302)
        assert second.body == (first.body if second.method == "POST" else b"")

    def test_a_chain_that_leaves_and_comes_back(self, client):
        answers = {}
        with (
            raw_server(lambda request: answers[request.target]) as home,
            raw_server(lambda request: answers[request.target]) as stranger,
        ):
            answers[b"/1"] = redirect_to("/2")
            answers[b"/2"] = redirect_to(f"{stranger.url}/3")
            answers[b"/3"] = redirect_to("/4")
            answers[b"/4"] = redirect_to(f"{home.url}/5")
            answers[b"/5"] = redirect_to("/6")
            answers[b"/6"] = OK
            url = f"{home.url}/1"
            assert client("GET", url, headers={"X-Amz-Meta-Own": "1"}, redirects=True).status == 200
        assert [request.target for request in home.requests] == [b"/1", b"/2", b"/5", b"/6"]
        assert all(request.verified() for request in home.requests)
        assert len(stranger.requests) == 2
        assert not any(map(_signature_in, stranger.requests))

    def test_to_https_of_the_same_name(self, driver, lattice_https):
        """httpx keeps Authorization where a URL is merely made a secure one; another port is
        another origin all the same."""
        auth = _auth()
        to = f"{lattice_https.url_for('orders')}/"
        lattice_https.lattice.clear()
        with (
            raw_server(lambda _: redirect_to(to)) as home,
            driver.client(auth, lattice_https.ca_file) as call,
        ):
            url = f"http://orders.internal.example.com:{home.port}/"
            assert call("GET", url, redirects=True).status == 403
        assert home.requests[0].verified()
        (seen,) = lattice_https.requests
        assert not seen.verified
        names = {name.lower() for name, _ in seen.headers}
        assert not [name for name in names if name.startswith(b"x-amz-")]
        assert b"authorization" not in names

    def test_a_signature_in_the_url_stays_behind(self, driver):
        with (
            raw_server() as stranger,
            raw_server(lambda _: redirect_to(f"{stranger.url}/?a=1")) as home,
            driver.client(_auth(placement="query")) as call,
        ):
            assert call("GET", home.url, redirects=True).status == 200
        assert home.requests[0].verified()
        assert stranger.requests[0].target == b"/?a=1"
        assert not _signature_in(stranger.requests[0])


@pytest.mark.parametrize(
    "driver",
    [*CLIENTS, next(each for each in HOOKS if each.name == "aiohttp hook")],
    ids=lambda driver: driver.name,
)
class TestARedirectThatRepeatsTheQuery:
    """As those from one scheme or name to another do: with it goes the signature that is in it."""

    def test_of_ours(self, driver):
        with (
            raw_server() as stranger,
            raw_server(lambda it: redirect_to(stranger.url + it.target.decode())) as home,
            driver.client(_auth(placement="query")) as call,
        ):
            assert call("GET", f"{home.url}/1?a=1&b=%2F", redirects=True).status == 200
        assert home.requests[0].verified()
        assert stranger.requests[0].target.split(b"?")[0] == b"/1"
        assert b"a=1" in stranger.requests[0].target
        assert b"X-Amz-" not in stranger.requests[0].target

    @pytest.mark.parametrize(
        "credential",
        [
            "ASIASOMEBODY/20261121/us-west-2/vpc-lattice-svcs",
            "ASIACANARYEXAMPLE/20261121/us-west-2/s3",
        ],
    )
    def test_of_somebody_elses_stays(self, driver, credential):
        link = f"/object?X-Amz-Credential={credential}/aws4_request&X-Amz-Signature=0a"
        with (
            raw_server() as stranger,
            raw_server(lambda _: redirect_to(stranger.url + link)) as home,
            driver.client(_auth()) as call,
        ):
            assert call("GET", home.url, redirects=True).status == 200
        assert stranger.requests[0].target == link.encode()


@pytest.mark.parametrize("driver", HOOKS, ids=lambda driver: driver.name)
def test_a_hook_that_signs_in_the_url_gives_nothing_away(driver):
    """Nowhere: so this is what to choose where httpx has to follow redirects without our client."""
    with (
        raw_server() as stranger,
        raw_server(lambda _: redirect_to(f"{stranger.url}/?a=1")) as home,
        driver.client(_auth(placement="query")) as call,
    ):
        assert call("GET", home.url, redirects=True).status == 200
    assert home.requests[0].verified()
    assert stranger.requests[0].target == b"/?a=1"
    # What httpx forwards is no secret.
    assert set(_signature_in(stranger.requests[0])) <= {"x-amz-content-sha256"}
