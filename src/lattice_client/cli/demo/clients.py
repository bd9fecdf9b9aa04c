"""The demo's clients: the same calls with each HTTP library, and a stopwatch for signing."""

from __future__ import annotations

import asyncio
import importlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

from lattice_client.auth import SigV4Auth

__all__ = ["CLIENTS", "Client", "DemoCall", "Send", "Stopwatch", "requests_client"]

_TIMEOUT = 10


@dataclass(frozen=True)
class DemoCall:
    """A call for every client: with ``json``, with a stream of ``chunks``, or neither."""

    name: str
    method: str
    url: str
    json: object = None
    chunks: tuple[bytes, ...] | None = None

    def stream(self) -> Iterator[bytes] | None:
        """A generator of the chunks, which can be read only once."""
        return None if self.chunks is None else (chunk for chunk in self.chunks)

    def async_stream(self) -> AsyncIterator[bytes] | None:
        """The same, for asynchronous clients."""
        return None if self.chunks is None else _asynchronous(self.chunks)


async def _asynchronous(chunks: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


Send: TypeAlias = Callable[[DemoCall], tuple[int, str]]
# Takes an auth object and the file of the authority to trust, and opens a session as users would,
# but without the environment, which may set a proxy.
Client: TypeAlias = Callable[[Any, str], AbstractContextManager[Send]]


@contextmanager
def requests_client(auth: Any, ca_file: str) -> Iterator[Send]:
    """A ``requests.Session``."""
    import requests

    with requests.Session() as session:
        session.auth, session.verify, session.trust_env = auth, ca_file, False

        def send(call: DemoCall) -> tuple[int, str]:
            response = session.request(
                call.method, call.url, json=call.json, data=call.stream(), timeout=_TIMEOUT
            )
            return response.status_code, response.text

        yield send


def _httpx_client(library: str) -> Client:
    @contextmanager
    def client(auth: Any, ca_file: str) -> Iterator[Send]:
        module = importlib.import_module(library)
        verify = _trusting(ca_file)
        with module.Client(auth=auth, verify=verify, trust_env=False, timeout=_TIMEOUT) as session:

            def send(call: DemoCall) -> tuple[int, str]:
                response = session.request(
                    call.method, call.url, json=call.json, content=call.stream()
                )
                return response.status_code, response.text

            yield send

    return client


def _httpx_async_client(library: str) -> Client:
    @contextmanager
    def client(auth: Any, ca_file: str) -> Iterator[Send]:
        module = importlib.import_module(library)
        session = module.AsyncClient(
            auth=auth, verify=_trusting(ca_file), trust_env=False, timeout=_TIMEOUT
        )

        async def send(call: DemoCall) -> tuple[int, str]:
            response = await session.request(
                call.method, call.url, json=call.json, content=call.async_stream()
            )
            return response.status_code, response.text

        with asyncio.Runner() as runner:
            try:
                yield lambda call: runner.run(send(call))
            finally:
                runner.run(session.aclose())

    return client


@contextmanager
def _aiohttp_client(auth: Any, ca_file: str) -> Iterator[Send]:
    import aiohttp

    async def start() -> aiohttp.ClientSession:
        # socket.getaddrinfo resolves the local Lattice's names; aiodns does not.
        resolver = aiohttp.ThreadedResolver()
        connector = aiohttp.TCPConnector(ssl=_trusting(ca_file), resolver=resolver)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        return aiohttp.ClientSession(connector=connector, middlewares=(auth,), timeout=timeout)

    async def send(call: DemoCall) -> tuple[int, str]:
        async with session.request(
            call.method, call.url, json=call.json, data=call.async_stream()
        ) as response:
            return response.status, await response.text()

    with asyncio.Runner() as runner:
        session = runner.run(start())
        try:
            yield lambda call: runner.run(send(call))
        finally:
            runner.run(session.close())


def _trusting(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


CLIENTS: dict[str, Client] = {
    "requests": requests_client,
    "httpx.Client": _httpx_client("httpx"),
    "httpx.AsyncClient": _httpx_async_client("httpx"),
    "httpx2.Client": _httpx_client("httpx2"),
    "httpx2.AsyncClient": _httpx_async_client("httpx2"),
    "aiohttp": _aiohttp_client,
}


class Stopwatch:
    """An auth object that wraps another one and measures its time for each request.

    ``times`` are in seconds, oldest first. A middleware's time is that of the whole call minus its
    handler's.
    """

    def __init__(self, auth: SigV4Auth) -> None:
        self._auth = auth
        self.times: list[float] = []

    def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]] | None = None) -> Any:
        if handler is not None:
            return self._middleware(request, handler)
        began = perf_counter()
        signed = self._auth(request)
        self.times.append(perf_counter() - began)
        return signed

    async def _middleware(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        handling = 0.0

        async def timed_handler(request: Any) -> Any:
            nonlocal handling
            began = perf_counter()
            response = await handler(request)
            handling = perf_counter() - began
            return response

        began = perf_counter()
        response = await self._auth(request, timed_handler)
        self.times.append(perf_counter() - began - handling)
        return response
