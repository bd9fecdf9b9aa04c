"""Requests as they arrived, for tests to inspect."""

from __future__ import annotations

from dataclasses import dataclass

from lattice_client.testing.model.services import Service
from lattice_client.testing.refusals import RefusedError
from lattice_client.testing.verification.canonical import Headers, header_values
from lattice_client.testing.verification.signature import WireRequest
from lattice_client.testing.verification.verifier import Verified

__all__ = ["ReceivedRequest"]


@dataclass(frozen=True, slots=True, repr=False)
class ReceivedRequest:
    """One request as it arrived, and the verifier's result.

    :param path: the raw path, as sent.
    :param query: the raw query, as sent.
    :param headers: as sent, in wire order.
    :param service: the name of the service it was routed to, or None.
    :param verified: the signature that held; None for anonymous and refused requests.
    :param refusal: the text of the refusal, or None.
    :param canonical_request: the verifier's, also if the signature did not match.
    :param string_to_sign: likewise.

    Its repr leaves out the query, the header values and the checkpoints: they may hold a token and
    a signature.
    """

    method: str
    path: bytes
    query: bytes
    headers: Headers
    service: str | None
    verified: Verified | None
    refusal: str | None
    canonical_request: str | None
    string_to_sign: str | None

    @classmethod
    def of(
        cls,
        request: WireRequest,
        service: Service | None,
        verified: Verified | None,
        refusal: RefusedError | None = None,
    ) -> ReceivedRequest:
        """Build it from a request and its outcome."""
        checkpoints = verified or refusal
        return cls(
            request.method,
            request.path,
            request.query,
            request.headers,
            service.name if service else None,
            verified,
            refusal.text if refusal else None,
            checkpoints.canonical_request if checkpoints else None,
            checkpoints.string_to_sign if checkpoints else None,
        )

    def __repr__(self) -> str:
        outcome = "refused" if self.refusal else "signed" if self.verified else "anonymous"
        return f"<ReceivedRequest {self.method} {self.path!r}, {outcome}>"

    @property
    def target(self) -> bytes:
        """The request target. Servers do not tell ``/path?`` from ``/path``: this is the latter."""
        return self.path + (b"?" + self.query if self.query else b"")

    def header(self, name: str) -> str | None:
        """The header's values, joined by a comma; None if it was not sent."""
        values = header_values(self.headers, name.lower())
        return b", ".join(values).decode("latin-1") if values else None
