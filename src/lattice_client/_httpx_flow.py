"""The auth flow of httpx and httpx2, which differ in their import name alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from lattice_client.auth import SigV4Auth
from lattice_client.wire import outgoing

__all__ = ["HttpxFlow"]


class HttpxFlow(SigV4Auth):
    """Signs in httpx's own auth flow, so that an asynchronous client never waits for credentials
    on its event loop: asyncio's or trio's."""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        yield self(request)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        await self.sign_async(outgoing(request))
        yield request
