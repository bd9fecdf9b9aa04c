"""Forks: no child may inherit a lock whose holder is a thread that it does not have."""

from __future__ import annotations

# Both register hooks for forks, which must come before ours: hooks before a fork run in reverse,
# and botocore's import, which ours waits for, logs.
import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["importing", "renewed_after_fork"]

# Seconds. A fork waits so long for an import to end, then goes ahead.
_PATIENCE = 10.0


class _Renewable(Protocol):
    def _after_fork(self) -> None: ...


class _Importing:
    """A lock that is held while a fetch imports, so that no fork leaves a module's import lock with
    a thread that the child does not have."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._held_for_fork = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def before_fork(self) -> None:
        self._held_for_fork = self._lock.acquire(timeout=_PATIENCE)

    def after_in_parent(self) -> None:
        if self._held_for_fork:
            self._lock.release()

    def after_in_child(self) -> None:
        self._lock = threading.RLock()
        for each in list(_ALL):
            each._after_fork()  # noqa: SLF001 a protocol of this package


_ALL: WeakSet[_Renewable] = WeakSet()
importing = _Importing()


def renewed_after_fork(each: _Renewable) -> None:
    """Call the object's ``_after_fork()`` in each child, as long as the object lives."""
    _ALL.add(each)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.before_fork,
        after_in_parent=importing.after_in_parent,
        after_in_child=importing.after_in_child,
    )
