"""Which names get no signature by their spelling, and the log of all reasons."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis.strategies import text

from lattice_client import Endpoint
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.unsigned import (
    Unsigned,
    UnsignedLog,
    by_names,
    by_scope,
    by_spelling,
    unsignable,
)

SERVICE = "orders-0a1b.7d67968.vpc-lattice-svcs.us-west-2.on.aws"
RESOURCE = "db-0a1b.7d67968.vpc-lattice-rsc.us-west-2.on.aws"
CYRILLIC_A = "\N{CYRILLIC SMALL LETTER A}"
LOOK_ALIKES = [
    f"{SERVICE}.example.com",
    f"{SERVICE}.example.com.:8443",
    f"{SERVICE}.EXAMPLE.com",
    f"{RESOURCE}.example.com",
    f"{SERVICE}.s3.amazonaws.com",
    SERVICE.replace(".aws", f".{CYRILLIC_A}ws"),
    SERVICE.replace(".aws", f".{CYRILLIC_A}ws").encode("idna").decode(),
    SERVICE.replace("lattice", f"l{CYRILLIC_A}ttice"),
    SERVICE.replace("lattice", f"l{CYRILLIC_A}ttice").encode("idna").decode().upper(),
    "orders.vpc-lattice-svcs.us-west-2.aws.evil",
    "orders.vpc-lattice-svcs.example.com",
    "vpc-lattice-svcs.us-west-2",
]
RESOURCES = [
    RESOURCE,
    f"{RESOURCE}.",
    f"{RESOURCE}..",
    f"{RESOURCE.upper()}.:8443",
    RESOURCE.replace(".", "\N{IDEOGRAPHIC FULL STOP}"),
    RESOURCE.replace(".", "\N{FULLWIDTH FULL STOP}"),
    RESOURCE.replace("vpc", "\N{FULLWIDTH LATIN SMALL LETTER V}pc"),
    "vpc-lattice-rsc.us-west-2.on.aws",
    "db.vpc-lattice-rsc.cn-north-1.on.amazonwebservices.com.cn",
    "db.vpc-lattice-rsc.eusc-de-east-1.on.amazonwebservices.eu",
    # As a pattern.
    "*.vpc-lattice-rsc.*.on.aws",
]
LEFT_ALONE = [
    SERVICE,
    f"{SERVICE}.:443",
    SERVICE.upper(),
    "orders.vpc-lattice-svcs.aws",  # an old tutorial's; there is a hint for it elsewhere
    # Suffixes of AWS's that are not published.
    "orders.vpc-lattice-svcs.eusc-de-east-1.on.amazonwebservices.eu",
    "orders.vpc-lattice-svcs.cn-north-1.amazonaws.com.cn",
    "orders-vpc-lattice-svcs.example.com",
    "orders.example.com",
    "b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example",
    "xn--bcher-kva.example",
    "xn--.example",
    "xn--\N{CYRILLIC SMALL LETTER A}.example",
    "xn--99999999999.example",
    "[::1]:8443",
    "127.0.0.1",
    "*",
    "",
]


@pytest.mark.parametrize("host", LOOK_ALIKES, ids=ascii)
def test_a_look_alike(host):
    assert unsignable(host) == "look-alike"


@pytest.mark.parametrize("host", RESOURCES, ids=ascii)
def test_a_resource(host):
    assert unsignable(host) == "resource"


@pytest.mark.parametrize("host", LEFT_ALONE, ids=ascii)
def test_names_that_are_left_alone(host):
    assert unsignable(host) == ""


@given(text())
def test_any_text_has_an_answer(host):
    kind = unsignable(host)
    managed = managed_endpoint(host)
    assert managed is None or kind == ("" if managed.is_lattice else "resource")


def dns(address: str, **more: str) -> Unsigned:
    source = f"DNS: {address} is not an address of Lattice's"
    return by_names("a", Endpoint("a", source=source, is_lattice=False, **more))


REASONS = [
    (by_spelling(RESOURCE, "resource"), "WARNING", "the resource's owner would get"),
    (by_spelling(LOOK_ALIKES[0], "look-alike"), "WARNING", "name it in hosts=[…]"),
    (by_scope("a.example", "a.example", ["b.example"]), "INFO", "none of hosts=['b.example'];"),
    (by_scope("a.example", "c.example", ["a.example"]), "INFO", "or c.example in its URL is none"),
    (by_names("a", Endpoint("a", source="no source knows it")), "INFO", "a source that knows it"),
    (by_names("a", Endpoint("a", source="DNS: x; but y")), "WARNING", "DNS: x; but y"),
    (dns("10.0.16.5"), "INFO", "list the endpoint's subnets in DnsNames(networks=[…])"),
    (dns("fd12::5"), "INFO", "DnsNames(networks=[…])"),
    (dns("10.0.16.5", managed_name=SERVICE), "WARNING", "DnsNames(networks=[…])"),
    (dns("93.184.216.34"), "INFO", "Lattice's; if it is VPC Lattice's, give names a source"),
    (dns("127.0.0.1"), "INFO", "Lattice's; if it is VPC Lattice's, give names a source"),
    (dns("odd"), "INFO", "Lattice's; if it is VPC Lattice's, give names a source"),
    (by_names("a", Endpoint("a")), "INFO", "names say that it is not VPC Lattice's"),
]


@pytest.mark.parametrize(("unsigned", "level", "said"), REASONS, ids=range(len(REASONS)))
def test_every_reason_is_said_once(unsigned, level, said, caplog):
    caplog.set_level(logging.INFO)
    log = UnsignedLog()
    log.note(unsigned)
    log.note(unsigned)
    (told,) = caplog.records
    assert (told.name, told.levelname) == ("lattice_client.unsigned", level)
    assert told.message.startswith(f"requests to {unsigned.host} go out unsigned: ")
    assert said in told.message


@pytest.mark.parametrize(
    ("host", "told"),
    [
        (LOOK_ALIKES[1], LOOK_ALIKES[1]),
        (f"l{CYRILLIC_A}ttice.example:8443", "xn--lttice-3nf.example:8443"),
        (f"l{CYRILLIC_A}ttice.example.", "xn--lttice-3nf.example"),
        (f"l{CYRILLIC_A}ttice .example", r"'l\u0430ttice .example'"),
    ],
    ids=ascii,
)
def test_a_look_alike_does_not_look_alike_in_the_log(host, told):
    assert by_spelling(host, "look-alike").host == told


def test_beyond_so_many_names_all_are_forgotten(monkeypatch, caplog):
    monkeypatch.setattr("lattice_client.names.unsigned._MAX_NAMES", 2)
    caplog.set_level(logging.INFO)
    log = UnsignedLog()
    for host in "abca":
        log.note(by_names(host, Endpoint(host)))
    assert len(log._seen) <= 2
    assert len(caplog.records) == 4
