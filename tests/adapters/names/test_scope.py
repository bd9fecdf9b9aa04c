"""What names decide before anything is sent: whether to sign, and for which region."""

from __future__ import annotations

import pickle
import re
import time

import pytest
import requests

import lattice_client.httpx
import lattice_client.requests
from adapters.drivers import CLIENTS, DRIVERS, Driver
from lattice_client import (
    ConfigurationError,
    Endpoint,
    LatticeAuth,
    NameSourceError,
    NotLatticeError,
    RegionError,
    SigV4Auth,
)
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.names import Told
from support.raw_server import RawRequest, raw_server

REGION = "us-west-2"
MANAGED = "orders-0123456789abcdef0.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def client(driver, lattice_https):
    """What makes a client. The authority is for speed: the library's own has a thousand times as
    many to load."""
    return lambda auth: driver.client(auth, lattice_https.ca_file)


def auth_of(driver: Driver, names: Told, **arguments) -> LatticeAuth:
    return driver.auth(credentials=canary.credentials(), names=names, **arguments)


def ours(request: RawRequest) -> list[str]:
    names = [name.decode().lower() for name, _ in request.headers]
    return [name for name in names if name.startswith("x-amz") or name == "authorization"]


def region(headers) -> str:
    found = re.search(r"Credential=[^/]+/\d+/([^/]+)/", headers["Authorization"])
    assert found
    return found[1]


class TestScope:
    def test_what_is_lattice_is_signed(self, driver, client):
        names = Told({"127.0.0.1": Endpoint("127.0.0.1", REGION)})
        with raw_server() as server, client(auth_of(driver, names)) as call:
            for _ in range(3):
                assert call("GET", server.url).status == 200
            assert all(request.verified() for request in server.requests)
        # Once for each call, and never more than that.
        assert len(names.peeked) == 3
        assert not names.resolved + names.awaited

    def test_a_stranger_gets_nothing_of_ours(self, driver, client):
        names = Told({"127.0.0.1": Endpoint("127.0.0.1", is_lattice=False)})
        with raw_server() as server, client(auth_of(driver, names)) as call:
            assert call("POST", server.url + "/?a=+", body=b"{}").status == 200
            (request,) = server.requests
            assert not ours(request)
            assert request.target == b"/?a=+"

    def test_strict_sends_nothing(self, driver, client):
        names = Told({"127.0.0.1": Endpoint("127.0.0.1", is_lattice=False)}, strict=True)
        with raw_server() as server, client(auth_of(driver, names)) as call:
            with pytest.raises(NotLatticeError, match=r"'127\.0\.0\.1:\d+' is not VPC Lattice's"):
                call("GET", server.url)
            assert server.connections == 0

    def test_nobody_to_ask(self, driver, client):
        with raw_server() as server, client(auth_of(driver, Told())) as call:
            with pytest.raises(NameSourceError):
                call("GET", server.url)
            assert server.connections == 0

    def test_hosts_narrow_it(self, driver, client):
        names = Told({"localhost": Endpoint("localhost", REGION)}, strict=True)
        auth = auth_of(driver, names, hosts=["localhost"])
        with raw_server() as server, client(auth) as call:
            assert call("GET", server.url).status == 200
            assert not names.peeked
            assert call("GET", f"http://localhost:{server.port}/").status == 200
            assert [bool(ours(request)) for request in server.requests] == [False, True]
            assert server.requests[1].verified()

    def test_hosts_are_those_that_are_asked_for(self, driver, client):
        """Also when a request is signed again after a refusal."""
        if "library-free" in driver.name:
            pytest.skip("this hook does not see the answer")
        lattice = LocalLattice(region=REGION, clock=lambda: time.time() + 600)
        managed = lattice.add_service("orders").managed_name
        lattice.add_caller("orders-frontend", credentials=canary.credentials())
        names = Told({"orders.example.com": Endpoint(managed)})
        auth = auth_of(driver, names, hosts=["orders.example.com"])
        with serve(lattice) as running, running.resolving(), client(auth) as call:
            assert call("GET", f"http://orders.example.com:{running.port}/").status == 200
        assert [bool(seen.verified) for seen in lattice.requests] == [False, True]

    def test_a_host_of_ones_own_is_who_is_asked_about(self, driver, client):
        """The URL says where to connect, then, and stays."""
        names = Told({"orders.example.com": Endpoint(MANAGED, connect_to="192.0.2.1")})
        with raw_server() as server, client(auth_of(driver, names)) as call:
            headers = {"Host": "orders.example.com"}
            assert call("GET", server.url, headers=headers).status == 200
            (request,) = server.requests
            assert request.header("host") == MANAGED
            assert request.verified(region="eu-west-1")

    def test_a_trailing_dot_is_no_other_name(self, driver, client):
        localhost = Endpoint("localhost", REGION)
        names = Told({"orders.example.com.": localhost, "orders.example.com": localhost})
        with raw_server() as server, client(auth_of(driver, names)) as call:
            assert call("GET", f"http://orders.example.com.:{server.port}/").status == 200
            assert server.requests[0].header("host") == f"localhost:{server.port}"
            assert server.requests[0].verified()


class TestRegion:
    """The argument, the managed name, what names find, the environment."""

    def signed_for(self, host: str, names: Told, **arguments) -> str:
        auth = LatticeAuth(credentials=canary.credentials(), names=names, **arguments)
        for _ in range(2):
            request = auth(requests.Request("GET", f"https://{host}/").prepare())
        return region(request.headers)

    def test_found(self):
        names = Told({"a.example.com": Endpoint("a.example.com", "eu-north-1")})
        assert self.signed_for("a.example.com", names) == "eu-north-1"
        assert self.signed_for("a.example.com", names, region="eu-west-2") == "eu-west-2"

    def test_of_a_managed_name(self):
        names = Told({"a.example.com": Endpoint(MANAGED, "eu-north-1")})
        assert self.signed_for("a.example.com", names) == "eu-west-1"
        assert self.signed_for("a.example.com", names, region="eu-west-2") == "eu-west-2"

    def test_of_the_environment(self, monkeypatch):
        monkeypatch.setenv("AWS_REGION", "ap-south-1")
        names = Told({"a.example.com": Endpoint("a.example.com")})
        assert self.signed_for("a.example.com", names) == "ap-south-1"
        names.known["a.example.com"] = Endpoint("a.example.com", "eu-north-1")
        assert self.signed_for("a.example.com", names) == "eu-north-1"

    def test_nowhere(self):
        names = Told({"a.example.com": Endpoint("a.example.com")})
        with pytest.raises(RegionError):
            self.signed_for("a.example.com", names)

    def test_it_may_change(self, monkeypatch):
        names = Told()
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        monkeypatch.setenv("AWS_REGION", "ap-south-1")
        seen = []
        for found in ("eu-north-1", "eu-south-1", "eu-north-1", None):
            names.known["a.example.com"] = Endpoint("a.example.com", found)
            request = auth(requests.Request("GET", "https://a.example.com/").prepare())
            seen.append(region(request.headers))
        assert seen == ["eu-north-1", "eu-south-1", "eu-north-1", "ap-south-1"]

    def test_of_a_sigv4a_signature(self):
        names = Told({"a.example.com": Endpoint("a.example.com", "eu-north-1")})
        for region_set, expected in ((None, "eu-north-1"), (["eu-*", "us-*"], "eu-*,us-*")):
            auth = LatticeAuth(
                credentials=canary.credentials(),
                names=names,
                algorithm="sigv4a",
                region_set=region_set,
            )
            request = auth(requests.Request("GET", "https://a.example.com/").prepare())
            assert request.headers["X-Amz-Region-Set"] == expected


class TestArguments:
    @pytest.mark.parametrize("names", [{"a.example.com": MANAGED}, "a.example.com", 1, []])
    def test_what_cannot_be_asked(self, names):
        with pytest.raises(ConfigurationError, match="names must be a resolver"):
            LatticeAuth(names=names)

    def test_every_iam_service(self):
        names = Told({"api.example.com": Endpoint("api.example.com", "eu-north-1")})
        auth = SigV4Auth("execute-api", credentials=canary.credentials(), names=names)
        request = auth(requests.Request("GET", "https://api.example.com/").prepare())
        assert region(request.headers) == "eu-north-1"

    @pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
    def test_of_a_client(self, driver):
        """As of its auth object."""
        names = Told({"127.0.0.1": Endpoint("127.0.0.1", REGION)})
        auth = LatticeAuth(credentials=canary.credentials())
        with raw_server() as server, driver.client(auth, names=names) as call:
            assert call("GET", server.url).status == 200
            assert server.requests[0].verified()
        assert auth.names is None
        with (
            pytest.raises(ConfigurationError, match="give names once"),
            driver.client(LatticeAuth(names=Told()), names=names),
        ):
            pass

    def test_pickles(self):
        names = Told({"a.example.com": Endpoint("a.example.com", "eu-north-1")})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        session = lattice_client.requests.Session(auth)
        own = lattice_client.httpx.LatticeAuth(credentials=canary.credentials(), names=names)
        for one in (auth, own):
            copy = pickle.loads(pickle.dumps(one))
            assert isinstance(copy.names, Told)
            request = LatticeAuth.__call__(
                copy, requests.Request("GET", "https://a.example.com/").prepare()
            )
            assert region(request.headers) == "eu-north-1"
        again = pickle.loads(pickle.dumps(session))
        assert isinstance(again.get_adapter("https://x")._settings.signer.names, Told)

    @pytest.mark.parametrize("placement", ["header", "query"])
    def test_an_earlier_signature_of_ours_goes(self, placement):
        """A prepared request that is sent again, after its name has moved elsewhere."""
        names = Told({"a.example.com": Endpoint("a.example.com", "eu-north-1")})
        auth = LatticeAuth(credentials=canary.credentials(), names=names, placement=placement)
        url = "https://a.example.com/b?c=d"
        request = auth(requests.Request("GET", url).prepare())
        assert "Authorization" in request.headers or "X-Amz-Signature" in str(request.url)
        names.known["a.example.com"] = Endpoint("a.example.com", is_lattice=False)
        auth(request)
        assert request.url == url
        assert not [name for name in request.headers if name.lower().startswith(("x-amz", "auth"))]

    def test_one_of_somebody_else_s_stays(self, driver):
        names = Told({"127.0.0.1": Endpoint("127.0.0.1", is_lattice=False)})
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/s3/aws4_request",
            "x-amz-date": "20260101T000000Z",
        }
        with raw_server() as server, driver.client(auth_of(driver, names)) as call:
            assert call("GET", f"{server.url}/?X-Amz-Date=1", headers=headers).status == 200
            (request,) = server.requests
        assert request.header("authorization") == headers["Authorization"]
        assert request.header("x-amz-date") == headers["x-amz-date"]
        assert request.target == b"/?X-Amz-Date=1"


class TestLinks:
    def auth(self, endpoint: Endpoint) -> LatticeAuth:
        names = Told({"a.example.com": endpoint})
        return LatticeAuth(credentials=canary.credentials(), names=names)

    def test_of_an_alias(self):
        url, _ = self.auth(Endpoint(MANAGED)).presign_url("GET", "https://a.example.com:8443/x")
        assert url.startswith(f"https://{MANAGED}:8443/x?")
        assert "%2Feu-west-1%2F" in url

    def test_of_a_custom_domain(self):
        endpoint = Endpoint("a.example.com", "eu-north-1", connect_to="10.0.0.1")
        url, _ = self.auth(endpoint).presign_url("GET", "https://a.example.com/x")
        assert url.startswith("https://a.example.com/x?")
        assert "%2Feu-north-1%2F" in url

    def test_of_a_stranger(self):
        with pytest.raises(NotLatticeError):
            self.auth(Endpoint("a.example.com", is_lattice=False)).presign_url(
                "GET", "https://a.example.com/"
            )
