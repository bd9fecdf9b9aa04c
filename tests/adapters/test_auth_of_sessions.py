"""Where an auth object stands in each library: on a session, on a prepared request, in a chain of
middlewares."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
from requests.adapters import HTTPAdapter

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.test_auth_of_one_call import OTHER, UNAVAILABLE, busy_at_first, signer_of, signers
from lattice_client import ConfigurationError, Endpoint, LatticeAuth, RetryPolicy
from support import canary
from support.names import Told
from support.raw_server import OK, RawRequest, raw_server, redirect_to

REGION = "us-west-2"
OWN = "ASIACANARYEXAMPLE"
KEYS = (OTHER, "ASIATHIRDEXAMPLE")
NETRC = "machine 127.0.0.1 login user password pass-word\n"


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


def auth(key: str = OWN, **arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(key), **arguments)


def basic(request: RawRequest) -> bool:
    return (request.header("authorization") or "").startswith("Basic ")


def to_2(request: RawRequest) -> bytes:
    return redirect_to("/2") if request.target.startswith(b"/1") else OK


class TestRequests:
    def session(self, **arguments) -> requests.Session:
        return lattice_client.requests.Session(auth(**arguments))

    def test_of_the_session(self):
        with raw_server(busy_at_first([UNAVAILABLE])) as server, self.session() as session:
            session.auth = auth(OTHER)
            session.get(server.url)
            session.get(server.url, auth=auth("ASIATHIRDEXAMPLE"))
            session.auth = None
            session.get(server.url)
            assert signers(server) == [OTHER, OTHER, "ASIATHIRDEXAMPLE", OWN]

    @pytest.mark.parametrize("copied", [copy.copy, lambda it: pickle.loads(pickle.dumps(it))])
    def test_of_a_copied_session(self, copied):
        with raw_server() as server, self.session() as first:
            first.auth = auth(OTHER)
            with copied(first) as session:
                session.get(server.url)
                session.auth = None
                session.get(server.url)
            assert signers(server) == [OTHER, OWN]

    @pytest.mark.parametrize("make", [lattice_client.requests.Session, requests.Session])
    def test_of_a_prepared_request(self, make):
        with raw_server(to_2) as server, make() as session:
            if make is requests.Session:
                session.mount("http://", lattice_client.requests.Adapter(auth()))
            request = requests.Request("GET", server.url + "/1", auth=auth(OTHER))
            for prepared in (request.prepare(), session.prepare_request(request)):
                # Twice, and each time with its redirect.
                session.send(prepared)
                session.send(prepared)
            assert signers(server) == [OTHER] * 8

    def test_that_is_sent_with_another(self):
        with raw_server(to_2) as server, self.session() as session:
            plain = requests.Request("GET", server.url + "/1").prepare()
            own = session.prepare_request(
                requests.Request("GET", server.url + "/1", auth=auth("ASIATHIRDEXAMPLE"))
            )
            session.send(plain, auth=auth(OTHER))
            session.send(own, auth=auth(OTHER))
            session.send(plain)
            session.auth = auth(OTHER)
            session.send(plain)
            session.send(own)
            with pytest.raises(ConfigurationError, match="not a tuple"):
                session.send(plain, auth=("user", "pass-word"))
            expected = [OTHER, OTHER, OWN, OTHER, "ASIATHIRDEXAMPLE"]
            assert signers(server) == [key for key in expected for _ in range(2)]

    def test_it_is_signed_when_it_is_sent(self):
        """Once, by the client: no hook has asked for credentials or a name before."""
        with raw_server() as server, self.session() as session:
            session.auth = auth(OTHER)
            prepared = session.prepare_request(requests.Request("GET", server.url))
            assert "Authorization" not in prepared.headers
            session.send(prepared)
            assert signers(server) == [OTHER]
            assert "Authorization" not in prepared.headers

    @pytest.mark.parametrize(
        ("arguments", "signs"), [({"placement": "query"}, True), ({"hosts": ["a.example"]}, False)]
    )
    def test_netrc_is_for_hosts_that_the_session_does_not_sign_for(
        self, monkeypatch, tmp_path, arguments, signs
    ):
        file = tmp_path / "netrc"
        file.write_text(NETRC)
        file.chmod(0o600)
        monkeypatch.setenv("NETRC", str(file))
        with raw_server(to_2) as server, self.session(**arguments) as session:
            session.get(server.url + "/1")
            assert [basic(request) for request in server.requests] == [not signs] * 2
            if signs:
                assert signers(server) == [OWN] * 2

    def test_netrc_is_not_read_after_a_redirect_where_the_call_s_own_signs(
        self, monkeypatch, tmp_path
    ):
        file = tmp_path / "netrc"
        file.write_text(NETRC)
        file.chmod(0o600)
        monkeypatch.setenv("NETRC", str(file))
        with raw_server(to_2) as server, self.session(hosts=["a.example"]) as session:
            assert session.get(server.url + "/1", auth=auth(OTHER)).status_code == 200
            prepared = requests.Request("GET", server.url + "/1").prepare()
            assert session.send(prepared, auth=auth(OTHER)).status_code == 200
            assert signers(server) == [OTHER] * 4

    def test_the_call_s_own_elsewhere_wins_over_the_session_s(self):
        with raw_server() as server, self.session(hosts=["a.example"]) as session:
            session.auth = auth(OTHER)
            session.get(server.url, auth=("user", "pass-word"))
            session.get(server.url)
            assert basic(server.requests[0])
            assert signer_of(server.requests[1]) == OTHER

    def test_through_another_adapter_the_hook_signs(self):
        with raw_server() as server, self.session() as session:
            session.mount(server.url, HTTPAdapter())
            session.get(server.url)
            session.get(server.url, auth=("user", "pass-word"))
            session.auth = auth(OTHER)
            session.get(server.url)
            assert not server.requests[0].signed
            assert basic(server.requests[1])
            assert signer_of(server.requests[2]) == OTHER

    def test_a_retry_policy_is_not_for_another_adapter(self):
        with raw_server() as server, self.session() as session:
            session.mount(server.url, HTTPAdapter())
            with pytest.raises(ConfigurationError, match=r"another adapter is mounted.*retry"):
                session.get(server.url, retry=RetryPolicy())
            assert not server.requests

    @pytest.mark.parametrize("make", [lattice_client.requests.Session, requests.Session])
    @pytest.mark.parametrize("hosts", [None, ["a.example"]], ids=["signed", "not"])
    def test_a_pickled_response_holds_no_keys(self, make, hosts):
        """Caches and queues pickle responses."""
        with raw_server() as server, make() as session:
            response = session.get(server.url, auth=auth(OTHER, hosts=hosts))
            kept = pickle.dumps(response)
            assert canary.SECRET.encode() not in kept
            assert pickle.loads(pickle.dumps(pickle.loads(kept))).status_code == 200

    @pytest.mark.parametrize(
        "copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["deep", "pickle"]
    )
    def test_a_copy_of_a_signed_request_is_not_led_astray(self, copied):
        with (
            raw_server() as away,
            raw_server(lambda _: redirect_to(f"{away.url}/2")) as home,
            requests.Session() as session,
        ):
            request = requests.Request(
                "GET",
                home.url,
                headers={"Authorization": "Bearer token"},
                auth=auth(OTHER, move_authorization_to="X-Token"),
            )
            session.send(copied(request.prepare()))
            assert signers(home) == [OTHER]
            assert signers(away) == [None]
            assert away.requests[0].header("x-token") is None

    def test_a_deep_copy_of_a_prepared_request_keeps_its_auth(self):
        with raw_server() as server, self.session() as session:
            request = requests.Request("GET", server.url, auth=auth(OTHER))
            session.send(copy.deepcopy(session.prepare_request(request)))
            assert signers(server) == [OTHER]

    @pytest.mark.parametrize("given", [auth(OTHER), ("user", "pass-word")], ids=["ours", "basic"])
    def test_of_a_prepared_request_that_another_adapter_sends(self, given):
        """It is not for what a redirect of ours leads to."""
        with raw_server() as away, self.session() as session:
            session.mount(away.url, HTTPAdapter())
            prepared = requests.Request("GET", away.url).prepare()
            for _ in range(2):
                session.send(prepared, auth=given)
            assert prepared.headers == {}
            expected = basic if isinstance(given, tuple) else signer_of
            assert [expected(each) for each in away.requests] in ([True] * 2, [OTHER] * 2)
            away.requests.clear()
            if not isinstance(given, tuple):
                with raw_server(lambda _: redirect_to(away.url)) as home:
                    session.send(requests.Request("GET", home.url).prepare(), auth=given)
                assert signers(home) == [OTHER]
                assert signers(away) == [None]

    def test_digest_is_refused_below_requests_own_session(self):
        with raw_server() as server, requests.Session() as session:
            session.mount("http://", lattice_client.requests.Adapter(auth()))
            with pytest.raises(ConfigurationError, match="HTTPDigestAuth"):
                session.get(server.url, auth=requests.auth.HTTPDigestAuth("user", "pass-word"))
            assert not server.requests


@pytest.mark.parametrize(
    ("client", "given"),
    [
        (lambda: lattice_client.httpx.AsyncClient(auth=auth()), lambda one: {"auth": one}),
        (lambda: lattice_client.httpx2.AsyncClient(auth=auth()), lambda one: {"auth": one}),
        (
            lambda: lattice_client.aiohttp.client_session(auth()),
            lambda one: {"middlewares": (one,)},
        ),
    ],
    ids=["httpx", "httpx2", "aiohttp"],
)
def test_of_many_tasks(client, given):
    keys = [f"ASIA{number}EXAMPLE" for number in range(4)] * 5

    async def call(url: str) -> None:
        async with client() as made:
            calls = [made.get(f"{url}/{n}", **given(auth(key))) for n, key in enumerate(keys)]
            await asyncio.gather(*calls)

    with raw_server() as server:
        asyncio.run(call(server.url))
        found = {int(each.target[1:]): signer_of(each) for each in server.requests}
    assert found == dict(enumerate(keys))


HTTPX = [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]


@pytest.mark.parametrize(("library", "ours"), HTTPX, ids=["httpx", "httpx2"])
class TestHttpx:
    def test_of_the_client(self, library, ours):
        own = auth()
        with raw_server(busy_at_first([UNAVAILABLE])) as server, ours.Client(auth=own) as client:
            assert client.auth is own
            for client.auth in (auth(OTHER), ours.LatticeAuth(**vars_of(OTHER)), None, own):
                client.get(server.url, auth=library.USE_CLIENT_DEFAULT)
            client.auth = ("user", "pass-word")
            with pytest.raises(ConfigurationError, match="not a tuple"):
                client.get(server.url)
            assert signers(server) == [OTHER, OTHER, OTHER, None, OWN]

    def test_of_a_built_request(self, library, ours):
        """It stays as it was."""
        with raw_server(to_2) as server, ours.Client(auth=auth(), follow_redirects=True) as client:
            request = client.build_request("GET", server.url + "/1")
            for given in (auth(OTHER), None, library.USE_CLIENT_DEFAULT):
                client.send(request, auth=given)
            assert "lattice_auth" not in request.extensions
            assert signers(server) == [OTHER, OTHER, None, None, OWN, OWN]

    def test_of_a_request_that_two_calls_send_at_once(self, library, ours):
        """Each with its own auth object."""

        async def call(url: str) -> None:
            both = asyncio.Barrier(2)

            async def meet(_: object) -> None:
                await both.wait()

            hooks = {"request": [meet]}
            async with ours.AsyncClient(auth=auth(), event_hooks=hooks) as client:
                request = client.build_request("GET", url)
                calls = [client.send(request, auth=auth(key)) for key in KEYS]
                await asyncio.gather(*calls)

        with raw_server() as server:
            asyncio.run(call(server.url))
            assert {*signers(server)} == {*KEYS}

    def test_of_a_redirect_that_is_followed_by_hand(self, library, ours):
        with (
            raw_server() as away,
            raw_server(
                lambda request: (
                    redirect_to("/2") if request.target == b"/1" else redirect_to(f"{away.url}/3")
                )
            ) as home,
            ours.Client(auth=auth()) as client,
        ):
            first = client.get(home.url + "/1", auth=auth(OTHER))
            second = client.send(first.next_request)
            client.send(second.next_request)
            assert signers(home) == [OTHER] * 2
            assert signers(away) == [None]

    def test_in_an_extension_of_a_library_s_own_client(self, library, ours):
        with (
            raw_server() as server,
            library.Client(transport=ours.Transport(auth())) as client,
        ):
            client.get(server.url, extensions={"lattice_auth": auth(OTHER)})
            client.get(server.url, extensions={"lattice_auth": None})
            client.get(server.url)
            with pytest.raises(ConfigurationError, match="not a str"):
                client.get(server.url, extensions={"lattice_auth": "user"})
            assert signers(server) == [OTHER, None, OWN]

    def test_another_client_that_sends_the_request_again_signs_with_its_own(self, library, ours):
        """An auth flow of ours has signed it before."""

        async def send_async(request: Any, url: str) -> None:
            flow = ours.LatticeAuth(**vars_of(OTHER))
            async with library.AsyncClient(auth=flow) as plain:
                await plain.send(request)
            async with ours.AsyncClient(auth=auth()) as client:
                await client.send(library.Request("GET", url, extensions=request.extensions))

        with raw_server() as server:
            request = library.Request("GET", server.url)
            with library.Client(auth=ours.LatticeAuth(**vars_of(OTHER))) as plain:
                plain.send(request)
            with ours.Client(auth=auth()) as client:
                client.send(request)
            asyncio.run(send_async(request, server.url))
            assert signers(server) == [OTHER, OWN] * 2

    def test_a_pickled_request_holds_no_credentials(self, library, ours):
        request = library.Request("GET", "http://orders.example.com/")
        auth(OTHER)(request)
        assert b"Secret" not in pickle.dumps(request)


def vars_of(key: str) -> dict[str, object]:
    return {"region": REGION, "credentials": canary.credentials(key)}


class TestAiohttp:
    def test_a_hook_leaves_nothing_on_the_request(self):
        """The request would refer to itself, and go only when cycles are collected."""
        seen = []

        async def look(request, handler):
            response = await handler(request)
            seen.append(request)
            return response

        async def call(url: str) -> None:
            async with aiohttp.ClientSession(middlewares=(look, auth(OTHER))) as session:
                await session.get(url)

        with raw_server() as server:
            asyncio.run(call(server.url))
        assert not any(getattr(seen[0], name) for name in vars(seen[0]) if "lattice" in name)

    @pytest.mark.parametrize(
        "session",
        [
            lambda: lattice_client.aiohttp.client_session(auth(), middlewares=(auth(OTHER),)),
            lambda: aiohttp.ClientSession(
                middlewares=(auth(OTHER), lattice_client.aiohttp.middleware(auth()))
            ),
        ],
        ids=["client_session", "middleware"],
    )
    def test_of_the_session(self, session):
        async def call(url: str) -> int:
            async with session() as made, made.get(url) as response:
                return response.status

        with raw_server(busy_at_first([UNAVAILABLE])) as server:
            assert asyncio.run(call(server.url)) == 200
            assert signers(server) == [OTHER] * 2

    def test_above_a_middleware_of_the_call(self):
        """The hook has led the request away by then, and the client leads each attempt anew."""
        host = "payments.internal.example.com"

        async def call(port: int) -> int:
            names = Told({host: Endpoint(host, REGION, f"127.0.0.1:{port}")})
            chain = (auth(OTHER, names=names), lattice_client.aiohttp.middleware(auth()))
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{host}/1", middlewares=chain) as response,
            ):
                assert str(response.url) == f"http://{host}/2"
                return response.status

        answers = [UNAVAILABLE, redirect_to("/2"), UNAVAILABLE]
        with raw_server(busy_at_first(answers)) as server:
            assert asyncio.run(call(server.port)) == 200
            assert signers(server) == [OTHER] * 4
            assert {request.header("host") for request in server.requests} == {host}

    def test_two_in_one_chain(self):
        """The inner one's signature is the last, as without a client."""

        async def call(url: str) -> int:
            chain = (auth("ASIATHIRDEXAMPLE"), auth(OTHER))
            async with (
                lattice_client.aiohttp.client_session(auth()) as session,
                session.get(url, middlewares=chain) as response,
            ):
                return response.status

        with raw_server() as server:
            assert asyncio.run(call(server.url)) == 200
            assert signers(server) == [OTHER]

    def test_above_another_client_of_the_call(self):
        """The session's client makes the call for the hook, and the call's lets it: neither signs
        nor retries a second time."""

        async def call(url: str) -> int:
            ours = lattice_client.aiohttp
            once = RetryPolicy(attempts=2)
            chain = (auth(OTHER), ours.middleware(auth("ASIATHIRDEXAMPLE"), retry=once))
            async with (
                ours.client_session(auth(), retry=once) as session,
                session.get(url, middlewares=chain) as response,
            ):
                return response.status

        with raw_server(lambda _: UNAVAILABLE) as server:
            assert asyncio.run(call(server.url)) == 503
            assert signers(server) == [OTHER] * 2

    def test_other_middlewares_of_the_call_stay(self):
        async def tagged(request, handler):
            request.headers["x-amz-meta-tag"] = "1"
            return await handler(request)

        async def call(url: str) -> int:
            async with (
                lattice_client.aiohttp.client_session(auth()) as session,
                session.get(url, middlewares=(tagged, auth(OTHER))) as response,
            ):
                return response.status

        with raw_server(busy_at_first([UNAVAILABLE])) as server:
            assert asyncio.run(call(server.url)) == 200
            assert signers(server) == [OTHER] * 2
            assert {request.header("x-amz-meta-tag") for request in server.requests} == {"1"}

    @pytest.mark.filterwarnings("ignore:.*BasicAuth:DeprecationWarning")
    @pytest.mark.filterwarnings("ignore:The 'auth' parameter:DeprecationWarning")
    def test_basic_authentication_is_refused(self):
        async def call(url: str) -> None:
            async with lattice_client.aiohttp.client_session(auth()) as session:
                await session.get(url, auth=aiohttp.BasicAuth("user", "pass-word"))

        with raw_server() as server:
            with pytest.raises(ConfigurationError, match="basic"):
                asyncio.run(call(server.url))
            assert not server.requests
