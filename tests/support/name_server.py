"""A name server on loopback, over UDP and TCP, with scripted answers and faults."""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

__all__ = ["NameServer", "name_server"]

Fault = Literal["servfail", "silence", "truncated", "garbage", "no chain"]


def _one_port_twice() -> tuple[socket.socket, socket.socket]:
    """Sockets for UDP and TCP at one port, which may be free in only one of them."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
        else:
            return udp, tcp


class NameServer:
    """Follows CNAME chains as a resolver does. Tests set ``records`` and ``faults``, and read
    ``queries``."""

    def __init__(self) -> None:
        # (name, type) -> the TTL and the values.
        self.records: dict[tuple[str, str], tuple[int, list[str]]] = {}
        # (name, type) -> values, and how often each query draws them; TTL 1 s.
        self.weighted: dict[tuple[str, str], dict[tuple[str, ...], int]] = {}
        self.random = random.Random(1)
        # The fault for queries of a name, or of one of its types.
        self.faults: dict[str | tuple[str, str], Fault] = {}
        # Name, type and transport.
        self.queries: list[tuple[str, str, str]] = []
        self._udp, self._tcp = _one_port_twice()
        self.port: int = self._tcp.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._threads = [
            threading.Thread(target=self._serve_udp),
            threading.Thread(target=self._serve_tcp),
        ]
        for thread in self._threads:
            thread.start()

    def add(self, name: str, kind: str, *values: str, ttl: int = 60) -> None:
        self.records[name, kind] = ttl, list(values)

    def remove(self, name: str) -> None:
        self.records = {key: value for key, value in self.records.items() if key[0] != name}

    def asked(self, name: str) -> int:
        """The number of queries for a name's addresses, in either family."""
        return sum(query[:2] == (name, "A") for query in self.queries)

    def _serve_udp(self) -> None:
        while True:
            data, sender = self._udp.recvfrom(65535)
            if not data:
                return
            answer = self._answer(data, "udp")
            if answer is not None:
                self._udp.sendto(answer, sender)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with connection, suppress(OSError, struct.error):  # The client may disconnect.
                connection.settimeout(10)
                (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
                answer = self._answer(connection.recv(length, socket.MSG_WAITALL), "tcp")
                if answer is not None:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, data: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, kind, transport))
        fault = self.faults.get(name) or self.faults.get((name, kind))
        if fault == "silence":
            return None
        if fault == "garbage":
            return data[:2] + b"\xff" * 30
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if fault == "servfail":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif fault == "truncated" and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind, follow=fault != "no chain")
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str, *, follow: bool) -> None:
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            known = {**self.records, **self.weighted}
            wanted = kind if (name, kind) in known else "CNAME"
            ttl, values = self._values(name, wanted)
            if not values:
                if not any(each == name for each, _ in known):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                return
            response.answer.append(dns.rrset.from_text(f"{name}.", ttl, "IN", wanted, *values))
            if wanted == kind or not follow:
                return
            name = values[0].removesuffix(".").lower()

    def _values(self, name: str, kind: str) -> tuple[int, list[str]]:
        weighted = self.weighted.get((name, kind))
        if weighted is None:
            return self.records.get((name, kind), (0, []))
        (drawn,) = self.random.choices(list(weighted), list(weighted.values()))
        return 1, list(drawn)

    def close(self) -> None:
        # close() alone does not wake a blocked accept(), nor any recvfrom().
        self._tcp.shutdown(socket.SHUT_RDWR)
        self._tcp.close()
        self._udp.sendto(b"", ("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join(20)
        self._udp.close()


@contextmanager
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    try:
        yield server
    finally:
        server.close()
