"""Signed calls with httpx.

``httpx.Client(auth=LatticeAuth())`` also works with the library-free auth object. The one of this
module keeps the event loop of an ``AsyncClient`` free while credentials are fetched.

:class:`Client` and :class:`AsyncClient` sign each attempt, redirects and retries included. To sign
with an existing client, give it a :class:`Transport` or :class:`AsyncTransport`.
"""

from __future__ import annotations

from lattice_client import auth
from lattice_client._httpx.auth_flow import HttpxFlow
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

__all__ = ["AsyncClient", "AsyncTransport", "Client", "LatticeAuth", "SigV4Auth", "Transport"]


class SigV4Auth(HttpxFlow, httpx.Auth):
    __doc__ = auth.SigV4Auth.__doc__


class LatticeAuth(HttpxFlow, auth.LatticeAuth, httpx.Auth):
    __doc__ = auth.LatticeAuth.__doc__


class Transport(SigningTransport, httpx.BaseTransport):
    __doc__ = SigningTransport.__doc__
    _library = httpx


class AsyncTransport(AsyncSigningTransport, httpx.AsyncBaseTransport):
    __doc__ = AsyncSigningTransport.__doc__
    _library = httpx


class Client(SigningClient, httpx.Client):
    __doc__ = SigningClient.__doc__
    _signing = Transport


class AsyncClient(SigningClient, httpx.AsyncClient):
    __doc__ = SigningClient.__doc__
    _signing = AsyncTransport
