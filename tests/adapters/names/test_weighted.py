"""A name that moves from an ALB to Lattice by weighted records.

A call is signed if, and only if, it goes to Lattice.
"""

from __future__ import annotations

import asyncio
import random
import socket

import aiohttp
import httpx
import httpx2
import pytest
import requests

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.drivers import CLIENTS, DRIVERS, HOOKS, Driver
from lattice_client import LatticeAuth, Names, RetryPolicy
from lattice_client.names import DnsNames
from support import canary
from support.ipv6 import need_ipv6
from support.raw_server import OK, RawRequest, RawServer, raw_server, redirect_to
from support.sources import Clock

pytest.importorskip("dns")
from support.estate import ALB, ALB_V6, FRIENDLY, LATTICE, NETWORKS, Estate, estate, system_dns
from support.name_server import NameServer, name_server

REGION = "us-west-2"
# Those whose requests can be led to an address: aiohttp's hook is a middleware, too.
LEADING = [HOOKS[-1], *CLIENTS]
CONNECT_ERRORS = (
    requests.exceptions.ConnectionError,
    httpx.ConnectError,
    httpx2.ConnectError,
    aiohttp.ClientConnectorError,
)
WEIGHTS = [(50, 50), (90, 10), (10, 90)]


def named(driver: Driver) -> str:
    return driver.name


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


# The scheme, and who is asked for names.
PLAIN, SECURE = ("http", "system"), ("https", "name server")
WAYS = [
    PLAIN,
    SECURE,
    pytest.param(("http", "name server"), marks=pytest.mark.long),
    pytest.param(("https", "system"), marks=pytest.mark.long),
]


@pytest.fixture(scope="module", params=WAYS, ids=" ".join)
def way(request) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def moving(way, tmp_path_factory):
    need_ipv6()
    with estate(tmp_path_factory.mktemp("estate"), tls=way[0] == "https") as running:
        yield running


@pytest.fixture(scope="module")
def running_server():
    with name_server() as running:
        yield running


@pytest.fixture
def server(running_server, monkeypatch) -> NameServer:
    running_server.records.clear()
    running_server.weighted.clear()
    running_server.faults.clear()
    running_server.random.seed(1)
    system_dns(running_server, monkeypatch)
    return running_server


@pytest.fixture
def dns(way, server) -> DnsNames:
    nameservers = [] if way[1] == "system" else [server.address]
    return DnsNames(networks=NETWORKS, nameservers=nameservers, ttl=1)


def call_often(call, moving: Estate, clock: Clock, times: int) -> dict[str, int]:
    """Calls over connections that are new and pooled, while answers end."""
    failed = 0
    for number in range(times):
        clock.now += 4
        # aiohttp ends TLS in the background: not after the last calls, when its loop ends.
        headers = {"Connection": "close"} if number % 2 == 0 and number < times - 2 else {}
        failed += call("GET", moving.url, headers=headers).status != 200
    return {**moving.counts(), "failed": failed}


def client_of(driver: Driver, dns: DnsNames, moving: Estate, clock: Clock, **settings):
    names = Names(dns, clock=clock, **settings)
    auth = driver.auth(region=REGION, credentials=canary.credentials(), names=names)
    return driver.client(auth, moving.ca_file or None)


def assert_right(counts: dict[str, int], times: int) -> None:
    """Signed if, and only if, they went to Lattice; and none failed."""
    assert counts["unsigned to Lattice"] == counts["signed to the ALB"] == counts["failed"] == 0
    assert counts["signed to Lattice"] + counts["unsigned to the ALB"] == times


@pytest.mark.parametrize("driver", LEADING, ids=named)
class TestThoseThatConnectToTheAddressThatWasJudged:
    def test_weighted_records(self, driver, dns, server, moving):
        clock, reached = Clock(), []
        with client_of(driver, dns, moving, clock) as call:
            for old, new in WEIGHTS:
                server.weighted[FRIENDLY, "A"] = {(ALB,): old, (LATTICE,): new}
                counts = call_often(call, moving, clock, 8)
                assert_right(counts, 8)
                reached.append((counts["unsigned to the ALB"], counts["signed to Lattice"]))
        assert all(map(sum, zip(*reached, strict=True)))

    def test_a_family_that_moves_without_the_other(self, driver, dns, server, moving):
        """A and AAAA are drawn apart, so an answer may have both an ALB's and Lattice's."""
        clock = Clock()
        server.weighted[FRIENDLY, "A"] = {(ALB,): 1, (LATTICE,): 1}
        server.add(FRIENDLY, "AAAA", ALB_V6, ttl=1)
        with client_of(driver, dns, moving, clock) as call:
            assert_right(call_often(call, moving, clock, 6), 6)
            server.weighted[FRIENDLY, "AAAA"] = {(ALB_V6,): 1, (): 1}
            assert_right(call_often(call, moving, clock, 6), 6)
            server.faults[FRIENDLY, "AAAA"] = "servfail"
            server.weighted[FRIENDLY, "A"] = {(LATTICE,): 1}
            clock.now += 20
            counts = call_often(call, moving, clock, 4)
            assert_right(counts, 4)
            assert counts["signed to Lattice"] == 4

    def test_flips(self, driver, dns, server, moving):
        """The name moves there, and back: its calls follow when its answer has ended."""
        clock, reached = Clock(), []
        with client_of(driver, dns, moving, clock) as call:
            for address in (ALB, LATTICE, ALB, LATTICE):
                server.add(FRIENDLY, "A", address, ttl=1)
                clock.now += 20
                counts = call_often(call, moving, clock, 2)
                assert_right(counts, 2)
                reached.append(counts["signed to Lattice"])
        assert reached == [0, 2, 0, 2]

    def test_one_record_set_with_addresses_of_both(self, driver, dns, server, moving):
        """Any could have been written by a stranger: the call goes there, unsigned."""
        server.add(FRIENDLY, "A", LATTICE, ALB, ttl=1)
        with client_of(driver, dns, moving, Clock()) as call:
            counts = call_often(call, moving, Clock(), 2)
        assert_right(counts, 2)
        assert counts["unsigned to the ALB"] == 2


def told_by(caplog) -> list[tuple[str, str]]:
    """The warnings of names, and of requests that are not signed: level and text."""
    names = ("lattice_client.names", "lattice_client.unsigned")
    return [
        (each.levelname, each.getMessage().replace("requests to ", ""))
        for each in caplog.records
        if each.name in names and each.levelname == "WARNING"
    ]


@pytest.mark.parametrize("way", [PLAIN], ids=" ".join, indirect=True, scope="module")
@pytest.mark.parametrize("driver", HOOKS[:-1], ids=named)
class TestHooksThatConnectByName:
    def test_of_a_name_that_stays_they_say_nothing(self, driver, dns, server, moving, caplog):
        server.add(FRIENDLY, "A", LATTICE, ttl=1)
        clock = Clock()
        with client_of(driver, dns, moving, clock) as call:
            assert_right(call_often(call, moving, clock, 4), 4)
        assert not told_by(caplog)

    def test_of_a_name_that_moves_they_say_so_once(self, driver, dns, server, moving, caplog):
        clock = Clock()
        with client_of(driver, dns, moving, clock) as call:
            for address in (ALB, LATTICE, ALB, LATTICE):
                server.add(FRIENDLY, "A", address, ttl=1)
                clock.now += 20
                assert call("GET", moving.url).status == 200
        moving.counts()
        ((level, said),) = told_by(caplog)
        assert level == "WARNING"
        assert said.startswith(f"{FRIENDLY} moves")
        assert "use a client of lattice_client.requests" in said

    def test_a_mixed_answer_is_not_signed(self, driver, dns, server, moving, caplog):
        server.add(FRIENDLY, "A", ALB, ttl=1)
        server.add(FRIENDLY, "AAAA", ALB_V6, ttl=1)
        with client_of(driver, dns, moving, Clock()) as call:
            assert_right(call_often(call, moving, Clock(), 2), 2)
            assert not told_by(caplog)
        server.add(FRIENDLY, "A", LATTICE, ttl=1)
        with client_of(driver, dns, moving, Clock()) as call:
            call("GET", moving.url)
            call("GET", moving.url)
        counts = moving.counts()
        assert counts["signed to the ALB"] == counts["signed to Lattice"] == 0
        ((_, said),) = told_by(caplog)
        assert f"{ALB_V6} is not an address of Lattice's" in said
        assert "a client of lattice_client.requests" in said

    def test_who_has_chosen_names_is_told_nothing(self, driver, server, moving, caplog):
        server.add(FRIENDLY, "A", LATTICE, ttl=1)
        dns = DnsNames(networks=NETWORKS, nameservers=[server.address], connect="name")
        with client_of(driver, dns, moving, Clock()) as call:
            assert call("GET", moving.url).status == 200
        moving.counts()
        assert not told_by(caplog)


@pytest.mark.parametrize("way", [PLAIN], ids=" ".join, indirect=True, scope="module")
@pytest.mark.parametrize("driver", LEADING, ids=named)
class TestAddressesOfOneAnswer:
    def test_the_next_is_tried_and_kept(self, driver, server, moving):
        """Nothing listens at the first. Signed calls and others try the next, a POST too."""
        for networks in (["127.0.0.2/31"], []):
            server.add(FRIENDLY, "A", "127.0.0.3", "127.0.0.2")
            dns = DnsNames(networks=networks, nameservers=[server.address])
            with client_of(driver, dns, moving, Clock()) as call:
                for _ in range(2):
                    status = call("POST", moving.url, body=b"{}").status
                    assert status == (200 if networks else 403)
            counts = moving.counts()
            assert counts["signed to Lattice" if networks else "unsigned to Lattice"] == 2

    def test_none_of_them_answers(self, driver, server, moving):
        server.add(FRIENDLY, "A", "127.0.0.3", "127.0.0.4")
        dns = DnsNames(networks=["127.0.0.0/29"], nameservers=[server.address])
        names = Names(dns)
        auth = LatticeAuth(region=REGION, credentials=canary.credentials(), names=names)
        settings = {} if driver in HOOKS else {"retry": RetryPolicy(attempts=1)}
        with driver.client(auth, **settings) as call, pytest.raises(CONNECT_ERRORS):
            call("GET", moving.url)

    def test_connections_stay_while_the_answers_are_in_another_order(self, driver, server, moving):
        clock = Clock()
        dns = DnsNames(nameservers=[server.address])
        with raw_server() as alb, raw_server(listener=another(alb)) as other:
            with client_of(driver, dns, moving, clock) as call:
                server.add(FRIENDLY, "A", "127.0.0.1", "127.0.0.2", ttl=1)  # it shuffles them
                for _ in range(8):
                    clock.now += 20
                    assert call("GET", f"http://{FRIENDLY}:{alb.port}/").status == 200
            assert alb.connections + other.connections == 1 + searches(driver)


def searches(driver: Driver) -> bool:
    """Whether a separate connection finds the address of a name's first call."""
    return "aiohttp" in driver.name


def another(running: RawServer) -> socket.socket:
    """A listener at the same port of another address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.2", running.port))
    return listener


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
class TestWhatTheCallerSees:
    """Of a host that is not Lattice's, and has been judged by its address."""

    @pytest.fixture(autouse=True)
    def _told(self, server):
        server.add(FRIENDLY, "A", ALB)
        self.dns = DnsNames(nameservers=[server.address])

    def client(self, driver):
        names = Names(self.dns)
        return driver.client(driver.auth(credentials=canary.credentials(), names=names))

    def test_a_redirect_within_the_host_keeps_ones_own_authorization(self, driver):
        """And its cookies are the host's."""

        def respond(request: RawRequest) -> bytes:
            if request.target == b"/2":
                return OK
            return redirect_to("/2").replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=1\r\n\r\n")

        with raw_server(respond) as alb, self.client(driver) as call:
            headers = {"Authorization": "Bearer mine"}
            url = f"http://{FRIENDLY}:{alb.port}"
            answer = call("GET", f"{url}/1", headers=headers, redirects=True)
            assert (answer.status, answer.url) == (200, f"{url}/2")
        assert [each.header("host") for each in alb.requests] == [f"{FRIENDLY}:{alb.port}"] * 2
        assert alb.requests[1].header("cookie") == "a=1"
        assert {each.header("authorization") for each in alb.requests} == {"Bearer mine"}


@pytest.mark.parametrize("driver", LEADING, ids=named)
def test_a_host_header_of_ones_own_goes_where_the_url_was_judged(driver, dns, server, moving):
    clock, managed = Clock(), moving.lattice.service("payments").managed_name
    server.weighted[FRIENDLY, "A"] = {(ALB,): 1, (LATTICE,): 1}
    names = Names({managed: REGION}, dns, clock=clock)
    auth = LatticeAuth(credentials=canary.credentials(), names=names)
    with driver.client(auth, moving.ca_file or None) as call:
        for number in range(10):
            clock.now += 11
            closing = {"Connection": "close"} if number < 8 else {}
            call("GET", moving.url, headers={"Host": managed, **closing})
    counts = moving.counts()
    assert counts["unsigned to Lattice"] == counts["signed to the ALB"] == 0
    assert counts["signed to Lattice"]
    assert counts["unsigned to the ALB"]


@pytest.mark.parametrize("way", [PLAIN], ids=" ".join, indirect=True, scope="module")
class TestConnectionsThatOthersMake:
    """A proxy resolves the name itself, and a transport of the caller's would mix up names."""

    @pytest.mark.parametrize("kind", ["requests", "httpx", "httpx2", "aiohttp"])
    def test_a_proxy_is_given_the_name(self, kind, server, moving, caplog, monkeypatch):
        server.add(FRIENDLY, "A", LATTICE)
        dns, clock = DnsNames(networks=NETWORKS, nameservers=[server.address]), Clock()
        names = Names(dns, clock=clock)
        auth = LatticeAuth(region=REGION, credentials=canary.credentials(), names=names)
        with raw_server() as proxy:
            get_through_proxy(kind, auth, moving.url, proxy.url)
            assert not told_by(caplog)
            server.add(FRIENDLY, "A", ALB)
            clock.now += 1000
            get_through_proxy(kind, auth, moving.url, proxy.url)
        signed, unsigned = proxy.requests
        assert signed.target == unsigned.target == moving.url.encode()
        assert signed.verified()
        assert not unsigned.signed
        ((_, said),) = told_by(caplog)
        assert "a proxy" in said

    @pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
    def test_a_transport_of_ones_own_is_given_the_name(self, module, server, moving, caplog):
        library = httpx if module is lattice_client.httpx else httpx2
        server.add(FRIENDLY, "A", LATTICE)
        dns, clock = DnsNames(networks=NETWORKS, nameservers=[server.address]), Clock()
        names = Names(dns, clock=clock)
        auth = LatticeAuth(region=REGION, credentials=canary.credentials(), names=names)
        seen: list[str] = []

        def respond(request):
            seen.append(str(request.url))
            return library.Response(200)

        with module.Client(auth=auth, transport=library.MockTransport(respond)) as client:
            assert client.get(moving.url).status_code == 200
            assert not told_by(caplog)
            server.add(FRIENDLY, "A", ALB)
            clock.now += 1000
            assert client.get(moving.url).status_code == 200
        assert seen == [moving.url] * 2
        ((_, said),) = told_by(caplog)
        assert "a transport of your own" in said


def get_through_proxy(kind: str, auth: LatticeAuth, url: str, proxy: str) -> None:
    if kind == "requests":
        with lattice_client.requests.Session(auth) as session:
            session.get(url, proxies={"http": proxy}, timeout=20)
    elif kind == "aiohttp":

        async def get() -> None:
            async with (
                lattice_client.aiohttp.client_session(auth) as session,
                session.get(url, proxy=proxy),
            ):
                pass

        asyncio.run(get())
    else:
        with getattr(lattice_client, kind).Client(auth=auth, proxy=proxy) as client:
            client.get(url)
