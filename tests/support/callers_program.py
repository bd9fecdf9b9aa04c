"""A program under test: it calls a service as it does in production, and knows no local Lattice.

By itself: ``python callers_program.py URL WAY…`` prints the caller that the service sees.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from importlib.util import find_spec
from urllib.parse import urlsplit

import aiohttp
import httpx
import httpx2
import requests
import trio

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.niquests
import lattice_client.requests
from lattice_client import LatticeAuth
from lattice_client.names import Names

try:  # in the environment of `scripts/test --niquests` alone
    import niquests
except ImportError:
    niquests = None

# As programs have them: made when the module is imported, before any test begins.
AUTH = LatticeAuth(hosts=["*.internal.example.com"])
SESSION = requests.Session()
SESSION.auth = AUTH
CLIENTS = {httpx: httpx.Client(auth=AUTH), httpx2: httpx2.Client(auth=AUTH)}


def with_requests(url):
    return SESSION.get(url, timeout=10).json()["caller"]


def with_client(library, url):
    return CLIENTS[library].get(url).json()["caller"]


def with_own_session(url):
    # It asks names first, where the service is.
    with lattice_client.requests.Session(names=Names()) as session:
        return session.get(url).json()["caller"]


async def with_async_client(library, url):
    async with library.AsyncClient(auth=AUTH) as client:
        return (await client.get(url)).json()["caller"]


async def with_own_client(url):
    async with lattice_client.httpx.AsyncClient(auth=AUTH) as client:
        return (await client.get(url)).json()["caller"]


async def with_aiohttp(url, resolver=aiohttp.ThreadedResolver):
    connector = aiohttp.TCPConnector(resolver=resolver())
    async with (
        aiohttp.ClientSession(middlewares=(AUTH,), connector=connector) as session,
        session.get(url) as response,
    ):
        return (await response.json())["caller"]


async def with_streams(url):
    """What lies below all of them: a connection by name and port; unsigned, so it is refused."""
    scheme, host, *_ = urlsplit(url)
    port = {"http": 80, "https": 443}[scheme]
    reader, writer = await asyncio.open_connection(host, port, ssl=scheme == "https" or None)
    writer.write(f"GET /orders HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return "nobody" if b" 403 " in answer.split(b"\r\n")[0] else answer


def with_niquests(url):
    with niquests.Session() as session:
        return session.get(url, auth=AUTH, timeout=10).json()["caller"]


async def with_async_niquests(auth, url):
    async with niquests.AsyncSession() as session:
        return (await session.get(url, auth=auth, timeout=10)).json()["caller"]


def on_uvloop(function, *arguments):
    import uvloop

    return uvloop.run(function(*arguments))


def on_asyncio(function, *arguments):
    return asyncio.run(function(*arguments))


WAYS = {
    "requests": with_requests,
    "httpx": partial(with_client, httpx),
    "httpx2": partial(with_client, httpx2),
    "httpx, asyncio": partial(on_asyncio, with_async_client, httpx),
    "httpx2, asyncio": partial(on_asyncio, with_async_client, httpx2),
    "httpx, trio": partial(trio.run, with_async_client, httpx),
    "httpx2, trio": partial(trio.run, with_async_client, httpx2),
    "httpx, uvloop": partial(on_uvloop, with_async_client, httpx),
    "httpx2, uvloop": partial(on_uvloop, with_async_client, httpx2),
    "aiohttp": partial(on_asyncio, with_aiohttp),
    "aiohttp, uvloop": partial(on_uvloop, with_aiohttp),
    "our requests": with_own_session,
    "our httpx, asyncio": partial(on_asyncio, with_own_client),
    "our httpx, uvloop": partial(on_uvloop, with_own_client),
    "streams, asyncio": partial(on_asyncio, with_streams),
    "streams, uvloop": partial(on_uvloop, with_streams),
}
if niquests is not None:
    own = lattice_client.niquests.AsyncLatticeAuth(hosts=["*.internal.example.com"])
    WAYS |= {
        "niquests": with_niquests,
        "niquests, asyncio": partial(on_asyncio, with_async_niquests, AUTH),
        "niquests, uvloop": partial(on_uvloop, with_async_niquests, own),
    }
if find_spec("uvloop") is None:
    WAYS = {name: way for name, way in WAYS.items() if "uvloop" not in name}


if __name__ == "__main__":
    for each in sys.argv[2:]:
        print(each, WAYS[each](sys.argv[1]), sep="=")
