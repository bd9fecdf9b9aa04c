"""Auth for httpx: the auth objects of this package as ``httpx.Auth`` with its own flow.

``httpx.Client(auth=LatticeAuth())`` works with the library-free object too; this one also keeps an
``AsyncClient``'s event loop free while credentials are fetched.
"""

from __future__ import annotations

from lattice_client import auth
from lattice_client._httpx_flow import HttpxFlow
from lattice_client.errors import MissingExtraError

try:
    import httpx
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise MissingExtraError("httpx", "httpx") from None

__all__ = ["LatticeAuth", "SigV4Auth"]


class SigV4Auth(HttpxFlow, httpx.Auth):
    __doc__ = auth.SigV4Auth.__doc__


class LatticeAuth(HttpxFlow, auth.LatticeAuth, httpx.Auth):
    __doc__ = auth.LatticeAuth.__doc__
