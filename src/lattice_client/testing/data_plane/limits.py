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
    """Let a request pass, or not.

    :param http_version: as ASGI has it.
    :raises RefusedError: if it is of another version, has too many headers, too large ones, two
        kinds of length, a target that is no path, or would be a WebSocket. Those pass through
        listeners for TLS alone ("Listeners", User Guide), which the local Lattice has not; that
        others answer 400 is inferred.
    """
    if len(request.headers) > _MAX_HEADERS or request.header_bytes > _MAX_HEADER_BYTES:
        raise malformed("over 100 headers, or over 60 K of them")
    if http_version not in _VERSIONS:
        raise malformed("this version of HTTP is not spoken here")
    if "transfer-encoding" in request.by_name and "content-length" in request.by_name:
        # Two lengths are two opinions of where the next request begins: RFC 9112, section 6.1,
        # which wants the connection closed.
        raise malformed("there must not be both Transfer-Encoding and Content-Length", closes=True)
    if not request.path.startswith(b"/"):
        raise malformed("the target must be a path")
    for value in request.by_name.get("upgrade", ()):
        if b"websocket" in [token.strip(b" \t").lower() for token in value.split(b",")]:
            raise malformed("WebSockets pass through TLS listeners only, and this is none")
