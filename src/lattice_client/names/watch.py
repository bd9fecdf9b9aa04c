"""Renewing names ahead of their expiry."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self
from weakref import ref

from lattice_client.errors import ConfigurationError

if TYPE_CHECKING:
    from lattice_client.names.resolver import Names

__all__ = ["Watch"]

# Seconds. The thread only starts look-ups, so it is never long away.
_TO_STOP = 5.0


class Watch:
    """A background thread that renews names that are in use: what ``Names.watch()`` returns."""

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
        """Begin; whatever runs already goes on. A forked child has no threads, and begins anew."""
        if self.running and (self._thread is None or not self._thread.is_alive()):
            # The parent's thread may hold a lock of its event.
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=_watch,
                args=(self._names, self._stopped, self._every),
                name="watching names",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for its end; look-ups under way go on."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_TO_STOP)


def _watch(names: ref[Names], stopped: threading.Event, every: float) -> None:
    while not stopped.wait(every):
        living = names()
        if living is None:
            return
        living.refresh()
        del living
