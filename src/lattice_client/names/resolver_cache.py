"""``Names``: sources in order, behind a cache."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any

from lattice_client._async_bridge import settled
from lattice_client._forking import renewed_after_fork
from lattice_client.errors import ConfigurationError, LatticeClientError, NameSourceError
from lattice_client.names.endpoint import Endpoint, as_called_by_name
from lattice_client.names.host_name import normal_name
from lattice_client.names.lookup import as_source, default_sources, query_sources
from lattice_client.names.remarks import collect_remarks, doubted
from lattice_client.names.source import Source
from lattice_client.names.watch import Watch

if TYPE_CHECKING:
    import logging

__all__ = ["Names"]

# Look-ups that run at once, each in its thread; others queue.
_MAX_THREADS = 16
# Seconds after a failure before the next look-up; until then the cached answer is used.
_PAUSE = 5.0
# Seconds since a name last moved between Lattice and elsewhere, for which it counts as moving.
_MOVING = 3600.0
# Seconds. If the clock is set back by more, to before a look-up, the answer's times are worthless.
_STEP_BACK = 60.0

_SETTINGS = (
    "strict",
    "_sources",
    "_min_ttl",
    "_max_ttl",
    "_negative_ttl",
    "_stale",
    "_patience",
    "_max_names",
    "_clock",
)


class _Entry:
    """A cached answer. It is fresh from ``since`` to ``until``; if it cannot be renewed, it is used
    until ``stale_until``."""

    __slots__ = (
        "endpoint",
        "failing",
        "moved_at",
        "renew_at",
        "since",
        "stale_until",
        "until",
        "used",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        now: float,
        until: float,
        stale_until: float,
        moved_at: float = -math.inf,
    ) -> None:
        self.endpoint = endpoint
        self.since = now - _STEP_BACK
        self.until = until
        self.stale_until = stale_until
        # When a watch renews it, if it was used since the last renewal.
        self.renew_at = until if until == math.inf else until - (until - now) / 5
        self.used = True
        # When the name was last seen to move between Lattice and elsewhere.
        self.moved_at = moved_at
        # Whether the last look-up failed.
        self.failing = False


class _LookUp(Future["Endpoint | LatticeClientError"]):
    """A look-up, shared by all callers that wait for the name.

    A failure is a result too. Each caller raises a copy, because an exception that is raised
    repeatedly collects tracebacks.
    """

    def __init__(self) -> None:
        super().__init__()
        # A running future cannot be cancelled, so a cancelled caller does not cancel the others.
        self.set_running_or_notify_cancel()
        self.started = time.monotonic()


class Names:
    """Finds the endpoint of a host name: the argument ``names=`` of the auth objects.

    :param sources: queried in this order. The first that knows a name decides; if it does not know
        the region, the next that knows the name fills it in. A source that can complete other
        answers (:class:`LatticeNames`) does so at any position, except for answers that never
        expire. A mapping becomes :class:`StaticNames`. Without sources: the map in
        ``LATTICE_CLIENT_NAMES``, then :class:`ManagedNames`, then :class:`DnsNames`.
    :param strict: refuse requests to names that are not Lattice's instead of sending them
        unsigned, and let the sources that can (:class:`DnsNames`) confirm each answer: a name that
        leads to another address than Lattice's is not Lattice's, whichever source says so.
    :param min_ttl: the least number of seconds that an answer with a TTL is used.
    :param max_ttl: the greatest number.
    :param negative_ttl: for how many seconds a name counts as not Lattice's.
    :param stale: for how many seconds after its expiry an answer is used while sources fail. An
        answer that a name is not Lattice's is never used after its expiry.
    :param patience: for how many seconds to wait for a look-up.
    :param max_names: the most names to cache; the oldest is dropped first.
    :param clock: the time in seconds since the epoch, as ``time.time``.
    :raises ConfigurationError: if an argument is invalid.

    A name that no source knows is not Lattice's. Neither is an IP address, unless a map contains
    it: Lattice tells its services apart by name. A name has one look-up at a time, in a daemon
    thread, however many threads and tasks want it. Threads, event loops (asyncio and trio), auth
    objects and, after a fork, processes may share the object. It pickles if its sources do, without
    the cache.
    """

    def __init__(
        self,
        *sources: Source | Mapping[str, Any],
        strict: bool = False,
        min_ttl: float = 5.0,
        max_ttl: float = 300.0,
        negative_ttl: float = 10.0,
        stale: float = 3600.0,
        patience: float = 10.0,
        max_names: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0 <= min_ttl <= max_ttl or not (negative_ttl >= 0 and stale >= 0 and patience > 0):
            raise ConfigurationError(
                "min_ttl, max_ttl, negative_ttl, stale and patience are seconds, and min_ttl is at "
                f"most max_ttl; not {min_ttl}, {max_ttl}, {negative_ttl}, {stale} and {patience}"
            )
        if max_names < 1:
            raise ConfigurationError(f"max_names must be at least 1, not {max_names!r}")
        self._sources = tuple(map(as_source, sources)) or default_sources()
        self.strict = strict
        self._min_ttl = min_ttl
        self._max_ttl = max_ttl
        self._negative_ttl = negative_ttl
        self._stale = stale
        self._patience = patience
        self._max_names = max_names
        self._clock = clock
        self._set_up()

    def _set_up(self) -> None:
        """Create what is not pickled."""
        # By normal name. Read without the lock too, so entries are replaced, never changed in part.
        self._entries: dict[str, _Entry] = {}
        self._watches: list[Watch] = []
        self._after_fork()
        renewed_after_fork(self)

    def _after_fork(self) -> None:
        """In a forked child, replace the parent's lock and look-ups; the cache stays."""
        # Guards the attributes below and the cache. Never held during a look-up.
        self._lock = threading.Lock()
        self._look_ups: dict[str, _LookUp] = {}
        # Look-ups that no thread has taken yet.
        self._queue: deque[tuple[str, _LookUp]] = deque()
        self._threads = 0
        for watch in self._watches:
            watch.start()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SETTINGS}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        vars(self).update(settings)
        self._set_up()

    def __repr__(self) -> str:
        sources = ", ".join(map(repr, self._sources))
        return f"Names({sources}, strict={self.strict})"

    # Resolving.

    def peek(self, host: str) -> Endpoint | None:
        """The cached endpoint of a host name if it has not expired; else None. Never blocks."""
        entry = self._entries.get(host)
        if entry is None:
            try:
                entry = self._entries.get(normal_name(host))
            except ConfigurationError:
                return None
            if entry is None:
                return None
        if entry.since <= self._clock() < entry.until:
            entry.used = True
            return entry.endpoint
        return None

    def resolve(self, host: str) -> Endpoint:
        """The endpoint of a host name, looked up if necessary; may block.

        :param host: as in a Host header; case, a port and a trailing dot are ignored.
        :raises ConfigurationError: if it is not a host name.
        :raises NameSourceError: if a source fails, no other answers and nothing is cached.
        """
        found = self.peek(host)
        if found is not None:
            return found
        name = normal_name(host)
        look_up = self._join_look_up(name)
        with suppress(TimeoutError):
            look_up.result(self._seconds_to_wait(name, look_up))
        return self._outcome(name, look_up)

    async def resolve_async(self, host: str) -> Endpoint:
        """As :meth:`resolve`, under asyncio or trio. Waiting occupies no thread."""
        found = self.peek(host)
        if found is not None:
            return found
        name = normal_name(host)
        look_up = self._join_look_up(name)
        await settled(look_up, self._seconds_to_wait(name, look_up))
        return self._outcome(name, look_up)

    def watch(self, every: float = 1.0) -> Watch:
        """Start a background thread that renews names in the last fifth of their time, if they were
        used since their look-up. Calls to names in use then never wait for a look-up.

        :param every: how often to check, in seconds.
        :returns: a :class:`Watch`: call ``stop()`` or use it as a context manager. The thread does
            not keep the interpreter alive, and ends with this object. A forked child starts its
            own thread.
        """
        watch = Watch(self, every)
        self._watches = [*(each for each in self._watches if each.running), watch]
        watch.start()
        return watch

    def refresh(self) -> int:
        """Start the look-ups that a watch would start, and return their number."""
        now = self._clock()
        with self._lock:
            entries = list(self._entries.items())
        due = [(name, entry) for name, entry in entries if entry.used and now >= entry.renew_at]
        for name, entry in due:
            entry.used = False
            self._join_look_up(name)
        return len(due)

    def _seconds_to_wait(self, name: str, look_up: _LookUp) -> float:
        """How long to wait for a look-up: ``patience`` from its start, so that callers that join a
        hanging one fail at once. While a source fails, a cached answer is used without waiting."""
        stale = self._stale_entry(name)
        if stale is not None and stale.failing:
            return 0.0
        return max(0.0, look_up.started + self._patience - time.monotonic())

    def _outcome(self, name: str, look_up: _LookUp) -> Endpoint:
        result = look_up.result() if look_up.done() else None
        if isinstance(result, Endpoint):
            return result
        timed_out = NameSourceError(f"{name}: no answer in {self._patience:g} s")
        stale = self._stale_entry(name)
        if stale is not None:
            if result is None and not stale.failing:
                self._extend_stale(name, timed_out)
            return stale.endpoint
        raise timed_out if result is None else _copy(result)

    def _stale_entry(self, name: str) -> _Entry | None:
        """The cached answer that may be used while a source fails."""
        entry = self._entries.get(name)
        if entry is None or not entry.since <= self._clock() < entry.stale_until:
            return None
        return entry

    # Looking up.

    def _join_look_up(self, name: str) -> _LookUp:
        """The look-up of a name that is in progress, or a new one."""
        with self._lock:
            look_up = self._look_ups.get(name)
            if look_up is not None and time.monotonic() < look_up.started + 2 * self._patience:
                return look_up
            look_up = self._look_ups[name] = _LookUp()
            self._queue.append((name, look_up))
            needs_thread = self._threads < _MAX_THREADS
            self._threads += needs_thread
        if needs_thread:
            try:
                threading.Thread(target=self._work, name="names", daemon=True).start()
            except RuntimeError:  # The interpreter is shutting down, or can start no more threads.
                self._work()
        return look_up

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                name, look_up = self._queue.popleft()
            result = self._look_up(name)
            with self._lock:
                if self._look_ups.get(name) is look_up:
                    del self._look_ups[name]
            look_up.set_result(result)

    def _look_up(self, name: str) -> Endpoint | LatticeClientError:
        now = self._clock()
        try:
            with collect_remarks() as remarks:
                found, failure = query_sources(self._sources, name, now, confirm=self.strict)
        except LatticeClientError as error:
            return self._extend_stale(name, error) or error
        except BaseException as error:  # noqa: BLE001 the callers wait for a result in any case
            broken = NameSourceError(f"{name}: a source raised {_kind_and_place(error)}")
            return self._extend_stale(name, broken) or broken
        if failure is not None:
            # A complete old answer is better than an incomplete new one.
            stale = self._extend_stale(name, failure)
            if stale is not None:
                return stale
            found = found._replace(expires_at=now)
            remarks.append(str(failure))
        if remarks and not found.is_lattice:
            found = doubted(found, remarks)
        return self._store(name, found, now)

    def _store(self, name: str, found: Endpoint, now: float) -> Endpoint:
        old = self._entries.get(name)
        moved_at = _moved_at(old, found, now)
        until, stale_until = self._times(found, now, is_moving=now < moved_at + _MOVING)
        if until != math.inf:
            found = found._replace(expires_at=until)
        found = as_called_by_name(name, found)
        entry = _Entry(found, now, until, stale_until, moved_at)
        with self._lock:
            old = self._entries.get(name)
            if old is None and len(self._entries) >= self._max_names:
                del self._entries[next(iter(self._entries))]
            self._entries[name] = entry
        if old is not None:
            entry.used = old.used
            if old.failing:
                _log().info("%s is looked up again", name)
        return found

    def _times(self, found: Endpoint, now: float, *, is_moving: bool) -> tuple[float, float]:
        """Until when an answer is used, and until when while sources fail."""
        until = math.inf
        if found.expires_at is not None:
            until = now + min(max(found.expires_at - now, self._min_ttl), self._max_ttl)
        if is_moving:
            # Its two answers are used equally long, so that the records' weights hold.
            until = min(until, now + self._negative_ttl)
        elif not found.is_lattice:
            until = now + self._negative_ttl
        return until, until + (self._stale if found.is_lattice else 0.0)

    def _extend_stale(self, name: str, failure: LatticeClientError) -> Endpoint | None:
        """After a failure, use the cached answer until the next look-up; None if there is none."""
        with self._lock:
            stale = self._stale_entry(name)
            if stale is None:
                return None
            stale.renew_at = self._clock() + _PAUSE
            stale.until = max(stale.until, stale.renew_at)
            stale.until = min(stale.until, stale.stale_until)
            logged, stale.failing = stale.failing, True
        if not logged:
            _log().warning("%s cannot be looked up, the old answer is used: %s", name, failure)
        return stale.endpoint


def _moved_at(old: _Entry | None, found: Endpoint, now: float) -> float:
    """When a name was last seen to move between addresses of Lattice's and others."""
    if found.reason == "mixed addresses":
        return now
    if old is None:
        return -math.inf
    before = old.endpoint.at_address or old.endpoint
    moves = before.is_lattice != found.is_lattice
    return now if moves and "foreign address" in (before.reason, found.reason) else old.moved_at


def _copy(error: LatticeClientError) -> LatticeClientError:
    """A copy, or an error with the same message if the class cannot be copied."""
    try:
        return copy(error)
    except Exception:  # noqa: BLE001 a class of the user's may raise anything
        return NameSourceError(str(error))


def _kind_and_place(error: BaseException) -> str:
    """The class and the place in the code, without the message, which may contain a secret."""
    from traceback import extract_tb

    (*_, frame) = extract_tb(error.__traceback__)
    return f"{type(error).__name__} ({frame.filename}, line {frame.lineno}, in {frame.name})"


def _log() -> logging.Logger:
    from lattice_client._log import get_logger  # deferred: most processes log nothing

    return get_logger("names")
