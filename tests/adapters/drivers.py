"""Drivers: each HTTP library behind one small interface, so that one suite covers all of them."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import httpx
import httpx2
import requests
import urllib3
import yarl

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.niquests
import lattice_client.requests
from lattice_client import Denial, LatticeAuth, SigV4Auth, explain
from support.asynchronous import closed

try:  # in the environment of `scripts/test --niquests` alone
    import niquests
except ModuleNotFoundError:
    niquests = None  # type: ignore[assignment]

CHUNKS = [b"first ", b"", b"second ", b"x" * 70_000, b"last"]
STREAM = object()  # as a body: a generator of CHUNKS
OWN: Any = object()  # as the auth of one call: none is given, so that the client's own counts


@dataclass(frozen=True)
class Form:
    """A multipart body: text fields, and files (bytes, or open in binary mode)."""

    fields: dict[str, str]
    files: dict[str, Any]

    def of_requests(self) -> dict[str, Any]:
        """The arguments of requests, httpx and httpx2."""
        return {"data": self.fields, "files": self.files}

    def of_aiohttp(self) -> aiohttp.FormData:
        data = aiohttp.FormData(self.fields)
        for name, file in self.files.items():
            data.add_field(name, file, filename=name)
        return data


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]
    # The URL that answered, after redirects.
    url: str
    denial: Denial | None


class Call(Protocol):
    def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: object = None,
        form: Form | None = None,
        redirects: bool = False,
        on_head: Callable[[], None] | None = None,
        auth: Any = OWN,
    ) -> Answer:
        """
        :param on_head: called before the body of the response, which is streamed, is read.
        :param auth: the auth object of this call, as its library takes it.
        """
        ...


class Driver(Protocol):
    """One library with a hook or a client of ours."""

    name: str
    # The auth class to use: the library-free one or the library's own.
    auth: type[SigV4Auth]
    # Whether its hook keeps headers from being forwarded to another origin.
    prevents_forwarding: bool

    def client(
        self, auth: object, ca_file: str | None = None, **settings: object
    ) -> AbstractContextManager[Call]:
        """One session with its connection pool.

        :param settings: of our clients.
        """
        ...


def _chunks() -> Iterator[bytes]:
    yield from CHUNKS


async def _async_chunks() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        yield chunk


class Requests:
    name = "requests hook"
    auth: type[SigV4Auth] = LatticeAuth
    prevents_forwarding = True

    def session(self, auth: Any, **_: Any) -> requests.Session:
        session = requests.Session()
        session.auth = auth
        return session

    @contextmanager
    def client(self, auth: Any, ca_file: str | None = None, **settings: Any) -> Iterator[Call]:
        with self.session(auth, **settings) as session:
            session.trust_env = False
            if ca_file:
                session.verify = ca_file

            def call(
                method,
                url,
                *,
                headers=None,
                body=None,
                form=None,
                redirects=False,
                on_head=None,
                auth=OWN,
            ) -> Answer:
                own = {} if auth is OWN else {"auth": auth}
                sent = (
                    form.of_requests() if form else {"data": _chunks() if body is STREAM else body}
                )
                response = session.request(
                    method,
                    url,
                    headers=headers,
                    allow_redirects=redirects,
                    timeout=20,
                    stream=on_head is not None,
                    **sent,
                    **own,
                )
                if on_head is not None:
                    on_head()
                return Answer(
                    response.status_code,
                    response.text,
                    dict(response.headers),
                    response.url,
                    explain(response),
                )

            yield call


class RequestsSession(Requests):
    name = "requests client"

    def session(self, auth: Any, **settings: Any) -> requests.Session:
        return lattice_client.requests.Session(auth, **settings)


class Niquests(Requests):
    name = "niquests hook"

    def session(self, auth: Any, **_: Any) -> Any:
        session = niquests.Session(disable_http3=True)
        session.auth = auth
        return session


class AsyncNiquests:
    prevents_forwarding = True

    def __init__(self, auth: type[SigV4Auth], name: str) -> None:
        self.auth = auth
        self.name = name

    @contextmanager
    def client(self, auth: Any, ca_file: str | None = None, **_: Any) -> Iterator[Call]:
        with asyncio.Runner() as runner:
            session = niquests.AsyncSession(disable_http3=True)
            session.auth, session.trust_env = auth, False
            if ca_file:
                session.verify = ca_file

            async def call(
                method,
                url,
                *,
                headers=None,
                body=None,
                form=None,
                redirects=False,
                on_head=None,
                auth=OWN,
            ) -> Answer:
                own = {} if auth is OWN else {"auth": auth}
                data = _async_chunks() if body is STREAM else body
                sent = form.of_requests() if form else {"data": data}
                response = await session.request(
                    method,
                    url,
                    headers=headers,
                    allow_redirects=redirects,
                    timeout=20,
                    stream=on_head is not None,
                    **sent,
                    **own,
                )
                if on_head is None:
                    text = response.text
                else:
                    try:
                        on_head()
                        text = await response.text
                    finally:
                        await response.close()
                return Answer(
                    response.status_code,
                    text,
                    dict(response.headers),
                    response.url,
                    explain(response),
                )

            try:
                yield _blocking(runner, call)
            finally:
                runner.run(close_niquests(session))


async def close_niquests(session: Any) -> None:
    await session.close()
    # niquests does not wait until its transports are closed.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def is_over_urllib3_future(driver: Driver) -> bool:
    """Whether a driver's connections are urllib3-future's, which also installs as urllib3."""
    replaced = hasattr(urllib3, "ConnectionInfo")
    return "niquests" in driver.name or (replaced and "requests" in driver.name)


# What niquests raises where a connection breaks.
BROKEN_OF_NIQUESTS = (
    () if niquests is None else (niquests.ConnectionError, niquests.exceptions.ChunkedEncodingError)
)


class Httpx:
    def __init__(self, module: Any, auth: type[SigV4Auth], name: str) -> None:
        # httpx, httpx2, or our module of that name.
        self.module = module
        self.auth = auth
        self.name = name
        self.prevents_forwarding = module.__name__.startswith("lattice_client")

    def arguments(self, auth: Any, ca_file: str | None, **settings: Any) -> dict[str, Any]:
        verify = _context(ca_file)
        return {"auth": auth, "verify": verify, "trust_env": False, "timeout": 20, **settings}

    @contextmanager
    def client(self, auth: Any, ca_file: str | None = None, **settings: Any) -> Iterator[Call]:
        with self.module.Client(**self.arguments(auth, ca_file, **settings)) as client:

            def call(
                method,
                url,
                *,
                headers=None,
                body=None,
                form=None,
                redirects=False,
                on_head=None,
                auth=OWN,
            ) -> Answer:
                own = {} if auth is OWN else {"auth": auth}
                content = _chunks() if body is STREAM else body
                sent = form.of_requests() if form else {"content": content}
                with client.stream(
                    method, url, headers=headers, follow_redirects=redirects, **sent, **own
                ) as response:
                    if on_head is not None:
                        on_head()
                    response.read()
                return Answer(
                    response.status_code,
                    response.text,
                    dict(response.headers),
                    str(response.url),
                    explain(response),
                )

            yield call


class AsyncHttpx(Httpx):
    @contextmanager
    def client(self, auth: Any, ca_file: str | None = None, **settings: Any) -> Iterator[Call]:
        with asyncio.Runner() as runner:
            client = self.module.AsyncClient(**self.arguments(auth, ca_file, **settings))

            async def call(
                method,
                url,
                *,
                headers=None,
                body=None,
                form=None,
                redirects=False,
                on_head=None,
                auth=OWN,
            ) -> Answer:
                own = {} if auth is OWN else {"auth": auth}
                content = _async_chunks() if body is STREAM else body
                sent = form.of_requests() if form else {"content": content}
                async with client.stream(
                    method, url, headers=headers, follow_redirects=redirects, **sent, **own
                ) as response:
                    if on_head is not None:
                        on_head()
                    await response.aread()
                return Answer(
                    response.status_code,
                    response.text,
                    dict(response.headers),
                    str(response.url),
                    explain(response),
                )

            try:
                yield _blocking(runner, call)
            finally:
                runner.run(client.aclose())


class Aiohttp:
    name = "aiohttp hook"
    auth: type[SigV4Auth] = LatticeAuth
    prevents_forwarding = True

    def session(self, auth: Any, **arguments: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(middlewares=() if auth is None else (auth,), **arguments)

    @contextmanager
    def client(self, auth: Any, ca_file: str | None = None, **settings: Any) -> Iterator[Call]:
        with asyncio.Runner() as runner:

            async def start() -> aiohttp.ClientSession:
                # The threaded resolver asks socket.getaddrinfo, and so does every other library.
                connector = aiohttp.TCPConnector(
                    ssl=_context(ca_file), resolver=aiohttp.ThreadedResolver()
                )
                return self.session(
                    auth, connector=connector, timeout=aiohttp.ClientTimeout(total=20), **settings
                )

            session = runner.run(start())

            async def call(
                method,
                url,
                *,
                headers=None,
                body=None,
                form=None,
                redirects=False,
                on_head=None,
                auth=OWN,
            ) -> Answer:
                own = {} if auth is OWN else {"middlewares": () if auth is None else (auth,)}
                data = _async_chunks() if body is STREAM else body
                data = form.of_aiohttp() if form else data
                async with session.request(
                    method, url, headers=headers, data=data, allow_redirects=redirects, **own
                ) as response:
                    if on_head is not None:
                        on_head()
                    return Answer(
                        response.status,
                        await response.text(),
                        dict(response.headers),
                        str(response.url),
                        explain(response),
                    )

            try:
                yield _blocking(runner, call)
            finally:
                runner.run(closed(session))


class AiohttpSession(Aiohttp):
    name = "aiohttp client"

    def session(self, auth: Any, **arguments: Any) -> aiohttp.ClientSession:
        return lattice_client.aiohttp.client_session(auth, **arguments)


class RequestsAdapter(Requests):
    name = "requests adapter"

    def session(self, auth: Any, **settings: Any) -> requests.Session:
        session = requests.Session()
        adapter = lattice_client.requests.Adapter(auth, **settings)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session


class HttpxTransport(Httpx):
    def arguments(self, auth: Any, ca_file: str | None, **settings: Any) -> dict[str, Any]:
        return {"transport": _transport(self, auth, ca_file, settings), "timeout": 20}


class AsyncHttpxTransport(AsyncHttpx):
    def arguments(self, auth: Any, ca_file: str | None, **settings: Any) -> dict[str, Any]:
        return {"transport": _transport(self, auth, ca_file, settings), "timeout": 20}


def _transport(driver: Httpx, auth: Any, ca_file: str | None, settings: dict[str, Any]) -> Any:
    ours = sys.modules[f"lattice_client.{driver.module.__name__}"]
    kind = ours.AsyncTransport if isinstance(driver, AsyncHttpx) else ours.Transport
    return kind(auth, verify=_context(ca_file), trust_env=False, **settings)


class AiohttpMiddleware(Aiohttp):
    name = "aiohttp middleware"

    def session(
        self, auth: Any, *, connector: Any, timeout: Any, **settings: Any
    ) -> aiohttp.ClientSession:
        ours = lattice_client.aiohttp.middleware(auth, **settings)
        return aiohttp.ClientSession(middlewares=(ours,), connector=connector, timeout=timeout)


# For plain HTTP. Otherwise httpx would load the default certificates for each client.
_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _context(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file) if ca_file else _NO_AUTHORITIES


def _blocking(runner: asyncio.Runner, call: Callable[..., Coroutine[Any, Any, Answer]]) -> Call:
    def blocking(*args: Any, **kwargs: Any) -> Answer:
        return runner.run(call(*args, **kwargs))

    return blocking


HOOKS: list[Driver] = [
    Requests(),
    Httpx(httpx, LatticeAuth, "httpx library-free hook"),
    Httpx(httpx, lattice_client.httpx.LatticeAuth, "httpx hook"),
    AsyncHttpx(httpx, LatticeAuth, "httpx async library-free hook"),
    AsyncHttpx(httpx, lattice_client.httpx.LatticeAuth, "httpx async hook"),
    Httpx(httpx2, LatticeAuth, "httpx2 library-free hook"),
    Httpx(httpx2, lattice_client.httpx2.LatticeAuth, "httpx2 hook"),
    AsyncHttpx(httpx2, LatticeAuth, "httpx2 async library-free hook"),
    AsyncHttpx(httpx2, lattice_client.httpx2.LatticeAuth, "httpx2 async hook"),
    Aiohttp(),
]
if niquests is not None:
    HOOKS[1:1] = [
        Niquests(),
        AsyncNiquests(LatticeAuth, "niquests async hook"),
        AsyncNiquests(lattice_client.niquests.AsyncLatticeAuth, "niquests async hook of its own"),
    ]
CLIENTS: list[Driver] = [
    RequestsSession(),
    Httpx(lattice_client.httpx, LatticeAuth, "httpx client"),
    AsyncHttpx(lattice_client.httpx, LatticeAuth, "httpx async client"),
    Httpx(lattice_client.httpx2, LatticeAuth, "httpx2 client"),
    AsyncHttpx(lattice_client.httpx2, LatticeAuth, "httpx2 async client"),
    AiohttpSession(),
]
DRIVERS = [*HOOKS, *CLIENTS]
# The libraries' own clients with a part of ours.
PARTS: list[Driver] = [
    RequestsAdapter(),
    HttpxTransport(httpx, LatticeAuth, "httpx transport, library-free"),
    HttpxTransport(httpx, lattice_client.httpx.LatticeAuth, "httpx transport"),
    AsyncHttpxTransport(httpx, lattice_client.httpx.LatticeAuth, "httpx async transport"),
    HttpxTransport(httpx2, lattice_client.httpx2.LatticeAuth, "httpx2 transport"),
    AsyncHttpxTransport(httpx2, lattice_client.httpx2.LatticeAuth, "httpx2 async transport"),
    AiohttpMiddleware(),
]
# httpx calls a library-free hook as a function, and does not show it the answer.
ANSWERING = [driver for driver in DRIVERS if "library-free" not in driver.name]


def sigv4_auth(driver: Driver) -> type[SigV4Auth]:
    """The class for other services that goes with a driver's own."""
    name = driver.auth.__name__.replace("LatticeAuth", "SigV4Auth")
    kind: type[SigV4Auth] = getattr(sys.modules[driver.auth.__module__], name)
    return kind


# As typed, without another round of quoting by the library.
as_written = yarl.URL
