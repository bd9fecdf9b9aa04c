"""Credentials that a service calls expired stay in use until others have been fetched."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

import aiohttp
import pytest
import trio

from adapters.drivers import CLIENTS, STREAM, Driver
from adapters.test_hearsay import EXPIRED, driver, refusal
from lattice_client import (
    Credentials,
    CredentialsError,
    DefaultCredentials,
    EnvironmentCredentials,
    LatticeAuth,
    RefreshingCredentials,
    RetryPolicy,
)
from lattice_client.httpx import AsyncClient
from support.raw_server import OK, RawRequest, raw_server
from support.sources import Clock, Source, generation, landed

REGION = "us-west-2"

__all__ = ["driver"]


def in_scope(number: int) -> Callable[[RawRequest], bytes]:
    """A service that calls all generations before this one expired."""
    key = f"Credential=ASIAGENERATION{number}/"

    def respond(request: RawRequest) -> bytes:
        return OK if key in (request.header("authorization") or "") else refusal(EXPIRED)

    return respond


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock) -> Source:
    return Source(clock, lifetime=6 * 3600)


@pytest.fixture
def provider(source, clock):
    """Of the first generation, two minutes old."""
    made = RefreshingCredentials(source, name="the vault", clock=clock)
    made.get()
    clock.now += 120
    yield made
    source.open.set()
    landed(made)


@pytest.fixture
def auth(driver: Driver, provider) -> LatticeAuth:
    return driver.auth(region=REGION, credentials=provider)


def test_different_ones_are_taken_at_once(driver, auth, source):
    with raw_server(in_scope(2)) as service, driver.client(auth) as call:
        for _ in range(3):
            assert call("POST", service.url, body=b"{}").status == 200
    assert len(service.requests) == 4
    assert source.calls == 2


def test_a_source_that_is_down_costs_nothing_but_the_403(driver, auth, provider, source):
    """Two services share an auth object; one refuses what the other accepts."""
    first = provider.peek()
    source.failure = CredentialsError("down")
    with (
        raw_server(lambda _: refusal(EXPIRED)) as odd,
        raw_server(in_scope(1)) as healthy,
        driver.client(auth) as call,
    ):
        for _ in range(3):
            answer = call("POST", odd.url, body=b"{}")
            assert (answer.status, answer.text) == (403, EXPIRED.decode())
            assert call("POST", healthy.url, body=b"{}").status == 200
        assert provider.peek() is first
    assert len(odd.requests) == 3
    # The second and the third came in the pause after the failure.
    assert source.calls == 2


def test_the_same_set_again_is_no_remedy(driver, auth, provider, source, clock):
    provider._fetch = fetch = lambda: generation(1, provider.peek().expires_at)
    first, calls = provider.peek(), []
    provider._fetch = lambda: calls.append(1) or fetch()
    with raw_server(lambda _: refusal(EXPIRED)) as odd, driver.client(auth) as call:
        for _ in range(3):
            assert call("GET", odd.url).status == 403
    assert len(odd.requests) == 3
    assert len(calls) == 1  # they are fresh now
    assert provider.peek() is first
    assert source.calls == 1


def test_others_do_not_wait(driver, provider, auth, source):
    """While the refused call waits for the fetch, calls to other services use the old set."""
    source.open.clear()
    source.entered.clear()
    answers: list[int] = []
    with raw_server(in_scope(2)) as odd, raw_server(in_scope(1)) as healthy:

        def refused() -> None:
            with driver.client(auth) as call:
                answers.append(call("POST", odd.url, body=b"{}").status)

        waiting = threading.Thread(target=refused)
        waiting.start()
        assert source.entered.wait(20)
        with driver.client(auth) as call:
            assert [call("GET", healthy.url).status for _ in range(3)] == [200] * 3
        assert provider.get() == generation(1, provider.peek().expires_at)
        assert answers == []
        source.open.set()
        waiting.join(20)
    assert answers == [200]
    assert source.calls == 2


def test_many_who_are_refused_share_one_fetch(driver, auth, source):
    source.open.clear()
    source.entered.clear()
    answers: list[int] = []
    arrived = threading.Barrier(5)

    def respond(request: RawRequest) -> bytes:
        answer = in_scope(2)(request)
        if answer is not OK:
            arrived.wait(20)
        return answer

    def refused() -> None:
        with driver.client(auth) as call:
            answers.append(call("POST", odd.url, body=b"{}").status)

    with raw_server(respond) as odd:
        threads = [threading.Thread(target=refused) for _ in range(5)]
        for thread in threads:
            thread.start()
        assert source.entered.wait(20)
        source.open.set()
        for thread in threads:
            thread.join(20)
    assert answers == [200] * 5
    assert source.calls == 2


def test_a_body_that_cannot_be_sent_again_waits_for_nothing(driver, auth, source, provider):
    source.open.clear()
    with raw_server(in_scope(2)) as service, driver.client(auth) as call:
        assert call("POST", service.url, body=STREAM).status == 403
        source.open.set()
        landed(provider)
        assert call("POST", service.url, body=STREAM).status == 200
    assert len(service.requests) == 2


@pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
def test_a_calls_deadline_bounds_the_wait(driver, auth, source):
    """A hook knows no deadline."""
    source.open.clear()
    began = time.monotonic()
    with (
        raw_server(lambda _: refusal(EXPIRED)) as odd,
        driver.client(auth, retry=RetryPolicy(deadline=0.5)) as call,
    ):
        assert call("GET", odd.url).status == 403
    assert time.monotonic() - began < 15  # the wait without a deadline is 20 s
    assert len(odd.requests) == 1


# --- The event loop ---------------------------------------------------------------------------


@contextmanager
def held(source: Source):
    """The source holds its next fetch until the block has run."""
    source.open.clear()
    source.entered.clear()
    try:
        yield
    finally:
        source.open.set()


async def by_aiohttp(auth, url: str) -> int:
    async with (
        aiohttp.ClientSession(middlewares=(auth,)) as session,
        session.get(url) as response,
    ):
        return response.status


async def by_httpx(auth, url: str) -> int:
    async with AsyncClient(auth=auth, trust_env=False, timeout=20) as client:
        return (await client.get(url)).status_code


@pytest.mark.parametrize("get", [by_aiohttp, by_httpx])
def test_the_event_loop_runs_on(get, provider, source):
    auth = LatticeAuth(region=REGION, credentials=provider)

    async def main() -> None:
        refused = asyncio.create_task(get(auth, odd.url))
        assert await asyncio.to_thread(source.entered.wait, 20)
        assert await asyncio.wait_for(get(auth, healthy.url), 20) == 200
        assert not refused.done()
        source.open.set()
        assert await asyncio.wait_for(refused, 20) == 200

    with raw_server(in_scope(2)) as odd, raw_server(in_scope(1)) as healthy, held(source):
        asyncio.run(main())


def test_trios_loop_runs_on(provider, source):
    auth = LatticeAuth(region=REGION, credentials=provider)
    statuses: list[int] = []

    async def refused() -> None:
        statuses.append(await by_httpx(auth, odd.url))

    async def main() -> None:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refused)
                assert await trio.to_thread.run_sync(source.entered.wait, 20)
                assert await by_httpx(auth, healthy.url) == 200
                assert statuses == []
                source.open.set()
        assert statuses == [200]

    with raw_server(in_scope(2)) as odd, raw_server(in_scope(1)) as healthy, held(source):
        trio.run(main)


class TestRefused:
    def test_says_whether_to_wait(self, provider, source, clock):
        first = provider.peek()
        with held(source):
            flight = provider.refused(first)
            assert provider.refused(first) is flight
            assert provider.peek() is first
            assert provider.get() is first
        landed(provider)
        assert provider.peek() == generation(2, provider.peek().expires_at)
        assert provider.refused(first) is True
        assert provider.refused(provider.peek()) is False  # too fresh

    def test_a_failure_leaves_the_old_ones(self, provider, source, clock):
        first = provider.peek()
        source.failure = OSError()
        provider.refused(first).result(20)
        landed(provider)
        assert provider.peek() is first
        assert provider.refused(first) is False  # in the pause
        clock.now += 60
        assert provider.refused(first) is not False

    def test_the_old_ones_end_at_their_expiry(self, provider, source, clock):
        first = provider.peek()
        source.failure = CredentialsError("down")
        provider.refused(first).result(20)
        landed(provider)
        clock.now = first.expires_at.timestamp()
        assert provider.peek() is None
        with pytest.raises(CredentialsError, match="down"):
            provider.get()

    def test_a_fetch_that_calls_for_itself_waits_for_nothing(self, clock):
        said: list[object] = []

        def fetch() -> Credentials:
            if made.peek() is not None:
                said.append(made.refused(made.peek()))
            return generation(len(said) + 1)

        made = RefreshingCredentials(fetch, clock=clock)
        first = made.get()
        clock.now += 120
        made.refused(first).result(20)
        assert said == [False]

    def test_a_clock_that_was_set_back_makes_nothing_fresh(self, provider, clock):
        clock.now -= 7200
        assert provider.refused(provider.peek()) is not False

    def test_the_default_says_what_its_sources_say(self, provider, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        default = DefaultCredentials()
        assert default.refused(generation(1)) is False
        default._chain = provider
        flight = default.refused(provider.peek())
        flight.result(20)
        assert default.refused(generation(1)) is True

    def test_half_changed_variables_drop_nothing(self):
        whole = {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLEEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary/Secret",
        }
        environ = dict(whole)
        variables = EnvironmentCredentials(environ)
        first = variables.get()
        del environ["AWS_SECRET_ACCESS_KEY"]
        assert not variables.refused(first)
        assert variables.peek() is first
        environ.clear()
        assert not variables.refused(first)
        assert variables.peek() is first
