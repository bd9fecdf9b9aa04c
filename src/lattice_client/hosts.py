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
        self.patterns = tuple(patterns)
        for pattern in cast("tuple[object, ...]", self.patterns):
            if not isinstance(pattern, str) or not pattern or "/" in pattern:
                raise ConfigurationError(
                    f"{pattern!r} in hosts is no host name; give names such as "
                    "'orders.example.com' or '*.example.com', without scheme and path"
                )
        # No fnmatch: to it, the brackets of an IPv6 address are a set of characters.
        texts = (re.escape(pattern.lower()).replace(r"\*", ".*") for pattern in self.patterns)
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
        name = host.lower()
        without_port = re.sub(r":\d*$", "", name)
        forms = (name, without_port, without_port.removesuffix("."))
        return any(self._matches(form) for form in forms)
