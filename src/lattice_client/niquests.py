"""Signed calls with niquests.

The library-free auth object is the ``auth`` of a ``niquests.Session`` or ``niquests.AsyncSession``.
The ones of this module are for an ``AsyncSession`` alone: they keep its event loop free while
credentials are fetched and names are looked up.
"""

from __future__ import annotations

from typing import TypeVar

from lattice_client import auth
from lattice_client._auth.requests_hook import add_response_hook
from lattice_client._wire.detect import wrap_request
from lattice_client.auth import request_signer

__all__ = ["AsyncLatticeAuth", "AsyncSigV4Auth"]

_R = TypeVar("_R")


class AsyncSigV4Auth(auth.SigV4Auth):
    """As :class:`lattice_client.SigV4Auth`, for a ``niquests.AsyncSession``. A ``niquests.Session``
    would not call it, nor would ``send`` of a prepared request: what they send is unsigned."""

    async def __call__(  # type: ignore[override] # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: _R, /
    ) -> _R:
        out, signer = wrap_request(request), request_signer(self)
        await signer.sign_async(out)
        if out.signer is not None:
            add_response_hook(signer, out)
        return request


class AsyncLatticeAuth(AsyncSigV4Auth, auth.LatticeAuth):
    """As :class:`lattice_client.LatticeAuth`, for a ``niquests.AsyncSession``. A
    ``niquests.Session`` would not call it, nor would ``send`` of a prepared request: what they send
    is unsigned."""
