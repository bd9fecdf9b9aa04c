"""Which names get no signature by their spelling, and the log of all reasons."""

from __future__ import annotations

import logging
import socket
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis.strategies import text

from lattice_client import Endpoint, NameSourceError
from lattice_client._auth.unsigned_requests import UnsignedRequests
from lattice_client._wire.unsigned_mark import unsigned_mark
from lattice_client.names import DnsNames, Names
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.remarks import remark
from lattice_client.names.source import alias_endpoint
from lattice_client.names.unsigned import (
    Reason,
    Unsigned,
    by_call,
    by_names,
    by_redirect,
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


def by_answer(reason: Any, host: str = "a") -> Unsigned:
    return by_names(host, Endpoint(host, source="DNS: x", is_lattice=False, reason=reason))


NETWORKS = "DnsNames(networks=[…])"
REASONS = [
    (by_answer("unknown"), "INFO", "DNS: x; if it is VPC Lattice's, give names a source"),
    (by_answer("uncertain"), "WARNING", "DNS: x; mend that"),
    (by_answer("disagreement"), "WARNING", "mend the one that is wrong"),
    (by_answer("foreign address"), "INFO", "give names a source that knows it"),
    (by_answer("private address"), "INFO", NETWORKS),
    (by_answer("unlisted network"), "WARNING", NETWORKS),
    (by_answer("mixed addresses"), "WARNING", "a client of lattice_client.requests"),
    (by_answer("foreign target"), "INFO", "give names a source that knows it"),
    (by_answer("resource"), "WARNING", "call it without an auth object"),
    (by_answer(None), "INFO", "give names a source that knows it"),
    (by_answer("unknown", SERVICE), "WARNING", "give names a source that knows it"),
    (
        by_answer("unknown", "orders.vpc-lattice-svcs.aws"),
        "WARNING",
        "names end in .vpc-lattice-svcs.REGION.on.aws",
    ),
    (by_names("a", Endpoint("a")), "INFO", "names say that it is not VPC Lattice's"),
    (by_spelling(RESOURCE, "resource"), "WARNING", "the resource's owner would get"),
    (by_spelling(LOOK_ALIKES[0], "look-alike"), "WARNING", "name it in hosts=[…]"),
    (by_scope("a.x", "a.x", ["b.x"], is_named=False), "INFO", "none of hosts=['b.x'];"),
    (by_scope(SERVICE, SERVICE, ["b.x"], is_named=False), "WARNING", "none of hosts=['b.x'];"),
    (by_scope("a.x", "c.x", ["a.x"], is_named=True), "WARNING", "c.x in its URL is none of"),
    (by_redirect("a.x", "redirect"), "INFO", "call that URL itself"),
    (by_redirect("a.x", "redirect to http"), "WARNING", "X-Forwarded-Proto"),
    (by_redirect("a.x", "redirect of a hook"), "INFO", "lattice_client.requests.Session"),
    (by_call("a.x"), "INFO", "auth=None"),
]


def test_there_is_no_other_reason():
    assert {unsigned.reason for unsigned, *_ in REASONS} == set(get_args(Reason))


@pytest.mark.parametrize(("unsigned", "level", "said"), REASONS, ids=range(len(REASONS)))
def test_every_reason_is_said_once(unsigned, level, said, caplog):
    caplog.set_level(logging.INFO)
    log = UnsignedRequests()
    log.log(unsigned)
    log.log(unsigned._replace(host=unsigned.host.upper(), why="DNS: y"))
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


def test_a_reason_is_put_together_once_for_each_answer(caplog):
    """A program that calls other hosts all day pays for a look into a dictionary."""
    caplog.set_level(logging.INFO)
    requests, endpoint, made = UnsignedRequests(), Endpoint("a", is_lattice=False), []

    def reason() -> Unsigned:
        made.append(by_names("a", endpoint))
        return made[-1]

    outs = [SimpleNamespace(request=SimpleNamespace()) for _ in range(3)]
    for out in outs:
        requests.note(out, "a", endpoint, reason)
    assert len(made) == len(caplog.records) == 1
    assert all(unsigned_mark(out.request) is made[0] for out in outs)
    requests.note(outs[0], "a", Endpoint("a", is_lattice=False), reason)
    assert (len(made), len(caplog.records)) == (2, 1)


def test_beyond_so_many_hosts_all_are_forgotten(monkeypatch):
    monkeypatch.setattr("lattice_client._auth.unsigned_requests._MAX_KEPT", 2)
    requests, out = UnsignedRequests(), SimpleNamespace(request=SimpleNamespace())
    for host in "abca":
        requests.note(out, host, None, lambda host=host: by_call(host))
    assert unsigned_mark(out.request) == by_call("a")
    assert len(requests._kept) == 2


class Says:
    """A source with one answer, or a remark."""

    def __init__(self, found: Endpoint | None) -> None:
        self.found = found

    def find(self, name: str, now: float) -> Endpoint | None:
        if self.found is None:
            remark("Route 53: a zone may not be read")
        return self.found


class Fails:
    def find(self, name: str, now: float) -> Endpoint | None:
        raise NameSourceError("Route 53: no answer")


NAME, LATTICES, FOREIGN, PRIVATE = "a.example", "169.254.171.33", "93.184.216.34", "10.0.16.5"
NO = Endpoint(NAME, source="Consul", is_lattice=False)
# The sources, what DNS answers (the end of the CNAMEs, and addresses), and the reason.
ANSWERS: list[tuple[list[Any], str, list[str], Any]] = [
    ([{}], "", [], "unknown"),
    ([DnsNames()], "", [], "unknown"),
    ([Says(None)], "", [], "uncertain"),
    ([Says(None), DnsNames()], "", [FOREIGN], "uncertain"),
    ([Fails(), Says(NO)], "", [], "uncertain"),
    ([DnsNames()], "", [FOREIGN], "foreign address"),
    ([DnsNames()], "", ["127.0.0.1"], "foreign address"),
    ([DnsNames()], "", ["fe80::1"], "foreign address"),
    ([DnsNames()], "", [PRIVATE], "private address"),
    ([DnsNames()], "", ["fd12::5"], "private address"),
    ([DnsNames()], SERVICE, [PRIVATE], "unlisted network"),
    ([DnsNames()], "", [LATTICES, PRIVATE], "mixed addresses"),
    ([Says(None), DnsNames()], "", [LATTICES, PRIVATE], "mixed addresses"),
    ([DnsNames()], RESOURCE, [LATTICES], "resource"),
    ([Says(NO)], "", [], None),
    ([{NAME: {"is_lattice": False}}], "", [], None),
]
STRICT: list[tuple[list[Any], str, list[str], Any]] = [
    ([{NAME: "eu-west-1"}, DnsNames()], "", [PRIVATE], "disagreement"),
    ([{NAME: "eu-west-1"}, DnsNames()], "", [], "disagreement"),
    ([{NAME: "eu-west-1"}, DnsNames()], "", [LATTICES, PRIVATE], "mixed addresses"),
    ([{NAME: "eu-west-1"}, DnsNames()], RESOURCE, [LATTICES], "resource"),
]


@pytest.mark.parametrize(
    ("sources", "canonical", "addresses", "reason", "strict"),
    [(*answer, False) for answer in ANSWERS] + [(*answer, True) for answer in STRICT],
)
def test_the_reason_of_an_answer(sources, canonical, addresses, reason, strict, monkeypatch):
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, canonical, (each, 0)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    found = Names(*sources, strict=strict).resolve(NAME)
    assert not found.is_lattice
    assert found.reason == reason
    assert found.source


def test_the_reason_of_an_alias():
    assert alias_endpoint(NAME, RESOURCE, "Route 53", 0, "kept").reason == "resource"
    assert alias_endpoint(NAME, "lb.example", "Cloud Map", 0, "kept").reason == "foreign target"
