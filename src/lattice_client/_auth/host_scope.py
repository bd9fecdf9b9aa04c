"""Which requests to sign: those whose Host header and URL both name a host of ours.

A Host header says whom a request is meant for, the URL where its bytes go. A signature, and the
session token beside it, must go to no other place than the host that it is meant for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, cast

from lattice_client.errors import ConfigurationError
from lattice_client.names.managed import managed_endpoint

__all__ = ["HostMatch", "HostScope", "leads_to_no_stranger"]

HostMatch = Literal["both", "header"]

# Answers that are remembered; a service calls few hosts.
_REMEMBERED = 1024


class HostScope:
    """The hosts that patterns name.

    :param patterns: names such as ``orders.example.com`` or ``*.example.com``, where ``*`` stands
        for any letters, digits, hyphens, underscores and dots; with a port, for that port alone.
        ``*`` alone stands for any host.
    :param match: ``both``: the URL has to name one of them as well as the Host header, or to name
        an address, this machine or VPC Lattice (:func:`leads_to_no_stranger`); ``header``: the Host
        header alone counts.
    :raises ConfigurationError: for no patterns, and for what is no pattern of a host name.
    """

    def __init__(self, patterns: Iterable[str], match: HostMatch = "both") -> None:
        if isinstance(patterns, str):
            raise ConfigurationError(f"hosts must be a list of patterns: hosts=[{patterns!r}]")
        self.patterns = tuple(map(_checked, cast("Iterable[object]", patterns)))
        if not self.patterns:
            raise ConfigurationError(
                "hosts is empty, so nothing would be signed: name the hosts to sign for, or "
                "hosts=None for all; to send a request unsigned, leave the auth object out"
            )
        self._match = match
        self._globs = [
            (name.split("*"), port.split("*") if port else None)
            for name, port in map(_split, self.patterns)
        ]
        self._remembered: dict[tuple[str, str], bool] = {}

    def __repr__(self) -> str:
        return f"HostScope({list(self.patterns)!r})"

    def __contains__(self, host: str) -> bool:
        """Whether the host of a URL, which is its Host header too, is one of them."""
        return self.covers(host, host)

    def covers(self, host: str, authority: str) -> bool:
        """Whether a request is to be signed.

        :param host: its Host header.
        :param authority: the host, and the port if there is one, in its URL.
        """
        key = host, authority
        known = self._remembered.get(key)
        if known is None:
            known = self._decide(host, authority)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered = {}
            self._remembered[key] = known
        return known

    def _decide(self, host: str, authority: str) -> bool:
        if not self._names(host):
            return False
        return (
            self._match == "header"
            or host == authority
            or self._names(authority)
            or leads_to_no_stranger(authority)
        )

    def _names(self, host: str) -> bool:
        if not _is_host(host):
            return False
        name, port = _split(host.lower())
        return any(
            _fits(of_name, name) and (of_port is None or _fits(of_port, port))
            for of_name, of_port in self._globs
        )


def leads_to_no_stranger(authority: str) -> bool:
    """Whether a URL names an address, this machine or VPC Lattice, whatever its Host header says.

    An address is the caller's own choice, as for a tunnel, and no name server is asked. VPC
    Lattice's own names (of a service or a service-network endpoint, not of a resource) lead to VPC
    Lattice, which finds the service by the Host header.
    """
    if not _is_host(authority):
        return False
    name, _ = _split(authority.lower())
    if name == "localhost":  # a loopback address everywhere (RFC 6761, section 6.3)
        return True
    managed = managed_endpoint(name)
    return managed.is_lattice if managed else _is_address(name)


def _is_address(name: str) -> bool:
    from ipaddress import ip_address  # for the few that have another Host header than their URL's

    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


# --- Host headers -----------------------------------------------------------------------------

# Of one host. Anything else that servers and proxies might read in two ways (a comma, white space,
# an "@", an escape) is no host of ours.
_HOST = re.compile(
    r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+(?:%[a-z0-9._~-]+)?\])(?::[0-9]*)?",
    re.IGNORECASE | re.ASCII,
).fullmatch


def _is_host(host: str) -> bool:
    return _HOST(host) is not None


_PORT = re.compile(r":[0-9*]*$")


def _split(host: str) -> tuple[str, str]:
    """Name and port; the dot that ends an absolute name makes it no other name."""
    port = _PORT.search(host)
    name = host[: port.start()] if port and not host.endswith("]") else host
    return name.removesuffix("."), port[0][1:] if port else ""


# --- Patterns ---------------------------------------------------------------------------------

_PATTERN = re.compile(r"(?:[a-z0-9._*-]+|\[[0-9a-f:.*]+\])(?::[0-9*]+)?").fullmatch


def _checked(pattern: object) -> str:
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
    from unicodedata import normalize  # for the few patterns that are not ASCII

    if found := _DEVIATIONS.intersection(text + normalize("NFKC", text)):
        raise ConfigurationError(
            f"{pattern!r} in hosts has {min(found)!a}, which IDNA 2003 and IDNA 2008 encode "
            "differently: give the name in its 'xn--' form"
        )


def _fits(pieces: list[str], text: str) -> bool:
    """Whether a text is these pieces with anything between them.

    Each piece is taken where it is first found, so the time is linear in the text; a regular
    expression tries all places of all stars.
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
