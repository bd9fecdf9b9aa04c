"""What an answer means, and if need be the experiments that tell which of several causes it has."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

from lattice_client.cli.doctor.calls import Answer, Caller
from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.terminal import printable
from lattice_client.denial.model import Denial
from lattice_client.signing import LATTICE, canonical_path

__all__ = ["Case", "about_call"]

_FORBIDDEN, _SERVER_ERRORS = 403, 500
# Those that change nothing, wherever they get to.
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))

# SigV4's usual words ("Troubleshoot Signature Version 4 signing for AWS API requests", IAM User
# Guide). Nothing of a body is repeated but what these let through.
_SERVICE = re.compile(r"scoped to correct service: '([a-z0-9-]{1,64})'")
_REGION = re.compile(r"(?:scoped to a valid region|include a valid region): '([a-z0-9-]{1,32})'")
_NOT_SIGNED = re.compile(r"'(x-amz-[a-z0-9-]{1,64})' must be a 'SignedHeader'")
_PAYLOAD = re.compile(r"Signed payloads are not supported")
_NO_PAYLOAD_HEADER = re.compile(r"Missing the 'x-amz-content-sha256'")
_NOBODYS_KEY = re.compile(
    r"UnrecognizedClient|InvalidClientTokenId|security token .{1,40} is invalid"
)

_ON_THE_WAY = "Look at the proxies and sidecars between here and Lattice"


class Case(NamedTuple):
    """What there is to go by.

    :param auth: makes an auth object, with some arguments changed.
    :param managed: the service's managed name, where it is known and is not the one called.
    :param at_managed: calls by that name.
    """

    caller: Caller
    answer: Answer
    auth: Callable[..., Any]
    service: str
    managed: str | None
    at_managed: Callable[[], Answer]


def about_call(case: Case) -> Finding:
    """What came of the call."""
    answer, denial = case.answer, case.answer.denial
    if denial is None:
        return _let_through(case)
    details = {
        "status": answer.status,
        "kind": denial.kind,
        "caller": denial.caller,
        "resource": denial.resource,
        "request_id": denial.request_id,
    }
    finding = _refused(case, denial)
    return finding._replace(details={**details, **finding.details})


def _let_through(case: Case) -> Finding:
    answer = case.answer
    what = f"{case.caller.method} {case.caller.url.path}"
    details = {"status": answer.status, "milliseconds": round(answer.took * 1e3)}
    if not answer.by_lattice:
        server = printable(answer.headers.get("server", ""))[:60]
        return Finding.of_fault(
            "call",
            "not Lattice",
            f"{what} was answered with {answer.status}{f' by {server}' if server else ''}, but not "
            "through VPC Lattice, which sends the request id back.",
            "See what the name leads to: a load balancer, a proxy, an old address. Something in "
            "front of Lattice that drops x-amzn-requestid looks the same.",
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
    return Finding.fine(
        "call", f"{what}, {signed}, was answered with {answer.status} in {milliseconds}.", **details
    )


_Finder = Callable[[Case, Denial], Finding]


def _refused(case: Case, denial: Denial) -> Finding:
    finders: dict[str, _Finder] = {
        "unsigned": _unsigned,
        "bad signature": _bad_signature,
        "expired": _expired,
        "clock": _plain("clock", "The signature's time is too far from Lattice's."),
        "network policy": _denied,
        "service policy": _denied,
        "identity policy": _denied,
        "no such service": _no_such_service,
        "header limits": _plain("header limits", "There are too many headers, or too large ones."),
    }
    return finders.get(denial.kind, _unknown)(case, denial)


def _plain(fault: str, text: str) -> _Finder:
    return lambda _, denial: Finding.of_fault("call", fault, text, denial.next_step)


def _denied(case: Case, denial: Denial) -> Finding:  # noqa: ARG001 as the other finders
    policy = {
        "network policy": "the service network's auth policy",
        "service policy": "the service's auth policy",
        "identity policy": "the caller's own policies (IAM)",
    }[denial.kind]
    who = denial.caller or "the caller"
    return Finding.of_fault(
        "call", denial.kind, f"The signature holds; {policy} denies {who}.", denial.next_step
    )


def _expired(case: Case, denial: Denial) -> Finding:  # noqa: ARG001 as the other finders
    return Finding.of_fault(
        "call",
        "expired credentials",
        "Lattice says that the credentials have expired, whatever is known of them here.",
        denial.next_step,
    )


def _unsigned(case: Case, denial: Denial) -> Finding:
    if case.answer.signed:
        return Finding.of_fault(
            "call",
            "signature removed on the way",
            "The request was signed, and came to Lattice without its signature.",
            f"{_ON_THE_WAY}: one of them removes Authorization. --query puts the signature "
            "elsewhere.",
        )
    return Finding.of_fault(
        "call", "unsigned", "The request is not signed, and has to be.", denial.next_step
    )


def _no_such_service(case: Case, denial: Denial) -> Finding:
    host = case.caller.url.host
    if case.managed and _known_by_its_managed_name(case):
        return Finding.of_fault(
            "call",
            "alias without custom domain",
            f"Lattice answers to {case.managed}, and does not know {host}: that is only an alias.",
            f"Give the service the custom domain {host}, or call the managed name: "
            f"--resolve {host}={case.managed}.",
        )
    return Finding.of_fault(
        "call",
        "no such service",
        f"No service in this service network answers to {host} (404).",
        denial.next_step,
    )


def _known_by_its_managed_name(case: Case) -> bool:
    try:
        denial = case.at_managed().denial
    except httpx.HTTPError:
        return False
    return denial is None or denial.kind != "no such service"


def _unknown(case: Case, denial: Denial) -> Finding:
    if not case.answer.by_lattice and case.answer.status == _FORBIDDEN:
        return Finding.of_fault(
            "call",
            "refused by somebody else",
            "A 403 that is not in Lattice's words and does not bear the request id: something in "
            "between refuses.",
            _ON_THE_WAY + ", and at web application firewalls.",
        )
    return Finding.of_fault(
        "call", "refused by somebody else", "A 403 not in Lattice's words.", denial.next_step
    )


# A signature that does not hold


def _bad_signature(case: Case, denial: Denial) -> Finding:
    text = case.answer.text
    if _NOBODYS_KEY.search(text):
        return Finding.of_fault(
            "call",
            "unknown credentials",
            "Lattice knows nobody with this access key and session token.",
            denial.next_step,
        )
    if found := _NOT_SIGNED.search(text):
        return Finding.of_fault(
            "call",
            "header added on the way",
            f"{found[1]} came to Lattice and was not signed: something on the way adds it.",
            f"{_ON_THE_WAY}.",
            header=found[1],
        )
    return _wrong_scope(case) or _wrong_payload(case) or _mismatch(case)


def _wrong_scope(case: Case) -> Finding | None:
    if found := _SERVICE.search(case.answer.text):
        default = ", which is the default: leave --service out" if found[1] == LATTICE else ""
        return Finding.of_fault(
            "call",
            "wrong service name",
            f"The signature is for the service {case.service}, and should be for {found[1]}.",
            f"Sign for {found[1]}{default}.",
        )
    if found := _REGION.search(case.answer.text):
        return Finding.of_fault(
            "call",
            "wrong region",
            f"The signature is for another region, and the service is in {found[1]}.",
            f"Sign for {found[1]}: --region {found[1]}, or LatticeAuth(region={found[1]!r}).",
        )
    return None


def _wrong_payload(case: Case) -> Finding | None:
    signed, removed = (words.search(case.answer.text) for words in (_PAYLOAD, _NO_PAYLOAD_HEADER))
    if (signed or removed) and case.service != LATTICE:
        return Finding.of_fault(
            "call",
            "wrong service name",
            f"The payload is signed, as for the service {case.service}; Lattice takes it unsigned.",
            "Leave --service out.",
        )
    if signed:
        return Finding.of_fault(
            "call",
            "payload signed on the way",
            "The request said UNSIGNED-PAYLOAD, and came with a signed payload: something on the "
            "way signs it anew, in a way that Lattice does not take.",
            f"{_ON_THE_WAY}: take the one that signs out (aws-sigv4-proxy wants "
            "--unsigned-payload), or send unsigned requests to it.",
        )
    if removed:
        return Finding.of_fault(
            "call",
            "header removed on the way",
            "x-amz-content-sha256 was sent and signed, and did not come.",
            f"{_ON_THE_WAY}.",
            header="x-amz-content-sha256",
        )
    return None


def _mismatch(case: Case) -> Finding:
    """The signature is another one than Lattice's: find out which piece makes the difference."""
    caller = case.caller
    if caller.method not in _SAFE:
        return Finding.of_fault(
            "call",
            "wrong secret key",
            "The signature does not match: the secret key is not the access key's, or something on "
            "the way changes the request.",
            f"Ask again with GET: the doctor does not try things out with {caller.method}.",
        )
    for experiment in (_other_encoding, _without_headers, _without_query, _without_path, _in_query):
        finding = experiment(case)
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


def _holds(case: Case, auth: Any = None, **changes: Any) -> bool:
    try:
        return case.caller.call(auth or case.auth(), **changes).authenticated
    except httpx.HTTPError:
        return False


def _other_encoding(case: Case) -> Finding | None:
    path = case.caller.url.raw_path.decode("latin-1").partition("?")[0]
    if canonical_path(path) == canonical_path(path, "single"):
        return None
    for encoding in ("single", "double", "double-raw"):
        if _holds(case, case.auth(path_encoding=encoding)):
            return Finding.of_fault(
                "call",
                "path encoding",
                f"The path is read in the {encoding} encoding.",
                f"LatticeAuth(path_encoding={encoding!r}), or --path-encoding {encoding}. The "
                "hooks that see the answer find it out by themselves.",
            )
    return None


def _without_headers(case: Case) -> Finding | None:
    extra = {
        name: value
        for name, value in case.caller.headers.items()
        if name.lower().startswith("x-amz-")
    }
    rest = {name: value for name, value in case.caller.headers.items() if name not in extra}
    if not extra or not _holds(case, headers=rest):
        return None
    guilty = [
        name for name, value in extra.items() if not _holds(case, headers={**rest, name: value})
    ]
    names = ", ".join(guilty or extra)
    return Finding.of_fault(
        "call",
        "header changed on the way",
        f"The signature holds without {names}: something on the way changes it.",
        f"{_ON_THE_WAY}, or send what they leave alone.",
        headers=guilty or list(extra),
    )


def _without_query(case: Case) -> Finding | None:
    url = case.caller.url
    if not url.query or not _holds(case, url=url.copy_with(query=None)):
        return None
    return Finding.of_fault(
        "call",
        "query changed on the way",
        "The signature holds without the query: something on the way changes it.",
        f"{_ON_THE_WAY}: one of them may sort, decode or add parameters.",
    )


def _without_path(case: Case) -> Finding | None:
    url = case.caller.url
    if url.path in ("", "/") or not _holds(case, url=url.copy_with(raw_path=b"/")):
        return None
    return Finding.of_fault(
        "call",
        "path changed on the way",
        "The signature holds for the path /: something on the way changes this one.",
        f"{_ON_THE_WAY}: one of them may rewrite, decode or tidy up paths.",
    )


def _in_query(case: Case) -> Finding | None:
    """A signature in the query signs Host and x-amz-content-sha256 alone."""
    if not _holds(case, case.auth(placement="query")):
        return None
    return Finding.of_fault(
        "call",
        "header changed on the way",
        "A signature in the URL holds: something on the way changes x-amz-date, "
        "x-amz-security-token or Authorization.",
        f"{_ON_THE_WAY}. --query gets past them.",
        headers=["x-amz-date", "x-amz-security-token", "authorization"],
    )
