"""How far each host's clock is from this machine's, as learned from refusals.

The ``Date`` header of a refusal says what time it is there ("Date", RFC 9110 section 6.6.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

# Seconds. ``Date`` tells whole ones, and the answer took its time: less is no difference.
_TOLERANCE = 30.0
# Seconds. A machine may wake up days late; a longer step is more likely a wrong ``Date``.
_FURTHEST = 7 * 86_400.0
# Hosts. The oldest beyond are forgotten, and learned again by one refusal.
_MANY = 256


class Clock:
    """The system's clock, and what is to be added to it for a host.

    What one host says holds for that host alone: it may be wrong.

    :param system: seconds since the epoch, as ``time.time``.
    """

    __slots__ = ("offsets", "system")

    def __init__(self, system: Callable[[], float] = time.time) -> None:
        self.system = system
        # Seconds, by Host header; swapped whole. Empty as long as no clock is off.
        self.offsets: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"Clock({len(self.offsets)} hosts with an offset)"

    def offset(self, host: str) -> float:
        """What is added to the system's clock for a host, in seconds."""
        return self.offsets.get(host, 0.0)

    def learn(self, host: str, date: str | None) -> None:
        """Take a host's time from a ``Date`` header. One that is missing, malformed or more than a
        week away changes nothing."""
        from lattice_client._http_date import http_date

        told = http_date(date or "")
        if told is None:
            return
        offset = told - self.system()
        if abs(offset) <= _FURTHEST and abs(offset - self.offset(host)) > _TOLERANCE:
            self._set(host, offset if abs(offset) > _TOLERANCE else 0.0)

    def forget(self, host: str, offset: float) -> None:
        """Drop a host's offset, unless another one has been learned since."""
        if offset and self.offset(host) == offset:
            self._set(host, 0.0)

    def _set(self, host: str, offset: float) -> None:
        offsets = self.offsets.copy()
        offsets.pop(host, None)
        if offset:
            while len(offsets) >= _MANY:
                del offsets[next(iter(offsets))]
            offsets[host] = offset
        self.offsets = offsets
