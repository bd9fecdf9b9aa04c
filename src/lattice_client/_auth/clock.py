"""How far each host's clock is from this machine's, by the ``Date`` of its refusals.

``Date`` is the time at which an answer was made ("Date", RFC 9110 section 6.6.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

# Seconds. ``Date`` has whole seconds, and the answer took time to come: less is no difference.
_TOLERANCE = 30.0
# Seconds. A machine may wake from sleep days late; a larger offset is likely a wrong ``Date``.
_MAX_OFFSET = 7 * 86_400.0
# Hosts. The oldest beyond are forgotten; one refusal teaches them again.
_MAX_HOSTS = 256


class Clock:
    """The system's clock, and each host's offset from it.

    What one host says holds for that host alone, because it may be wrong.

    :param system: seconds since the epoch, as ``time.time``.
    """

    __slots__ = ("offsets", "system")

    def __init__(self, system: Callable[[], float] = time.time) -> None:
        self.system = system
        # Seconds by Host header; replaced as a whole. Empty while no clock is off.
        self.offsets: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"Clock({len(self.offsets)} hosts with an offset)"

    def offset(self, host: str) -> float:
        """What is added to the system's clock for a host, in seconds."""
        return self.offsets.get(host, 0.0)

    def learn(self, host: str, date: str | None) -> None:
        """Learn a host's offset from a ``Date`` header. A header that is missing, malformed or more
        than a week off changes nothing."""
        from lattice_client._http_date import http_date

        host_time = http_date(date or "")
        if host_time is None:
            return
        offset = host_time - self.system()
        if abs(offset) <= _MAX_OFFSET and abs(offset - self.offset(host)) > _TOLERANCE:
            self._set(host, offset if abs(offset) > _TOLERANCE else 0.0)

    def forget(self, host: str, offset: float) -> None:
        """Remove a host's offset, unless it has changed since."""
        if offset and self.offset(host) == offset:
            self._set(host, 0.0)

    def _set(self, host: str, offset: float) -> None:
        offsets = self.offsets.copy()
        offsets.pop(host, None)
        if offset:
            while len(offsets) >= _MAX_HOSTS:
                del offsets[next(iter(offsets))]
            offsets[host] = offset
        self.offsets = offsets
