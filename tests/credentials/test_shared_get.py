"""A provider with ``peek()`` and ``get()`` alone is asked once by all that wait for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lattice_client import Credentials, CredentialsError, LatticeAuth
from lattice_client._wire.requests import RequestsRequest
from lattice_client.auth import request_signer
from lattice_client.credentials import shared_get
from support import canary

CALLERS = 12


class Slow:
    """A provider whose first ``get()`` lasts until all others wait for it."""

    def __init__(self, *, keeps: bool = True, fails: int = 0) -> None:
        self.asked = 0
        self._keeps = keeps
        self._fails = fails
        self._held: Credentials | None = None

    def peek(self) -> Credentials | None:
        return self._held

    def get(self) -> Credentials:
        self.asked += 1
        if self.asked == 1:
            wait_for_waiters(self, CALLERS - 1)
        if self.asked <= self._fails:
            raise CredentialsError("the vault is sealed")
        if self._keeps:
            self._held = canary.credentials()
        return canary.credentials()


def wait_for_waiters(provider: object, number: int) -> None:
    tick = threading.Event()
    done = shared_get._running[id(provider)].done
    for _ in range(20_000):
        if len(done._cond._waiters) >= number:
            return
        tick.wait(0.001)
    raise AssertionError("the others do not wait")


def request() -> RequestsRequest:
    import requests

    return RequestsRequest(requests.Request("GET", "http://a.example/").prepare())


def signer(provider: object):
    return request_signer(LatticeAuth(region="us-west-2", credentials=provider))


@pytest.mark.parametrize("keeps", [True, False])
def test_by_threads(keeps):
    provider = Slow(keeps=keeps)
    signing, requests = signer(provider), [request() for _ in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(signing.sign, requests))
    assert provider.asked == 1
    assert all("Authorization" in each.request.headers for each in requests)
    assert not shared_get._running


def test_by_tasks():
    provider = Slow()
    signing, requests = signer(provider), [request() for _ in range(CALLERS)]

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CALLERS))
        await asyncio.gather(*map(signing.sign_async, requests))

    asyncio.run(main())
    assert provider.asked == 1
    assert all("Authorization" in each.request.headers for each in requests)


def test_an_error_is_that_callers_alone():
    provider = Slow(fails=1)
    signing = signer(provider)
    with ThreadPoolExecutor(CALLERS) as pool:
        done = [pool.submit(signing.sign, request()) for _ in range(CALLERS)]
    assert len([each for each in done if each.exception()]) == 1
    assert not shared_get._running


def test_one_that_asks_itself_does_not_wait():
    class Recursive:
        deep = 0

        def peek(self) -> None:
            return None

        def get(self) -> Credentials:
            self.deep += 1
            if self.deep == 1:
                signer(self).sign(request())
            return canary.credentials()

    provider = Recursive()
    signer(provider).sign(request())
    assert provider.deep == 2


def test_one_with_get_async_is_asked_as_before():
    class Own(Slow):
        async def get_async(self) -> Credentials:
            return self.get()

        def get(self) -> Credentials:
            self.asked += 1
            assert not shared_get._running
            return canary.credentials()

    provider = Own()
    signer(provider).sign(request())
    assert provider.asked == 1
