"""One auth object that signs for many hosts in turn, without an HTTP library around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from benchmarks.contenders import METHOD, credentials, host
from benchmarks.rounds import Rounds, measure, timed
from lattice_client import LatticeAuth
from lattice_client.auth import request_signer

__all__ = ["MANY", "ONE", "run"]

ONE, MANY = "1 host", "10,000 hosts"
_HOSTS = {ONE: 1, "33 hosts": 33, "257 hosts": 257, MANY: 10_000}
_CALLS = 250


class _Request:
    """A request of no library (``lattice_client._wire.request.SignableRequest``)."""

    request = None
    has_response_hooks = False
    scheme = "https"
    method = METHOD
    signer = None
    offset = 0.0
    endpoint = None
    judged = None

    def __init__(self, number: int, hosts: int) -> None:
        self.host = host(number % hosts)
        self.target = f"/orders/{number}?page={number % 50}&status=open{number}"

    def has_own_host(self) -> bool:
        return False

    def own_authorization(self) -> None:
        return None

    def authority(self) -> str:
        return self.host

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        del names
        return []

    def set_headers(self, headers: dict[str, str]) -> None:
        self.headers = headers


def run(rounds: int) -> Rounds:
    """Measure one auth object for each number of hosts. The region is in each host's name."""

    def burst(hosts: int) -> Callable[[], float]:
        sign = request_signer(LatticeAuth(credentials=credentials())).sign
        numbers = itertools.count()
        return lambda: timed(
            sign, [_Request(number, hosts) for number in itertools.islice(numbers, _CALLS)]
        )

    return measure({name: burst(hosts) for name, hosts in _HOSTS.items()}, rounds)
