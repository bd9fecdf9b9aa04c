"""The finding of a check, and the faults."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

__all__ = ["FAULTS", "Check", "Finding", "Status"]

Check = Literal["credentials", "region", "name", "connection", "TLS", "clock", "call"]
Status = Literal["ok", "warning", "fault", "skipped"]

#: The faults, by their names in ``--json``.
FAULTS = {
    "no credentials": "No source has credentials.",
    "malformed credentials": "Credentials are there in part, or not as they should be.",
    "expired credentials": "The credentials have expired.",
    "unknown credentials": "Lattice does not know this access key, or the token is not the key's.",
    "no region": "Nothing says which region to sign for.",
    "wrong region": "The signature is for another region than the service's.",
    "wrong service name": "The signature is for another service than VPC Lattice.",
    "name does not resolve": "DNS knows no address for the name.",
    "not Lattice": "What answers is not VPC Lattice.",
    "alias without custom domain": "The name leads to Lattice, which does not know it.",
    "unusable proxy": "The proxy is not one, cannot be reached, or refuses.",
    "unreachable": "No address takes a connection.",
    "no TLS": "The server does not speak TLS at this port.",
    "TLS name mismatch": "The certificate is for other names.",
    "certificate expired": "The certificate is no longer valid.",
    "certificate not trusted": "The certificate is by an authority that is not trusted here.",
    "clock": "This machine's clock is off by more than a signature may be.",
    "unsigned": "The request is not signed, and anonymous callers are not let in.",
    "signature removed on the way": "The request was signed and arrived without its signature.",
    "payload signed on the way": "Something on the way signs again, and signs the payload.",
    "header changed on the way": "A signed header arrives with another value.",
    "header added on the way": "An x-amz-* header arrives that was not signed.",
    "header removed on the way": "A signed header did not arrive.",
    "path changed on the way": "The path arrives changed.",
    "query changed on the way": "The query arrives changed.",
    "path encoding": "The path is signed in one encoding and read in another.",
    "wrong secret key": "The signature does not match, whatever is sent.",
    "network policy": "The service network's auth policy denies it.",
    "service policy": "The service's auth policy denies it.",
    "identity policy": "The caller's own IAM policies deny it.",
    "no such service": "No service of this service network has this name.",
    "header limits": "The request has too many headers, or too large ones.",
    "refused by somebody else": "A 403 that does not have Lattice's wording.",
    "no answer": "The connection ends, or the time-out passes, before there is an answer.",
    "failing service": "Lattice lets the call through, and the service or its targets fail.",
}

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Finding(NamedTuple):
    """:param text: a sentence or two.
    :param fault: one of ``FAULTS``.
    :param next_step: what to do about it.
    """

    check: Check
    status: Status
    text: str
    fault: str | None = None
    next_step: str | None = None
    details: Mapping[str, Any] = _NOTHING

    @classmethod
    def of_fault(
        cls, check: Check, fault: str, text: str, next_step: str | None = None, **details: Any
    ) -> Finding:
        return cls(check, "fault", text, fault, next_step, details)

    @classmethod
    def ok(cls, check: Check, text: str, **details: Any) -> Finding:
        return cls(check, "ok", text, details=details)

    @classmethod
    def warning(
        cls, check: Check, text: str, next_step: str | None = None, **details: Any
    ) -> Finding:
        return cls(check, "warning", text, None, next_step, details)

    @classmethod
    def skipped(cls, check: Check, text: str) -> Finding:
        return cls(check, "skipped", text)

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "status": self.status,
            "text": self.text,
            "fault": self.fault,
            "next_step": self.next_step,
            "details": dict(self.details),
        }
