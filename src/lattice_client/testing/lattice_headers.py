"""The request headers that only Lattice sets, and the value of its identity tags."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.testing.model.callers import Principal

__all__ = ["identity_tags", "is_lattices_own"]

_OWN = {
    b"x-amzn-requestid",
    b"x-forwarded-for",
    b"x-forwarded-port",
    b"x-forwarded-proto",
}
_OWN_PREFIX = b"x-amzn-lattice-"


@lru_cache(maxsize=1024)
def is_lattices_own(name: bytes) -> bool:
    """Whether only Lattice may write this header. Case and ``_`` for ``-`` make no difference."""
    if name[:2] not in (b"x-", b"x_", b"X-", b"X_"):
        return False
    plain = name.lower().replace(b"_", b"-")
    return plain in _OWN or plain.startswith(_OWN_PREFIX)


def identity_tags(principal: Principal) -> str:
    """A caller's ``x-amzn-lattice-identity-tags``: three fields of Lattice's, then the tags."""
    fields = [
        ("principal", principal.arn),
        ("principalorgid", principal.organization or ""),
        ("principalorgpath", _organization_path(principal)),
    ]
    return _joined([*fields, *principal.tags.items()])


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    """Join ``key=value`` pairs by ``;``, which is escaped inside a key or a value."""
    return ";".join([f"{key}={value}".replace(";", "\\;") for key, value in pairs])


def _organization_path(principal: Principal) -> str:
    # An account has one path in its organization; only the condition key is a list.
    return next(iter(principal.organization_paths), "")
