"""A list that a source fetches as a whole and caches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from lattice_client._forking import renewed_after_fork
from lattice_client.errors import NameSourceError

__all__ = ["CachedList"]

_ListT = TypeVar("_ListT")

# Seconds after a failure before the next fetch.
_PAUSE = 5.0
# Seconds. A caller that waited for another's fetch took its time before that fetch, so a list also
# serves somewhat earlier times. If the clock is set back by more, the list's times are worthless.
_STEP_BACK = 60.0


class CachedList(Generic[_ListT]):
    """:param ttl: for how many seconds a list is used. Only this is pickled."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        # Swapped whole: when the list was fetched, when it expires, and the list.
        self._state: tuple[float, float, _ListT] | None = None
        # The last failure, and when (by the monotonic clock) the next fetch is allowed.
        self._failure = ("", 0.0)
        self._after_fork()
        renewed_after_fork(self)

    def _after_fork(self) -> None:
        # Held during a fetch, so that look-ups of other names wait for the same list.
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[CachedList[_ListT]], tuple[float]]:
        return type(self), (self.ttl,)

    def get(self, now: float, fetch: Callable[[], _ListT]) -> tuple[float, _ListT]:
        """When the list expires, and the list, which is fetched if necessary.

        :raises NameSourceError: from ``fetch``, and again for ``_PAUSE`` seconds after it.
        """
        with self._lock:
            if self._state is not None and self._state[0] - _STEP_BACK <= now < self._state[1]:
                return self._state[1:]
            why, pause_ends = self._failure
            if time.monotonic() < pause_ends:
                raise NameSourceError(why)
            try:
                fetched = fetch()
            except NameSourceError as error:
                self._failure = str(error), time.monotonic() + _PAUSE
                raise
            self._state = now, now + self.ttl, fetched
            return self._state[1:]
