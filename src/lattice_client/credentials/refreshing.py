"""What every slow source needs: one snapshot, which a background thread renews in time."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lattice_client._async_bridge import settled
from lattice_client._forking import renewed_after_fork
from lattice_client._log import get_logger
from lattice_client._secrecy import forgetful
from lattice_client.credentials.provider import checked
from lattice_client.credentials.schedule import (
    NOTHING,
    FetchFailure,
    State,
    next_failure,
    next_state,
)
from lattice_client.credentials.value import Credentials
from lattice_client.errors import (
    ConfigurationError,
    CredentialsError,
    ExpiredCredentialsError,
    NoCredentialsError,
)

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["ADVISORY", "JITTER", "MANDATORY", "RefreshingCredentials"]

ADVISORY = 900.0
MANDATORY = 120.0
JITTER = 0.2

# Seconds. A fetch that takes longer is given up by its waiters, and another one may start. Where
# the last one has failed and nothing valid is left, they wait no longer than the second.
_PATIENCE = 20.0
_PATIENCE_AFTER_FAILURE = 2.0
# Seconds. A fetch whose thread has not begun by then never will: a signal's handler has raised.
_START = 1.0
# So many fetches may hang; then there is no other until one of them ends.
_MANY_HANGING = 4
# Credentials that are younger than this have not expired, whatever a service says.
_TOO_FRESH = 60.0


# Called after each fetch, in its thread, with the source's name, the expiry of what it gave and the
# kind of its failure; for lattice_client.events.
OBSERVERS: list[Callable[[str, datetime | None, str | None], None]] = []


_NOT_PICKLED = {
    "_failure",
    "_fetched_at",
    "_hanging",
    "_lock",
    "_running",
    "_state",
    "_threadless",
}
_NEVER_TRIED = FetchFailure(NoCredentialsError, "never asked")
_NO_ANSWER = FetchFailure(CredentialsError, "it does not answer")
# After the exit handlers nothing can be imported, and a new thread would not run.
_ENDING = FetchFailure(CredentialsError, "the interpreter is shutting down")
_NO_THREAD = FetchFailure(CredentialsError, "no thread can be started to ask it")
_INTERRUPTED = FetchFailure(CredentialsError, "its fetch was interrupted before it began")


class _Fetch(Future["Credentials | FetchFailure"]):
    """One fetch, which many callers may wait for."""

    def __init__(self) -> None:
        super().__init__()
        # A running future cannot be cancelled, so no waiter cancels it for all.
        self.set_running_or_notify_cancel()
        self.reserved_at = time.monotonic()
        # The thread that runs it, which sets this when it begins.
        self.thread: int | None = None


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
        this package's, errors name only the type and place: its text may hold secrets.
    :param name: the source's name in errors and log records.
    :param advisory: how many seconds before expiry to start renewing.
    :param mandatory: in so many last seconds ``get()`` waits for the new ones; if the fetch fails,
        it gives the old ones. ``peek()`` never waits, nor do requests before the expiry.
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
        """Set what is no setting, and so not in a pickle."""
        self._state = NOTHING
        self._fetched_at = -math.inf
        self._failure: FetchFailure | None = None
        # The fetch that callers wait for, reserved or running.
        self._running: _Fetch | None = None
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

    # For callers.

    def peek(self) -> Credentials | None:
        since, refresh_at, credentials, wait_at = self._state
        if since <= (now := self._clock()) < refresh_at:
            return credentials
        if credentials is None or credentials.expired(now):
            return None
        running = self._running
        if (
            (running is None or running.thread is None)
            and not self._threadless
            and not self._pausing(now)
            # Where another caller holds it, that one is about to start the fetch.
            and self._lock.acquire(blocking=False)
        ):
            try:
                fetch, new = self._reserve(now)
            finally:
                self._lock.release()
            if fetch and new:
                self._launch(fetch, background=True)
        if self._threadless and now >= wait_at and not self._pausing(now):
            # Only get() can renew them, in the caller's thread.
            return None
        return credentials

    def get(self) -> Credentials:
        """The credentials, fetched if necessary; may block.

        :raises CredentialsError: where nothing valid is left and the fetch fails. It names the
            source and why it failed.
        """
        while isinstance(found := self._ready_or_fetch(), _Fetch):
            with suppress(TimeoutError):
                found.result(self._timeout(found))
            if self._is_over(found):
                return self._outcome(found)
        return found

    async def get_async(self) -> Credentials:
        """As ``get()``, under asyncio or trio. Waits without occupying a thread."""
        while isinstance(found := self._ready_or_fetch(), _Fetch):
            await settled(found, self._timeout(found))
            if self._is_over(found):
                return self._outcome(found)
        return found

    def refused(self, credentials: Credentials) -> bool | Future[Any]:
        """Be told that a service has refused these credentials as expired; never blocks.

        The service may be wrong, so they go on serving until others have been fetched.

        :returns: True where there are others already; else a future that is done when the fetch
            under way has ended, with or without success; False where there is no fetch: in the
            pause after a failure, and where these were fetched within the last minute (then the
            fault is elsewhere).
        """
        now = self._clock()
        with self._lock:
            held = self._state[2]
            if held is not None and held != credentials:
                return True
            if 0 <= now - self._fetched_at < _TOO_FRESH:
                return False
            fetch, new = self._reserve(now, early=True)
        if fetch is None or fetch.thread == threading.get_ident():
            return False
        if new:
            self._launch(fetch, background=True)
        return fetch

    def _ready_or_fetch(self) -> Credentials | _Fetch:
        """The credentials to give at once, or the fetch to wait for.

        :raises CredentialsError: during the pause after a failure, if nothing valid is left.
        """
        now = self._clock()
        with self._lock:
            fetch, new = self._reserve(now)
            _, _, credentials, wait_at = self._state
            failure = self._failure
        if fetch and new:
            self._launch(fetch)
        valid = credentials is not None and not credentials.expired(now)
        if credentials and valid and (fetch is None or now < wait_at):
            return credentials
        if fetch is None:
            raise self._error(_ENDING if sys.is_finalizing() else failure or _NEVER_TRIED)
        if fetch.thread == threading.get_ident() and not fetch.done():
            raise CredentialsError(f"fetching credentials from {self._name} asks for these itself")
        return fetch

    def _time_left(self, fetch: _Fetch) -> float:
        """For how many more seconds callers wait for a fetch."""
        longest = self._longest_wait or (
            _PATIENCE if self._failure is None else _PATIENCE_AFTER_FAILURE
        )
        return max(0.0, fetch.reserved_at + longest - time.monotonic())

    def _timeout(self, fetch: _Fetch) -> float:
        """For how many seconds to wait before looking again; no more than a lock can wait."""
        timeout = min(self._time_left(fetch), threading.TIMEOUT_MAX)
        if fetch.thread is None:
            timeout = min(timeout, max(0.0, fetch.reserved_at + _START - time.monotonic()))
        return timeout

    def _is_over(self, fetch: _Fetch) -> bool:
        """Whether there is nothing more to wait for. In place of one that did not begin, another is
        reserved."""
        if fetch.done():
            return fetch.result() is not _INTERRUPTED
        return not self._time_left(fetch)

    def _outcome(self, fetch: _Fetch) -> Credentials:
        outcome = fetch.result() if fetch.done() else self._failure or _NO_ANSWER
        if isinstance(outcome, Credentials):
            return outcome
        credentials = self._state[2]
        if credentials is None or credentials.expired(self._clock()):
            raise self._error(outcome)
        return credentials

    def _pausing(self, now: float) -> FetchFailure | None:
        """The failure after which it is still too early to try again."""
        failure = self._failure
        return failure if failure and failure.since <= now < failure.retry_at else None

    def _error(self, failure: FetchFailure) -> CredentialsError:
        tries = f" ({failure.in_a_row} tries)" if failure.in_a_row > 1 else ""
        old = self._state[2]
        if old is None:
            return failure.kind(f"no credentials from {self._name}: {failure.why}{tries}")
        return ExpiredCredentialsError(
            f"the credentials from {self._name} expired at {old.expires_at} and could not be "
            f"renewed: {failure.why}{tries}"
        )

    # Fetching.

    def _reserve(self, now: float, *, early: bool = False) -> tuple[_Fetch | None, bool]:
        """With the lock held: the fetch to wait for, and whether it is new and the caller has to
        launch it; None where it is too early for one.

        :param early: whether to fetch before it is time to.
        """
        since, refresh_at, _, _ = self._state
        if since <= now < refresh_at and not early:
            return None, False
        if self._running is not None:
            age = time.monotonic() - self._running.reserved_at
            patience = self._longest_wait or _PATIENCE
            begun = self._running.thread is not None
            if age < (patience if begun else min(patience, _START)):
                return self._running, False
            self._running = None
            if begun:
                # It hangs. That is a failure; if it ends after all, what it brings is taken.
                self._hanging += 1
                error = CredentialsError(_NO_ANSWER.why)
                self._failure = next_failure(error, self._failure, self._state[2], now)
        if self._pausing(now) or self._hanging >= _MANY_HANGING or sys.is_finalizing():
            return None, False
        self._running = _Fetch()
        return self._running, True

    def _launch(self, fetch: _Fetch, *, background: bool = False) -> None:
        """Start the fetch, in a thread if there can be one.

        :param background: the caller will not wait for it, so it is called off without a thread.
        """
        # Only a daemon thread cannot hold up the end of the program.
        self._threadless = not self._start(fetch, daemon=True)
        if not self._threadless:
            return
        if background:
            self._call_off(fetch, _NO_THREAD)
        elif not self._start(fetch, daemon=False):
            self._run(fetch)

    def _start(self, fetch: _Fetch, *, daemon: bool) -> bool:
        """Whether there is a thread for the fetch."""
        name = f"credentials from {self._name}"
        try:
            threading.Thread(target=self._run, args=(fetch,), name=name, daemon=daemon).start()
        except RuntimeError:
            return False
        except BaseException:  # a signal's handler raised, perhaps before the fetch began
            self._call_off(fetch, _INTERRUPTED)
            raise
        return True

    def _call_off(self, fetch: _Fetch, why: FetchFailure) -> None:
        """End a fetch, unless it has begun."""
        with self._lock:
            if fetch.thread is not None:
                return
            if self._running is fetch:
                self._running = None
        fetch.set_result(why)

    def _run(self, fetch: _Fetch) -> None:
        with self._lock:
            if self._running is not fetch or fetch.thread is not None:
                return  # called off before it began
            fetch.thread = threading.get_ident()
        try:
            fetched = checked(self._fetch(), self, self._clock())
        except BaseException as error:  # noqa: BLE001 waiters must be told, whatever it is
            self._complete(fetch, error)
        else:
            self._complete(fetch, fetched)

    def _complete(self, fetch: _Fetch, result: Credentials | BaseException) -> None:
        with self._lock:
            before, now = self._failure, self._clock()
            late = self._running is not fetch
            if late:
                self._hanging = max(0, self._hanging - 1)
            else:
                self._running = None
            outcome: Credentials | FetchFailure
            if isinstance(result, Credentials):
                outcome = self._keep(result, now)
            elif late:
                outcome = before or _NO_ANSWER
            else:
                self._failure = outcome = next_failure(result, before, self._state[2], now)
        if late and isinstance(outcome, FetchFailure):
            # It was counted when the fetch was given up.
            fetch.set_result(outcome)
            return
        try:
            self._log(before, outcome, now)
        finally:
            fetch.set_result(outcome)
        for tell in tuple(OBSERVERS):  # an observer may end itself
            if isinstance(outcome, Credentials):
                tell(self._name, outcome.expires_at, None)
            else:
                tell(self._name, None, outcome.kind.__name__)

    def _keep(self, fetched: Credentials, now: float) -> Credentials:
        """With the lock held: make these the ones to give."""
        # Signers are cached for as long as the object is the same.
        old = self._state[2]
        kept = old if old is not None and old == fetched else fetched
        self._state = self._scheduled(kept, now, changed=kept is fetched)
        self._fetched_at = now
        self._failure = None
        return kept

    def _scheduled(self, credentials: Credentials, now: float, *, changed: bool) -> State:
        return next_state(
            credentials,
            now,
            changed=changed,
            advisory=self._advisory,
            mandatory=self._mandatory,
            jitter=self._jitter,
        )

    def _log(
        self, before: FetchFailure | None, outcome: Credentials | FetchFailure, now: float
    ) -> None:
        if (before is None) == isinstance(outcome, Credentials):
            return
        logger = get_logger("credentials")
        if before is not None:
            logger.info("credentials from %s again, after %d failures", self._name, before.in_a_row)
        elif isinstance(outcome, FetchFailure):
            old = self._state[2]
            serving = old is not None and not old.expired(now)
            rest = f"; the old ones serve until {old.expires_at}" if old and serving else ""
            logger.warning("no credentials from %s: %s%s", self._name, outcome.why, rest)

    # Forking.

    def _after_fork(self) -> None:
        """In the child: drop the parent's lock and fetch, and choose another time to refresh, so
        that a server's workers do not all ask at once."""
        self._lock = threading.Lock()
        self._running = None
        self._hanging = 0
        self._threadless = False
        credentials = self._state[2]
        if credentials is not None:
            self._state = self._scheduled(credentials, self._clock(), changed=True)


def _is_positive(number: object) -> bool:
    return isinstance(number, int | float) and number > 0
