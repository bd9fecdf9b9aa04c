"""niquests: its prepared requests and its responses; and the responses of urllib3-future below it.

niquests is requests with another engine, urllib3-future, which also takes the place of urllib3
below requests where it is installed. Here is what is known of both beyond what requests and urllib3
have. Neither is imported.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from contextlib import nullcontext
from typing import Any

from lattice_client._wire.headers import strip_signature
from lattice_client._wire.requests import RequestsRequest
from lattice_client._wire.response_body import LONGEST, is_whole, known, note, too_long, was_read

__all__ = [
    "NiquestsRequest",
    "discard_niquests_async",
    "has_future_body",
    "is_async",
    "mark_as_coroutine_function",
    "read_future_raw",
    "read_niquests_async",
    "replace_answer",
    "unsigned_copies",
]

_ESCAPE = re.compile("%[0-9A-Fa-f]{2}")


# --- Requests ---------------------------------------------------------------------------------


class NiquestsRequest(RequestsRequest):
    """A ``niquests.PreparedRequest``. urllib3-future makes its Host header and target later."""

    __slots__ = ()

    def __init__(self, request: Any) -> None:
        super().__init__(request)
        if "%" in self.target:
            path, mark, query = self.target.partition("?")
            encoded = _encode_percents(path) + mark + _encode_percents(query)
            if encoded != self.target:
                self.set_target(encoded)

    def _host_from_url(self) -> str:
        return super()._host_from_url().lower()


def _encode_percents(part: str) -> str:
    """A path or a query with its ``%`` encoded where one begins no escape, as urllib3-future does
    then with all of them."""
    return part if part.count("%") == len(_ESCAPE.findall(part)) else part.replace("%", "%25")


def unsigned_copies(request: Any, moved_authorization: str | None) -> None:
    """Let copies of a request that has been sent go without its credentials.

    niquests copies a request to follow a redirect. In a multiplexed session it calls no hook
    before it sends the copy.

    :param moved_authorization: the header that holds the caller's own Authorization, if any.
    """
    request.copy = _Copy(request, moved_authorization)


class _Copy:
    """The method ``copy`` of one request."""

    def __init__(self, request: Any, moved_authorization: str | None) -> None:
        self._request = request
        self._moved_authorization = moved_authorization

    def __call__(self) -> Any:
        request = self._request
        copied = type(request).copy(request)
        if request.conn_info is not None:  # it has been sent
            strip_signature(copied.headers, self._moved_authorization)
        return copied


# --- Responses --------------------------------------------------------------------------------


def is_async(response: Any) -> bool:
    """Whether a response is one of an ``AsyncSession``, as its hooks see it."""
    return inspect.iscoroutinefunction(type(response).close)


def mark_as_coroutine_function(hook: Any) -> None:
    """Let an ``AsyncSession`` await what a hook returns. A ``Session`` calls all hooks alike."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(hook)
    else:  # Python 3.11
        hook._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001


def replace_answer(response: Any, answer: Any, *, streamed: bool) -> None:
    """Give a response the state of a later answer, and keep its own in the answer's history.

    The caller of a multiplexed session holds the response already.

    :param streamed: whether the caller asked for a stream. Otherwise the history of an
        ``AsyncSession`` is read without ``await``.
    """
    kind: Any = type(response)
    past: Any = kind.__mro__[1] if is_async(response) and not streamed else kind
    refusal = past.__new__(past)
    vars(refusal).update(vars(response))
    vars(response).clear()
    vars(response).update(vars(answer))
    response.history = [refusal]


async def read_niquests_async(response: Any, seconds: float) -> bytes | None:
    """The plain body of an ``AsyncResponse``; None where it does not come within the limits."""
    if not was_read(response):
        content = response._content  # noqa: SLF001 another hook has read it
        if isinstance(content, bytes):
            return note(response, content)
        raw = None
        if has_future_body(response.raw) and not too_long(response.headers):
            try:
                raw = await _read_future_raw_async(response.raw, seconds)
            except BaseException:  # cancelled: no caller gets the response
                await response.close()
                raise
        note(response, raw, response.headers.get("Content-Encoding"))
    return known(response)


async def discard_niquests_async(response: Any, seconds: float) -> None:
    """Close a response. Its connection is used again if all of the response has come."""
    try:
        await read_niquests_async(response, seconds)
        if known(response) is not None:
            await response.content  # kept for readers of the history
        elif is_whole(response):
            await response.raw.read(decode_content=False)
    finally:
        await response.close()


# --- Bodies of urllib3-future -----------------------------------------------------------------


def has_future_body(raw: Any) -> bool:
    """Whether a response is one of urllib3-future with a body from the wire."""
    return hasattr(getattr(raw, "_fp", None), "_eot")


def read_future_raw(raw: Any, seconds: float) -> bytes | None:
    """A body as it came, its chunks joined; None where it does not come within the limits. What was
    read is put back."""
    ahead = _Ahead(raw, seconds)
    try:
        with ahead.connection() as connection:
            if connection is not None:
                connection.sock = _PatientSocket(connection.sock, ahead.until)
                try:
                    while ahead.goes_on():
                        ahead.taken += ahead.message.read(-1)
                finally:
                    if connection.sock is not None:  # it has not been closed
                        connection.sock = connection.sock.users()
    except Exception as error:  # noqa: BLE001 the caller meets it on reading
        ahead.failed(error)
    return ahead.body()


async def _read_future_raw_async(raw: Any, seconds: float) -> bytes | None:
    """As :func:`read_future_raw`."""
    ahead = _Ahead(raw, seconds)
    try:
        async with ahead.connection() as connection, asyncio.timeout(seconds):
            while connection is not None and ahead.goes_on():
                ahead.taken += await ahead.message.read(-1)
    except Exception as error:  # noqa: BLE001 the caller meets it on reading
        ahead.failed(error)
    return ahead.body()


class _PatientSocket:
    """A socket that waits up to a time in all, while a response is read ahead."""

    def __init__(self, sock: Any, until: float) -> None:
        self._sock = sock
        self._until = until
        self._users_timeout = sock.gettimeout()

    def recv(self, *arguments: Any) -> Any:
        left, users = self._until - time.monotonic(), self._users_timeout
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left if users is None else min(left, users))
        return self._sock.recv(*arguments)

    def users(self) -> Any:
        self._sock.settimeout(self._users_timeout)
        return self._sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Ahead:
    """The body of a response, read a piece at a time, and put back into the response's own buffer.

    :param raw: a response of urllib3-future. The message below it reads the socket.
    """

    def __init__(self, raw: Any, seconds: float) -> None:
        self.message: Any = raw._fp  # noqa: SLF001
        self.until = time.monotonic() + seconds
        self.taken = bytearray()
        self._raw = raw
        self._seconds = seconds

    def connection(self) -> Any:
        """A context with the connection, held for this thread or task: others may be reading other
        responses from it. None where there is nothing to read."""
        officer = getattr(self._raw, "_police_officer", None)
        if self.message.closed or officer is None:
            return nullcontext()
        return officer.borrow(self._raw, timeout=self._seconds)

    def goes_on(self) -> bool:
        """Whether to read another piece."""
        return (
            not self.message.closed and len(self.taken) <= LONGEST and time.monotonic() < self.until
        )

    def failed(self, error: Exception) -> None:
        """Let reading raise an error once more, after what has come, unless it is a time-out."""
        if isinstance(error, TimeoutError) or type(error).__name__ == "UnavailableTraffic":
            return
        is_async = inspect.iscoroutinefunction(self.message.read)
        setattr(self.message, self._name("internal_read_st"), _raising(error, is_async=is_async))
        self._raw._police_officer = None  # noqa: SLF001 it has forgotten the connection

    def body(self) -> bytes | None:
        """What was read, which is put back; None where it is not all of the body."""
        message, taken = self.message, bytes(self.taken)
        whole = message.closed and len(taken) <= LONGEST
        if taken:
            getattr(message, self._name("buffer_excess")).put(taken)
            message.closed = False
            message.data_in_count -= len(taken)
            if message.length is not None:
                message.length += len(taken)
        return taken if whole else None

    def _name(self, private: str) -> str:
        return f"_{type(self.message).__name__}__{private}"


def _raising(error: Exception, *, is_async: bool) -> Any:
    # Without its frames, which refer to the connection.
    again = error.with_traceback(None)

    def read(*_: Any) -> Any:
        raise again

    async def read_async(*_: Any) -> Any:
        raise again

    return read_async if is_async else read
