"""Renewing names before they expire."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self
from weakref import ref

from lattice_client.errors import ConfigurationError

if TYPE_CHECKING:
    from lattice_client.names.resolver_cache import Names

__all__ = ["Watch"]

# Seconds to wait for the thread. It only starts look-ups, so it ends soon.
_STOP_TIMEOUT = 5.0


class Watch:
    """A background thread that renews the names in use; returned by ``Names.watch()``."""

    def __init__(self, names: Names, every: float) -> None:
        if not every > 0:
            raise ConfigurationError(f"every is in seconds, above 0; not {every!r}")
        self._names = ref(names)
        self._every = every
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Watch(every={self._every:g}, running={self.running})"

    @property
    def running(self) -> bool:
        return not self._stopped.is_set()

    def start(self) -> None:
        """Start the thread, unless it runs. A forked child has no threads, so it starts its own."""
        if self.running and (self._thread is None or not self._thread.is_alive()):
            # In a forked child the old event's lock may be held by the parent's thread.
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=_watch,
                args=(self._names, self._stopped, self._every),
                name="watching names",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for it. Look-ups in progress continue."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_STOP_TIMEOUT)


def _watch(names: ref[Names], stopped: threading.Event, every: float) -> None:
    while not stopped.wait(every):
        alive = names()
        if alive is None:
            return
        alive.refresh()
        del alive  # or it would live as long as this thread
