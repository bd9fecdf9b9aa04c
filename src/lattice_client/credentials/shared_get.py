"""One ``get()`` for all threads that want a provider's credentials at the same time.

For providers that do not see to it: at a cold start, each thread of a pool would ask them at once.
"""

from __future__ import annotations

import os
import threading
from typing import Any

__all__ = ["shared_get"]


class _Get:
    """A ``get()`` in progress."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.done = threading.Event()
        # What it gave; None where it failed.
        self.given: object = None


# By the id of the provider, which its caller keeps alive meanwhile.
_running: dict[int, _Get] = {}
_lock = threading.Lock()


def _after_fork() -> None:
    # The threads that would end these do not exist in the child.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def shared_get(provider: Any) -> object:
    """What ``provider.get()`` gives, or the ``get()`` of another thread that has begun already.

    An error is that thread's alone: each of those that have waited asks for itself then.
    """
    mine = _Get()
    with _lock:
        running = _running.setdefault(id(provider), mine)
    if running is not mine:
        # A provider that asks itself, through a call that it makes, must not wait for itself.
        if running.thread != threading.get_ident():
            running.done.wait()
        return running.given if running.given is not None else provider.get()
    try:
        mine.given = provider.get()
        return mine.given
    finally:
        with _lock:
            _running.pop(id(provider), None)
        mine.done.set()
