"""Letting time pass while a client waits, or does not wait any more."""

from __future__ import annotations

import asyncio
from typing import Final

from lattice_client.testing.asgi import Message, Receive

__all__ = ["Incoming", "sleep"]

# The rest of a body waits where the server keeps it, and its client with it.
_MAX_KEPT_BYTES: Final = 64 * 1024 * 1024


async def sleep(seconds: float) -> None:
    """Let time pass."""
    if _is_asyncio():
        await asyncio.sleep(seconds)
        return
    # In-process, under trio.
    import trio  # type: ignore[import-not-found, unused-ignore]

    await trio.sleep(seconds)


class Incoming:
    """What comes from a client; what came while nobody received it is kept.

    :param receive: the server's.
    """

    __slots__ = ("_coming", "_kept", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []
        self._coming: asyncio.Future[Message] | None = None

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        if self._kept:
            return self._kept.pop(0)
        coming, self._coming = self._coming, None
        return await (self._receive() if coming is None else coming)

    async def ends_within(self, seconds: float) -> bool:
        """Let time pass, unless the client leaves; whether it has left."""
        if not _is_asyncio():
            # A client there that gives up cancels its call itself.
            await sleep(seconds)
            return False
        now = asyncio.get_running_loop().time
        end, kept_bytes, is_whole = now() + seconds, 0, False
        while is_whole or kept_bytes <= _MAX_KEPT_BYTES:
            if self._coming is None:
                # Never cancelled while it may be needed: a body that is being generated would end.
                self._coming = asyncio.ensure_future(self._receive())
            await asyncio.wait([self._coming], timeout=end - now())
            if not self._coming.done():
                return False
            message, self._coming = self._coming.result(), None
            if message["type"] == "http.disconnect":
                self._kept.append(message)
                return True
            if is_whole:
                break  # Nothing but the end can follow, unless somebody's test says so.
            self._kept.append(message)
            kept_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
        await asyncio.sleep(end - now())
        return False

    def close(self) -> None:
        """Wait for nothing more."""
        if self._coming is not None:
            self._coming.cancel()


def _is_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
