"""Asynchronous calls of the second level, on either event loop, and such as are cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

import lattice_client.aiohttp
import lattice_client.httpx

CLIENTS = ["httpx on asyncio", "httpx on trio", "aiohttp"]


def backend(client: str) -> str:
    return "trio" if "trio" in client else "asyncio"


@asynccontextmanager
async def calling(client: str, **settings: Any) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """A function that gets a URL.

    :param settings: of our second level.
    """
    if client == "aiohttp":
        async with lattice_client.aiohttp.client_session(**settings) as session:

            async def get(url: str) -> None:
                async with session.get(url) as response:
                    await response.read()

            yield get
    else:
        async with lattice_client.httpx.AsyncClient(trust_env=False, **settings) as http:

            async def get(url: str) -> None:
                await http.get(url)

            yield get


def call_and_cancel(client: str, url: str, under_way: Callable[[], Any], **settings: Any) -> None:
    """Calls, and cancels the call as soon as it is under way."""

    async def scenario() -> None:
        async with calling(client, **settings) as get, anyio.create_task_group() as tasks:
            tasks.start_soon(get, url)
            while not under_way():  # noqa: ASYNC110 it happens in a thread
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()

    anyio.run(scenario, backend=backend(client))
