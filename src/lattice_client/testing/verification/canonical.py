"""The canonical form of a request, computed from the bytes that arrived.

The rules are those of "Create a signed AWS API request" (IAM User Guide), read as AWS's own C
runtime reads them where that text is ambiguous: each part of the query is decoded and encoded
again, dot segments and repeated slashes are resolved, then the path is encoded once more. Where
signers are known to differ, a word chooses: ``PathEncoding``, ``QueryPlus``.

The verifier has its own copy of the rules on purpose: it shares no line with the signer that it
checks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, cast, get_args
from urllib.parse import quote_from_bytes, unquote_to_bytes

__all__ = [
    "Headers",
    "PathEncoding",
    "QueryPlus",
    "canonical_headers",
    "canonical_path",
    "canonical_queries",
    "canonical_query",
    "canonical_request",
    "check_path_encoding",
    "check_query_plus",
    "header_values",
    "query_pairs",
    "string_to_sign",
]

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
PathEncoding: TypeAlias = Literal["double", "double-raw", "single"]
QueryPlus: TypeAlias = Literal["either", "space", "plus"]

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_UNRESERVED_OR_SLASH = _UNRESERVED + b"/"


def check_path_encoding(word: str) -> PathEncoding:
    """The word, if it is one of ``PathEncoding``.

    :raises ValueError: if it is not.
    """
    if word not in get_args(PathEncoding):
        raise ValueError(f"path_encoding must be 'double', 'double-raw' or 'single', not {word!r}")
    return cast("PathEncoding", word)


def check_query_plus(word: str) -> QueryPlus:
    """The word, if it is one of ``QueryPlus``.

    :raises ValueError: if it is not.
    """
    if word not in get_args(QueryPlus):
        raise ValueError(f"query_plus must be 'either', 'space' or 'plus', not {word!r}")
    return cast("QueryPlus", word)


def canonical_path(raw: bytes, path_encoding: PathEncoding = "double") -> str:
    """The canonical path of a raw wire path (no query).

    ``double`` is SigV4's default: dot segments and repeated slashes are resolved, and every byte of
    the wire path except the unreserved ones and ``/`` is percent-encoded, escapes included.
    ``double-raw`` encodes in the same way and resolves nothing, as AWS's Go SDK does, and AWS's
    test suite in its vectors without normalisation. ``single`` takes the wire path unchanged.
    """
    if path_encoding == "single":
        return _text(raw or b"/")
    if path_encoding == "double-raw":
        return _encoded(raw or b"/", _UNRESERVED_OR_SLASH)
    return _encoded(_resolve_segments(raw), _UNRESERVED_OR_SLASH)


def canonical_queries(raw: bytes, query_plus: QueryPlus) -> list[str]:
    """The canonical queries that the signature of a raw wire query may cover.

    There is one, unless the query has a raw ``+``: a signer may read that as a space (``%20``) or a
    plus sign (``%2B``). Which of the two Lattice reads is not published.
    """
    if b"+" not in raw:
        return [canonical_query(raw)]
    queries = []
    if query_plus != "plus":
        queries.append(canonical_query(raw.replace(b"+", b"%20")))
    if query_plus != "space":
        queries.append(canonical_query(raw))
    return queries


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

    A raw ``+`` stays (see ``canonical_queries``); so does a malformed escape. The empty parts of
    ``&&`` are skipped.
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
    # bytes.split() splits on ASCII white space only, as AWS does; str.split() would also split on
    # U+00A0 and the like.
    return _text(b",".join([b" ".join(value.split()) for value in values]))


def header_values(headers: Headers, name: str) -> list[bytes]:
    """All values of the header ``name`` (lower case), in wire order."""
    wanted = name.encode("latin-1", "replace")
    return [value for key, value in headers if key.lower() == wanted]


def canonical_request(
    method: str, path: str, query: str, headers: str, signed: Sequence[str], payload_hash: str
) -> str:
    """The canonical request, from parts that are canonical already."""
    return "\n".join((method, path, query, headers, ";".join(signed), payload_hash))


def string_to_sign(algorithm: str, date: str, scope: str, canonical: str) -> str:
    """The string to sign: algorithm, time, scope and the canonical request's hash."""
    digest = hashlib.sha256(_bytes(canonical)).hexdigest()
    return f"{algorithm}\n{date}\n{scope}\n{digest}"


def _encoded(raw: bytes, safe: bytes = _UNRESERVED) -> str:
    """Percent-encoded, except the ``safe`` bytes."""
    if not raw.strip(safe):
        return raw.decode("ascii")  # The usual case.
    return quote_from_bytes(raw, safe)


def _resolve_segments(raw: bytes) -> bytes:
    if raw.startswith(b"/") and raw.find(b"//") < 0 and raw.find(b"/.") < 0:
        return raw  # The usual case: nothing to resolve.
    segments: list[bytes] = []
    for segment in raw.split(b"/"):
        if segment == b"..":
            # At the root ".." is dropped: RFC 3986, section 5.2.4.
            segments = segments[:-1]
        elif segment not in (b"", b"."):
            segments.append(segment)
    # Only a slash sent at the very end stays: AWS's C runtime resolves /a/. and /a/b/.. to /a, and
    # RFC 3986 to /a/.
    trailing = b"/" if segments and raw.endswith(b"/") else b""
    return b"/" + b"/".join(segments) + trailing


def _text(raw: bytes) -> str:
    # Header values and single-encoded paths may hold any byte; surrogates carry bytes that are not
    # UTF-8 through str and back.
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
