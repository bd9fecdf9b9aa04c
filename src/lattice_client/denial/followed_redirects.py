"""Redirects that were followed before a refusal, and what to do about them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from lattice_client._wire.urls import REDIRECTS, leaves_tls, origin_of

__all__ = ["UNSIGNED_AFTER", "Redirection", "redirection_of", "redirection_urls"]

Redirection = Literal["to http", "to another origin", "on one origin"]

UNSIGNED_AFTER: dict[Redirection, str] = {
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
"""What to do where a redirect has led to a request that is not signed."""


def redirection_urls(response: Any) -> list[str]:
    """The URLs of the answers that redirected, and of the response; empty where none did."""
    redirects = [
        str(one.url)
        for one in getattr(response, "history", ())
        # requests' history also holds refusals that had a remedy.
        if getattr(one, "status_code", getattr(one, "status", None)) in REDIRECTS
    ]
    return [*redirects, str(response.url)] if redirects else []


def redirection_of(urls: Sequence[str]) -> Redirection | None:
    """What redirects have done: the first that leaves the origin decides, because what follows it
    is not signed.

    :param urls: the URL that was called and each that a redirect led to.
    """
    origins = [origin_of(url) for url in urls]
    for before, after in pairwise(origins):
        if leaves_tls(before, after):
            return "to http"
        if before != after:
            return "to another origin"
    return "on one origin" if origins else None
