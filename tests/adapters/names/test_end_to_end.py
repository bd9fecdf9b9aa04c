"""From a friendly name through a name server to the local Lattice, in every library."""

from __future__ import annotations

import pickle
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.drivers import CLIENTS, DRIVERS, HOOKS, Driver
from lattice_client import Endpoint, LatticeAuth, Names, NameSourceError, NotLatticeError
from lattice_client.names import DnsNames
from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.names import landed
from support.sources import Clock

pytest.importorskip("dns")
from support.name_server import NameServer, name_server

REGION = "us-west-2"
FRIENDLY = "payments.internal.example.com"
LEADING = [HOOKS[-1], *CLIENTS]
# What stands in for Lattice's own addresses.
LOOPBACK = ["127.0.0.0/8"]


def named(driver: Driver) -> str:
    return driver.name


def local(name: str = "payments", domain: str | None = FRIENDLY) -> LocalLattice:
    lattice = LocalLattice(region=REGION)
    lattice.add_service(name, domain=domain)
    lattice.add_caller("orders-frontend", credentials=canary.credentials())
    return lattice


@pytest.fixture(scope="module")
def lattice() -> Iterator[RunningLattice]:
    with serve(local(), tls=True) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with name_server() as running:
        yield running


@pytest.fixture
def names(server, lattice, monkeypatch) -> Names:
    """Those of the name server, for the HTTP libraries too."""
    managed = lattice.service("payments").managed_name
    server.records.clear()
    server.add(FRIENDLY, "CNAME", f"{managed}.")
    server.add("alias.example.com", "CNAME", f"{managed}.")
    server.add(managed, "A", "127.0.0.1")
    server.add("stranger.example.com", "A", "127.0.0.1")
    resolve = socket.getaddrinfo

    def by_server(host, *arguments, **named):
        name = host.decode() if isinstance(host, bytes) else host
        known = any(name == key for key, _ in server.records)
        return resolve("127.0.0.1" if known else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", by_server)
    return Names(DnsNames(nameservers=[server.address], networks=LOOPBACK))


def assert_led(running: RunningLattice, host: str) -> None:
    record = running.access_log[-1]
    assert running.requests[-1].verified
    assert record["serverNameIndication"] == host
    assert str(record["hostHeader"]).partition(":")[0] == host


@pytest.mark.parametrize("driver", DRIVERS, ids=named)
class TestDns:
    """The region comes from the CNAME: nothing else names it."""

    def test_a_custom_domain(self, driver, names, lattice):
        auth = driver.auth(credentials=canary.credentials(), names=names)
        with driver.client(auth, lattice.ca_file) as call:
            for spelling in (FRIENDLY, FRIENDLY.upper()):
                answer = call("POST", f"https://{spelling}:{lattice.port}/a%20b?c=+", body=b"{}")
                assert answer.status == 200
                assert_led(lattice, FRIENDLY)

    def test_an_alias_only(self, driver, server, names, lattice):
        names = Names(
            DnsNames(nameservers=[server.address], networks=LOOPBACK, host="managed"), strict=True
        )
        auth = driver.auth(credentials=canary.credentials(), names=names)
        with driver.client(auth, lattice.ca_file) as call:
            assert call("GET", f"https://alias.example.com:{lattice.port}/").status == 200
        assert_led(lattice, lattice.service("payments").managed_name)

    def test_a_poisoned_answer(self, driver, server, names, lattice):
        """It leads to an address that is not Lattice's: 127.0.0.1, without the stand-in."""
        before = len(lattice.access_log)
        names = Names({FRIENDLY: REGION}, DnsNames(nameservers=[server.address]), strict=True)
        auth = driver.auth(credentials=canary.credentials(), names=names)
        with driver.client(auth, lattice.ca_file) as call, pytest.raises(NotLatticeError):
            call("GET", f"https://{FRIENDLY}:{lattice.port}/")
        assert len(lattice.access_log) == before

    def test_a_dead_name_server(self, driver, server, names, lattice):
        names = Names(DnsNames(nameservers=[server.address], networks=LOOPBACK))
        server.faults[FRIENDLY] = "servfail"
        auth = driver.auth(credentials=canary.credentials(), names=names)
        try:
            with driver.client(auth, lattice.ca_file) as call, pytest.raises(NameSourceError):
                call("GET", f"https://{FRIENDLY}:{lattice.port}/")
        finally:
            server.faults.clear()


@pytest.mark.parametrize("driver", LEADING, ids=named)
class TestStaticMap:
    def test_an_address(self, driver, lattice):
        names = Names({FRIENDLY: f"{REGION}@127.0.0.1:{lattice.port}"}, strict=True)
        auth = pickle.loads(
            pickle.dumps(LatticeAuth(credentials=canary.credentials(), names=names))
        )
        with driver.client(auth, lattice.ca_file) as call:
            assert call("GET", f"https://{FRIENDLY}/").status == 200
        assert_led(lattice, FRIENDLY)

    def test_an_alias_with_an_address(self, driver, lattice):
        managed = lattice.service("payments").managed_name
        names = Names({"*.example.com": f"{managed}@localhost:{lattice.port}"})
        auth = LatticeAuth(credentials=canary.credentials(), names=names)
        with driver.client(auth, lattice.ca_file) as call:
            answer = call("GET", "https://a.example.com/b")
            assert (answer.status, answer.url) == (200, "https://a.example.com/b")
        assert_led(lattice, managed)


@pytest.mark.parametrize("driver", LEADING, ids=named)
def test_a_custom_domain_that_moves_in_dns(driver, server, lattice):
    """It keeps its Host, so only the address tells open connections from those to make."""
    clock = Clock()
    dns = DnsNames(nameservers=[server.address], networks=LOOPBACK, connect="address")
    names = Names(dns, clock=clock)
    auth = LatticeAuth(region=REGION, credentials=canary.credentials(), names=names)
    called = []
    with (
        serve(local()) as old,
        serve(local(), host="127.0.0.2", port=old.port) as new,
        driver.client(auth, lattice.ca_file) as call,
    ):
        server.records.clear()
        for address, later in (("127.0.0.1", 0), ("127.0.0.2", 29), ("127.0.0.2", 2)):
            server.add(FRIENDLY, "A", address, ttl=30)
            clock.now += later
            for _ in range(2):
                assert call("GET", f"http://{FRIENDLY}:{old.port}/").status == 200
            called.append((len(old.requests), len(new.requests)))
        assert all(seen.verified for running in (old, new) for seen in running.requests)
    assert called == [(2, 0), (4, 0), (4, 2)]


class Zone:
    """A source whose record is moved, and that can fail."""

    def __init__(self) -> None:
        self.there = ""
        self.managed = ""
        self.dead = False

    def find(self, name: str, now: float) -> Endpoint | None:
        if self.dead:
            raise NameSourceError("the zone is not to be had")
        return Endpoint(self.managed, REGION, self.there, self.managed, expires_at=now + 30)


@pytest.mark.parametrize("driver", LEADING, ids=named)
def test_a_migration(driver, lattice):
    """A record moves from one service to another, and its zone fails for a while. Calls follow
    within its TTL, and none fails."""
    clock, zone = Clock(), Zone()
    names = Names(zone, clock=clock)
    auth = LatticeAuth(credentials=canary.credentials(), names=names)
    called = []
    with (
        serve(local("payments-old", None)) as old,
        serve(local("payments-new", None)) as new,
        driver.client(auth, lattice.ca_file) as call,
    ):

        def move_to(running: RunningLattice) -> None:
            zone.there = f"127.0.0.1:{running.port}"
            zone.managed = running.lattice.services[0].managed_name

        def twice() -> None:
            for _ in range(2):
                assert call("GET", f"http://{FRIENDLY}/").status == 200
            called.append((len(old.requests), len(new.requests)))

        move_to(old)
        twice()
        move_to(new)
        clock.now += 29
        twice()  # the old answer holds
        zone.dead = True
        clock.now += 2
        twice()  # it has ended, and serves while the zone fails
        zone.dead = False
        clock.now += 6
        names.refresh()
        landed(names)
        twice()
        old.stop()
        twice()
        assert all(seen.verified for running in (old, new) for seen in running.requests)
    assert called == [(2, 0), (4, 0), (6, 0), (6, 2), (6, 4)]


PAGE = Path(__file__).resolve().parents[3] / "docs" / "names-in-clients.md"


def test_the_page_runs(lattice, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    first, own = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    credentials = canary.credentials()
    monkeypatch.setenv("LATTICE_CLIENT_NAMES", f"{FRIENDLY}={REGION}@127.0.0.1:{lattice.port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", lattice.ca_file)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", credentials.token or "")
    lattice.lattice.clear()
    exec(compile(first, PAGE.name, "exec"), {"__name__": "docs"})
    assert_led(lattice, FRIENDLY)
    found: dict[str, type] = {}
    exec(compile(own, PAGE.name, "exec"), found)
    assert LatticeAuth(names=found["MyNames"]()).names.strict
