"""Addresses that disagree: each family is judged by itself, and calls go to what was judged."""

from __future__ import annotations

import itertools
import pickle
import socket

import pytest

from lattice_client import Endpoint, NameSourceError
from lattice_client.names import DnsNames, ManagedNames, Names
from lattice_client.names import dns as dns_module
from lattice_client.names.dns import _has_route as has_route
from lattice_client.names.endpoint import as_called_by_name

NAME = "orders.example.com"
MANAGED = "orders-0123456789abcdef0.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
V4, V6 = "169.254.171.33", "fd00:ec2:80::a9fe:ab21"
OTHER_V4, OTHER_V6 = "93.184.216.34", "2001:db8::1"
ANSWERS = list(itertools.product((V4, OTHER_V4), (V6, OTHER_V6)))


@pytest.fixture(autouse=True)
def routes(monkeypatch) -> set[str]:
    """Addresses without a route from here."""
    without: set[str] = set()
    monkeypatch.setattr(dns_module, "_has_route", lambda address: address not in without)
    return without


def of_lattice(address: str) -> bool:
    return address.strip("[]") in (V4, V6)


class TestConnectToTheFirstAddress:
    @pytest.mark.parametrize(("v4", "v6"), ANSWERS)
    @pytest.mark.parametrize("without", [None, "A", "AAAA"])
    def test_what_is_connected_to_is_what_was_judged(self, v4, v6, without, server, routes):
        routes.update({"A": [v4], "AAAA": [v6]}.get(without, ()))
        server.add(NAME, "A", v4)
        server.add(NAME, "AAAA", v6)
        found = DnsNames(nameservers=[server.address], connect="address").find(NAME, 0)
        assert found.connect_to == (f"[{v6}]" if without == "A" else v4)
        assert found.is_lattice == of_lattice(found.connect_to)
        assert found.at_address is None

    @pytest.mark.parametrize("answers", [(V4, V6), (OTHER_V4, OTHER_V6)])
    @pytest.mark.parametrize("dead", ["A", "AAAA"])
    def test_a_family_whose_query_fails_does_not_decide(self, answers, dead, server):
        server.add(NAME, "A", answers[0])
        server.add(NAME, "AAAA", answers[1])
        server.faults[NAME, dead] = "servfail"
        found = DnsNames(nameservers=[server.address], connect="address").find(NAME, 0)
        assert found.connect_to == (answers[0] if dead == "AAAA" else f"[{answers[1]}]")
        assert found.is_lattice == of_lattice(found.connect_to)


class TestAuto:
    @pytest.mark.parametrize(("v4", "v6"), ANSWERS)
    @pytest.mark.parametrize("without", [None, "A", "AAAA"])
    def test_two_answers(self, v4, v6, without, server, routes):
        """One for those that choose the address, and one for those that get any."""
        routes.update({"A": [v4], "AAAA": [v6]}.get(without, ()))
        server.add(NAME, "A", v4, ttl=20)
        server.add(NAME, "AAAA", v6, ttl=30)
        found = Names(DnsNames(nameservers=[server.address]), clock=lambda: 0.0).resolve(NAME)
        at_address = found.at_address
        assert found.is_lattice == (v4 == V4 and v6 == V6)
        assert (found.connect_to, found.addresses, found.host) == (None, (), NAME)
        assert {of_lattice(each) for each in at_address.addresses} == {at_address.is_lattice}
        first = f"[{v6}]" if without == "A" else v4
        assert at_address.addresses[0] == first
        assert len(at_address.addresses) == 1 + (of_lattice(v4) == of_lattice(v6))
        assert found.expires_at == at_address.expires_at
        mixed = of_lattice(v4) != of_lattice(v6)
        assert (found.reason == "mixed addresses") == mixed

    def test_of_one_family_those_that_are_lattices_are_left_out(self, server):
        server.add(NAME, "A", V4, OTHER_V4)
        found = DnsNames(nameservers=[server.address]).find(NAME, 0)
        assert not found.is_lattice
        assert found.at_address.addresses == (OTHER_V4,)
        assert not found.at_address.is_lattice

    def test_the_region_is_that_of_the_family_that_decides(self, server):
        server.add(NAME, "CNAME", f"{MANAGED}.")
        server.add(MANAGED, "A", V4)
        server.add(MANAGED, "AAAA", OTHER_V6)
        source = DnsNames(nameservers=[server.address], host="managed")
        found = source.find(NAME, 0)
        assert found[:3] == (NAME, None, None)
        assert found.at_address[:3] == (MANAGED, "eu-west-1", None)

    def test_a_later_source_adds_its_region(self, server):
        server.add(NAME, "A", V4)
        server.add(NAME, "AAAA", OTHER_V6)
        found = Names(DnsNames(nameservers=[server.address]), {NAME: "eu-west-2"}).resolve(NAME)
        assert not found.is_lattice
        assert (found.at_address.is_lattice, found.at_address.region) == (True, "eu-west-2")

    def test_strict_refuses_what_is_mixed(self, server):
        server.add(MANAGED, "A", V4)
        server.add(MANAGED, "AAAA", OTHER_V6)
        names = Names(ManagedNames(), DnsNames(nameservers=[server.address]), strict=True)
        assert not names.resolve(MANAGED).is_lattice
        server.remove(MANAGED)
        server.add(MANAGED, "A", V4)
        names = Names(ManagedNames(), DnsNames(nameservers=[server.address]), strict=True)
        assert names.resolve(MANAGED).at_address.addresses == (V4,)

    def test_an_address_of_a_map_is_the_users_own(self, server):
        server.add(NAME, "A", V4)
        names = Names({NAME: "@127.0.0.1:80"}, DnsNames(nameservers=[server.address]))
        found = names.resolve(NAME)
        assert (found.connect_to, found.at_address) == ("127.0.0.1:80", None)

    def test_by_name_on_demand(self, server):
        server.add(NAME, "A", V4)
        found = DnsNames(nameservers=[server.address], connect="name").find(NAME, 0)
        assert (found.is_lattice, found.at_address) == (True, None)
        server.add(NAME, "AAAA", OTHER_V6)
        assert not DnsNames(nameservers=[server.address], connect="name").find(NAME, 0).is_lattice

    def test_the_systems_order_decides(self, monkeypatch):
        def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (OTHER_V6, 0, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (V4, 0)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        found = DnsNames().find(NAME, 0)
        assert (found.at_address.addresses, found.is_lattice) == ((f"[{OTHER_V6}]",), False)

    def test_an_address_with_a_zone_is_left_to_the_library(self, monkeypatch):
        def getaddrinfo(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 0, 0, 2))]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        found = DnsNames().find(NAME, 0)
        assert (found.is_lattice, found.at_address) == (False, None)

    def test_it_pickles(self):
        found = as_called_by_name(NAME, Endpoint(NAME, addresses=(V4,)))
        assert pickle.loads(pickle.dumps(found)) == found


class TestHowLongAMovingNameHolds:
    """Both of its answers equally long: else calls would not be shared by the records' weights."""

    @pytest.mark.parametrize("connect", ["auto", "address", "name"])
    @pytest.mark.parametrize(("ttl", "held"), [(1, 5), (60, 10)])
    def test_both_answers(self, ttl, held, connect, server, clock):
        names = Names(DnsNames(nameservers=[server.address], connect=connect), clock=clock)
        server.add(NAME, "A", OTHER_V4, ttl=ttl)
        names.resolve(NAME)
        for address in (V4, OTHER_V4, V4, V4):
            clock.now += 100
            server.add(NAME, "A", address, ttl=ttl)
            found = names.resolve(NAME)
            assert found.is_lattice == (address == V4)
            assert found.expires_at == clock.now + held
        # It has arrived: its answer holds as long as any other's.
        clock.now += 3601
        assert names.resolve(NAME).expires_at == clock.now + max(ttl, 5)

    def test_an_answer_of_lattices_serves_while_the_source_fails(self, server, clock):
        names = Names(DnsNames(nameservers=[server.address]), clock=clock)
        for address in (OTHER_V4, V4):
            server.add(NAME, "A", address, ttl=1)
            names.resolve(NAME)
            clock.now += 100
        server.faults[NAME] = "servfail"
        assert names.resolve(NAME).at_address.addresses == (V4,)
        clock.now += 3600
        with pytest.raises(NameSourceError):
            names.resolve(NAME)


def test_a_route(monkeypatch):
    assert has_route("127.0.0.1")

    class Unreachable(socket.socket):
        def connect(self, _: object) -> None:
            raise OSError

    monkeypatch.setattr(socket, "socket", Unreachable)
    assert not has_route("127.0.0.1")
