"""Headers of any library's request or answer: those to sign, and those that a signature sets."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any, TypeVar

from lattice_client.signing import SIGNATURE_HEADERS

__all__ = [
    "add_to_httpx",
    "as_text",
    "httpx_host",
    "httpx_items",
    "requests_header",
    "set_httpx_signature",
    "set_signature",
    "signable",
    "strip_signature",
]

_Value = TypeVar("_Value", str, bytes)


def signable(
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


def requests_header(headers: Any, name: str) -> str | bytes | None:
    """A header of requests' own kind of mapping, which raises an error within for each that it does
    not have.

    :param name: in lower case.
    """
    store = getattr(headers, "_store", None)
    given: str | bytes | None
    if store is None:
        given = headers.get(name)
    else:
        _, given = store.get(name, _NOTHING)
    return given


_NOTHING = (None, None)


# --- httpx and httpx2 -------------------------------------------------------------------------
#
# Their mapping tries encodings on all headers, and goes through them for each one that is read or
# set: 45 µs of a request's time where their list takes 20.


def httpx_items(headers: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Each header's name as it was given, in lower case, and its value."""
    items: list[tuple[bytes, bytes, bytes]] | None = getattr(headers, "_list", None)
    return [(name, name.lower(), value) for name, value in headers.raw] if items is None else items


def httpx_host(headers: Any) -> str:
    """The Host header."""
    items = getattr(headers, "_list", None)
    if items is None:
        return str(headers.get("host", ""))
    given = b", ".join([value for _, name, value in items if name == b"host"])
    # What is not ASCII is refused later, whatever it says.
    return given.decode(errors="replace")


def add_to_httpx(headers: Any, name: str, value: str) -> None:
    """Set a header (name in lower case), unless it is there."""
    items, wire_name = httpx_items(headers), name.encode()
    if wire_name in [present for _, present, _ in items]:
        return
    if items is getattr(headers, "_list", None):
        items.append((wire_name, wire_name, value.encode()))
    else:
        headers[name] = value


def set_httpx_signature(headers: Any, signature: dict[str, str]) -> None:
    """As :func:`set_signature`."""
    items = getattr(headers, "_list", None)
    if items is None:
        set_signature(headers, signature, stale=True)
        return
    in_query = "Authorization" not in signature
    items[:] = [
        item
        for item in items
        if item[1] not in _OURS
        or (in_query and item[1] == b"authorization" and not item[2].startswith(b"AWS4-"))
    ]
    items += [
        (name, lowered, value.encode())
        for given, value in signature.items()
        for name, lowered in (_AS_BYTES[given],)
    ]


# Each name as it is sent, and in lower case.
_AS_BYTES = {
    name: (name.encode(), name.lower().encode()) for name in ("Authorization", *SIGNATURE_HEADERS)
}
_OURS = frozenset(lowered for _, lowered in _AS_BYTES.values())


# --- Redirects --------------------------------------------------------------------------------


def strip_signature(headers: MutableMapping[str, str]) -> None:
    """Remove what must not reach a stranger: every ``x-amz-*`` header, and Authorization."""
    for name in list(headers):
        if name.lower().startswith("x-amz-") or name.lower() == "authorization":
            headers.pop(name, None)
