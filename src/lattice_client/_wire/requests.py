"""requests: its prepared requests and their headers. Its responses are in ``requests_response``."""

from __future__ import annotations

from typing import Any, ClassVar

from lattice_client._wire.body import put_back
from lattice_client._wire.headers import as_text, headers_to_sign, own_authorization, set_signature
from lattice_client._wire.request import AnySigner, Reroutable
from lattice_client._wire.urls import DEFAULT_PORT, FINAL_DOT, bracketed, split_port, url_parts
from lattice_client.names import Endpoint

__all__ = ["RequestsAttempt", "RequestsRequest", "destination_of", "requests_header"]

# An attribute of a copy of a request: the name for SNI and certificate, and the address and port
# to connect to.
_DESTINATION = "_lattice_client_destination"

_NO_HEADER = (None, None)

# The Host header by what stands before the path of a URL. A program calls few hosts, and parsing
# each URL takes 5 µs of a request's time.
_host_of_origin: dict[str, str] = {}
_MAX_HOSTS = 256


class RequestsRequest(Reroutable):
    """A ``requests.PreparedRequest``. http.client makes its Host header later."""

    __slots__ = ("_has_own_host", "_signed_before", "method", "offset", "signer", "target")

    has_response_hooks: ClassVar[bool] = True

    def __init__(self, request: Any) -> None:
        self.request: Any = request
        self._signed_before = False
        self.signer: AnySigner | None = None
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self.judged: Endpoint | None = None
        self.method: str = request.method or "GET"
        self.target: str = request.path_url
        given = requests_header(request.headers, "host")
        self._has_own_host = given is not None
        self.host = self._host_from_url() if given is None else as_text(given)

    @property
    def scheme(self) -> str:
        return url_parts(self.request.url)[0]

    def _host_from_url(self) -> str:
        """The Host header that http.client will make of the URL."""
        url = self.request.url
        origin = url.removesuffix(self.target)
        known = _host_of_origin.get(origin)
        if known is not None and "\\" not in url:
            return known
        scheme, netloc, target, fragment = url_parts(url)
        host = netloc.rpartition("@")[2]
        default = DEFAULT_PORT.get(scheme, ":")
        if host.endswith(default):
            # http.client leaves the scheme's own port out, except through a proxy.
            netloc = netloc.removesuffix(default)
            self.request.url = f"{scheme}://{netloc}{target}{fragment}"
        host = host.removesuffix(default)
        if host[-1:] == "." or ".:" in host:
            # urllib3 leaves out the dot of an absolute name.
            return FINAL_DOT.sub("", host)
        if origin == f"{scheme}://{host}":  # without user and password
            if len(_host_of_origin) >= _MAX_HOSTS:
                _host_of_origin.clear()
            _host_of_origin[origin] = host
        return host

    def has_own_host(self) -> bool:
        return self._has_own_host

    def url_host(self) -> str:
        return split_port(url_parts(self.request.url)[1].rpartition("@")[2])[0]

    def authority(self) -> str:
        return self._host_from_url()

    def set_url_host(self, name: str, port: int | None) -> None:
        scheme, netloc, target, fragment = url_parts(self.request.url)
        user, at, host = netloc.rpartition("@")
        authority = bracketed(name) + (split_port(host)[1] if port is None else f":{port}")
        self.request.url = f"{scheme}://{user}{at}{authority}{target}{fragment}"

    def set_host(self, host: str) -> None:
        # Without a Host header the URL's host is sent. A header that is set would go along with a
        # redirect.
        if "Host" in self.request.headers:
            self.request.headers["Host"] = host

    def authorization(self) -> str:
        return as_text(requests_header(self.request.headers, "authorization") or "")

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        headers = self.request.headers
        # The names and values of requests' own mapping, without a look-up for each.
        store = getattr(headers, "_store", None)
        pairs = (
            headers.items()
            if store is None
            else [pair for name, pair in store.items() if names or name.startswith("x-amz-")]
        )
        found, self._signed_before = headers_to_sign(pairs, names)
        return [(name, as_text(value)) for name, value in found]

    def own_authorization(self) -> str | bytes | None:
        given = requests_header(self.request.headers, "authorization")
        return None if given is None else own_authorization((given,))

    def body(self) -> object:
        return self.request.body

    def set_target(self, target: str) -> None:
        scheme, netloc, _, fragment = url_parts(self.request.url)
        self.request.url = f"{scheme}://{netloc}{target}{fragment}"
        self.target = target

    def set_headers(self, headers: dict[str, str]) -> None:
        set_signature(self.request.headers, headers, stale=self._signed_before)

    def set_header(self, name: str, value: str | bytes) -> None:
        self.request.headers[name] = value

    def set_default_header(self, name: str, value: str) -> None:
        if requests_header(self.request.headers, name) is None:
            self.request.headers[name] = value

    def rewind(self) -> bool:
        body = self.request.body
        if body is None or isinstance(body, bytes | str):
            return True
        # Where the file stood when the request was prepared.
        position = getattr(self.request, "_body_position", None)
        return isinstance(position, int) and put_back(body, position)


class RequestsAttempt(RequestsRequest):
    """A copy that is sent in place of the caller's request. So its Host header may differ from its
    URL's host.

    :param through_proxy: whether a proxy makes the connection.
    """

    __slots__ = ("_through_proxy",)

    def __init__(self, request: Any, *, through_proxy: bool = False) -> None:
        super().__init__(request)
        self._through_proxy = through_proxy

    def can_connect_to_address(self) -> bool:
        return not self._through_proxy

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        # The URL stays, for all that read the request: mocks, instrumentation and redirects.
        self.request.headers["Host"] = self.host
        setattr(self.request, _DESTINATION, (endpoint.host, address, port))

    def forget_destination(self) -> None:
        """After sending: the caller may send the request again, when its name has moved."""
        vars(self.request).pop(_DESTINATION, None)


def destination_of(request: Any) -> tuple[str, str, int | None] | None:
    """The name for TLS, address and port, where a request is not sent to its URL's host."""
    return getattr(request, _DESTINATION, None)


def requests_header(headers: Any, name: str) -> str | bytes | None:
    """A header of requests' own mapping, which is slow for a missing one: it raises inside.

    :param name: in lower case.
    """
    store = getattr(headers, "_store", None)
    given: str | bytes | None
    if store is None:
        given = headers.get(name)
    else:
        _, given = store.get(name, _NO_HEADER)
    return given
