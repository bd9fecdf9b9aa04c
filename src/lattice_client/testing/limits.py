"""Lattice's limits on a request. Source: "Quotas for Amazon VPC Lattice" (User Guide)."""

from __future__ import annotations

from typing import Final

from lattice_client.testing.refusals import malformed
from lattice_client.testing.signature import WireRequest

__all__ = ["check_limits"]

_MAX_HEADERS: Final = 100
_MAX_HEADER_BYTES: Final = 60 * 1024


def check_limits(request: WireRequest) -> None:
    """Let a request pass, or not.

    :raises RefusedError: if it has too many headers, too large ones, or a target that is no path.
    """
    size = sum(len(name) + len(value) for name, value in request.headers)
    if len(request.headers) > _MAX_HEADERS or size > _MAX_HEADER_BYTES:
        raise malformed("over 100 headers, or over 60 K of them")
    if not request.path.startswith(b"/"):
        raise malformed("the target must be a path")
