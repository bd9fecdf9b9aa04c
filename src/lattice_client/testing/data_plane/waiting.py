"""Waiting while a client may disconnect."""

from __future__ import annotations

import asyncio
from typing import Final

from lattice_client.testing.asgi import Message, Receive

__all__ = ["Incoming", "sleep"]

# Beyond this the body stays in the server, which stops reading from its client.
_MAX_KEPT_BYTES: Final = 64 * 1024 * 1024


async def sleep(seconds: float) -> None:
    """Wait, under asyncio or trio."""
    if _is_asyncio():
        await asyncio.sleep(seconds)
        return
    # In-process, under trio.
    import trio  # type: ignore[import-not-found, unused-ignore]

    await trio.sleep(seconds)


class Incoming:
    """The messages from a client. Those that come during ``ends_within`` are kept for ``receive``.

    :param receive: the server's.
    """

    __slots__ = ("_kept", "_pending", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []
        self._pending: asyncio.Future[Message] | None = None

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        if self._kept:
            return self._kept.pop(0)
        pending, self._pending = self._pending, None
        return await (self._receive() if pending is None else pending)

    async def ends_within(self, seconds: float) -> bool:
        """Wait for ``seconds``, or until the client disconnects; whether it has."""
        if not _is_asyncio():
            # In-process, under trio, a client that gives up cancels its call itself.
            await sleep(seconds)
            return False
        now = asyncio.get_running_loop().time
        end, kept_bytes, is_whole = now() + seconds, 0, False
        while is_whole or kept_bytes <= _MAX_KEPT_BYTES:
            if self._pending is None:
                # Not cancelled when the time is over: that would end a generated body.
                self._pending = asyncio.ensure_future(self._receive())
            await asyncio.wait([self._pending], timeout=end - now())
            if not self._pending.done():
                return False
            message, self._pending = self._pending.result(), None
            if message["type"] == "http.disconnect":
                self._kept.append(message)
                return True
            if is_whole:
                break  # Only a disconnect can follow; a test's receive may return something else.
            self._kept.append(message)
            kept_bytes += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
        await asyncio.sleep(end - now())
        return False

    def close(self) -> None:
        """Cancel the pending receive, if there is one."""
        if self._pending is not None:
            self._pending.cancel()


def _is_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
