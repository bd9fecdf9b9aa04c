"""No signature is ever torn: not across seconds, days, hosts, nor changes of credentials."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache

import httpx
import pytest

from lattice_client import Credentials, LatticeAuth
from lattice_client.signing import SigV4Signer
from support import canary

SIGNATURES = pytest.mark.parametrize(
    "signatures", [30_000, pytest.param(300_000, marks=pytest.mark.long)]
)
THREADS = 4
HOSTS = ("orders.example.com", "127.0.0.1:80", "[::1]:8080")


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    """Threads take turns every 10 µs, several times within one signature."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def in_threads(work: Callable[[int], object]) -> None:
    """Runs ``work(number)`` in all threads at once; the first failure is raised here."""
    failures: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            start.wait(20)
            work(number)
        except BaseException as failure:  # noqa: BLE001 it is raised below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@SIGNATURES
def test_one_signer_across_seconds_days_and_hosts(signatures):
    credentials = canary.credentials()
    signer = SigV4Signer(credentials, "eu-west-1")
    moments = (1_440_938_160, 1_440_938_161, 1_440_938_159, 1_440_938_160 + 86_400)
    expected = [
        (now, host, SigV4Signer(credentials, "eu-west-1").sign("GET", host, "/a?c=1&b=2", now=now))
        for now in moments
        for host in HOSTS
    ]

    def work(number: int) -> None:
        for i in range(signatures // THREADS):
            # A run of the same, then the next: neighbours differ in the second, the day or both.
            now, host, signed = expected[(i // 7 + number) % len(expected)]
            assert signer.sign("GET", host, "/a?c=1&b=2", now=now) == signed

    in_threads(work)


class Rotating:
    """A provider whose credentials change at every few calls, in whichever thread."""

    def __init__(self) -> None:
        self.generations = [
            Credentials(f"AKIDGENERATION{n}", f"secret{n}", f"token{n}" if n % 3 else None)
            for n in range(5)
        ]
        self.calls = 0

    def peek(self) -> Credentials:
        self.calls += 1
        return self.generations[self.calls // 3 % len(self.generations)]

    get = peek


@SIGNATURES
def test_one_auth_object_while_credentials_rotate(signatures):
    provider = Rotating()
    auth = LatticeAuth(region="eu-west-1", credentials=provider)
    by_key = {generation.access_key: generation for generation in provider.generations}

    @cache
    def expected(access_key: str, amz_date: str, host: str) -> dict[str, str]:
        """What a signer of its own makes of the request for these credentials."""
        now = datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        signer = SigV4Signer(by_key[access_key], "eu-west-1")
        return {k.lower(): v for k, v in signer.sign("GET", host, "/a?c=1&b=2", now=now).items()}

    def work(number: int) -> None:
        request = httpx.Request("GET", f"https://{HOSTS[number % 3]}/a?c=1&b=2")
        host = request.headers["host"]
        for _ in range(signatures // 4 // THREADS):
            headers = auth(request).headers
            key = headers["authorization"].partition("Credential=")[2].partition("/")[0]
            signed = expected(key, headers["x-amz-date"], host)
            ours = {
                name: value
                for name, value in headers.items()
                if name.startswith("x-amz-") or name == "authorization"
            }
            assert ours == signed

    in_threads(work)
    assert provider.calls > signatures // 4
