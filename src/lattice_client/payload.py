"""A request's body: its hash, for the services that want one, and whether it can be sent again."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from lattice_client.errors import UnsignablePayloadError
from lattice_client.signing import EMPTY_PAYLOAD

__all__ = ["file_at", "payload_hash", "put_back", "repeatable", "unsignable"]

_CHUNK = 1 << 20


def payload_hash(body: object) -> str:
    """The SHA-256 of a body, in hex, with the body left as it was.

    :param body: None, bytes-like, str (sent as UTF-8), or a file that can be rewound; a file is
        read from where it stands and put back there.
    :raises UnsignablePayloadError: for anything that can be read but once, or whose bytes are not
        known before they are sent.
    """
    if body is None:
        return EMPTY_PAYLOAD
    if isinstance(body, str):
        return sha256(body.encode()).hexdigest()
    if isinstance(body, bytes | bytearray | memoryview):
        try:
            return sha256(body).hexdigest()
        except (BufferError, ValueError):  # a memoryview with gaps, or released
            raise UnsignablePayloadError(
                "the body is a memoryview that is no piece of memory as it stands: send bytes(…) "
                "of it"
            ) from None
    read, seek, tell = (getattr(body, name, None) for name in ("read", "seek", "tell"))
    if read is None or seek is None or tell is None or hasattr(body, "__aiter__"):
        raise unsignable(body)
    # The libraries send text as UTF-8, whatever it is in the file.
    if (getattr(body, "encoding", None) or "utf-8").lower() not in ("utf-8", "utf8"):
        raise unsignable(body)
    try:
        start = tell()
        hasher = sha256()
        while chunk := read(_CHUNK):
            hasher.update(chunk.encode() if isinstance(chunk, str) else chunk)
        seek(start)
    except (OSError, ValueError):
        if getattr(body, "closed", False):
            raise UnsignablePayloadError("the body is a file that has been closed") from None
        raise unsignable(body) from None
    return hasher.hexdigest()


def unsignable(body: object) -> UnsignablePayloadError:
    """The error for a body that cannot be hashed and then still be sent."""
    return UnsignablePayloadError(
        f"this service wants the body's hash, and that of a {type(body).__name__} is not to be had "
        "without using it up: send bytes, str or a seekable file in binary mode, or pass "
        "payload='unsigned' where the service allows it"
    )


def repeatable(payload: Any) -> bool:
    """Whether aiohttp can write a payload once more."""
    made_of = getattr(payload, "_value", payload)
    if isinstance(made_of, bytes | bytearray | memoryview | str):
        return True
    # A newer aiohttp says of a payload whether it is used up, and lets a file go back to where it
    # stood.
    if getattr(payload, "consumed", True):
        return False
    if hasattr(payload, "append_payload"):  # multipart
        return all(repeatable(part) for part, *_ in payload)
    try:
        return bool(made_of.seekable())
    except (AttributeError, OSError, ValueError):
        return False


def put_back(file: Any, position: int) -> bool:
    """Let a file be read from a position once more, and tell whether it can."""
    try:
        file.seek(position)
    except (AttributeError, OSError, ValueError):
        return False
    return True


def file_at(body: Any) -> tuple[Any, int] | None:
    """A file and where it stands, if it can be put back there."""
    try:
        if hasattr(body, "__aiter__") or not body.seekable():
            return None
        return body, body.tell()
    except (AttributeError, OSError, ValueError):
        return None
