"""A refusal explained: who was refused what, by whom, and what to do about it.

VPC Lattice answers with a status and a line of plain text. Its words for a caller who is denied and
for a payload that is signed have been published; the others here are SigV4's usual ones ("Error
responses" and "Troubleshoot access denied error messages", IAM User Guide). Nothing else of a body
is ever repeated: any host can send a refusal, with any text in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from lattice_client._wire.httpx import httpx_sent_url
from lattice_client._wire.response_body import known
from lattice_client._wire.unsigned_mark import unsigned_mark
from lattice_client.denial import advice
from lattice_client.denial.followed_redirects import redirection_of, redirection_urls
from lattice_client.denial.model import ATTEMPT, Denial, Kind
from lattice_client.denial.refused_response import Refusal
from lattice_client.denial.sent_request import GivenHeaders, SentRequest, lower_case_pairs
from lattice_client.errors import DeniedError

__all__ = ["explain", "explain_parts", "raise_for_denial", "why_unsigned"]

_REFUSALS = _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404
_MAX_TEXT = 8192  # bytes of a body; Lattice's are one line


def raise_for_denial(response: Any) -> None:
    """Raise the :class:`Denial` that :func:`explain` returns, if it returns one.

    :raises DeniedError: with the :class:`Denial`.
    :raises TypeError: for anything else than a response.
    """
    denial = explain(response)
    if denial is not None:
        raise DeniedError(denial)


def explain(response: Any) -> Denial | None:
    """Why a response of requests, niquests, httpx, httpx2 or aiohttp refuses; None where it does
    not.

    :raises TypeError: for anything else than a response.

    It reads nothing from the connection. A body that has not been read yet (``stream=True``, and
    aiohttp's before ``await response.read()``) is known where a hook or client has read it to find
    a remedy; otherwise only the headers are used.
    """
    headers, status = getattr(response, "headers", None), getattr(response, "status_code", None)
    if status is not None:
        request = getattr(response, "extensions", {}).get(ATTEMPT) or _request_of(response)
    else:
        status, request = getattr(response, "status", None), getattr(response, "request_info", None)
    if headers is None or not isinstance(status, int):
        raise TypeError(
            f"{type(response).__name__} is no response of requests, niquests, httpx, httpx2 or "
            "aiohttp; "
            "lattice_client.denial.explain_parts() takes the parts of any other"
        )
    return explain_parts(
        status,
        headers,
        _body_read(response),
        method=getattr(request, "method", None),
        url=httpx_sent_url(request),
        request_headers=getattr(request, "headers", ()),
        way=redirection_urls(response),
        unsigned=why_unsigned(response, request),
    )


def why_unsigned(response: Any, request: Any) -> str | None:
    """Why one of our auth objects has not signed a request, and what would help. None if it has, if
    there was none, or if redirects tell it better.

    :param request: as it was sent.
    """
    way = redirection_urls(response)
    unsigned = unsigned_mark(request) or unsigned_mark(response)
    if unsigned is None and redirection_of(way) == "on one origin":
        # An auth hook saw only the first request.
        first = response.history[0]
        unsigned = unsigned_mark(_request_of(first)) or unsigned_mark(first)
    if unsigned is None or (way and unsigned.reason.startswith("redirect")):
        return None
    return unsigned.because


def explain_parts(
    status: int,
    headers: GivenHeaders,
    body: bytes | None,
    *,
    method: str | None = None,
    url: str = "",
    request_headers: GivenHeaders = (),
    way: Sequence[str] = (),
    unsigned: str | None = None,
) -> Denial | None:
    """The same from the parts of a response, and of the request as it was sent.

    :param body: None if it is not known.
    :param url: absolute; empty if the request is not known.
    :param way: where redirects were followed, the URL that was called and each that a redirect led
        to, the last one included.
    :param unsigned: why the request was not signed, and what would help, if that is known.
    """
    if status not in _REFUSALS:
        return None
    answer = dict(lower_case_pairs(headers))
    request = SentRequest.of(method or "GET", url, request_headers) if url else None
    # Other IAM evaluation points name the error in a header, and some only there.
    text = answer.get("x-amzn-errortype", "")[:_MAX_TEXT] + " "
    text += (body or b"")[:_MAX_TEXT].decode(errors="replace")
    # An answer to HEAD has no body (RFC 9110 section 9.3.2).
    body_known = body is not None or method == "HEAD"
    refusal = Refusal(
        status, text.strip(), body_known, answer, request, redirection_of(way), unsigned
    )
    denial = _explain(refusal)
    if denial is None or request is None:
        return denial and denial._replace(request_id=refusal.request_id)
    at_fault = denial.kind in ("bad signature", "clock")
    return denial._replace(
        host=request.host,
        request_id=refusal.request_id,
        canonical_request=request.canonical_request() if at_fault else None,
    )


def _request_of(response: Any) -> Any:
    try:
        return response.request
    except (AttributeError, RuntimeError):  # an httpx response without a request
        return None


def _body_read(response: Any) -> bytes | None:
    """The body if the library or a hook has read it."""
    for name in ("_content", "_body"):  # requests and httpx, aiohttp
        body = getattr(response, name, None)
        if isinstance(body, bytes):
            return body
    return known(response)


# --- What the answer says ---------------------------------------------------------------------

_DENIED = re.compile(
    r"User: (?P<caller>anonymous|arn:aws[a-z-]*:(?:iam|sts)::\d{12}:[\w+=,.@/:-]{1,600})"
    r" is not authorized to perform: (?P<action>[a-z0-9-]{1,64}:[A-Za-z]{1,64})"
    r"(?: on resource: (?P<resource>arn:aws[a-z-]*:[!#-&(-;=?-\[\]-~]{1,2048}))?"
    r"(?: because no (?P<none>[A-Za-z -]{1,40}) allows"
    r"| with an explicit deny(?P<deny>(?: in (?:an?|the) [A-Za-z -]{1,40})?))?",
    re.ASCII,
)
# The layers of policies: as Lattice and IAM name them, our kind, and ours in words.
_LAYERS: dict[str, tuple[Kind, str]] = {
    "network-based policy": ("network policy", "the service network's auth policy"),
    "service-based policy": ("service policy", "the service's auth policy"),
    "identity-based policy": ("identity policy", "the caller's identity policy (IAM)"),
    "session policy": ("identity policy", "the policy of the caller's session (IAM)"),
    "permissions boundary": ("identity policy", "the caller's permissions boundary (IAM)"),
    "service control policy": ("identity policy", "the organization's service control policy"),
    "resource control policy": ("service policy", "the organization's resource control policy"),
    "resource-based policy": ("service policy", "the service's own policy"),
    "VPC endpoint policy": ("network policy", "the VPC endpoint's policy"),
}
_LAYER = re.compile("|".join(_LAYERS))

_FAULTS: list[tuple[re.Pattern[str], Kind, Callable[[Refusal], str]]] = [
    (re.compile(r"Missing ?Authentication ?Token"), "unsigned", advice.sign_request),
    (
        re.compile(r"ExpiredToken|security token included in the request is expired"),
        "expired",
        advice.renew_credentials,
    ),
    (re.compile(r"Signature expired|Signature not yet current"), "clock", advice.fix_clock),
    (
        re.compile(r"UnrecognizedClient|InvalidClientTokenId|security token .{1,40} is invalid"),
        "bad signature",
        advice.fix_credentials,
    ),
    (
        re.compile(
            r"(?:Invalid|Incomplete)Signature|SignatureDoesNotMatch|signature we calculated"
        ),
        "bad signature",
        advice.fix_signature,
    ),
]

_NOT_FOUND_WORDS = re.compile(r"(?:404:?\s)?(?:not found)?[.!]?", re.IGNORECASE)
_LIMITS_WORDS = re.compile(r"over 100 headers|over 60 K", re.IGNORECASE)

# "Quotas for Amazon VPC Lattice", VPC Lattice User Guide.
_MAX_HEADERS, _MAX_HEADER_BYTES = 100, 60 * 1024
# Seconds. SigV4's usual window; nothing is published for Lattice.
_CLOCK_WINDOW = 300


def _explain(refusal: Refusal) -> Denial | None:
    if refusal.status == _NOT_FOUND:
        return _no_such_service(refusal)
    for words, kind, next_step in _FAULTS:
        if words.search(refusal.text):
            return Denial(kind, refusal.status, next_step(refusal))
    if denied := _DENIED.search(refusal.text):
        return _denied_by_policy(refusal, denied)
    return _over_limits(refusal) if refusal.status == _BAD_REQUEST else _by_the_headers(refusal)


def _denied_by_policy(refusal: Refusal, words: re.Match[str]) -> Denial:
    caller, action, resource = map(
        refusal.without_secret, words.group("caller", "action", "resource")
    )
    layer = _LAYER.search(words["none"] or words["deny"] or "")
    kind, policy = _LAYERS[layer[0]] if layer else ("unknown", "a policy that is not named")
    if caller == "anonymous":
        kind, next_step = "unsigned", advice.sign_request(refusal, policy)
    else:
        next_step = advice.fix_policy(
            policy, action, resource, caller, denies=words["deny"] is not None
        )
    return Denial(kind, refusal.status, next_step, caller=caller, action=action, resource=resource)


def _no_such_service(refusal: Refusal) -> Denial | None:
    if refusal.is_elsewhere or refusal.is_to_head:
        return None
    if not refusal.body_known or not _NOT_FOUND_WORDS.fullmatch(refusal.text):
        return None  # a 404 in the service's own words
    return Denial("no such service", refusal.status, advice.CHECK_HOST_NAME)


def _over_limits(refusal: Refusal) -> Denial | None:
    if refusal.is_elsewhere:
        return None
    headers = refusal.request.headers if refusal.request else []
    size = sum(len(name) + len(value) for name, value in headers)
    over = len(headers) > _MAX_HEADERS or size > _MAX_HEADER_BYTES
    if not over and not _LIMITS_WORDS.search(refusal.text):
        return None  # a 400 in the service's own words
    return Denial("header limits", refusal.status, advice.SEND_FEWER_HEADERS)


def _by_the_headers(refusal: Refusal) -> Denial:
    """A 403 whose body says nothing that is known."""
    request, status = refusal.request, refusal.status
    if not refusal.text and request is not None:
        if not request.signature:
            is_open = refusal.is_to_head and refusal.unsigned is None
            next_step = advice.SIGN_OR_ASK_WITH_GET if is_open else advice.sign_request(refusal)
            return Denial("unsigned", status, next_step)
        ahead = refusal.seconds_ahead
        if ahead is not None and abs(ahead) > _CLOCK_WINDOW and not request.in_query:
            return Denial("clock", status, advice.fix_clock(refusal))
    return Denial("unknown", status, advice.find_cause(refusal))
