"""Which requests to sign: those whose Host header and URL both match a pattern of ``hosts``.

A Host header says which host a request is for, the URL where its bytes go. A signature and the
session token beside it must go only to the host that they are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, cast

from lattice_client.errors import ConfigurationError
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.unsigned import is_resource

__all__ = ["HostMatch", "HostScope", "is_trusted_destination"]

HostMatch = Literal["both", "header"]

# Decisions; a program calls few hosts.
_MAX_DECISIONS = 1024


class HostScope:
    """The hosts that match one of some patterns.

    :param patterns: names such as ``orders.example.com`` or ``*.example.com``, where ``*`` stands
        for any letters, digits, hyphens, underscores and dots; with a port, only for that port.
        ``*`` alone stands for any host.
    :param match: ``both``: the Host header has to match, and so does the URL, unless it names an
        address, this machine or VPC Lattice (:func:`is_trusted_destination`). ``header``: only the
        Host header has to match.
    :param resources: whether resources of VPC Lattice (``….vpc-lattice-rsc.REGION.on.aws``) can
        match. Their owners get the bytes, and VPC Lattice verifies no signature there.
    :raises ConfigurationError: for no patterns, and for one that is no pattern of a host name.
    """

    def __init__(
        self, patterns: Iterable[str], match: HostMatch = "both", *, resources: bool = True
    ) -> None:
        if isinstance(patterns, str):
            raise ConfigurationError(f"hosts must be a list of patterns: hosts=[{patterns!r}]")
        self.patterns = tuple(map(_normal_pattern, cast("Iterable[object]", patterns)))
        if not self.patterns:
            raise ConfigurationError(
                "hosts is empty, so nothing would be signed: name the hosts to sign for, or "
                "hosts=None for all; to send a request unsigned, leave the auth object out"
            )
        if not resources and (barred := next(filter(is_resource, self.patterns), None)):
            raise ConfigurationError(
                f"{barred!r} in hosts names resources of VPC Lattice, where no signature is "
                "verified and the owner would get the session token: leave it out, and call it "
                "without an auth object"
            )
        self._match = match
        self._resources = resources
        self._globs = [
            (name.split("*"), port.split("*") if port else None)
            for name, port in map(_split, self.patterns)
        ]
        self._decisions: dict[tuple[str, str], bool] = {}

    def __repr__(self) -> str:
        return f"HostScope({list(self.patterns)!r})"

    def __contains__(self, host: str) -> bool:
        """Whether a host matches, as both the URL's and the Host header's."""
        return self.covers(host, host)

    def covers(self, host: str, authority: str) -> bool:
        """Whether a request is to be signed.

        :param host: its Host header.
        :param authority: the host, and the port if there is one, in its URL.
        """
        key = host, authority
        decided = self._decisions.get(key)
        if decided is None:
            decided = self._decide(host, authority)
            if len(self._decisions) >= _MAX_DECISIONS:
                self._decisions = {}
            self._decisions[key] = decided
        return decided

    def _decide(self, host: str, authority: str) -> bool:
        if not self._matches(host):
            return False
        if not self._resources and (is_resource(host) or is_resource(authority)):
            return False
        return (
            self._match == "header"
            or host == authority
            or self._matches(authority)
            or is_trusted_destination(authority)
        )

    def _matches(self, host: str) -> bool:
        if not _is_host(host):
            return False
        name, port = _split(host.lower())
        return any(
            _fits(name_glob, name) and (port_glob is None or _fits(port_glob, port))
            for name_glob, port_glob in self._globs
        )


def is_trusted_destination(authority: str) -> bool:
    """Whether a URL names an address, this machine or VPC Lattice. Then any Host header may differ.

    The caller chose an address directly, as for a tunnel, without a name server. VPC Lattice's own
    names (of a service or a service-network endpoint, not of a resource) lead to VPC Lattice, which
    finds the service by the Host header.
    """
    if not _is_host(authority):
        return False
    name, _ = _split(authority.lower())
    if name == "localhost":  # always a loopback address (RFC 6761, section 6.3)
        return True
    managed = managed_endpoint(name)
    return managed.is_lattice if managed else _is_address(name)


def _is_address(name: str) -> bool:
    from ipaddress import ip_address  # deferred: few requests get here

    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


# --- Host headers -----------------------------------------------------------------------------

# One host. Servers and proxies read anything else (a comma, white space, an "@", an escape) in
# different ways, so it matches no pattern.
# With re.IGNORECASE it takes twice as long.
_LABEL = "[A-Za-z0-9_-]+"
_HOST = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\])(?::[0-9]*)?"
).fullmatch


def _is_host(host: str) -> bool:
    return _HOST(host) is not None


_PORT = re.compile(r":[0-9*]*$")


def _split(host: str) -> tuple[str, str]:
    """Name, without the final dot of an absolute name, and port."""
    port = _PORT.search(host)
    name = host[: port.start()] if port and not host.endswith("]") else host
    return name.removesuffix("."), port[0][1:] if port else ""


# --- Patterns ---------------------------------------------------------------------------------

_PATTERN = re.compile(r"(?:[a-z0-9._*-]+|\[[0-9a-f:.*]+\])(?::[0-9*]+)?").fullmatch


def _normal_pattern(pattern: object) -> str:
    """The pattern in lower case and IDNA."""
    text = pattern.lower() if isinstance(pattern, str) else ""
    if not text.isascii():
        _refuse_ambiguous_letters(pattern, text)
        try:
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            text = ""
    if not _PATTERN(text):
        raise ConfigurationError(
            f"{pattern!r} in hosts is no host name; give names such as 'orders.example.com', "
            "'*.example.com' or '[::1]:8443', without scheme, path and white space"
        )
    name, port = _split(text)
    if port in ("80", "443"):
        raise ConfigurationError(
            f"{pattern!r} in hosts has a scheme's own port, which no Host header has: "
            f"leave it out, {name!r}"
        )
    return f"{name}:{port}" if port else name


# The four characters for which IDNA 2003 (Python's codec) and IDNA 2008 (the HTTP libraries) give
# different names: sharp s, final sigma, and the two invisible joiners ("Unicode IDNA Compatibility
# Processing", UTS #46, section 6).
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")


def _refuse_ambiguous_letters(pattern: object, text: str) -> None:
    from unicodedata import normalize  # deferred: few patterns are not ASCII

    if found := _DEVIATIONS.intersection(text + normalize("NFKC", text)):
        raise ConfigurationError(
            f"{pattern!r} in hosts has {min(found)!a}, which IDNA 2003 and IDNA 2008 encode "
            "differently: give the name in its 'xn--' form"
        )


def _fits(pieces: list[str], text: str) -> bool:
    """Whether a text consists of these pieces with any characters between them.

    Each piece is matched where it is first found, so the time is linear in the text. A regular
    expression would try every place for every star.
    """
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return text == first
    begin, end = len(first), len(text) - len(last)
    if begin > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in pieces[1:-1]:
        found = text.find(piece, begin, end)
        if found < 0:
            return False
        begin = found + len(piece)
    return True
