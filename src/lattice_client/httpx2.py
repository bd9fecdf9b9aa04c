"""Auth for httpx2: the auth objects of this package as ``httpx2.Auth`` with its own flow.

``httpx2.Client(auth=LatticeAuth())`` works with the library-free object too; this one also keeps an
``AsyncClient``'s event loop free while credentials are fetched.
"""

from __future__ import annotations

from lattice_client import auth
from lattice_client._httpx_flow import HttpxFlow
from lattice_client.errors import MissingExtraError

try:
    import httpx2
except ModuleNotFoundError as error:
    if error.name != "httpx2":
        raise
    raise MissingExtraError("httpx2", "httpx2") from None

__all__ = ["LatticeAuth", "SigV4Auth"]


class SigV4Auth(HttpxFlow, httpx2.Auth):
    __doc__ = auth.SigV4Auth.__doc__


class LatticeAuth(HttpxFlow, auth.LatticeAuth, httpx2.Auth):
    __doc__ = auth.LatticeAuth.__doc__
