"""The client for requests: a session and an adapter that sign each attempt.

``Session(auth=LatticeAuth())`` is a ``requests.Session`` with an :class:`Adapter` for all URLs.
To sign with an existing session, mount the adapter on it.

``LatticeAuth`` and ``SigV4Auth`` are the library-free ones, and a ``requests.auth.AuthBase``.
"""

from __future__ import annotations

from lattice_client._requests.adapter import Adapter
from lattice_client._requests.auth import LatticeAuth, SigV4Auth
from lattice_client._requests.session import Session

__all__ = ["Adapter", "LatticeAuth", "Session", "SigV4Auth"]
