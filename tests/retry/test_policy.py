"""When to send a request again: each rule, any sequence of outcomes, and a storm. All use a
fake clock and fake random numbers."""

from __future__ import annotations

import copy
import heapq
import itertools
import math
import os
import pickle
import random
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lattice_client.retry.quota
from lattice_client import ConfigurationError, RetryPolicy
from lattice_client._http_date import http_date
from lattice_client.retry import (
    IDEMPOTENT_METHODS,
    NO_RETRIES,
    Attempts,
    Decision,
    Outcome,
    RetryQuota,
    RetryQuotas,
)
from support.processes import run_script

HOST = "orders.internal.example.com"
NOT_SENT = Outcome.not_sent()
RESET = Outcome.perhaps_sent(replayable=True)
TIMED_OUT = Outcome.perhaps_sent(replayable=True, timed_out=True)
OK = Outcome.answered(200, replayable=True)


def answered(status: int = 503, **kwargs) -> Outcome:
    return Outcome.answered(status, replayable=True, **kwargs)


def start(policy: RetryPolicy | None = None, method="GET", **kwargs) -> Attempts:
    kwargs.setdefault("random", lambda: 1.0)
    return (policy or RetryPolicy()).start(method, HOST, 0.0, **kwargs)


def decided(outcome: Outcome, policy: RetryPolicy | None = None, method="GET", **kwargs):
    return start(policy, method, **kwargs).after(outcome, 0.0)


class TestOutcomes:
    @pytest.mark.parametrize("method", [*sorted(IDEMPOTENT_METHODS), "POST", "PATCH", "LOCK"])
    @pytest.mark.parametrize("outcome", [NOT_SENT, RESET, TIMED_OUT, answered(503), answered(429)])
    def test_what_was_perhaps_processed_is_sent_again_for_idempotent_methods_alone(
        self, method, outcome
    ):
        decision = decided(outcome, method=method)
        if outcome is NOT_SENT or method in IDEMPOTENT_METHODS:
            assert decision.delay is not None
        else:
            assert decision == Decision(None, "method")

    @pytest.mark.parametrize("outcome", [RESET, answered(504), answered(503)])
    @pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key"])
    def test_a_key_header_gives_leave(self, outcome, name):
        assert decided(outcome, method="POST", headers=[name]).delay is not None
        assert decided(outcome, method="POST", headers=["X-Other"]).delay is None

    def test_a_key_header_of_ones_own(self):
        policy = RetryPolicy(key_headers=["X-Order-Id"])
        assert decided(RESET, policy, "POST", headers=["x-order-id"]).delay is not None
        assert decided(RESET, policy, "POST", headers=["idempotency-key"]).delay is None

    def test_leave_by_method(self):
        policy = RetryPolicy(methods=[*IDEMPOTENT_METHODS, "post"])
        assert decided(RESET, policy, "POST").delay is not None
        assert decided(RESET, policy, "PATCH").delay is None

    def test_leave_by_status(self):
        policy = RetryPolicy(unprocessed=[429, 503])
        assert decided(answered(503), policy, "POST").delay is not None
        assert decided(answered(502), policy, "POST").delay is None
        assert decided(RESET, policy, "POST").delay is None

    def test_statuses(self):
        for status in range(100, 600):
            decision = decided(answered(status))
            if status in {429, 502, 503, 504}:
                assert decision == Decision(0.1, "answered")
            else:
                assert decision == Decision(None, "finished")
                assert not decision.gave_up

    @pytest.mark.parametrize(
        "outcome",
        [
            Outcome.not_sent(replayable=False),
            Outcome.perhaps_sent(replayable=False),
            Outcome.answered(503, replayable=False),
        ],
    )
    def test_a_body_that_is_gone_is_never_sent_again(self, outcome):
        decision = decided(outcome)
        assert decision == Decision(None, "body")
        assert decision.gave_up


class TestDelays:
    def test_they_double_up_to_the_cap(self):
        attempts = start(RetryPolicy(attempts=6, base=0.5, cap=3))
        delays = [attempts.after(NOT_SENT, 0.0).delay for _ in range(6)]
        assert delays == [0.5, 1.0, 2.0, 3.0, 3.0, None]

    def test_the_jitter_is_full(self):
        seeded = random.Random(5).random
        delays = [decided(RESET, random=seeded).delay for _ in range(2000)]
        assert min(delays) < 0.001
        assert max(delays) > 0.099
        assert sum(delays) / 2000 == pytest.approx(0.05, rel=0.05)

    def test_chance_is_the_systems_by_default(self):
        delays = {decided(RESET, random=None).delay for _ in range(8)}
        assert len(delays) > 1

    def test_attempts_without_number_overflow_nothing(self):
        attempts = start(RetryPolicy(attempts=5000, cap=7))
        assert {attempts.after(NOT_SENT, 0.0).delay for _ in range(4999)} >= {0.1, 7.0}

    def test_the_attempts_are_counted(self):
        attempts = start()
        numbers = []
        for _ in range(3):
            numbers.append(attempts.number)
            decision = attempts.after(answered(503), 0.0)
        assert numbers == [1, 2, 3]
        assert decision == Decision(None, "attempts")
        assert str(decision) == "no other attempt: all attempts are used up"

    def test_none_at_all(self):
        for outcome in (NOT_SENT, RESET, answered(503)):
            assert decided(outcome, NO_RETRIES) == Decision(None, "attempts")


DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class TestRetryAfter:
    POLICY = RetryPolicy(base=0)

    @pytest.mark.parametrize("text", ["7", "007", " 7\t"])
    def test_seconds(self, text):
        assert decided(answered(retry_after=text), self.POLICY).delay == 7

    @pytest.mark.parametrize(
        "text",
        [
            "Sun, 06 Nov 1994 08:49:44 GMT",
            "Sunday, 06-Nov-94 08:49:44 GMT",
            "Sun Nov  6 08:49:44 1994",
        ],
    )
    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
    def test_a_date_counts_from_the_responses_own(self, text, zone, monkeypatch):
        monkeypatch.setenv("TZ", zone)
        outcome = answered(retry_after=text, date=DATE, received_at=5e9)
        assert decided(outcome, self.POLICY).delay == 7

    def test_a_date_with_another_zone_than_rfc_9110_allows(self):
        assert http_date("Sun, 06 Nov 1994 09:49:37 +0100") == http_date(DATE) == 784111777

    def test_without_a_date_it_counts_from_when_the_response_came(self):
        outcome = answered(retry_after=DATE, received_at=http_date(DATE) - 9.5)
        assert decided(outcome, self.POLICY).delay == 9.5

    @pytest.mark.parametrize("date", [None, "soon"])
    def test_a_date_with_nothing_to_count_from_says_nothing(self, date):
        assert decided(answered(retry_after=DATE, date=date)).delay == 0.1

    def test_a_date_in_the_past_means_now(self):
        outcome = answered(retry_after=DATE, date="Sun, 06 Nov 1994 09:00:00 GMT")
        assert decided(outcome, self.POLICY).delay == 0

    @pytest.mark.parametrize(
        "text",
        ["", "-1", "1.5", "soon", "²", "7 s", "::", "Sun, 06 Nov 99999 08:49:37 GMT", ":" * 70_000],
    )
    def test_what_makes_no_sense_is_as_good_as_absent(self, text):
        assert decided(answered(retry_after=text, date=DATE)).delay == 0.1

    @pytest.mark.parametrize("text", ["31", "9" * 309, "9" * 9000, "Mon, 07 Nov 1994 08:49:37 GMT"])
    def test_a_longer_one_than_allowed_is_a_reason_to_give_up(self, text):
        decision = decided(answered(retry_after=text, date=DATE))
        assert decision == Decision(None, "retry-after")
        assert decision.gave_up

    def test_those_who_are_asked_to_come_together_do_not(self):
        assert decided(answered(retry_after="2"), random=lambda: 0.25).delay == 2.025

    @pytest.mark.parametrize("status", [429, 503])
    def test_a_dates_module_is_loaded_for_dates_alone(self, status):
        code = f"""
import sys
from lattice_client.retry import Outcome, RetryPolicy
attempts = RetryPolicy().start("GET", "h", 0.0)
attempts.after(Outcome.answered({status}, replayable=True, retry_after="1"), 0.0)
print(*sys.modules)
"""
        loaded = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.split()
        assert "lattice_client.retry" in loaded
        assert not {"email.utils", "dataclasses", "logging"} & set(loaded)


class TestDeadline:
    def test_no_attempt_begins_that_cannot_end_in_time(self):
        policy = RetryPolicy(deadline=5, base=0, shortest_attempt=1)
        assert start(policy).after(RESET, 1.0).delay == 0
        # The first one took three seconds: another may as well, and there are two.
        assert start(policy).after(RESET, 3.0) == Decision(None, "deadline")
        attempts = start(policy)
        assert attempts.after(RESET, 2.0).delay == 0
        assert attempts.after(RESET, 3.5) == Decision(None, "deadline")

    def test_the_shortest_attempt_is_what_a_quick_failure_is_not(self):
        policy = RetryPolicy(deadline=5, base=0, shortest_attempt=1, attempts=9)
        attempts = start(policy)
        assert attempts.after(NOT_SENT, 0.0).delay == 0
        assert attempts.after(Outcome.not_sent(), 0.5).delay == 0
        quick = start(policy)
        assert quick.after(answered(retry_after="5"), 0.0) == Decision(None, "deadline")
        assert quick.after(answered(retry_after="4"), 0.0).delay == 4

    def test_a_wait_is_no_part_of_an_attempt(self):
        attempts = start(RetryPolicy(deadline=9, base=0, shortest_attempt=1))
        assert attempts.after(answered(retry_after="4"), 0.0).delay == 4
        # It is the fifth second, and the second attempt took one.
        assert attempts.after(RESET, 5.0).delay == 0

    def test_a_wait_is_made_shorter_rather_than_an_attempt_left_out(self):
        policy = RetryPolicy(deadline=2, base=10, cap=10, shortest_attempt=0.5)
        assert start(policy).after(NOT_SENT, 0.0).delay == 1.5

    def test_time_left(self):
        attempts = start(RetryPolicy(deadline=5))
        assert [attempts.time_left(now) for now in (0, 4.5, 6)] == [5, 0.5, 0]
        assert start().time_left(7) is None


class TestPolicy:
    CHANGES: ClassVar = [
        {"attempts": 1},
        {"base": 1},
        {"cap": 2},
        {"deadline": 9},
        {"shortest_attempt": 3},
        {"max_retry_after": 0},
        {"statuses": [500, 503]},
        {"methods": ["POST"]},
        {"key_headers": ["X-Key"]},
        {"unprocessed": [503]},
    ]

    @pytest.mark.parametrize("changes", CHANGES, ids=str)
    def test_it_is_a_value(self, changes):
        policy = RetryPolicy().replace(**changes)
        assert policy != RetryPolicy()
        assert policy == RetryPolicy(**changes)
        assert hash(policy) == hash(RetryPolicy(**changes))
        assert pickle.loads(pickle.dumps(policy)) == policy
        assert copy.deepcopy(policy) == policy
        assert eval(repr(policy)) == policy
        assert not hasattr(policy, "__dict__")
        (name,) = changes
        with pytest.raises(AttributeError, match="immutable"):
            setattr(policy, name, 1)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(policy, name)

    @pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace() came with Python 3.13")
    def test_copy_replace(self):
        assert copy.replace(RetryPolicy(), attempts=1) == NO_RETRIES

    def test_every_setting_is_covered(self):
        assert {name for change in self.CHANGES for name in change} == set(RetryPolicy.__slots__)

    @pytest.mark.parametrize("status", [400, 599])
    def test_the_first_and_the_last_status_that_may_be_named(self, status):
        policy = RetryPolicy(statuses=[status], unprocessed=[status])
        assert policy.statuses == policy.unprocessed == {status}
        assert policy.start("POST", "h", 0.0).after(answered(status), 0.0).reason == "answered"

    def test_statuses_of_the_standard_library(self):
        policy = RetryPolicy(statuses=[HTTPStatus.BAD_GATEWAY])
        assert repr(policy) == "RetryPolicy(statuses=[502])"

    @pytest.mark.parametrize(
        ("settings", "names"),
        [
            ({"attempts": 0}, "attempts"),
            ({"attempts": 2.0}, "attempts"),
            ({"attempts": True}, "attempts"),
            ({"base": -1}, "base"),
            ({"cap": math.nan}, "cap"),
            ({"cap": math.inf}, "cap"),
            ({"deadline": "5"}, "deadline"),
            ({"shortest_attempt": None}, "shortest_attempt"),
            ({"max_retry_after": math.inf}, "max_retry_after"),
            ({"statuses": 503}, "statuses"),
            ({"statuses": [200]}, "statuses"),
            ({"statuses": [399]}, "statuses"),
            ({"statuses": [600]}, "statuses"),
            ({"statuses": ["503"]}, "statuses"),
            ({"methods": "POST"}, "methods"),
            ({"methods": [""]}, "methods"),
            ({"key_headers": [b"key"]}, "key_headers"),
            ({"unprocessed": [418]}, "unprocessed"),
        ],
    )
    def test_settings_that_cannot_work(self, settings, names):
        with pytest.raises(ConfigurationError, match=names):
            RetryPolicy(**settings)
        with pytest.raises(ConfigurationError, match=names):
            RetryPolicy().replace(**settings)

    def test_a_setting_that_there_is_not(self):
        with pytest.raises(TypeError, match="tries"):
            RetryPolicy().replace(tries=1)


# --- Any sequence of outcomes -----------------------------------------------------------------

SECONDS = st.floats(0, 60)
OUTCOMES = st.one_of(
    st.builds(Outcome.not_sent, replayable=st.booleans(), timed_out=st.booleans()),
    st.builds(Outcome.perhaps_sent, replayable=st.booleans(), timed_out=st.booleans()),
    st.builds(
        Outcome.answered,
        st.sampled_from([200, 404, 429, 500, 502, 503, 504]),
        replayable=st.booleans(),
        retry_after=st.none() | st.integers(0, 100).map(str) | st.text(max_size=9) | st.just(DATE),
        date=st.none() | st.just("Sun, 06 Nov 1994 08:49:30 GMT"),
        received_at=st.none() | st.just(784111770.5),
    ),
)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 6),
    base=SECONDS,
    cap=SECONDS,
    deadline=st.none() | SECONDS,
    shortest_attempt=SECONDS,
    max_retry_after=SECONDS,
    unprocessed=st.sampled_from([(), (429,), (429, 503)]),
)


@given(
    POLICIES,
    st.sampled_from(["GET", "PUT", "POST", "PATCH"]),
    st.booleans(),
    st.lists(st.tuples(OUTCOMES, SECONDS, st.floats(0, 1)), min_size=6, max_size=6),
    st.floats(0, 1e9),
)
def test_whatever_happens(policy, method, keyed, events, began):
    chances = iter([chance for _, _, chance in events])
    quotas = RetryQuotas(capacity=20)
    headers = ["Idempotency-Key"] if keyed else []
    attempts = policy.start(
        method, HOST, began, headers=headers, quotas=quotas, random=lambda: next(chances)
    )
    now, longest = began, policy.shortest_attempt
    for number, (outcome, lasted, _) in enumerate(events, 1):
        longest = max(longest, lasted)
        now += lasted
        decision = attempts.after(outcome, now)
        if decision.delay is None:
            break
        # Reached only by an attempt that is followed by another.
        assert number < policy.attempts
        assert outcome.replayable
        perhaps = outcome.sent == "perhaps" or (
            outcome.sent == "answered" and outcome.status not in policy.unprocessed
        )
        assert not (method in {"POST", "PATCH"} and not keyed and perhaps)
        assert outcome.sent != "answered" or outcome.status in policy.statuses
        assert 0 <= decision.delay <= policy.max_retry_after + policy.cap
        if (outcome.retry_after or "").isdecimal() and outcome.retry_after.isascii():
            assert decision.delay >= int(outcome.retry_after)
        now += decision.delay
        if policy.deadline is not None:
            assert now + longest <= began + policy.deadline + 1e-6
    else:
        pytest.fail("it went on for ever")
    assert attempts.number == number
    assert 0 <= quotas.of(HOST).tokens <= 20


def test_a_first_signature_loads_none_of_this():
    code = """
import os, sys
os.environ |= dict(AWS_ACCESS_KEY_ID="AKID", AWS_SECRET_ACCESS_KEY="s", AWS_REGION="eu-west-1")
import requests
from lattice_client import LatticeAuth
request = requests.Request("GET", "https://a.example/", auth=LatticeAuth()).prepare()
assert "Authorization" in request.headers
print(*(name for name in sys.modules if name.startswith("lattice_client.")))
from lattice_client import RetryPolicy, explain
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert "lattice_client.auth" in loaded
    assert not {f"lattice_client.{name}" for name in ("retry", "quotas", "denial", "_sent")} & {
        *loaded
    }


# --- Quotas -----------------------------------------------------------------------------------


class TestQuota:
    def test_prices(self):
        quota = RetryQuota()
        assert quota.spend()
        assert quota.tokens == 195
        assert quota.spend(timed_out=True)
        assert quota.tokens == 185
        quota.give_back()
        assert quota.tokens == 186

    @pytest.mark.parametrize(
        ("change", "tokens", "left", "paid"),
        [("spend", 5, 0, 1), ("spend", 12, 2, 2), ("give_back", 0, 2, 0)],
    )
    def test_two_threads_at_once(self, monkeypatch, change, tokens, left, paid):
        """One is stopped in the middle of a change until the other has made one, or waits."""
        moved = threading.Event()
        lock = threading.Lock()

        class WatchedLock:
            def __enter__(self) -> None:
                if not lock.acquire(blocking=False):
                    moved.set()
                    lock.acquire()

            def __exit__(self, *_: object) -> None:
                lock.release()

        quota = RetryQuota(100)
        results = []

        def other() -> None:
            results.append(getattr(quota, change)())
            moved.set()

        threads = [threading.Thread(target=other)]

        class Tokens(int):
            """What a change reads before it writes."""

            def _stop(self) -> None:
                if not threads[0].ident:
                    threads[0].start()
                    assert moved.wait(20)

            def __sub__(self, price: int) -> int:
                self._stop()
                return int(self) - price

            def __add__(self, more: int) -> int:
                self._stop()
                return int(self) + more

        monkeypatch.setattr(lattice_client.retry.quota, "_lock", WatchedLock())
        quota.tokens = Tokens(tokens)
        results.append(getattr(quota, change)())
        threads[0].join(20)
        assert quota.tokens == left
        assert results.count(True) == paid

    def test_it_is_never_more_than_full_nor_less_than_empty(self):
        quota = RetryQuota(12)
        quota.give_back()
        assert quota.tokens == 12
        assert quota.spend(timed_out=True)
        assert not quota.spend()
        assert quota.tokens == 2

    def test_calls_to_one_host_share_it_and_others_do_not(self):
        quotas = RetryQuotas(capacity=5)
        assert decided(RESET, quotas=quotas).delay is not None
        assert decided(RESET, quotas=quotas) == Decision(None, "quota")
        other = RetryPolicy().start("GET", "books.internal.example.com", 0.0, quotas=quotas)
        assert other.after(RESET, 0.0).delay is not None

    @pytest.mark.parametrize(
        ("outcome", "tokens"),
        [
            (NOT_SENT, 95),
            (RESET, 95),
            (answered(503), 95),
            (Outcome.not_sent(timed_out=True), 90),
            (TIMED_OUT, 90),
            (answered(504), 90),
        ],
    )
    def test_a_time_out_costs_more(self, outcome, tokens):
        quotas = RetryQuotas(capacity=100)
        decided(outcome, quotas=quotas)
        assert quotas.of(HOST).tokens == tokens

    @pytest.mark.parametrize(("status", "given"), [(200, 1), (404, 1), (403, 1), (500, 0)])
    def test_an_answer_that_is_no_failure_gives_one_back(self, status, given):
        quotas = RetryQuotas(capacity=100)
        attempts = start(quotas=quotas)
        attempts.after(RESET, 0.0)
        attempts.after(answered(status), 0.0)
        assert quotas.of(HOST).tokens == 95 + given

    @pytest.mark.parametrize(
        ("outcome", "policy", "method"),
        [
            (Outcome.not_sent(replayable=False), RetryPolicy(), "GET"),
            (RESET, RetryPolicy(), "POST"),
            (RESET, NO_RETRIES, "GET"),
            (answered(retry_after="99"), RetryPolicy(), "GET"),
            (RESET, RetryPolicy(deadline=0), "GET"),
        ],
    )
    def test_what_is_not_sent_again_costs_nothing(self, outcome, policy, method):
        quotas = RetryQuotas(capacity=100)
        assert decided(outcome, policy, method, quotas=quotas).gave_up
        assert quotas.of(HOST).tokens == 100

    def test_hosts_are_bounded_and_spent_quotas_stay(self):
        quotas = RetryQuotas(hosts=3)
        quotas.of("spent").spend()
        for number in range(100):
            quotas.of(f"host-{number}")
            assert len(quotas) <= 3
        assert quotas.of("spent").tokens == 195

    def test_hosts_are_bounded_where_all_have_spent(self):
        quotas = RetryQuotas(hosts=3)
        for number in range(100):
            quotas.of(f"host-{number}").spend()
        assert len(quotas) == 3
        assert quotas.of("host-99").tokens == 195

    def test_full_ones_go(self):
        """Then a host costs its calls no more than one that has never failed."""
        quotas = RetryQuotas(capacity=100)
        assert quotas.spend("one")
        assert quotas.spend("other", timed_out=True)
        for tokens in range(96, 100):
            quotas.note_answer("one", 200)
            assert quotas.of("one").tokens == tokens
        quotas.note_answer("one", 503)
        assert len(quotas) == 2
        quotas.note_answer("one", 404)
        assert len(quotas) == 1
        quotas.note_answer("one", 200)
        assert len(quotas) == 1
        assert quotas.of("other").tokens == 90

    def test_a_call_that_began_before_pays_from_the_present_one(self):
        quotas = RetryQuotas(capacity=10)
        attempts = start(quotas=quotas)
        assert attempts.after(RESET, 0.0).delay is not None
        for _ in range(5):
            quotas.note_answer(HOST, 200)
        assert len(quotas) == 0
        assert attempts.after(RESET, 0.0).delay is not None
        assert quotas.of(HOST).tokens == 5

    def test_threads_pay_for_each_retry(self):
        """However they take turns between one that is full and the next."""
        quotas, spent = RetryQuotas(capacity=10), [0] * 4
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)

        def work(number: int) -> None:
            for _ in range(2000):
                spent[number] += quotas.spend(HOST)
                for _ in range(3):
                    quotas.note_answer(HOST, 200)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(spent))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        answers = 4 * 2000 * 3
        left = quotas.of(HOST).tokens
        assert 0 <= left <= 10
        assert sum(spent) * 5 <= answers + 10 - left

    def test_a_pickle_is_full_again(self):
        quotas = RetryQuotas(hosts=2, capacity=10)
        quotas.of(HOST).spend()
        again = pickle.loads(pickle.dumps(quotas))
        assert len(again) == 0
        assert again.of(HOST).tokens == again.of(HOST).capacity == 10
        assert repr(again) == "<RetryQuotas of 1 hosts>"
        assert repr(again.of(HOST)) == "<RetryQuota, 10 of 10>"

    def test_from_many_threads(self):
        quotas = RetryQuotas(capacity=10_000)
        spent: list[int] = []
        gate = threading.Barrier(8)

        def work() -> None:
            gate.wait()
            spent.append(sum(quotas.of(HOST).spend() for _ in range(1000)))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(spent) == 2000
        assert quotas.of(HOST).tokens == 0

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
    def test_a_fork_while_another_thread_holds_the_lock(self):
        code = """
import os, warnings
from lattice_client.retry import quota as quotas
warnings.simplefilter("ignore")
quota = quotas.RetryQuota()
quotas._lock.acquire()
child = os.fork()
if child == 0:
    os._exit(0 if quota.spend() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
        run_script(code)


# --- A storm ----------------------------------------------------------------------------------

WORKERS, STORM, END = 50, (2.0, 32.0), 60.0


@dataclass
class Seen:
    """What a service saw of a storm."""

    firsts: list[float] = field(default_factory=list)
    retries: list[float] = field(default_factory=list)
    spent_at: float = math.inf
    # When each call ended, and whether well.
    ends: list[tuple[float, float, bool]] = field(default_factory=list)

    def factor(self, since: float) -> float:
        """All attempts per first attempt, from ``since`` to the storm's end."""
        firsts, retries = (
            sum(since <= at < STORM[1] for at in times) for times in (self.firsts, self.retries)
        )
        return (firsts + retries) / firsts


def storm(outcome: Outcome, lasts: float, *, share: float = 1.0, seed: int = 1) -> tuple:
    """50 workers that call one after another, with 100 ms between calls; ``share`` of the attempts
    from second 2 to 32 fail with this outcome, after this time."""
    chance = random.Random(seed)
    policy, quotas, seen = RetryPolicy(), RetryQuotas(), Seen()

    def worker():
        while True:
            began = yield chance.uniform(0.0, 0.2)
            if began >= END:
                return
            attempts = policy.start("GET", HOST, began, quotas=quotas, random=chance.random)
            now, sent = began, seen.firsts
            while True:
                sent.append(now)
                fails = STORM[0] <= now < STORM[1] and chance.random() < share
                now = yield lasts if fails else 0.02
                decision = attempts.after(outcome if fails else OK, now)
                if decision.reason == "quota":
                    seen.spent_at = min(seen.spent_at, now)
                if decision.delay is None:
                    break
                sent, now = seen.retries, (yield decision.delay)
            seen.ends.append((began, now, not fails))

    order = itertools.count()
    queue = []
    for _ in range(WORKERS):
        one = worker()
        heapq.heappush(queue, (next(one), next(order), one))
    while queue:
        now, _, one = heapq.heappop(queue)
        try:
            heapq.heappush(queue, (now + one.send(now), next(order), one))
        except StopIteration:
            continue
    return seen, quotas.of(HOST)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("outcome", "lasts"),
    [(answered(503), 0.005), (RESET, 0.001), (NOT_SENT, 0.001), (TIMED_OUT, 2), (TIMED_OUT, 10)],
    ids=["503", "reset", "refused", "time-outs of 2 s", "time-outs of 10 s"],
)
def test_a_storm(outcome, lasts, seed):
    seen, quota = storm(outcome, lasts, seed=seed)
    assert STORM[0] < seen.spent_at < STORM[1]
    # From the storm's first moment, with all the retries that a full quota pays for.
    assert seen.factor(STORM[0]) <= 1.2
    # Nothing succeeds, so nothing is given back: once those paid for are sent, there are no others.
    assert not [at for at in seen.retries if seen.spent_at + 0.2 < at < STORM[1]]
    # It is back, and every later call succeeds: none waits for a quota.
    later = [well for began, _, well in seen.ends if began >= STORM[1]]
    assert len(later) > WORKERS * 100
    assert all(later)
    assert quota.tokens == quota.capacity


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_storm_that_lets_some_through(share, seed):
    seen, quota = storm(answered(503), 0.005, share=share, seed=seed)
    assert seen.spent_at < STORM[1]
    assert 1.0 < seen.factor(seen.spent_at) <= 1.2
    assert all(well for began, _, well in seen.ends if began >= STORM[1])
    assert quota.tokens == quota.capacity


def test_a_few_failures_are_all_made_good():
    seen, _ = storm(answered(503), 0.005, share=0.05)
    assert seen.spent_at == math.inf
    assert sum(well for *_, well in seen.ends) / len(seen.ends) > 0.999
