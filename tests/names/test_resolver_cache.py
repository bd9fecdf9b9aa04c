"""How long answers are cached, and which thread looks names up."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from itertools import repeat

import anyio
import pytest

from lattice_client import ConfigurationError, MissingExtraError, NameSourceError
from lattice_client.names import DnsNames, Endpoint, ManagedNames, Names
from lattice_client.names.aws_listing import CachedList
from lattice_client.names.resolver_cache import _MAX_THREADS
from support.names import landed
from support.processes import run_script
from support.sources import Clock

NAME = "orders.example.com"
V4 = "169.254.171.33"


class Source:
    """Records its calls; fails and waits on demand."""

    def __init__(self, ttl: float | None = 60.0, **fields: object) -> None:
        self.ttl = ttl
        self.fields = fields
        self.knows: Callable[[str], bool] = lambda _: True
        self.asked: list[str] = []
        self.threads: set[int] = set()
        self.failure: BaseException | None = None
        # Cleared: find() waits.
        self.open = threading.Event()
        self.open.set()

    def find(self, name: str, now: float) -> Endpoint | None:
        self.asked.append(name)
        self.threads.add(threading.get_ident())
        assert self.open.wait(30)
        if self.failure is not None:
            raise self.failure
        if not self.knows(name):
            return None
        expires_at = None if self.ttl is None else now + self.ttl
        fields = {"region": "eu-west-1", "source": "the test", **self.fields}
        return Endpoint(name, expires_at=expires_at, **fields)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def names(source, clock) -> Names:
    return Names(source, clock=clock)


class TestTime:
    def test_an_answer_holds_for_its_ttl(self, names, source, clock):
        assert names.peek(NAME) is None
        found = names.resolve(NAME)
        assert found.expires_at == clock.now + 60
        clock.now += 59.9
        assert names.peek(NAME) is names.resolve(NAME) is found
        clock.now += 0.1
        assert names.peek(NAME) is None
        assert names.resolve(NAME).expires_at == clock.now + 60
        assert source.asked == [NAME] * 2

    @pytest.mark.parametrize(("ttl", "held"), [(0, 5), (1, 5), (60, 60), (86400, 300), (-5, 5)])
    def test_ttls_have_bounds(self, ttl, held, names, source, clock):
        source.ttl = ttl
        assert names.resolve(NAME).expires_at == clock.now + held

    def test_bounds_of_nought(self, source, clock):
        source.ttl = 0
        names = Names(source, clock=clock, min_ttl=0, max_ttl=0, negative_ttl=0, stale=0)
        assert names.resolve(NAME).expires_at == clock.now
        assert names.peek(NAME) is None
        source.knows = lambda _: False
        assert names.resolve(NAME).expires_at == clock.now
        assert names.peek(NAME) is None
        source.failure = NameSourceError("it is down")
        with pytest.raises(NameSourceError, match="it is down"):
            names.resolve(NAME)

    def test_what_has_no_end_has_none(self, names, source, clock):
        source.ttl = None
        assert names.resolve(NAME).expires_at is None
        clock.now += 1e9
        assert names.peek(NAME) is not None

    def test_what_is_not_lattices_holds_briefly(self, names, source, clock):
        source.fields["is_lattice"] = False
        assert names.resolve(NAME).expires_at == clock.now + 10
        clock.now += 10
        source.fields["is_lattice"] = True
        assert names.resolve(NAME).is_lattice

    def test_an_unknown_name_is_cached_briefly(self, names, source, clock):
        source.knows = lambda _: False
        assert not names.resolve(NAME).is_lattice
        clock.now += 9.9
        assert names.peek(NAME).source == "no source knows it"
        clock.now += 0.1
        source.knows = lambda _: True
        assert names.resolve(NAME).is_lattice

    def test_a_clock_that_is_set_back(self, names, source, clock):
        names.resolve(NAME)
        clock.now -= 30
        assert names.peek(NAME) is not None
        clock.now -= 3600
        assert names.peek(NAME) is None
        assert names.resolve(NAME).expires_at == clock.now + 60

    def test_real_dns_ttls_by_a_fake_clock_and_a_name_that_moves(self, server, clock):
        managed = [f"{n}.7d67968.vpc-lattice-svcs.eu-west-{n}.on.aws" for n in (1, 2)]
        for name in managed:
            server.add(name, "A", V4, ttl=300)
        server.add(NAME, "CNAME", f"{managed[0]}.", ttl=20)
        names = Names(DnsNames(nameservers=[server.address]), clock=clock)
        assert names.resolve(NAME).region == "eu-west-1"
        server.add(NAME, "CNAME", f"{managed[1]}.", ttl=20)
        clock.now += 19
        assert names.resolve(NAME).region == "eu-west-1"
        assert server.asked(NAME) == 1
        clock.now += 1
        assert names.resolve(NAME).region == "eu-west-2"
        assert server.asked(NAME) == 2


class TestFailures:
    def test_a_warm_cache_survives_a_dead_dns(self, server, clock, caplog):
        server.add(NAME, "A", V4, ttl=20)
        dns = DnsNames(nameservers=[server.address], timeout=0.5)
        names = Names(dns, clock=clock, stale=600)
        found = names.resolve(NAME)
        server.faults[NAME] = "silence"
        for _ in range(60):
            clock.now += 10
            if clock.now < found.expires_at + 600:
                assert names.resolve(NAME) == found
        landed(names)
        clock.now = found.expires_at + 600
        with pytest.raises(NameSourceError, match=r"orders\.example\.com"):
            names.resolve(NAME)
        server.faults.clear()
        assert names.resolve(NAME).is_lattice
        told = [r.levelname for r in caplog.records if r.name == "lattice_client.names"]
        assert told[0] == "WARNING"
        assert told.count("WARNING") == 1

    def test_no_call_waits_while_a_source_fails_and_an_answer_is_cached(self, names, source, clock):
        found = names.resolve(NAME)
        clock.now += 60
        source.failure = NameSourceError("it is down")
        assert names.resolve(NAME) is found
        landed(names)
        assert names.peek(NAME) is found  # for a pause, before it is tried again
        asked = len(source.asked)
        clock.now += 5
        source.open.clear()
        assert names.peek(NAME) is None
        assert names.resolve(NAME) is found
        source.open.set()
        landed(names)
        assert len(source.asked) == asked + 1
        clock.now += 5
        source.failure = None
        names.resolve(NAME)
        landed(names)
        assert names.resolve(NAME).expires_at == clock.now + 60

    def test_the_pause_before_a_source_is_asked_again_makes_nothing_serve_longer(
        self, source, clock
    ):
        names = Names(source, clock=clock, stale=2)
        found = names.resolve(NAME)
        clock.now += 60
        source.failure = NameSourceError("it is down")
        assert names.resolve(NAME) is found
        landed(names)
        clock.now += 1.9
        assert names.peek(NAME) is found
        clock.now += 0.1
        assert names.peek(NAME) is None
        with pytest.raises(NameSourceError, match="it is down"):
            names.resolve(NAME)

    def test_a_failure_is_logged_when_it_begins_and_when_it_ends(
        self, names, source, clock, caplog
    ):
        caplog.set_level(logging.INFO, "lattice_client.names")
        names.resolve(NAME)
        source.failure = NameSourceError("it is down")
        clock.now += 60
        for _ in range(5):
            names.resolve(NAME)
            landed(names)
            clock.now += 5
        source.failure = None
        names.resolve(NAME)
        landed(names)
        told = [r for r in caplog.records if r.name == "lattice_client.names"]
        assert [record.levelname for record in told] == ["WARNING", "INFO"]
        assert [record.getMessage() for record in told] == [
            f"{NAME} cannot be looked up, the old answer is used: it is down",
            f"{NAME} is looked up again",
        ]

    def test_what_was_not_lattices_never_serves_longer(self, names, source, clock):
        source.fields["is_lattice"] = False
        names.resolve(NAME)
        source.failure = NameSourceError("it is down")
        clock.now += 11
        with pytest.raises(NameSourceError, match="it is down"):
            names.resolve(NAME)

    @pytest.mark.parametrize("kind", [NameSourceError, MissingExtraError, ValueError, SystemExit])
    def test_with_nothing_cached_each_caller_gets_the_error(self, kind, names, source):
        source.failure = kind("dns", "dnspython") if kind is MissingExtraError else kind("a/secret")
        expected = kind if kind is MissingExtraError else NameSourceError
        raised = []
        for _ in range(3):
            with pytest.raises(expected) as caught:
                names.resolve(NAME)
            raised.append(caught.value)
        assert len(set(map(id, raised))) == 3
        assert ("a/secret" in str(raised[0])) == (kind is NameSourceError)
        if kind in (ValueError, SystemExit):
            assert f"a source raised {kind.__name__} ({__file__}, line " in str(raised[0])
            assert str(raised[0]).endswith(", in find)")
        source.failure = None
        assert names.resolve(NAME).is_lattice

    def test_a_source_may_have_errors_of_its_own(self, names, source):
        class ConsulError(NameSourceError):
            def __init__(self, host: str, port: int) -> None:
                super().__init__(f"no Consul at {host}:{port}")

        source.failure = ConsulError("127.0.0.1", 8500)
        with pytest.raises(NameSourceError, match=r"no Consul at 127\.0\.0\.1:8500"):
            names.resolve(NAME)

    def test_a_source_that_does_not_answer_is_not_waited_for_for_ever(self, source):
        names = Names(source, patience=0.2)
        source.open.clear()
        with pytest.raises(NameSourceError, match=r"no answer in 0\.2 s"):
            names.resolve(NAME)
        # A caller that joins after 35 of 30 seconds does not wait as long again.
        names._patience = 30
        names._look_ups[NAME].started -= 35
        with pytest.raises(NameSourceError, match="no answer"):
            names.resolve(NAME)
        assert source.asked == [NAME]
        source.open.set()
        landed(names)
        assert names.peek(NAME) is not None

    def test_a_source_that_hangs_is_waited_for_once_while_something_is_remembered(
        self, names, source, clock, caplog, monkeypatch
    ):
        found = names.resolve(NAME)
        source.open.clear()
        clock.now += 60
        with monkeypatch.context() as impatient:
            impatient.setattr(names, "_patience", 0.01)
            assert names.resolve(NAME) is found
        assert "orders.example.com: no answer in 0.01 s" in caplog.text
        assert names.peek(NAME) is found  # without waiting
        clock.now += 5
        assert names._seconds_to_wait(NAME, names._join_look_up(NAME)) == 0
        source.open.set()
        landed(names)
        assert names.peek(NAME).expires_at == clock.now + 55

    def test_a_failing_source_before_one_that_knows(self, source, clock):
        source.failure = NameSourceError("it is down")
        names = Names(source, Source(service_arn="arn:of-the-second"), clock=clock)
        assert names.resolve(NAME).service_arn == "arn:of-the-second"

    def test_a_failing_source_before_one_that_does_not_know(self, source, clock):
        source.failure = NameSourceError("it is down")
        with pytest.raises(NameSourceError, match="it is down"):
            Names(source, ManagedNames(), clock=clock).resolve(NAME)

    def test_half_an_answer_does_not_replace_a_whole_one(self, clock):
        first, second = Source(region=None), Source(service_arn="arn:of-the-second")
        names = Names(first, second, clock=clock)
        whole = names.resolve(NAME)
        assert (whole.region, whole.service_arn) == ("eu-west-1", "arn:of-the-second")
        second.failure = NameSourceError("it is down")
        clock.now += 61
        assert names.resolve(NAME) == whole
        # With nothing remembered, half of it is better than none, for a moment.
        half = names.resolve("books.example.com")
        assert (half.is_lattice, half.region, half.expires_at) == (True, None, clock.now + 5)


class TestCombining:
    def test_the_first_that_knows_a_name_is_believed(self, clock):
        second = Source(region="eu-west-2")
        assert Names(Source(), second, clock=clock).resolve(NAME).region == "eu-west-1"
        assert not second.asked

    def test_a_name_that_is_not_lattices_is_final(self, clock):
        second = Source()
        assert not Names(Source(is_lattice=False), second, clock=clock).resolve(NAME).is_lattice
        assert not second.asked

    def test_a_later_source_fills_in_what_an_earlier_did_not_know(self, clock):
        first, second = Source(30, region=None, connect_to="127.0.0.1"), Source(60)
        found = Names(first, second, clock=clock).resolve(NAME)
        assert found == Endpoint(
            NAME,
            region="eu-west-1",
            connect_to="127.0.0.1",
            source="the test; the test",
            expires_at=clock.now + 30,
        )

    def test_a_later_source_cannot_take_it_back(self, clock):
        second = Source(is_lattice=False)
        found = Names(Source(region=None), second, clock=clock).resolve(NAME)
        assert found.is_lattice
        assert found.region is None
        assert second.asked

    def test_settings_that_cannot_work(self):
        for wrong in (
            {"min_ttl": -1},
            {"min_ttl": 10, "max_ttl": 5},
            {"negative_ttl": -1},
            {"stale": -1},
            {"patience": 0},
            {"max_names": 0},
        ):
            with pytest.raises(ConfigurationError):
                Names(Source(), **wrong)
        for wrong_source in (ManagedNames, "dns", None, [], object()):
            with pytest.raises(ConfigurationError, match=r"find\(name, now\)"):
                Names(wrong_source)


class TestManyWhoAsk:
    def test_one_look_up_for_fifty_threads(self, names, source):
        source.open.clear()
        found: list[Endpoint] = []
        threads = [
            threading.Thread(target=lambda: found.append(names.resolve(NAME))) for _ in range(50)
        ]
        for thread in threads:
            thread.start()
        while not source.asked:
            time.sleep(0.001)
        source.open.set()
        for thread in threads:
            thread.join(30)
        assert len(found) == 50
        assert len(set(map(id, found))) == 1
        assert source.asked == [NAME]

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_one_look_up_for_fifty_tasks_and_the_loop_goes_on(self, backend, names, source):
        source.open.clear()
        found: list[Endpoint] = []

        async def ask() -> None:
            found.append(await names.resolve_async(NAME))

        async def scenario() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(ask)
                # The loop turns while the source does not answer.
                for _ in range(20):
                    await anyio.sleep(0.001)
                assert not found
                source.open.set()

        anyio.run(scenario, backend=backend)
        assert len(found) == 50
        assert source.asked == [NAME]
        assert threading.get_ident() not in source.threads

    def test_without_anyio_or_trio(self, names):
        assert asyncio.run(names.resolve_async(NAME)).region == "eu-west-1"

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_a_cancelled_task_cancels_no_other(self, backend, names, source):
        source.open.clear()
        found: list[Endpoint] = []

        async def ask() -> None:
            found.append(await names.resolve_async(NAME))

        async def scenario() -> None:
            async with anyio.create_task_group() as others:
                others.start_soon(ask)
                with anyio.move_on_after(0.01) as scope:
                    await names.resolve_async(NAME)
                assert scope.cancelled_caught
                source.open.set()

        anyio.run(scenario, backend=backend)
        assert len(found) == 1
        assert source.asked == [NAME]

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    def test_asynchronous_callers_are_told_the_same(self, backend, source):
        names = Names(source, patience=0.1)
        source.failure = NameSourceError("it is down")

        async def scenario() -> None:
            with pytest.raises(NameSourceError, match="it is down"):
                await names.resolve_async(NAME)
            with pytest.raises(ConfigurationError):
                await names.resolve_async("a b")
            source.open.clear()
            with pytest.raises(NameSourceError, match="no answer"):
                await names.resolve_async(NAME)

        anyio.run(scenario, backend=backend)
        source.open.set()
        landed(names)

    def test_many_names_at_once_take_a_bounded_number_of_threads(self, names, source):
        source.open.clear()
        hosts = [f"n{n}.example.com" for n in range(200)]
        before = set(threading.enumerate())
        look_ups = [names._join_look_up(host) for host in hosts]
        new = set(threading.enumerate()) - before
        workers = [thread for thread in new if thread.name == "names"]
        assert len(workers) == _MAX_THREADS
        source.open.set()
        for look_up in look_ups:
            look_up.result(30)
        assert sorted(source.asked) == sorted(hosts)
        for worker in workers:
            worker.join(30)
        assert names._threads == 0

    def test_what_is_remembered_is_changed_and_listed_under_the_lock(self, source, clock):
        """A listing beside a change fails; two changes at once drop the same name, or one too few.
        Threads meet there too seldom for a test, so the dictionary itself looks at the lock."""
        unlocked: list[str] = []

        class GuardedDict(dict):
            def _look(self) -> None:
                if not names._lock.locked():
                    unlocked.append(sys._getframe(2).f_code.co_name)

            def items(self):
                self._look()
                return super().items()

            def __iter__(self):
                self._look()
                return super().__iter__()

            def __len__(self) -> int:
                self._look()
                return super().__len__()

            def __setitem__(self, name: str, entry: object) -> None:
                self._look()
                super().__setitem__(name, entry)

            def __delitem__(self, name: str) -> None:
                self._look()
                super().__delitem__(name)

        names = Names(source, clock=clock, max_names=1)
        names._entries = GuardedDict()
        for host in ("a.example", "b.example"):
            names.resolve(host)
        clock.now += 59
        assert names.refresh() == 1
        landed(names)
        assert not unlocked

    def test_where_no_thread_can_be_started(self, names, monkeypatch):
        def start(_: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start)
        assert names.resolve(NAME).region == "eu-west-1"


class TestSize:
    def test_the_oldest_names_give_way(self, source, clock):
        names = Names(source, clock=clock, max_names=3)
        for name in ("a.example", "b.example", "c.example", "d.example"):
            names.resolve(name)
        assert names.peek("a.example") is None
        assert all(names.peek(name) for name in ("b.example", "c.example", "d.example"))
        clock.now += 61
        names.resolve("b.example")
        names.resolve("e.example")
        assert names.peek("b.example") is None
        assert list(names._entries) == ["c.example", "d.example", "e.example"]

    def test_a_single_name(self, source, clock):
        names = Names(source, clock=clock, max_names=1)
        for name in ("a.example", "a.example", "b.example"):
            assert names.resolve(name) is names.peek(name)
        assert list(names._entries) == ["b.example"]

    def test_ten_thousand_names_in_ten_mebibytes(self, clock):
        """Each with strings of its own, as an answer of VPC Lattice's has them."""
        names = Names(ManagedNames(), clock=clock)

        def fill() -> None:
            for n in range(10_000):
                name = f"orders-service-number-{n}.internal.example.com"
                managed = f"orders-{n:017x}.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
                arn = f"arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-{n:017x}"
                found = Endpoint(name, "eu-west-1", None, managed, arn, "VPC Lattice", clock.now)
                names._store(name, found, clock.now)

        gc.collect()
        tracemalloc.start()
        try:
            fill()
            gc.collect()
            used, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(names._entries) == 10_000
        assert used < 10 * 1024**2

    def test_a_cached_peek_costs_little(self, source):
        """Compared with an empty method: 1 µs would be some 30 of them."""
        names = Names(source)
        names.resolve(NAME)

        class Nothing:
            def peek(self, host: str) -> None:
                pass

        def seconds(peek: Callable[[str], object]) -> float:
            times = []
            for _ in range(20):
                start = time.perf_counter()
                for _ in repeat(None, 2000):
                    peek(NAME)
                times.append(time.perf_counter() - start)
            return min(times)

        assert seconds(names.peek) < 15 * seconds(Nothing().peek)

    def test_a_peek_allocates_nothing_that_stays(self, names):
        names.resolve(NAME)
        for _ in range(10):
            names.peek(f"{NAME}:8443")
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in repeat(None, 10_000):
                names.peek(f"{NAME}:8443")
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 100_000  # ten bytes for each


class TestWatching:
    def test_what_is_in_use_is_renewed_ahead_of_its_expiry(self, names, source, clock):
        names.resolve(NAME)
        clock.now += 47
        assert names.refresh() == 0
        clock.now += 1
        assert names.refresh() == 1
        landed(names)
        assert source.asked == [NAME] * 2
        clock.now += 59
        assert names.peek(NAME).expires_at == clock.now + 1

    def test_an_unused_name_is_not_renewed(self, names, source, clock):
        names.resolve(NAME)
        clock.now += 50
        assert names.refresh() == 1
        landed(names)
        clock.now += 50
        assert names.refresh() == 0
        names.peek(NAME)
        assert names.refresh() == 1
        landed(names)

    def test_what_has_no_end_needs_no_renewal(self, names, source, clock):
        source.ttl = None
        names.resolve(NAME)
        clock.now = 1e15
        assert names.refresh() == 0

    def test_a_thread_does_it(self, names, source, clock):
        names.resolve(NAME)
        with names.watch(every=0.001) as watch:
            assert "running=True" in repr(watch)
            while len(source.asked) < 4:
                names.peek(NAME)
                clock.now += 10
                time.sleep(0.002)
        assert not watch._thread.is_alive()
        assert "running=False" in repr(watch)
        landed(names)

    def test_it_ends_with_its_names(self, source):
        names = Names(source)
        watch = names.watch(every=0.001)
        del names
        gc.collect()
        watch._thread.join(30)
        assert not watch._thread.is_alive()

    def test_one_thread_however_often_it_is_started(self, names):
        with names.watch() as watch:
            first = watch._thread
            watch.start()
            assert watch._thread is first
        assert not first.is_alive()

    def test_stopping_does_not_wait_for_a_source_that_hangs(self, names, source, clock):
        names.resolve(NAME)
        source.open.clear()
        clock.now += 59
        with names.watch(every=0.001):
            while len(source.asked) < 2:
                time.sleep(0.001)
        source.open.set()
        landed(names)

    def test_a_bad_interval(self, names):
        with pytest.raises(ConfigurationError, match="every"):
            names.watch(every=0)

    def test_the_interpreter_ends_without_it_and_without_a_look_up_that_hangs(self):
        code = """
import threading, time
from lattice_client.names import Endpoint, Names
hanging = threading.Event()
class Source:
    def find(self, name, now):
        if name == "b.example":
            hanging.set()
            time.sleep(3600)
        return Endpoint(name, "eu-west-1", expires_at=now + 60)
names = Names(Source())
watch = names.watch(every=0.001)
names.resolve("a.example")
names._join_look_up("b.example")
hanging.wait()
print("done")
"""
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
        )
        assert result.stdout.strip() == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
class TestProcesses:
    def test_a_child_remembers_and_looks_up_for_itself(self):
        """Forked while a look-up is under way, the lock is held and a watch runs."""
        code = """
import os, threading, time, warnings
warnings.simplefilter("ignore")
from lattice_client.names import Endpoint, Names
gate = threading.Event()
entered = threading.Event()
class Source:
    def find(self, name, now):
        if name == "slow.example" and os.getpid() == parent:
            entered.set()
            gate.wait(30)
        return Endpoint(name, "eu-west-1", expires_at=now + 60)
parent = os.getpid()
names = Names(Source())
watch = names.watch(every=0.001)
names.resolve("a.example")
names._join_look_up("slow.example")
entered.wait(30)
names._lock.acquire()
event = watch._stopped
event._cond.acquire()
child = os.fork()
if child == 0:
    good = (
        names.peek("a.example") is not None
        and names.resolve("slow.example").region == "eu-west-1"
        and names.resolve("b.example").region == "eu-west-1"
        and watch._thread.is_alive()
    )
    watch.stop()
    os._exit(0 if good else 1)
event._cond.release()
names._lock.release()
gate.set()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
        assert run_script(code).strip() == "0"

    def test_it_pickles_without_what_it_remembers(self, monkeypatch):
        def looked_up(host, *arguments, **named):
            if host != "localhost":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return resolve("127.0.0.1", *arguments, **named)

        resolve = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        names = Names({NAME: "eu-west-1"}, DnsNames(), strict=True, max_ttl=77)
        names.resolve("localhost")
        copied = pickle.loads(pickle.dumps(names))
        assert copied.strict
        assert copied._max_ttl == 77
        assert copied.peek("localhost") is None
        assert copied.resolve(NAME).region == "eu-west-1"
        assert repr(copied) == repr(names)


def test_the_default_clock_is_the_systems():
    assert Names({})._clock is time.time
    assert isinstance(Clock()(), float)


def test_a_list_also_serves_the_callers_that_waited_for_it():
    """They took their time before the fetch began."""
    fetched = iter("abc")
    listing = CachedList[str](60.0)
    lists = [listing.get(now, fetched.__next__)[1] for now in (1000, 999.99, 1059.9, 1060, 900)]
    assert lists == ["a", "a", "a", "b", "c"]
