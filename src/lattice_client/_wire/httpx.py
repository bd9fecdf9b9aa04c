"""httpx and httpx2: their requests and headers. Their responses are in ``httpx_response``."""

from __future__ import annotations

from typing import Any

from lattice_client._wire.body import file_at, put_back, rewind_form
from lattice_client._wire.headers import headers_to_sign, own_authorization, set_signature
from lattice_client._wire.request import AnySigner, Reroutable
from lattice_client.errors import InvalidHeaderError, SigningError
from lattice_client.names import Endpoint
from lattice_client.signing import SIGNATURE_HEADERS

__all__ = [
    "CALL_AUTH",
    "HttpxRequest",
    "copy_request",
    "httpx_host",
    "httpx_items",
    "httpx_sent_url",
    "set_httpx_default_header",
    "set_httpx_signature",
]

# The extension with the auth object of one call; None where it goes out unsigned. httpx copies
# extensions to the request that follows a redirect.
CALL_AUTH = "lattice_auth"
# httpx's extension for another path and query than the URL's.
_TARGET = "target"
_NO_EXTENSIONS: dict[str, object] = {}

# Each header of a signature as it is sent, and in lower case.
_AS_BYTES = {
    name: (name.encode(), name.lower().encode()) for name in ("Authorization", *SIGNATURE_HEADERS)
}
_OURS = frozenset(lowered for _, lowered in _AS_BYTES.values())


class HttpxRequest(Reroutable):
    """An ``httpx.Request`` or ``httpx2.Request``."""

    __slots__ = ("_file", "method", "offset", "signer", "target")

    def __init__(self, request: Any) -> None:
        self.request: Any = request
        self.signer: AnySigner | None = None
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self.judged: Endpoint | None = None
        self.method: str = request.method
        self.target: str = _target(request)
        self.host = httpx_host(request.headers)
        if not self.host and not request.url.host:
            raise InvalidHeaderError(
                "the URL of the request is relative: give an absolute one, https://HOST/PATH, or "
                "give the client a base_url"
            )
        # Nearly every body is in memory: then there is no file to look for.
        self._file = None if hasattr(request, "_content") else file_at(self.body())

    @property
    def scheme(self) -> str:
        return str(self.request.url.scheme)

    def has_own_host(self) -> bool:
        # From httpx's own parts of the URL: 0.1 µs rather than 0.4. IPv6 has no brackets here.
        parts = getattr(self.request.url, "_uri_reference", None)
        name = self.url_host() if parts is None else parts.host
        return not (self.host == name or self.host.startswith(f"{name}:"))

    def url_host(self) -> str:
        return str(self.request.url.raw_host.decode("ascii"))

    def authority(self) -> str:
        return str(self.request.url.netloc.decode("ascii"))

    def set_url_host(self, name: str, port: int | None) -> None:
        changes = {"host": name} if port is None else {"host": name, "port": port}
        self.request.url = self.request.url.copy_with(**changes)
        self.target = _target(self.request)

    def set_host(self, host: str) -> None:
        self.request.headers["Host"] = host

    def note_auth(self, auth: object) -> None:
        # Not an attribute: pickles of the request would hold the credentials.
        request = self.request
        request.extensions = {**_extensions(request), CALL_AUTH: auth}

    def authorization(self) -> str:
        for _, name, value in httpx_items(self.request.headers):
            if name == b"authorization":
                return value.decode("latin-1")
        return ""

    def headers_to_sign(self, names: frozenset[str]) -> list[tuple[str, str]]:
        pairs = [
            (name.decode("latin-1"), value)
            for _, name, value in httpx_items(self.request.headers)
            if names or name.startswith(b"x-amz-")
        ]
        found, _ = headers_to_sign(pairs, names)
        return [(name, value.decode("latin-1")) for name, value in found]

    def own_authorization(self) -> str | bytes | None:
        items = httpx_items(self.request.headers)
        given = [value for _, name, value in items if name == b"authorization"]
        return own_authorization(given) if given else None

    def body(self) -> object:
        stream = self.request.stream
        # Bytes that have been read, else the file or iterator that the stream was made of.
        for owner, name in ((self.request, "_content"), (stream, "_stream")):
            if (found := getattr(owner, name, None)) is not None:
                return found
        return stream

    def set_target(self, target: str) -> None:
        """:raises SigningError: for a signature in a target that is an extension."""
        request = self.request
        if _TARGET not in _extensions(request):
            request.url = request.url.copy_with(raw_path=target.encode("ascii"))
        elif "X-Amz-Signature=" in target:
            # httpx copies extensions to the request that follows a redirect, to any host.
            raise SigningError(
                "a signature in the query cannot go into extensions={'target': …}, which httpx "
                "would send to wherever a redirect leads: put the target into the URL, or sign "
                "with placement='header'"
            )
        else:
            # The mapping may be shared with other requests.
            request.extensions = {**request.extensions, _TARGET: target.encode("ascii")}
        self.target = target

    def set_headers(self, headers: dict[str, str]) -> None:
        set_httpx_signature(self.request.headers, headers)

    def set_header(self, name: str, value: str | bytes) -> None:
        raw = value if isinstance(value, bytes) else value.encode("latin-1")
        self.request.headers.update([(name.encode(), raw)])

    def set_default_header(self, name: str, value: str) -> None:
        set_httpx_default_header(self.request.headers, name, value)

    def rewind(self) -> bool:
        if self._file is not None:
            return put_back(*self._file)
        body = self.body()
        return isinstance(body, bytes | list | tuple) or rewind_form(body)


def copy_request(request: Any) -> Any:
    """A copy with its own headers that shares everything else."""
    kind: Any = type(request)
    copied = kind.__new__(kind)
    copied.__dict__ = {**vars(request), "headers": type(request.headers)(request.headers)}
    return copied


def httpx_sent_url(request: Any) -> str:
    """The URL of a request, with the target that is sent; empty for an object without a URL."""
    url: Any = getattr(request, "url", None)
    target = _extensions(request).get(_TARGET)
    if target is None:
        return str(url or "")
    text = target.decode(errors="replace") if isinstance(target, bytes) else target
    return f"{url.scheme}://{url.netloc.decode('ascii')}{text}"


def _extensions(request: Any) -> Any:
    return getattr(request, "extensions", _NO_EXTENSIONS)


def _target(request: Any) -> str:
    """The path and query that are sent: the extension's, else the URL's."""
    target: object = _extensions(request).get(_TARGET)
    if target is None:
        return str(request.url.raw_path.decode("ascii"))
    if not (isinstance(target, bytes | str) and target.isascii()):
        raise InvalidHeaderError("extensions={'target': …} must be bytes or a str, and ASCII")
    return target.decode("ascii") if isinstance(target, bytes) else target


# --- Headers ----------------------------------------------------------------------------------
#
# httpx's mapping tries encodings on all headers, and searches them for each one that is read or
# set: 45 µs of a request's time, where its list of pairs takes 20.


def httpx_items(headers: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Each header's name as it was given, its name in lower case, and its value."""
    items: list[tuple[bytes, bytes, bytes]] | None = getattr(headers, "_list", None)
    return [(name, name.lower(), value) for name, value in headers.raw] if items is None else items


def httpx_host(headers: Any) -> str:
    """The Host header."""
    items = getattr(headers, "_list", None)
    if items is None:
        return str(headers.get("host", ""))
    given = b", ".join([value for _, name, value in items if name == b"host"])
    # The signer refuses anything that is not ASCII.
    return given.decode(errors="replace")


def set_httpx_default_header(headers: Any, name: str, value: str) -> None:
    """Set a header (name in lower case), unless it is there."""
    items, wire_name = httpx_items(headers), name.encode()
    if wire_name in [present for _, present, _ in items]:
        return
    if items is getattr(headers, "_list", None):
        items.append((wire_name, wire_name, value.encode()))
    else:
        headers[name] = value


def set_httpx_signature(headers: Any, signature: dict[str, str]) -> None:
    """See :func:`lattice_client._wire.headers.set_signature`."""
    items = getattr(headers, "_list", None)
    if items is None:
        set_signature(headers, signature, stale=True)
        return
    in_query = "Authorization" not in signature
    items[:] = [
        item
        for item in items
        if item[1] not in _OURS
        or (in_query and item[1] == b"authorization" and not item[2].startswith(b"AWS4-"))
    ]
    items += [
        (name, lowered, value.encode())
        for given, value in signature.items()
        for name, lowered in (_AS_BYTES[given],)
    ]
