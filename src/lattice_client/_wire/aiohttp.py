"""aiohttp: its requests, payloads, responses, and the calls that its redirects belong to."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from lattice_client._wire.body import WrittenBody, repeatable
from lattice_client._wire.headers import headers_to_sign, own_authorization, set_signature
from lattice_client._wire.request import AnySigner, Reroutable
from lattice_client._wire.response_body import GZIP_MAGIC, LONGEST, known, note, too_long, was_read
from lattice_client._wire.urls import REDIRECTS
from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint

__all__ = ["AiohttpRequest", "CallStore", "RedirectedCalls", "is_unconnected", "read_aiohttp"]

# Encodings in which an older aiohttp sends text files as they are.
_UTF_8 = (None, "utf-8", "UTF-8", "utf8")

# Seconds before the next address is tried beside one that does not answer, and for which any may
# take to answer ("Happy Eyeballs", RFC 8305 section 5).
_HEAD_START = 0.25
_LONGEST_SEARCH = 5.0

# Redirected calls of one session. The oldest beyond are forgotten.
_MAX_REDIRECTED = 4096

_Kept = TypeVar("_Kept")


# --- Requests ---------------------------------------------------------------------------------


class AiohttpRequest(Reroutable):
    """An ``aiohttp.ClientRequest``."""

    __slots__ = ("_signed_before", "_unrouted", "method", "offset", "signer", "target")

    def __init__(self, request: Any) -> None:
        self.request: Any = request
        self._signed_before = False
        self.signer: AnySigner | None = None
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self.judged: Endpoint | None = None
        self.method: str = request.method
        self.target: str = request.url.raw_path_qs
        self._unrouted: tuple[Any, ...] | None = None
        # Several are joined, which the signer refuses.
        self.host: str = ", ".join(request.headers.getall("Host", ()))

    @property
    def scheme(self) -> str:
        return str(self.request.url.scheme)

    def can_connect_to_address(self) -> bool:
        """Not through a proxy, and not past a resolver of the caller's: those of aiohttp ask DNS,
        and others may have another answer on purpose."""
        resolver = getattr(self._connector(), "_resolver", None)
        own = resolver is not None and not type(resolver).__module__.startswith("aiohttp.")
        return self.request.proxy is None and not own

    def _connector(self) -> Any:
        return getattr(getattr(self.request, "_session", None), "connector", None)

    async def find_reachable(self) -> str | None:
        """The first of the endpoint's addresses that answers; None if none does in time.

        aiohttp tries the addresses of a name at once, and has no other for one that is given.
        """
        import asyncio
        import socket

        import aiohappyeyeballs

        given = () if self.endpoint is None else self.endpoint.addresses
        addresses = {each.strip("[]"): each for each in given}
        family = getattr(self._connector(), "_family", socket.AF_UNSPEC)
        there = [
            (kind, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, self.request.url.port))
            for each in addresses
            for kind in [socket.AF_INET6 if ":" in each else socket.AF_INET]
            if family in (socket.AF_UNSPEC, kind)
        ]
        if not there:
            return None
        try:
            async with asyncio.timeout(_LONGEST_SEARCH):
                connected = await aiohappyeyeballs.start_connection(
                    there, happy_eyeballs_delay=_HEAD_START
                )
            with connected:
                # Of a connection that was reset at once, this raises.
                return addresses.get(connected.getpeername()[0])
        except OSError:  # TimeoutError, too
            return None

    def route(self, endpoint: Endpoint, at_address: Endpoint | None = None) -> None:
        self._keep_unrouted()
        super().route(endpoint, at_address)

    def enter_at(self, at_address: Endpoint) -> None:
        self._keep_unrouted()
        super().enter_at(at_address)

    def _keep_unrouted(self) -> None:
        request = self.request
        if self._unrouted is None:
            self._unrouted = (self.host, self.target, request.url, request.server_hostname)

    def restore(self) -> None:
        """Undo the routing: aiohttp uses one request for all attempts, and other middlewares read
        it too. Headers other than Host stay."""
        if self._unrouted is not None:
            request = self.request
            self.host, self.target, request.url, request.server_hostname = self._unrouted
            request.headers["Host"] = self.host
            self.endpoint = self._unrouted = None

    def has_own_host(self) -> bool:
        return self.authority() != self.host

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
            # An older aiohttp has nothing else to tell the connections of two names at one address
            # apart.
            if "server_hostname" not in request.connection_key._fields:
                request.proxy_headers = type(request.headers)(Host=endpoint.host)

    def authorization(self) -> str:
        return str(self.request.headers.get("Authorization", ""))

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        items = self.request.headers.items()
        # Comparing the second hyphen of x-amz- is quicker than lowering a name.
        pairs = [pair for pair in items if names or pair[0][5:6] == "-"]
        found, self._signed_before = headers_to_sign(pairs, names)
        # aiohttp sends text as UTF-8.
        return [(name, value.encode().decode("latin-1")) for name, value in found]

    def own_authorization(self) -> str | bytes | None:
        given = self.request.headers.getall("Authorization", None)
        return None if given is None else own_authorization(given)

    def body(self) -> object:
        body = self.request.body
        if not body:  # b"" is no body
            return None
        # aiohttp compresses while it sends: the bytes are not known before.
        if self.request.compress:
            return body
        # An older aiohttp closes the files that it writes, so those are read directly.
        made_of = getattr(body, "_value", None)
        if not hasattr(body, "consumed") and hasattr(made_of, "read"):
            return made_of if getattr(body, "_encoding", None) in _UTF_8 else body
        length = self.request.headers.get("Content-Length")
        return WrittenBody(body, None if length is None else int(length))

    def set_target(self, target: str) -> None:
        url = self.request.url
        path, _, query = target.partition("?")
        # Without encoded=True yarl would write %20 as "+" again.
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

    def set_header(self, name: str, value: str | bytes) -> None:
        self.request.headers[name] = value

    def set_default_header(self, name: str, value: str) -> None:
        self.request.headers.setdefault(name, value)

    def rewind(self) -> bool:
        """Leave it to aiohttp to put the body back, where it can."""
        body: Any = self.request.body
        if body and not repeatable(body):
            return False
        # An early answer has used up the wait for "100 Continue".
        if "Expect" in self.request.headers:
            self.request.update_expect_continue()
        return True


# --- Calls ------------------------------------------------------------------------------------
#
# aiohttp makes a new request for each hop of a redirect, and calls its middlewares for it. So a
# middleware has to find out which call a request belongs to.


def is_unconnected(error: Exception) -> bool:
    """Whether an error of aiohttp's means that no connection was made, so that no byte was sent."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return (
        not names.isdisjoint(("ClientConnectorError", "ConnectionTimeoutError"))
        and "ClientConnectorCertificateError" not in names
    )


class RedirectedCalls:
    """The calls that have been redirected, each with the origins that it was made to: the URL's,
    and with names the one that it was routed to."""

    def __init__(self) -> None:
        self._calls = CallStore[frozenset[object]](_MAX_REDIRECTED)

    def allowed_origins_of(self, request: Any) -> frozenset[object] | None:
        """The origins that a request's call was made to; None where no redirect has led to it.

        Ask before it is sent and hand the answer to :meth:`note`: meanwhile other calls may push
        this one out.
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

        An answer does not end a call: a middleware may send the request once more.

        :param url: the request's, before it was routed.
        :param endpoint: where names have routed it to.
        """
        if response.status in REDIRECTS:
            if allowed_origins is None:
                routed = url if endpoint is None else url.with_host(endpoint.host)
                allowed_origins = frozenset((url.origin(), routed.origin()))
            self._calls.keep(request, allowed_origins)


class CallStore(Generic[_Kept]):
    """A value for each of aiohttp's calls, kept for as long as its session exists.

    A call is identified by an object that refers to its event loop. So the calls are kept weakly by
    session: an auth object may outlive the loop.

    :param limit: values of one session; the oldest are forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The call is kept beside its id, because Python may reuse the id of a collected object.
        self._sessions = WeakKeyDictionary[object, OrderedDict[int, tuple[object, _Kept]]]()

    def __len__(self) -> int:
        return sum(map(len, list(self._sessions.values())))

    def get(self, request: Any) -> _Kept | None:
        """The value of a request's call."""
        if not self._sessions:
            return None
        calls = self._sessions.get(self._session_of(request))
        return calls.get(id(_call_of(request)), (None, None))[1] if calls else None

    def keep(self, request: Any, kept: _Kept) -> None:
        """Set the value of a request's call."""
        session, call = self._session_of(request), _call_of(request)
        calls = self._sessions.setdefault(session, OrderedDict())
        calls.pop(id(call), None)
        while len(calls) >= self._limit:
            calls.popitem(last=False)  # without a look at the others
        calls[id(call)] = (call, kept)

    def forget(self, request: Any) -> None:
        """Forget a request's call."""
        calls = self._sessions.get(self._session_of(request))
        if calls:
            calls.pop(id(_call_of(request)), None)

    def clear(self) -> None:
        """Forget all calls."""
        self._sessions.clear()

    def _session_of(self, request: Any) -> object:
        session = getattr(request, "_session", None)
        return self if session is None else session


def _call_of(request: Any) -> object:
    """The timer: all requests of one call share it, and no other call does.

    The task is not the same where another middleware runs its handler in a new task. The URL that a
    redirect names is not the same after aiohttp has normalised it.
    """
    timer = getattr(request, "_timer", None)
    if timer is not None:
        return timer
    import asyncio

    return asyncio.current_task()


# --- Responses --------------------------------------------------------------------------------


async def read_aiohttp(response: Any, seconds: float) -> bytes | None:
    """The plain body of an ``aiohttp.ClientResponse``; None where it does not come within the
    limits."""
    if not was_read(response):
        body = response._body  # noqa: SLF001 another middleware has read it
        if body is None and not too_long(response.headers):
            try:
                body = await _buffered(response.content, seconds)
            except BaseException:  # cancelled: no caller gets the answer
                response.close()
                raise
        # aiohttp decompresses, unless its session has auto_decompress=False.
        compressed = body is not None and body.startswith(GZIP_MAGIC)
        note(response, body, response.headers.get("Content-Encoding") if compressed else None)
    return known(response)


async def _buffered(content: Any, seconds: float) -> bytes | None:
    """What a ``StreamReader`` holds at its end. It stays there for the caller."""
    import asyncio

    try:
        async with asyncio.timeout(seconds):
            while not content.is_eof():
                if content.total_bytes > LONGEST or _is_paused(content):
                    return None
                await content._wait("read")  # noqa: SLF001 the public ways take bytes
    except Exception:  # noqa: BLE001 the caller gets it too, when reading
        return None
    if content.total_bytes > LONGEST or content.exception() is not None:
        return None
    return b"".join(getattr(content, "_buffer", ()))


def _is_paused(content: Any) -> bool:
    """Whether aiohttp waits for its caller to read, as with a small ``read_bufsize``."""
    return getattr(getattr(content, "_protocol", None), "_reading_paused", False) is True
