"""A name that moves from an ALB to Lattice by weighted records: a call is signed if, and only if, it
goes to Lattice."""

from __future__ import annotations

import random

import pytest

from adapters.drivers import CLIENTS, HOOKS, Driver
from lattice_client import LatticeAuth, Names
from lattice_client.names import DnsNames
from support import canary
from support.ipv6 import need_ipv6
from support.sources import Clock

pytest.importorskip("dns")
from support.estate import ALB, ALB_V6, FRIENDLY, LATTICE, NETWORKS, Estate, estate, system_dns
from support.name_server import NameServer, name_server

REGION = "us-west-2"
# Those whose requests can be led to an address: aiohttp's hook is a middleware, too.
LEADING = [HOOKS[-1], *CLIENTS]
WEIGHTS = [(50, 50), (90, 10), (10, 90)]


def named(driver: Driver) -> str:
    return driver.name


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def moving(request, tmp_path_factory):
    need_ipv6()
    with estate(tmp_path_factory.mktemp("estate"), tls=request.param) as running:
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
    system_dns(running_server, monkeypatch)
    return running_server


@pytest.fixture(params=["system", "name server"])
def dns(request, server) -> DnsNames:
    nameservers = [] if request.param == "system" else [server.address]
    return DnsNames(networks=NETWORKS, nameservers=nameservers, ttl=1)


def call_often(call, moving: Estate, clock: Clock, times: int) -> dict[str, int]:
    """Calls over connections that are new and pooled, while answers end."""
    failed = 0
    for number in range(times):
        clock.now += 2.5
        headers = {"Connection": "close"} if number % 3 == 0 else {}
        failed += call("GET", moving.url, headers=headers).status != 200
    return {**moving.counts(), "failed": failed}


@pytest.mark.parametrize("driver", LEADING, ids=named)
class TestThoseThatConnectToTheAddressThatWasJudged:
    def client(self, driver, dns, moving, clock):
        auth = LatticeAuth(
            region=REGION, credentials=canary.credentials(), names=Names(dns, clock=clock)
        )
        return driver.client(auth, moving.ca_file or None)

    def test_weighted_records(self, driver, dns, server, moving):
        clock = Clock()
        with self.client(driver, dns, moving, clock) as call:
            for old, new in WEIGHTS:
                server.weighted[FRIENDLY, "A"] = {(ALB,): old, (LATTICE,): new}
                counts = call_often(call, moving, clock, 25)
                assert counts["unsigned to Lattice"] == counts["signed to the ALB"] == 0
                assert counts["failed"] == 0
                assert counts["signed to Lattice"] + counts["unsigned to the ALB"] == 25
                assert counts["signed to Lattice"] and counts["unsigned to the ALB"]
