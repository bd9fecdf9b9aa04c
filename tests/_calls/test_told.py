"""What is told of staged calls: the same events to observers and the same records at each level of
the log, whoever else listens."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import aiohttp
import httpx
import httpx2
import pytest
import requests

from adapters.drivers import CLIENTS, Driver
from lattice_client import ConfigurationError, LatticeAuth
from lattice_client.events import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    Event,
    RemedyApplied,
    RetryPlanned,
    Signed,
    listens_to,
    log,
)
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.raw_server import OK, raw_server

REGION = "us-west-2"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
MOVED = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
TRANSPORT_ERRORS = (
    requests.ConnectionError,
    httpx.TransportError,
    httpx2.TransportError,
    aiohttp.ClientError,
)
LEVELS = [logging.DEBUG, logging.INFO, logging.WARNING]
ATTEMPT = [Signed, AttemptStarted, AttemptEnded]
AGAIN = [*ATTEMPT, RetryPlanned]
STATUS_TO_RETRY = "another attempt in *: the answer's status is one to retry"
NOT_SENT = "another attempt in *: the request was not sent"


def auth(**arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(), **arguments)


@contextmanager
def answering(*responses: bytes) -> Iterator[str]:
    left = list(responses)
    with raw_server(lambda _: left.pop(0) if left else OK) as server:
        yield f"{server.url}/a"


@contextmanager
def an_hour_ahead() -> Iterator[str]:
    local = LocalLattice(region=REGION, clock=lambda: time.time() + 3600)
    local.add_service("orders")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as lattice:
        yield f"{lattice.url}/a"


@contextmanager
def nothing() -> Iterator[str]:
    with raw_server() as server:
        url = f"{server.url}/a"
    yield url


# Each stage: its events, and what the log says of them. * is an exception's name or a number.
STAGES: dict[str, tuple[Callable[[], AbstractContextManager[str]], list[type], list[str]]] = {
    "success": (
        answering,
        [CallStarted, *ATTEMPT, CallEnded],
        ["DEBUG attempt 1", "DEBUG attempt 1 was answered 200 after *"],
    ),
    "retry": (
        lambda: answering(UNAVAILABLE),
        [CallStarted, *AGAIN, *ATTEMPT, CallEnded],
        [
            "DEBUG attempt 1",
            "DEBUG attempt 1 was answered 503 after *",
            f"INFO attempt 1 was answered 503; {STATUS_TO_RETRY}",
            "DEBUG attempt 2",
            "DEBUG attempt 2 was answered 200 after *",
        ],
    ),
    "retries in vain": (
        lambda: answering(*[UNAVAILABLE] * 3),
        [CallStarted, *AGAIN, *AGAIN, *ATTEMPT, CallEnded],
        [
            line
            for number in (1, 2, 3)
            for line in (
                f"DEBUG attempt {number}",
                f"DEBUG attempt {number} was answered 503 after *",
                f"INFO attempt {number} was answered 503; {STATUS_TO_RETRY}",
            )
        ][:-1],
    ),
    "refusal": (
        lambda: answering(FORBIDDEN),
        [CallStarted, *ATTEMPT, CallEnded],
        ["DEBUG attempt 1", "DEBUG attempt 1 was answered 403 after *"],
    ),
    "refusal and remedy": (
        an_hour_ahead,
        [CallStarted, *ATTEMPT, RemedyApplied, *ATTEMPT, CallEnded],
        [
            "DEBUG attempt 1",
            "DEBUG attempt 1 was answered 403 after *",
            "DEBUG attempt 2",
            "DEBUG attempt 2 was answered 200 after *",
        ],
    ),
    "redirect": (
        lambda: answering(MOVED),
        [CallStarted, *ATTEMPT, CallEnded, CallStarted, *ATTEMPT, CallEnded],
        [
            "DEBUG attempt 1",
            "DEBUG attempt 1 was answered 307 after *",
            "DEBUG attempt 1",
            "DEBUG attempt 1 was answered 200 after *",
        ],
    ),
    "failure": (
        nothing,
        [CallStarted, *AGAIN, *AGAIN, *ATTEMPT, CallEnded],
        [
            line
            for number in (1, 2, 3)
            for line in (
                f"DEBUG attempt {number}",
                f"DEBUG attempt {number} ended with * after *",
                f"INFO attempt {number} ended with *; {NOT_SENT}",
            )
        ][:-1],
    ),
}


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(params=CLIENTS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def make_call(driver: Driver, stage: str, observers: object) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(STAGES[stage][0]())
        settings = {} if observers is None else {"observers": observers}
        client = stack.enter_context(driver.client(auth(), **settings))
        try:
            client("GET", url, redirects=stage == "redirect")
        except TRANSPORT_ERRORS:
            assert stage == "failure"


def told(caplog) -> list[str]:
    """The records of calls, each without its call, and with what differs replaced."""
    lines = []
    for record in caplog.records:
        if record.name == "lattice_client.calls":
            text = re.sub(r"^GET http://\S+/[ab] \(request id \w{32}\): ", "", record.getMessage())
            text = re.sub(r"\d+\.\d{3} s", "*", text)
            text = re.sub(r"ended with [\w.]+", "ended with *", text)
            lines.append(f"{record.levelname} {text}")
    return lines


@pytest.mark.parametrize("stage", STAGES)
def test_events_and_records(driver, stage, caplog):
    _, kinds, records = STAGES[stage]
    for level in LEVELS:
        expected = [line for line in records if getattr(logging, line.split()[0]) >= level]
        caplog.set_level(level, "lattice_client.calls")
        for listeners in (0, 1, 2):
            seen: list[Event] = []
            ends: list[Event] = []
            observers = [log, listens_to(CallEnded)(ends.append)]
            caplog.clear()
            make_call(driver, stage, [None, observers, [seen.append, log]][listeners])
            assert told(caplog) == expected, (level, listeners)
            if listeners == 1:
                assert {type(end) for end in ends} == {CallEnded}
                assert len(ends) == kinds.count(CallEnded)
            if listeners == 2:
                assert [type(event) for event in seen] == kinds
                assert len({event.call for event in seen}) == kinds.count(CallStarted)


@pytest.mark.parametrize("level", LEVELS[1:], ids=logging.getLevelName)
def test_nothing_is_made_of_a_success_that_the_log_says_nothing_about(
    driver, level, caplog, monkeypatch
):
    """No observer, no event and no generator."""

    def made(*_):
        raise AssertionError("nothing listens")

    for name in ("CallObserver", "run", "run_async"):
        monkeypatch.setattr(f"lattice_client._calls.loop.{name}", made)
    caplog.set_level(level, "lattice_client.calls")
    make_call(driver, "success", None)
    make_call(driver, "redirect", [log])


class TestListensTo:
    def test_other_events_are_not_made(self, driver, monkeypatch):
        def made(*_):
            raise AssertionError("nothing listens to it")

        for kind in (CallStarted, Signed, AttemptStarted, AttemptEnded):
            fake = type(kind.__name__, (), {"__new__": made})
            monkeypatch.setattr(f"lattice_client._calls.watch.{kind.__name__}", fake)
        seen: list[Event] = []

        @listens_to(RetryPlanned, CallEnded)
        class Recorder:
            def __call__(self, event: Event) -> None:
                seen.append(event)

        make_call(driver, "retry", [Recorder()])
        retry, end = seen
        assert retry[1:] == (1, 0.0, "answered", 503, None)
        assert end[1:4] == (2, 200, None)
        assert retry.call == end.call

    def test_of_retries_alone(self, driver):
        """Such an observer takes no part in attempts."""
        seen: list[Event] = []
        listener = listens_to(RetryPlanned, RemedyApplied)(seen.append)
        for stage in ("failure", "refusal and remedy", "retries in vain"):
            make_call(driver, stage, [listener])
        kinds = [RetryPlanned, RetryPlanned, RemedyApplied, RetryPlanned, RetryPlanned]
        assert [type(event) for event in seen] == kinds
        assert [event.attempt for event in seen] == [1, 2, 1, 1, 2]
        assert len({event.call for event in seen}) == 3

    @pytest.mark.parametrize("wrong", ["CallEnded", CallEnded.__name__.upper, log, Event, int])
    def test_what_is_no_event(self, wrong):
        with pytest.raises(ConfigurationError, match="listens_to takes classes of events"):
            listens_to(wrong)
