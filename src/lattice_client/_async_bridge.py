"""Waiting for threads from asyncio and from trio."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # The module loads logging, which a program that only signs does not need.
    from concurrent.futures import Future

__all__ = ["in_thread", "is_on_event_loop", "settled"]


def is_on_event_loop() -> bool:
    """Whether this code runs on an event loop of asyncio or trio, which waits for it."""
    trio, asyncio = sys.modules.get("trio"), sys.modules.get("asyncio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return True
    if asyncio is None:
        return False
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


async def settled(future: Future[Any], patience: float) -> None:
    """Wait for the end of a future under asyncio or trio, ``patience`` seconds at most."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        token = trio.lowlevel.current_trio_token()
        done = trio.Event()

        def wake(_: object) -> None:
            # The waiter may have been cancelled, and its loop may have ended.
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(done.set)

        future.add_done_callback(wake)
        with trio.move_on_after(patience):
            await done.wait()
    else:
        import asyncio

        await asyncio.wait((asyncio.wrap_future(future),), timeout=patience)


_ResultT = TypeVar("_ResultT")


async def in_thread(
    work: Callable[..., _ResultT], *arguments: Any, abandon: bool = False
) -> _ResultT:
    """Do blocking work in a thread; at the end of the interpreter, where none can be started, here.

    :param abandon: whether the work may go on alone where its caller is cancelled.
    """
    # asyncio would create an executor here that asyncio.run() cannot shut down: it needs a thread.
    if not threading.main_thread().is_alive():
        return work(*arguments)
    begun = False

    def begin() -> _ResultT:
        nonlocal begun
        begun = True
        return work(*arguments)

    try:
        return await _run_in_thread(begin, abandon=abandon)
    except RuntimeError:
        if begun:
            raise
    return work(*arguments)


async def _run_in_thread(work: Callable[[], _ResultT], *, abandon: bool) -> _ResultT:
    # Programs that run on trio have loaded anyio, which knows both kinds of event loop. Importing
    # either at the top would double the time to import this package.
    if "anyio" in sys.modules:
        from anyio.to_thread import run_sync

        # asyncio's own to_thread() always abandons; anyio before 4.1 has another name for it.
        known = abandon and "abandon_on_cancel" in (run_sync.__kwdefaults__ or ())
        how: Any = {"abandon_on_cancel": True} if known else {}
        return await run_sync(work, **how)
    import asyncio

    return await asyncio.to_thread(work)
