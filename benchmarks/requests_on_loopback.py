"""The whole request, from the call to the answer: what a hook or a client adds to it, library by
library, in processor time: the server's share does not count.

Each library has a client for each variant, kept open, and makes its requests in short bursts in
shuffled order. "Constant headers" is a client that always has the very same headers; "a hook that
writes constants" has a hook set them, which is what the library itself makes of having a hook.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from time import thread_time_ns
from typing import Any

from benchmarks.contenders import METHOD, OURS, REGION, SERVICE, credentials
from benchmarks.rounds import Rounds, measure
from lattice_client import LatticeAuth, RetryPolicy
from lattice_client.signing import SigV4Signer

__all__ = [
    "AFTER_FAILURE",
    "AT_INFO",
    "BOTOCORE_HOOK",
    "CONSTANTS",
    "EMPTY_HOOK",
    "LIBRARIES",
    "OUR_CLIENT",
    "OUR_CLIENTS",
    "UNSIGNED",
    "run",
]

UNSIGNED = "unsigned"
CONSTANTS = "constant headers"
EMPTY_HOOK = "a hook that writes constants"
BOTOCORE_HOOK = "botocore's hook"
# It signs each attempt.
OUR_CLIENT = "our client"
AT_INFO = "our client, at INFO"
AFTER_FAILURE = "our client, after a failure of another host"
OUR_CLIENTS = (OUR_CLIENT, AT_INFO, AFTER_FAILURE)

_TARGET = "/orders/7?status=open&page=3"
# Requests at a stretch by one client.
_BURST = 4
_AT_ONCE = 50
_RETRIES = RetryPolicy(base=0.0)
# A port where nothing listens.
_NOBODY = "http://127.0.0.1:1/"


def botocore_hook() -> Callable[[Any], Any]:
    """What people write themselves: botocore's signer over the request's URL."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import ReadOnlyCredentials

    ours = credentials()
    frozen = ReadOnlyCredentials(ours.access_key, ours.secret_key, ours.token)
    signer = SigV4Auth(frozen, SERVICE, REGION)

    def hook(request: Any) -> Any:
        signed = AWSRequest(method=request.method, url=str(request.url))
        signed.context["payload_signing_enabled"] = False
        signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request

    return hook


def constant_hook(headers: dict[str, str]) -> Callable[[Any], Any]:
    def hook(request: Any) -> Any:
        request.headers.update(headers)
        return request

    return hook


def as_middleware(hook: Callable[[Any], Any]) -> Callable[[Any, Any], Awaitable[Any]]:
    """A hook for aiohttp."""

    async def middleware(request: Any, handler: Any) -> Any:
        return await handler(hook(request))

    return middleware


def _variants(
    origin: str, auth: Any, hook: Callable[[Any], Any] = lambda hook: hook
) -> Iterator[tuple[str, Any, dict[str, str]]]:
    """Each variant's name, auth and constant headers.

    :param hook: makes the library's kind of hook of a function.
    """
    signer = SigV4Signer(credentials(), REGION)
    constants = signer.sign(METHOD, origin.removeprefix("http://"), _TARGET)
    yield UNSIGNED, None, {}
    yield CONSTANTS, None, constants
    yield EMPTY_HOOK, hook(constant_hook(constants)), {}
    yield OURS, auth(region=REGION, credentials=credentials()), {}
    yield BOTOCORE_HOOK, hook(botocore_hook()), {}


def _auth() -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=credentials())


# Nothing below reads proxies and .netrc (trust_env): some libraries look for the latter only where
# there is no auth, and so a hook would seem to save time.


def _content(client: Any, url: str) -> object:
    return client.request(METHOD, url).content


def _with_requests(origin: str, rounds: int) -> Rounds:
    import requests

    import lattice_client.requests

    with ExitStack() as stack:
        calls: dict[str, Callable[[], object]] = {}
        for name, auth, headers in _variants(origin, LatticeAuth):
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            session.auth = auth
            session.headers.update(headers)
            calls[name] = partial(_content, session, origin + _TARGET)
        for name in OUR_CLIENTS:
            client = stack.enter_context(lattice_client.requests.Session(_auth(), retry=_RETRIES))
            client.trust_env = False
            if name == AFTER_FAILURE:
                with suppress(requests.ConnectionError):
                    client.get(_NOBODY)
            calls[name] = partial(_content, client, origin + _TARGET)
        return _measured(calls, rounds)


def _with_httpx(module: Any, ours: Any, origin: str, rounds: int) -> Rounds:
    with ExitStack() as stack:
        calls: dict[str, Callable[[], object]] = {}
        for name, auth, headers in _variants(origin, LatticeAuth):
            client = stack.enter_context(module.Client(auth=auth, headers=headers, trust_env=False))
            calls[name] = partial(_content, client, origin + _TARGET)
        for name in OUR_CLIENTS:
            client = stack.enter_context(ours.Client(auth=_auth(), retry=_RETRIES, trust_env=False))
            if name == AFTER_FAILURE:
                with suppress(module.ConnectError):
                    client.get(_NOBODY)
            calls[name] = partial(_content, client, origin + _TARGET)
        return _measured(calls, rounds)


def _with_httpx_async(origin: str, rounds: int) -> Rounds:
    import httpx

    import lattice_client.httpx

    calls: dict[str, Callable[[], Awaitable[object]]] = {}
    clients: list[httpx.AsyncClient] = []
    with asyncio.Runner() as runner:
        for name, auth, headers in _variants(origin, lattice_client.httpx.LatticeAuth):
            client = httpx.AsyncClient(auth=auth, headers=headers, trust_env=False)
            calls[name] = partial(client.request, METHOD, origin + _TARGET)
            clients.append(client)
        for name in OUR_CLIENTS:
            ours = lattice_client.httpx.AsyncClient(auth=_auth(), retry=_RETRIES, trust_env=False)
            if name == AFTER_FAILURE:
                with suppress(httpx.ConnectError):
                    runner.run(ours.get(_NOBODY))
            calls[name] = partial(ours.request, METHOD, origin + _TARGET)
            clients.append(ours)
        try:
            return _measured_async(runner, calls, rounds)
        finally:
            for client in clients:
                runner.run(client.aclose())


def _with_aiohttp(origin: str, rounds: int, *, at_once: int = 1) -> Rounds:
    import aiohttp

    import lattice_client.aiohttp

    async def request(session: aiohttp.ClientSession) -> bytes:
        async with session.request(METHOD, origin + _TARGET) as response:
            return await response.read()

    async def session_of(auth: Any, headers: dict[str, str]) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(middlewares=() if auth is None else (auth,), headers=headers)

    async def our_client(name: str) -> aiohttp.ClientSession:
        session = lattice_client.aiohttp.client_session(_auth(), retry=_RETRIES)
        if name == AFTER_FAILURE:
            with suppress(aiohttp.ClientConnectorError):
                await session.get(_NOBODY)
        return session

    with asyncio.Runner() as runner:
        calls: dict[str, Callable[[], Awaitable[object]]] = {}
        sessions: list[aiohttp.ClientSession] = []
        for name, auth, headers in _variants(origin, LatticeAuth, as_middleware):
            session = runner.run(session_of(auth, headers))
            calls[name] = partial(request, session)
            sessions.append(session)
        for name in OUR_CLIENTS:
            sessions.append(runner.run(our_client(name)))
            calls[name] = partial(request, sessions[-1])
        try:
            return _measured_async(runner, calls, rounds, at_once)
        finally:
            for session in sessions:
                runner.run(session.close())


def _set_level(name: str) -> None:
    """Nothing at INFO is logged of a call that succeeds. Our own loggers alone: the libraries' log
    each request at INFO."""
    ours = logging.getLogger("lattice_client")
    ours.setLevel(logging.INFO if name == AT_INFO else logging.WARNING)


def _measured(calls: dict[str, Callable[[], object]], rounds: int) -> Rounds:
    def burst(name: str) -> float:
        _set_level(name)
        call = calls[name]
        start = thread_time_ns()
        for _ in range(_BURST):
            call()
        return (thread_time_ns() - start) / _BURST / 1e9

    bursts = {name: partial(burst, name) for name in calls}
    measure(bursts, rounds=5)  # connects, and warms up
    return measure(bursts, rounds)


def _measured_async(
    runner: asyncio.Runner,
    calls: dict[str, Callable[[], Awaitable[object]]],
    rounds: int,
    at_once: int = 1,
) -> Rounds:
    async def burst(name: str) -> float:
        _set_level(name)
        call = calls[name]
        start = thread_time_ns()
        if at_once > 1:
            await asyncio.gather(*(call() for _ in range(at_once)))
            return (thread_time_ns() - start) / at_once / 1e9
        for _ in range(_BURST):
            await call()
        return (thread_time_ns() - start) / _BURST / 1e9

    bursts = {name: lambda name=name: runner.run(burst(name)) for name in calls}
    measure(bursts, rounds=5)
    return measure(bursts, rounds)


def _with_httpx_1(origin: str, rounds: int) -> Rounds:
    import httpx

    import lattice_client.httpx

    return _with_httpx(httpx, lattice_client.httpx, origin, rounds)


def _with_httpx2(origin: str, rounds: int) -> Rounds:
    import httpx2

    import lattice_client.httpx2

    return _with_httpx(httpx2, lattice_client.httpx2, origin, rounds)


LIBRARIES: dict[str, Callable[[str, int], Rounds]] = {
    "requests": _with_requests,
    "httpx": _with_httpx_1,
    "httpx async": _with_httpx_async,
    "httpx2": _with_httpx2,
    "aiohttp": _with_aiohttp,
    "aiohttp, 50 at once": partial(_with_aiohttp, at_once=_AT_ONCE),
}


def run(origin: str, rounds: int) -> tuple[dict[str, Rounds], dict[str, str]]:
    """The rounds of each library that is installed; and why the others were not measured."""
    measured: dict[str, Rounds] = {}
    missing: dict[str, str] = {}
    for library, measure_library in LIBRARIES.items():
        try:
            measured[library] = measure_library(origin, rounds)
        except ImportError as error:
            missing[library] = str(error)
    return measured, missing
