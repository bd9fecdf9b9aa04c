"""Asynchronous calls of our clients, on both event loops, and cancelled ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

import lattice_client.aiohttp
import lattice_client.httpx

if TYPE_CHECKING:
    import aiohttp

ASYNC_CLIENTS = ["httpx on asyncio", "httpx on trio", "aiohttp"]


async def closed(session: aiohttp.ClientSession) -> None:
    """Close a session with its connections.

    aiohttp's first releases with middlewares do not wait until TLS is closed, which causes a
    ResourceWarning in a later test.
    """
    idle = session.connector._conns.values() if session.connector else ()
    transports = [protocol.transport for held in idle for protocol, _ in held]
    await session.close()
    for transport in filter(None, transports):
        transport.abort()
    # Two rounds of the loop: one for the TLS transport, one for the socket below it.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@asynccontextmanager
async def closing(session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientSession]:
    """A session that is closed at the end by ``closed``."""
    try:
        yield session
    finally:
        await closed(session)


def backend(client: str) -> str:
    return "trio" if "trio" in client else "asyncio"


@asynccontextmanager
async def calling(client: str, **settings: Any) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """A function that fetches a URL.

    :param settings: of our clients.
    """
    if client == "aiohttp":
        async with closing(lattice_client.aiohttp.client_session(**settings)) as session:

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
    """Make a call, and cancel it as soon as it is in progress."""

    async def scenario() -> None:
        async with calling(client, **settings) as get, anyio.create_task_group() as tasks:
            tasks.start_soon(get, url)
            while not under_way():  # noqa: ASYNC110 it happens in a thread
                await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()

    anyio.run(scenario, backend=backend(client))
