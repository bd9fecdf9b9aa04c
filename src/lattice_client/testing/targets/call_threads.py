"""Calls that block, each in a thread that has nothing else to do."""

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
_Work: TypeAlias = "SimpleQueue[Callable[[], None]]"

_IDLE_SECONDS: Final = 5.0
# What the threads that wait for work get it from. To take one out is to give it a call.
_idle: list[_Work] = []

if sys.platform != "win32":
    # A child has no threads but its own.
    os.register_at_fork(after_in_child=_idle.clear)


async def in_own_thread(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Call it in a thread, with the context's variables, and wait for what it gives.

    ``asyncio.to_thread`` has a few threads for everything: calls that wait for one another would
    wait for ever there, and so would whoever resolves a name. Here there are as many as it takes.

    :raises BaseException: what the function raises.
    """
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()
    outcome: Future[Any] = Future()
    is_over = asyncio.Event()

    def call() -> None:
        try:
            outcome.set_result(context.run(function, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            outcome.set_exception(error)
        # Nobody waits any more where the loop has been closed meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(is_over.set)

    _idle_or_new().put(call)
    await is_over.wait()
    result: _R = outcome.result()
    return result


def _idle_or_new() -> _Work:
    try:
        return _idle.pop()
    except IndexError:
        work: _Work = SimpleQueue()
        # One that hangs is not to keep the interpreter from ending.
        threading.Thread(target=_serve, args=(work,), name="lambda", daemon=True).start()
        return work


def _serve(work: _Work) -> None:
    while True:
        try:
            work.get(timeout=_IDLE_SECONDS)()
        except Empty:
            try:
                _idle.remove(work)
            except ValueError:
                continue  # It has just been taken: the call is about to come.
            return
        _idle.append(work)
