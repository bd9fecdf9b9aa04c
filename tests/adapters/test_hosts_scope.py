"""A signature goes where the bytes go: ``hosts`` looks at the URL as well as at the Host header."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import httpx
import httpx2
import pytest

from adapters.drivers import DRIVERS, Driver
from lattice_client import Endpoint, LatticeAuth, LatticeClientError
from lattice_client._auth.host_scope import HostScope
from lattice_client.testing.server.resolving import resolving
from support import canary
from support.names import Told
from support.raw_server import RawServer, raw_server

REGION = "us-west-2"
OURS = ["*.internal.example.com"]
CUSTOM = "orders.internal.example.com"
MANAGED = "orders-0123456789abcdef0.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
NETWORK = "vpce-0a1b2c-snsa-0d1e2f.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
RESOURCE = "db-0123456789abcdef0.7d67968.vpc-lattice-rsc.us-west-2.on.aws"
STRANGER = "api.stranger.example"
NAMES = (CUSTOM, f"a.b.{CUSTOM}", MANAGED, NETWORK, RESOURCE, STRANGER)


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def server() -> Iterator[RawServer]:
    """It listens under all the names."""
    with raw_server() as running, resolving(lambda: NAMES, "127.0.0.1"):
        yield running


def sent(driver: Driver, server: RawServer, url_host: str, host: str | None, **arguments):
    """What arrives of a call."""
    auth = driver.auth(region=REGION, credentials=canary.credentials(), **arguments)
    headers = {} if host is None else {"Host": host}
    with driver.client(auth) as call:
        answers = [
            call("GET", f"http://{url_host}:{server.port}/", headers=headers).status
            for _ in range(2)  # the second answer is remembered
        ]
    assert answers == [200, 200]
    first, second = server.requests
    assert first.header("host") == second.header("host") == (host or f"{url_host}:{server.port}")
    assert first.signed is second.signed
    if first.signed:
        assert first.verified()
    return first


@pytest.mark.parametrize(
    ("url_host", "host", "signed"),
    [
        (CUSTOM, None, True),
        (f"a.b.{CUSTOM}", None, True),
        (CUSTOM, CUSTOM, True),
        (f"a.b.{CUSTOM}", CUSTOM, True),
        # Addresses and this machine's own name say nothing about who is called.
        ("127.0.0.1", CUSTOM, True),
        ("localhost", CUSTOM, True),
        # VPC Lattice's own names lead to VPC Lattice, which looks at the Host header.
        (MANAGED, CUSTOM, True),
        (NETWORK, CUSTOM, True),
        # A resource's bytes go through Lattice unread, to its owner.
        (RESOURCE, CUSTOM, False),
        (STRANGER, None, False),
        (STRANGER, CUSTOM, False),
        (STRANGER, MANAGED, False),
        (CUSTOM, STRANGER, False),
        # Lattice would route it to a service that is none of these hosts.
        (CUSTOM, MANAGED, False),
        ("127.0.0.1", STRANGER, False),
    ],
)
def test_both_count(driver, server, url_host, host, signed):
    assert sent(driver, server, url_host, host, hosts=OURS).signed is signed


@pytest.mark.parametrize(
    "host",
    [
        f"{STRANGER},{CUSTOM}",
        f"{STRANGER}, {CUSTOM}",
        f"{STRANGER} {CUSTOM}",
        f"{STRANGER}@{CUSTOM}",
        f"{STRANGER}/.{CUSTOM}",
        f"{STRANGER}:80:{CUSTOM}",
        f".{CUSTOM}",
        f"a..{CUSTOM}",
        f"a%2e.{CUSTOM}",
        "\N{LATIN SMALL LETTER E WITH ACUTE}.internal.example.com",
        f"{CUSTOM}:x",
    ],
)
@pytest.mark.parametrize("hosts", [OURS, ["*"]], ids=["ours", "any"])
def test_what_is_no_host_name_is_never_in_scope(driver, server, host, hosts):
    auth = driver.auth(region=REGION, credentials=canary.credentials(), hosts=hosts)
    # The library itself refuses some.
    with driver.client(auth) as call, suppress(ValueError, LatticeClientError):
        call("GET", f"http://127.0.0.1:{server.port}/", headers={"Host": host})
    assert not any(request.signed for request in server.requests)


def test_several_hosts_are_refused_without_hosts_too(driver, server):
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with (
        driver.client(auth) as call,
        pytest.raises(LatticeClientError, match="cannot be a Host header"),
    ):
        call("GET", server.url, headers={"Host": f"{STRANGER},{CUSTOM}"})
    assert not server.requests


def test_the_header_alone_where_the_caller_says_so(driver, server):
    seen = sent(driver, server, STRANGER, CUSTOM, hosts=OURS, match_hosts="header")
    assert seen.signed


def test_a_port_in_a_pattern_is_the_urls_too(driver, server):
    hosts = [f"{CUSTOM}:{server.port}"]
    assert sent(driver, server, CUSTOM, f"{CUSTOM}:{server.port}", hosts=hosts).signed
    server.requests.clear()
    hosts = [f"{CUSTOM}:1"]
    assert not sent(driver, server, CUSTOM, f"{CUSTOM}:1", hosts=hosts).signed


def test_without_hosts_the_url_does_not_count(driver, server):
    assert sent(driver, server, STRANGER, CUSTOM).signed


class TestNames:
    """Without ``hosts`` it is names that say what is Lattice's, of the URL's host too."""

    TOLD = Told(
        {
            CUSTOM: Endpoint(CUSTOM, REGION),
            f"a.b.{CUSTOM}": Endpoint(f"a.b.{CUSTOM}", REGION),
            STRANGER: Endpoint(STRANGER, is_lattice=False),
        }
    )

    @pytest.mark.parametrize(
        ("url_host", "signed"),
        [
            (CUSTOM, True),
            (f"a.b.{CUSTOM}", True),
            ("127.0.0.1", True),
            ("localhost", True),
            (NETWORK, True),
            (STRANGER, False),
        ],
    )
    def test_of_the_urls_host(self, driver, server, url_host, signed):
        assert sent(driver, server, url_host, CUSTOM, names=self.TOLD).signed is signed

    def test_the_header_alone_where_the_caller_says_so(self, driver, server):
        arguments = {"names": self.TOLD, "match_hosts": "header"}
        assert sent(driver, server, STRANGER, CUSTOM, **arguments).signed

    def test_hosts_narrow_it_by_the_url_too(self, driver, server):
        arguments = {"names": self.TOLD, "hosts": OURS}
        assert not sent(driver, server, STRANGER, CUSTOM, **arguments).signed

    def test_strict_sends_nothing(self, driver, server):
        names = Told(
            {CUSTOM: Endpoint(CUSTOM, REGION), STRANGER: Endpoint(STRANGER, is_lattice=False)},
            strict=True,
        )
        with pytest.raises(LatticeClientError, match=STRANGER):
            sent(driver, server, STRANGER, CUSTOM, names=names)
        assert not server.requests


@pytest.mark.parametrize("address", ["[::1]", "0x7f.1", "2130706433"])
def test_an_address_in_any_spelling(address):
    strict = address == "[::1]"
    assert HostScope(OURS).covers(CUSTOM, f"{address}:8443") is strict


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_two_host_headers(module):
    auth = LatticeAuth(region=REGION, credentials=canary.credentials(), hosts=[CUSTOM, "other"])
    for one, other in ((CUSTOM, "other"), ("other", CUSTOM), (CUSTOM, CUSTOM)):
        pairs = [("Host", one), ("Host", other)]
        request = module.Request("GET", f"http://{CUSTOM}/", headers=pairs)
        assert "authorization" not in auth(request).headers
