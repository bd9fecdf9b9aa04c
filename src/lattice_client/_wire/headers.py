"""The headers that a signature covers and sets, for any library's mapping of headers."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import TypeVar

from lattice_client.signing import SIGNATURE_HEADERS

__all__ = ["as_text", "headers_to_sign", "own_authorization", "set_signature", "strip_signature"]

_Value = TypeVar("_Value", str, bytes)


def headers_to_sign(
    pairs: Iterable[tuple[str, _Value]], names: frozenset[str]
) -> tuple[list[tuple[str, _Value]], bool]:
    """The headers to sign, names in lower case, and whether the others hold an earlier signature.

    :param names: of headers to sign beside ``x-amz-*``, in lower case.
    """
    found, signed_before = [], False
    for given_name, value in pairs:
        name = given_name.lower()
        if name in SIGNATURE_HEADERS:
            signed_before = True
        elif name.startswith("x-amz-") or name in names:
            found.append((name, value))
    return found, signed_before


def set_signature(
    present: MutableMapping[str, str], headers: dict[str, str], *, stale: bool
) -> None:
    """Set the headers of a signature.

    :param stale: whether those of an earlier one are among the present ones.
    """
    if stale:
        for name in SIGNATURE_HEADERS.difference(headers):
            present.pop(name, None)
    # With a signature in the query, Authorization may hold the caller's own token: it stays.
    if "Authorization" not in headers and as_text(present.get("Authorization", "")).startswith(
        "AWS4-"
    ):
        del present["Authorization"]
    for name, value in headers.items():
        present[name] = value


def strip_signature(headers: MutableMapping[str, str], moved_authorization: str | None) -> None:
    """Remove what must not reach a foreign origin: every ``x-amz-*`` header, and Authorization.

    :param moved_authorization: the header that holds the caller's own Authorization, if any.
    """
    names = {"authorization", (moved_authorization or "authorization").lower()}
    for name in list(headers):
        if name.lower().startswith("x-amz-") or name.lower() in names:
            headers.pop(name, None)


def own_authorization(values: Iterable[str | bytes]) -> str | bytes | None:
    """The caller's own among the values of Authorization. A signature of an earlier attempt is
    none, and neither is one of another SigV4 signer.

    :returns: None where there is none. Several are joined, as servers read them.
    """
    own = [value for value in values if value and not _is_signature(value)]
    if len(own) > 1:
        return ", ".join(map(as_text, own))
    return own[0] if own else None


def _is_signature(authorization: str | bytes) -> bool:
    return as_text(authorization).lstrip()[:5].upper() == "AWS4-"


def as_text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
