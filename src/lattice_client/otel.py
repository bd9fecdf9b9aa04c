"""OpenTelemetry spans and metrics of calls.

Names and units are those of "Semantic conventions for HTTP spans" and "Semantic conventions for
HTTP metrics" (OpenTelemetry), and ``lattice_client.…`` where these define none.
"""

from __future__ import annotations

from collections.abc import Mapping

from lattice_client._version import __version__
from lattice_client.errors import MissingExtraError
from lattice_client.events import (
    AttemptEnded,
    Call,
    CallEnded,
    CallStarted,
    CredentialsRefreshed,
    Event,
    NotSigned,
    RemedyApplied,
    RetryPlanned,
    Signed,
)

try:
    from opentelemetry import metrics, trace
except ImportError as error:
    # OpenTelemetry is a namespace package, so a part of it may be installed.
    if error.name not in ("opentelemetry", "opentelemetry.metrics", "opentelemetry.trace"):
        raise
    raise MissingExtraError("otel", "opentelemetry-api") from None

__all__ = ["OpenTelemetry"]

_SCHEMA = "https://opentelemetry.io/schemas/1.30.0"

# A metric counts all other methods as one: arbitrary methods would create unlimited time series.
_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
)
# Seconds, as in the conventions; the SDK's default buckets are for milliseconds.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_ERRORS = 400
_PORTS = {"http": 80, "https": 443}

_Attributes = dict[str, str | int | float]


class OpenTelemetry:
    """An observer (``observers=[OpenTelemetry()]``) that makes a CLIENT span of each call, from its
    first attempt to the head of the response, with attempts, retries and remedies as span events.

    The span is a child of the span that is current where the call is made. It does not become the
    current span itself.

    :param tracer_provider: None: the global one.
    :param meter_provider: None: the global one.

    May be shared by clients, threads and event loops. A span contains no query, header or error
    text: ``url.full`` ends where the query begins.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._providers = tracer_provider, meter_provider
        self._tracer = trace.get_tracer("lattice_client", __version__, tracer_provider, _SCHEMA)
        meter = metrics.get_meter("lattice_client", __version__, meter_provider, _SCHEMA)
        self._durations = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of calls, retries and pauses included.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )
        self._retries = meter.create_counter(
            "lattice_client.retries", "{retry}", "Attempts that repeat a failed one."
        )
        self._remedies = meter.create_counter(
            "lattice_client.remedies",
            "{remedy}",
            "Attempts signed again after a refusal.",
        )
        self._refreshes = meter.create_counter(
            "lattice_client.credentials.refreshes", "{refresh}", "Fetches of credentials."
        )
        self._unsigned = meter.create_counter(
            "lattice_client.unsigned", "{host}", "Hosts whose requests go out unsigned."
        )
        # The spans of the calls in progress.
        self._spans: dict[Call, trace.Span] = {}

    def __reduce__(self) -> tuple[type[OpenTelemetry], tuple[object, object]]:
        return type(self), self._providers

    def __call__(self, event: Event) -> None:
        if isinstance(event, CallStarted):
            self._start(event.call)
        elif isinstance(event, CallEnded):
            self._end(event)
        elif isinstance(event, NotSigned):
            # Such a request has no span of ours: it is told to the one that it is made in.
            about: _Attributes = {
                "server.address": _address_and_port(event.host)[0],
                "lattice_client.reason": event.reason,
            }
            trace.get_current_span().add_event("lattice_client.unsigned", about)
            self._unsigned.add(1, about)
        elif isinstance(event, CredentialsRefreshed):
            result = _known({"error.type": event.error})
            self._refreshes.add(1, {"lattice_client.credentials.source": event.source, **result})
        else:
            self._during(event)

    def _start(self, call: Call) -> None:
        attributes: _Attributes = {
            **_shared(call),
            "url.full": f"{call.scheme}://{call.host}{call.path}",
            "aws.request_id": call.request_id,
        }
        if call.method not in _METHODS:
            attributes["http.request.method_original"] = call.method
        name = call.method if call.method in _METHODS else "HTTP"
        # Do not make it the current span: a context attached here would outlive the step that the
        # call's generator runs in, and leak into other code of the thread.
        self._spans[call] = self._tracer.start_span(
            name, kind=trace.SpanKind.CLIENT, attributes=attributes
        )

    def _during(self, event: Event) -> None:
        call = event.call  # type: ignore[union-attr]
        span = self._spans.get(call, trace.INVALID_SPAN)
        if isinstance(event, Signed):
            span.set_attribute("lattice_client.signing.service", event.service)
            span.set_attribute("lattice_client.signing.region", event.region)
        elif isinstance(event, AttemptEnded):
            known = _known(
                {
                    "lattice_client.attempt": event.attempt,
                    "lattice_client.duration": event.duration,
                    **_outcome(event.status, event.error),
                }
            )
            span.add_event("lattice_client.attempt", known)
        elif isinstance(event, RetryPlanned):
            reason = {"lattice_client.reason": event.reason}
            span.add_event("lattice_client.retry", {**reason, "lattice_client.delay": event.delay})
            self._retries.add(1, {**_shared(call), **reason})
        elif isinstance(event, RemedyApplied):
            remedy = {"lattice_client.remedy": event.remedy}
            span.add_event("lattice_client.remedy", remedy)
            self._remedies.add(1, {**_shared(call), **remedy})

    def _end(self, event: CallEnded) -> None:
        outcome = _known(_outcome(event.status, event.error))
        span = self._spans.pop(event.call, trace.INVALID_SPAN)
        span.set_attributes({**outcome, **_known({"lattice_client.gave_up": event.gave_up})})
        if event.attempts > 1:
            span.set_attribute("http.request.resend_count", event.attempts - 1)
        if "error.type" in outcome:
            # The conventions allow no description if the status explains the error.
            span.set_status(trace.StatusCode.ERROR, event.error)
        self._durations.record(
            event.duration,
            {**_shared(event.call), **outcome},
            trace.set_span_in_context(span),
        )
        span.end()


def _shared(call: Call) -> _Attributes:
    """The attributes that spans and metrics share."""
    address, port = _address_and_port(call.host)
    return {
        "http.request.method": call.method if call.method in _METHODS else "_OTHER",
        "server.address": address,
        "server.port": int(port) if port else _PORTS.get(call.scheme, 0),
    }


def _address_and_port(host: str) -> tuple[str, str]:
    """Of a Host header; the port may be empty."""
    address, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        address, port = host, ""
    return address.strip("[]"), port


def _outcome(status: int | None, error: str | None) -> dict[str, str | int | None]:
    failed = str(status) if status is not None and status >= _ERRORS else None
    return {"http.response.status_code": status, "error.type": error or failed}


def _known(attributes: Mapping[str, str | int | float | None]) -> _Attributes:
    return {name: value for name, value in attributes.items() if value is not None}
