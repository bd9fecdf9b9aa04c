"""A refusal's body, read for our own purposes: its limits, and what came of it.

It is read to find a remedy (``_auth/genuine_refusal.py``), to explain a denial (``denial``), and to
use a connection again.

The body is kept as an attribute of the response, so each is read once.
"""

from __future__ import annotations

import time
from typing import Any

__all__ = [
    "GZIP_MAGIC",
    "LONGEST",
    "PATIENCE",
    "is_whole",
    "known",
    "note",
    "patience",
    "too_long",
    "was_read",
]

# Bytes: the limit of a body, both as it comes over the wire and decompressed. Lattice's own
# refusals are one line.
LONGEST = 1 << 16
# Seconds: how long a body is waited for.
PATIENCE = 2.0

GZIP_MAGIC = b"\x1f\x8b"

# The response's attribute for what was read: whether all of it came, and the plain body.
_AHEAD = "_lattice_ahead"
_NOTHING: tuple[bool, bytes | None] = (False, None)

# wbits of zlib: for the headers of gzip and zlib alike, and for raw deflate.
_ANY_HEADER, _NO_HEADER = 47, -15


def patience(
    deadline: float | None = None, began: float = 0.0, longest: float | None = None
) -> float:
    """How many seconds to wait for an answer.

    :param deadline: seconds that the whole call may take.
    :param began: when it began, by ``time.monotonic()``.
    :param longest: seconds at most. None: as long as a body is waited for.
    """
    if longest is None:
        longest = PATIENCE
    if deadline is None:
        return longest
    return max(0.0, min(longest, began + deadline - time.monotonic()))


def known(response: Any) -> bytes | None:
    """The plain body; None where it was not read to its end within the limits."""
    body: bytes | None = getattr(response, _AHEAD, _NOTHING)[1]
    return body


def was_read(response: Any) -> bool:
    """Whether reading a response ahead was tried."""
    return hasattr(response, _AHEAD)


def is_whole(response: Any) -> bool:
    """Whether all of the answer has come, so that its connection can be used again."""
    whole: bool = getattr(response, _AHEAD, _NOTHING)[0]
    return whole


def note(response: Any, raw: bytes | None, coding: str | None = None) -> bytes | None:
    """Keep what was read, and return the plain body.

    :param raw: the body; None where it did not come to its end.
    :param coding: the body's Content-Encoding, where the library has not decoded it.
    """
    body = None if raw is None else _decoded(raw, coding or "")
    setattr(response, _AHEAD, (raw is not None, body))
    return body


def too_long(headers: Any) -> bool:
    """Whether Content-Length is over the limit."""
    length = headers.get("Content-Length") or ""
    return length.isascii() and length.isdigit() and int(length[:9]) > LONGEST


def _decoded(body: bytes, codings: str) -> bytes | None:
    """A body without its codings; None if it is damaged, longer than the limit, or in another
    coding than gzip and deflate."""
    for coding in reversed(codings.lower().split(",")):
        match coding.strip():
            case "" | "identity":
                plain: bytes | None = body
            case "gzip" | "x-gzip":
                plain = _inflate(body, _ANY_HEADER)
            case "deflate":
                plain = _inflate(body, _ANY_HEADER)
                plain = _inflate(body, _NO_HEADER) if plain is None else plain
            case _:
                plain = None
        if plain is None:
            return None
        body = plain
    return body


def _inflate(body: bytes, bits: int) -> bytes | None:
    import zlib

    # An answer to HEAD names the coding of a body that is not sent.
    if not body:
        return body
    inflating = zlib.decompressobj(bits)
    try:
        plain = inflating.decompress(body, LONGEST + 1)
    except zlib.error:
        return None
    return plain if len(plain) <= LONGEST and inflating.eof else None
