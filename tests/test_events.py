"""The events for observers: the right ones in the right order, and without secrets."""

from __future__ import annotations

import logging
import pickle
import random
import threading
import time

import aiohttp
import httpx
import httpx2
import pytest
import requests

import lattice_client.httpx
import lattice_client.requests
from adapters.drivers import CLIENTS, Driver
from lattice_client import ConfigurationError, LatticeAuth, RefreshingCredentials, RetryPolicy
from lattice_client._calls.loop import CallSettings
from lattice_client._wire.requests import RequestsRequest
from lattice_client.errors import CredentialsError
from lattice_client.events import (
    AttemptEnded,
    AttemptStarted,
    Call,
    CallEnded,
    CallStarted,
    CredentialsRefreshed,
    NotSigned,
    RemedyApplied,
    RetryPlanned,
    Signed,
    log,
    observe_credentials,
)
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.asynchronous import ASYNC_CLIENTS, call_and_cancel
from support.raw_server import OK, raw_server

REGION = "us-west-2"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
TRANSPORT_ERRORS = (
    requests.ConnectionError,
    httpx.TransportError,
    httpx2.TransportError,
    aiohttp.ClientError,
)

ATTEMPT = [Signed, AttemptStarted, AttemptEnded]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(params=CLIENTS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def auth(**arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(), **arguments)


def answers(*responses: bytes):
    left = list(responses)
    return lambda _: left.pop(0) if left else OK


def kinds(seen) -> list[type]:
    return [type(event) for event in seen]


def of(kind, seen) -> list:
    return [event for event in seen if type(event) is kind]


class TestOrder:
    def test_a_plain_call(self, driver):
        seen = []
        with raw_server() as server, driver.client(auth(), observers=[seen.append]) as client:
            assert client("GET", server.url + "/a%20b?q=1").status == 200
        assert kinds(seen) == [CallStarted, *ATTEMPT, CallEnded]
        started, signed, _, answered, ended = seen
        call = started.call
        host = f"127.0.0.1:{server.port}"
        request_id = server.requests[0].header("x-amzn-requestid")
        assert call[:5] == ("GET", "http", host, "/a%20b", request_id)
        assert {event.call for event in seen} == {call}
        assert signed[1:4] == (1, "vpc-lattice-svcs", REGION)
        assert answered[1:4] == (1, 200, None)
        assert ended[1:4] == (1, 200, None)
        assert ended.duration >= answered.duration > 0

    def test_503_twice(self, driver):
        seen = []
        with (
            raw_server(answers(UNAVAILABLE, UNAVAILABLE)) as server,
            driver.client(auth(), observers=[seen.append]) as client,
        ):
            assert client("GET", server.url).status == 200
        again = [*ATTEMPT, RetryPlanned]
        assert kinds(seen) == [CallStarted, *again, *again, *ATTEMPT, CallEnded]
        assert [event.attempt for event in of(Signed, seen)] == [1, 2, 3]
        assert [event.status for event in of(AttemptEnded, seen)] == [503, 503, 200]
        assert [event[1:] for event in of(RetryPlanned, seen)] == [
            (1, 0.0, "answered", 503, None),
            (2, 0.0, "answered", 503, None),
        ]
        assert seen[-1][1:4] == (3, 200, None)

    def test_the_last_503_is_handed_out(self, driver):
        seen = []
        with (
            raw_server(lambda _: UNAVAILABLE) as server,
            driver.client(auth(), observers=[seen.append]) as client,
        ):
            client("GET", server.url)
        assert seen[-1][1:4] == (3, 503, None)
        assert seen[-1].gave_up == "attempts"

    def test_why_there_was_no_other_attempt(self, driver):
        """An error that ends a call after retries, a POST's, and answers that are none's fault."""
        seen = []
        with (
            raw_server(answers(OK, UNAVAILABLE, UNAVAILABLE)) as server,
            driver.client(auth(), observers=[seen.append]) as client,
        ):
            client("GET", server.url)
            client("POST", server.url, body=b"{}")
            client("GET", server.url)
        with (
            raw_server(faults=["after the request"] * 3) as server,
            driver.client(auth(), observers=[seen.append]) as client,
            pytest.raises(TRANSPORT_ERRORS),
        ):
            client("GET", server.url)
        ends = [(end.attempts, end.gave_up) for end in seen if isinstance(end, CallEnded)]
        assert ends == [(1, None), (1, "method"), (2, None), (3, "attempts")]

    def test_a_refused_connection(self, driver, nobody_listens):
        seen = []
        with (
            driver.client(auth(), observers=[seen.append]) as client,
            pytest.raises(TRANSPORT_ERRORS) as raised,
        ):
            client("POST", f"http://127.0.0.1:{nobody_listens}/", body=b"{}")
        name = f"{raised.type.__module__}.{raised.type.__qualname__}"
        again = [*ATTEMPT, RetryPlanned]
        assert kinds(seen) == [CallStarted, *again, *again, *ATTEMPT, CallEnded]
        assert {event.reason for event in of(RetryPlanned, seen)} == {"not sent"}
        ended = [*of(AttemptEnded, seen), *of(RetryPlanned, seen), *of(CallEnded, seen)]
        assert {(event.status, event.error) for event in ended} == {(None, name)}

    def test_a_remedy(self, driver):
        seen = []
        local = LocalLattice(region=REGION, clock=lambda: time.time() + 600)
        local.add_service("orders")
        local.add_caller("orders-frontend", credentials=canary.credentials())
        with (
            serve(local) as lattice,
            driver.client(auth(), observers=[seen.append]) as client,
        ):
            assert client("POST", lattice.url + "/", body=b"{}").status == 200
            assert client("POST", lattice.url + "/", body=b"{}").status == 200
        once = [CallStarted, *ATTEMPT, RemedyApplied, *ATTEMPT, CallEnded]
        assert kinds(seen) == [*once, CallStarted, *ATTEMPT, CallEnded]
        assert of(RemedyApplied, seen)[0][1:] == (1, "clock")
        assert [event.status for event in of(AttemptEnded, seen)] == [403, 200, 200]
        assert len({event.call for event in seen}) == 2

    @pytest.mark.parametrize("client", ASYNC_CLIENTS)
    def test_cancelled(self, client):
        seen = []
        with raw_server(faults=["silence"]) as server:
            call_and_cancel(
                client,
                server.url,
                lambda: server.requests,
                auth=auth(),
                observers=[seen.append],
            )
        assert kinds(seen) == [CallStarted, *ATTEMPT, CallEnded]
        name = "trio.Cancelled" if "trio" in client else "asyncio.exceptions.CancelledError"
        assert seen[-2][1:4] == (1, None, name)
        assert seen[-1][1:4] == (1, None, name)

    @pytest.mark.parametrize("client", ASYNC_CLIENTS)
    def test_cancelled_during_the_pause(self, client, monkeypatch):
        monkeypatch.setattr(random, "random", lambda: 1.0)
        seen = []
        with raw_server(lambda _: UNAVAILABLE) as server:
            call_and_cancel(
                client,
                server.url,
                lambda: of(RetryPlanned, seen),
                auth=auth(),
                observers=[seen.append],
                retry=RetryPolicy(base=1000, cap=1000),
            )
        assert kinds(seen) == [CallStarted, *ATTEMPT, RetryPlanned, CallEnded]
        assert seen[-1].status is None
        assert seen[-1].error.endswith(("Cancelled", "CancelledError"))

    def test_no_credentials(self, driver):
        class Nothing:
            def peek(self):
                return None

            def get(self):
                raise CredentialsError("none today")

        seen = []
        with (
            driver.client(
                LatticeAuth(region=REGION, credentials=Nothing()), observers=[seen.append]
            ) as client,
            pytest.raises(CredentialsError),
        ):
            client("GET", "http://127.0.0.1:1/")
        assert kinds(seen) == [CallStarted, CallEnded]
        assert seen[-1][1:4] == (0, None, "lattice_client.errors.CredentialsError")

    def test_sigv4a(self, driver):
        seen = []
        signing = auth(algorithm="sigv4a", region_set="us-west-2,eu-*")
        with raw_server() as server, driver.client(signing, observers=[seen.append]) as client:
            client("GET", server.url)
        assert of(Signed, seen)[0].region == "us-west-2,eu-*"

    def test_strangers_are_not_our_calls(self, driver):
        seen = []
        signing = auth(hosts=["none.example"])
        with raw_server() as server, driver.client(signing, observers=[seen.append]) as client:
            client("GET", server.url)
            client("GET", server.url)
        (event,) = seen
        assert type(event) is NotSigned
        assert (event.host, event.reason) == (
            server.url.removeprefix("http://"),
            "host out of scope",
        )
        assert "none of hosts=['none.example']" in event.why


def test_events_are_immutable():
    event = CallStarted(Call("GET", "http", "a.example", "/", "id", 0))
    with pytest.raises(AttributeError):
        event.call = None
    with pytest.raises(AttributeError):
        event.call.host = "b.example"


class TestSecrets:
    @pytest.mark.parametrize("placement", ["header", "query"])
    def test_none_in_any_event_or_log_line(self, driver, placement, caplog, nobody_listens):
        caplog.set_level(logging.DEBUG, "lattice_client")
        seen = []
        with (
            raw_server(answers(UNAVAILABLE), [None, "after the request"]) as server,
            driver.client(auth(placement=placement), observers=[seen.append, log]) as client,
        ):
            headers = {"X-Api-Key": "canary/key", "Connection": "close"}
            client("PUT", f"{server.url}/a?key=canary/query", body=b"canary/body", headers=headers)
            with pytest.raises(TRANSPORT_ERRORS):
                client("GET", f"http://127.0.0.1:{nobody_listens}/?key=canary/query")
        assert any(b"canary" in request.target for request in server.requests)
        sweep = canary.Sweep()
        for text in [*map(repr, seen), *(record.getMessage() for record in caplog.records)]:
            sweep.look("an event", text)
        assert sweep.looked_at > 20
        assert not sweep.leaks


def test_a_request_id_adds_no_line_to_the_log(driver, caplog):
    caplog.set_level(logging.DEBUG, "lattice_client.calls")
    headers = {"x-amzn-requestid": "mine\nCRITICAL all is lost"}
    with (
        raw_server() as server,
        driver.client(auth()) as client,
        pytest.raises((ValueError, OSError, httpx.HTTPError, httpx2.HTTPError)),
    ):
        client("GET", server.url, headers=headers)
    assert not any("\n" in record.getMessage() for record in caplog.records)


class TestBrokenObservers:
    def test_one_that_raises_is_logged_once(self, driver, caplog):
        seen = []

        def broken(event):
            raise RuntimeError(canary.SECRET)

        with (
            raw_server(answers(UNAVAILABLE)) as server,
            driver.client(auth(), observers=[broken, seen.append]) as client,
        ):
            for _ in range(2):
                assert client("GET", server.url).status == 200
        assert len(seen) == 9 + 5
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        (error,) = (record.getMessage() for record in errors)
        assert "broken raised RuntimeError at test_events.py:" in error

    @pytest.mark.parametrize("wrong", [log, [LatticeAuth], ["log"], 3, "log"])
    def test_what_is_none(self, wrong):
        for make in (lattice_client.requests.Session, lattice_client.httpx.AsyncClient):
            with pytest.raises(ConfigurationError, match="observer"):
                make(auth=auth(), observers=wrong)

    def test_interrupts_are_told_and_go_on(self):
        seen = []

        class Interrupted:
            def attempt(self, request_id):
                return RequestsRequest(requests.Request("GET", "http://a.example/").prepare())

            def sign(self, attempt):
                pass

            def send(self, attempt):
                raise KeyboardInterrupt

        hands = Interrupted()
        with pytest.raises(KeyboardInterrupt):
            CallSettings(auth(), observers=[seen.append]).call(hands)
        assert kinds(seen) == [CallStarted, AttemptStarted, AttemptEnded, CallEnded]
        assert seen[-1].error == "KeyboardInterrupt"


class TestNobodyWatches:
    @pytest.fixture(autouse=True)
    def _no_watch(self, monkeypatch):
        def made(*_):
            raise AssertionError("no observer listens")

        monkeypatch.setattr("lattice_client._calls.loop.CallObserver", made)

    def test_without_observers(self, driver):
        with (
            raw_server(answers(UNAVAILABLE)) as server,
            driver.client(auth(), observers=()) as client,
        ):
            assert client("GET", server.url).status == 200

    def test_where_nobody_reads_the_log(self, driver, monkeypatch):
        monkeypatch.setattr(logging.getLogger("lattice_client.calls"), "level", logging.WARNING)
        logging.getLogger("lattice_client.calls").manager._clear_cache()
        try:
            with raw_server(answers(UNAVAILABLE)) as server, driver.client(auth()) as client:
                assert client("GET", server.url).status == 200
        finally:
            logging.getLogger("lattice_client.calls").manager._clear_cache()


class TestLog:
    def test_by_default(self, driver, caplog):
        caplog.set_level(logging.DEBUG, "lattice_client.calls")
        with raw_server(answers(UNAVAILABLE)) as server, driver.client(auth()) as client:
            client("GET", server.url + "/orders?q=1")
        records = [each for each in caplog.records if each.name == "lattice_client.calls"]
        levels = [record.levelname for record in records]
        assert levels == ["DEBUG", "DEBUG", "INFO", "DEBUG", "DEBUG"]
        request_id = server.requests[0].header("x-amzn-requestid")
        call = f"GET {server.url}/orders (request id {request_id})"
        assert all(record.getMessage().startswith(f"{call}: attempt ") for record in records)
        assert (
            records[2]
            .getMessage()
            .endswith(
                "attempt 1 was answered 503; "
                "another attempt in 0.000 s: the answer's status is one to retry"
            )
        )

    def test_at_info_of_retries_alone(self, driver, caplog, nobody_listens):
        caplog.set_level(logging.INFO, "lattice_client.calls")
        with driver.client(auth()) as client, pytest.raises(TRANSPORT_ERRORS):
            client("GET", f"http://127.0.0.1:{nobody_listens}/")
        records = [each for each in caplog.records if each.name == "lattice_client.calls"]
        assert [record.levelname for record in records] == ["INFO", "INFO"]
        assert all("the request was not sent" in record.getMessage() for record in records)


def test_adapters_pickle_with_their_observers():
    for observers in (None, [log], ()):
        adapter = lattice_client.requests.Adapter(auth(), observers=observers)
        copied = pickle.loads(pickle.dumps(adapter))
        assert copied._settings.observers._all == adapter._settings.observers._all
        copied.close()
        adapter.close()


class TestCredentials:
    def test_refreshes_and_failures_are_told_to_those_who_asked(self):
        seen, told = [], threading.Event()

        def observer(event):
            if "vault" in event.source:  # and no provider of an earlier test
                seen.append(event)
                told.set()

        def fetch():
            if seen:
                raise RuntimeError(canary.SECRET)
            return canary.credentials()

        end = observe_credentials(observer)
        try:
            provider = RefreshingCredentials(fetch, name="the vault")
            provider.get()
            assert told.wait(20)
            told.clear()
            broken = RefreshingCredentials(fetch, name="the other vault")
            with pytest.raises(CredentialsError):
                broken.get()
            assert told.wait(20)
        finally:
            end()
        RefreshingCredentials(canary.credentials).get()
        assert seen == [
            CredentialsRefreshed("the vault", None, None),
            CredentialsRefreshed("the other vault", None, "CredentialsError"),
        ]
        end()

    def test_whoever_ends_it_when_told_takes_nothing_from_others(self):
        told = threading.Event()

        def observer(event):
            if event.source == "the vault":
                told.set()

        ends = [observe_credentials(lambda _: ends[0]()), observe_credentials(observer)]
        try:
            RefreshingCredentials(canary.credentials, name="the vault").get()
            assert told.wait(20)
        finally:
            for end in ends:
                end()
