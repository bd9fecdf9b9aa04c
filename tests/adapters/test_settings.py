"""The settings of a client: for all its calls, for one, and what it refuses."""

from __future__ import annotations

import asyncio
import pickle
import random
import socket

import aiohttp
import httpx
import httpx2
import pytest
import requests
from urllib3.util import Retry

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from lattice_client import ConfigurationError, LatticeAuth, RetryPolicy
from lattice_client._requests.pools import HTTPConnectionPool
from support import canary
from support.raw_server import raw_server, redirect_to

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
ONCE = RetryPolicy(attempts=1)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


def auth(**arguments) -> LatticeAuth:
    return LatticeAuth(region="us-west-2", credentials=canary.credentials(), **arguments)


class TestTheLibrarysOwnRetries:
    """They would send one signature several times."""

    @pytest.mark.parametrize(
        "make", [lattice_client.requests.Session, lattice_client.requests.Adapter]
    )
    @pytest.mark.parametrize("retries", [3, Retry(3), Retry(total=None, connect=2), True])
    def test_of_urllib3_are_refused(self, make, retries):
        with pytest.raises(ConfigurationError, match=r"max_retries.*RetryPolicy"):
            make(auth(), max_retries=retries)

    @pytest.mark.parametrize("retries", [0, Retry(0, read=False)])
    def test_none_are_none(self, retries):
        lattice_client.requests.Session(auth(), max_retries=retries).close()

    @pytest.mark.parametrize(
        "make",
        [
            lattice_client.httpx.Transport,
            lattice_client.httpx.AsyncTransport,
            lattice_client.httpx2.Transport,
            lattice_client.httpx2.AsyncTransport,
        ],
    )
    def test_of_httpx_are_refused(self, make):
        with pytest.raises(ConfigurationError, match=r"retries.*RetryPolicy"):
            make(auth(), retries=1)
        make(auth(), retries=0)

    @pytest.mark.parametrize(
        "make",
        [
            lambda once: lattice_client.aiohttp.client_session(auth(), retry=once),
            lambda once: aiohttp.ClientSession(
                middlewares=(lattice_client.aiohttp.middleware(auth(), retry=once),)
            ),
        ],
        ids=["client_session", "middleware"],
    )
    @pytest.mark.parametrize(("attempts", "expected"), [(1, 1), (3, 3)])
    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_of_aiohttp_are_none(self, make, attempts, expected, method):
        """aiohttp itself repeats a request once after a lost connection."""
        body = None if method == "GET" else b"body"

        async def calls(server) -> None:
            async with make(RetryPolicy(attempts=attempts)) as session:
                for _ in range(2):
                    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
                        await session.request(method, server.url, data=body)
                # No failed call is kept.
                assert (await session.request(method, server.url, data=body)).status == 200
                assert not any(len(each._failed._calls) for each in session._middlewares)

        with raw_server(faults=["after the request"] * 2 * expected) as server:
            asyncio.run(calls(server))
            assert len(server.requests) == 2 * expected + 1

    def test_of_a_call_without_a_connection_nothing_is_kept(self):
        """aiohttp does not repeat it, and its error refers to the request and its body."""

        async def call(url: str) -> None:
            async with lattice_client.aiohttp.client_session(auth(), retry=ONCE) as session:
                with pytest.raises(aiohttp.ClientConnectorError):
                    await session.put(url, data=b"body")
                assert not any(len(each._failed._calls) for each in session._middlewares)

        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            asyncio.run(call(f"http://127.0.0.1:{unused.getsockname()[1]}"))

    def test_a_middleware_above_may_repeat(self):
        async def stubborn(request, handler):
            try:
                return await handler(request)
            except aiohttp.ClientError:
                return await handler(request)

        async def call(url: str) -> int:
            ours = lattice_client.aiohttp.middleware(auth(), retry=ONCE)
            async with (
                aiohttp.ClientSession(middlewares=(stubborn, ours)) as session,
                session.get(url) as response,
            ):
                return response.status

        with raw_server(faults=["after the request"]) as server:
            assert asyncio.run(call(server.url)) == 200
            assert len(server.requests) == 2


class TestOneCall:
    """``session.get(url, retry=…)`` is for that call and its redirects, and for no other."""

    def test_its_redirects_too(self):
        with (
            raw_server(
                lambda request: redirect_to("/busy") if request.target == b"/" else UNAVAILABLE
            ) as server,
            lattice_client.requests.Session(auth()) as session,
        ):
            assert session.get(server.url, retry=ONCE).status_code == 503
            assert [request.target for request in server.requests] == [b"/", b"/busy"]

    def test_no_other_session_s(self):
        """A call's arguments may make other calls."""
        with (
            raw_server(lambda _: UNAVAILABLE) as tokens,
            raw_server() as server,
            lattice_client.requests.Session(auth()) as session,
            lattice_client.requests.Session(auth()) as other,
        ):
            asked = other.prepare_request(requests.Request("GET", tokens.url))

            class WithAToken(dict[str, str]):
                def items(self):
                    other.send(asked)
                    return super().items()

            session.get(server.url, headers=WithAToken(), retry=ONCE)
            assert len(tokens.requests) == 3

    def test_no_other_request_of_the_session(self):
        with raw_server(lambda _: UNAVAILABLE) as server:
            with lattice_client.requests.Session(auth()) as session:
                asked = session.prepare_request(requests.Request("GET", server.url + "/other"))

                def ask_another(*_, **__):
                    session.send(asked)

                session.get(server.url, hooks={"response": ask_another}, retry=ONCE)
            targets = [request.target for request in server.requests]
            assert targets == [b"/", *[b"/other"] * 3]


class TestInnerTransports:
    @pytest.mark.parametrize(
        ("library", "ours"), [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]
    )
    def test_are_entered_and_left(self, library, ours):
        seen = []

        class Inner(library.BaseTransport):
            def __enter__(self):
                seen.append("entered")
                return self

            def __exit__(self, *_):
                seen.append("left")

            def handle_request(self, request):
                seen.append("sent")
                return library.Response(200)

        with library.Client(transport=ours.Transport(auth(), transport=Inner())) as client:
            client.get("http://orders.example.com/")
        with ours.Client(auth=auth(), transport=Inner()) as client:
            client.get("http://orders.example.com/")
        assert seen == ["entered", "sent", "left"] * 2

    @pytest.mark.parametrize(
        ("library", "ours"), [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]
    )
    def test_asynchronous_ones_too(self, library, ours):
        seen = []

        class Inner(library.AsyncBaseTransport):
            async def __aenter__(self):
                seen.append("entered")
                return self

            async def __aexit__(self, *_):
                seen.append("left")

            async def handle_async_request(self, request):
                seen.append("sent")
                return library.Response(200)

        async def call() -> None:
            async with ours.AsyncClient(auth=auth(), transport=Inner()) as client:
                await client.get("http://orders.example.com/")

        asyncio.run(call())
        assert seen == ["entered", "sent", "left"]


class TestIdleConnections:
    """Lattice closes them after 60 s; the pools of httpx and aiohttp do so after 5 and 15 s."""

    @pytest.mark.parametrize(("longest", "connections"), [(55.0, 1), (-1.0, 3)])
    def test_of_requests(self, monkeypatch, longest, connections):
        monkeypatch.setattr("lattice_client._requests.pools._LONGEST_IDLE", longest)
        with raw_server() as server, lattice_client.requests.Session(auth()) as session:
            for _ in range(3):
                assert session.get(server.url).status_code == 200
            assert server.connections == connections

    def test_of_requests_with_tls_through_a_proxy_and_pickled(
        self, monkeypatch, lattice_https, tmp_path
    ):
        ca_file = lattice_https.ca_file
        made = lattice_client.requests.Adapter(auth(), pool_maxsize=3)
        adapter = pickle.loads(pickle.dumps(made))
        for manager in (adapter.poolmanager, adapter.proxy_manager_for("http://127.0.0.1:1")):
            for scheme in ("http", "https"):
                pool = manager.connection_from_host("a.example", scheme=scheme)
                assert isinstance(pool, HTTPConnectionPool)
        with lattice_client.requests.Session(auth()) as session:
            session.trust_env = False
            session.verify = ca_file
            monkeypatch.setattr("lattice_client._requests.pools._LONGEST_IDLE", -1.0)
            for _ in range(2):
                assert session.get(lattice_https.url_for("orders") + "/").status_code == 200
        adapter.close()
        made.close()

    def test_the_other_pools_expire_sooner(self):
        assert httpx.Limits().keepalive_expiry < 60
        assert httpx2.Limits().keepalive_expiry < 60

        async def keepalive() -> float:
            async with lattice_client.aiohttp.client_session(auth()) as session:
                return session.connector._keepalive_timeout

        assert asyncio.run(keepalive()) < 60


@pytest.mark.parametrize(
    ("library", "ours"), [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]
)
def test_a_redirect_leaves_the_extensions_of_other_calls_alone(library, ours):
    """httpx before 0.28 gives the request the caller's own extensions, not a copy."""
    given = {"timeout": {"read": 20}}
    with raw_server(lambda _: redirect_to("/")) as home, ours.Transport(auth()) as transport:
        request = library.Request("GET", home.url)
        request.extensions = given
        transport.handle_request(request).close()
    assert list(given) == ["timeout"]


def test_a_prepared_request_that_was_redirected_can_be_sent_anywhere():
    """requests gives it its hooks back as they were, and signs it for where it goes then."""
    with (
        raw_server() as other,
        raw_server(lambda _: redirect_to(other.url)) as home,
        lattice_client.requests.Session(auth()) as session,
    ):
        prepared = session.prepare_request(requests.Request("GET", home.url))
        session.send(prepared)
        assert prepared.hooks == {"response": []}
        session.send(prepared, allow_redirects=False)
        assert not any(request.signed for request in other.requests)
        prepared.url = other.url + "/"
        session.send(prepared)
        assert other.requests[-1].verified()
        # Code that follows a redirect by hand follows one all the same.
        prepared.url = home.url + "/"
        following = session.send(prepared, allow_redirects=False).next
        session.send(following)
        assert not other.requests[-1].signed


@pytest.mark.parametrize("scope", ["any host", "home alone"])
def test_a_redirect_that_is_followed_from_what_was_sent(scope):
    """``response.request`` is signed, and what follows it goes to a stranger without that."""
    with (
        raw_server(lambda _: redirect_to("/3")) as other,
        raw_server(lambda _: redirect_to(f"{other.url}/2")) as home,
    ):
        hosts = None if scope == "any host" else [home.url.removeprefix("http://")]
        with lattice_client.requests.Session(auth(hosts=hosts)) as session:
            session.trust_env = False
            first = session.get(f"{home.url}/1", allow_redirects=False)
            second = next(session.resolve_redirects(first, first.request))
            next(session.resolve_redirects(second, second.request))
    assert [request.target for request in other.requests] == [b"/2", b"/3"]
    assert not any(request.signed for request in other.requests)
