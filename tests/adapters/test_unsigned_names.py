"""Resources, and names that only look like VPC Lattice's, get no signature from any hook or client,
and the log says why, once."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from adapters.drivers import DRIVERS, Driver
from lattice_client import (
    ConfigurationError,
    Endpoint,
    LatticeAuth,
    NameSourceError,
    NotLatticeError,
    SigV4Auth,
)
from lattice_client.names import ManagedNames, Names
from lattice_client.testing.server.resolving import resolving
from support import canary
from support.names import Told
from support.raw_server import RawServer, raw_server

REGION = "us-west-2"
SERVICE = "orders-0a1b.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
RESOURCE = "db-0a1b.7d67968.vpc-lattice-rsc.us-west-2.on.aws"
CUSTOM = "orders.internal.example.com"
LOOK_ALIKE = f"{SERVICE}.example.com"
CYRILLIC_A = "\N{CYRILLIC SMALL LETTER A}"
LOOK_ALIKES = [
    LOOK_ALIKE,
    f"{LOOK_ALIKE}.",
    LOOK_ALIKE.upper(),
    f"{RESOURCE}.example.com",
    SERVICE.replace(".aws", f".{CYRILLIC_A}ws"),
    f"orders.vpc-l{CYRILLIC_A}ttice-svcs.us-west-2.example",
]
RESOURCES = [
    RESOURCE,
    f"{RESOURCE}.",
    RESOURCE.upper(),
    "db-0a1b.7d67968.vpc-lattice-rsc.cn-north-1.on.amazonwebservices.com.cn",
]
SIGNED = [SERVICE, SERVICE.upper(), CUSTOM, "localhost"]


def in_dns(host: str) -> str:
    name = host.rstrip(".").lower()
    return name if name.isascii() else name.encode("idna").decode()


NAMES = tuple(dict.fromkeys(map(in_dns, (*LOOK_ALIKES, *RESOURCES, SERVICE, CUSTOM))))


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server() as running, resolving(lambda: NAMES, "127.0.0.1"):
        yield running


@pytest.fixture
def told(caplog) -> Any:
    caplog.set_level(logging.INFO, "lattice_client.unsigned")

    def told() -> list[str]:
        return [
            f"{each.levelname}: {each.message}"
            for each in caplog.records
            if each.name == "lattice_client.unsigned"
        ]

    return told


Host = str | None


def signed(driver: Driver, server: RawServer, *calls: tuple[str, Host], **given: Any) -> list[bool]:
    """Which calls, by the host of the URL and the Host header, arrive with a signature."""
    auth = driver.auth(**{"region": REGION, "credentials": canary.credentials(), **given})
    before = len(server.requests)
    with driver.client(auth) as call:
        for url_host, host in calls:
            headers = {} if host is None else {"Host": host}
            url = f"http://{url_host}:{server.port}/"
            assert call("GET", url, headers=headers).status == 200
    return [request.signed for request in server.requests[before:]]


def is_signed(driver: Driver, server: RawServer, url_host: str, host: Host, **given: Any) -> bool:
    """Whether each of two calls arrives with a signature."""
    first, second = signed(driver, server, *[(url_host, host)] * 2, **given)
    assert first is second
    return first


def test_no_signature_and_it_is_said_once(driver, server, told):
    hosts = [*LOOK_ALIKES, *RESOURCES]
    # Also where the signer of their region is there already.
    calls = [(host, None) for host in [SERVICE, *hosts * 2]]
    assert signed(driver, server, *calls) == [True, *[False] * 2 * len(hosts)]
    lines = told()
    assert all(line.startswith("WARNING: requests to ") for line in lines)
    assert canary.TOKEN not in "".join(lines)
    for host in hosts:
        # Some libraries leave out the final dot.
        about = [line for line in lines if re.search(rf" {in_dns(host)}\.?:\d", line.lower())]
        assert about
        assert all(("resource" if host in RESOURCES else "looks like") in line for line in about)
    assert len(lines) == len(set(lines)) <= len(hosts)


def test_others_are_signed(driver, server, told):
    assert all(signed(driver, server, *[(host, None) for host in SIGNED]))
    assert not told()


def test_the_url_counts_as_well_as_the_host_header(driver, server, told):
    calls = [(RESOURCE, CUSTOM), ("127.0.0.1", RESOURCE), (LOOK_ALIKE, SERVICE), (CUSTOM, None)]
    assert signed(driver, server, *calls) == [False, False, False, True]
    assert len(told()) == 3  # the resource, with and without a port in it, and the look-alike


class TestHosts:
    def test_a_pattern_does_not_take_resources_in(self, driver, server, told):
        calls = [(RESOURCE, None), (SERVICE, None)]
        assert signed(driver, server, *calls, hosts=["*.on.aws"]) == [False, True]
        (line,) = told()
        assert "resource" in line

    def test_the_url_counts_whatever_match_hosts_says(self, driver, server):
        given = {"hosts": [CUSTOM], "match_hosts": "header"}
        assert not is_signed(driver, server, RESOURCE, CUSTOM, **given)

    def test_a_look_alike_is_the_callers_word(self, driver, server, told):
        assert is_signed(driver, server, LOOK_ALIKE, None, hosts=[LOOK_ALIKE])
        assert not told()

    def test_what_hosts_leave_out_is_said_too(self, driver, server, told):
        assert not is_signed(driver, server, CUSTOM, None, hosts=["books.example.com"])
        (line,) = told()
        assert line.startswith(f"INFO: requests to {CUSTOM}")
        assert "none of hosts=['books.example.com']" in line


class TestNames:
    @pytest.mark.parametrize(
        "endpoint",
        [
            Endpoint(CUSTOM, REGION, connect_to=RESOURCE),
            Endpoint(RESOURCE, REGION),
            Endpoint(CUSTOM, REGION, is_lattice=False, source="DNS: 10.0.0.7 is not Lattice's"),
        ],
        ids=["connect_to", "alias", "not lattice's"],
    )
    def test_names_that_lead_to_a_resource(self, driver, server, told, endpoint):
        names = Told({CUSTOM: endpoint, RESOURCE: Endpoint(RESOURCE, REGION)})
        with suppress(ConfigurationError):  # a hook that cannot follow connect_to
            assert not is_signed(driver, server, CUSTOM, None, names=names)
            assert len(told()) == 1
        assert not any(request.signed for request in server.requests)
        if endpoint.is_lattice:
            names.strict = True
            sent = len(server.requests)
            with pytest.raises((NotLatticeError, ConfigurationError)):
                is_signed(driver, server, CUSTOM, None, names=names)
            assert len(server.requests) == sent

    def test_in_the_url(self, driver, server):
        names = Told({CUSTOM: Endpoint(CUSTOM, REGION), RESOURCE: Endpoint(RESOURCE, REGION)})
        given: dict[str, Any] = {"names": names, "match_hosts": "header"}
        assert not is_signed(driver, server, RESOURCE, CUSTOM, **given)

    def test_a_resource_is_refused_in_strict_mode(self, driver, server):
        with pytest.raises(NotLatticeError, match="a managed name of a resource"):
            is_signed(driver, server, RESOURCE, None, names=Names(ManagedNames(), strict=True))
        assert not server.requests

    def test_a_look_alike_that_names_know(self, driver, server, told):
        assert is_signed(driver, server, LOOK_ALIKE, None, names=Names({LOOK_ALIKE: REGION}))
        assert not told()

    @pytest.mark.parametrize("names", [Names(ManagedNames()), Names({})], ids=repr)
    def test_what_no_source_knows_is_said(self, driver, server, told, names):
        assert not is_signed(driver, server, CUSTOM, None, names=names)
        (line,) = told()
        assert line.startswith(f"INFO: requests to {CUSTOM}")
        assert "no source knows it; if it is VPC Lattice's" in line

    def test_a_failing_source_is_an_error_and_no_reason(self, driver, server):
        with pytest.raises(NameSourceError):
            is_signed(driver, server, CUSTOM, None, names=Told())
        assert not server.requests


@pytest.mark.parametrize("pattern", [RESOURCE, RESOURCE.upper(), "*.vpc-lattice-rsc.*.on.aws"])
def test_a_resource_by_its_name_is_refused_in_hosts(pattern):
    with pytest.raises(ConfigurationError, match="names resources of VPC Lattice"):
        LatticeAuth(hosts=[pattern])


@pytest.mark.parametrize("host", [RESOURCE, LOOK_ALIKE])
def test_no_link_is_made(host):
    auth = LatticeAuth(region=REGION, credentials=canary.credentials())
    with pytest.raises(NotLatticeError, match="no link is made: requests to"):
        auth.presign_url("GET", f"https://{host}/")


def test_another_service_may_be_behind_a_resource(server):
    """Such as a store that speaks S3 and verifies signatures itself."""
    import requests

    auth = SigV4Auth("s3", region=REGION, credentials=canary.credentials(), hosts=[RESOURCE])
    requests.get(f"http://{RESOURCE}:{server.port}/", auth=auth, timeout=20)
    assert server.requests[0].signed
