"""Waiting for threads from asyncio and from trio."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future  # it loads logging

__all__ = ["in_thread", "settled"]


async def settled(flight: Future[Any], patience: float) -> None:
    """Waits for the end of the flight under asyncio or trio, so many seconds at most."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        token = trio.lowlevel.current_trio_token()
        landed = trio.Event()

        def wake(_: object) -> None:
            # Whoever waited may be gone, and the loop too.
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(landed.set)

        flight.add_done_callback(wake)
        with trio.move_on_after(patience):
            await landed.wait()
    else:
        import asyncio

        await asyncio.wait((asyncio.wrap_future(flight),), timeout=patience)


_ResultT = TypeVar("_ResultT")


async def in_thread(
    work: Callable[..., _ResultT], *arguments: Any, abandon: bool = False
) -> _ResultT:
    """:param abandon: whether the work may go on alone where its caller is cancelled.

    At the end of the interpreter no thread can be started: then it is done here.
    """
    begun = False

    def begin() -> _ResultT:
        nonlocal begun
        begun = True
        return work(*arguments)

    try:
        return await _started_in_thread(begin, abandon=abandon)
    except RuntimeError:
        if begun:
            raise
    return work(*arguments)


async def _started_in_thread(work: Callable[[], _ResultT], *, abandon: bool) -> _ResultT:
    # Whoever runs on trio has anyio, which knows both kinds of event loop. Neither is imported
    # before: that would double the time to import this package.
    if "anyio" in sys.modules:
        from anyio.to_thread import run_sync

        # As asyncio's own does always; anyio's before 4.1 calls it otherwise.
        known = abandon and "abandon_on_cancel" in (run_sync.__kwdefaults__ or ())
        how: Any = {"abandon_on_cancel": True} if known else {}
        return await run_sync(work, **how)
    import asyncio

    return await asyncio.to_thread(work)
