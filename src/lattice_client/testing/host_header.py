"""The name and the port in a ``Host`` header."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["host_name", "host_port", "is_loopback"]


# Consecutive requests mostly have the same Host.
@lru_cache(maxsize=256)
def host_name(host: str) -> str:
    """The name in a ``Host``: lower case, without port, brackets and final dot."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


@lru_cache(maxsize=256)
def host_port(host: str) -> int | None:
    """The port in a ``Host``; None if there is none."""
    after_brackets = host.rpartition("]")[2]
    port = after_brackets.rpartition(":")[2] if ":" in after_brackets else ""
    return int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None  # noqa: PLR2004


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether a host name is ``localhost`` or a loopback address."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
