"""The check of the call: what its answer means, and the experiments that narrow down the cause."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

from lattice_client.cli.doctor.calls import Answer, Prober
from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.terminal import printable
from lattice_client.denial.model import Denial
from lattice_client.signing import LATTICE, canonical_path

__all__ = ["Evidence", "check_call"]

_FORBIDDEN, _SERVER_ERRORS = 403, 500
# Methods that change nothing at any server.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

# SigV4's usual words ("Troubleshoot Signature Version 4 signing for AWS API requests", IAM User
# Guide). Only what these groups match is repeated from a body.
_SERVICE = re.compile(r"scoped to correct service: '([a-z0-9-]{1,64})'")
_REGION = re.compile(r"(?:scoped to a valid region|include a valid region): '([a-z0-9-]{1,32})'")
_NOT_SIGNED = re.compile(r"'(x-amz-[a-z0-9-]{1,64})' must be a 'SignedHeader'")
_PAYLOAD = re.compile(r"Signed payloads are not supported")
_NO_PAYLOAD_HEADER = re.compile(r"Missing the 'x-amz-content-sha256'")
_UNKNOWN_KEY = re.compile(
    r"UnrecognizedClient|InvalidClientTokenId|security token .{1,40} is invalid"
)

_ON_THE_WAY = "Look at the proxies and sidecars between here and Lattice"


class Evidence(NamedTuple):
    """What the check of the call is based on.

    :param auth: makes an auth object, with some arguments changed.
    :param managed: the service's managed name, if it is known and is not the host called.
    :param at_managed: makes the call by that name.
    """

    prober: Prober
    answer: Answer
    auth: Callable[..., Any]
    service: str
    managed: str | None
    at_managed: Callable[[], Answer]


def check_call(evidence: Evidence) -> Finding:
    """Check the answer to the call."""
    answer, denial = evidence.answer, evidence.answer.denial
    if denial is None:
        return _let_through(evidence)
    details = {
        "status": answer.status,
        "kind": denial.kind,
        "caller": denial.caller,
        "resource": denial.resource,
        "request_id": denial.request_id,
    }
    finding = _refused(evidence, denial)
    return finding._replace(details={**details, **finding.details})


def _let_through(evidence: Evidence) -> Finding:
    answer = evidence.answer
    what = f"{evidence.prober.method} {evidence.prober.url.path}"
    details = {"status": answer.status, "milliseconds": round(answer.took * 1e3)}
    if not answer.by_lattice:
        server = printable(answer.headers.get("server", ""))[:60]
        return Finding.of_fault(
            "call",
            "not Lattice",
            f"{what} was answered with {answer.status}{f' by {server}' if server else ''}, but not "
            "through VPC Lattice, which sends the request id back.",
            "Check what the name leads to: a load balancer, a proxy, an old address. Something in "
            "front of Lattice that removes x-amzn-requestid looks the same.",
            **details,
        )
    if answer.status >= _SERVER_ERRORS:
        return Finding.of_fault(
            "call",
            "failing service",
            f"Lattice lets {what} through, and it is answered with {answer.status}.",
            "Look for the request id in Lattice's access log: failureReason and targetGroupArn say "
            "whether it is the service or the way to its targets (health, security groups, port).",
            **details,
        )
    signed = "signed" if answer.signed else "unsigned"
    milliseconds = f"{answer.took * 1e3:.0f} ms"
    return Finding.ok(
        "call", f"{what}, {signed}, was answered with {answer.status} in {milliseconds}.", **details
    )


_Finder = Callable[[Evidence, Denial], Finding]


def _refused(evidence: Evidence, denial: Denial) -> Finding:
    finders: dict[str, _Finder] = {
        "unsigned": _unsigned,
        "bad signature": _bad_signature,
        "expired": _expired,
        "clock": _plain("clock", "The signature's time is too far from Lattice's."),
        "network policy": _denied,
        "service policy": _denied,
        "identity policy": _denied,
        "no such service": _no_such_service,
        "header limits": _plain(
            "header limits", "The request has too many headers, or too large ones."
        ),
    }
    return finders.get(denial.kind, _unknown)(evidence, denial)


def _plain(fault: str, text: str) -> _Finder:
    return lambda _, denial: Finding.of_fault("call", fault, text, denial.next_step)


def _denied(evidence: Evidence, denial: Denial) -> Finding:  # noqa: ARG001 as the other finders
    policy = {
        "network policy": "the service network's auth policy",
        "service policy": "the service's auth policy",
        "identity policy": "the caller's own policies (IAM)",
    }[denial.kind]
    who = denial.caller or "the caller"
    return Finding.of_fault(
        "call", denial.kind, f"The signature is valid; {policy} denies {who}.", denial.next_step
    )


def _expired(evidence: Evidence, denial: Denial) -> Finding:  # noqa: ARG001 as the other finders
    return Finding.of_fault(
        "call",
        "expired credentials",
        "Lattice says that the credentials have expired, even if they seem valid here.",
        denial.next_step,
    )


def _unsigned(evidence: Evidence, denial: Denial) -> Finding:
    if evidence.answer.signed:
        return Finding.of_fault(
            "call",
            "signature removed on the way",
            "The request was signed, and reached Lattice without its signature.",
            f"{_ON_THE_WAY}: one of them removes Authorization. --query puts the signature "
            "elsewhere.",
        )
    return Finding.of_fault(
        "call", "unsigned", "The request is not signed, and must be.", denial.next_step
    )


def _no_such_service(evidence: Evidence, denial: Denial) -> Finding:
    host = evidence.prober.url.host
    if evidence.managed and _known_by_its_managed_name(evidence):
        return Finding.of_fault(
            "call",
            "alias without custom domain",
            f"Lattice knows {evidence.managed}, and does not know {host}: that is only an alias.",
            f"Give the service the custom domain {host}, or call the managed name: "
            f"--resolve {host}={evidence.managed}.",
        )
    return Finding.of_fault(
        "call",
        "no such service",
        f"No service in this service network answers to {host} (404).",
        denial.next_step,
    )


def _known_by_its_managed_name(evidence: Evidence) -> bool:
    try:
        denial = evidence.at_managed().denial
    except httpx.HTTPError:
        return False
    return denial is None or denial.kind != "no such service"


def _unknown(evidence: Evidence, denial: Denial) -> Finding:
    if not evidence.answer.by_lattice and evidence.answer.status == _FORBIDDEN:
        return Finding.of_fault(
            "call",
            "refused by somebody else",
            "A 403 that has neither Lattice's wording nor the request id: something in between "
            "refuses.",
            _ON_THE_WAY + ", and at web application firewalls.",
        )
    return Finding.of_fault(
        "call", "refused by somebody else", "A 403 without Lattice's wording.", denial.next_step
    )


# Invalid signatures


def _bad_signature(evidence: Evidence, denial: Denial) -> Finding:
    text = evidence.answer.text
    if _UNKNOWN_KEY.search(text):
        return Finding.of_fault(
            "call",
            "unknown credentials",
            "Lattice does not know this access key and session token.",
            denial.next_step,
        )
    if found := _NOT_SIGNED.search(text):
        return Finding.of_fault(
            "call",
            "header added on the way",
            f"{found[1]} reached Lattice and was not signed: something on the way adds it.",
            f"{_ON_THE_WAY}.",
            header=found[1],
        )
    return _wrong_scope(evidence) or _wrong_payload(evidence) or _mismatch(evidence)


def _wrong_scope(evidence: Evidence) -> Finding | None:
    if found := _SERVICE.search(evidence.answer.text):
        default = ", which is the default: leave out --service" if found[1] == LATTICE else ""
        return Finding.of_fault(
            "call",
            "wrong service name",
            f"The signature is for the service {evidence.service}, and should be for {found[1]}.",
            f"Sign for {found[1]}{default}.",
        )
    if found := _REGION.search(evidence.answer.text):
        return Finding.of_fault(
            "call",
            "wrong region",
            f"The signature is for another region, and the service is in {found[1]}.",
            f"Sign for {found[1]}: --region {found[1]}, or LatticeAuth(region={found[1]!r}).",
        )
    return None


def _wrong_payload(evidence: Evidence) -> Finding | None:
    signed, removed = (
        words.search(evidence.answer.text) for words in (_PAYLOAD, _NO_PAYLOAD_HEADER)
    )
    if (signed or removed) and evidence.service != LATTICE:
        return Finding.of_fault(
            "call",
            "wrong service name",
            f"The payload is signed, as for the service {evidence.service}; Lattice wants it "
            "unsigned.",
            "Leave out --service.",
        )
    if signed:
        return Finding.of_fault(
            "call",
            "payload signed on the way",
            "The request said UNSIGNED-PAYLOAD, and arrived with a signed payload: something on "
            "the way signs it again, in a form that Lattice does not accept.",
            f"{_ON_THE_WAY}: remove the one that signs (aws-sigv4-proxy needs "
            "--unsigned-payload), or send unsigned requests to it.",
        )
    if removed:
        return Finding.of_fault(
            "call",
            "header removed on the way",
            "x-amz-content-sha256 was sent and signed, and did not arrive.",
            f"{_ON_THE_WAY}.",
            header="x-amz-content-sha256",
        )
    return None


def _mismatch(evidence: Evidence) -> Finding:
    """Find out which part of the request makes Lattice compute another signature."""
    prober = evidence.prober
    if prober.method not in _SAFE:
        return Finding.of_fault(
            "call",
            "wrong secret key",
            "The signature does not match: the secret key is not the access key's, or something on "
            "the way changes the request.",
            f"Try again with GET: the doctor makes no experiments with {prober.method}.",
        )
    for experiment in (_other_encoding, _without_headers, _without_query, _without_path, _in_query):
        finding = experiment(evidence)
        if finding is not None:
            return finding
    return Finding.of_fault(
        "call",
        "wrong secret key",
        "The signature does not match, whatever is sent: the secret key is not the access key's, "
        "or something on the way changes the Host.",
        "Take access key, secret key and token from one source; --whoami asks STS whether they "
        "belong together. If they do, look at the proxies in between.",
    )


def _is_accepted(evidence: Evidence, auth: Any = None, **changes: Any) -> bool:
    try:
        return evidence.prober.call(auth or evidence.auth(), **changes).authenticated
    except httpx.HTTPError:
        return False


def _other_encoding(evidence: Evidence) -> Finding | None:
    path = evidence.prober.url.raw_path.decode("latin-1").partition("?")[0]
    if canonical_path(path) == canonical_path(path, "single"):
        return None
    for encoding in ("single", "double", "double-raw"):
        if _is_accepted(evidence, evidence.auth(path_encoding=encoding)):
            return Finding.of_fault(
                "call",
                "path encoding",
                f"The path is read in the {encoding} encoding.",
                f"LatticeAuth(path_encoding={encoding!r}), or --path-encoding {encoding}. "
                "Hooks that see the answer find it out by themselves.",
            )
    return None


def _without_headers(evidence: Evidence) -> Finding | None:
    extra = {
        name: value
        for name, value in evidence.prober.headers.items()
        if name.lower().startswith("x-amz-")
    }
    rest = {name: value for name, value in evidence.prober.headers.items() if name not in extra}
    if not extra or not _is_accepted(evidence, headers=rest):
        return None
    changed = [
        name
        for name, value in extra.items()
        if not _is_accepted(evidence, headers={**rest, name: value})
    ]
    names = ", ".join(changed or extra)
    return Finding.of_fault(
        "call",
        "header changed on the way",
        f"The signature is valid without {names}: something on the way changes it.",
        f"{_ON_THE_WAY}, or send headers that they do not change.",
        headers=changed or list(extra),
    )


def _without_query(evidence: Evidence) -> Finding | None:
    url = evidence.prober.url
    if not url.query or not _is_accepted(evidence, url=url.copy_with(query=None)):
        return None
    return Finding.of_fault(
        "call",
        "query changed on the way",
        "The signature is valid without the query: something on the way changes it.",
        f"{_ON_THE_WAY}: one of them may sort, decode or add parameters.",
    )


def _without_path(evidence: Evidence) -> Finding | None:
    url = evidence.prober.url
    if url.path in ("", "/") or not _is_accepted(evidence, url=url.copy_with(raw_path=b"/")):
        return None
    return Finding.of_fault(
        "call",
        "path changed on the way",
        "The signature is valid for the path /: something on the way changes this one.",
        f"{_ON_THE_WAY}: one of them may rewrite, decode or normalize paths.",
    )


def _in_query(evidence: Evidence) -> Finding | None:
    """A signature in the query signs Host and x-amz-content-sha256 alone."""
    if not _is_accepted(evidence, evidence.auth(placement="query")):
        return None
    return Finding.of_fault(
        "call",
        "header changed on the way",
        "A signature in the URL is valid: something on the way changes x-amz-date, "
        "x-amz-security-token or Authorization.",
        f"{_ON_THE_WAY}. --query gets past them.",
        headers=["x-amz-date", "x-amz-security-token", "authorization"],
    )
