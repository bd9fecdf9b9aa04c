"""When to send a request again: the outcome of an attempt in, a delay or "give up" out.

Nothing here sends, sleeps or reads a clock. A transport, synchronous or not, does that::

    attempts = policy.start(method, host, time.monotonic(), headers=names, quotas=quotas)
    while True:
        outcome = ...  # send a copy of the request
        decision = attempts.after(outcome, time.monotonic())
        if decision.delay is None:
            break  # return the response, or raise the error
        ...  # wait for decision.delay seconds

The rules are those of RFC 9110 sections 9.2.2 (idempotent methods) and 10.2.3 (Retry-After), and of
"Exponential Backoff And Jitter" (AWS Architecture Blog) for the delays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, NoReturn, cast

from lattice_client._http_date import http_date
from lattice_client.errors import ConfigurationError
from lattice_client.retry.quota import RetryQuota, RetryQuotas

__all__ = [
    "IDEMPOTENT_METHODS",
    "NO_RETRIES",
    "Attempts",
    "Decision",
    "Outcome",
    "Reason",
    "RetryPolicy",
    "RetryQuota",
    "RetryQuotas",
    "http_date",
]

IDEMPOTENT_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""The idempotent methods of RFC 9110 section 9.2.2."""

Sent = Literal["no", "perhaps", "answered"]
Reason = Literal[
    "not sent",
    "perhaps sent",
    "answered",
    "finished",
    "method",
    "body",
    "attempts",
    "retry-after",
    "deadline",
    "quota",
]
"""Why there is another attempt (the first three), or none."""

_WORDS: dict[Reason, str] = {
    "not sent": "the request was not sent",
    "perhaps sent": "the request was perhaps sent, and may be sent twice",
    "answered": "the answer's status is one to retry",
    "finished": "the answer is final",
    "method": "it was perhaps processed, and its method is not idempotent",
    "body": "its body cannot be sent again",
    "attempts": "all attempts are used up",
    "retry-after": "Retry-After asks for a longer wait than max_retry_after",
    "deadline": "the deadline leaves no time for it",
    "quota": "the host's retry quota is spent",
}


class Outcome(NamedTuple):
    """The outcome of one attempt; made by one of its three class methods."""

    sent: Sent
    replayable: bool
    timed_out: bool = False
    status: int = 0
    retry_after: str | None = None
    date: str | None = None
    received_at: float | None = None

    @classmethod
    def not_sent(cls, *, replayable: bool = True, timed_out: bool = False) -> Outcome:
        """No byte of the request was sent: its name did not resolve, or no connection was made or
        free. Or the peer stated that it has not processed it (HTTP/2 REFUSED_STREAM).

        :param replayable: whether the body can be sent from its beginning; an unread body can.
        :param timed_out: whether a time-out ended the attempt; a retry costs more then.
        """
        return cls("no", replayable, timed_out)

    @classmethod
    def perhaps_sent(cls, *, replayable: bool, timed_out: bool = False) -> Outcome:
        """All or part of the request was sent, and no complete answer came: reset, closed, timed
        out."""
        return cls("perhaps", replayable, timed_out)

    @classmethod
    def answered(
        cls,
        status: int,
        *,
        replayable: bool,
        retry_after: str | None = None,
        date: str | None = None,
        received_at: float | None = None,
    ) -> Outcome:
        """A response came, with any status.

        :param retry_after: its Retry-After header.
        :param date: its Date header. A Retry-After that is a date counts from it, so that the local
            clock does not matter.
        :param received_at: when it came, in seconds since the epoch; replaces a missing Date.
        """
        return cls(
            "answered",
            replayable,
            status == _GATEWAY_TIMEOUT,
            status,
            retry_after,
            date,
            received_at,
        )


_GATEWAY_TIMEOUT = 504


class Decision(NamedTuple):
    """What to do next.

    ``delay`` is how many seconds to wait before the next attempt, or None for no further attempt.
    ``reason`` is one of a few fixed values (for metrics); ``str()`` gives a sentence.
    """

    delay: float | None
    reason: Reason

    @property
    def gave_up(self) -> bool:
        """Whether the outcome is a failure and no attempt follows."""
        return self.delay is None and self.reason != "finished"

    def __str__(self) -> str:
        what = (
            "no other attempt" if self.delay is None else f"another attempt in {self.delay:.3f} s"
        )
        return f"{what}: {_WORDS[self.reason]}"


_FINISHED = Decision(None, "finished")


class RetryPolicy:
    """How often, how soon and after what a request is sent again. Immutable; the same for all
    libraries.

    :param attempts: the number of attempts of a call, the first included.
    :param base: seconds; the n-th wait is a random part of ``base * 2 ** (n - 1)`` ("full jitter").
    :param cap: seconds; the upper limit of ``base * 2 ** (n - 1)``.
    :param deadline: seconds for the whole call, waits included. An attempt begins only if it is
        expected to end in time: it is expected to take as long as the longest attempt of this call
        so far, and at least ``shortest_attempt``. None: no limit.
    :param shortest_attempt: seconds; an attempt does not begin with less time left than that.
    :param max_retry_after: seconds; a response that asks for a longer wait is final. A requested
        wait is kept in full, and the random part is added to it.
    :param statuses: the statuses to retry after.
    :param methods: the methods that may be sent twice; by default those that RFC 9110 calls
        idempotent. With POST among them, every POST may be sent twice.
    :param key_headers: headers with which any request may be sent twice, because the service uses
        them to recognise a repeat.
    :param unprocessed: those of ``statuses`` with which the service promises that it has done
        nothing, so that every method is sent again after them. Empty by default: a proxy that does
        not know may have sent the status, and no POST is sent twice without permission.
    :raises ConfigurationError: for a setting that cannot work.

    May be compared, hashed and pickled. Retry quotas change, so they are separate: see
    :class:`RetryQuotas`.
    """

    # Not a dataclass: importing dataclasses takes longer than all of this module.
    __slots__ = (
        "attempts",
        "base",
        "cap",
        "deadline",
        "key_headers",
        "max_retry_after",
        "methods",
        "shortest_attempt",
        "statuses",
        "unprocessed",
    )

    attempts: int
    base: float
    cap: float
    deadline: float | None
    shortest_attempt: float
    max_retry_after: float
    statuses: frozenset[int]
    methods: frozenset[str]
    key_headers: frozenset[str]
    unprocessed: frozenset[int]

    def __init__(
        self,
        *,
        attempts: int = 3,
        base: float = 0.1,
        cap: float = 5.0,
        deadline: float | None = None,
        shortest_attempt: float = 0.1,
        max_retry_after: float = 30.0,
        statuses: Iterable[int] = (429, 502, 503, 504),
        methods: Iterable[str] = IDEMPOTENT_METHODS,
        key_headers: Iterable[str] = ("idempotency-key",),
        unprocessed: Iterable[int] = (),
    ) -> None:
        if type(attempts) is not int or attempts < 1:
            raise ConfigurationError(f"attempts must be a whole number from 1 on, not {attempts!r}")
        set_field = super().__setattr__
        set_field("attempts", attempts)
        set_field("base", _seconds("base", base))
        set_field("cap", _seconds("cap", cap))
        set_field("deadline", None if deadline is None else _seconds("deadline", deadline))
        set_field("shortest_attempt", _seconds("shortest_attempt", shortest_attempt))
        set_field("max_retry_after", _seconds("max_retry_after", max_retry_after))
        set_field("statuses", _statuses("statuses", statuses))
        set_field("methods", frozenset(map(str.upper, _names("methods", methods))))
        set_field("key_headers", frozenset(map(str.lower, _names("key_headers", key_headers))))
        set_field("unprocessed", _statuses("unprocessed", unprocessed))
        if not self.unprocessed <= self.statuses:
            raise ConfigurationError(
                f"unprocessed has {sorted(self.unprocessed - self.statuses)}, which are not among "
                "statuses: no request is sent again after them"
            )

    def start(
        self,
        method: str,
        host: str,
        now: float,
        *,
        headers: Iterable[str] = (),
        quotas: RetryQuotas | None = None,
        random: Callable[[], float] | None = None,
    ) -> Attempts:
        """Begin a call: its first attempt starts now.

        :param host: its retries are paid from the quota of this host.
        :param now: seconds of any clock that does not step, such as ``time.monotonic()``.
        :param headers: the names of the request's headers, in any case.
        :param quotas: None: no quota.
        :param random: returns numbers from 0 to 1 for the jitter; ``random.random`` by default.
        """
        repeatable = method in self.methods or (
            any(name.lower() in self.key_headers for name in headers)
        )
        return Attempts(self, repeatable, host, quotas, now, random)

    def replace(self, **changes: Any) -> RetryPolicy:
        """The same policy with other settings, such as ``policy.replace(attempts=1)``.

        :raises ConfigurationError: as the constructor.
        :raises TypeError: for an unknown setting.
        """
        return type(self)(**{**dict(zip(self.__slots__, self._settings(), strict=True)), **changes})

    # For copy.replace() of Python 3.13.
    __replace__ = replace

    def _settings(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __repr__(self) -> str:
        default = RetryPolicy()
        changed = [
            f"{name}={sorted(value) if isinstance(value, frozenset) else value!r}"
            for name in self.__slots__
            if (value := getattr(self, name)) != getattr(default, name)
        ]
        return f"RetryPolicy({', '.join(changed)})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a RetryPolicy is immutable; use policy.replace({name}=…)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a RetryPolicy is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RetryPolicy) and self._settings() == other._settings()

    def __hash__(self) -> int:
        return hash(self._settings())

    def __reduce__(self) -> tuple[Callable[..., RetryPolicy], tuple[dict[str, Any]]]:
        return _policy_of, (dict(zip(self.__slots__, self._settings(), strict=True)),)


def _policy_of(settings: dict[str, Any]) -> RetryPolicy:
    return RetryPolicy(**settings)


class Attempts:
    """The attempts of one call; made by :meth:`RetryPolicy.start`, for one thread or task.

    ``number`` is the number of the current attempt, from 1 on.
    """

    __slots__ = (
        "_began",
        "_host",
        "_longest",
        "_policy",
        "_quotas",
        "_random",
        "_repeatable",
        "_until",
        "number",
    )

    def __init__(
        self,
        policy: RetryPolicy,
        repeatable: bool,  # noqa: FBT001 made in one place
        host: str,
        quotas: RetryQuotas | None,
        now: float,
        random: Callable[[], float] | None,
    ) -> None:
        self.number = 1
        self._policy = policy
        self._repeatable = repeatable
        self._host = host
        self._quotas = quotas
        self._random = random
        self._began = now
        self._longest = policy.shortest_attempt
        self._until = None if policy.deadline is None else now + policy.deadline

    def time_left(self, now: float) -> float | None:
        """Seconds to the deadline, at least 0, or None if there is no deadline.

        An attempt whose time-out is no longer than this ends in time.
        """
        return None if self._until is None else max(0.0, self._until - now)

    def after(self, outcome: Outcome, now: float) -> Decision:
        """What to do after an attempt. If it is to wait, the next attempt counts as begun.

        :param now: seconds, of the clock that the call was started with.
        """
        policy = self._policy
        if outcome.sent == "answered" and outcome.status not in policy.statuses:
            if self._quotas is not None:
                self._quotas.note_answer(self._host, outcome.status)
            return _FINISHED
        self._longest = max(self._longest, now - self._began)
        requested = _requested_wait(outcome)
        ceiling = min(policy.cap, policy.base * 2.0 ** min(self.number - 1, _MAX_DOUBLINGS))
        if self._until is not None:
            ceiling = min(ceiling, self._until - self._longest - now - requested)
        refusal = self._refusal(outcome, requested, ceiling)
        if refusal is not None:
            return Decision(None, refusal)
        delay = requested + ceiling * (self._random or _random())()
        self.number += 1
        self._began = now + delay
        return Decision(delay, _REASONS[outcome.sent])

    def _refusal(  # noqa: PLR0911 one for each reason
        self, outcome: Outcome, requested: float, ceiling: float
    ) -> Reason | None:
        """Why no attempt follows, or None. The quota comes last, because checking it spends it."""
        policy = self._policy
        unprocessed = outcome.sent == "no" or outcome.status in policy.unprocessed
        if not self._repeatable and not unprocessed:
            return "method"
        if not outcome.replayable:
            return "body"
        if self.number >= policy.attempts:
            return "attempts"
        if requested > policy.max_retry_after:
            return "retry-after"
        if ceiling < 0:
            return "deadline"
        if self._quotas is not None and not self._quotas.spend(
            self._host, timed_out=outcome.timed_out
        ):
            return "quota"
        return None


# By then any cap is reached, and the product still fits a float.
_MAX_DOUBLINGS = 64
_REASONS: dict[Sent, Reason] = {
    "no": "not sent",
    "perhaps": "perhaps sent",
    "answered": "answered",
}


def _random() -> Callable[[], float]:
    from random import random  # a call that succeeds does not load it

    return random


# --- Retry-After ------------------------------------------------------------------------------


def _requested_wait(outcome: Outcome) -> float:
    """The seconds that Retry-After asks for; 0 if it is absent or invalid."""
    text = (outcome.retry_after or "").strip(" \t")
    if text.isascii() and text.isdigit():
        return float(text)  # infinity from 309 digits on
    until = http_date(text)
    if until is None:
        return 0.0
    since = http_date(outcome.date or "")
    if since is None:
        since = outcome.received_at
    return 0.0 if since is None else max(0.0, until - since)


# --- Settings ---------------------------------------------------------------------------------


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{name} must be seconds from 0 on, not {value!r}")
    return float(value)


def _statuses(name: str, statuses: object) -> frozenset[int]:
    checked: list[int] = []
    for status in _several(name, statuses):
        if not isinstance(status, int) or not 400 <= status <= 599:  # noqa: PLR2004 RFC 9110 section 15
            raise ConfigurationError(f"{name} must be HTTP's from 400 to 599, not {status!r}")
        checked.append(int(status))  # an IntEnum becomes a plain int
    return frozenset(checked)


def _names(name: str, names: object) -> list[str]:
    checked: list[str] = []
    for one in _several(name, names):
        if not isinstance(one, str) or not one:
            raise ConfigurationError(f"{name} must be names, not {one!r}")
        checked.append(one)
    return checked


def _several(name: str, values: object) -> Iterable[object]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ConfigurationError(f"{name} must be a list: {name}=[{values!r}]")
    return cast("Iterable[object]", values)


NO_RETRIES = RetryPolicy(attempts=1)
"""For a call with a single attempt."""
