"""What becomes of an Authorization of the caller's own, in every library."""

from __future__ import annotations

import base64
import logging
import pickle
from contextlib import nullcontext

import httpx
import httpx2
import pytest
import requests

import lattice_client.requests
from adapters.drivers import ANSWERING, CLIENTS, DRIVERS, PARTS, Driver
from lattice_client import ConfigurationError, Endpoint, LatticeAuth, RetryPolicy
from support import canary
from support.names import Told
from support.raw_server import OK, RawRequest, raw_server, redirect_to

REGION = "us-west-2"
MOVED = "X-Forwarded-Authorization"
# The sweep finds it in anything that the package says.
TOKEN = f"Bearer {canary.SECRET}"
OWN = {"Authorization": TOKEN}
LOGGER = "lattice_client.auth"
UNAVAILABLE = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
# With a path that has several forms, it has a remedy.
REFUSED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 63\r\n\r\n"
    b"InvalidSignatureException: The request signature does not match"
)


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def auth_of(driver: Driver, **arguments):
    return driver.auth(region=REGION, credentials=canary.credentials(), **arguments)


def values(request: RawRequest, name: str) -> list[str]:
    return [
        value.decode() for given, value in request.headers if given.decode().lower() == name.lower()
    ]


def assert_moved(request: RawRequest, name: str = MOVED) -> None:
    """It is signed, with one token under another name and no signature there."""
    assert request.verified()
    assert values(request, name) == [TOKEN]
    (signature,) = values(request, "authorization")
    assert signature.startswith("AWS4-")


def warnings(caplog) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == LOGGER and record.levelno == logging.WARNING
    ]


class TestReplaced:
    def test_is_logged_once_for_each_host(self, driver, caplog):
        auth = auth_of(driver)
        with raw_server() as server, driver.client(auth) as call:
            call("GET", server.url)
            assert not warnings(caplog)
            for host in ("orders.example.com", "stock.example.com", "orders.example.com"):
                call("GET", server.url, headers={**OWN, "Host": host})
        assert all(request.verified() for request in server.requests)
        first, second = warnings(caplog)
        assert "orders.example.com" in first
        assert "stock.example.com" in second
        assert 'placement="query"' in first
        assert 'move_authorization_to="X-Forwarded-Authorization"' in first
        assert canary.SECRET not in caplog.text

    def test_is_not_logged_where_nothing_is_lost(self, driver, caplog):
        with raw_server() as server:
            for options in (
                {"placement": "query"},
                {"move_authorization_to": MOVED},
                {"hosts": ["orders.example.com"]},
            ):
                with driver.client(auth_of(driver, **options)) as call:
                    call("GET", server.url, headers=OWN)
            # Left over from an earlier signature, by whom it ever was.
            with driver.client(auth_of(driver)) as call:
                call("GET", server.url, headers={"Authorization": "AWS4-HMAC-SHA256 Credential=A"})
        assert len(server.requests) == 4
        assert not warnings(caplog)


class TestMoved:
    def test_to_another_header(self, driver):
        auth = pickle.loads(pickle.dumps(auth_of(driver, move_authorization_to=MOVED)))
        with raw_server() as server, driver.client(auth) as call:
            call("GET", server.url, headers=OWN)
            call("GET", server.url)
        assert_moved(server.requests[0])
        assert values(server.requests[1], MOVED) == []

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("X-Amz-Meta-User", {}),
            ("x-amz-user", {"algorithm": "sigv4a", "region_set": "*"}),
            (MOVED, {"signed_headers": [MOVED]}),
        ],
    )
    def test_is_signed(self, driver, name, options):
        with (
            raw_server() as server,
            driver.client(auth_of(driver, move_authorization_to=name, **options)) as call,
        ):
            call("GET", server.url, headers=OWN)
        (request,) = server.requests
        assert_moved(request, name)
        signed = values(request, "authorization")[0].partition("SignedHeaders=")[2].split(",")[0]
        assert name.lower() in signed.split(";")

    def test_replaces_a_header_of_the_new_name(self, driver):
        with (
            raw_server() as server,
            driver.client(auth_of(driver, move_authorization_to=MOVED)) as call,
        ):
            call("GET", server.url, headers={MOVED.lower(): "Bearer other", **OWN})
            # Without an Authorization it is the caller's business.
            call("GET", server.url, headers={MOVED: "Bearer other"})
        assert_moved(server.requests[0])
        assert values(server.requests[1], MOVED) == ["Bearer other"]

    def test_stays_where_a_host_is_out_of_scope(self, driver):
        auth = auth_of(driver, move_authorization_to=MOVED, hosts=["orders.example.com"])
        with raw_server() as server, driver.client(auth) as call:
            call("GET", server.url, headers=OWN)
        (request,) = server.requests
        assert values(request, "authorization") == [TOKEN]
        assert values(request, MOVED) == []


@pytest.mark.parametrize("name", [MOVED, "X-Amz-Meta-User"])
class TestSignedAgain:
    """A signature of an earlier attempt is never taken for the caller's own."""

    @pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
    def test_at_a_retry(self, driver, name):
        answers = iter((UNAVAILABLE, UNAVAILABLE, OK))
        auth = auth_of(driver, move_authorization_to=name)
        retry = RetryPolicy(attempts=3, base=0.001)
        with (
            raw_server(lambda _: next(answers)) as server,
            driver.client(auth, retry=retry) as call,
        ):
            assert call("GET", server.url, headers=OWN).status == 200
        assert len(server.requests) == 3
        for request in server.requests:
            assert_moved(request, name)

    @pytest.mark.parametrize("driver", ANSWERING, ids=lambda driver: driver.name)
    def test_at_a_remedy(self, driver, name):
        answers = iter((REFUSED, OK))
        auth = auth_of(driver, move_authorization_to=name)
        with raw_server(lambda _: next(answers)) as server, driver.client(auth) as call:
            assert call("GET", f"{server.url}/a:b", headers=OWN).status == 200
        assert len(server.requests) == 2
        first, second = server.requests
        assert [values(each, name) for each in (first, second)] == [[TOKEN], [TOKEN]]
        assert values(first, "authorization") != values(second, "authorization")

    @pytest.mark.parametrize("driver", PARTS, ids=lambda driver: driver.name)
    def test_back_where_a_client_below_the_hook_does_not_sign(self, driver, name):
        hook = auth_of(driver, move_authorization_to=name)
        names = Told({"127.0.0.1": Endpoint("127.0.0.1", is_lattice=False)})
        with raw_server() as server, driver.client(auth_of(driver), names=names) as call:
            call("GET", server.url, headers=OWN, auth=hook)
        (request,) = server.requests
        assert values(request, "authorization") == [TOKEN]
        assert values(request, name) == []

    @pytest.mark.parametrize("library", [httpx, httpx2])
    def test_where_one_request_is_sent_twice(self, library, name):
        auth = LatticeAuth(
            region=REGION, credentials=canary.credentials(), move_authorization_to=name
        )
        with raw_server() as server, library.Client(auth=auth, trust_env=False) as client:
            request = client.build_request("GET", server.url, headers=OWN)
            client.send(request)
            client.send(request)
        for request in server.requests:
            assert_moved(request, name)

    def test_where_a_prepared_request_is_signed_twice(self, name):
        auth = LatticeAuth(
            region=REGION, credentials=canary.credentials(), move_authorization_to=name
        )
        prepared = requests.Request("GET", "https://a.example/", headers=OWN, auth=auth).prepare()
        auth(prepared)
        assert prepared.headers[name] == TOKEN


@pytest.mark.parametrize("name", [MOVED, "X-Amz-Meta-User"])
class TestRedirects:
    """What was moved is treated as Authorization is."""

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_to_another_origin(self, driver, name, method):
        auth = auth_of(driver, move_authorization_to=name)
        with (
            raw_server() as stranger,
            raw_server(lambda _: redirect_to(f"{stranger.url}/", status=307)) as home,
            driver.client(auth) as call,
        ):
            call(method, home.url, headers=OWN, redirects=True)
        assert_moved(home.requests[0], name)
        (seen,) = stranger.requests
        assert values(seen, "authorization") == []
        # The hooks of httpx have no say in it, as with x-amz-*: so the documentation says to leave
        # follow_redirects off.
        assert values(seen, name) == ([] if driver.prevents_forwarding else [TOKEN])

    @pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
    def test_within_the_origin(self, driver, name):
        auth = auth_of(driver, move_authorization_to=name)

        def respond(request: RawRequest) -> bytes:
            return redirect_to("/2") if request.target == b"/1" else OK

        with raw_server(respond) as home, driver.client(auth) as call:
            call("GET", f"{home.url}/1", headers=OWN, redirects=True)
        assert len(home.requests) == 2
        for request in home.requests:
            assert_moved(request, name)

    @pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
    def test_a_header_of_that_name_stays_behind_too(self, driver, name):
        """Also where it was set by the caller: it is the place of a token."""
        auth = auth_of(driver, move_authorization_to=name)
        with (
            raw_server() as stranger,
            raw_server(lambda _: redirect_to(f"{stranger.url}/")) as home,
            driver.client(auth) as call,
        ):
            call("GET", home.url, headers={name: TOKEN}, redirects=True)
        assert values(home.requests[0], name) == [TOKEN]
        assert values(stranger.requests[0], name) == []


class TestOtherPlacesThanHeaders:
    """An Authorization that the library makes itself is the caller's own too."""

    BASIC = "Basic " + base64.b64encode(b"user:pass").decode()

    def auth(self) -> LatticeAuth:
        return LatticeAuth(
            region=REGION, credentials=canary.credentials(), move_authorization_to=MOVED
        )

    def test_netrc(self, tmp_path, monkeypatch):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login user password pass\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        with raw_server() as server:
            with requests.Session() as hooked:
                hooked.auth = self.auth()
                hooked.get(server.url, timeout=20)
            with lattice_client.requests.Session(self.auth()) as client:
                client.get(server.url, timeout=20)
        # Neither reads it for a host that it signs for.
        assert [values(request, MOVED) for request in server.requests] == [[], []]

    def test_a_url(self, driver):
        is_aiohttp = "aiohttp" in driver.name
        refused = driver in CLIENTS and not is_aiohttp
        ends = pytest.raises(ConfigurationError) if refused else nullcontext()
        with raw_server() as server, driver.client(self.auth()) as call, ends:
            call("GET", server.url.replace("127.0.0.1", "user:pass@127.0.0.1"))
        assert all(request.verified() for request in server.requests)
        # requests and httpx read it only where a call has no auth of its own.
        moved = [values(request, MOVED) for request in server.requests]
        assert moved == ([] if refused else [[self.BASIC]] if is_aiohttp else [[]])
