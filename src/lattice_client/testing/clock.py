"""The default clock of the local Lattice."""

from __future__ import annotations

import time

__all__ = ["system_time"]


def system_time() -> float:
    """Seconds since the epoch.

    ``time.time`` is looked up at each call, because tools like freezegun replace it.
    """
    return time.time()
