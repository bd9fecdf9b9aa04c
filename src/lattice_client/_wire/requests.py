"""requests: its prepared requests, headers, responses and connections."""

from __future__ import annotations

from typing import Any

from lattice_client._wire.body import put_back
from lattice_client._wire.headers import as_text, headers_to_sign, set_signature
from lattice_client._wire.request import AnySigner, Reroutable
from lattice_client._wire.urls import DEFAULT_PORT, FINAL_DOT, bracketed, split_port, url_parts
from lattice_client.names import Endpoint

__all__ = ["RequestsAttempt", "RequestsRequest", "requests_header", "server_name"]


def requests_header(headers: Any, name: str) -> str | bytes | None:
    """A header of requests' own kind of mapping, which raises an error within for each that it does
    not have.

    :param name: in lower case.
    """
    store = getattr(headers, "_store", None)
    given: str | bytes | None
    if store is None:
        given = headers.get(name)
    else:
        _, given = store.get(name, _NOTHING)
    return given


_NOTHING = (None, None)


# The host in what stands before a path, where nothing else does: it is one of few, and taking each
# URL apart takes 5 µs in the midst of a request.
_plain_hosts: dict[str, str] = {}


_MANY_HOSTS = 256


class RequestsRequest(Reroutable):
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

    def set_url_host(self, name: str, port: int | None) -> None:
        scheme, netloc, target, fragment = url_parts(self.request.url)
        user, at, host = netloc.rpartition("@")
        there = bracketed(name) + (split_port(host)[1] if port is None else f":{port}")
        self.request.url = f"{scheme}://{user}{at}{there}{target}{fragment}"

    def set_host(self, host: str) -> None:
        # Otherwise the URL's will do; one that is set would go along with a redirect.
        if "Host" in self.request.headers:
            self.request.headers["Host"] = host

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        headers = self.request.headers
        # The names and values of requests' own kind of headers, without a look-up for each.
        store = getattr(headers, "_store", None)
        pairs = (
            headers.items()
            if store is None
            else [pair for name, pair in store.items() if names or name.startswith("x-amz-")]
        )
        found, self._signed_before = headers_to_sign(pairs, names)
        return [(name, as_text(value)) for name, value in found]

    def body(self) -> object:
        return self.request.body

    def set_target(self, target: str) -> None:
        scheme, netloc, _, fragment = url_parts(self.request.url)
        self.request.url = f"{scheme}://{netloc}{target}{fragment}"
        self.target = target

    def set_headers(self, headers: dict[str, str]) -> None:
        set_signature(self.request.headers, headers, stale=self._signed_before)

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


# An attribute of a copy of a request: the name for SNI and certificate.
_SERVER_NAME = "_lattice_client_server_name"


class RequestsAttempt(RequestsRequest):
    """A private copy of a request, so its Host header may differ from its URL's."""

    __slots__ = ()

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        self.request.headers["Host"] = self.host
        self.set_url_host(address, port)
        setattr(self.request, _SERVER_NAME, endpoint.host)


def server_name(request: Any) -> str | None:
    """The name that a request's TLS connection is for, where its URL's host is another."""
    return getattr(request, _SERVER_NAME, None)
