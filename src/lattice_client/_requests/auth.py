"""The auth objects as requests' own kind, for code that asks for an ``AuthBase``."""

from __future__ import annotations

from requests.auth import AuthBase

from lattice_client import auth

__all__ = ["LatticeAuth", "SigV4Auth"]


class SigV4Auth(auth.SigV4Auth, AuthBase):
    __doc__ = auth.SigV4Auth.__doc__


class LatticeAuth(auth.LatticeAuth, AuthBase):
    __doc__ = auth.LatticeAuth.__doc__
