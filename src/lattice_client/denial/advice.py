"""What to do about a refusal: one sentence for each cause."""

from __future__ import annotations

import re

from lattice_client.denial.followed_redirects import UNSIGNED_AFTER
from lattice_client.denial.refused_response import Refusal

__all__ = [
    "ASK_WITH_GET",
    "CHECK_HOST_NAME",
    "SEND_FEWER_HEADERS",
    "SIGN_OR_ASK_WITH_GET",
    "find_cause",
    "fix_clock",
    "fix_credentials",
    "fix_policy",
    "fix_signature",
    "renew_credentials",
    "sign_request",
]

CHECK_HOST_NAME = (
    "No service answers to this host name in this service network (or the service itself has "
    "nothing at this path): check the name, and that the service and this VPC are associated with "
    "one service network."
)
SEND_FEWER_HEADERS = (
    "Lattice takes 100 headers and 60 K of them at most, and this request has more: send fewer "
    "(cookies and tokens are the usual long ones)."
)
ASK_WITH_GET = (
    "An answer to HEAD has no body that would say who refused, or why: ask with GET, or look for "
    "the request id in the service's log."
)
SIGN_OR_ASK_WITH_GET = (
    "The request is not signed, and an answer to HEAD has no body that would say who refused it: "
    "sign it if Lattice may have, or ask with GET."
)

_PAYLOAD_WORDS = re.compile(r"Signed payloads are not supported|Missing the 'x-amz-content-sha256'")
_SCOPE_WORDS = re.compile(r"should be scoped to|Region set should include")
_ROLE = re.compile(r"arn:aws[a-z-]*:sts::(\d{12}):assumed-role/([^/]+)/")


def sign_request(refusal: Refusal, policy: str = "a policy") -> str:
    """:param policy: the policy that refused, in words."""
    if refusal.request is not None and refusal.request.signature:
        return (
            "The request was signed but came without its signature: see what on the way removes "
            "Authorization."
        )
    if refusal.unsigned is not None:
        return f"The request is not signed: {refusal.unsigned}."
    if refusal.redirection is not None:
        return UNSIGNED_AFTER[refusal.redirection]
    return (
        f"The request is not signed, and {policy} lets no anonymous caller through: send it with "
        "LatticeAuth(), and if that is given hosts=…, with the hosts of its URL and its Host "
        "header among them."
    )


def renew_credentials(_: Refusal) -> str:
    return (
        "The credentials have expired: use a provider that renews them (botocore's chain, the "
        "default, does), or give new ones."
    )


def fix_credentials(_: Refusal) -> str:
    return (
        "No caller has this access key, or the session token belongs to another: take access key, "
        "secret key and token from one source, in an account of this partition."
    )


def fix_clock(refusal: Refusal) -> str:
    if refusal.request is not None and refusal.request.in_query:
        return (
            "The time of the signature in the URL is over: make a new one, with a longer expires "
            "if need be, and check that this machine's clock is set."
        )
    ahead = refusal.seconds_ahead
    how_far = (
        "was off by minutes"
        if ahead is None
        else f"was {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the answer's Date"
    )
    return f"The signature's time {how_far}: set this machine's clock, and keep it set (NTP)."


def fix_signature(refusal: Refusal) -> str:
    if _PAYLOAD_WORDS.search(refusal.text) and not refusal.is_elsewhere:
        return (
            "VPC Lattice wants the payload unsigned and x-amz-content-sha256 to say so: sign with "
            "LatticeAuth(), or with payload='unsigned'."
        )
    if _SCOPE_WORDS.search(refusal.text):
        return (
            "The signature is for another region or service: give the region that the service is "
            "in, with region=… of the auth object."
        )
    request = refusal.request
    if request and set(request.signed_headers) - {"host", *dict(request.headers)}:
        return (
            "A header that was signed is not in the request (the canonical request shows which): "
            "have it sent, or do not sign it."
        )
    # It is not published how Lattice reads such paths. Other services say how they do.
    if request and not refusal.is_elsewhere and request.path_is_ambiguous:
        return (
            "The path can be read in several ways, for its reserved characters, '//' or dot "
            "segments: try another path_encoding ('double', 'double-raw' or 'single'), and check "
            "that the secret key belongs to the access key."
        )
    return (
        "The secret key does not belong to the access key, or something on the way changes the "
        "Host, the path, the query or a signed header: compare the canonical request with what "
        "arrives."
    )


def fix_policy(
    policy: str, action: str | None, resource: str | None, caller: str | None, *, denies: bool
) -> str:
    """:param denies: whether the policy has a Deny that applies, rather than no Allow."""
    role = _ROLE.match(caller or "")
    who = f"the role {role[2]} of account {role[1]}" if role else caller or "this caller"
    what = action or "this action"
    if denies:
        return (
            f"A Deny in {policy} meets {what} by {who}: change that statement, or what it looks at "
            "(caller, network, path, method, headers)."
        )
    on = f" on {resource}" if resource else ""
    return (
        f"{policy[0].upper()}{policy[1:]} allows no {what} for {who}; add a statement for it{on}."
    )


def find_cause(refusal: Refusal) -> str:
    """For a 403 whose words are not known."""
    if refusal.is_to_head:
        return ASK_WITH_GET
    if not refusal.body_known:
        return "The body was not read, and may say why: read it, and ask again."
    if refusal.is_elsewhere:
        return (
            "The answer does not say why in words that are known here: read its body, and see the "
            "documentation of the service."
        )
    return (
        "These are not Lattice's words, so the service itself or a proxy may have refused: look "
        "for the request id in Lattice's access log, where authDeniedReason says who."
    )
