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

from lattice_client._wire.response_body import (
    LONGEST,
    is_whole,
    known,
    note,
    too_long,
    was_read,
)

__all__ = ["discard_requests", "read_requests"]


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
