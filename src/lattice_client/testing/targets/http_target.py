"""Servers as targets: requests are proxied to a URL, and streamed both ways.

Source: "HTTP targets in VPC Lattice" and "Protocol version" of target groups (VPC Lattice User
Guide). This is the only file that imports httpcore. The request's target and headers are passed on
unchanged, and so is the response's body: no redirects, decoding or cookies.

The response is read after the request is sent: if a server answers earlier, its answer waits.
Trailers, and so gRPC's status, are not passed on.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from lattice_client.errors import ConfigurationError, MissingExtraError
from lattice_client.testing.asgi import Message, Receive, Scope, Send
from lattice_client.testing.display import without_password
from lattice_client.testing.lattice_headers import is_lattices_own
from lattice_client.testing.refusals import TargetFailedError

if TYPE_CHECKING:
    import httpcore

__all__ = ["HTTPTarget", "ProtocolVersion"]

ProtocolVersion: TypeAlias = Literal["HTTP1", "HTTP2"]

_POOL_STATE: Final = "lattice_client.testing.targets.http_target"
#: RFC 9110, section 7.6.1, and "expect", which the local Lattice's server has answered.
_HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
#: Framing and routing: a client cannot remove these by naming them in ``Connection``. Nor can it
#: remove Lattice's own headers, which identify it.
_END_TO_END: Final = frozenset((b"content-length", b"host"))
_CONNECT_SECONDS = 5.0
_KEPT_CONNECTIONS = 100
# Shorter than servers keep one open: a request on one that is just being closed would fail.
_KEPT_SECONDS = 1.0
# Lattice's idle time-out of a connection ("Quotas", VPC Lattice User Guide).
_IDLE_SECONDS = 60.0


class HTTPTarget:
    """A server, as an ASGI application. Over HTTP/2 each request has its own connection.

    :param url: its scheme, host and port, such as ``http://127.0.0.1:8000``.
    :param protocol_version: ``HTTP1``, or ``HTTP2``: by ALPN at ``https://``, and with prior
        knowledge at ``http://``.
    :param verify: whether, or by which context, to check the certificate of an ``https://`` server.
        By default it is not checked, because such servers have self-signed ones.
    :param idle_seconds: how long the server may be silent.
    :raises ConfigurationError: if the URL has another part, another scheme, or an invalid port.
    """

    def __init__(
        self,
        url: str,
        *,
        protocol_version: ProtocolVersion = "HTTP1",
        verify: ssl.SSLContext | bool = False,
        idle_seconds: float = _IDLE_SECONDS,
    ) -> None:
        try:
            parts = urlsplit(url)
        except ValueError:  # an unmatched bracket
            raise _invalid_url(url) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _invalid_url(url)
        if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ConfigurationError(
                f"a target's URL must have a host and a port, and nothing after them: "
                f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
            )
        if not _has_valid_port(parts):
            raise ConfigurationError(
                f"the port of a target's URL must be 1 to 65535, or omitted: {parts.scheme}://"
                f"{without_password(parts.netloc)}"
            )
        if protocol_version not in ("HTTP1", "HTTP2"):
            raise ConfigurationError(
                f"a target's protocol version must be HTTP1 or HTTP2, not {protocol_version!r}"
            )
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.protocol_version: ProtocolVersion = protocol_version
        self._verify = verify
        self._timeout = {
            "connect": _CONNECT_SECONDS,
            "read": idle_seconds,
            "write": idle_seconds,
            "pool": None,
        }

    def __repr__(self) -> str:
        return f"<HTTPTarget {getattr(self, 'url', '')}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application. It keeps connections within its lifespan only."""
        if scope["type"] == "lifespan":
            await receive()
            async with self._pool() as pool:
                scope["state"][_POOL_STATE] = pool
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        # httpcore does not reset a cancelled HTTP/2 stream: only the end of the connection tells
        # the server. So each request has its own connection.
        kept = scope.get("state", {}).get(_POOL_STATE) if self.protocol_version == "HTTP1" else None
        if kept is not None:
            await self._proxy(kept, scope, receive, send)
        else:
            async with self._pool() as pool:
                await self._proxy(pool, scope, receive, send)

    def _pool(self) -> httpcore.AsyncConnectionPool:
        try:
            import anyio  # noqa: F401 - httpcore needs it
            import httpcore

            http2 = self.protocol_version == "HTTP2"
            if http2:
                import h2  # noqa: F401 - httpcore would fail only at the first request
        except ImportError as error:
            library = (error.name or "httpcore").partition(".")[0]
            raise MissingExtraError("testing", library) from error
        return httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context(),
            http1=not http2,
            http2=http2,
            max_connections=None,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
        )

    def _ssl_context(self) -> ssl.SSLContext | None:
        if not self.url.startswith("https:"):
            return None
        if isinstance(self._verify, ssl.SSLContext):
            return self._verify
        context = ssl.create_default_context()
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    async def _proxy(
        self, pool: httpcore.AsyncConnectionPool, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Proxy one request. Cancel it as soon as its client disconnects."""
        import anyio

        body = _RequestBody(receive)
        headers = await _request_headers(scope, body)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:

            async def cancel_on_disconnect() -> None:
                await body.read.wait()
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel_on_disconnect)
            try:
                await self._answer(pool, scope, headers, body, send)
            except Exception as error:  # noqa: BLE001 - raised below, outside the task group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None and not body.client_left:
            raise failure

    async def _answer(
        self,
        pool: httpcore.AsyncConnectionPool,
        scope: Scope,
        headers: list[tuple[bytes, bytes]],
        body: _RequestBody,
        send: Send,
    ) -> None:
        import anyio
        import httpcore

        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        request = httpcore.Request(
            scope["method"],
            self.url,
            headers=headers,
            content=body,
            extensions={"target": target, "timeout": self._timeout},
        )
        try:
            response = await pool.handle_async_request(request)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise _target_failure(self.url, error) from error
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": response.status,
                    "headers": _without_hop_by_hop(response.headers),
                }
            )
            async for chunk in response.stream:  # type: ignore[union-attr] # it is an async one
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _RequestBody:
    """The request's body, as an async iterator of its parts.

    :ivar read: set when the last part has been read, or the client is gone.
    """

    def __init__(self, receive: Receive) -> None:
        import anyio

        self._receive = receive
        self._first: Message | None = None
        self.read = anyio.Event()
        self.client_left = False

    async def is_empty(self) -> bool:
        """Wait for the first part. Return True if there is no body."""
        self._first = await self._next()
        return not self._first.get("body") and not self._first.get("more_body", False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.read.is_set() or self._first is not None:
            message, self._first = self._first or await self._next(), None
            if self.client_left:
                raise ConnectionAbortedError("the client is gone")
            if chunk := message.get("body", b""):
                yield chunk

    async def _next(self) -> Message:
        message = await self._receive()
        self.client_left = message["type"] == "http.disconnect"
        if self.client_left or not message.get("more_body", False):
            self.read.set()
        return message


async def _request_headers(scope: Scope, body: _RequestBody) -> list[tuple[bytes, bytes]]:
    headers = _without_hop_by_hop(scope["headers"])
    names = {name.lower() for name, _ in scope["headers"]}
    if b"content-length" in names:
        return headers
    # In HTTP/2 a body may come without either header.
    if b"transfer-encoding" in names or not await body.is_empty():
        headers.append((b"transfer-encoding", b"chunked"))
    return headers


def _invalid_url(url: str) -> ConfigurationError:
    return ConfigurationError(
        f"a target's URL must be like http://127.0.0.1:8000, not {without_password(url)!r}"
    )


def _has_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _without_hop_by_hop(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    headers = list(headers)
    dropped: set[bytes] = set(_HOP_BY_HOP)
    for name, value in headers:
        if name.lower() == b"connection":
            dropped.update(token.strip().lower() for token in value.split(b","))
    dropped -= _END_TO_END
    dropped -= {name for name in dropped if is_lattices_own(name)}
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _target_failure(url: str, error: Exception) -> TargetFailedError:
    import httpcore

    message = f"{url}: {str(error) or type(error).__name__}"
    if isinstance(error, (httpcore.ConnectError, httpcore.ConnectTimeout)):
        return TargetFailedError(message, status=500, failure="TargetConnectionError")
    if isinstance(error, httpcore.TimeoutException):
        return TargetFailedError(message, status=500, failure="TargetDataTimeout")
    if isinstance(error, httpcore.NetworkError):
        return TargetFailedError(message, status=502, failure="TargetConnectionClosed")
    return TargetFailedError(message, status=502, failure="TargetProtocolError")
