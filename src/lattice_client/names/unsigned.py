"""Why requests to a host go out unsigned: every reason there is, in words.

1. Its name is a resource's, or only looks like VPC Lattice's (:func:`unsignable`).
2. ``hosts`` leaves it out.
3. ``names`` say that it is not VPC Lattice's, or that the host in its URL is not.
4. A redirect has led there.
5. The call itself says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from lattice_client.errors import ConfigurationError
from lattice_client.names import endpoint as endpoints
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name
from lattice_client.names.managed import hint_of, region_of

__all__ = [
    "Reason",
    "Unsigned",
    "by_call",
    "by_names",
    "by_redirect",
    "by_scope",
    "by_spelling",
    "is_resource",
    "unsignable",
]

# Host headers; a program calls few hosts.
_CACHE_SIZE = 1024

Reason = Literal[
    endpoints.Reason,
    "look-alike",
    "host out of scope",
    "URL out of scope",
    "said by a source",
    "redirect",
    "redirect to http",
    "redirect of a hook",
    "said by the call",
]
"""Why a request is not signed, in a word: those of :data:`~lattice_client.names.endpoint.Reason`,
and what does not concern names."""

# What looks like a mistake. The others are the ordinary course of a program that calls many hosts.
_MISTAKES: frozenset[Reason] = frozenset(
    (
        "uncertain",
        "disagreement",
        "unlisted network",
        "mixed addresses",
        "resource",
        "look-alike",
        "URL out of scope",
        "redirect to http",
    )
)


class Unsigned(NamedTuple):
    """Why requests to a host go out unsigned.

    :param host: its Host header, or the host in its URL.
    :param reason: the reason in a word, for programs.
    :param why: what decided it: which source was asked, and what it answered.
    :param advice: what would help.
    """

    host: str
    reason: Reason
    why: str
    advice: str

    @property
    def is_expected(self) -> bool:
        """Whether it is the ordinary course, as for a host that is plainly not VPC Lattice's."""
        return self.reason not in _MISTAKES and not _resembles_managed(self.host)

    def __str__(self) -> str:
        return f"requests to {self.host} go out unsigned: {self.because}"

    @property
    def because(self) -> str:
        """What decided it, and what would help."""
        return f"{self.why}; {self.advice}"


def _resembles_managed(host: str) -> bool:
    """Whether a host has a managed name, or one from an old tutorial."""
    return bool(hint_of(host)) or (region_of(host) is not None and f".{_SERVICE}." in host.lower())


def by_spelling(host: str, kind: Literal["resource", "look-alike"]) -> Unsigned:
    """By the name alone, without asking a source.

    :param kind: what :func:`unsignable` says of it.
    """
    if kind == "resource":
        why = (
            "it is a resource's name (….vpc-lattice-rsc.…): no signature is verified there, and "
            "the resource's owner would get the session token"
        )
        return Unsigned(host, kind, why, _ADVICE["resource"])
    why = (
        "it looks like a name of VPC Lattice's, and is none: those of services end in "
        ".vpc-lattice-svcs.REGION.on.aws"
    )
    advice = "check where it comes from; if it is yours, name it in hosts=[…]"
    return Unsigned(_spelt_out(host), kind, why, advice)


def _spelt_out(host: str) -> str:
    """Without the letters of other scripts that a reader would take for Latin ones."""
    if host.isascii():
        return host
    try:
        name = normal_name(host)
    except ConfigurationError:
        return ascii(host)
    port = _PORT.search(host)
    return name + (port[0] if port else "")


def by_scope(host: str, authority: str, patterns: Iterable[str], *, is_named: bool) -> Unsigned:
    """``hosts`` leaves out a Host header, or the host in its URL.

    :param is_named: whether they have the Host header.
    """
    given = f"hosts={list(patterns)!r}"
    if is_named:
        why = f"{authority} in its URL is none of {given}, and the bytes go there"
        return Unsigned(host, "URL out of scope", why, "name it there if it is VPC Lattice's")
    why = f"it is none of {given}{hint_of(host)}"
    return Unsigned(host, "host out of scope", why, "name it there if it is VPC Lattice's")


def by_names(host: str, endpoint: Endpoint) -> Unsigned:
    """``names`` answer that a host is not VPC Lattice's."""
    reason = endpoint.reason or "said by a source"
    why = (endpoint.source or "names say that it is not VPC Lattice's") + hint_of(host)
    return Unsigned(host, reason, why, _ADVICE.get(reason, _OTHERWISE))


_OTHERWISE = "if it is VPC Lattice's, give names a source that knows it"
_ADVICE: dict[Reason, str] = {
    "uncertain": "mend that, or put a source before it that knows the name",
    "disagreement": "mend the one that is wrong, or leave it out",
    "private address": (
        "if it leads to a service-network endpoint, list the endpoint's subnets in "
        "DnsNames(networks=[…])"
    ),
    "unlisted network": (
        "if it is a service-network endpoint's, list the endpoint's subnets in "
        "DnsNames(networks=[…])"
    ),
    "mixed addresses": (
        "while the name moves to or from VPC Lattice, call it with a client of "
        "lattice_client.requests, httpx, httpx2 or aiohttp, which connects to the address that "
        "was judged"
    ),
    "resource": "call it without an auth object",
}


def by_redirect(
    host: str, reason: Literal["redirect", "redirect to http", "redirect of a hook"]
) -> Unsigned:
    """A redirect leads to another origin, or a hook of requests signs nothing that follows one.

    :param host: the one that it leads to.
    :param reason: ``redirect to http``: it leads there from https on the same host.
    """
    if reason == "redirect to http":
        why = f"a redirect leads from https:// to http:// on {host}, and what follows is not signed"
        advice = (
            "TLS ends at VPC Lattice, and the application behind it has to heed X-Forwarded-Proto"
        )
        return Unsigned(host, reason, why, advice)
    if reason == "redirect of a hook":
        why = "an auth hook of requests signs nothing that follows a redirect"
        advice = "use lattice_client.requests.Session, which does"
        return Unsigned(host, reason, why, advice)
    why = "a redirect leads there from another origin (scheme, host or port)"
    return Unsigned(host, reason, why, "if it is VPC Lattice's, call that URL itself")


def by_call(host: str) -> Unsigned:
    """The call has ``auth=None``."""
    why = "the call has auth=None"
    return Unsigned(host, "said by the call", why, "leave that out to have it signed")


# --- Names that are never VPC Lattice's -------------------------------------------------------

_SERVICE, _RESOURCE = "vpc-lattice-svcs", "vpc-lattice-rsc"
# The domains of AWS's partitions. Not all of Lattice's suffixes are published, so a name below
# another one of AWS's domains than on.aws is no look-alike.
_AT_AWS = re.compile(
    r"(?:^|\.)vpc-lattice-(?P<kind>svcs|rsc)(?:\.[a-z0-9*-]+)?(?:\.on)?\."
    r"(?:aws|amazonaws\.(?:com(?:\.cn)?|eu)|amazonwebservices\.(?:com\.cn|eu))$"
)
_PORT = re.compile(r":[0-9*]*$")


@lru_cache(maxsize=_CACHE_SIZE)
def unsignable(host: str) -> Literal["", "resource", "look-alike"]:
    """Whether a name is a resource's, or looks like one of VPC Lattice's and is none.

    :param host: as in a Host header, or a pattern of ``hosts``. Case, a port, final dots and the
        form of its labels (IDNA or not) do not matter. A letter of another script that stands for
        a Latin one makes a look-alike.
    """
    name = _PORT.sub("", host).lower().rstrip(".")
    if "lattice" not in name and "xn--" not in name and name.isascii():
        return ""
    labels = _in_unicode(name)
    found = _AT_AWS.search(".".join(labels))
    if found is not None:
        return "resource" if found["kind"] == "rsc" else ""
    if any(_resembles(label, kind) for label in labels for kind in (_SERVICE, _RESOURCE)):
        return "look-alike"
    return ""


def is_resource(host: str) -> bool:
    """Whether a host is a resource, whose owner gets the bytes unread."""
    return unsignable(host) == "resource"


def _in_unicode(name: str) -> list[str]:
    from unicodedata import normalize  # deferred: few names get here

    labels = re.split("[.\N{IDEOGRAPHIC FULL STOP}]", normalize("NFKC", name).lower())
    return [_decoded(label) for label in labels]


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode").lower()
    except UnicodeError:
        return label


def _resembles(label: str, original: str) -> bool:
    """Whether a label is the original, but for letters of other scripts in place of some."""
    pairs = list(zip(label, original, strict=False))
    same = sum(one == other for one, other in pairs)
    return (
        len(label) == len(original)
        and same * 2 > len(original)
        and all(one == other or not one.isascii() for one, other in pairs)
    )
