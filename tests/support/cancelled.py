"""A call that is cancelled while it is under way, on either event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

import lattice_client.aiohttp
import lattice_client.httpx

CLIENTS = ["httpx on asyncio", "httpx on trio", "aiohttp"]


def call_and_cancel(client: str, url: str, under_way: Callable[[], Any], **settings: Any) -> None:
    """Calls, and cancels the call as soon as it is under way.

    :param settings: of our second level.
    """
    call = _aiohttp if client == "aiohttp" else _httpx

    async def scenario() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, url, settings)
            while not under_way():  # noqa: ASYNC110 it happens in a thread
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()

    anyio.run(scenario, backend="trio" if "trio" in client else "asyncio")


async def _httpx(url: str, settings: dict[str, Any]) -> None:
    async with lattice_client.httpx.AsyncClient(trust_env=False, **settings) as client:
        await client.get(url)


async def _aiohttp(url: str, settings: dict[str, Any]) -> None:
    async with (
        lattice_client.aiohttp.client_session(**settings) as session,
        session.get(url) as response,
    ):
        await response.read()
