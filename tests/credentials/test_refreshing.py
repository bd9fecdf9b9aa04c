"""One snapshot, renewed in the background, in time."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import pickle
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from itertools import pairwise

import pytest
import trio

from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsError,
    DefaultCredentials,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    NoCredentialsError,
    RefreshingCredentials,
)
from lattice_client.credentials import refreshing
from support import canary
from support.processes import in_a_child, run_script
from support.sources import Clock, Source, generation, landed

HOUR = 3600.0
MINUTE = 60.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def source(clock):
    return Source(clock)


@pytest.fixture
def provider(source, clock):
    made = RefreshingCredentials(source, name="the vault", jitter=0, clock=clock)
    yield made
    # A fetch that is still under way would log during the next test.
    source.open.set()
    landed(made)


class TestTime:
    def test_nothing_is_fetched_before_the_first_call(self, provider, source):
        assert provider.peek() is None
        assert source.calls == 0

    def test_one_snapshot_far_from_expiry(self, provider, source, clock):
        first = provider.get()
        clock.now += HOUR - 15 * MINUTE - 1
        assert provider.peek() is first
        assert provider.get() is first
        assert source.calls == 1

    def test_renewed_in_the_background_from_15_minutes_before(self, provider, source, clock):
        first = provider.get()
        source.open.clear()
        clock.now += HOUR - 15 * MINUTE
        assert provider.peek() is first
        assert source.entered.wait(30)
        assert provider.peek() is provider.get() is first
        source.open.set()
        landed(provider)
        assert provider.peek() == generation(2, clock.now + HOUR)
        assert source.calls == 2

    def test_the_old_ones_serve_until_they_expire(self, provider, source, clock):
        first = provider.get()
        source.open.clear()
        clock.now += HOUR - 0.001
        assert provider.peek() is first
        clock.now += 0.001
        assert provider.peek() is None
        source.open.set()
        assert provider.get().access_key == "ASIAGENERATION2"

    def test_in_the_last_minutes_get_waits_and_peek_does_not(self, provider, source, clock):
        first = provider.get()
        clock.now += HOUR - 100
        assert provider.get().access_key == "ASIAGENERATION2"
        source.failure = NoCredentialsError("sealed")
        clock.now += HOUR - 100
        second = provider.peek()
        assert second is provider.get()
        assert second is not first

    def test_the_start_is_jittered(self, clock):
        starts = set()
        for _ in range(50):
            provider = RefreshingCredentials(Source(clock), clock=clock)
            expiry = provider.get()._expiry
            starts.add(round(expiry - provider._state[1]))
        assert 0.8 * 900 <= min(starts) < max(starts) <= 900
        assert len(starts) > 10

    def test_the_window_can_be_set(self, source, clock):
        provider = RefreshingCredentials(source, advisory=30 * MINUTE, jitter=0, clock=clock)
        provider.get()
        clock.now += 30 * MINUTE
        provider.peek()
        landed(provider)
        assert source.calls == 2

    def test_short_lives_are_renewed_from_their_middle_on(self, source, provider, clock):
        source.lifetime = 60
        first = provider.get()
        for _ in range(29):
            clock.now += 1
            assert provider.peek() is provider.get() is first
        assert source.calls == 1
        clock.now += 1
        provider.peek()
        landed(provider)
        assert source.calls == 2

    def test_a_source_without_newer_ones_yet_keeps_the_object_and_is_not_stormed(self, clock):
        expiry = clock.now + HOUR
        calls = []

        def same() -> Credentials:
            calls.append(clock.now)
            return generation(1, expiry)

        provider = RefreshingCredentials(same, clock=clock)
        first = provider.get()
        while clock.now < expiry:
            assert provider.peek() is first
            landed(provider)
            clock.now += 1 if clock.now < expiry - 10 else 0.125
        assert 5 < len(calls) < 20
        assert min(later - earlier for earlier, later in pairwise(calls)) >= 1
        with pytest.raises(ExpiredCredentialsError, match="expired"):
            provider.get()

    def test_without_expiry_they_are_never_renewed(self, clock):
        provider = RefreshingCredentials(lambda: generation(1), clock=clock)
        first = provider.get()
        clock.now = 1e12
        assert provider.peek() is provider.get() is first
        clock.now = -1e12
        assert provider.peek() is first

    def test_a_clock_that_steps_back_to_before_the_fetch(self, provider, source, clock):
        first = provider.get()
        clock.now -= 30
        assert provider.peek() is first
        assert source.calls == 1
        clock.now -= HOUR
        assert provider.peek() is first
        landed(provider)
        assert source.calls == 2
        assert provider.peek().expires_at.timestamp() == pytest.approx(clock.now + HOUR)


class TestFailures:
    def test_ten_minutes_of_outage_with_twenty_left(self, clock, source, caplog):
        """No caller fails, and the source is called now and then."""
        provider = RefreshingCredentials(source, name="the vault", clock=clock)
        first = provider.get()
        clock.now += 40 * MINUTE
        source.failure = ConnectionRefusedError("canary/in-the-text")
        for _ in range(600):
            assert provider.peek() is first
            landed(provider)
            clock.now += 1
        tries = [at for at in source.called_at if at > source.called_at[0]]
        assert 5 < len(tries) < 25
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert pauses[0] <= 2
        assert 30 <= max(pauses) <= 61
        source.failure = None
        clock.now += MINUTE
        provider.peek()
        landed(provider)
        assert provider.peek() not in (first, None)
        told = [r for r in caplog.records if r.name == "lattice_client.credentials"]
        assert [record.levelname for record in told] == ["WARNING", "INFO"]
        assert (
            told[1].getMessage() == f"credentials from the vault again, after {len(tries)} failures"
        )
        assert "the vault" in caplog.text
        assert "ConnectionRefusedError" in caplog.text
        assert "canary" not in caplog.text

    @pytest.mark.parametrize("left", [MINUTE, -MINUTE, None])
    def test_the_log_says_until_when_the_old_ones_serve(self, left, clock, source, caplog):
        """It says nothing of it where there are none, or none that serve."""
        provider = RefreshingCredentials(source, name="the vault", clock=clock)
        if left is not None:
            end = provider.get().expires_at
            clock.now += HOUR - left
        source.failure = NoCredentialsError("sealed")
        with suppress(CredentialsError):
            provider.get()
        landed(provider)
        said = "no credentials from the vault: sealed"
        rest = f"; the old ones serve until {end}" if left == MINUTE else ""
        assert [record.getMessage() for record in caplog.records] == [said + rest]

    def test_past_expiry_each_caller_is_told_at_once(self, provider, source, clock):
        provider.get()
        clock.now += HOUR
        source.failure = NoCredentialsError("sealed")
        with pytest.raises(ExpiredCredentialsError, match=r"the vault expired at .*: sealed"):
            provider.get()
        calls = source.calls
        for _ in range(100):
            assert provider.peek() is None
            with pytest.raises(ExpiredCredentialsError, match="sealed"):
                provider.get()
        assert source.calls == calls
        # The pauses grow, and not for ever.
        for _ in range(600):
            clock.now += 1
            with pytest.raises(ExpiredCredentialsError):
                provider.get()
        assert 60 <= source.calls - calls <= 130
        # And it recovers.
        source.failure = None
        clock.now += 10
        assert provider.get() is provider.peek()

    def test_one_more_try_at_the_expiry(self, provider, source, clock):
        provider.get()
        source.failure = NoCredentialsError("sealed")
        while clock.now < source.called_at[0] + HOUR - 1:
            provider.peek()
            landed(provider)
            clock.now += 1
        source.failure = None
        clock.now = source.called_at[0] + HOUR
        assert provider.get().access_key.startswith("ASIAGENERATION")

    def test_the_first_fetch_fails_and_is_not_repeated_at_once(self, provider, source, clock):
        source.failure = InvalidCredentialsError("half of them")
        for _ in range(3):
            with pytest.raises(InvalidCredentialsError, match="the vault: half of them"):
                provider.get()
        assert source.calls == 1
        clock.now += 2
        source.failure = None
        assert provider.get() is provider.peek()

    @pytest.mark.parametrize(
        ("answer", "kind", "said"),
        [
            (None, CredentialsError, "NoneType"),
            (("AKID", "canary/secret"), CredentialsError, "tuple"),
            (Credentials("AKID", "s", "t", 1), ExpiredCredentialsError, "1970"),
            (Credentials("ASIAKEY", "canary/secret"), InvalidCredentialsError, "session token"),
        ],
    )
    def test_an_answer_that_nothing_can_be_signed_with(self, answer, kind, said):
        provider = RefreshingCredentials(lambda: answer, name="the vault")
        with pytest.raises(kind, match=f"the vault.*{said}") as caught:
            provider.get()
        assert "canary" not in str(caught.value)
        assert provider.peek() is None

    def test_an_old_snapshot_outlives_a_bad_answer(self, provider, source, clock):
        first = provider.get()
        clock.now += 50 * MINUTE
        source.lifetime = -1
        assert provider.peek() is first
        landed(provider)
        assert provider.peek() is first

    def test_foreign_errors_are_told_by_their_kind_and_place_alone(self, provider, source):
        source.failure = ValueError("canary/secret in a message")
        with pytest.raises(CredentialsError, match=r"ValueError at sources\.py:\d+") as caught:
            provider.get()
        assert "canary" not in "".join(traceback.format_exception(caught.value))

    def test_even_a_systemexit_in_the_thread_ends_the_wait(self, provider, source):
        source.failure = SystemExit(1)
        with pytest.raises(CredentialsError, match="SystemExit"):
            provider.get()

    def test_the_same_error_raised_again_and_again_holds_no_frames(self, provider, source):
        source.failure = NoCredentialsError("sealed")
        depths = set()
        for _ in range(5):
            with pytest.raises(NoCredentialsError) as caught:
                provider.get()
            depths.add(len(traceback.extract_tb(caught.value.__traceback__)))
        assert len(depths) <= 2

    def test_a_fetch_that_asks_for_its_own_credentials(self):
        provider = RefreshingCredentials(lambda: provider.get(), name="the snake")  # noqa: PLW0108
        with pytest.raises(CredentialsError, match="the snake asks for these itself"):
            provider.get()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"advisory": -1},
            {"advisory": -0.01},
            {"advisory": math.nan},
            {"advisory": "1"},
            {"mandatory": -0.01},
            {"mandatory": math.nan},
            {"mandatory": None},
            {"jitter": -0.01},
            {"jitter": -0.5},
            {"jitter": 1.01},
            {"jitter": 2},
            {"jitter": "0.5"},
            {"patience": 0},
            {"patience": -1},
            {"patience": math.nan},
            {"patience": "1"},
        ],
        ids=repr,
    )
    def test_numbers_that_cannot_work(self, source, wrong):
        with pytest.raises(ConfigurationError, match="seconds"):
            RefreshingCredentials(source, **wrong)
        with pytest.raises(ConfigurationError, match="callable"):
            RefreshingCredentials("vault")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "bounds",
        [{"advisory": 0}, {"mandatory": 0}, {"jitter": 0}, {"jitter": 1}, {"patience": 0.01}],
        ids=repr,
    )
    def test_numbers_that_just_work(self, source, bounds):
        assert RefreshingCredentials(source, **bounds).get().access_key == "ASIAGENERATION1"


class TestOneFetch:
    def test_fifty_threads_on_an_expired_snapshot(self, provider, source, clock):
        provider.get()
        clock.now += HOUR
        source.open.clear()
        start = threading.Barrier(51)
        got = []

        def ask():
            start.wait(30)
            got.append(provider.get())

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        start.wait(30)
        source.open.set()
        for thread in threads:
            thread.join(30)
        assert source.calls == 2
        assert len(got) == 50
        assert {id(each) for each in got} == {id(provider.peek())}

    def test_latecomers_take_what_has_just_landed(self, source, clock):
        """Fifty threads, again and again, none of them held: each round is one call."""
        provider = RefreshingCredentials(source, clock=clock, jitter=0)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for number in range(1, 21):
                threads = [threading.Thread(target=provider.get) for _ in range(50)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(30)
                assert source.calls == number
                clock.now += HOUR
        finally:
            sys.setswitchinterval(interval)

    @pytest.mark.parametrize("library", ["asyncio", "trio"])
    def test_fifty_tasks_while_the_loop_goes_on(self, provider, source, clock, library):
        provider.get()
        clock.now += HOUR
        source.open.clear()
        source.entered.clear()
        got = []

        async def ask():
            got.append(await provider.get_async())

        async def open_later(pause):
            # That this runs at all shows that the loop is not blocked.
            while not source.entered.is_set():
                await pause(0)
            for _ in range(100):
                await pause(0)
            assert not got
            source.open.set()

        async def with_trio():
            async with trio.open_nursery() as nursery:
                for _ in range(50):
                    nursery.start_soon(ask)
                nursery.start_soon(open_later, trio.sleep)

        async def with_asyncio():
            await asyncio.gather(*(ask() for _ in range(50)), open_later(asyncio.sleep))

        threads = threading.active_count()
        trio.run(with_trio) if library == "trio" else asyncio.run(with_asyncio())
        assert source.calls == 2
        assert {id(each) for each in got} == {id(provider.peek())}
        assert len(got) == 50
        assert threading.get_ident() not in source.threads[1:]
        assert threading.active_count() <= threads + 1

    @pytest.mark.parametrize("library", ["asyncio", "trio"])
    def test_a_cancelled_waiter_cancels_no_other(self, provider, source, library):
        source.open.clear()

        async def with_asyncio():
            waiting = [asyncio.create_task(provider.get_async()) for _ in range(2)]
            await asyncio.to_thread(source.entered.wait, 30)
            waiting[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting[0]
            source.open.set()
            return await waiting[1]

        async def with_trio():
            with trio.move_on_after(0.01):
                await provider.get_async()
            source.open.set()
            return await provider.get_async()

        got = trio.run(with_trio) if library == "trio" else asyncio.run(with_asyncio())
        assert got.access_key == "ASIAGENERATION1"
        assert source.calls == 1

    @pytest.mark.parametrize("run", [asyncio.run, lambda task: trio.run(lambda: task)])
    def test_a_loop_that_is_gone_when_the_fetch_lands(self, provider, source, run):
        source.open.clear()
        run(_give_up(provider))
        source.open.set()
        assert provider.get() is provider.peek()

    def test_failures_reach_tasks_too(self, provider, source):
        source.failure = NoCredentialsError("sealed")
        with pytest.raises(NoCredentialsError, match="sealed"):
            asyncio.run(provider.get_async())
        with pytest.raises(NoCredentialsError, match="sealed"):
            trio.run(provider.get_async)


async def _give_up(provider):
    if "trio" in sys.modules and trio.lowlevel.in_trio_run():
        with trio.move_on_after(0.01):
            await provider.get_async()
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(provider.get_async(), 0.01)


def a_fetch() -> Credentials:
    return generation(1, time.time() + HOUR)


class TestProcesses:
    def test_it_pickles_its_settings_and_no_credentials(self):
        provider = RefreshingCredentials(a_fetch, name="the vault", advisory=60)
        provider.get()
        pickled = pickle.dumps(provider)
        assert b"canary" not in pickled
        again = pickle.loads(pickled)
        assert repr(again) == "RefreshingCredentials('the vault')"
        assert again.peek() is None
        assert again._advisory == 60
        assert again.get().access_key == "ASIAGENERATION1"

    def test_no_provider_outlives_its_user(self):
        gone = threading.Event()

        class Watched:
            def __call__(self):
                return generation(1)

            def __del__(self):
                gone.set()

        provider = RefreshingCredentials(Watched())
        provider.get()
        landed(provider)  # Until then its thread holds it.
        del provider
        gc.collect()
        assert gone.is_set()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_fork_during_a_refresh(self, provider, source, clock):
        first = provider.get()
        source.open.clear()
        source.entered.clear()
        clock.now += 50 * MINUTE
        provider.peek()
        assert source.entered.wait(30)

        held, fork_is_over = threading.Event(), threading.Event()

        def hold() -> None:
            with provider._lock:
                held.set()
                fork_is_over.wait(30)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(30)

        def child() -> None:
            source.open.set()
            assert provider.peek() is first
            clock.now += HOUR
            assert provider.get().access_key == "ASIAGENERATION3"

        def parent() -> None:
            fork_is_over.set()
            source.open.set()
            landed(provider)
            assert provider.peek().access_key == "ASIAGENERATION2"

        assert in_a_child(child, parent)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    def test_children_spread_their_refreshes(self, source, clock):
        provider = RefreshingCredentials(source, clock=clock)
        provider.get()
        planned = {provider._state[1]}
        for _ in range(20):
            provider._after_fork()
            planned.add(provider._state[1])
        assert len(planned) == 21

    @pytest.mark.parametrize("started", ["peek", "get", "at exit"])
    def test_the_interpreter_does_not_wait_for_a_refresh(self, started):
        """Nor does it fail where one is asked for when it is too late for threads."""
        code = f"""
import atexit, threading, time
from lattice_client import Credentials, RefreshingCredentials
entered = threading.Event()
def fetch():
    entered.set()
    if fetch.slow:
        time.sleep(60)
    return Credentials("AKID", "s", "t", time.time() + fetch.lifetime)
fetch.slow, fetch.lifetime = False, 3600
provider = RefreshingCredentials(fetch, clock=lambda: time.time() + provider_offset)
provider_offset = 0
if {started!r} != "get":
    provider.get()
provider_offset = 3000
if {started!r} == "at exit":
    def late():
        print(provider.peek().access_key)
        globals()["provider_offset"] = 9000
        fetch.lifetime = 99999
        print(provider.get().access_key)
    atexit.register(late)
else:
    entered.clear()
    fetch.slow = True
    ask = provider.get if {started!r} == "get" else provider.peek
    threading.Thread(target=ask, daemon=True).start()
    entered.wait(20)
print("bye")
"""
        out = run_script(code)
        assert out.startswith("bye")
        if started == "at exit":
            assert out.split() == ["bye", "AKID", "AKID"]

    def test_where_no_thread_can_be_started(self, provider, source, clock, monkeypatch):
        def refuse(_):
            raise RuntimeError("can't start new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        first = provider.get()
        assert source.threads == [threading.get_ident()]
        clock.now += 50 * MINUTE
        assert provider.peek() is first
        assert source.calls == 1


def test_nothing_said_holds_a_secret(provider, source, clock, caplog):
    caplog.set_level(logging.DEBUG)
    provider.get()
    source.failure = ValueError(canary.SECRET)
    clock.now += HOUR
    with pytest.raises(ExpiredCredentialsError):
        provider.get()
    assert "canary" not in caplog.text + repr(provider) + repr(provider._failure)
    assert caplog.records


def test_a_partial_has_a_name_of_its_own():
    assert "partial" in repr(RefreshingCredentials(partial(generation, 1)))


class TestHanging:
    """A source that does not answer holds up no caller for long, nor for ever."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr("lattice_client.credentials.refreshing._PATIENCE", 0.2)
        monkeypatch.setattr("lattice_client.credentials.refreshing._PATIENCE_AFTER_FAILURE", 0.05)

    def test_callers_who_wait_are_told(self, provider, source):
        source.open.clear()
        try:
            with pytest.raises(CredentialsError, match="the vault: it does not answer"):
                provider.get()
            with pytest.raises(CredentialsError, match="does not answer"):
                asyncio.run(provider.get_async())
            with pytest.raises(CredentialsError, match="does not answer"):
                trio.run(provider.get_async)
            assert source.calls == 1
        finally:
            source.open.set()
            landed(provider)

    def test_what_comes_late_is_taken(self, provider, source, clock):
        source.open.clear()
        for _ in range(2):
            with pytest.raises(CredentialsError, match="does not answer"):
                provider.get()
        source.open.set()
        deadline = time.monotonic() + 30
        while provider.peek() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert provider.peek().access_key == "ASIAGENERATION1"

    def test_fetches_that_hang_are_few(self, provider, source, clock):
        source.open.clear()
        try:
            for _ in range(12):
                with pytest.raises(CredentialsError, match="does not answer"):
                    provider.get()
                time.sleep(0.21)  # of the monotonic clock, by which patience is measured
                clock.now += 60
            assert source.calls <= 4
        finally:
            source.open.set()
            landed(provider)

    def test_the_old_ones_serve_meanwhile(self, provider, source, clock):
        first = provider.get()
        source.open.clear()
        try:
            clock.now += HOUR - 30
            assert provider.get() is first
            assert provider.peek() is first
        finally:
            source.open.set()
            landed(provider)


class TestPatience:
    """For a source that asks a person, as for the code of an MFA device."""

    def test_it_is_waited_for_as_long_as_is_said(self, source, clock, monkeypatch):
        monkeypatch.setattr("lattice_client.credentials.refreshing._PATIENCE", 0.001)
        monkeypatch.setattr("lattice_client.credentials.refreshing._PATIENCE_AFTER_FAILURE", 0.001)
        provider = RefreshingCredentials(source, patience=60, clock=clock)
        source.failure = NoCredentialsError("a wrong code")
        with pytest.raises(NoCredentialsError, match="a wrong code"):
            provider.get()
        source.failure = None
        clock.now += 60
        source.open.clear()
        source.entered.clear()
        got = []
        asking = threading.Thread(target=lambda: got.append(provider.get()))
        asking.start()
        assert source.entered.wait(30)
        asking.join(0.05)
        assert asking.is_alive()
        source.open.set()
        asking.join(30)
        assert got == [provider.peek()] != [None]

    def test_it_ends(self, source, clock):
        provider = RefreshingCredentials(source, patience=0.05, clock=clock)
        source.open.clear()
        try:
            with pytest.raises(CredentialsError, match="does not answer"):
                provider.get()
        finally:
            source.open.set()
            landed(provider)

    @pytest.mark.parametrize(
        "provider",
        [
            BotocoreCredentials(patience=60),
            AssumeRole("arn:aws:iam::123456789012:role/orders", patience=60),
            DefaultCredentials(patience=60)._botocore(),
            pickle.loads(pickle.dumps(DefaultCredentials(patience=60)))._botocore(),
            pickle.loads(pickle.dumps(BotocoreCredentials(patience=60))),
        ],
    )
    def test_each_provider_has_it(self, provider):
        fetch = refreshing._Fetch()
        assert 50 < provider._time_left(fetch) <= 60
        provider._failure = refreshing._NO_ANSWER
        assert 50 < provider._time_left(fetch) <= 60

    @pytest.mark.parametrize("patience", [math.inf, 1e10])
    @pytest.mark.parametrize("library", ["threads", "asyncio", "trio"])
    def test_without_end(self, source, patience, library):
        """More seconds than a lock can wait."""
        provider = RefreshingCredentials(source, patience=patience)
        source.open.clear()
        threading.Timer(0.05, source.open.set).start()
        if library == "threads":
            got = provider.get()
        else:
            got = (
                trio.run(provider.get_async)
                if library == "trio"
                else asyncio.run(provider.get_async())
            )
        assert got.access_key == "ASIAGENERATION1"

    @pytest.mark.parametrize("wrong", [0, -1, math.nan, "20"])
    def test_what_is_none(self, source, wrong):
        with pytest.raises(ConfigurationError, match="patience"):
            RefreshingCredentials(source, patience=wrong)


class TestInterrupted:
    """A signal's handler may raise anywhere."""

    @pytest.fixture
    def interrupted(self, provider, monkeypatch):
        """Asks while the handler raises at the start of the fetch's thread."""
        start = threading.Thread.start

        def ask(at_start) -> None:
            def starting(thread: threading.Thread) -> None:
                if threading.current_thread() is not threading.main_thread():
                    start(thread)
                    return
                at_start(partial(start, thread))
                raise KeyboardInterrupt

            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", starting)
                with pytest.raises(KeyboardInterrupt):
                    provider.get()

        return ask

    def test_before_the_fetch_has_started(self, provider, source, interrupted, caplog):
        """That is no failure of the source, and there is nothing to wait for."""
        interrupted(lambda _: None)
        assert provider._failure is None
        assert provider.get().access_key == "ASIAGENERATION1"
        assert not caplog.records

    @pytest.mark.parametrize("library", ["threads", "asyncio", "trio"])
    def test_others_who_wait_get_theirs(self, provider, source, interrupted, library):
        reserved, got = threading.Event(), []

        async def ask_async():
            got.append(await provider.get_async())

        def ask():
            reserved.wait(30)
            if library == "threads":
                got.append(provider.get())
            elif library == "trio":
                trio.run(ask_async)
            else:
                asyncio.run(ask_async())

        waiter = threading.Thread(target=ask)
        waiter.start()

        def until_it_waits(_) -> None:
            reserved.set()
            fetch = provider._running
            deadline = time.monotonic() + 30
            while not (fetch._condition._waiters or fetch._done_callbacks):
                assert time.monotonic() < deadline
                time.sleep(0.001)

        interrupted(until_it_waits)
        waiter.join(30)
        assert got == [provider.peek()] != [None]
        assert source.calls == 1

    @pytest.mark.parametrize("how", ["get", "asyncio", "peek", "refused"])
    def test_between_the_reservation_and_the_start(
        self, provider, source, clock, monkeypatch, how, caplog
    ):
        """Again and again: none of these fetches counts as one that hangs, or as a failure."""
        monkeypatch.setattr(refreshing, "_START", 0.05)
        held = provider.get()
        clock.now += HOUR - 10 * MINUTE if how in ("peek", "refused") else HOUR

        def ask() -> object:
            if how == "asyncio":
                return asyncio.run(provider.get_async())
            return provider.refused(held) if how == "refused" else getattr(provider, how)()

        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        for _ in range(refreshing._MANY_HANGING + 1):
            with monkeypatch.context() as patched:
                patched.setattr(provider, "_launch", interrupt)
                with pytest.raises(KeyboardInterrupt):
                    ask()
            time.sleep(0.06)  # of the monotonic clock, by which the start is measured
        assert provider._hanging == 0
        ask()
        landed(provider)
        assert provider.peek().access_key == "ASIAGENERATION2"
        assert source.calls == 2
        assert not caplog.records

    def test_after_the_fetch_has_started(self, provider, source, interrupted, caplog):
        """Its result is kept, and others who wait for it get it."""
        source.open.clear()
        interrupted(lambda start: start())
        source.open.set()
        assert provider.get().access_key == "ASIAGENERATION1"
        assert source.calls == 1
        assert not caplog.records

    def test_just_as_the_fetch_starts(self, provider, source, interrupted):
        """A thread that begins after its fetch was called off leaves it to others."""
        late = []
        interrupted(late.append)
        late[0]()
        landed(provider)
        assert provider.get().access_key == "ASIAGENERATION1"
        assert provider.get() is provider.peek()
        assert provider._hanging == 0
        assert source.calls == 1


class TestWithoutThreads:
    """At the end of the interpreter, and in subinterpreters."""

    @pytest.fixture
    def threadless(self, monkeypatch):
        """The threads that could not be started, each as whether it is a daemon."""
        asked = []

        def refuse(thread):
            asked.append(thread.daemon)
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        return asked

    def test_the_last_minutes_renew_in_the_foreground(
        self, provider, source, clock, threadless, caplog
    ):
        first = provider.get()
        clock.now += HOUR - 121
        assert provider.peek() is provider.peek() is first
        assert source.calls == 1
        clock.now += 2
        assert provider.peek() is None
        assert provider.get().access_key == "ASIAGENERATION2"
        assert provider.peek() is provider.get()
        assert source.threads == [threading.get_ident()] * 2
        assert not caplog.records

    @pytest.mark.parametrize("how", ["get", "asyncio"])
    def test_what_is_valid_serves_while_the_source_fails(
        self, provider, source, clock, threadless, how
    ):
        first = provider.get()
        clock.now += HOUR - 60
        source.failure = NoCredentialsError("sealed")
        assert provider.peek() is None
        got = provider.get() if how == "get" else asyncio.run(provider.get_async())
        assert got is first
        assert provider.peek() is first
        clock.now += 61
        with pytest.raises(ExpiredCredentialsError, match="sealed"):
            provider.get()

    def test_the_background_is_back_with_the_threads(self, provider, source, clock, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", self.refuse)
            provider.get()
        clock.now += HOUR - 60
        second = provider.get()
        clock.now += HOUR - 600
        assert provider.peek() is second
        landed(provider)
        assert provider.peek().access_key == "ASIAGENERATION3"

    def refuse(self):
        raise RuntimeError("can't start new thread")


def test_the_same_ones_again_are_not_given_past_their_expiry(clock):
    same = Credentials("ASIASAME", "secret", "token", clock.now + 100)
    provider = RefreshingCredentials(lambda: same, jitter=0, clock=clock)
    for now in (50, 98, 99.7):
        clock.now += now - (clock.now - (same.expires_at.timestamp() - 100))
        provider.get()
        landed(provider)
    clock.now = same.expires_at.timestamp() + 0.1
    assert provider.peek() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    "provider",
    [
        "BotocoreCredentials()",
        "AssumeRole('arn:aws:iam::123456789012:role/orders', base=Credentials('AKIA', 's'))",
        "ANameSource()",
    ],
)
def test_fork_while_botocore_is_imported(provider):
    """In a fresh interpreter, where it has not been yet; the import is in another thread, and ends
    only after the fork was asked for."""
    code = f"""
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
from lattice_client import AssumeRole, BotocoreCredentials, Credentials
from lattice_client.names import LatticeNames
os.environ.update(AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull)
entered, gate = threading.Event(), threading.Event()
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "botocore.session":
            entered.set()
            gate.wait(20)
sys.meta_path.insert(0, Slow())
class ANameSource:
    # Without a region there is nothing to call.
    names = LatticeNames(credentials=Credentials("AKIA", "s"))
    def get(self):
        self.names.find("orders.example.com", 0)
provider = {provider}
def get():
    try:
        provider.get()
    except Exception as error:
        return type(error).__name__
thread = threading.Thread(target=get)
thread.start()
entered.wait(20)
threading.Timer(0.3, gate.set).start()
pid = os.fork()
if pid == 0:
    gate.set()
    # A first thread here may have the number of the parent's, and so its locks.
    for _ in range(3):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    os._exit(0 if get() in ("NoCredentialsError", "CredentialsError", "NameSourceError") else 1)
deadline = time.monotonic() + 15
while (done := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
    time.sleep(0.01)
thread.join(20)
print(done[1] if done[0] else "the child hangs", thread.is_alive(), flush=True)
if not done[0]:
    os.kill(pid, 9)
os._exit(0)
"""
    assert run_script(code).split() == ["0", "False"]
