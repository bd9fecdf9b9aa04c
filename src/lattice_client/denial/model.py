"""``Denial``: why a request was refused, as a value."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["ATTEMPT", "Denial", "Kind"]

Kind = Literal[
    "unsigned",
    "bad signature",
    "expired",
    "clock",
    "network policy",
    "service policy",
    "identity policy",
    "no such service",
    "header limits",
    "unknown",
]
"""Why a request was refused, in a word."""

ATTEMPT = "lattice_client.attempt"
"""The key in an httpx response's ``extensions`` for the request that was sent, where a transport
has signed a copy of the caller's."""


class Denial(NamedTuple):
    """Why a request was refused. It holds no token and no signature.

    ``next_step`` is one sentence. ``caller``, ``action`` and ``resource`` are Lattice's own words,
    where it gave them. ``canonical_request`` is what was signed, where the signature or its time is
    at fault. It is computed from the request that was sent, with the path encoded twice (S3: once)
    and with ``***`` for the token and for the values of all headers but SigV4's own.
    """

    kind: Kind
    status: int
    next_step: str
    host: str | None = None
    caller: str | None = None
    action: str | None = None
    resource: str | None = None
    request_id: str | None = None
    canonical_request: str | None = None

    def __str__(self) -> str:
        where = f" from {self.host}" if self.host else ""
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.status}{where} ({self.kind}{request}): {self.next_step}"
