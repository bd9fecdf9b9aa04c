"""An estate that moves from an ALB to Lattice by weighted records, on loopback.

Two servers at one port, on different addresses, and a name server that draws an answer for each
query. The system's resolver, which HTTP libraries ask, asks the same name server.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dns.resolver

from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.name_server import NameServer

if TYPE_CHECKING:
    import pytest

__all__ = ["ALB", "ALB_V6", "FRIENDLY", "LATTICE", "NETWORKS", "Estate", "estate", "system_dns"]

FRIENDLY = "payments.internal.example.com"
ALB, ALB_V6 = "127.0.0.1", "::1"
LATTICE = "127.0.0.2"
# What stands in for Lattice's own addresses.
NETWORKS = ["127.0.0.2/32"]
REGION = "us-west-2"


class Estate:
    """:param alb: the old target, at each of its addresses."""

    def __init__(self, lattice: RunningLattice, alb: list[RunningLattice], ca_file: str) -> None:
        self.lattice = lattice
        self.alb = alb
        self.ca_file = ca_file
        self.url = f"{lattice.scheme}://{FRIENDLY}:{lattice.port}/"

    def counts(self) -> dict[str, int]:
        """How many calls reached each server, signed and unsigned, since the last count."""
        at_lattice = [bool(seen.verified) for seen in self.lattice.requests]
        at_alb = [
            any(
                name.lower() == b"authorization" or name.lower().startswith(b"x-amz-")
                for name, _ in seen.headers
            )
            for running in self.alb
            for seen in running.requests
        ]
        for running in (self.lattice, *self.alb):
            running.lattice.clear()
        return {
            "signed to Lattice": at_lattice.count(True),
            "unsigned to Lattice": at_lattice.count(False),
            "signed to the ALB": at_alb.count(True),
            "unsigned to the ALB": at_alb.count(False),
        }


def _server(auth_type: str) -> LocalLattice:
    lattice = LocalLattice(region=REGION)
    lattice.add_service("payments", domain=FRIENDLY, auth_type=auth_type)
    lattice.add_caller("orders-frontend", credentials=canary.credentials())
    return lattice


@contextmanager
def estate(directory: Path, *, tls: bool) -> Iterator[Estate]:
    ca_file = directory / "authorities.pem"
    with (
        serve(_server("AWS_IAM"), host=LATTICE, tls=tls) as lattice,
        serve(_server("NONE"), host=ALB, port=lattice.port, tls=tls) as v4,
        serve(_server("NONE"), host=ALB_V6, port=lattice.port, tls=tls) as v6,
    ):
        servers = (lattice, v4, v6) if tls else ()
        ca_file.write_text("".join(Path(each.ca_file).read_text() for each in servers))
        yield Estate(lattice, [v4, v6], str(ca_file) if tls else "")


def system_dns(server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the system's resolver ask the name server, once for each call, for the friendly name."""
    resolve = socket.getaddrinfo
    stub = dns.resolver.Resolver(configure=False)
    stub.nameservers, stub.port = ["127.0.0.1"], server.port

    def getaddrinfo(host, port, family=0, *arguments, **named):
        name = host.decode() if isinstance(host, bytes) else host
        if name != FRIENDLY:
            return resolve(host, port, family, *arguments, **named)
        kinds = {socket.AF_INET: ("A",), socket.AF_INET6: ("AAAA",)}.get(family, ("AAAA", "A"))
        found = []
        for kind in kinds:
            try:
                answer = stub.resolve(name, kind, raise_on_no_answer=False, search=False)
            except dns.resolver.NoNameservers:
                continue  # as glibc: the other family's answer is used
            for record in answer.rrset or ():
                found += resolve(record.address, port, 0, *arguments, **named)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
