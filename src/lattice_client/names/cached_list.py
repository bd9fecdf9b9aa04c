"""A list that a source fetches as a whole, and keeps for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from lattice_client._forking import renewed_after_fork
from lattice_client.errors import NameSourceError

__all__ = ["Listing"]

_ListT = TypeVar("_ListT")

# So many seconds after a failure nobody asks again.
_PAUSE = 5.0
# Whoever waits for a list that another fetches has begun before it; a clock that is set back by
# more than this makes its times worthless.
_STEP_BACK = 60.0


class Listing(Generic[_ListT]):
    """:param ttl: for how many seconds a list holds. It pickles as this alone."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        # Swapped whole: from when and until when it holds, and the list.
        self._state: tuple[float, float, _ListT] | None = None
        # The last failure, and until when (by the monotonic clock) it is not tried again.
        self._failure = ("", 0.0)
        self._after_fork()
        renewed_after_fork(self)

    def _after_fork(self) -> None:
        # Held while the list is fetched: whoever wants another name waits for the same list.
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Listing[_ListT]], tuple[float]]:
        return type(self), (self.ttl,)

    def get(self, now: float, fetch: Callable[[], _ListT]) -> tuple[float, _ListT]:
        """Until when the list holds, and the list, fetched if need be.

        :raises NameSourceError: what ``fetch`` raises, and again for a few seconds after it.
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
