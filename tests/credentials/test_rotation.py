"""No signature is torn while credentials rotate, and each belongs to one generation."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import httpx
import pytest

from lattice_client import LatticeAuth, RefreshingCredentials
from lattice_client.signing import SigV4Signer
from support.sources import Clock, Source, generation, landed

THREADS = 4


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    """Threads take turns every 10 µs, several times within one signature."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("signatures", [30_000, pytest.param(300_000, marks=pytest.mark.long)])
def test_none_is_torn(signatures):
    clock = Clock()
    source = Source(clock)
    provider = RefreshingCredentials(source, name="the wheel", clock=clock)
    auth = LatticeAuth(region="eu-west-1", credentials=provider)
    auth.prefetch_sync()
    failures: list[BaseException] = []
    used: set[str] = set()
    done = threading.Event()

    @cache
    def expected(access_key: str, amz_date: str) -> dict[str, str]:
        """What another signer makes of the request with this generation."""
        now = datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        number = int(access_key.removeprefix("ASIAGENERATION"))
        signed = SigV4Signer(generation(number), "eu-west-1").sign("GET", "a.example", "/", now=now)
        return {name.lower(): value for name, value in signed.items()}

    def sign() -> None:
        try:
            request = httpx.Request("GET", "https://a.example/")
            for _ in range(signatures // THREADS):
                headers = auth(request).headers
                key = headers["authorization"].partition("Credential=")[2].partition("/")[0]
                ours = {
                    name: value
                    for name, value in headers.items()
                    if name.startswith("x-amz-") or name == "authorization"
                }
                assert ours == expected(key, headers["x-amz-date"])
                used.add(key)
        except BaseException as failure:  # noqa: BLE001 it is raised below
            failures.append(failure)

    def turn() -> None:
        while not done.is_set():
            clock.now += 3000
            provider.peek()
            landed(provider)
            done.wait(0.002)

    threads = [threading.Thread(target=sign) for _ in range(THREADS)]
    wheel = threading.Thread(target=turn)
    for thread in (*threads, wheel):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    wheel.join()
    if failures:
        raise failures[0]
    assert len(used) > 10
