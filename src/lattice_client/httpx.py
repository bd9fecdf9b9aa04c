"""Signed calls with httpx.

``httpx.Client(auth=LatticeAuth())`` also works with the library-free auth object. The one of this
module keeps the event loop of an ``AsyncClient`` free while credentials are fetched.

:class:`Client` and :class:`AsyncClient` sign each attempt, redirects and retries included. To sign
with an existing client, give it a :class:`Transport` or :class:`AsyncTransport`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from lattice_client import auth
from lattice_client._calls.arguments import ClientArguments
from lattice_client._httpx.auth_flow import CallFlow, HttpxFlow
from lattice_client._httpx.transport import AsyncSigningTransport, SigningClient, SigningTransport
from lattice_client.errors import MissingExtraError

try:
    import httpx
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise MissingExtraError("httpx", "httpx") from None
if not hasattr(httpx, "Auth"):  # the previews of 1.0
    raise MissingExtraError("httpx", "httpx", httpx.__version__)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Unpack

    from httpx._types import (
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        TimeoutTypes,
    )

__all__ = ["AsyncClient", "AsyncTransport", "Client", "LatticeAuth", "SigV4Auth", "Transport"]


class _Arguments(ClientArguments, total=False):
    """Those of both clients of httpx, but for ``auth``."""

    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    verify: ssl.SSLContext | str | bool
    cert: CertTypes | None
    trust_env: bool
    http1: bool
    http2: bool
    proxy: ProxyTypes | None
    timeout: TimeoutTypes
    follow_redirects: bool
    limits: httpx.Limits
    max_redirects: int
    event_hooks: Mapping[str, list[Callable[..., Any]]] | None
    base_url: httpx.URL | str
    default_encoding: str | Callable[[bytes], str]


class _SyncArguments(_Arguments, total=False):
    mounts: Mapping[str, httpx.BaseTransport | None] | None
    transport: httpx.BaseTransport | None


class _AsyncArguments(_Arguments, total=False):
    mounts: Mapping[str, httpx.AsyncBaseTransport | None] | None
    transport: httpx.AsyncBaseTransport | None


class _TransportArguments(ClientArguments, total=False):
    """Those of both transports of httpx."""

    verify: ssl.SSLContext | str | bool
    cert: CertTypes | None
    trust_env: bool
    http1: bool
    http2: bool
    limits: httpx.Limits
    proxy: ProxyTypes | None
    uds: str | None
    local_address: str | None
    retries: Literal[0]
    socket_options: Iterable[tuple[int, int, int | bytes] | tuple[int, int, None, int]] | None


class SigV4Auth(HttpxFlow, httpx.Auth):
    __doc__ = auth.SigV4Auth.__doc__


class LatticeAuth(HttpxFlow, auth.LatticeAuth, httpx.Auth):
    __doc__ = auth.LatticeAuth.__doc__


class Transport(SigningTransport, httpx.BaseTransport):
    __doc__ = SigningTransport.__doc__
    _library = httpx

    if TYPE_CHECKING:

        def __init__(
            self,
            auth: auth.SigV4Auth | None = None,
            *,
            transport: httpx.BaseTransport | None = None,
            **arguments: Unpack[_TransportArguments],
        ) -> None: ...


class AsyncTransport(AsyncSigningTransport, httpx.AsyncBaseTransport):
    __doc__ = AsyncSigningTransport.__doc__
    _library = httpx

    if TYPE_CHECKING:

        def __init__(
            self,
            auth: auth.SigV4Auth | None = None,
            *,
            transport: httpx.AsyncBaseTransport | None = None,
            **arguments: Unpack[_TransportArguments],
        ) -> None: ...


class _CallFlow(CallFlow, httpx.Auth):
    __doc__ = CallFlow.__doc__


class Client(SigningClient, httpx.Client):
    __doc__ = SigningClient.__doc__
    _signing, _call_flow = Transport, _CallFlow

    if TYPE_CHECKING:

        def __init__(
            self, *, auth: auth.SigV4Auth | None = None, **arguments: Unpack[_SyncArguments]
        ) -> None: ...


class AsyncClient(SigningClient, httpx.AsyncClient):
    __doc__ = SigningClient.__doc__
    _signing, _call_flow = AsyncTransport, _CallFlow

    if TYPE_CHECKING:

        def __init__(
            self, *, auth: auth.SigV4Auth | None = None, **arguments: Unpack[_AsyncArguments]
        ) -> None: ...
