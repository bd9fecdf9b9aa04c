"""Which hosts to sign for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from lattice_client.errors import ConfigurationError

__all__ = ["HostScope"]

# Answers that are remembered; a service calls few hosts.
_REMEMBERED = 1024


class HostScope:
    """The hosts that patterns name.

    :param patterns: names such as ``orders.example.com`` or ``*.example.com``, where ``*`` stands
        for any text; with a port, for that port alone.
    :raises ConfigurationError: for what is no pattern of a host name.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        if isinstance(patterns, str):
            raise ConfigurationError(f"hosts must be a list of patterns: hosts=[{patterns!r}]")
        self.patterns = tuple(map(_checked, cast("Iterable[object]", patterns)))
        # No fnmatch: to it, the brackets of an IPv6 address are a set of characters.
        texts = (re.escape(pattern).replace(r"\*", ".*") for pattern in self.patterns)
        self._matches = re.compile("|".join(texts) or "(?!)").fullmatch
        self._remembered: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"HostScope({list(self.patterns)!r})"

    def __contains__(self, host: str) -> bool:
        """Whether a Host header's value is one of them."""
        known = self._remembered.get(host)
        if known is None:
            known = self._decide(host)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered = {}
            self._remembered[host] = known
        return known

    def _decide(self, host: str) -> bool:
        name, port = _split(host.lower())
        return any(map(self._matches, (name, f"{name}:{port}")))


_PATTERN = re.compile(r"(?:[a-z0-9._*-]+|\[[0-9a-f:.*]+\])(?::[0-9*]+)?").fullmatch
_PORT = re.compile(r":[0-9*]*$")


def _split(host: str) -> tuple[str, str]:
    """Name and port; the dot that ends an absolute name makes it no other name."""
    port = _PORT.search(host)
    name = host[: port.start()] if port and not host.endswith("]") else host
    return name.removesuffix("."), port[0][1:] if port else ""


def _checked(pattern: object) -> str:
    """The pattern in lower case and IDNA."""
    text = pattern.lower() if isinstance(pattern, str) else ""
    if not text.isascii():
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
