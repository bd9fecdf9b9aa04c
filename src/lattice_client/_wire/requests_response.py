"""requests: a response's body, read ahead of its caller and put back.

The caller can still stream the response, take it raw, or get the library's own error from it. The
functions take the response and the seconds to wait. The library is not imported.
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


def read_requests(response: Any, seconds: float) -> bytes | None:
    """The plain body of a ``requests.Response``; None where it does not come within the limits."""
    if not was_read(response):
        content = response._content  # noqa: SLF001 another hook has read it
        if isinstance(content, bytes):
            return note(response, content)
        raw = None if too_long(response.headers) else _read_raw(response.raw, seconds)
        note(response, raw, response.headers.get("Content-Encoding"))
    return known(response)


def discard_requests(response: Any, seconds: float) -> None:
    """Close a response. Its connection is used again if all of the response has come."""
    try:
        read_requests(response, seconds)
        if known(response) is not None:
            response.content  # noqa: B018 kept for readers of the history
        elif is_whole(response):
            response.raw.read(decode_content=False)
    finally:
        response.close()


def _read_raw(raw: Any, seconds: float) -> bytes | None:
    """A body as it came, its chunks joined. What was read from the socket is put back."""
    message: Any = getattr(raw, "_fp", None)
    if hasattr(message, "_eot"):  # of urllib3-future, which has taken the place of urllib3
        from lattice_client._wire.niquests import read_future_raw

        return read_future_raw(raw, seconds)
    if isinstance(message, io.BytesIO):  # a response of a test tool
        body = message.getvalue()[message.tell() :]
        return body if len(body) <= LONGEST else None
    file: Any = getattr(message, "fp", None)
    sock: Any = getattr(getattr(file, "raw", None), "_sock", None)
    if not hasattr(sock, "recv"):  # not a response of http.client
        return None
    users_timeout = sock.gettimeout()
    ahead = _Recorder(file, sock, time.monotonic() + seconds, users_timeout)
    # A copy of the message with another file: http.client finds where the body ends.
    kind: Any = type(message)
    probe = kind.__new__(kind)
    vars(probe).update(vars(message), fp=io.BufferedReader(ahead))
    try:
        return _read_to_end(probe)
    finally:
        probe.close()
        sock.settimeout(users_timeout)
        # With pyOpenSSL "nothing yet" sets this flag, which would end all reading.
        file.raw._timeout_occurred = False  # noqa: SLF001
        message.fp = io.BufferedReader(_Replay(ahead, file))


def _read_to_end(message: Any) -> bytes | None:
    from http.client import HTTPException

    body = bytearray()
    try:
        while piece := message.read1(LONGEST):
            body += piece
            if len(body) > LONGEST:
                return None
    except (OSError, HTTPException, ValueError):
        return None
    # The length is what is missing of a Content-Length.
    return None if message.length else bytes(body)


class _LimitReachedError(OSError):
    """A limit of time or bytes is reached."""


class _Recorder(io.RawIOBase):
    """The bytes on the wire, read up to a time and an amount, and kept in ``taken``.

    The socket is read directly: after a time-out its file could not be read any more.
    """

    def __init__(self, file: Any, sock: Any, until: float, users: float | None) -> None:
        self.error: OSError | None = None
        self._sock, self._until, self._users = sock, until, users
        self._given = 0
        # The file has buffered bytes already: the head was read through it.
        sock.settimeout(0)
        try:
            self.taken = bytearray(file.read1(LONGEST) or b"")
        except OSError:  # nothing yet, over TLS
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
            raise _LimitReachedError
        self._sock.settimeout(left if self._users is None else min(left, self._users))
        try:
            self.taken += self._sock.recv(LONGEST)
        except TimeoutError:
            raise
        except OSError as error:
            self.error = error
            raise


class _Replay(io.RawIOBase):
    """A file that first gives the recorded bytes again, then the error that recording met."""

    def __init__(self, ahead: _Recorder, file: Any) -> None:
        self._taken, self._file = memoryview(bytes(ahead.taken)), file
        # Without its frames, which refer to these files.
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
