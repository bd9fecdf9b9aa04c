"""Blocking calls, each in its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

__all__ = ["in_own_thread"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_WorkQueue: TypeAlias = "SimpleQueue[Callable[[], None]]"

_IDLE_SECONDS: Final = 5.0
# The queues of idle threads. Removing one reserves its thread for a call.
_idle: list[_WorkQueue] = []

if sys.platform != "win32":
    # These threads do not exist in a child.
    os.register_at_fork(after_in_child=_idle.clear)


async def in_own_thread(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call the function in a thread, in a copy of the context, and wait for its result.

    ``asyncio.to_thread`` shares a few threads with everything: calls that wait for one another
    would deadlock there, and block name resolution. Here each call has its own thread.

    :raises BaseException: what the function raises.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    outcome: Future[Any] = Future()
    is_done = asyncio.Event()

    def call() -> None:
        try:
            outcome.set_result(context.run(function, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised in the waiting task
            outcome.set_exception(error)
        # The loop may be closed by now; then no task waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(is_done.set)

    _idle_or_new().put(call)
    await is_done.wait()
    result: _R = outcome.result()
    return result


def _idle_or_new() -> _WorkQueue:
    try:
        return _idle.pop()
    except IndexError:
        work: _WorkQueue = SimpleQueue()
        # A daemon, so that a call that hangs does not keep the interpreter from exiting.
        threading.Thread(target=_serve, args=(work,), name="lambda", daemon=True).start()
        return work


def _serve(work: _WorkQueue) -> None:
    while True:
        try:
            work.get(timeout=_IDLE_SECONDS)()
        except Empty:
            try:
                _idle.remove(work)
            except ValueError:
                continue  # Reserved just now: the call is about to come.
            return
        _idle.append(work)
