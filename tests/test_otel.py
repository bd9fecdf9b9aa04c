"""Spans and metrics, as the SDK's exporters in memory receive them."""

from __future__ import annotations

import pickle
import random
import time

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

import lattice_client.requests
from adapters.drivers import CLIENTS, Aiohttp, AsyncHttpx, Driver
from lattice_client import LatticeAuth
from lattice_client.events import (
    Call,
    CallEnded,
    CallStarted,
    CredentialsRefreshed,
    observe_credentials,
)
from lattice_client.otel import OpenTelemetry
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.asynchronous import ASYNC_CLIENTS, backend, call_and_cancel, calling
from support.raw_server import OK, raw_server

REGION = "us-west-2"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"


class Telemetry:
    """The spans and metrics of an OpenTelemetry observer."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.observer = OpenTelemetry(self.tracers, self.meters)

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    def points(self, name: str) -> list:
        return [
            point
            for resource in self._reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def everything(self) -> str:
        data = self._reader.get_metrics_data()
        return "".join(span.to_json() for span in self.spans) + (data.to_json() if data else "")

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
def telemetry():
    made = Telemetry()
    yield made
    made.close()


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


class TestUnsigned:
    def test_the_span_around_it_learns_why_once_for_each_host(self, driver, telemetry):
        tracer = telemetry.tracers.get_tracer("the program")
        signing = auth(hosts=["none.example"])
        with (
            raw_server() as server,
            tracer.start_as_current_span("job"),  # first: an event loop copies its context
            driver.client(signing, observers=[telemetry.observer]) as client,
        ):
            client("GET", server.url)
            client("GET", server.url)
        (span,) = telemetry.spans
        about = {"server.address": "127.0.0.1", "lattice_client.reason": "host out of scope"}
        ((name, attributes),) = [(each.name, dict(each.attributes)) for each in span.events]
        assert (name, attributes) == ("lattice_client.unsigned", about)
        (point,) = telemetry.points("lattice_client.unsigned")
        assert (point.value, dict(point.attributes)) == (1, about)


class TestSpans:
    def test_a_plain_call(self, driver, telemetry):
        with (
            raw_server() as server,
            driver.client(auth(), observers=[telemetry.observer]) as client,
        ):
            client("GET", server.url + "/a%20b?q=1")
        (span,) = telemetry.spans
        assert span.name == "GET"
        assert span.kind is SpanKind.CLIENT
        assert span.status.status_code is StatusCode.UNSET
        assert span.parent is None
        assert dict(span.attributes) == {
            "http.request.method": "GET",
            "server.address": "127.0.0.1",
            "server.port": server.port,
            "url.full": f"{server.url}/a%20b",
            "aws.request_id": server.requests[0].header("x-amzn-requestid"),
            "lattice_client.signing.service": "vpc-lattice-svcs",
            "lattice_client.signing.region": REGION,
            "http.response.status_code": 200,
        }
        (attempt,) = span.events
        assert attempt.name == "lattice_client.attempt"
        assert attempt.attributes["lattice_client.attempt"] == 1
        assert attempt.attributes["http.response.status_code"] == 200
        assert telemetry.observer._spans == {}

    def test_503_twice(self, driver, telemetry):
        with (
            raw_server(answers(UNAVAILABLE, UNAVAILABLE)) as server,
            driver.client(auth(), observers=[telemetry.observer]) as client,
        ):
            client("GET", server.url)
        (span,) = telemetry.spans
        assert span.status.status_code is StatusCode.UNSET
        assert span.attributes["http.request.resend_count"] == 2
        attempt, retry = "lattice_client.attempt", "lattice_client.retry"
        assert [event.name for event in span.events] == [attempt, retry, attempt, retry, attempt]
        assert span.events[0].attributes["error.type"] == "503"
        assert span.events[1].attributes["lattice_client.reason"] == "answered"
        (retries,) = telemetry.points("lattice_client.retries")
        assert retries.value == 2
        assert retries.attributes["lattice_client.reason"] == "answered"

    def test_the_last_503(self, driver, telemetry):
        with (
            raw_server(lambda _: UNAVAILABLE) as server,
            driver.client(auth(), observers=[telemetry.observer]) as client,
        ):
            client("GET", server.url)
        (span,) = telemetry.spans
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert span.attributes["error.type"] == "503"
        assert span.attributes["lattice_client.gave_up"] == "attempts"

    def test_a_reset_connection(self, driver, telemetry):
        with (
            raw_server(faults=["after the request"]) as server,
            driver.client(auth(), observers=[telemetry.observer]) as client,
            pytest.raises(Exception) as raised,  # noqa: PT011 each library has its own
        ):
            client("POST", server.url, body=b"{}")
        (span,) = telemetry.spans
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"].endswith("." + raised.type.__name__)
        assert "http.response.status_code" not in span.attributes
        assert "exception" not in {event.name for event in span.events}

    def test_a_remedy(self, driver, telemetry):
        local = LocalLattice(region=REGION, clock=lambda: time.time() + 600)
        local.add_service("orders")
        local.add_caller("orders-frontend", credentials=canary.credentials())
        with (
            serve(local) as lattice,
            driver.client(auth(), observers=[telemetry.observer]) as client,
        ):
            assert client("POST", lattice.url + "/", body=b"{}").status == 200
        (span,) = telemetry.spans
        assert [event.name.rpartition(".")[2] for event in span.events] == [
            "attempt",
            "remedy",
            "attempt",
        ]
        assert span.status.status_code is StatusCode.UNSET
        (remedies,) = telemetry.points("lattice_client.remedies")
        assert remedies.value == 1
        assert remedies.attributes["lattice_client.remedy"] == "clock"

    @pytest.mark.parametrize("client", ASYNC_CLIENTS)
    def test_cancelled(self, client, telemetry):
        with raw_server(faults=["silence"]) as server:
            call_and_cancel(
                client,
                server.url,
                lambda: server.requests,
                auth=auth(),
                observers=[telemetry.observer],
            )
        (span,) = telemetry.spans
        assert span.end_time is not None
        assert span.status.status_code is StatusCode.ERROR
        name = "trio.Cancelled" if "trio" in client else "asyncio.exceptions.CancelledError"
        assert span.attributes["error.type"] == name
        assert span.status.description == name
        assert telemetry.observer._spans == {}


class TestContext:
    # The other drivers run their calls in a separate context.
    @pytest.mark.parametrize(
        "driver",
        [each for each in CLIENTS if not isinstance(each, AsyncHttpx | Aiohttp)],
        ids=lambda driver: driver.name,
    )
    def test_the_span_is_a_child_of_the_callers(self, driver, telemetry):
        tracer = telemetry.tracers.get_tracer("a user's")
        with (
            raw_server(answers(UNAVAILABLE)) as server,
            driver.client(auth(), observers=[telemetry.observer]) as client,
        ):
            with tracer.start_as_current_span("order") as parent:
                client("GET", server.url)
                assert get_current_span() is parent
            client("GET", server.url)
        first, _, second = telemetry.spans
        assert first.parent.span_id == parent.get_span_context().span_id
        assert second.parent is None

    @pytest.mark.parametrize("client", ASYNC_CLIENTS)
    def test_tasks_do_not_mix_theirs(self, client, telemetry):
        tracer = telemetry.tracers.get_tracer("a user's")

        async def order(number, get, url):
            with tracer.start_as_current_span(f"order {number}") as parent:
                await get(f"{url}/{number}")
                assert get_current_span() is parent

        async def scenario(url):
            async with (
                calling(client, auth=auth(), observers=[telemetry.observer]) as get,
                anyio.create_task_group() as tasks,
            ):
                for number in range(10):
                    tasks.start_soon(order, number, get, url)

        with raw_server(answers(*[UNAVAILABLE] * 5)) as server:
            anyio.run(scenario, server.url, backend=backend(client))
        names = {
            span.context.span_id: span.name
            for span in telemetry.spans
            if span.name.startswith("order")
        }
        calls = [span for span in telemetry.spans if span.name == "GET"]
        assert len(names) == len(calls) == 10
        for span in calls:
            number = names[span.parent.span_id].removeprefix("order ")
            assert span.attributes["url.full"].endswith("/" + number)


class TestMetrics:
    def test_durations_are_in_seconds(self, driver, telemetry):
        with (
            raw_server(answers(UNAVAILABLE)) as server,
            driver.client(auth(), observers=[telemetry.observer]) as client,
        ):
            began = time.perf_counter()
            client("GET", server.url)
            client("GET", server.url)
            elapsed = time.perf_counter() - began
        (durations,) = telemetry.points("http.client.request.duration")
        assert durations.count == 2
        # Those of the conventions, not the SDK's own, which are for milliseconds.
        assert durations.explicit_bounds[0] == 0.005
        assert dict(durations.attributes) == {
            "http.request.method": "GET",
            "server.address": "127.0.0.1",
            "server.port": server.port,
            "http.response.status_code": 200,
        }
        # The same clock read within: in any smaller unit it would be more.
        assert 0 < durations.sum <= elapsed

    def test_refreshes(self, telemetry):
        end = observe_credentials(telemetry.observer)
        end()
        telemetry.observer(CredentialsRefreshed("the vault", None, None))
        telemetry.observer(CredentialsRefreshed("the vault", None, "NoCredentialsError"))
        points = telemetry.points("lattice_client.credentials.refreshes")
        assert [point.value for point in points] == [1, 1]
        errors = {point.attributes.get("error.type") for point in points}
        assert errors == {None, "NoCredentialsError"}

    @pytest.mark.parametrize(
        ("method", "host", "expected"),
        [
            ("GET", "a.example", ("GET", "GET", "a.example", 443)),
            ("GET", "a.example:8443", ("GET", "GET", "a.example", 8443)),
            ("GET", "[::1]", ("GET", "GET", "::1", 443)),
            ("GET", "[::1]:8443", ("GET", "GET", "::1", 8443)),
            ("PURGE7", "a.example", ("HTTP", "_OTHER", "a.example", 443)),
        ],
    )
    def test_names_and_addresses(self, telemetry, method, host, expected):
        call = Call(method, "https", host, "/", "id", 0)
        telemetry.observer(CallStarted(call))
        telemetry.observer(CallEnded(call, 1, 200, None, 0.1))
        (span,) = telemetry.spans
        names = ("http.request.method", "server.address", "server.port")
        assert (span.name, *(span.attributes[name] for name in names)) == expected
        original = span.attributes.get("http.request.method_original")
        assert original == (method if method == "PURGE7" else None)


@pytest.mark.parametrize("placement", ["header", "query"])
def test_no_secret_in_anything(driver, telemetry, placement):
    with (
        raw_server(answers(UNAVAILABLE), [None, "after the request"]) as server,
        driver.client(auth(placement=placement), observers=[telemetry.observer]) as client,
    ):
        url = server.url + "/a?key=canary/query"
        headers = {"X-Api-Key": "canary/key", "Connection": "close"}
        client("PUT", url, body=b"canary/body", headers=headers)
        with pytest.raises(Exception):  # noqa: B017, PT011 each library has its own
            client("POST", "http://127.0.0.1:1/?key=canary/query")
    sweep = canary.Sweep()
    text = telemetry.everything()
    sweep.look("telemetry", text)
    assert "url.full" in text
    assert "canary" not in text
    assert not sweep.leaks


def test_without_providers_it_does_nothing_and_pickles():
    """The API alone, with no SDK set up."""
    observer = pickle.loads(pickle.dumps(OpenTelemetry()))
    with (
        raw_server() as server,
        lattice_client.requests.Session(auth(), observers=[observer]) as session,
    ):
        assert session.get(server.url).status_code == 200
    assert observer._spans == {}
