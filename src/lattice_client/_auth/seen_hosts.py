"""The hosts that something has been logged for."""

from __future__ import annotations

__all__ = ["SeenHosts"]

# Beyond, all are forgotten, and logged again.
_MAX_HOSTS = 4096


class SeenHosts:
    """Remembers hosts, so that each is logged once. May be used from many threads at once."""

    def __init__(self) -> None:
        self._seen: dict[str, object] = {}

    def is_new(self, host: str) -> bool:
        """Whether a host was not seen before; from now on it was."""
        if len(self._seen) >= _MAX_HOSTS and host not in self._seen:
            self._seen = {}
        mark = object()
        # Of several threads with one host, the first sets the mark.
        return self._seen.setdefault(host, mark) is mark
