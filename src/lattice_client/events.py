"""What observers are told: of each call its attempts and what lies between them, and of refreshes.

An observer is a function of one event, or any object that can be called so. Events are immutable,
and none holds a query, a header's value other than the request id, a body, a token or a signature.
An observer is called where the call is made, in its thread or task and with its context variables,
so it should be quick, and must not block an event loop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from lattice_client.credentials import refreshing
from lattice_client.errors import ConfigurationError
from lattice_client.retry.policy import Decision

if TYPE_CHECKING:
    from lattice_client._auth.recovery import Remedy
    from lattice_client.retry.policy import Reason

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
    credentials or another form of the path."""

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

    def are_listening(self) -> bool:
        """Whether anything that is told would be heard."""
        return bool(self._all) and (self.given is not None or _LOGGER.isEnabledFor(logging.INFO))

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
        error_name(error),
        os.path.basename(place),  # noqa: PTH119 pathlib is slow to load
    )


def error_name(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__


# --- One call ---------------------------------------------------------------------------------


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
        if told in refreshing.OBSERVERS:
            refreshing.OBSERVERS.remove(told)

    refreshing.OBSERVERS.append(told)
    return end
