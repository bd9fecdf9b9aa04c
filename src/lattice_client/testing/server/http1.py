"""HTTP/1.1 as a server reads and writes it: bytes in, requests out, and back. It knows no socket.

It is our own because signatures are about bytes: targets and header values are handed on as they
came, whatever the method; and because reading and writing HTTP is what most of a request costs.
Source: RFC 9112, whose sections are named below. Where it leaves a choice, what is doubtful is
refused: two opinions of where a message ends are how requests are smuggled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias

__all__ = ["MalformedRequestError", "RequestHead", "RequestReader", "ResponseWriter"]

# Above Lattice's own limit on headers, so that it is the local Lattice that refuses.
_MAX_HEAD_BYTES: Final = 256 * 1024
_MAX_CHUNK_LINE_BYTES: Final = 16 * 1024
_MAX_LENGTH_DIGITS: Final = 18

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_REQUEST_LINE: Final = re.compile(rb"(%b) ([\x21-\x7e]++) HTTP/(1\.[01])" % _TOKEN)
# Section 5.5 of RFC 9110: CR, LF and NUL are dangerous, other control characters may be kept.
_FIELDS: Final = re.compile(rb"(?:%b:[^\0\r\n]*+\r\n)*+" % _TOKEN)
# A first byte that begins no method, but for an empty line; a line that ends with LF alone.
_NO_HEAD: Final = re.compile(rb"\A(?!\r?\Z)[\0- ]|(?<!\r)\n")
_FOLD: Final = re.compile(rb"[ \t]*\r\n[ \t]+")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15}+)[ \t]*(?:;[^\0\r\n]*)?")
_ABOUT_MESSAGES: Final = frozenset(
    (b"connection", b"content-length", b"expect", b"transfer-encoding")
)
_HOW_TO_END: Final = (b"close", b"keep-alive", b"")
_WITHOUT_BODY: Final = (204, 304)

Fields: TypeAlias = list[tuple[bytes, bytes]]


class RequestHead(NamedTuple):
    """A request line and headers.

    :param target: as it came.
    :param version: ``1.0`` or ``1.1``.
    :param headers: names in lower case, values as they came, without the white space around them.
    :param keep_alive: whether the client would send another request on this connection.
    :param expects_continue: whether it waits to be told to send the body.
    """

    method: str
    target: bytes
    version: str
    headers: Fields
    keep_alive: bool
    expects_continue: bool


class MalformedRequestError(Exception):
    """What came is no request. After it nothing on the connection can be made sense of.

    :param status: what to answer.
    """

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status
        self.phrase = HTTPStatus(status).phrase

    def answer(self, headers: Fields, body: bytes) -> bytes:
        """The last response on the connection."""
        request = RequestHead("GET", b"/", "1.1", [], keep_alive=False, expects_continue=False)
        writer = ResponseWriter(request)
        return writer.start(self.status, headers) + writer.body(body, more=False)


class RequestReader:
    """The requests of one connection, one after the other.

    ``next_head``, then ``next_body`` until ``complete``, then ``next_head`` again; each gives what
    has come so far.

    :ivar complete: whether the request whose head was given last has come whole.
    """

    def __init__(self) -> None:
        self.complete = True
        self._buffer = bytearray()
        self._searched = 0
        # How much of the body, of a chunk or of the trailers is still to come.
        self._left = 0
        self._step: Callable[[], bytes | None] = self._sized_body

    @property
    def unread(self) -> int:
        """How many bytes have come that were not given yet."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> None:
        """Take what came."""
        self._buffer += data

    def next_head(self) -> RequestHead | None:
        """The next request's head; None if it has not come whole.

        :raises MalformedRequestError: if it is none.
        """
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # Section 2.2.
            del buffer[:2]
            self._searched = 0
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if max(end, len(buffer) if end < 0 else 0) > _MAX_HEAD_BYTES:
            raise MalformedRequestError("the head is too large")
        if end < 0:
            if _NO_HEAD.search(buffer, self._searched):
                # TLS, for one; and both sides would wait.
                raise MalformedRequestError("this is not HTTP/1.1: lines end with CR and LF")
            self._searched = len(buffer)
            return None
        self._searched = 0
        head = self._take(end + 4)
        line_end = head.index(b"\r\n")
        line = _REQUEST_LINE.fullmatch(head, 0, line_end)
        if line is None:
            raise MalformedRequestError("the request line is none of HTTP/1.1")
        method, target, version = line.groups()
        headers = _fields(head[line_end + 2 : -2])
        said = _about_message(headers)
        is_newest = version == b"1.1"
        self._expect_body(said, is_newest=is_newest)
        return RequestHead(
            method.decode(),
            target,
            version.decode(),
            headers,
            keep_alive=is_newest and b"close" not in _tokens(said.get(b"connection", b"")),
            expects_continue=is_newest and said.get(b"expect", b"").lower() == b"100-continue",
        )

    def next_body(self) -> bytes:
        """What has come of the body since it was asked for last.

        :raises MalformedRequestError: if its chunks are none.
        """
        parts = []
        while not self.complete and (part := self._step()) is not None:
            parts.append(part)
        return b"".join(parts)

    def _expect_body(self, said: dict[bytes, bytes], *, is_newest: bool) -> None:
        """Sections 6.1 and 6.3."""
        length, encoding = said.get(b"content-length"), said.get(b"transfer-encoding")
        self._left = 0
        if encoding is not None:
            if length is not None or not is_newest:
                raise MalformedRequestError("Transfer-Encoding beside Content-Length, or in 1.0")
            if encoding.lower() != b"chunked":
                raise MalformedRequestError("the only Transfer-Encoding here is chunked", 501)
            self._step = self._chunk_size
        elif length is not None:
            if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
                raise MalformedRequestError("Content-Length is no number of bytes")
            self._left, self._step = int(length), self._sized_body
        self.complete = encoding is None and not self._left

    # The steps of a body: each gives a part of it, or None until more has come.

    def _sized_body(self) -> bytes | None:
        part = self._data()
        self.complete = not self._left
        return part

    def _chunk_size(self) -> bytes | None:
        """Section 7.1. Extensions are skipped."""
        line = self._line(_MAX_CHUNK_LINE_BYTES)
        if line is None:
            return None
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise MalformedRequestError("a chunk has no size")
        self._left = int(size[1], 16)
        if self._left:
            self._step = self._chunk_data
        else:
            self._left, self._step = _MAX_HEAD_BYTES, self._trailers
        return b""

    def _chunk_data(self) -> bytes | None:
        part = self._data()
        if not self._left:
            self._step = self._chunk_end
        return part

    def _chunk_end(self) -> bytes | None:
        if len(self._buffer) < 2:  # noqa: PLR2004 - CR and LF
            return None
        if self._take(2) != b"\r\n":
            raise MalformedRequestError("a chunk is longer than its size")
        self._step = self._chunk_size
        return b""

    def _trailers(self) -> bytes | None:
        """Section 7.1.2: fields that nobody here has a use for."""
        line = self._line(self._left)
        if line is None:
            return None
        self._left -= len(line)
        if line:
            _fields(line + b"\r\n")
        else:
            self.complete = True
        return b""

    def _data(self) -> bytes | None:
        part = self._take(min(self._left, len(self._buffer)))
        self._left -= len(part)
        return part or None

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > limit:
            raise MalformedRequestError("a line between chunks is too long")
        return None if end < 0 else self._take(end + 2)[:-2]

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


class ResponseWriter:
    """One response, as the bytes to send.

    :ivar keep_alive: whether the connection stays open behind it; may be unset before ``start``.
    """

    def __init__(self, request: RequestHead) -> None:
        self.keep_alive = request.keep_alive
        self._to_head = request.method == "HEAD"
        self._is_chunked = request.version == "1.1"
        self._bodiless = False
        self._left: int | None = None

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection tells the end of the body."""
        return self._left is None and not (self._is_chunked or self._bodiless)

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The head, with what says how long the body is: section 6.3.

        :raises ValueError: if the status or a header cannot be sent.
        """
        if not 200 <= status <= 999:  # noqa: PLR2004
            raise ValueError(f"a response's status is 200 to 999, not {status!r}")
        self._bodiless = self._to_head or status in _WITHOUT_BODY
        lines = self._sift(headers)
        if self.ends_with_connection:
            self.keep_alive = False
        elif self._left is None and not self._bodiless:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        block = b"".join(lines)
        if not _FIELDS.fullmatch(block) or block.count(b"\r\n") != len(lines):
            raise ValueError("a header of the response is none: name, colon, one line")
        return b"".join((_status_line(status), block, b"\r\n"))

    def _sift(self, headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """The lines of headers, but for those that are for this server to say."""
        self._left = None
        lines = []
        for name, value in headers:
            plain = name.lower()
            if plain == b"content-length":
                if self._left is not None or not value.isdigit():
                    raise ValueError("Content-Length is one number of bytes")
                self._left = int(value)
            elif plain == b"connection":
                tokens = _tokens(value)
                self.keep_alive = self.keep_alive and b"close" not in tokens
                value = b", ".join([token for token in tokens if token not in _HOW_TO_END])
                if not value:
                    continue
            elif plain == b"transfer-encoding":
                continue
            if b":" in name:
                raise ValueError(f"{name!r} is no name of a header")
            lines.append(b"%b: %b\r\n" % (name, value))
        return lines

    def body(self, data: bytes, *, more: bool) -> bytes:
        """The next part of the body, the last one if there is no ``more``.

        :raises ValueError: if the body is longer or shorter than its Content-Length.
        """
        if self._bodiless:
            return b""
        data = bytes(data)  # Of its own, where it is something that can be changed.
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or (self._left and not more):
                raise ValueError("the response's body is not as long as its Content-Length")
            return data
        if not self._is_chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk if more else chunk + b"0\r\n\r\n"


def _fields(block: bytes) -> Fields:
    """The fields of whole lines. A fold is read as a space: section 5.2."""
    if b"\r\n " in block or b"\r\n\t" in block:
        block = _FOLD.sub(b" ", block)
    if not _FIELDS.fullmatch(block):
        raise MalformedRequestError("a header is none: name, colon, value")
    fields = []
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


def _about_message(headers: Fields) -> dict[bytes, bytes]:
    """What headers say about a message as such."""
    said: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _ABOUT_MESSAGES:
            if name in said and name != b"connection":
                raise MalformedRequestError(f"{name.decode()} is there twice")
            said[name] = said[name] + b"," + value if name in said else value
    return said


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip(b" \t").lower() for token in value.split(b",")]


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
