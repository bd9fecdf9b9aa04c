"""Waiting for threads from asyncio and from trio."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

__all__ = ["settled"]


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
