"""What is read of an answer for our own purposes: how far, for how long, and what came."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["LONGEST", "PATIENCE", "is_whole", "known", "note", "patience", "too_long", "was_read"]


# The limits of what is read of an answer for our own purposes: bytes as they come over the wire,
# bytes after decompression, and seconds. Lattice's own refusals are one line.
LONGEST = 1 << 16


PATIENCE = 2.0


# The answer's attribute that says what was read of it: whether all came, and the plain body.
_AHEAD = "_lattice_ahead"


_NOTHING: tuple[bool, bytes | None] = (False, None)


# zlib's, for gzip and zlib alike, and for neither's header.
_ANY_HEADER, _NO_HEADER = 47, -15


_GZIP = b"\x1f\x8b"


def patience(
    deadline: float | None = None, began: float = 0.0, longest: float | None = None
) -> float:
    """For how many seconds an answer may be waited for.

    :param deadline: seconds that the whole call may take.
    :param began: when it began, by ``time.monotonic()``.
    :param longest: seconds, where the deadline leaves more. None: as long as an answer is read.
    """
    if longest is None:
        longest = PATIENCE
    if deadline is None:
        return longest
    return max(0.0, min(longest, began + deadline - time.monotonic()))


def known(response: Any) -> bytes | None:
    """The plain body, where it was read to its end within the limits."""
    body: bytes | None = getattr(response, _AHEAD, _NOTHING)[1]
    return body


def was_read(response: Any) -> bool:
    """Whether it was tried to read an answer."""
    return hasattr(response, _AHEAD)


def is_whole(response: Any) -> bool:
    """Whether the whole answer has come, so that its connection can be used again."""
    whole: bool = getattr(response, _AHEAD, _NOTHING)[0]
    return whole


def note(response: Any, raw: bytes | None, coding: str | None = None) -> bytes | None:
    """Keep what was read, and return the plain body.

    :param raw: the body; None where it did not come to its end.
    :param coding: the body's Content-Encoding, where the library has not undone it.
    """
    body = None if raw is None else _plain(raw, coding or "")
    setattr(response, _AHEAD, (raw is not None, body))
    return body


def too_long(headers: Any) -> bool:
    """Whether a body says that it is longer than what is read."""
    length = headers.get("Content-Length") or ""
    return length.isascii() and length.isdigit() and int(length[:9]) > LONGEST


def _plain(body: bytes, codings: str) -> bytes | None:
    """A body decompressed; None for what is damaged, longer than the limit, or in another coding
    than gzip and deflate."""
    for coding in reversed(codings.lower().split(",")):
        match coding.strip():
            case "" | "identity":
                plain: bytes | None = body
            case "gzip" | "x-gzip":
                plain = _inflated(body, _ANY_HEADER)
            case "deflate":
                plain = _inflated(body, _ANY_HEADER)
                plain = _inflated(body, _NO_HEADER) if plain is None else plain
            case _:
                plain = None
        if plain is None:
            return None
        body = plain
    return body


def _inflated(body: bytes, bits: int) -> bytes | None:
    import zlib

    # An answer to HEAD names the coding of a body that does not come.
    if not body:
        return body
    inflating = zlib.decompressobj(bits)
    try:
        plain = inflating.decompress(body, LONGEST + 1)
    except zlib.error:
        return None
    return plain if len(plain) <= LONGEST and inflating.eof else None
