"""Why requests to a host go out unsigned: every reason there is, and the log of them.

1. Its name is a resource's, or only looks like VPC Lattice's (:func:`unsignable`).
2. ``hosts`` leaves it out.
3. ``names`` say that it is not VPC Lattice's, or that the host in its URL is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from lattice_client.errors import ConfigurationError
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name

__all__ = [
    "Unsigned",
    "UnsignedLog",
    "by_names",
    "by_scope",
    "by_spelling",
    "is_resource",
    "unsignable",
]

# Names. Beyond, all are forgotten, and logged again.
_MAX_NAMES = 4096
# Host headers; a program calls few hosts.
_CACHE_SIZE = 1024


class Unsigned(NamedTuple):
    """Why requests to a host go out unsigned.

    :param host: its Host header, or the host in its URL.
    :param why: which source was asked, and what it answered.
    :param advice: what would help.
    :param expected: whether it is the ordinary course: another host, which no source takes for
        Lattice's.
    """

    host: str
    why: str
    advice: str
    expected: bool

    def __str__(self) -> str:
        return f"requests to {self.host} go out unsigned: {self.why}; {self.advice}"


class UnsignedLog:
    """Logs why requests go out unsigned, once for each host and reason: at INFO what is expected,
    at WARNING the rest. May be used from many threads at once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], None] = {}

    def note(self, unsigned: Unsigned) -> None:
        key = unsigned.host.lower(), unsigned.why
        if key in self._seen:
            return
        if len(self._seen) >= _MAX_NAMES:
            self._seen = {}
        self._seen[key] = None
        from lattice_client._log import get_logger  # deferred: most processes sign all they send

        logger = get_logger("unsigned")
        (logger.info if unsigned.expected else logger.warning)("%s", unsigned)


def by_spelling(host: str, kind: Literal["resource", "look-alike"]) -> Unsigned:
    """By the name alone, without asking a source.

    :param kind: what :func:`unsignable` says of it.
    """
    if kind == "resource":
        why = (
            "it is a resource's name (….vpc-lattice-rsc.…): no signature is verified there, and "
            "the resource's owner would get the session token"
        )
        return Unsigned(host, why, "call it without an auth object", expected=False)
    return Unsigned(
        _spelt_out(host),
        "it looks like a name of VPC Lattice's, and is none: those of services end in "
        ".vpc-lattice-svcs.REGION.on.aws",
        "check where it comes from; if it is yours, name it in hosts=[…]",
        expected=False,
    )


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


def by_scope(host: str, authority: str, patterns: Iterable[str]) -> Unsigned:
    """``hosts`` leaves out a Host header, or the host in its URL."""
    where = "" if host == authority else f", or {authority} in its URL is none"
    return Unsigned(
        host,
        f"it is none of hosts={list(patterns)!r}{where}",
        "name it there if it is VPC Lattice's",
        expected=True,
    )


def by_names(host: str, endpoint: Endpoint) -> Unsigned:
    """``names`` answer that a host is not VPC Lattice's."""
    answer = endpoint.source or "names say that it is not VPC Lattice's"
    advice = "if it is VPC Lattice's, give names a source that knows it"
    found = _FOREIGN.search(answer)
    if found is not None and _is_private(found[1]):
        advice = (
            "if it leads to a service-network endpoint, list the endpoint's subnets in "
            "DnsNames(networks=[…])"
        )
    # An answer of several parts: sources disagree, or one says what it could not find out. And a
    # name that leads to a managed name, at addresses that are not Lattice's.
    expected = "; " not in answer and endpoint.managed_name is None
    return Unsigned(host, answer, advice, expected)


# The answer of DnsNames for a name that leads elsewhere.
_FOREIGN = re.compile(r"DNS: (\S+) is not an address of Lattice's")


def _is_private(address: str) -> bool:
    from ipaddress import ip_address  # deferred: only for names that lead elsewhere

    try:
        found = ip_address(address)
    except ValueError:
        return False
    return found.is_private and not (found.is_loopback or found.is_link_local)


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
