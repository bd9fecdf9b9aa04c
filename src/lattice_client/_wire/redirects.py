"""Redirects: which origin a call was made to when aiohttp follows one, and what to say of them.

aiohttp makes a new request for each hop of a redirect and calls its middlewares for it; the hook
must not sign one for a stranger that the call's own server has named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

from lattice_client._wire.aiohttp import _REMEMBERED
from lattice_client._wire.urls import REDIRECTS, leaves_tls, origin_of

__all__ = ["UNSIGNED_TURNS", "RedirectLog", "Turn", "turn_of", "way_of"]


class RedirectLog:
    """Logs redirects from ``https`` to ``http`` on one host at WARNING, once for each host.

    May be used from many threads at once.
    """

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def note(self, allowed_origins: Iterable[str], origin: str) -> None:
        """Log a redirect that leaves its call's origins, if it is such a one.

        :param allowed_origins: the origins that the call was made to.
        :param origin: the one that the redirect leads to.
        """
        if not any(leaves_tls(before, origin) for before in allowed_origins):
            return
        host = origin.partition("://")[2]
        if host in self._seen:
            return
        if len(self._seen) >= _REMEMBERED:
            self._seen = {}
        self._seen[host] = None
        import logging  # loaded for the first that is told

        logging.getLogger("lattice_client.redirects").warning(
            "a redirect leads from https:// to http:// on %s, and what follows it is not signed: "
            "TLS ends at VPC Lattice, and the application behind it has to heed X-Forwarded-Proto",
            host,
        )


# --- For those who explain a refusal ----------------------------------------------------------

Turn = Literal["to http", "to another origin", "on one origin"]

# What to do where a redirect has led to a request that is not signed.
UNSIGNED_TURNS: dict[Turn, str] = {
    "to http": (
        "A redirect led from https:// to http:// on the same host and was followed unsigned, for "
        "TLS ends at VPC Lattice and the application behind it takes its calls for http:// ones: "
        "let the application heed X-Forwarded-Proto, or call the URL that it redirects to, with "
        "https://."
    ),
    "to another origin": (
        "A redirect led to another origin (scheme, host or port) and was followed unsigned: call "
        "the URL that it led to, if that is a service of yours."
    ),
    "on one origin": (
        "A redirect was followed unsigned, as requests does with an auth hook: use "
        "lattice_client.requests.Session, which signs what follows a redirect, or call the URL "
        "that it led to."
    ),
}


def way_of(response: Any) -> list[str]:
    """The URLs of the answers that redirected, and of the response; empty where none did."""
    redirects = [
        str(one.url)
        for one in getattr(response, "history", ())
        # requests' history also holds refusals that had a remedy.
        if getattr(one, "status_code", getattr(one, "status", None)) in REDIRECTS
    ]
    return [*redirects, str(response.url)] if redirects else []


def turn_of(way: Sequence[str]) -> Turn | None:
    """What redirects have done: the first that leaves the origin, if one does, for what follows it
    is not signed."""
    origins = [origin_of(url) for url in way]
    for before, after in pairwise(origins):
        if leaves_tls(before, after):
            return "to http"
        if before != after:
            return "to another origin"
    return "on one origin" if origins else None
