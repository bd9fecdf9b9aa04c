"""Lattice's limits on a request. Source: "Quotas for Amazon VPC Lattice" (User Guide)."""

from __future__ import annotations

from typing import Final

from lattice_client.testing.refusals import malformed
from lattice_client.testing.verification.signature import WireRequest

__all__ = ["check_limits"]

_MAX_HEADERS: Final = 100
_VERSIONS: Final = {"1", "1.0", "1.1", "2", "2.0", "3"}  # "1" is granian's 1.0
_MAX_HEADER_BYTES: Final = 60 * 1024


def check_limits(request: WireRequest, http_version: str = "1.1") -> None:
    """Refuse a request that exceeds a limit.

    :param http_version: the scope's.
    :raises RefusedError: for another version of HTTP, too many or too large headers, two kinds of
        length, a target that is not a path, and a WebSocket. WebSockets pass only through TLS
        listeners ("Listeners", User Guide), which the local Lattice does not have. That other
        listeners answer 400 is inferred.
    """
    if len(request.headers) > _MAX_HEADERS or request.header_bytes > _MAX_HEADER_BYTES:
        raise malformed("over 100 headers, or over 60 K of them")
    if http_version not in _VERSIONS:
        raise malformed("this version of HTTP is not supported")
    if "transfer-encoding" in request.by_name and "content-length" in request.by_name:
        # Two lengths may disagree about where the next request begins. RFC 9112, section 6.1, wants
        # the connection closed.
        raise malformed("there must not be both Transfer-Encoding and Content-Length", closes=True)
    if not request.path.startswith(b"/"):
        raise malformed("the target must be a path")
    for value in request.by_name.get("upgrade", ()):
        if b"websocket" in [token.strip(b" \t").lower() for token in value.split(b",")]:
            raise malformed("WebSockets pass through TLS listeners only")
