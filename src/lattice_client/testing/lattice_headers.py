"""The headers that only Lattice may set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.testing.model.callers import Principal

__all__ = ["identity_tags", "is_lattices_own"]


_STRIPPED = {
    b"x-amzn-requestid",
    b"x-forwarded-for",
    b"x-forwarded-port",
    b"x-forwarded-proto",
}


_STRIPPED_PREFIX = b"x-amzn-lattice-"


@lru_cache(maxsize=1024)
def is_lattices_own(name: bytes) -> bool:
    """Whether a header is one that Lattice alone writes, however a client spells it."""
    if name[:2] not in (b"x-", b"x_", b"X-", b"X_"):
        return False
    plain = name.lower().replace(b"_", b"-")
    return plain in _STRIPPED or plain.startswith(_STRIPPED_PREFIX)


def identity_tags(principal: Principal) -> str:
    """``x-amzn-lattice-identity-tags`` of a caller: three fields of Lattice's, then its tags."""
    fields = [
        ("principal", principal.arn),
        ("principalorgid", principal.organization or ""),
        ("principalorgpath", _organization_path(principal)),
    ]
    return _joined([*fields, *principal.tags.items()])


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    """A ``;`` inside a key or value is escaped."""
    return ";".join([f"{key}={value}".replace(";", "\\;") for key, value in pairs])


def _organization_path(principal: Principal) -> str:
    # An account stands at one place of its organization: the condition key alone is a list.
    return next(iter(principal.organization_paths), "")
