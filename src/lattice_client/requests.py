"""The client for requests: a session and an adapter that sign each attempt.

``Session(auth=LatticeAuth())`` is a ``requests.Session`` with an :class:`Adapter` for all URLs.
To sign with an existing session, mount the adapter on it.
"""

from __future__ import annotations

from lattice_client._requests.adapter import Adapter
from lattice_client._requests.session import Session

__all__ = ["Adapter", "Session"]
