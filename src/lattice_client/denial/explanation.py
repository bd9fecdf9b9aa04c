"""A refusal explained: who was refused what, by whom, and what to do about it.

VPC Lattice answers with a status and a line of plain text. Its words for a caller who is denied and
for a payload that is signed have been published; the others here are SigV4's usual ones ("Error
responses" and "Troubleshoot access denied error messages", IAM User Guide). Nothing else of a body
is ever repeated: a refusal may come from anybody, and echo what it likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lattice_client._http_date import http_date
from lattice_client._wire.httpx import httpx_sent_url
from lattice_client._wire.redirects import UNSIGNED_TURNS, Turn, turn_of, way_of
from lattice_client._wire.response_body import known
from lattice_client.denial.model import ATTEMPT, Denial, Kind
from lattice_client.denial.sent_request import GivenHeaders, SentRequest, lowered
from lattice_client.errors import DeniedError
from lattice_client.signing import LATTICE

__all__ = ["explain", "explain_parts", "raise_for_denial"]


def raise_for_denial(response: Any) -> None:
    """Raise what :func:`explain` has to say, if it has anything to say.

    :raises DeniedError: with the :class:`Denial`.
    :raises TypeError: for anything else than a response.
    """
    denial = explain(response)
    if denial is not None:
        raise DeniedError(denial)


def explain(response: Any) -> Denial | None:
    """Why a response of requests, httpx, httpx2 or aiohttp refuses; None where it does not.

    :raises TypeError: for anything else than a response.

    It reads nothing from the connection. A body that has not been read yet (``stream=True``, and
    aiohttp's before ``await response.read()``) is known where a hook or client has read it to find
    a remedy; else the headers are all there is.
    """
    headers, status = getattr(response, "headers", None), getattr(response, "status_code", None)
    if status is not None:
        request = getattr(response, "extensions", {}).get(ATTEMPT) or _request_of(response)
    else:
        status, request = getattr(response, "status", None), getattr(response, "request_info", None)
    if headers is None or not isinstance(status, int):
        raise TypeError(
            f"{type(response).__name__} is no response of requests, httpx, httpx2 or aiohttp; "
            "lattice_client.denial.explanation.explain_parts() takes the parts of any other"
        )
    return explain_parts(
        status,
        headers,
        _body_read(response),
        method=getattr(request, "method", None),
        url=httpx_sent_url(request),
        request_headers=getattr(request, "headers", ()),
        way=way_of(response),
    )


def explain_parts(
    status: int,
    headers: GivenHeaders,
    body: bytes | None,
    *,
    method: str | None = None,
    url: str = "",
    request_headers: GivenHeaders = (),
    way: Sequence[str] = (),
) -> Denial | None:
    """The same from the parts of a response, and of the request as it was sent.

    :param body: None if it is not known.
    :param url: absolute; empty if the request is not known.
    :param way: where redirects were followed, the URL that was called and each that a redirect led
        to, the last one included.
    """
    if status not in _REFUSALS:
        return None
    answer = dict(lowered(headers))
    request = SentRequest.of(method or "GET", url, request_headers) if url else None
    # Other IAM evaluation points name the error in a header, and some nowhere else.
    text = answer.get("x-amzn-errortype", "")[:_LOOKED_AT] + " "
    text += (body or b"")[:_LOOKED_AT].decode(errors="replace")
    # An answer to HEAD has no body (RFC 9110 section 9.3.2).
    body_known = body is not None or method == "HEAD"
    refusal = _Refusal(status, text.strip(), body_known, answer, request, turn_of(way))
    denial = refusal.explained()
    if denial is None or request is None:
        return denial and denial._replace(request_id=refusal.request_id)
    at_fault = denial.kind in ("bad signature", "clock")
    return denial._replace(
        host=request.host,
        request_id=refusal.request_id,
        canonical_request=request.canonical_request() if at_fault else None,
    )


_REFUSALS = _BAD_REQUEST, _FORBIDDEN, _NOT_FOUND = 400, 403, 404
_LOOKED_AT = 8192  # bytes of a body; Lattice's are one line


def _request_of(response: Any) -> Any:
    try:
        return response.request
    except (AttributeError, RuntimeError):  # a response of httpx's that belongs to no request
        return None


def _body_read(response: Any) -> bytes | None:
    """The body if it is there already, or was read ahead."""
    for name in ("_content", "_body"):  # of requests and httpx, of aiohttp
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
# What Lattice and IAM call the layers of policies, and we.
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
_ROLE = re.compile(r"arn:aws[a-z-]*:sts::(\d{12}):assumed-role/([^/]+)/")

_NOT_FOUND_WORDS = re.compile(r"(?:404:?\s)?(?:not found)?[.!]?", re.IGNORECASE)
_LIMITS_WORDS = re.compile(r"over 100 headers|over 60 K", re.IGNORECASE)
_PAYLOAD_WORDS = re.compile(r"Signed payloads are not supported|Missing the 'x-amz-content-sha256'")
_SCOPE_WORDS = re.compile(r"should be scoped to|Region set should include")

# "Quotas for Amazon VPC Lattice", VPC Lattice User Guide.
_MAX_HEADERS, _MAX_HEADER_BYTES = 100, 60 * 1024
# Seconds. SigV4's usual window; nothing is published for Lattice.
_CLOCK_WINDOW = 300
# As long as Lattice leaves it ("Request tracking", VPC Lattice User Guide), and fit for a log.
_REQUEST_ID = re.compile(r"[ -~]{1,512}")


class _Refusal(NamedTuple):
    """A response that refuses, and the request if it is known."""

    status: int
    text: str
    body_known: bool
    answer: dict[str, str]
    request: SentRequest | None
    # What redirects have done, where any were followed.
    turn: Turn | None

    def explained(self) -> Denial | None:
        if self.status == _NOT_FOUND:
            return self.no_such_service()
        for words, kind, step in _FAULTS:
            if words.search(self.text):
                return Denial(kind, self.status, step(self))
        if denied := _DENIED.search(self.text):
            return self.denied(denied)
        return self.over_limits() if self.status == _BAD_REQUEST else self.by_the_headers()

    @property
    def request_id(self) -> str | None:
        text = self.answer.get("x-amzn-requestid", "")
        return self._harmless(text) if _REQUEST_ID.fullmatch(text) else None

    def _harmless(self, text: str | None) -> str | None:
        """The text, unless it has a secret of the request in it."""
        return None if text and self.request and self.request.gives_away(text) else text

    @property
    def is_elsewhere(self) -> bool:
        """Whether the request is signed for another service than VPC Lattice, whose words and
        limits say nothing then."""
        return self.request is not None and self.request.service not in (None, LATTICE)

    @property
    def is_to_head(self) -> bool:
        return self.request is not None and self.request.method == "HEAD"

    # Denied by a policy.

    def denied(self, words: re.Match[str]) -> Denial:
        caller, action, resource = map(self._harmless, words.group("caller", "action", "resource"))
        layer = _LAYER.search(words["none"] or words["deny"] or "")
        kind, policy = _LAYERS[layer[0]] if layer else ("unknown", "a policy that is not named")
        who, what = _who(caller), action or "this action"
        if caller == "anonymous":
            kind, step = "unsigned", self.sign_it(policy)
        elif words["deny"] is not None:
            step = (
                f"A Deny in {policy} meets {what} by {who}: change that statement, or what it "
                "looks at (caller, network, path, method, headers)."
            )
        else:
            on = f" on {resource}" if resource else ""
            step = (
                f"{policy[0].upper()}{policy[1:]} allows no {what} for {who}; add a statement for "
                f"it{on}."
            )
        return Denial(kind, self.status, step, caller=caller, action=action, resource=resource)

    # Not, or not rightly, signed.

    def sign_it(self, policy: str = "a policy") -> str:
        if self.request is not None and self.request.signature:
            return (
                "The request was signed but came without its signature: see what on the way "
                "removes Authorization."
            )
        if self.turn is not None:
            return UNSIGNED_TURNS[self.turn]
        return (
            f"The request is not signed, and {policy} lets no anonymous caller through: send it "
            "with LatticeAuth(), and if that is given hosts=…, with the hosts of its URL and its "
            "Host header among them."
        )

    def new_credentials(self) -> str:
        return (
            "The credentials have expired: use a provider that renews them (botocore's chain, the "
            "default, does), or give new ones."
        )

    def right_credentials(self) -> str:
        return (
            "Nobody has this access key, or the session token is not its own: take access key, "
            "secret key and token from one source, in an account of this partition."
        )

    def right_time(self) -> str:
        if self.request is not None and self.request.in_query:
            return (
                "The time of the signature in the URL is over: make a new one, with a longer "
                "expires if need be, and see that this machine's clock is set."
            )
        off = self.seconds_ahead()
        which = (
            "was off by minutes"
            if off is None
            else f"was {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the answer's Date"
        )
        return f"The signature's time {which}: set this machine's clock, and keep it set (NTP)."

    def right_signature(self) -> str:
        if _PAYLOAD_WORDS.search(self.text) and not self.is_elsewhere:
            return (
                "VPC Lattice wants the payload unsigned and x-amz-content-sha256 to say so: sign "
                "with LatticeAuth(), or with payload='unsigned'."
            )
        if _SCOPE_WORDS.search(self.text):
            return (
                "The signature is for another region or service: give the region that the service "
                "is in, with region=… of the auth object."
            )
        request = self.request
        if request and set(request.signed_headers) - {"host", *dict(request.headers)}:
            return (
                "A header that was signed is not in the request (the canonical request shows "
                "which): have it sent, or do not sign it."
            )
        if request and not self.is_elsewhere and request.path_is_ambiguous:
            return (
                "The path can be read in several ways, for its reserved characters, '//' or dot "
                "segments: try another path_encoding ('double', 'double-raw' or 'single'), and see "
                "that the secret key belongs to the access key."
            )
        return (
            "The secret key does not belong to the access key, or something on the way changes the "
            "Host, the path, the query or a signed header: compare the canonical request with what "
            "arrives."
        )

    def seconds_ahead(self) -> float | None:
        """How much later it was by the signature than by the response."""
        date = http_date(self.answer.get("date", ""))
        signed_at = self.request.signed_at if self.request else None
        return None if date is None or signed_at is None else signed_at - date

    # The rest.

    def no_such_service(self) -> Denial | None:
        if self.is_elsewhere or self.is_to_head:
            return None
        if not self.body_known or not _NOT_FOUND_WORDS.fullmatch(self.text):
            return None  # the service itself has no such thing, and says so in its own way
        return Denial(
            "no such service",
            self.status,
            "No service answers to this host name in this service network (or the service itself "
            "has nothing at this path): check the name, and that the service and this VPC are "
            "associated with one service network.",
        )

    def over_limits(self) -> Denial | None:
        if self.is_elsewhere:
            return None
        headers = self.request.headers if self.request else []
        size = sum(len(name) + len(value) for name, value in headers)
        over = len(headers) > _MAX_HEADERS or size > _MAX_HEADER_BYTES
        if not over and not _LIMITS_WORDS.search(self.text):
            return None  # the service itself does not like the request
        return Denial(
            "header limits",
            self.status,
            "Lattice takes 100 headers and 60 K of them at most, and this request has more: send "
            "fewer (cookies and tokens are the usual long ones).",
        )

    def by_the_headers(self) -> Denial:
        """A 403 whose body says nothing that we know."""
        if not self.text and self.request is not None:
            if not self.request.signature:
                step = _UNSIGNED_HEAD if self.is_to_head else self.sign_it()
                return Denial("unsigned", self.status, step)
            off = self.seconds_ahead()
            if off is not None and abs(off) > _CLOCK_WINDOW and not self.request.in_query:
                return Denial("clock", self.status, self.right_time())
        if self.is_to_head:
            step = (
                "An answer to HEAD has no body that would say who refused, or why: ask with GET, "
                "or look for the request id in the service's log."
            )
        elif not self.body_known:
            step = "The body was not read, and may say why: read it, and ask again."
        elif self.is_elsewhere:
            step = (
                "The answer does not say why in words that are known here: read its body, and see "
                "the documentation of the service."
            )
        else:
            step = (
                "These are not Lattice's words, so the service itself or a proxy may have refused: "
                "look for the request id in Lattice's access log, where authDeniedReason says who."
            )
        return Denial("unknown", self.status, step)


_UNSIGNED_HEAD = (
    "The request is not signed, and an answer to HEAD has no body that would say who refused it: "
    "sign it if Lattice may have, or ask with GET."
)

_FAULTS: list[tuple[re.Pattern[str], Kind, Callable[[_Refusal], str]]] = [
    (re.compile(r"Missing ?Authentication ?Token"), "unsigned", _Refusal.sign_it),
    (
        re.compile(r"ExpiredToken|security token included in the request is expired"),
        "expired",
        _Refusal.new_credentials,
    ),
    (re.compile(r"Signature expired|Signature not yet current"), "clock", _Refusal.right_time),
    (
        re.compile(r"UnrecognizedClient|InvalidClientTokenId|security token .{1,40} is invalid"),
        "bad signature",
        _Refusal.right_credentials,
    ),
    (
        re.compile(
            r"(?:Invalid|Incomplete)Signature|SignatureDoesNotMatch|signature we calculated"
        ),
        "bad signature",
        _Refusal.right_signature,
    ),
]


def _who(caller: str | None) -> str:
    role = _ROLE.match(caller or "")
    return f"the role {role[2]} of account {role[1]}" if role else caller or "this caller"


# --- The log ----------------------------------------------------------------------------------
