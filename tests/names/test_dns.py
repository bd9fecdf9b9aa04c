"""DNS, asked over real sockets."""

from __future__ import annotations

import errno
import math
import pickle
import socket
import subprocess
import sys

import pytest

from lattice_client import ConfigurationError, NameSourceError
from lattice_client.names import DnsNames, ManagedNames, Names
from support.name_server import name_server

MANAGED = "orders-0a1b.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
NAME = "orders.example.com"
V4, V6 = "169.254.171.33", "fd00:ec2:80::a9fe:ab21"


@pytest.fixture
def dns(server) -> DnsNames:
    return DnsNames(nameservers=[server.address], timeout=10)


@pytest.fixture
def impatient(server) -> DnsNames:
    return DnsNames(nameservers=[server.address], timeout=0.3)


class TestAnswers:
    def test_an_alias_shows_addresses_alone(self, server, dns):
        server.add(NAME, "A", V4, "169.254.171.34", ttl=60)
        found = dns.find(NAME, 1000)
        assert found.is_lattice
        assert (found.host, found.region, found.managed_name) == (NAME, None, None)
        assert found.expires_at == 1060

    @pytest.mark.parametrize("families", [("A",), ("AAAA",), ("A", "AAAA")])
    def test_either_family_or_both(self, families, server, dns):
        for kind in families:
            server.add(NAME, kind, {"A": V4, "AAAA": V6}[kind], ttl={"A": 60, "AAAA": 20}[kind])
        found = dns.find(NAME, 1000)
        assert found.is_lattice
        assert found.expires_at == (1020 if "AAAA" in families else 1060)

    def test_a_chain_tells_the_region_and_the_shortest_ttl_counts(self, server, dns):
        server.add(NAME, "CNAME", "Lattice.internal.example.com.", ttl=300)
        server.add("lattice.internal.example.com", "CNAME", f"{MANAGED.upper()}.", ttl=30)
        server.add(MANAGED, "A", V4, ttl=60)
        found = dns.find(NAME, 1000)
        assert found[:8] == (NAME, "eu-west-1", None, MANAGED, None, "DNS", 1030, True)

    def test_a_chain_that_the_server_has_followed_costs_one_query_a_family(self, server, dns):
        server.add(NAME, "CNAME", f"{MANAGED}.")
        server.add(MANAGED, "A", V4)
        server.add(MANAGED, "AAAA", V6)
        assert dns.find(NAME, 0).managed_name == MANAGED
        assert server.queries == [(NAME, "A", "udp"), (NAME, "AAAA", "udp")]

    def test_a_chain_for_aliases_alone(self, server):
        server.add(NAME, "CNAME", f"{MANAGED}.")
        server.add(MANAGED, "AAAA", V6)
        found = DnsNames(nameservers=[server.address], host="managed").find(NAME, 0)
        assert (found.host, found.managed_name) == (MANAGED, MANAGED)

    @pytest.mark.parametrize(
        ("kind", "address", "connect_to"),
        [("A", V4, V4), ("AAAA", V6, f"[{V6}]"), ("A", "10.0.0.7", "10.0.0.7")],
    )
    def test_connecting_to_the_very_address_judged(self, kind, address, connect_to, server):
        server.add(NAME, kind, address)
        dns = DnsNames(nameservers=[server.address], connect="address")
        found = dns.find(NAME, 0)
        assert (found.host, found.connect_to) == (NAME, connect_to)
        assert found.is_lattice == (address != "10.0.0.7")
        written = Names({NAME: "eu-west-1"}, dns, strict=True).resolve(NAME)
        assert written.connect_to == connect_to

    def test_a_server_that_leaves_the_rest_of_the_chain_to_others(self, server, dns):
        server.add(NAME, "CNAME", f"{MANAGED}.", ttl=10)
        server.add(MANAGED, "A", V4)
        server.faults[NAME] = "no chain"
        found = dns.find(NAME, 0)
        assert found.is_lattice
        assert (found.managed_name, found.expires_at) == (MANAGED, 10)
        asked = [(name, kind) for kind in ("A", "AAAA") for name in (NAME, MANAGED)]
        assert [query[:2] for query in server.queries] == asked

    def test_a_truncated_answer_is_asked_for_over_tcp(self, server, dns):
        server.add(NAME, "A", *(f"169.254.171.{n}" for n in range(1, 200)))
        server.faults[NAME] = "truncated"
        assert dns.find(NAME, 0).is_lattice
        assert (NAME, "A", "tcp") in server.queries

    def test_no_such_name(self, server, dns):
        server.add("other.example.com", "A", V4)
        assert dns.find(NAME, 0) is None

    def test_a_name_without_addresses(self, server, dns):
        server.add(NAME, "TXT", '"hello"')
        assert dns.find(NAME, 0) is None

    def test_a_chain_that_ends_in_nothing(self, server, dns):
        server.add(NAME, "CNAME", "gone.example.com.")
        assert dns.find(NAME, 0) is None


class TestWhatIsNotBelieved:
    @pytest.mark.parametrize(
        "address", ["93.184.216.34", "10.0.3.7", "169.254.172.1", "127.0.0.1", "129.224.1.1"]
    )
    def test_a_public_or_any_other_address(self, address, server, dns):
        server.add(NAME, "A", address)
        found = dns.find(NAME, 0)
        assert not found.is_lattice
        assert found.source == f"DNS: {address} is not an address of Lattice's"

    @pytest.mark.parametrize(
        "address",
        ["2606:2800:21f:cb07::1", "fd00:ec2:81::1", "::1", f"::ffff:{V4}", "fd00:ec2::253"],
    )
    def test_an_address_of_the_other_family(self, address, server, dns):
        server.add(NAME, "AAAA", address)
        assert not dns.find(NAME, 0).is_lattice

    def test_one_foreign_address_among_lattices(self, server, dns):
        server.add(NAME, "A", V4, "93.184.216.34")
        assert not dns.find(NAME, 0).is_lattice
        server.add(NAME, "A", V4)
        server.add(NAME, "AAAA", "2606:2800:21f:cb07::1")
        assert not dns.find(NAME, 0).is_lattice

    def test_a_chain_to_a_foreign_host(self, server, dns):
        server.add(NAME, "CNAME", "cdn.evil.example.")
        server.add("cdn.evil.example", "A", "93.184.216.34")
        assert not dns.find(NAME, 0).is_lattice

    @pytest.mark.parametrize(
        "target", [f"{MANAGED}.evil.example", "vpc-lattice-svcs.eu-west-1.on.aws"]
    )
    def test_a_chain_to_what_only_looks_managed_tells_no_region(self, target, server, dns):
        server.add(NAME, "CNAME", f"{target}.")
        server.add(target, "A", V4)
        found = dns.find(NAME, 0)
        assert found.is_lattice
        assert (found.host, found.region, found.managed_name) == (NAME, None, None)

    def test_a_chain_to_a_managed_name_does_not_make_up_for_the_address(self, server, dns):
        server.add(NAME, "CNAME", f"{MANAGED}.")
        server.add(MANAGED, "A", "93.184.216.34")
        assert not dns.find(NAME, 0).is_lattice

    def test_a_service_network_endpoint_has_addresses_of_ones_own_subnets(self, server, dns):
        endpoint = "vpce-0a1b-snsa-2c3d.4e5f.vpc-lattice-svcs.eu-west-1.on.aws"
        server.add(NAME, "CNAME", f"{endpoint}.")
        server.add(endpoint, "A", "10.0.16.9")
        assert not dns.find(NAME, 0).is_lattice
        told = DnsNames(nameservers=[server.address], networks=["10.0.16.0/24"]).find(NAME, 0)
        assert told.is_lattice
        assert (told.host, told.region, told.managed_name) == (NAME, "eu-west-1", endpoint)


class TestStrict:
    def test_a_managed_name_with_a_poisoned_address_is_not_lattices(self, server, dns):
        server.add(MANAGED, "A", "93.184.216.34")
        assert Names(ManagedNames(), dns).resolve(MANAGED).is_lattice
        told = Names(ManagedNames(), dns, strict=True).resolve(MANAGED)
        assert not told.is_lattice
        assert "93.184.216.34" in told.source

    def test_a_written_down_name_too_by_the_name_that_is_called(self, server, dns):
        server.add(NAME, "A", V4)
        server.add(MANAGED, "A", "93.184.216.34")
        assert not Names({NAME: MANAGED}, dns, strict=True).resolve(NAME).is_lattice
        assert Names({NAME: "eu-west-1"}, dns, strict=True).resolve(NAME).is_lattice

    def test_who_has_found_a_name_is_not_asked_to_confirm_it(self, server, dns):
        server.add(NAME, "A", V4)
        assert Names(dns, strict=True).resolve(NAME).is_lattice
        assert server.asked(NAME) == 1

    def test_a_name_that_leads_nowhere(self, dns):
        assert not Names({NAME: "eu-west-1"}, dns, strict=True).resolve(NAME).is_lattice

    def test_what_is_confirmed_holds_as_long_as_dns_says(self, server, dns, clock):
        server.add(MANAGED, "A", V4, ttl=20)
        names = Names(ManagedNames(), dns, strict=True, clock=clock)
        assert names.resolve(MANAGED).expires_at == clock.now + 20
        server.add(MANAGED, "A", "93.184.216.34")
        clock.now += 21
        assert not names.resolve(MANAGED).is_lattice

    def test_an_address_to_connect_to_is_not_checked(self, server, dns):
        names = Names({NAME: "eu-west-1@127.0.0.1:80"}, dns, strict=True)
        assert names.resolve(NAME).is_lattice
        assert not server.queries

    def test_what_cannot_be_confirmed_is_not_said(self, server, dns):
        server.faults[NAME] = "servfail"
        with pytest.raises(NameSourceError, match="SERVFAIL"):
            Names({NAME: "eu-west-1"}, dns, strict=True).resolve(NAME)


class TestFailures:
    @pytest.mark.parametrize(
        ("fault", "said"),
        [("servfail", "SERVFAIL"), ("silence", "timed out|Lifetime"), ("garbage", "DNS: orders")],
    )
    def test_no_answer_is_no_answer(self, fault, said, server, dns, impatient):
        server.add(NAME, "A", V4)
        server.faults[NAME] = fault
        with pytest.raises(NameSourceError, match=said):
            (dns if fault == "servfail" else impatient).find(NAME, 0)

    @pytest.mark.parametrize("dead", ["A", "AAAA"])
    @pytest.mark.parametrize("fault", ["servfail", "silence"])
    def test_a_dead_family_does_not_matter_where_the_other_answers(self, dead, fault, server):
        server.add(NAME, "A", V4)
        server.add(NAME, "AAAA", V6)
        server.faults[NAME, dead] = fault
        dns = DnsNames(nameservers=[server.address], timeout=1.5 if fault == "silence" else 10)
        assert dns.find(NAME, 0).is_lattice

    @pytest.mark.parametrize("fault", [None, "no chain"])
    def test_a_loop_has_no_end(self, fault, server, dns):
        server.add(NAME, "CNAME", "b.example.com.")
        server.add("b.example.com", "CNAME", "c.example.com.")
        server.add("c.example.com", "CNAME", f"{NAME}.")
        for name in (NAME, "b.example.com", "c.example.com"):
            if fault:
                server.faults[name] = fault
        with pytest.raises(NameSourceError, match=r"orders\.example\.com A: .*(?i:chain)"):
            dns.find(NAME, 0)

    def test_a_chain_without_end_ends(self, server, dns):
        for n in range(40):
            server.add(f"n{n}.example.com", "CNAME", f"n{n + 1}.example.com.")
            server.faults[f"n{n}.example.com"] = "no chain"
        with pytest.raises(NameSourceError, match="no end"):
            dns.find("n0.example.com", 0)

    def test_an_error_of_the_socket(self, dns, monkeypatch):
        """dnspython turns most of them into its own errors, and does not promise it."""
        import dns.resolver as dnspython

        def resolve(*_: object, **__: object) -> None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        monkeypatch.setattr(dnspython.Resolver, "resolve", resolve)
        with pytest.raises(NameSourceError, match=r"orders\.example\.com A: .*unreachable"):
            dns.find(NAME, 0)

    def test_no_server(self):
        with name_server() as gone:
            dns = DnsNames(nameservers=[gone.address], timeout=0.3)
        with pytest.raises(NameSourceError, match=r"orders\.example\.com"):
            dns.find(NAME, 0)


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"nameservers": "127.0.0.1"},
            {"nameservers": ["dns.example.com"]},
            {"nameservers": ["127.0.0.1:http"]},
            {"nameservers": ["127.0.0.1"], "via": "system"},
            {"via": "magic"},
            {"timeout": 0},
            {"timeout": math.nan},
            {"ttl": 0},
            {"ttl": math.nan},
            {"networks": "10.0.0.0/8"},
            {"networks": ["10.0.0.1/8"]},
            {"connect": "both"},
            {"host": "both"},
        ],
        ids=repr,
    )
    def test_what_cannot_work(self, wrong):
        with pytest.raises(ConfigurationError):
            DnsNames(**wrong)

    @pytest.mark.parametrize(
        ("given", "address"),
        [
            ("10.0.0.2", ("10.0.0.2", 53)),
            ("10.0.0.2:5353", ("10.0.0.2", 5353)),
            ("fd00:ec2::253", ("fd00:ec2::253", 53)),
            ("[fd00:ec2::253]", ("fd00:ec2::253", 53)),
            ("[fd00:ec2::253]:5353", ("fd00:ec2::253", 5353)),
        ],
    )
    def test_a_name_server(self, given, address):
        assert DnsNames(nameservers=[given])._nameservers == (address,)

    def test_it_pickles(self, server, dns):
        server.add(NAME, "A", V4)
        assert pickle.loads(pickle.dumps(dns)).find(NAME, 0).is_lattice

    def test_without_dnspython(self):
        code = """
import sys
sys.modules["dns"] = None
from lattice_client import MissingExtraError
from lattice_client.names import DnsNames, Names
assert not Names(DnsNames()).resolve("localhost").is_lattice
names = Names(DnsNames(nameservers=["127.0.0.1"]))
for _ in range(2):
    try:
        names.resolve("orders.example.com")
    except MissingExtraError as error:
        print(error.extra, error)
"""
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert result.stdout.count("dns dnspython is not installed") == 2


class TestTheSystemsResolver:
    def test_real_answers(self):
        assert not DnsNames().find("localhost", 0).is_lattice
        local = DnsNames(networks=["127.0.0.0/8", "::1/128"], ttl=7)
        assert local.find("localhost", 1000)[:2] == ("localhost", None)
        assert local.find("localhost", 1000).expires_at == 1007

    def test_a_name_that_is_not_there(self, monkeypatch):
        def getaddrinfo(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert DnsNames().find("no-such-host.invalid", 0) is None

    def test_a_label_that_it_cannot_encode(self):
        with pytest.raises(NameSourceError):
            DnsNames().find("a" * 64 + ".example", 0)

    @pytest.mark.parametrize(
        ("name", "canonical"),
        [
            (NAME, (f"{MANAGED.upper()}.", "")),
            (NAME, ("", MANAGED)),
            # Without any, the name itself is what the addresses belong to.
            (MANAGED, ("", "")),
        ],
    )
    def test_its_canonical_name_tells_the_region(self, name, canonical, monkeypatch):
        def getaddrinfo(asked: str, *_: object, **__: object) -> list[tuple[object, ...]]:
            assert asked == name
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, canonical[0], (V6, 0, 0, 0)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, canonical[1], (V4, 0)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert DnsNames().find(name, 0)[:4] == (name, "eu-west-1", None, MANAGED)

    @pytest.mark.parametrize("error", [socket.EAI_AGAIN, socket.EAI_FAIL])
    def test_its_failures(self, error, monkeypatch):
        def getaddrinfo(*_: object, **__: object) -> None:
            raise socket.gaierror(error, "Try again later")

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        with pytest.raises(NameSourceError, match="Try again later"):
            DnsNames().find(NAME, 0)
