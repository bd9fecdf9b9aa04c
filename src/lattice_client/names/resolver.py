"""Names: sources in order, behind a cache."""

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
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name
from lattice_client.names.lookup import as_source, ask, default_sources
from lattice_client.names.source import Source
from lattice_client.names.watch import Watch

if TYPE_CHECKING:
    import logging

__all__ = ["Names"]

# Look-ups that run at once, each in a thread of its own; others wait for their turn.
_MOST_THREADS = 16
# So many seconds after a failure the source is asked again; until then what is remembered serves.
_PAUSE = 5.0
# A clock that is set back by more than this, to before a look-up, makes its times worthless.
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
    """What is remembered of a name. It holds from ``since`` to ``until``, and where it cannot be
    renewed it serves until ``stale_until``."""

    __slots__ = ("endpoint", "failing", "renew_at", "since", "stale_until", "until", "used")

    def __init__(self, endpoint: Endpoint, now: float, until: float, stale_until: float) -> None:
        self.endpoint = endpoint
        self.since = now - _STEP_BACK
        self.until = until
        self.stale_until = stale_until
        # When a watch renews it, if anybody has asked since the last time it did.
        self.renew_at = until if until == math.inf else until - (until - now) / 5
        self.used = True
        # Whether the last look-up failed.
        self.failing = False


class _Flight(Future["Endpoint | LatticeClientError"]):
    """One look-up, which all who want the name wait for. Its failure is a result too: whoever
    raises it raises a copy, for one that is raised again and again collects tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        # So that no waiter's cancellation becomes that of all.
        self.set_running_or_notify_cancel()
        self.begun = time.monotonic()


class Names:
    """Finds the endpoint of a host name: the argument ``names=`` of the auth objects.

    :param sources: are asked in this order; the first that knows a name says what it is, and where
        it does not know the region, the next that knows the name does. A source that can complete
        the answers of others (:class:`LatticeNames`) does so wherever it stands, except for what
        holds for ever. A mapping is taken as :class:`StaticNames`. None at all: the map in
        ``LATTICE_CLIENT_NAMES``, then :class:`ManagedNames`, then :class:`DnsNames`.
    :param strict: refuse requests to names that are not Lattice's, instead of sending them
        unsigned; and have each answer confirmed by the sources that can (:class:`DnsNames`): a name
        that leads to anybody else's address is not Lattice's, whoever says so.
    :param min_ttl: no answer with a TTL holds for fewer seconds,
    :param max_ttl: and none for more.
    :param negative_ttl: for how many seconds it holds that a name is not Lattice's.
    :param stale: for how many seconds after its end an answer serves while sources fail. What has
        been found not to be Lattice's never serves longer.
    :param patience: for how many seconds to wait for a look-up.
    :param max_names: the most names to remember; the one that has been there longest gives way.
    :param clock: the time in seconds since the epoch, as ``time.time``.
    :raises ConfigurationError: for an argument that cannot work.

    A name that no source knows is not Lattice's, nor is an IP address that no map names: Lattice
    tells its services apart by name. There is one look-up of a name at a time, however many threads
    and tasks ask, in a daemon thread. It may be shared by threads, event loops (asyncio's and
    trio's), auth objects and, after a fork, processes. It pickles where its sources do, without
    what it remembers.
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
            raise ConfigurationError(f"max_names must be 1 at least, not {max_names!r}")
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
        """What the settings do not say, and a pickle does not hold."""
        # By normal names; also read without the lock, so entries are swapped whole.
        self._entries: dict[str, _Entry] = {}
        self._watches: list[Watch] = []
        self._after_fork()
        renewed_after_fork(self)

    def _after_fork(self) -> None:
        """In the child: the parent's lock and its look-ups are not ours; what it remembers is."""
        # Held for an instant to change any of these, never during a look-up.
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight] = {}
        # Those that no thread has taken up yet.
        self._queue: deque[tuple[str, _Flight]] = deque()
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

    # Asking.

    def peek(self, host: str) -> Endpoint | None:
        """What is remembered of a host name and holds; None for anything else. Never blocks."""
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
        """The endpoint of a host name, looked up if need be; may block.

        :param host: as in a Host header; case, a port and a dot at the end do not matter.
        :raises ConfigurationError: for what is no host name.
        :raises NameSourceError: where a source fails, none answers and nothing is remembered.
        """
        found = self.peek(host)
        if found is not None:
            return found
        name = normal_name(host)
        flight = self._flight(name)
        with suppress(TimeoutError):
            flight.result(self._left(name, flight))
        return self._outcome(name, flight)

    async def resolve_async(self, host: str) -> Endpoint:
        """As :meth:`resolve`, under asyncio or trio. Waits without occupying a thread."""
        found = self.peek(host)
        if found is not None:
            return found
        name = normal_name(host)
        flight = self._flight(name)
        await settled(flight, self._left(name, flight))
        return self._outcome(name, flight)

    def watch(self, every: float = 1.0) -> Watch:
        """Renew, from now on and in a background thread, what was asked for since it was looked up,
        in the last fifth of its time: so nobody waits for a look-up of a name that is in use.

        :param every: how often to look, in seconds.
        :returns: a :class:`Watch`, to ``stop()`` or to use in a ``with``. The thread never keeps
            the interpreter alive, and it ends with this object. A forked child has one of its own.
        """
        watch = Watch(self, every)
        self._watches = [*(each for each in self._watches if each.running), watch]
        watch.start()
        return watch

    def refresh(self) -> int:
        """Start to renew what a watch would, and return how many names that are."""
        now = self._clock()
        with self._lock:
            entries = list(self._entries.items())
        due = [(name, entry) for name, entry in entries if entry.used and now >= entry.renew_at]
        for name, entry in due:
            entry.used = False
            self._flight(name)
        return len(due)

    def _left(self, name: str, flight: _Flight) -> float:
        """For how many seconds to wait for a look-up. It is its age that counts, so that whoever
        asks during one that hangs is told at once; and while a source fails, nobody waits for what
        is remembered."""
        remembered = self._remembered(name)
        if remembered is not None and remembered.failing:
            return 0.0
        return max(0.0, flight.begun + self._patience - time.monotonic())

    def _outcome(self, name: str, flight: _Flight) -> Endpoint:
        result = flight.result() if flight.done() else None
        if isinstance(result, Endpoint):
            return result
        late = NameSourceError(f"{name}: no answer in {self._patience:g} s")
        remembered = self._remembered(name)
        if remembered is not None:
            if result is None and not remembered.failing:
                self._still(name, late)
            return remembered.endpoint
        raise late if result is None else _again(result)

    def _remembered(self, name: str) -> _Entry | None:
        """What may serve while a source fails."""
        entry = self._entries.get(name)
        if entry is None or not entry.since <= self._clock() < entry.stale_until:
            return None
        return entry

    # Looking up.

    def _flight(self, name: str) -> _Flight:
        """The look-up of a name that is under way, or a new one."""
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None and time.monotonic() < flight.begun + 2 * self._patience:
                return flight
            flight = self._flights[name] = _Flight()
            self._queue.append((name, flight))
            starts = self._threads < _MOST_THREADS
            self._threads += starts
        if starts:
            try:
                threading.Thread(target=self._work, name="names", daemon=True).start()
            except RuntimeError:  # The interpreter is shutting down, or has no more threads.
                self._work()
        return flight

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threads -= 1
                    return
                name, flight = self._queue.popleft()
            result = self._look_up(name)
            with self._lock:
                if self._flights.get(name) is flight:
                    del self._flights[name]
            flight.set_result(result)

    def _look_up(self, name: str) -> Endpoint | LatticeClientError:
        now = self._clock()
        try:
            found, failure = ask(self._sources, name, now, confirmed=self.strict)
        except LatticeClientError as error:
            return self._still(name, error) or error
        except BaseException as error:  # noqa: BLE001 whoever waits must be told, whatever it is
            broken = NameSourceError(f"{name}: a source raised {_told(error)}")
            return self._still(name, broken) or broken
        if failure is not None:
            # Better all of what was known before than a part of what is known now.
            remembered = self._still(name, failure)
            if remembered is not None:
                return remembered
            found = found._replace(expires_at=now)
        return self._keep(name, found, now)

    def _keep(self, name: str, found: Endpoint, now: float) -> Endpoint:
        until = stale_until = math.inf
        if not found.is_lattice:
            until = stale_until = now + self._negative_ttl
        elif found.expires_at is not None:
            until = now + min(max(found.expires_at - now, self._min_ttl), self._max_ttl)
            stale_until = until + self._stale
        if until != math.inf:
            found = found._replace(expires_at=until)
        entry = _Entry(found, now, until, stale_until)
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

    def _still(self, name: str, failure: LatticeClientError) -> Endpoint | None:
        """After a failure: what is remembered, which serves until it is time to try again."""
        with self._lock:
            remembered = self._remembered(name)
            if remembered is None:
                return None
            remembered.renew_at = self._clock() + _PAUSE
            remembered.until = max(remembered.until, remembered.renew_at)
            remembered.until = min(remembered.until, remembered.stale_until)
            told, remembered.failing = remembered.failing, True
        if not told:
            _log().warning("%s cannot be looked up, the old answer serves: %s", name, failure)
        return remembered.endpoint


def _again(error: LatticeClientError) -> LatticeClientError:
    """A copy; of a kind that cannot be copied, what it says."""
    try:
        return copy(error)
    except Exception:  # noqa: BLE001 somebody else's class
        return NameSourceError(str(error))


def _told(error: BaseException) -> str:
    """Its kind and the place in the code; its message may hold anything."""
    from traceback import extract_tb

    (*_, frame) = extract_tb(error.__traceback__)
    return f"{type(error).__name__} ({frame.filename}, line {frame.lineno}, in {frame.name})"


def _log() -> logging.Logger:
    import logging

    return logging.getLogger("lattice_client.names")
