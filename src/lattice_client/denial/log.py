"""The log of denials: each kind once for each host."""

from __future__ import annotations

import threading

from lattice_client._log import get_logger
from lattice_client.denial.model import Denial, Kind

__all__ = ["DenialLog"]

_log = get_logger("denial")


class DenialLog:
    """Logs denials at WARNING, each kind once for each host.

    :param remembered: how many pairs of kind and host are remembered. The oldest are forgotten, and
        logged again when they recur.

    May be used from many threads at once.
    """

    def __init__(self, remembered: int = 1024) -> None:
        self._remembered = remembered
        self._seen: dict[tuple[Kind, str | None], None] = {}
        self._lock = threading.Lock()

    def note(self, denial: Denial) -> bool:
        """Log a denial, unless its kind and host have been logged.

        :returns: whether it was logged.
        """
        key = denial.kind, denial.host
        with self._lock:
            if key in self._seen:
                return False
            while len(self._seen) >= self._remembered:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = None
        _log.warning("%s", denial)
        return True
