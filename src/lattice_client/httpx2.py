"""Signed calls with httpx2.

``httpx2.Client(auth=LatticeAuth())`` also works with the library-free auth object. The one of this
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
    import httpx2
except ModuleNotFoundError as error:
    if error.name != "httpx2":
        raise
    raise MissingExtraError("httpx2", "httpx2") from None

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Unpack

    from httpx2._types import (
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        TimeoutTypes,
    )

__all__ = ["AsyncClient", "AsyncTransport", "Client", "LatticeAuth", "SigV4Auth", "Transport"]


class _Arguments(ClientArguments, total=False):
    """Those of both clients of httpx2, but for ``auth``."""

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
    limits: httpx2.Limits
    max_redirects: int
    event_hooks: Mapping[str, list[Callable[..., Any]]] | None
    base_url: httpx2.URL | str
    default_encoding: str | Callable[[bytes], str]


class _SyncArguments(_Arguments, total=False):
    mounts: Mapping[str, httpx2.BaseTransport | None] | None
    transport: httpx2.BaseTransport | None


class _AsyncArguments(_Arguments, total=False):
    mounts: Mapping[str, httpx2.AsyncBaseTransport | None] | None
    transport: httpx2.AsyncBaseTransport | None


class _TransportArguments(ClientArguments, total=False):
    """Those of both transports of httpx2."""

    verify: ssl.SSLContext | str | bool
    cert: CertTypes | None
    trust_env: bool
    http1: bool
    http2: bool
    limits: httpx2.Limits
    proxy: ProxyTypes | None
    uds: str | None
    local_address: str | None
    retries: Literal[0]
    socket_options: Iterable[tuple[int, int, int | bytes] | tuple[int, int, None, int]] | None


class SigV4Auth(HttpxFlow, httpx2.Auth):
    __doc__ = auth.SigV4Auth.__doc__


class LatticeAuth(HttpxFlow, auth.LatticeAuth, httpx2.Auth):
    __doc__ = auth.LatticeAuth.__doc__


class Transport(SigningTransport, httpx2.BaseTransport):
    __doc__ = SigningTransport.__doc__
    _library = httpx2

    if TYPE_CHECKING:

        def __init__(
            self,
            auth: auth.SigV4Auth | None = None,
            *,
            transport: httpx2.BaseTransport | None = None,
            **arguments: Unpack[_TransportArguments],
        ) -> None: ...


class AsyncTransport(AsyncSigningTransport, httpx2.AsyncBaseTransport):
    __doc__ = AsyncSigningTransport.__doc__
    _library = httpx2

    if TYPE_CHECKING:

        def __init__(
            self,
            auth: auth.SigV4Auth | None = None,
            *,
            transport: httpx2.AsyncBaseTransport | None = None,
            **arguments: Unpack[_TransportArguments],
        ) -> None: ...


class _CallFlow(CallFlow, httpx2.Auth):
    __doc__ = CallFlow.__doc__


class Client(SigningClient, httpx2.Client):
    __doc__ = SigningClient.__doc__
    _signing, _call_flow = Transport, _CallFlow

    if TYPE_CHECKING:

        def __init__(
            self, *, auth: auth.SigV4Auth | None = None, **arguments: Unpack[_SyncArguments]
        ) -> None: ...


class AsyncClient(SigningClient, httpx2.AsyncClient):
    __doc__ = SigningClient.__doc__
    _signing, _call_flow = AsyncTransport, _CallFlow

    if TYPE_CHECKING:

        def __init__(
            self, *, auth: auth.SigV4Auth | None = None, **arguments: Unpack[_AsyncArguments]
        ) -> None: ...
