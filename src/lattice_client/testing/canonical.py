"""The canonical form of a request, worked out from the bytes that arrived.

The rules are those of "Create a signed AWS API request" (IAM User Guide), read the way AWS's own C
runtime reads them where that text leaves room: each part of the query is decoded and encoded again,
dot segments and repeated slashes are resolved, the path is then encoded once more.

This is the verifier's own copy of the rules, on purpose: it shares no line with the signer that it
is there to check.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote_from_bytes, unquote_to_bytes

__all__ = [
    "Headers",
    "PathEncoding",
    "canonical_headers",
    "canonical_path",
    "canonical_query",
    "canonical_request",
    "header_values",
    "query_pairs",
    "string_to_sign",
]

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
PathEncoding: TypeAlias = Literal["double", "single"]

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_UNRESERVED_OR_SLASH = _UNRESERVED + b"/"


def canonical_path(
    raw: bytes, path_encoding: PathEncoding = "double", *, normalize: bool = True
) -> str:
    """The canonical path of a raw wire path (no query).

    ``double`` is SigV4's default: dot segments and repeated slashes are resolved, and every byte of
    the wire path but the unreserved ones and ``/`` is percent-encoded, escapes included. ``single``
    takes the wire path as it is. ``normalize=False`` leaves segments alone (AWS's test suite has
    such vectors).
    """
    if path_encoding == "single":
        return _text(raw or b"/")
    return _encoded(_resolve_segments(raw) if normalize else raw or b"/", _UNRESERVED_OR_SLASH)


def canonical_query(raw: bytes, *, leave_out: bytes = b"X-Amz-Signature") -> str:
    """The canonical query of a raw wire query (no ``?``), without the name ``leave_out``.

    Pairs are ordered by encoded name, then encoded value: ordering the joined text would put
    ``a-=1`` before ``a=2``.
    """
    encoded = sorted(
        [(_encoded(name), _encoded(value)) for name, value in query_pairs(raw) if name != leave_out]
    )
    return "&".join([f"{name}={value}" for name, value in encoded])


def query_pairs(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The decoded names and values of a raw query, in wire order.

    ``+`` stays a plus (only forms read it as a space), a malformed escape stays as it is, and the
    empty pieces of ``&&`` are skipped.
    """
    pairs = [piece.partition(b"=") for piece in raw.split(b"&") if piece]
    if raw.find(b"%") < 0:
        return [(name, value) for name, _, value in pairs]
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]


def canonical_headers(by_name: Mapping[str, Iterable[bytes]], signed: Iterable[str]) -> str:
    """The canonical header lines of the ``signed`` names (lower case), one line feed after each.

    :param by_name: all values of each header that was received.
    :raises KeyError: if a signed header was not received.
    """
    return "".join([f"{name}:{_canonical_value(by_name[name])}\n" for name in signed])


def _canonical_value(values: Iterable[bytes]) -> str:
    # bytes.split() splits on ASCII white space only, which is what AWS collapses; str.split() would
    # also take U+00A0 and friends for white space.
    return _text(b",".join([b" ".join(value.split()) for value in values]))


def header_values(headers: Headers, name: str) -> list[bytes]:
    """All values of the header ``name`` (lower case), in wire order."""
    wanted = name.encode("latin-1", "replace")
    return [value for key, value in headers if key.lower() == wanted]


def canonical_request(
    method: str, path: str, query: str, headers: str, signed: Sequence[str], payload_hash: str
) -> str:
    """The canonical request of parts that are canonical already."""
    return "\n".join((method, path, query, headers, ";".join(signed), payload_hash))


def string_to_sign(algorithm: str, date: str, scope: str, canonical: str) -> str:
    """What is signed: the algorithm, the time, the scope and the canonical request's hash."""
    digest = hashlib.sha256(_bytes(canonical)).hexdigest()
    return f"{algorithm}\n{date}\n{scope}\n{digest}"


def _encoded(raw: bytes, safe: bytes = _UNRESERVED) -> str:
    """Percent-encoded, but for the ``safe`` bytes."""
    if not raw.strip(safe):
        return raw.decode("ascii")  # As most are.
    return quote_from_bytes(raw, safe)


def _resolve_segments(raw: bytes) -> bytes:
    if raw.startswith(b"/") and raw.find(b"//") < 0 and raw.find(b"/.") < 0:
        return raw  # There are none to be resolved.
    segments: list[bytes] = []
    for segment in raw.split(b"/"):
        if segment == b"..":
            # At the root there is nothing to go up to: RFC 3986, section 5.2.4.
            segments = segments[:-1]
        elif segment not in (b"", b"."):
            segments.append(segment)
    # Only a slash that was sent at the very end stays: AWS's C runtime makes /a of /a/. and of
    # /a/b/.., where RFC 3986 would make /a/.
    trailing = b"/" if segments and raw.endswith(b"/") else b""
    return b"/" + b"/".join(segments) + trailing


def _text(raw: bytes) -> str:
    # Header values and single-encoded paths may hold any byte; surrogates carry those that are no
    # UTF-8 through str and back unharmed.
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
