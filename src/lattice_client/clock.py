"""A clock that learns how far this machine's is off from the servers'.

The ``Date`` header of a refusal says what time it is there ("Date", RFC 9110 section 6.6.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

# Seconds. ``Date`` tells whole ones, and the answer took its time: less is no difference.
_TOLERANCE = 30.0
# Seconds. A machine may wake up days late, but nobody is given signatures for next year.
_FURTHEST = 7 * 86_400.0


class Clock:
    """The system's clock and what is to be added to it.

    :param system: seconds since the epoch, as ``time.time``.
    """

    __slots__ = ("_system", "offset")

    def __init__(self, system: Callable[[], float] = time.time) -> None:
        self._system = system
        self.offset = 0.0

    def __repr__(self) -> str:
        return f"Clock(offset={self.offset:.0f})"

    def now(self) -> float:
        """The time at the servers, in seconds since the epoch."""
        return self._system() + self.offset

    def learn(self, date: str | None) -> bool:
        """Take the time from a ``Date`` header.

        :returns: whether the clock says something else now. A header that is missing, malformed or
            more than a week away changes nothing.
        """
        from lattice_client.retry import http_date  # loaded for the first who is refused

        told = http_date(date or "")
        if told is None:
            return False
        offset = told - self._system()
        if abs(offset) > _FURTHEST or abs(offset - self.offset) <= _TOLERANCE:
            return False
        self.offset = offset if abs(offset) > _TOLERANCE else 0.0
        return True
