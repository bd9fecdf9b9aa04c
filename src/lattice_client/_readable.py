"""What an answer says, read ahead of its caller: within limits, and with nothing taken away.

The answer itself stays as it came. Its caller streams it, takes it raw, or meets the library's own
error in it, as without us. No library is imported here.

Every function takes an answer and for how many seconds it may be waited for. ``known`` says what
came of it.
"""

from __future__ import annotations

import io
import time
from typing import Any

__all__ = [
    "LONGEST",
    "PATIENCE",
    "discard_requests",
    "is_whole",
    "known",
    "note",
    "patience",
    "read_aiohttp",
    "read_requests",
    "too_long",
    "was_read",
]

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


# --- requests ---------------------------------------------------------------------------------


def read_requests(response: Any, seconds: float) -> bytes | None:
    """The plain body of a ``requests.Response``; None where it does not come within the limits."""
    if not was_read(response):
        content = response._content  # noqa: SLF001 read by another hook already
        if isinstance(content, bytes):
            return note(response, content)
        raw = None if too_long(response.headers) else _wire_body(response.raw, seconds)
        note(response, raw, response.headers.get("Content-Encoding"))
    return known(response)


def discard_requests(response: Any, seconds: float) -> None:
    """Let go of an answer. Its connection is used again where all of the answer has come."""
    try:
        read_requests(response, seconds)
        if known(response) is not None:
            response.content  # noqa: B018 for those who look at the history
        elif is_whole(response):
            response.raw.read(decode_content=False)
    finally:
        response.close()


def _wire_body(raw: Any, seconds: float) -> bytes | None:
    """A body as it came, chunks joined. What was read of the wire is put back."""
    message: Any = getattr(raw, "_fp", None)
    if isinstance(message, io.BytesIO):  # of a tool for tests
        body = message.getvalue()[message.tell() :]
        return body if len(body) <= LONGEST else None
    file: Any = getattr(message, "fp", None)
    sock: Any = getattr(getattr(file, "raw", None), "_sock", None)
    if not hasattr(sock, "recv"):  # not http.client's
        return None
    users = sock.gettimeout()
    ahead = _Ahead(file, sock, time.monotonic() + seconds, users)
    # The same message with another file: where it ends is http.client's to say.
    probe: Any = object.__new__(type(message))
    vars(probe).update(vars(message), fp=io.BufferedReader(ahead))
    try:
        return _whole(probe)
    finally:
        probe.close()
        sock.settimeout(users)
        # pyOpenSSL's sockets say so of "nothing yet", and the file would not be read again.
        file.raw._timeout_occurred = False  # noqa: SLF001
        message.fp = io.BufferedReader(_PutBack(ahead, file))


def _whole(message: Any) -> bytes | None:
    from http.client import HTTPException

    body = bytearray()
    try:
        while piece := message.read1(LONGEST):
            body += piece
            if len(body) > LONGEST:
                return None
    except (OSError, HTTPException, ValueError):
        return None
    # What is left of a Content-Length.
    return None if message.length else bytes(body)


class _EnoughError(OSError):
    """A limit is reached."""


class _Ahead(io.RawIOBase):
    """The bytes on the wire, read until a time or an amount, and kept in ``taken``.

    The socket is read directly: a time-out of its file would end the file's use.
    """

    def __init__(self, file: Any, sock: Any, until: float, users: float | None) -> None:
        self.error: OSError | None = None
        self._sock, self._until, self._users = sock, until, users
        self._given = 0
        # What the file holds already, for the head was read through it.
        sock.settimeout(0)
        try:
            self.taken = bytearray(file.read1(LONGEST) or b"")
        except OSError:  # TLS has nothing yet
            self.taken = bytearray()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._given == len(self.taken):
            self._receive()
        part = self.taken[self._given : self._given + len(buffer)]
        buffer[: len(part)] = part
        self._given += len(part)
        return len(part)

    def _receive(self) -> None:
        left = self._until - time.monotonic()
        if left <= 0 or len(self.taken) > LONGEST:
            raise _EnoughError
        self._sock.settimeout(left if self._users is None else min(left, self._users))
        try:
            self.taken += self._sock.recv(LONGEST)
        except TimeoutError:
            raise
        except OSError as error:
            self.error = error
            raise


class _PutBack(io.RawIOBase):
    """A file with what was taken from it in front, and with the error that reading on met."""

    def __init__(self, ahead: _Ahead, file: Any) -> None:
        self._taken, self._file = memoryview(bytes(ahead.taken)), file
        # Without the frames that it came through: they hold these files.
        self._error = ahead.error and ahead.error.with_traceback(None)

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        number: int = self._file.fileno()
        return number

    def readinto(self, buffer: Any) -> int:
        part = self._taken[: len(buffer)]
        if part:
            buffer[: len(part)] = part
            self._taken = self._taken[len(part) :]
            return len(part)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        read: int = self._file.readinto1(buffer)
        return read

    def close(self) -> None:
        self._file.close()
        super().close()


# --- aiohttp ----------------------------------------------------------------------------------


async def read_aiohttp(response: Any, seconds: float) -> bytes | None:
    """The plain body of an ``aiohttp.ClientResponse``; None where it does not come within the
    limits."""
    if not was_read(response):
        body = response._body  # noqa: SLF001 read by another middleware already
        if body is None and not too_long(response.headers):
            try:
                body = await _buffered(response.content, seconds)
            except BaseException:  # cancelled, and handed out to no one
                response.close()
                raise
        # aiohttp decompresses, unless its session was told not to.
        compressed = body is not None and body.startswith(_GZIP)
        note(response, body, response.headers.get("Content-Encoding") if compressed else None)
    return known(response)


async def _buffered(content: Any, seconds: float) -> bytes | None:
    """What a ``StreamReader`` holds when its end has come. It is looked at, not taken."""
    import asyncio

    try:
        async with asyncio.timeout(seconds):
            while not content.is_eof():
                if content.total_bytes > LONGEST:
                    return None
                await content._wait("read")  # noqa: SLF001 until more has come
    except Exception:  # noqa: BLE001 the caller meets it too, when reading
        return None
    if content.total_bytes > LONGEST or content.exception() is not None:
        return None
    return b"".join(getattr(content, "_buffer", ()))
