"""The mark on a request, or on its response, that says why it went out unsigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lattice_client.names.unsigned import Unsigned

__all__ = ["mark_unsigned", "pass_mark_on", "unsigned_mark"]

# An attribute: no library takes those along to the request that follows a redirect.
_MARK = "_lattice_client_unsigned"


def mark_unsigned(sent: Any, unsigned: Unsigned) -> None:
    """:param sent: the library's own request or response."""
    setattr(sent, _MARK, unsigned)


def unsigned_mark(sent: Any) -> Unsigned | None:
    """Why a request went out unsigned. None: it was signed, or by no auth object of ours."""
    return getattr(sent, _MARK, None)


def pass_mark_on(request: Any, response: Any) -> None:
    """To the response, where the library's does not lead to the request."""
    unsigned = unsigned_mark(request)
    if unsigned is not None:
        mark_unsigned(response, unsigned)
