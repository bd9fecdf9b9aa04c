"""What observers are told: of each call its attempts and what lies between them, and of refreshes.

An observer is a function of one event, or any object that can be called so. Events are immutable,
and none holds a query, a header's value other than the request id, a body, a token or a signature.
An observer is called where the call is made, in its thread or task and with its context variables,
so it should be quick, and must not block an event loop.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lattice_client.credentials import refreshing
from lattice_client.errors import ConfigurationError
from lattice_client.retry import Decision

if TYPE_CHECKING:
    from lattice_client.calls import Course, Hands
    from lattice_client.remedies import Remedy
    from lattice_client.retry import Reason
    from lattice_client.wire import Outgoing

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Call",
    "CallEnded",
    "CallStarted",
    "CredentialsRefreshed",
    "Event",
    "Observer",
    "RemedyApplied",
    "RetryPlanned",
    "Signed",
    "log",
    "observe_credentials",
]

_LOGGER = logging.getLogger("lattice_client.calls")


# --- Events -----------------------------------------------------------------------------------


class Call(NamedTuple):
    """Which call an event is about. All events of one call hold the same value, and those of no
    other call of this process do, so it serves as a key.

    ``host`` is the Host header, ``path`` is without the query, and ``request_id`` is the
    ``x-amzn-requestid`` that stands in Lattice's access log too.
    """

    method: str
    scheme: str
    host: str
    path: str
    request_id: str
    number: int

    def __str__(self) -> str:
        return (
            f"{self.method} {self.scheme}://{self.host}{self.path} (request id {self.request_id})"
        )


class CallStarted(NamedTuple):
    """The first event of a call."""

    call: Call


class Signed(NamedTuple):
    """An attempt has a signature. ``region`` is a set of regions where it is a SigV4A signature.

    ``duration``, in seconds, includes fetching credentials where that was necessary.
    """

    call: Call
    attempt: int
    service: str
    region: str
    duration: float


class AttemptStarted(NamedTuple):
    """An attempt is about to be sent. ``attempt`` is its number in the call, from 1 on."""

    call: Call
    attempt: int


class AttemptEnded(NamedTuple):
    """The head of an answer came, and ``status`` is its status; or none did, and ``error`` is the
    type of what was raised, as ``httpx.ConnectError``. ``duration`` is in seconds."""

    call: Call
    attempt: int
    status: int | None
    error: str | None
    duration: float


class RemedyApplied(NamedTuple):
    """Lattice refused an attempt; the next one, at once, is signed with another clock, newer
    credentials or the other path encoding."""

    call: Call
    attempt: int
    remedy: Remedy


class RetryPlanned(NamedTuple):
    """After this attempt another one is to follow, in ``delay`` seconds. ``status`` and ``error``
    are the attempt's."""

    call: Call
    attempt: int
    delay: float
    reason: Reason
    status: int | None
    error: str | None


class CallEnded(NamedTuple):
    """The last event of a call, also of one that was cancelled.

    ``status`` is that of the response that is handed out, its body perhaps not yet read; ``error``
    is the type of what was raised instead. ``duration`` is in seconds, pauses included. ``gave_up``
    says why there was no other attempt after one that went wrong, in a word of the retry policy's:
    ``attempts``, ``quota``, ``method``, …; None where nothing went wrong, or for good.
    """

    call: Call
    attempts: int
    status: int | None
    error: str | None
    duration: float
    gave_up: Reason | None = None


class CredentialsRefreshed(NamedTuple):
    """New credentials were fetched, or fetching failed and ``error`` is the kind of the failure.
    Only for those who asked for it, with :func:`observe_credentials`."""

    source: str
    expires_at: datetime | None
    error: str | None


Event = (
    CallStarted
    | Signed
    | AttemptStarted
    | AttemptEnded
    | RemedyApplied
    | RetryPlanned
    | CallEnded
    | CredentialsRefreshed
)
"""What observers are told."""

Observer = Callable[[Event], object]
"""Whoever is told; what it gives back does not matter."""


# --- The observers of a client ----------------------------------------------------------------


class Observers:
    """Those who observe the calls of one client.

    :param given: None: :func:`log` alone.
    :raises ConfigurationError: for what cannot be called.
    """

    def __init__(self, given: Iterable[Observer] | None = None) -> None:
        self.given = None if given is None else _checked(given)
        self._all = (log,) if self.given is None else self.given
        # Those that have raised something.
        self._broken: set[int] = set()

    def watch(self, hands: Hands) -> AnyWatch:
        """Who tells the observers of a call."""
        if not self._all or (self.given is None and not _LOGGER.isEnabledFor(logging.INFO)):
            return NO_WATCH
        return Watch(self, hands)

    def tell(self, event: Event) -> None:
        """An observer that raises is logged, once, and goes on."""
        for place, observer in enumerate(self._all):
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 no call fails because somebody looks on
                if place not in self._broken:
                    self._broken.add(place)
                    _log_broken(observer, error)


def _checked(given: object) -> tuple[Observer, ...]:
    if callable(given) or not isinstance(given, Iterable):
        raise ConfigurationError("observers must be a list of functions: observers=[…]")
    observers = tuple(cast("Iterable[object]", given))
    for observer in observers:
        if not callable(observer) or isinstance(observer, type):
            raise ConfigurationError(
                f"an observer is a function of one event, not {_name_of(observer)}"
            )
    return cast("tuple[Observer, ...]", observers)


def _name_of(thing: object) -> str:
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return getattr(thing, "__qualname__", None) or f"a {type(thing).__name__}"


def _log_broken(observer: object, error: Exception) -> None:
    # Not its text, nor that of what was being handled: those may hold anything.
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    _LOGGER.error(
        "the observer %s raised %s at %s; calls go on, and this is logged once",
        _name_of(observer),
        _kind(error),
        os.path.basename(place),  # noqa: PTH119 pathlib is slow to load
    )


def _kind(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__


# --- One call ---------------------------------------------------------------------------------

_numbers = count(1)


class Watch:
    """Goes along with the course of one call, and tells observers what happens in it."""

    def __init__(self, observers: Observers, hands: Hands) -> None:
        self._tell = observers.tell
        self._hands = hands
        self._attempt = 0
        self._status: int | None = None
        self._error: str | None = None
        self._gave_up: Reason | None = None

    def along(self, course: Course) -> Course:
        """The same course, observed."""
        began = time.perf_counter()
        # Nothing is to be told of a call that does not come to its first attempt.
        step, argument = next(course)
        self._call = _call_of(argument)
        self._tell(CallStarted(self._call))
        try:
            response = yield from self._steps(course, step, argument)
        except BaseException as error:
            self._status, self._error = None, _kind(error)
            raise
        else:
            return response
        finally:
            course.close()
            self._tell(
                CallEnded(
                    self._call,
                    self._attempt,
                    self._status,
                    self._error,
                    time.perf_counter() - began,
                    self._gave_up,
                )
            )

    def _steps(self, course: Course, step: Any, argument: Any) -> Course:
        try:
            while True:
                began = time.perf_counter()
                if step == "send":
                    self._attempt += 1
                    self._tell(AttemptStarted(self._call, self._attempt))
                try:
                    result = yield step, argument
                except BaseException as error:  # noqa: BLE001 the course decides
                    if step == "send":
                        self._ended(None, _kind(error), began)
                    step, argument = course.throw(error)
                else:
                    if step == "sign":
                        self._signed(argument, began)
                    elif step == "send":
                        self._ended(self._hands.status(result), None, began)
                    step, argument = course.send(result)
        except StopIteration as end:
            return end.value

    def _signed(self, attempt: Outgoing, began: float) -> None:
        signer = attempt.signer
        if signer is not None:
            region = getattr(signer, "region", None) or signer.region_set  # type: ignore[union-attr]
            duration = time.perf_counter() - began
            self._tell(Signed(self._call, self._attempt + 1, signer.service, region, duration))

    def _ended(self, status: int | None, error: str | None, began: float) -> None:
        self._status, self._error = status, error
        duration = time.perf_counter() - began
        self._tell(AttemptEnded(self._call, self._attempt, status, error, duration))

    # What only the course itself knows.

    def remedy(self, remedy: Remedy) -> None:
        self._tell(RemedyApplied(self._call, self._attempt, remedy))

    def gave_up(self, decision: Decision) -> None:
        self._gave_up = decision.reason if decision.gave_up else None

    def retry(self, decision: Decision) -> None:
        delay, reason = decision
        self._tell(
            RetryPlanned(self._call, self._attempt, delay or 0.0, reason, self._status, self._error)
        )


class _NoWatch:
    """Where there is nobody to tell: nothing is made, and nothing stands in between."""

    def along(self, course: Course) -> Course:
        return course

    def remedy(self, remedy: Remedy) -> None: ...

    def gave_up(self, decision: Decision) -> None: ...

    def retry(self, decision: Decision) -> None: ...


NO_WATCH = _NoWatch()
AnyWatch = Watch | _NoWatch


def _call_of(attempt: Outgoing) -> Call:
    given = attempt.request.headers.get("x-amzn-requestid")
    request_id = given.decode("latin-1") if isinstance(given, bytes) else str(given)
    return Call(
        attempt.method,
        attempt.scheme,
        attempt.host,
        attempt.target.partition("?")[0],
        # The caller's own is not looked at before the library sends it, and a log has lines.
        request_id if request_id.isprintable() else ascii(request_id),
        next(_numbers),
    )


# --- The default observer ---------------------------------------------------------------------


def log(event: Event) -> None:
    """Logs attempts at DEBUG and planned retries at INFO (``lattice_client.calls``).

    Remedies, denials and failing refreshes are logged where they are found, with or without it.
    """
    if isinstance(event, RetryPlanned):
        if _LOGGER.isEnabledFor(logging.INFO):
            _LOGGER.info(
                "%s: attempt %d %s; %s",
                event.call,
                event.attempt,
                _outcome(event),
                Decision(event.delay, event.reason),
            )
    elif isinstance(event, AttemptStarted):
        _LOGGER.debug("%s: attempt %d", event.call, event.attempt)
    elif isinstance(event, AttemptEnded) and _LOGGER.isEnabledFor(logging.DEBUG):
        _LOGGER.debug(
            "%s: attempt %d %s after %.3f s",
            event.call,
            event.attempt,
            _outcome(event),
            event.duration,
        )


def _outcome(event: AttemptEnded | RetryPlanned) -> str:
    if event.error is not None:
        return f"ended with {event.error}"
    return f"was answered {event.status}"


# --- Credentials ------------------------------------------------------------------------------


def observe_credentials(observer: Observer) -> Callable[[], None]:
    """Let an observer know of each fetch of credentials in this process, by any provider that
    refreshes its own; for clients share them. It is called in the thread that fetches.

    :returns: a function that ends it.
    :raises ConfigurationError: for what cannot be called.
    """
    tell = Observers((observer,)).tell

    def told(source: str, expires_at: datetime | None, error: str | None) -> None:
        tell(CredentialsRefreshed(source, expires_at, error))

    def end() -> None:
        if told in refreshing.TOLD:
            refreshing.TOLD.remove(told)

    refreshing.TOLD.append(told)
    return end
