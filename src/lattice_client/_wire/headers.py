"""Headers of any library's request or answer: those to sign, and those that a signature sets."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import TypeVar

from lattice_client.signing import SIGNATURE_HEADERS

__all__ = ["as_text", "headers_to_sign", "set_signature", "strip_signature"]

_Value = TypeVar("_Value", str, bytes)


def headers_to_sign(
    pairs: Iterable[tuple[str, _Value]], names: frozenset[str]
) -> tuple[list[tuple[str, _Value]], bool]:
    """Those of the headers to be signed, names in lower case, and whether an earlier signature is
    among the others."""
    found, signed_before = [], False
    for given_name, value in pairs:
        name = given_name.lower()
        if name in SIGNATURE_HEADERS:
            signed_before = True
        elif name.startswith("x-amz-") or name in names:
            found.append((name, value))
    return found, signed_before


def as_text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def set_signature(
    present: MutableMapping[str, str], headers: dict[str, str], *, stale: bool
) -> None:
    """Set the headers of a signature.

    :param stale: whether those of an earlier one are among the present ones.
    """
    if stale:
        for name in SIGNATURE_HEADERS.difference(headers):
            present.pop(name, None)
    # With the signature in the query, Authorization may hold somebody's own token.
    if "Authorization" not in headers and as_text(present.get("Authorization", "")).startswith(
        "AWS4-"
    ):
        del present["Authorization"]
    for name, value in headers.items():
        present[name] = value


# --- httpx and httpx2 -------------------------------------------------------------------------
#
# Their mapping tries encodings on all headers, and goes through them for each one that is read or
# set: 45 µs of a request's time where their list takes 20.


# --- Redirects --------------------------------------------------------------------------------


def strip_signature(headers: MutableMapping[str, str]) -> None:
    """Remove what must not reach a stranger: every ``x-amz-*`` header, and Authorization."""
    for name in list(headers):
        if name.lower().startswith("x-amz-") or name.lower() == "authorization":
            headers.pop(name, None)
