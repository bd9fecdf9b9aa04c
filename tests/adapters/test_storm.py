"""A service that fails under fifty workers is not overloaded, and all recover with it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.requests
from lattice_client import LatticeAuth, RetryPolicy
from support import canary
from support.asynchronous import closing
from support.raw_server import OK, RawRequest, raw_server

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
WORKERS = 50
# Each call waits this long, so that the fifty do not keep two cores busy. In seconds.
THINK = 0.05
QUICK = RetryPolicy(base=0.01, cap=0.05)


class Service:
    """Fails for a while, and until all have called and some again; counts the attempts, and the
    calls by their request ids."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # Known from the first attempt on.
        self._back_at: float | None = None
        self.attempts = 0
        self.calls: set[str | None] = set()
        self._lock = threading.Lock()

    @property
    def failing(self) -> bool:
        return (
            self._back_at is None
            or time.monotonic() < self._back_at
            or (self.too_few and time.monotonic() < self._back_at + 30)
        )

    @property
    def too_few(self) -> bool:
        return not WORKERS < len(self.calls) < self.attempts

    def __call__(self, request: RawRequest) -> bytes:
        if not self.failing:
            return OK
        with self._lock:
            if self._back_at is None:
                self._back_at = time.monotonic() + self._seconds
            self.attempts += 1
            self.calls.add(request.header("x-amzn-requestid"))
        return UNAVAILABLE


def assert_not_hammered(service: Service) -> None:
    assert not service.too_few
    # The full quota allows 40 retries at once; after that, none are left for a host that is down.
    assert service.attempts <= len(service.calls) + 40


def auth() -> LatticeAuth:
    return LatticeAuth(region="us-west-2", credentials=canary.credentials())


def by_requests(url: str, service: Service) -> list[int]:
    """The status of each worker's first call after the service is back."""
    statuses: list[int] = []
    with lattice_client.requests.Session(auth(), retry=QUICK, pool_maxsize=WORKERS) as session:

        def work() -> None:
            while service.failing:
                session.get(url)
                time.sleep(THINK)
            statuses.append(session.get(url).status_code)

        threads = [threading.Thread(target=work) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return statuses


async def _work(service: Service, get) -> int:
    while service.failing:
        await get()
        await asyncio.sleep(THINK)
    return await get()


async def by_httpx(url: str, service: Service) -> list[int]:
    async with lattice_client.httpx.AsyncClient(
        auth=auth(), retry=QUICK, trust_env=False
    ) as client:

        async def get() -> int:
            return (await client.get(url)).status_code

        return await asyncio.gather(*[_work(service, get) for _ in range(WORKERS)])


async def by_aiohttp(url: str, service: Service) -> list[int]:
    async with closing(lattice_client.aiohttp.client_session(auth(), retry=QUICK)) as session:

        async def get() -> int:
            async with session.get(url) as response:
                return response.status

        return await asyncio.gather(*[_work(service, get) for _ in range(WORKERS)])


CALLERS = {
    "requests": by_requests,
    "httpx": lambda *arguments: asyncio.run(by_httpx(*arguments)),
    "aiohttp": lambda *arguments: asyncio.run(by_aiohttp(*arguments)),
}


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
@pytest.mark.parametrize(
    "seconds", [2, pytest.param(30, marks=pytest.mark.long)], ids="{} s".format
)
def test_a_storm(caller, seconds):
    service = Service(seconds)
    with raw_server(service) as server:
        statuses = caller(server.url, service)
    print(f"{service.attempts} attempts of {len(service.calls)} calls")
    assert statuses == [200] * WORKERS
    assert_not_hammered(service)
