"""The outgoing request of each HTTP library: read as it will go on the wire, and written back.

No library is imported here: their requests are told apart by their shape, so one auth object serves
all of them, in whichever order they are imported.
"""

from __future__ import annotations

from typing import Any, Protocol

from lattice_client.endpoints import Led, bracketed, split_port
from lattice_client.errors import ConfigurationError, InvalidHeaderError
from lattice_client.headers import (
    add_to_httpx,
    as_text,
    httpx_host,
    httpx_items,
    requests_header,
    set_httpx_signature,
    set_signature,
    signable,
)
from lattice_client.names import Endpoint
from lattice_client.payload import WrittenBody, file_at, put_back, repeatable, rewind_form
from lattice_client.signing import SigV4ASigner, SigV4Signer
from lattice_client.urls import DEFAULT_PORT, FINAL_DOT, url_parts

__all__ = [
    "AiohttpRequest",
    "AnySigner",
    "HttpxRequest",
    "Outgoing",
    "RequestsRequest",
    "outgoing",
]

AnySigner = SigV4Signer | SigV4ASigner

# Encodings of text files that an older aiohttp sends as they stand.
_AS_IT_IS = (None, "utf-8", "UTF-8", "utf8")


# The host in what stands before a path, where nothing else does: it is one of few, and taking each
# URL apart takes 5 µs in the midst of a request.
_plain_hosts: dict[str, str] = {}
_MANY_HOSTS = 256


class Outgoing(Protocol):
    """A request as it goes out, to the byte."""

    # The library's own.
    request: Any

    @property
    def scheme(self) -> str:
        """In lower case."""
        ...

    method: str
    # The Host header.
    host: str
    # Path and query.
    target: str
    # Who has signed it, if anybody has, and by how much the clock was corrected then, in seconds.
    signer: AnySigner | None
    offset: float
    # Where names have led it to, if any were asked.
    endpoint: Endpoint | None

    def go_to(self, endpoint: Endpoint) -> None:
        """See :meth:`lattice_client.endpoints.Led.go_to`."""
        ...

    def goes_by_url(self) -> bool:
        """Whether the URL names the host that the Host header names."""
        ...

    def authority(self) -> str:
        """The host and port in the URL, as they would stand in its Host header."""
        ...

    def signable(self, names: frozenset[str]) -> list[tuple[str, str]]:
        """The headers named ``x-amz-*`` and those in ``names`` (lower case), but for what an
        earlier signature has left. A character stands for a byte on the wire."""
        ...

    def body(self) -> object:
        """What the body will be read from."""
        ...

    def retarget(self, target: str) -> None:
        """Let the request go to another path and query of the same origin."""
        ...

    def write(self, headers: dict[str, str]) -> None:
        """Set the headers; nothing of an earlier signature remains."""
        ...

    def add(self, name: str, value: str) -> None:
        """Set a header (name in lower case), unless the request has it."""
        ...

    def rewind(self) -> bool:
        """Make ready for another attempt: put the body back to where it began.

        :returns: whether it stands there. A body that can be read but once does not.
        """
        ...


def outgoing(request: Any) -> Outgoing:
    """The request of any of the libraries.

    :raises TypeError: for anything else.
    :raises InvalidHeaderError: for a relative URL, which httpx takes.
    """
    url = getattr(request, "url", None)
    if isinstance(url, str):
        try:
            return RequestsRequest(request)
        except AttributeError:  # to look first would take the URL apart once more
            if hasattr(type(request), "path_url"):
                raise
    if hasattr(url, "raw_path_qs"):
        return AiohttpRequest(request)
    if hasattr(url, "raw_path"):
        return HttpxRequest(request)
    raise TypeError(
        f"{type(request).__name__} is no request of requests (a prepared one), httpx, httpx2 or "
        "aiohttp; to sign anything else, call lattice_client.signing.SigV4Signer"
    )


class RequestsRequest(Led):
    """A ``requests.PreparedRequest``. Its Host header is made later, in http.client."""

    __slots__ = ("_signed_before", "method", "offset", "signer", "target")

    def __init__(self, request: Any) -> None:
        self.request: Any = request
        self._signed_before = False
        self.signer: AnySigner | None = None
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self.method: str = request.method or "GET"
        self.target: str = request.path_url
        given = requests_header(request.headers, "host")
        self.host = self._host_to_be() if given is None else as_text(given)

    @property
    def scheme(self) -> str:
        return url_parts(self.request.url)[0]

    def _host_to_be(self) -> str:
        """The Host header that http.client will make of the URL."""
        url = self.request.url
        origin = url.removesuffix(self.target)
        known = _plain_hosts.get(origin)
        if known is not None and "\\" not in url:
            return known
        scheme, netloc, target, fragment = url_parts(url)
        host = netloc.rpartition("@")[2]
        default = DEFAULT_PORT.get(scheme, ":")
        if host.endswith(default):
            # http.client leaves the scheme's own port out, but not on the way through a proxy.
            netloc = netloc.removesuffix(default)
            self.request.url = f"{scheme}://{netloc}{target}{fragment}"
        host = host.removesuffix(default)
        if host[-1:] == "." or ".:" in host:
            # urllib3 leaves out the dot of an absolute name.
            return FINAL_DOT.sub("", host)
        if origin == f"{scheme}://{host}":  # and so no user, no password
            if len(_plain_hosts) >= _MANY_HOSTS:
                _plain_hosts.clear()
            _plain_hosts[origin] = host
        return host

    def url_host(self) -> str:
        return split_port(url_parts(self.request.url)[1].rpartition("@")[2])[0]

    def authority(self) -> str:
        return self._host_to_be()

    def readdress(self, name: str, port: int | None) -> None:
        scheme, netloc, target, fragment = url_parts(self.request.url)
        user, at, host = netloc.rpartition("@")
        there = bracketed(name) + (split_port(host)[1] if port is None else f":{port}")
        self.request.url = f"{scheme}://{user}{at}{there}{target}{fragment}"

    def write_host(self, host: str) -> None:
        # Otherwise the URL's will do; one that is set would go along with a redirect.
        if "Host" in self.request.headers:
            self.request.headers["Host"] = host

    def signable(self, names: frozenset[str]) -> list[tuple[str, str]]:
        headers = self.request.headers
        # The names and values of requests' own kind of headers, without a look-up for each.
        store = getattr(headers, "_store", None)
        pairs = (
            headers.items()
            if store is None
            else [pair for name, pair in store.items() if names or name.startswith("x-amz-")]
        )
        found, self._signed_before = signable(pairs, names)
        return [(name, as_text(value)) for name, value in found]

    def body(self) -> object:
        return self.request.body

    def retarget(self, target: str) -> None:
        scheme, netloc, _, fragment = url_parts(self.request.url)
        self.request.url = f"{scheme}://{netloc}{target}{fragment}"
        self.target = target

    def write(self, headers: dict[str, str]) -> None:
        set_signature(self.request.headers, headers, stale=self._signed_before)

    def add(self, name: str, value: str) -> None:
        if requests_header(self.request.headers, name) is None:
            self.request.headers[name] = value

    def rewind(self) -> bool:
        body = self.request.body
        if body is None or isinstance(body, bytes | str):
            return True
        # Where the file stood when the request was prepared.
        position = getattr(self.request, "_body_position", None)
        return isinstance(position, int) and put_back(body, position)


class HttpxRequest(Led):
    """An ``httpx.Request`` or ``httpx2.Request``."""

    __slots__ = (
        "_file",
        "method",
        "offset",
        "signer",
        "target",
    )

    def __init__(self, request: Any) -> None:
        self.request: Any = request
        self.signer: AnySigner | None = None
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self.method: str = request.method
        self.target: str = request.url.raw_path.decode("ascii")
        self.host = httpx_host(request.headers)
        if not self.host and not request.url.host:
            raise InvalidHeaderError(
                "the URL of the request is relative: give an absolute one, https://HOST/PATH, or "
                "give the client a base_url"
            )
        # Nothing to look for where the body is in memory, as it nearly always is.
        self._file = None if hasattr(request, "_content") else file_at(self.body())

    @property
    def scheme(self) -> str:
        return str(self.request.url.scheme)

    def url_host(self) -> str:
        return str(self.request.url.raw_host.decode("ascii"))

    def authority(self) -> str:
        return str(self.request.url.netloc.decode("ascii"))

    def readdress(self, name: str, port: int | None) -> None:
        there = {"host": name} if port is None else {"host": name, "port": port}
        self.request.url = self.request.url.copy_with(**there)
        self.target = self.request.url.raw_path.decode("ascii")

    def write_host(self, host: str) -> None:
        self.request.headers["Host"] = host

    def signable(self, names: frozenset[str]) -> list[tuple[str, str]]:
        pairs = [
            (name.decode("latin-1"), value)
            for _, name, value in httpx_items(self.request.headers)
            if names or name.startswith(b"x-amz-")
        ]
        found, _ = signable(pairs, names)
        return [(name, value.decode("latin-1")) for name, value in found]

    def body(self) -> object:
        stream = self.request.stream
        # Bytes that have been read, else the file or iterator that the stream was made of.
        for owner, name in ((self.request, "_content"), (stream, "_stream")):
            if (found := getattr(owner, name, None)) is not None:
                return found
        return stream

    def retarget(self, target: str) -> None:
        self.request.url = self.request.url.copy_with(raw_path=target.encode("ascii"))
        self.target = target

    def write(self, headers: dict[str, str]) -> None:
        set_httpx_signature(self.request.headers, headers)

    def add(self, name: str, value: str) -> None:
        add_to_httpx(self.request.headers, name, value)

    def rewind(self) -> bool:
        if self._file is not None:
            return put_back(*self._file)
        body = self.body()
        return isinstance(body, bytes | list | tuple) or rewind_form(body)


class AiohttpRequest(Led):
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

    def go_to(self, endpoint: Endpoint) -> None:
        request = self.request
        self._asked = (self.host, self.target, request.url, request.server_hostname)
        super().go_to(endpoint)

    def come_back(self) -> None:
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

    def readdress(self, name: str, port: int | None) -> None:
        url = self.request.url.with_host(name)
        self.request.url = url if port is None else url.with_port(port)
        self.target = self.request.url.raw_path_qs

    def write_host(self, host: str) -> None:
        self.request.headers["Host"] = host

    def connect_to(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        request = self.request
        if request.proxy is not None:
            raise ConfigurationError(
                f"{endpoint.host!r} is to be reached at {address!r} (connect_to), and through a "
                "proxy: one of them has to go"
            )
        self.readdress(address, port)
        if self.scheme == "https":
            request.server_hostname = endpoint.host
            # Of an older aiohttp's connections, this alone keeps two names at one address apart.
            if "server_hostname" not in request.connection_key._fields:
                request.proxy_headers = type(request.headers)(Host=endpoint.host)

    def signable(self, names: frozenset[str]) -> list[tuple[str, str]]:
        items = self.request.headers.items()
        # The second hyphen of x-amz- is looked at sooner than a name is lowered.
        pairs = [pair for pair in items if names or pair[0][5:6] == "-"]
        found, self._signed_before = signable(pairs, names)
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

    def retarget(self, target: str) -> None:
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

    def write(self, headers: dict[str, str]) -> None:
        set_signature(self.request.headers, headers, stale=self._signed_before)

    def add(self, name: str, value: str) -> None:
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
