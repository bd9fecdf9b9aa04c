"""Events for observers: calls with their attempts, remedies and retries, and credential refreshes.

An observer is any callable of one event. Events are immutable, and none contains a query, a body, a
token, a signature, or the value of a header other than the request id. An observer runs where the
call is made, in its thread or task and with its context variables. So it should be quick, and must
not block an event loop.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast, get_args

from lattice_client._log import get_logger
from lattice_client.credentials import refreshing
from lattice_client.errors import ConfigurationError
from lattice_client.retry.policy import Decision

if TYPE_CHECKING:
    from lattice_client._auth.recovery import Remedy
    from lattice_client.names.unsigned import Reason as UnsignedReason
    from lattice_client.retry.policy import Reason

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Call",
    "CallEnded",
    "CallStarted",
    "CredentialsRefreshed",
    "Event",
    "NotSigned",
    "Observer",
    "RemedyApplied",
    "RetryPlanned",
    "Signed",
    "listens_to",
    "log",
    "observe_credentials",
]

_LOGGER = get_logger("calls")


# --- Events -----------------------------------------------------------------------------------


class Call(NamedTuple):
    """The call that an event is about. All events of one call hold the same value, which is unique
    in this process, so it serves as a key.

    ``host`` is the Host header, ``path`` is without the query, and ``request_id`` is the
    ``x-amzn-requestid``, which is also in Lattice's access log.
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
    """An attempt was signed. For SigV4A, ``region`` is the region set.

    ``duration``, in seconds, includes fetching credentials if that was necessary.
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
    """An attempt ended with the head of a response and its ``status``, or with an exception whose
    type is ``error``, such as ``httpx.ConnectError``. ``duration`` is in seconds."""

    call: Call
    attempt: int
    status: int | None
    error: str | None
    duration: float


class RemedyApplied(NamedTuple):
    """Lattice refused an attempt. The next one follows at once, signed with a corrected clock,
    newer credentials or another path encoding."""

    call: Call
    attempt: int
    remedy: Remedy


class RetryPlanned(NamedTuple):
    """Another attempt follows in ``delay`` seconds. ``status`` and ``error`` are those of the
    attempt that has ended."""

    call: Call
    attempt: int
    delay: float
    reason: Reason
    status: int | None
    error: str | None


class CallEnded(NamedTuple):
    """The last event of a call, also of a cancelled one.

    ``status`` is that of the returned response, whose body may still be unread; ``error`` is the
    type of the exception that was raised instead. ``duration`` is in seconds, pauses included.
    ``gave_up`` is the retry policy's reason for no further attempt after a failure: ``attempts``,
    ``quota``, ``method``, …; None if the call succeeded, or failed in a way that is never retried.
    """

    call: Call
    attempts: int
    status: int | None
    error: str | None
    duration: float
    gave_up: Reason | None = None


class NotSigned(NamedTuple):
    """Requests to a host go out unsigned. Sent once for each host and reason, and the only event of
    such requests.

    ``host`` is the Host header, or the host in the URL. ``reason`` is the reason in a word, ``why``
    is what decided it (which source was asked, and what it answered), and ``advice`` what would
    help.
    """

    host: str
    reason: UnsignedReason
    why: str
    advice: str


class CredentialsRefreshed(NamedTuple):
    """New credentials were fetched, or fetching failed and ``error`` is the kind of the failure.
    Sent only to observers registered with :func:`observe_credentials`."""

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
    | NotSigned
    | CredentialsRefreshed
)
"""All events."""

Observer = Callable[[Event], object]
"""A callable that receives events; its return value is ignored."""


_ObserverT = TypeVar("_ObserverT", bound=Callable[..., object])


def listens_to(*kinds: type[Event]) -> Callable[[_ObserverT], _ObserverT]:
    """Declare what an observer, or a class of observers, listens to: ``@listens_to(CallEnded)``.

    It is not told of other events, and those that no observer of a client listens to are not made.
    An observer without this listens to all.

    :param kinds: classes of events.
    :raises ConfigurationError: for anything else.
    """
    for kind in kinds:
        if kind not in _KINDS:
            raise ConfigurationError(
                f"listens_to takes classes of events, such as CallEnded, not {_name_of(kind)}"
            )

    def declare(observer: _ObserverT) -> _ObserverT:
        try:
            setattr(observer, _LISTENS_TO, frozenset(kinds))
        except AttributeError:  # a method takes no attributes
            from functools import partial

            return declare(cast("_ObserverT", partial(observer)))
        return observer

    return declare


_LISTENS_TO = "_lattice_client_listens_to"
_KINDS: frozenset[type[Event]] = frozenset(get_args(Event))
# Those between attempts, which nearly no call has. The others are of each call.
_BETWEEN_ATTEMPTS: frozenset[type[Event]] = frozenset((RemedyApplied, RetryPlanned))


# --- The observers of a client ----------------------------------------------------------------


class Observers:
    """The observers of one client.

    :param given: None: :func:`log` alone.
    :raises ConfigurationError: for an observer that is not callable.
    """

    def __init__(self, given: Iterable[Observer] | None = None) -> None:
        self.given = None if given is None else _check_observers(given)
        self._all = (log,) if self.given is None else self.given
        self._has_log = log in self._all
        others = [_kinds_of(observer) for observer in self._all if observer is not log]
        # What the observers but the log listen to.
        self._kinds = frozenset[type[Event]]().union(*others)
        self._follows_attempts = not self._kinds <= _BETWEEN_ATTEMPTS
        # The positions of observers that have raised.
        self._broken: set[int] = set()

    def follow_attempts(self) -> bool:
        """Whether any observer listens to more than remedies and retries. Asked for each call."""
        return self._follows_attempts or (self._has_log and _LOGGER.isEnabledFor(logging.DEBUG))

    def kinds(self) -> frozenset[type[Event]]:
        """The events that any observer listens to now: the log goes by its level."""
        return self._kinds | _kinds_of_log() if self._has_log else self._kinds

    def tell(self, event: Event) -> None:
        """Pass an event to each observer that listens to it. One that raises is logged once, and
        stays in use."""
        for place, observer in enumerate(self._all):
            try:
                if type(event) in _kinds_of(observer):
                    observer(event)
            except Exception as error:  # noqa: BLE001 an observer must not fail the call
                if place not in self._broken:
                    self._broken.add(place)
                    _log_broken(observer, error)


def _kinds_of(observer: Observer) -> frozenset[type[Event]]:
    kinds: frozenset[type[Event]] = getattr(observer, _LISTENS_TO, _KINDS)
    return kinds


def _check_observers(given: object) -> tuple[Observer, ...]:
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
    # Do not log the texts of the error and its context: they may contain anything.
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
    """The type of an error with its module, such as ``httpx.ConnectError``."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return module + kind.__qualname__


# --- The default observer ---------------------------------------------------------------------


def log(event: Event) -> None:
    """Log attempts at DEBUG and planned retries at INFO (``lattice_client.calls``).

    Remedies, denials and failed refreshes are logged where they occur, whatever the observers.
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


def _kinds_of_log() -> frozenset[type[Event]]:
    if not _LOGGER.isEnabledFor(logging.INFO):
        return _LOGGED_ABOVE_INFO
    return _LOGGED_AT_DEBUG if _LOGGER.isEnabledFor(logging.DEBUG) else _LOGGED_AT_INFO


_LOGGED_AT_DEBUG: frozenset[type[Event]] = frozenset((AttemptStarted, AttemptEnded, RetryPlanned))
_LOGGED_AT_INFO: frozenset[type[Event]] = frozenset((RetryPlanned,))
_LOGGED_ABOVE_INFO: frozenset[type[Event]] = frozenset()


def _outcome(event: AttemptEnded | RetryPlanned) -> str:
    if event.error is not None:
        return f"ended with {event.error}"
    return f"was answered {event.status}"


# --- Credentials ------------------------------------------------------------------------------


def observe_credentials(observer: Observer) -> Callable[[], None]:
    """Call an observer after each fetch of credentials in this process, by any provider that
    refreshes: clients share providers. It runs in the thread that fetches.

    :returns: a function that ends the observation.
    :raises ConfigurationError: for an observer that is not callable.
    """
    tell = Observers((observer,)).tell

    def told(source: str, expires_at: datetime | None, error: str | None) -> None:
        tell(CredentialsRefreshed(source, expires_at, error))

    def end() -> None:
        if told in refreshing.OBSERVERS:
            refreshing.OBSERVERS.remove(told)

    refreshing.OBSERVERS.append(told)
    return end
