"""The machinery of every slow source: one snapshot, fetched anew in the background, in time."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from lattice_client._async_bridge import settled
from lattice_client._forking import renewed_after_fork
from lattice_client._secrecy import forgetful
from lattice_client.credentials.provider import checked
from lattice_client.credentials.value import Credentials
from lattice_client.errors import (
    ConfigurationError,
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeClientError,
    NoCredentialsError,
)

if TYPE_CHECKING:
    from datetime import datetime

    _Flight = Future["Credentials | _Failure"]

__all__ = ["ADVISORY", "JITTER", "MANDATORY", "RefreshingCredentials"]

ADVISORY = 900.0
MANDATORY = 120.0
JITTER = 0.2

# Failed fetches: the first pause, and the longest while the old credentials serve and after that,
# when every request fails.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LONGEST_PAUSE_EXPIRED = 10.0
# A clock that is set back by more than this, to before a fetch, makes its times worthless.
_STEP_BACK = 60.0
# A fetch that takes longer is given up by those who wait for it, and another one may start; where
# the last one has failed and nothing valid is left, they wait no longer than that.
_PATIENCE = 20.0
_PATIENCE_AFTER_FAILURE = 2.0
# So many fetches may hang; then there is no other until one of them ends.
_MANY_HANGING = 4
# Credentials that are younger than this have not expired, whatever a service says.
_TOO_FRESH = 60.0


# What peek() goes by, swapped whole: (since, refresh_at, credentials, wait_at), the times in
# seconds since the epoch. Outside of since … refresh_at it is time to fetch; from wait_at on, get()
# waits for that. A plain tuple, the quickest to take apart.
_State = tuple[float, float, Credentials | None, float]
_NOTHING: _State = (0.0, 0.0, None, 0.0)


# Called after each fetch, in its thread, with the source's name, the expiry of what it gave and the
# kind of its failure; for lattice_client.events.
TOLD: list[Callable[[str, datetime | None, str | None], None]] = []


class _Failure(NamedTuple):
    """Why the last fetch failed. Not an exception: one that is raised again and again collects
    tracebacks, and these hold on to whatever was in their frames."""

    kind: type[CredentialsError]
    why: str
    # How many in a row, and the back-off: no fetch from since … retry_at.
    in_a_row: int
    since: float
    retry_at: float


_NOT_PICKLED = {
    "_begun",
    "_hanging",
    "_fetched_at",
    "_state",
    "_failure",
    "_flight",
    "_flown_by",
    "_lock",
    "_threadless",
}
_NEVER_TRIED = _Failure(NoCredentialsError, "never asked", 0, 0.0, 0.0)
_NO_ANSWER = _Failure(CredentialsError, "it does not answer", 0, 0.0, 0.0)
# After the exit handlers nothing can be imported, and a new thread would not run.
_ENDING = _Failure(CredentialsError, "the interpreter is shutting down", 0, 0.0, 0.0)
_NO_THREAD = _Failure(CredentialsError, "no thread can be started to ask it", 0, 0.0, 0.0)


class RefreshingCredentials:
    """Credentials from a function, fetched in time by a background thread.

    While the clock is far from their expiry, ``peek()`` gives one and the same snapshot. From
    ``advisory`` seconds before it, the next caller starts a fetch in a daemon thread, and the old
    ones serve meanwhile, until they truly expire. There is never more than one fetch at a time,
    however many threads and tasks ask. A fetch that fails is tried again after growing pauses, up
    to a minute, and logged (``lattice_client.credentials``) once when failing begins and once when
    it ends. Callers see the failure only when nothing valid is left, and then each at once: during
    a pause, ``get()`` raises what is known.

    Credentials that live for less than twice ``advisory`` are renewed from half of their life on.

    :param fetch: gives :class:`Credentials`; may block. It runs in a thread of its own. Expired
        ones, and temporary ones without a token, count as a failure. Of an exception that is not
        this package's, only the type and place are told: its text may hold secrets.
    :param name: how errors and log records call the source.
    :param advisory: how many seconds before expiry to start renewing.
    :param mandatory: in so many last seconds ``get()`` waits for the new ones; if they cannot be
        had, it gives the old ones. ``peek()`` never waits, nor do requests before the expiry.
    :param jitter: up to this share of ``advisory``, at random, a refresh starts later, so that a
        fleet does not ask at once.
    :param patience: for how many seconds callers that have nothing valid wait for a fetch, and
        after how many one that does not end is given up. None: 20, and 2 for callers after a
        failure. More for a source that asks a person.
    :param clock: the time in seconds since the epoch, as ``time.time``, which may step.
    :raises ConfigurationError: for a number that cannot work.

    It may be shared by threads, event loops (asyncio's and trio's) and auth objects. After a fork
    the child keeps the snapshot and refreshes for itself. It pickles if ``fetch`` does, and then
    without any credentials.
    """

    @forgetful
    def __init__(
        self,
        fetch: Callable[[], Credentials],
        *,
        name: str | None = None,
        advisory: float = ADVISORY,
        mandatory: float = MANDATORY,
        jitter: float = JITTER,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not callable(fetch):
            raise ConfigurationError(f"fetch must be callable, not a {type(fetch).__name__}")
        numbers = (advisory, mandatory, jitter)
        if not (
            all(isinstance(number, int | float) for number in numbers)
            and (advisory >= 0 and mandatory >= 0 and 0 <= jitter <= 1)
        ):
            raise ConfigurationError(
                "advisory and mandatory are seconds, from 0 on, and jitter is a share, 0 to 1; not "
                f"{advisory!r}, {mandatory!r} and {jitter!r}"
            )
        if patience is not None and not _is_positive(patience):
            raise ConfigurationError(f"patience is seconds, more than 0, or None; not {patience!r}")
        self._fetch = fetch
        self._name = name or getattr(fetch, "__qualname__", None) or type(fetch).__name__
        self._advisory = advisory
        self._mandatory = mandatory
        self._jitter = jitter
        self._longest_wait = patience
        self._clock = clock
        self._set_up()

    def _set_up(self) -> None:
        """What the settings do not say, and a pickle does not hold."""
        self._state = _NOTHING
        self._fetched_at = -math.inf
        self._failure: _Failure | None = None
        # The fetch in flight, its beginning by the monotonic clock, and the thread that it runs in.
        self._flight: _Flight | None = None
        self._begun = 0.0
        self._flown_by: int | None = None
        # Fetches that were given up and have not ended.
        self._hanging = 0
        # No thread can be started in the background: at the end of the interpreter, or in one of
        # the subinterpreters, which have no daemon threads.
        self._threadless = False
        # Held for an instant to change any of these, never during a fetch.
        self._lock = threading.Lock()
        renewed_after_fork(self)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _NOT_PICKLED}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        vars(self).update(settings)
        self._set_up()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    # Asking.

    def peek(self) -> Credentials | None:
        since, refresh_at, credentials, wait_at = self._state
        if since <= (now := self._clock()) < refresh_at:
            return credentials
        if credentials is None or credentials.expired(now):
            return None
        if (
            self._flight is None
            and not self._threadless
            and not self._pausing(now)
            # Another caller that holds it is just starting the fetch.
            and self._lock.acquire(blocking=False)
        ):
            try:
                flight, new = self._claim(now)
            finally:
                self._lock.release()
            if flight and new:
                self._launch(flight, background=True)
        if self._threadless and now >= wait_at and not self._pausing(now):
            # Only get() can renew them, in the caller's thread.
            return None
        return credentials

    def get(self) -> Credentials:
        """The credentials, fetched if need be; may block.

        :raises CredentialsError: where nothing valid is left and none can be had. It names the
            source and why it failed.
        """
        found = self._ready_or_flight()
        if isinstance(found, Credentials):
            return found
        with suppress(TimeoutError):
            found.result(self._patience())
        return self._outcome(found)

    async def get_async(self) -> Credentials:
        """As ``get()``, under asyncio or trio. Waits without occupying a thread."""
        found = self._ready_or_flight()
        if isinstance(found, Credentials):
            return found
        await settled(found, self._patience())
        return self._outcome(found)

    def refused(self, credentials: Credentials) -> bool | Future[Any]:
        """Be told that a service has refused these credentials as expired; never blocks.

        The service may be wrong, so they go on serving until others have landed.

        :returns: True where there are others already; else a future of the fetch under way, which
            is done when that has ended, whatever it brought; False where there is none: in the
            pause after a failure, and where these were fetched within the last minute, for then the
            fault is elsewhere.
        """
        now = self._clock()
        with self._lock:
            held = self._state[2]
            if held is not None and held != credentials:
                return True
            if 0 <= now - self._fetched_at < _TOO_FRESH:
                return False
            flight, new = self._claim(now, early=True)
        if flight is None or self._flown_by == threading.get_ident():
            return False
        if new:
            self._launch(flight, background=True)
        return flight

    def _ready_or_flight(self) -> Credentials | _Flight:
        """The credentials to give at once, or the fetch to wait for.

        :raises CredentialsError: during the pause after a failure, if nothing valid is left.
        """
        now = self._clock()
        with self._lock:
            flight, new = self._claim(now)
            _, _, credentials, wait_at = self._state
            failure = self._failure
        if flight and new:
            self._launch(flight)
        valid = credentials is not None and not credentials.expired(now)
        if credentials and valid and (flight is None or now < wait_at):
            return credentials
        if flight is None:
            raise self._error(_ENDING if sys.is_finalizing() else failure or _NEVER_TRIED)
        if self._flown_by == threading.get_ident():
            raise CredentialsError(f"fetching credentials from {self._name} asks for these itself")
        return flight

    def _patience(self) -> float:
        """For how many seconds to wait for the fetch in flight."""
        longest = self._longest_wait or (
            _PATIENCE if self._failure is None else _PATIENCE_AFTER_FAILURE
        )
        left = max(0.0, self._begun + longest - time.monotonic())
        return min(left, threading.TIMEOUT_MAX)

    def _outcome(self, flight: _Flight) -> Credentials:
        outcome = flight.result() if flight.done() else self._failure or _NO_ANSWER
        if isinstance(outcome, Credentials):
            return outcome
        credentials = self._state[2]
        if credentials is None or credentials.expired(self._clock()):
            raise self._error(outcome)
        return credentials

    def _pausing(self, now: float) -> _Failure | None:
        """The failure after which it is still too early to try again."""
        failure = self._failure
        return failure if failure and failure.since <= now < failure.retry_at else None

    def _error(self, failure: _Failure) -> CredentialsError:
        tries = f" ({failure.in_a_row} tries)" if failure.in_a_row > 1 else ""
        old = self._state[2]
        if old is None:
            return failure.kind(f"no credentials from {self._name}: {failure.why}{tries}")
        return ExpiredCredentialsError(
            f"the credentials from {self._name} expired at {old.expires_at} and could not be "
            f"renewed: {failure.why}{tries}"
        )

    # Fetching.

    def _claim(self, now: float, *, early: bool = False) -> tuple[_Flight | None, bool]:
        """With the lock held: the fetch in flight, and whether it is new and the caller has to
        launch it; None where it is too early for one.

        :param early: whether to fetch before it is time to.
        """
        since, refresh_at, _, _ = self._state
        if since <= now < refresh_at and not early:
            return None, False
        if self._flight is not None:
            if time.monotonic() < self._begun + (self._longest_wait or _PATIENCE):
                return self._flight, False
            # It hangs. It counts as a failure, and when it ends after all, what it brings is taken.
            self._flight = None
            self._hanging += 1
            self._failure = self._failed(CredentialsError(_NO_ANSWER.why), now)
        if self._pausing(now) or self._hanging >= _MANY_HANGING or sys.is_finalizing():
            return None, False
        flight: _Flight = Future()
        # So that no waiter's cancellation becomes that of all.
        flight.set_running_or_notify_cancel()
        self._begun = time.monotonic()
        self._flight = flight
        return flight, True

    def _launch(self, flight: _Flight, *, background: bool = False) -> None:
        """Start the fetch, in a thread if there can be one.

        :param background: the caller will not wait for it, so it is called off without a thread.
        """
        # Only a daemon thread cannot hold up the end of the program.
        self._threadless = not self._start(flight, daemon=True)
        if not self._threadless:
            return
        if background:
            with self._lock:
                self._flight = None
            flight.set_result(_NO_THREAD)
        elif not self._start(flight, daemon=False):
            self._fly(flight)

    def _start(self, flight: _Flight, *, daemon: bool) -> bool:
        """Whether there is a thread for the fetch."""
        thread: threading.Thread | None = None
        try:
            name = f"credentials from {self._name}"
            thread = threading.Thread(target=self._fly, args=(flight,), name=name, daemon=daemon)
            thread.start()
        except RuntimeError:
            return False
        except BaseException as error:  # A signal's handler raised, perhaps before the fetch began.
            if thread is None or thread.ident is None:
                self._land(flight, error)
            raise
        return True

    def _fly(self, flight: _Flight) -> None:
        self._flown_by = threading.get_ident()
        try:
            fetched = checked(self._fetch(), self, self._clock())
        except BaseException as error:  # noqa: BLE001 whoever waits must be told, whatever it is
            self._land(flight, error)
        else:
            self._land(flight, fetched)

    def _land(self, flight: _Flight, result: Credentials | BaseException) -> None:
        with self._lock:
            late = self._flight is not flight
            if flight.done():
                # It was told as interrupted before its thread had begun. What it brings is taken.
                if not isinstance(result, Credentials):
                    return
            else:
                self._hanging -= late and self._hanging > 0
            before = self._failure
            now = self._clock()
            if late and not isinstance(result, Credentials):
                flight.set_result(self._failure or _NO_ANSWER)
                return
            if isinstance(result, Credentials):
                # Signers are kept for as long as the object is the same.
                old = self._state[2]
                kept = old if old is not None and old == result else result
                self._state = self._scheduled(kept, now, anew=kept is result)
                self._fetched_at = now
                self._failure = None
                outcome: Credentials | _Failure = kept
            else:
                self._failure = outcome = self._failed(result, now)
            if not late:
                self._flight = None
                self._flown_by = None
        try:
            self._log(before, outcome, now)
        finally:
            with suppress(InvalidStateError):  # It has landed twice.
                flight.set_result(outcome)
        for told in tuple(TOLD):  # Whoever is told may end it.
            if isinstance(outcome, Credentials):
                told(self._name, outcome.expires_at, None)
            else:
                told(self._name, None, outcome.kind.__name__)

    def _scheduled(self, credentials: Credentials, now: float, *, anew: bool) -> _State:
        """When to fetch next."""
        expiry = credentials._expiry  # noqa: SLF001 its package's
        if expiry == math.inf:
            return -math.inf, math.inf, credentials, math.inf
        window = max(0.0, min(self._advisory, (expiry - now) / 2))
        refresh_at = expiry - window * (1 - self._jitter * _random())
        if not anew:
            # The source has no newer ones yet; it is asked again, at ever shorter intervals.
            refresh_at = min(max(refresh_at, now + _FIRST_PAUSE), expiry)
        wait_at = expiry - min(self._mandatory, window)
        return now - _STEP_BACK, refresh_at, credentials, wait_at

    def _failed(self, error: BaseException, now: float) -> _Failure:
        count = self._failure.in_a_row + 1 if self._failure else 1
        old = self._state[2]
        longest, last = _LONGEST_PAUSE_EXPIRED, math.inf
        if old is not None and not old.expired(now):
            # It is tried once more before anybody is refused.
            longest, last = _LONGEST_PAUSE, old._expiry  # noqa: SLF001 its package's
        pause = min(longest, _FIRST_PAUSE * 2 ** min(count - 1, 10)) * (1 - _random() / 2)
        return _Failure(_kind(error), _why(error), count, now, min(now + pause, last))

    def _log(self, before: _Failure | None, outcome: Credentials | _Failure, now: float) -> None:
        if (before is None) == isinstance(outcome, Credentials):
            return
        logger = logging.getLogger("lattice_client.credentials")
        if before is not None:
            logger.info("credentials from %s again, after %d failures", self._name, before.in_a_row)
        elif isinstance(outcome, _Failure):
            old = self._state[2]
            serving = old is not None and not old.expired(now)
            rest = f"; the old ones serve until {old.expires_at}" if old and serving else ""
            logger.warning("no credentials from %s: %s%s", self._name, outcome.why, rest)

    # Forking.

    def _after_fork(self) -> None:
        """In the child: the parent's locks and its fetch are not ours, and neither is its time to
        refresh, or all of a server's workers would ask at once."""
        self._lock = threading.Lock()
        self._flight = None
        self._flown_by = None
        self._hanging = 0
        self._threadless = False
        credentials = self._state[2]
        if credentials is not None:
            self._state = self._scheduled(credentials, self._clock(), anew=True)


def _is_positive(number: object) -> bool:
    return isinstance(number, int | float) and number > 0


def _kind(error: BaseException) -> type[CredentialsError]:
    kinds = (InvalidCredentialsError, ExpiredCredentialsError, NoCredentialsError)
    return next((kind for kind in kinds if isinstance(error, kind)), CredentialsError)


def _why(error: BaseException) -> str:
    """Our own messages; of others the type and where it was raised, for they may hold anything."""
    if isinstance(error, LatticeClientError):
        return str(error)
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" at {os.path.basename(code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"


def _random() -> float:
    """From 0 to 1. Not of the module random, whose state forked children share until it reseeds."""
    return int.from_bytes(os.urandom(4), "big") / 0xFFFF_FFFF
