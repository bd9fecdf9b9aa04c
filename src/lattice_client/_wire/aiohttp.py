"""aiohttp: its requests, payloads, responses and redirects."""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from lattice_client._wire.body import WrittenBody, repeatable
from lattice_client._wire.headers import headers_to_sign, set_signature
from lattice_client._wire.request import AnySigner, Reroutable
from lattice_client._wire.response_body import _GZIP, LONGEST, known, note, too_long, was_read
from lattice_client._wire.urls import REDIRECTS
from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint

__all__ = ["AiohttpRequest", "KeptOfCalls", "RedirectedCalls", "read_aiohttp"]


async def read_aiohttp(response: Any, seconds: float) -> bytes | None:
    """The plain body of an ``aiohttp.ClientResponse``; None where it does not come within the
    limits."""
    if not was_read(response):
        body = response._body  # noqa: SLF001 read by another middleware already
        if body is None and not too_long(response.headers):
            try:
                body = await _buffered(response.content, seconds)
            except BaseException:  # cancelled, and handed out to no one
                response.close()
                raise
        # aiohttp decompresses, unless its session was told not to.
        compressed = body is not None and body.startswith(_GZIP)
        note(response, body, response.headers.get("Content-Encoding") if compressed else None)
    return known(response)


async def _buffered(content: Any, seconds: float) -> bytes | None:
    """What a ``StreamReader`` holds when its end has come. It is looked at, not taken."""
    import asyncio

    try:
        async with asyncio.timeout(seconds):
            while not content.is_eof():
                if content.total_bytes > LONGEST or _is_paused(content):
                    return None
                await content._wait("read")  # noqa: SLF001 until more has come
    except Exception:  # noqa: BLE001 the caller meets it too, when reading
        return None
    if content.total_bytes > LONGEST or content.exception() is not None:
        return None
    return b"".join(getattr(content, "_buffer", ()))


def _is_paused(content: Any) -> bool:
    """Whether aiohttp reads no more before its caller does, as with a small ``read_bufsize``."""
    return getattr(getattr(content, "_protocol", None), "_reading_paused", False) is True


# Encodings of text files that an older aiohttp sends as they stand.
_AS_IT_IS = (None, "utf-8", "UTF-8", "utf8")


class AiohttpRequest(Reroutable):
    """An ``aiohttp.ClientRequest``."""

    __slots__ = (
        "_asked",
        "_signed_before",
        "method",
        "offset",
        "signer",
        "target",
    )

    def __init__(self, request: Any) -> None:
        self.request: Any = request
        self._signed_before = False
        self.signer: AnySigner | None = None
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self.method: str = request.method
        self.target: str = request.url.raw_path_qs
        self._asked: tuple[Any, ...] | None = None
        # One, if no middleware has added another; several are no host.
        self.host: str = ", ".join(request.headers.getall("Host", ()))

    @property
    def scheme(self) -> str:
        return str(self.request.url.scheme)

    def route(self, endpoint: Endpoint) -> None:
        request = self.request
        self._asked = (self.host, self.target, request.url, request.server_hostname)
        super().route(endpoint)

    def restore(self) -> None:
        """Be as the request was before it was led anywhere, but for its other headers: aiohttp has
        one for all attempts, and others look at it too."""
        if self._asked is not None:
            request = self.request
            self.host, self.target, request.url, request.server_hostname = self._asked
            request.headers["Host"] = self.host
            self.endpoint = self._asked = None

    def url_host(self) -> str:
        return str(self.request.url.raw_host)

    def authority(self) -> str:
        return str(self.request.url.host_port_subcomponent)

    def set_url_host(self, name: str, port: int | None) -> None:
        url = self.request.url.with_host(name)
        self.request.url = url if port is None else url.with_port(port)
        self.target = self.request.url.raw_path_qs

    def set_host(self, host: str) -> None:
        self.request.headers["Host"] = host

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        request = self.request
        if request.proxy is not None:
            raise ConfigurationError(
                f"{endpoint.host!r} is to be reached at {address!r} (connect_to), and through a "
                "proxy: one of them has to go"
            )
        self.set_url_host(address, port)
        if self.scheme == "https":
            request.server_hostname = endpoint.host
            # Of an older aiohttp's connections, this alone keeps two names at one address apart.
            if "server_hostname" not in request.connection_key._fields:
                request.proxy_headers = type(request.headers)(Host=endpoint.host)

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        items = self.request.headers.items()
        # The second hyphen of x-amz- is looked at sooner than a name is lowered.
        pairs = [pair for pair in items if names or pair[0][5:6] == "-"]
        found, self._signed_before = headers_to_sign(pairs, names)
        # aiohttp sends text as UTF-8.
        return [(name, value.encode().decode("latin-1")) for name, value in found]

    def body(self) -> object:
        body = self.request.body
        if not body:  # b"" is no body
            return None
        # What aiohttp compresses on the way out is not known before.
        if self.request.compress:
            return body
        # An older aiohttp closes the files that it writes.
        made_of = getattr(body, "_value", None)
        if not hasattr(body, "consumed") and hasattr(made_of, "read"):
            return made_of if getattr(body, "_encoding", None) in _AS_IT_IS else body
        length = self.request.headers.get("Content-Length")
        return WrittenBody(body, None if length is None else int(length))

    def set_target(self, target: str) -> None:
        url = self.request.url
        path, _, query = target.partition("?")
        # yarl would write %20 as "+" again, were it not told that all is encoded.
        self.request.url = type(url).build(
            scheme=url.scheme,
            authority=url.raw_authority,
            path=path,
            query_string=query,
            encoded=True,
        )
        self.target = target

    def set_headers(self, headers: dict[str, str]) -> None:
        set_signature(self.request.headers, headers, stale=self._signed_before)

    def set_default_header(self, name: str, value: str) -> None:
        self.request.headers.setdefault(name, value)

    def rewind(self) -> bool:
        """The body is put back by aiohttp itself, where it can."""
        body: Any = self.request.body
        if body and not repeatable(body):
            return False
        # An answer that came early has used up the waiting for "100 Continue".
        if "Expect" in self.request.headers:
            self.request.update_expect_continue()
        return True


# The oldest ones beyond are forgotten.
_REMEMBERED = 4096


_Kept = TypeVar("_Kept")


class KeptOfCalls(Generic[_Kept]):
    """Something that is kept of each of aiohttp's calls, for as long as its session is there.

    A call is known by an object that holds on to its event loop, so an object that outlives loops
    must not hold on to calls.

    :param limit: so many of one session; the oldest go.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The call itself is kept beside its id, for an id may be had again.
        self._sessions = WeakKeyDictionary[object, dict[int, tuple[object, _Kept]]]()

    def __len__(self) -> int:
        return sum(map(len, list(self._sessions.values())))

    def get(self, request: Any) -> _Kept | None:
        """What is kept of a request's call."""
        if not self._sessions:
            return None
        calls = self._sessions.get(self._session_of(request)) or {}
        return calls.get(id(_call_of(request)), (None, None))[1]

    def keep(self, request: Any, kept: _Kept) -> None:
        """Keep something of a request's call, in place of what has been kept of it."""
        calls, call = self._sessions.setdefault(self._session_of(request), {}), _call_of(request)
        calls.pop(id(call), None)
        while len(calls) >= self._limit:
            for oldest in list(calls)[:1]:
                calls.pop(oldest, None)
        calls[id(call)] = (call, kept)

    def forget(self, request: Any) -> None:
        """Forget a request's call."""
        (self._sessions.get(self._session_of(request)) or {}).pop(id(_call_of(request)), None)

    def clear(self) -> None:
        """Forget all calls."""
        self._sessions.clear()

    def _session_of(self, request: Any) -> object:
        session = getattr(request, "_session", None)
        return self if session is None else session


class RedirectedCalls:
    """The calls that have been redirected, each with the origins that it was made to: the one that
    was asked for, and with names the one of the same service that it was led to."""

    def __init__(self) -> None:
        self._calls = KeptOfCalls[frozenset[object]](_REMEMBERED)

    def allowed_origins_of(self, request: Any) -> frozenset[object] | None:
        """The origins that a request's call was made to; None where no redirect has led to it.

        Ask before it is sent, and tell :meth:`note`: by then others may have made it forgotten.
        """
        return self._calls.get(request)

    def note(
        self,
        request: Any,
        url: Any,
        allowed_origins: frozenset[object] | None,
        response: Any,
        endpoint: Endpoint | None = None,
    ) -> None:
        """Remember a request's call, if this response redirects it.

        It is not forgotten when it is answered, for a middleware may send the request once more.

        :param url: what was asked for.
        :param endpoint: where names have led it to.
        """
        if response.status in REDIRECTS:
            if allowed_origins is None:
                led = url if endpoint is None else url.with_host(endpoint.host)
                allowed_origins = frozenset((url.origin(), led.origin()))
            self._calls.keep(request, allowed_origins)


def _call_of(request: Any) -> object:
    """What all the requests of one call share, and no other call: its timer.

    Neither the task will do, for other middlewares may run their handler in one of their own, nor
    the URL that a redirect names, for aiohttp writes it anew.
    """
    timer = getattr(request, "_timer", None)
    if timer is not None:
        return timer
    import asyncio

    return asyncio.current_task()
