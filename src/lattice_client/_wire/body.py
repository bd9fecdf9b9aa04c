"""A request's body: its hash, and whether it can be sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from typing import Any

from lattice_client.errors import UnsignablePayloadError
from lattice_client.signing import EMPTY_PAYLOAD

__all__ = [
    "QUICK_TO_HASH",
    "WrittenBody",
    "file_at",
    "payload_hash",
    "put_back",
    "repeatable",
    "rewind_form",
    "unsignable",
]

_CHUNK = 1 << 20
# Bytes. A smaller body is hashed on the event loop: starting a thread would take longer.
QUICK_TO_HASH = 1 << 18


def payload_hash(body: object) -> str:
    """The SHA-256 of a body, in hex, with the body left as it was.

    :param body: None, bytes-like, str (sent as UTF-8), a list or tuple of bytes, a seekable file,
        or a multipart body of httpx with seekable files. A file is read from where it stands and
        put back there; a file of a multipart body from its beginning, as httpx sends it.
    :raises UnsignablePayloadError: for a one-shot body, or one whose bytes are not known before
        they are sent.
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
                "the body is a memoryview that is not contiguous, or released: send bytes(…) of it"
            ) from None
    if isinstance(body, WrittenBody):
        raise UnsignablePayloadError(
            "aiohttp's bodies are hashed only in its middleware: pass the auth object in "
            "middlewares=(…,), or payload='unsigned' where the service allows it"
        )
    if isinstance(body, list | tuple) or hasattr(body, "iter_chunks"):
        return _hash_pieces(body)
    return _hash_file(body)


def _hash_file(body: object) -> str:
    read, seek, tell = (getattr(body, name, None) for name in ("read", "seek", "tell"))
    if read is None or seek is None or tell is None or hasattr(body, "__aiter__"):
        raise unsignable(body)
    if not _is_sent_unchanged(body):
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


def _is_sent_unchanged(file: object) -> bool:
    """Whether a file is binary or UTF-8. Text in another encoding is sent as UTF-8, with the
    file's length."""
    return (getattr(file, "encoding", None) or "utf-8").lower() in ("utf-8", "utf8")


def _hash_pieces(body: Any) -> str:
    """The hash of a list or a multipart body, which httpx sends piece by piece."""
    hasher = sha256()
    in_memory = isinstance(body, list | tuple)
    try:
        if in_memory or rewind_form(body):
            for piece in body:
                hasher.update(piece)
            # Check again: a file may have closed or misreported itself meanwhile.
            if in_memory or rewind_form(body):
                return hasher.hexdigest()
    except (BufferError, OSError, TypeError, ValueError):  # not bytes, or a file that fails
        pass
    raise unsignable(body)


class WrittenBody:
    """A body of aiohttp's: its bytes are known only by letting aiohttp write it.

    :param payload: an ``aiohttp.Payload``.
    :param length: the bytes after which aiohttp stops writing. None: at the end.
    """

    __slots__ = ("_length", "_payload")

    def __init__(self, payload: Any, length: int | None) -> None:
        self._payload = payload
        self._length = length

    async def hash(self, in_thread: Callable[..., Awaitable[object]]) -> str:
        """The SHA-256 of what is written, in hex. Files are put back.

        :param in_thread: calls a function with its arguments in a thread, for large pieces.
        :raises UnsignablePayloadError: for a one-shot body.
        """
        source = [getattr(part, "_value", None) for part in _parts(self._payload)]
        if not repeatable(self._payload) or not all(map(_is_sent_unchanged, source)):
            raise self._unsignable()
        files = [found for each in source if (found := file_at(each))]
        writer = _HashingWriter(in_thread)
        try:
            await self._payload.write_with_length(writer, self._length)
        except (BufferError, OSError, ValueError):
            raise self._unsignable() from None
        # Check again: a file may have closed or misreported itself meanwhile.
        if not all(put_back(*file) for file in files):
            raise self._unsignable()
        return writer.hasher.hexdigest()

    def _unsignable(self) -> UnsignablePayloadError:
        source = getattr(self._payload, "_value", None)
        return unsignable(self._payload if source is None else source)


class _HashingWriter:
    """Takes the place of a connection, for a payload to be written to."""

    def __init__(self, in_thread: Callable[..., Awaitable[object]]) -> None:
        self.hasher = sha256()
        self._in_thread = in_thread

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        if len(chunk) <= QUICK_TO_HASH:
            self.hasher.update(chunk)
        else:
            await self._in_thread(self.hasher.update, chunk)


def unsignable(body: object) -> UnsignablePayloadError:
    """The error for a body that cannot be hashed and then still be sent."""
    return UnsignablePayloadError(
        f"this service wants the body's hash, and hashing a {type(body).__name__} would use it up: "
        "send bytes, str or a seekable file in binary mode, or pass "
        "payload='unsigned' where the service allows it"
    )


def repeatable(payload: Any) -> bool:
    """Whether aiohttp can write a payload once more."""
    # Newer versions of aiohttp mark a payload that is used up.
    return not getattr(payload, "consumed", False) and all(
        _part_is_repeatable(part) for part in _parts(payload)
    )


def _parts(payload: Any) -> Iterator[Any]:
    """The innermost parts of a multipart payload of aiohttp's; any other payload itself."""
    if hasattr(payload, "append_payload"):
        for part, *_ in payload:
            yield from _parts(part)
    else:
        yield payload


def _part_is_repeatable(payload: Any) -> bool:
    source = getattr(payload, "_value", payload)
    if isinstance(source, bytes | bytearray | memoryview | str):
        return True
    # An older aiohttp closes the files that it has sent.
    if not hasattr(payload, "consumed"):
        return False
    try:
        return bool(source.seekable())
    except (AttributeError, OSError, ValueError):
        return False


def rewind_form(stream: Any) -> bool:
    """Put the files of httpx's multipart body back to their beginning, from where httpx sends them.

    :returns: whether they stand there. False for any other body, also one that has fields, such as
        the encoder of requests-toolbelt.
    """
    fields = getattr(stream, "fields", None)
    return (
        isinstance(fields, list)
        and hasattr(stream, "iter_chunks")
        and all(
            isinstance(file, bytes | str) or put_back(file, 0)
            for file in (getattr(field, "file", b"") for field in fields)
        )
    )


def put_back(file: Any, position: int) -> bool:
    """Put a file back to a position.

    :returns: whether it stands there.
    """
    try:
        file.seek(position)
    except (AttributeError, OSError, ValueError):
        return False
    return True


def file_at(body: Any) -> tuple[Any, int] | None:
    """A file and its position; None if it cannot be put back there."""
    try:
        if hasattr(body, "__aiter__") or not body.seekable():
            return None
        return body, body.tell()
    except (AttributeError, OSError, ValueError):
        return None
