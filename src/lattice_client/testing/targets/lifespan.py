"""The lifespans of targets, run within the local Lattice's own.

A target such as a FastAPI application may open its pools in its lifespan. Services come and go
while the local Lattice runs, so a target's lifespan begins with the first request to it and ends
when the local Lattice stops. In-process transports do not run the local Lattice's lifespan, and so
run none of a target.

A target that is a plain function has no lifespan: functions in tests seldom check the type of a
scope, and would take the lifespan for a request.

Source: "Lifespan Protocol" (ASGI specification).
"""

from __future__ import annotations

import asyncio
import logging
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from lattice_client.testing.asgi import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Lifespans"]

_log = logging.getLogger("lattice_client.testing")

_GRACE_SECONDS = 5.0
_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType)


class Lifespans:
    """The lifespans of all targets in use, one for each event loop.

    A local Lattice may be served several times, each in another thread and event loop.
    """

    def __init__(self) -> None:
        self._lifespans: dict[asyncio.AbstractEventLoop, dict[int, Lifespan]] = {}

    async def run(self, receive: Receive, send: Send) -> None:
        """The local Lattice's own lifespan, from startup to shutdown."""
        await receive()
        loop = asyncio.get_running_loop()
        self._lifespans[loop] = {}
        await send({"type": "lifespan.startup.complete"})
        await receive()
        lifespans = self._lifespans.pop(loop)
        for lifespan in reversed(lifespans.values()):
            await lifespan.stop(_GRACE_SECONDS)
        await send({"type": "lifespan.shutdown.complete"})

    async def state(self, target: ASGIApp) -> dict[str, Any]:
        """The state that the target's lifespan left for its requests.

        :raises RuntimeError: if the target reported that its startup failed.
        """
        lifespans = self._lifespans.get(asyncio.get_running_loop()) if self._lifespans else None
        if lifespans is None or isinstance(target, _FUNCTIONS):
            return {}
        lifespan = lifespans.get(id(target))
        if lifespan is None:
            lifespan = lifespans[id(target)] = Lifespan(target)
        return await lifespan.started()


class Lifespan:
    """One target's lifespan. It must begin and end in the same task, and so has one."""

    def __init__(self, target: ASGIApp) -> None:
        # The reference keeps the target's id() from being reused.
        self._target = target
        self._state: dict[str, Any] = {}
        self._startup_done = asyncio.Event()
        self._stopping = asyncio.Event()
        self._startup_sent = False
        self._failure: str | None = None
        self._task = asyncio.create_task(self._run())

    async def started(self) -> dict[str, Any]:
        """Wait for the startup, and return the state for requests.

        :raises RuntimeError: if the target reported that it failed.
        """
        await self._startup_done.wait()
        if self._failure is not None:
            raise RuntimeError(f"the target's startup failed: {self._failure}")
        return dict(self._state)

    async def stop(self, grace: float | None) -> None:
        """Let the target shut down. Cancel it after ``grace`` seconds, unless that is None."""
        self._stopping.set()
        _, pending = await asyncio.wait([self._task], timeout=grace)
        if pending:
            _log.warning("a target's shutdown takes too long and is cancelled")
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        scope: Scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._target(scope, self._receive, self._send)
        except Exception:  # noqa: BLE001 - a target may raise anything
            # An exception before the startup is answered means that there is no lifespan.
            if self._startup_done.is_set():
                _log.exception("a target's lifespan failed")
        finally:
            self._startup_done.set()

    async def _receive(self) -> Message:
        if not self._startup_sent:
            self._startup_sent = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            self._failure = message.get("message", "") or "no reason given"
        self._startup_done.set()
