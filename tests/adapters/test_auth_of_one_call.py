"""The auth object of one call signs it, in the place of the client's own; other authentication is
refused where the client signs."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate

import httpx
import httpx2
import pytest
from requests.auth import HTTPBasicAuth, HTTPDigestAuth

from adapters.drivers import CLIENTS, PARTS, Call, Driver, sigv4_auth
from lattice_client import ConfigurationError, Endpoint, LatticeAuth
from lattice_client.events import Signed
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.names import Told
from support.raw_server import OK, RawRequest, RawServer, raw_server, redirect_to

REGION = "us-west-2"
OTHER = "ASIAOTHEREXAMPLE"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
WORD = "pass-word"


SYNCHRONOUS = [each for each in (*CLIENTS, *PARTS) if not re.search("async|aio", each.name)]


def named(driver: Driver) -> str:
    return driver.name


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(params=[*CLIENTS, *PARTS], ids=named)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def client(driver) -> Iterator[Call]:
    with driver.client(own()) as call:
        yield call


def own(**arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(), **arguments)


def other(driver: Driver, **arguments) -> LatticeAuth:
    """The auth object of one call, of the class that goes with the driver's library."""
    return driver.auth(**{"region": REGION, "credentials": canary.credentials(OTHER), **arguments})


def signer_of(request: RawRequest, **scope: str) -> str | None:
    """The access key that a request was signed with, after its signature has been verified."""
    if not request.signed and b"X-Amz-" not in request.target:
        return None
    return request.verified(**scope).access_key


def signers(server: RawServer) -> list[str | None]:
    return [signer_of(request) for request in server.requests]


def busy_at_first(server: list[bytes]):
    return lambda _: server.pop(0) if server else OK


class TestAnAuthObjectOfOurs:
    def test_signs_each_attempt_of_its_call_and_of_no_other(self, driver, client):
        answers = [UNAVAILABLE, OK, UNAVAILABLE]
        with raw_server(busy_at_first(answers)) as server:
            assert client("GET", server.url, auth=other(driver)).status == 200
            assert client("GET", server.url).status == 200
            assert signers(server) == [OTHER] * 2 + ["ASIACANARYEXAMPLE"] * 2

    def test_of_another_service(self, driver, client):
        auth = sigv4_auth(driver)(
            "execute-api", region="eu-north-1", credentials=canary.credentials(OTHER)
        )
        with raw_server(busy_at_first([UNAVAILABLE])) as server:
            assert client("PUT", server.url, body=b"body", auth=auth).status == 200
            assert len(server.requests) == 2
            for request in server.requests:
                scope = {"service": "execute-api", "region": "eu-north-1"}
                assert signer_of(request, **scope) == OTHER

    def test_in_the_query(self, driver, client):
        with raw_server(busy_at_first([UNAVAILABLE])) as server:
            auth = other(driver, placement="query")
            assert client("GET", server.url + "/a?b=c", auth=auth).status == 200
            assert signers(server) == [OTHER] * 2
            for request in server.requests:
                assert request.target.count(b"X-Amz-Signature=") == 1
                assert request.header("authorization") is None

    def test_with_its_own_hosts(self, driver, client):
        with raw_server() as server:
            auth = other(driver, hosts=["elsewhere.example.com"])
            assert client("GET", server.url, auth=auth).status == 200
            assert signers(server) == [None]

    def test_beyond_the_hosts_of_the_client(self, driver):
        with (
            raw_server() as server,
            driver.client(own(hosts=["elsewhere.example.com"])) as client,
        ):
            assert client("GET", server.url).status == 200
            assert client("GET", server.url, auth=other(driver)).status == 200
            assert signers(server) == [None, OTHER]

    def test_after_a_redirect(self, driver, client):
        def respond(request: RawRequest) -> bytes:
            return redirect_to("/2") if request.target == b"/1" else redirect_to(f"{away.url}/3")

        with raw_server() as away, raw_server(respond) as home:
            auth = other(driver)
            assert client("GET", home.url + "/1", redirects=True, auth=auth).status == 200
            assert signers(home) == [OTHER] * 2
            assert signers(away) == [None]

    @pytest.mark.parametrize("remedies", [("clock",), ()])
    def test_with_its_own_remedies_each_once(self, driver, client, remedies):
        """A hook above a client tries none again."""
        date = formatdate(time.time() + 7200, usegmt=True)
        refusal = (
            f"HTTP/1.1 403 Forbidden\r\nDate: {date}\r\nContent-Length: 55\r\n\r\n"
            "InvalidSignatureException: Signature expired: no longer"
        ).encode()
        with raw_server(lambda _: refusal) as server:
            assert client("GET", server.url, auth=other(driver, remedies=remedies)).status == 403
            assert len(server.requests) == 1 + len(remedies)
            keys = [request.header("authorization") for request in server.requests]
            assert all(OTHER in key for key in keys)

    def test_is_what_observers_see(self, driver):
        seen = []
        with (
            raw_server(busy_at_first([UNAVAILABLE])) as server,
            driver.client(own(), observers=[seen.append]) as client,
        ):
            client("GET", server.url, auth=other(driver, region="eu-north-1"))
            client("GET", server.url)
        signed = [event for event in seen if isinstance(event, Signed)]
        assert [event.region for event in signed] == ["eu-north-1", "eu-north-1", REGION]

    def test_its_refusal_names_its_caller(self, driver):
        local = LocalLattice(region=REGION)
        only_own = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}
        condition = {"StringLike": {"aws:PrincipalArn": "*orders-frontend*"}}
        policy = {"Statement": [{**only_own, "Condition": condition}]}
        local.add_service("orders", policy=policy)
        local.add_caller("orders-frontend", credentials=canary.credentials())
        local.add_caller("billing", credentials=canary.credentials(OTHER))
        with serve(local) as running, driver.client(own()) as client:
            url = running.url_for("orders")
            with running.resolving():
                assert client("GET", url).status == 200
                refused = client("GET", url, auth=other(driver))
        assert refused.status == 403
        assert "billing" in str(refused.denial)

    @pytest.mark.parametrize("driver", SYNCHRONOUS, ids=named)
    def test_of_many_threads(self, driver):
        """Nothing of a call is kept on its client."""
        with raw_server() as server, driver.client(own()) as client:
            keys = [f"ASIA{number}EXAMPLE" for number in range(4)] * 5
            auths = [other(driver, credentials=canary.credentials(key)) for key in keys]

            def call(number: int) -> None:
                client("GET", f"{server.url}/{number}", auth=auths[number])

            with ThreadPoolExecutor(4) as pool:
                list(pool.map(call, range(len(keys))))
            found = {int(each.target[1:]): signer_of(each) for each in server.requests}
        assert found == dict(enumerate(keys))


class TestNames:
    HOST = "payments.internal.example.com"

    def endpoint(self, server: RawServer) -> Told:
        return Told({self.HOST: Endpoint(self.HOST, REGION, f"127.0.0.1:{server.port}")})

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_of_the_call(self, driver):
        with raw_server(busy_at_first([UNAVAILABLE])) as server, driver.client(own()) as client:
            auth = other(driver, names=self.endpoint(server))
            assert client("GET", f"http://{self.HOST}/", auth=auth).status == 200
            assert signers(server) == [OTHER] * 2
            assert server.requests[0].header("host") == self.HOST

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    @pytest.mark.parametrize("service", ["vpc-lattice-svcs", "execute-api"])
    def test_of_the_client_are_for_lattice_alone(self, driver, service):
        unknown = Told({"127.0.0.1": Endpoint("127.0.0.1", None, is_lattice=False)})
        with raw_server() as server:
            names = self.endpoint(server)
            names.known |= unknown.known
            with driver.client(own(), names=names) as client:
                if service == "execute-api":
                    auth = sigv4_auth(driver)(
                        service, region=REGION, credentials=canary.credentials(OTHER)
                    )
                    url = server.url
                else:
                    auth, url = other(driver), f"http://{self.HOST}/"
                assert client("GET", url, auth=auth).status == 200
            assert signer_of(server.requests[0], service=service) == OTHER

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_two_at_one_address_share_no_tls_connection(self, driver):
        """Though the client itself was made without names."""
        local = LocalLattice(region=REGION)
        for name in ("orders", "payments"):
            local.add_service(name, domain=f"{name}.internal.example.com")
        local.add_caller("billing", credentials=canary.credentials(OTHER))
        with serve(local, tls=True) as running, driver.client(own(), running.ca_file) as client:
            for name in ("orders", "payments"):
                host = f"{name}.internal.example.com"
                known = {host: Endpoint(host, REGION, f"127.0.0.1:{running.port}")}
                auth = other(driver, names=Told(known))
                assert client("GET", f"https://{host}/", auth=auth).status == 200
                assert running.access_log[-1]["serverNameIndication"] == host


class TestUnsigned:
    """httpx's way to say so is ``auth=None``, and aiohttp's ``middlewares=()``."""

    @pytest.mark.parametrize("driver", CLIENTS[1:], ids=named)
    def test_one_call(self, driver):
        with raw_server() as server, driver.client(own()) as client:
            token = {"Authorization": "Basic b3duOm93bg=="}
            assert client("GET", server.url, headers=token, auth=None).status == 200
            assert client("GET", server.url).status == 200
            assert server.requests[0].header("authorization") == token["Authorization"]
            assert server.requests[0].header("x-amz-date") is None
            assert signer_of(server.requests[1]) == "ASIACANARYEXAMPLE"

    @pytest.mark.parametrize("driver", CLIENTS[1:-1], ids=named)
    def test_it_is_routed_and_retried_as_any_other(self, driver):
        with raw_server(busy_at_first([UNAVAILABLE])) as server:
            names = TestNames().endpoint(server)
            with driver.client(own(), names=names) as client:
                assert client("GET", f"http://{TestNames.HOST}/", auth=None).status == 200
            assert signers(server) == [None, None]

    def test_none_of_requests_is_none_said(self):
        driver = CLIENTS[0]
        with raw_server() as server, driver.client(own()) as client:
            client("GET", server.url, auth=None)
            assert signers(server) == ["ASIACANARYEXAMPLE"]


def of_requests(request):
    return request


FOREIGN = [
    *[(CLIENTS[0], it) for it in (
        ("user", WORD), HTTPBasicAuth("user", WORD), HTTPDigestAuth("user", WORD), of_requests, (),
    )],
    *[(driver, it) for driver in CLIENTS[1:-1] for it in (("user", WORD), of_requests)],
    *[(driver, httpx.BasicAuth("user", WORD)) for driver in CLIENTS[1:3]],
    *[(driver, httpx.DigestAuth("user", WORD)) for driver in CLIENTS[1:3]],
    *[(driver, httpx2.BasicAuth("user", WORD)) for driver in CLIENTS[3:5]],
]  # fmt: skip


class TestOtherAuthentication:
    @pytest.mark.parametrize(
        ("driver", "given"), FOREIGN, ids=[f"{d.name}-{type(g).__name__}" for d, g in FOREIGN]
    )
    def test_is_refused_where_the_client_signs(self, driver, given):
        with raw_server() as server:
            with driver.client(own()) as client:
                with pytest.raises(ConfigurationError, match=r"LatticeAuth.*plain client") as told:
                    client("GET", server.url, auth=given)
                assert type(given).__name__ in str(told.value)
                assert WORD not in str(told.value)
            assert not server.requests
            # Elsewhere the library does as it says.
            with driver.client(own(hosts=["elsewhere.example.com"])) as client:
                assert client("GET", server.url, auth=given).status == 200
            header = server.requests[0].header("authorization") or ""
            is_basic = isinstance(given, tuple) or "Basic" in type(given).__name__
            assert header.startswith("Basic ") == (is_basic and given != ())

    @pytest.mark.parametrize("driver", CLIENTS[:-1], ids=named)
    def test_a_class_is_no_auth_object(self, driver):
        with (
            driver.client(own()) as client,
            pytest.raises(ConfigurationError, match=r"the class \w+ \(give an object, \w+\(…\)\)"),
        ):
            client("GET", "http://127.0.0.1:1/", auth=driver.auth)

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_in_the_url(self, driver):
        with raw_server() as server:
            url = server.url.replace("://", f"://user:{WORD}@")
            with driver.client(own()) as client:
                with pytest.raises(ConfigurationError, match="user and password") as told:
                    client("GET", url)
                assert WORD not in str(told.value)
                with pytest.raises(ConfigurationError, match="user and password"):
                    client("GET", url, auth=other(driver))
            assert not server.requests
            with driver.client(own(hosts=["elsewhere.example.com"])) as client:
                with pytest.raises(ConfigurationError, match="user and password"):
                    client("GET", url, auth=other(driver))
                assert not server.requests
                assert client("GET", url).status == 200
                assert server.requests[0].header("authorization").startswith("Basic ")

    @pytest.mark.parametrize(
        ("driver", "where"),
        [*((each, "URL") for each in CLIENTS), *((each, "argument") for each in CLIENTS[:-1])],
        ids=lambda it: it if isinstance(it, str) else it.name,
    )
    def test_is_for_hosts_that_names_find_to_be_no_lattice_s(self, driver, where):
        """Names alone decide what is signed, and are asked when the request is sent."""
        with raw_server() as server:
            known = {"127.0.0.1": Endpoint("127.0.0.1", None, is_lattice=False)}
            known[TestNames.HOST] = Endpoint(TestNames.HOST, REGION, f"127.0.0.1:{server.port}")
            with driver.client(own(), names=Told(known)) as client:

                def call(url: str) -> int:
                    if where == "URL":
                        return client("GET", url.replace("://", f"://user:{WORD}@")).status
                    return client("GET", url, auth=("user", WORD)).status

                assert call(server.url) == 200
                assert server.requests[0].header("authorization").startswith("Basic ")
                with pytest.raises(ConfigurationError, match=r"basic.*plain client") as told:
                    call(f"http://{TestNames.HOST}/")
                assert WORD not in str(told.value)
            assert len(server.requests) == 1

    @pytest.mark.parametrize("driver", CLIENTS, ids=named)
    def test_is_for_hosts_that_are_no_lattice_s_by_their_spelling(self, driver):
        """As a resource's, which may want a user and a password."""
        host = "rcfg-1.vpc-lattice-rsc.us-west-2.on.aws"
        with raw_server() as server:
            headers = {"Host": host}
            with driver.client(own()) as client:
                url = server.url.replace("://", f"://user:{WORD}@")
                assert client("GET", url, headers=headers).status == 200
            assert server.requests[0].header("authorization").startswith("Basic ")

    @pytest.mark.parametrize("driver", [CLIENTS[-1], *PARTS], ids=named)
    def test_below_a_library_s_own_client(self, driver):
        """There it can only be seen by its header. aiohttp shows a middleware no more, either."""
        with raw_server() as server:
            headers = {"Authorization": "Basic dXNlcjpwYXNzLXdvcmQ="}
            with driver.client(own()) as client:
                with pytest.raises(ConfigurationError, match=r"basic.*plain client") as told:
                    client("GET", server.url, headers=headers)
                assert "dXNl" not in str(told.value)
            assert not server.requests
            with driver.client(own(placement="query")) as client:
                assert client("GET", server.url, headers=headers).status == 200
            assert server.requests[0].header("authorization") == headers["Authorization"]
            assert signers(server) == ["ASIACANARYEXAMPLE"]
