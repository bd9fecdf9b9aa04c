"""The steps of a call, driven without a library, a network or a clock."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import pytest
import requests

from lattice_client import LatticeAuth, RetryPolicy
from lattice_client._calls.loop import CallSettings
from lattice_client._wire.requests import RequestsRequest
from lattice_client.retry.quota import RetryQuotas
from support import canary


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Ops:
    """A library that answers from a list.

    :param reading: seconds that it takes to read an answer that is discarded.
    """

    clock: Clock
    answers: list[Answer]
    reading: float = 0.0
    sent_at: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def attempt(self, request_id: str) -> RequestsRequest:
        prepared = requests.Request("GET", "https://orders.example.com/").prepare()
        attempt = RequestsRequest(prepared)
        attempt.set_default_header("x-amzn-requestid", request_id)
        return attempt

    def sign(self, attempt: RequestsRequest) -> None:
        pass

    def send(self, attempt: RequestsRequest) -> Answer:
        self.sent_at.append(self.clock.now)
        return self.answers.pop(0)

    def read(self, answer: tuple[Answer, float]) -> bytes:
        return b"no"

    def remedy(self, refusal: tuple[object, ...]) -> None:
        return None

    def status(self, response: Answer) -> int:
        return response.status

    def outcome(self, error: Exception, replayable: bool) -> None:  # noqa: FBT001 a protocol
        raise error

    def discard(self, answer: tuple[Answer, float]) -> None:
        _, limit = answer
        self.limits.append(limit)
        self.clock.now += min(self.reading, limit)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    monkeypatch.setattr(random, "random", lambda: 0.0)
    return made


def auth() -> LatticeAuth:
    return LatticeAuth(region="us-west-2", credentials=canary.credentials())


def call(ops: Ops, **policy: float) -> Answer:
    return CallSettings(auth(), RetryPolicy(**policy), observers=()).call(ops)


def test_a_failure_leaves_nothing_behind(clock):
    """After as many successes as its retry cost, calls are as before it. Other hosts' successes and
    failures that are not retried change nothing."""
    settings = CallSettings(auth(), RetryPolicy(), observers=())
    settings.call(Ops(clock, [busy(0), Answer(200)]))
    assert len(settings.quotas) == 1
    for status in (500, 200, 404, 403, 200):
        assert settings.call(Ops(clock, [Answer(status)])).status == status
    assert len(settings.quotas) == 0


def test_many_attempts(clock):
    ops = Ops(clock, [busy(0)] * 1500 + [Answer(200)])
    settings = CallSettings(auth(), RetryPolicy(attempts=1501), observers=())
    settings.quotas = RetryQuotas(capacity=100_000)
    assert settings.call(ops).status == 200


def busy(seconds: int) -> Answer:
    return Answer(503, {"Retry-After": str(seconds)})


@pytest.mark.parametrize(
    ("reading", "pause"),
    [
        (0.0, 2.0),
        (0.004, 2.0),  # a body that is there already
        (1.5, 0.5),
        (9.0, 0.0),  # given up after 2 s
    ],
)
def test_a_pause_counts_from_the_answer(clock, reading, pause):
    ops = Ops(clock, [busy(2), Answer(200)], reading)
    assert call(ops, deadline=3.0).status == 200
    assert ops.pauses == [pytest.approx(pause)]
    assert ops.limits == [2.0]


def test_reading_makes_no_attempt_late(clock):
    """The second attempt begins before the deadline by which it was planned."""
    ops = Ops(clock, [busy(2), Answer(200)], reading=9.0)
    began = clock.now
    call(ops, deadline=2.5)
    assert [at - began for at in ops.sent_at] == [0.0, pytest.approx(2.0)]


def test_reading_ends_with_the_deadline(clock):
    ops = Ops(clock, [busy(0), Answer(200)], reading=9.0)
    call(ops, deadline=0.5)
    assert ops.limits == [pytest.approx(0.5)]
