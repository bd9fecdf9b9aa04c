"""HTTP/1.1 as a server reads and writes it: bytes in, requests out, and back, without a socket.

This parser exists because signatures cover bytes, so targets and header values must be passed on
unchanged for every method, and because HTTP is most of a request's cost. Source: RFC 9112, whose
sections are named below. Where it leaves a choice, ambiguous messages are refused: requests are
smuggled where two parties disagree about a message's end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias

__all__ = ["MalformedRequestError", "RequestHead", "RequestReader", "ResponseWriter"]

# Above Lattice's own limit on headers, so that the local Lattice refuses them in its words.
_MAX_HEAD_BYTES: Final = 256 * 1024
_MAX_CHUNK_LINE_BYTES: Final = 16 * 1024
_MAX_LENGTH_DIGITS: Final = 18

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_REQUEST_LINE: Final = re.compile(rb"(%b) ([\x21-\x7e]++) HTTP/(1\.[01])" % _TOKEN)
# RFC 9110, section 5.5: CR, LF and NUL are dangerous; other control characters may be kept.
_FIELDS: Final = re.compile(rb"(?:%b:[^\0\r\n]*+\r\n)*+" % _TOKEN)
# A first byte that begins neither a method nor an empty line; a line that ends with LF alone.
_NOT_A_HEAD: Final = re.compile(rb"\A(?!\r?\Z)[\0- ]|(?<!\r)\n")
_FOLD: Final = re.compile(rb"[ \t]*\r\n[ \t]+")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15}+)[ \t]*(?:;[^\0\r\n]*)?")
_FRAMING_HEADERS: Final = frozenset(
    (b"connection", b"content-length", b"expect", b"transfer-encoding")
)
_CONNECTION_OPTIONS: Final = (b"close", b"keep-alive", b"")
_WITHOUT_BODY: Final = (204, 304)

Fields: TypeAlias = list[tuple[bytes, bytes]]


class RequestHead(NamedTuple):
    """A request line and headers.

    :param target: as received.
    :param version: ``1.0`` or ``1.1``.
    :param headers: names in lower case, values as received, without white space around them.
    :param keep_alive: whether the client may send another request on this connection.
    :param expects_continue: whether the client waits for a 100 before it sends the body.
    """

    method: str
    target: bytes
    version: str
    headers: Fields
    keep_alive: bool
    expects_continue: bool


class MalformedRequestError(Exception):
    """The bytes are not a request. Nothing after them on the connection can be understood.

    :param status: the status to answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.phrase = HTTPStatus(status).phrase

    def answer(self, headers: Fields, body: bytes) -> bytes:
        """The last response on the connection."""
        request = RequestHead("GET", b"/", "1.1", [], keep_alive=False, expects_continue=False)
        writer = ResponseWriter(request)
        return writer.start(self.status, headers) + writer.body(body, more=False)


class RequestReader:
    """The requests of one connection, one after the other.

    Call ``next_head``, then ``next_body`` until ``complete``, then ``next_head`` again.
    Each returns what has been received so far.

    :ivar complete: whether the request of the last head has been read completely.
    """

    def __init__(self) -> None:
        self.complete = True
        self._buffer = bytearray()
        self._searched = 0
        # How many bytes of the body, of a chunk or of the trailers are still to come.
        self._bytes_left = 0
        self._read_part: Callable[[], bytes | None] = self._sized_body

    @property
    def unread(self) -> int:
        """How many received bytes have not been returned yet."""
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> None:
        """Add received bytes."""
        self._buffer += data

    def next_head(self) -> RequestHead | None:
        """The next request's head; None if it is not complete yet.

        :raises MalformedRequestError: if it is not a valid head.
        """
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # Section 2.2.
            del buffer[:2]
            self._searched = 0
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if max(end, len(buffer) if end < 0 else 0) > _MAX_HEAD_BYTES:
            raise MalformedRequestError("the head is too large")
        if end < 0:
            if _NOT_A_HEAD.search(buffer, self._searched):
                # TLS, for example. Without a refusal both sides would wait.
                raise MalformedRequestError("this is not HTTP/1.1: lines must end with CR and LF")
            self._searched = len(buffer)
            return None
        self._searched = 0
        head = self._take(end + 4)
        line_end = head.index(b"\r\n")
        line = _REQUEST_LINE.fullmatch(head, 0, line_end)
        if line is None:
            raise MalformedRequestError("the request line is not one of HTTP/1.1")
        method, target, version = line.groups()
        headers = _fields(head[line_end + 2 : -2])
        framing = _framing_headers(headers)
        is_http_1_1 = version == b"1.1"
        self._expect_body(framing, is_http_1_1=is_http_1_1)
        return RequestHead(
            method.decode(),
            target,
            version.decode(),
            headers,
            keep_alive=is_http_1_1 and b"close" not in _tokens(framing.get(b"connection", b"")),
            expects_continue=is_http_1_1 and framing.get(b"expect", b"").lower() == b"100-continue",
        )

    def next_body(self) -> bytes:
        """The part of the body received since the last call.

        :raises MalformedRequestError: if its chunks are malformed.
        """
        parts = []
        while not self.complete and (part := self._read_part()) is not None:
            parts.append(part)
        return b"".join(parts)

    def _expect_body(self, framing: dict[bytes, bytes], *, is_http_1_1: bool) -> None:
        """Sections 6.1 and 6.3."""
        length, encoding = framing.get(b"content-length"), framing.get(b"transfer-encoding")
        self._bytes_left = 0
        if encoding is not None:
            if length is not None or not is_http_1_1:
                raise MalformedRequestError("Transfer-Encoding beside Content-Length, or in 1.0")
            if encoding.lower() != b"chunked":
                raise MalformedRequestError("the only supported Transfer-Encoding is chunked", 501)
            self._read_part = self._chunk_size
        elif length is not None:
            if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
                raise MalformedRequestError("Content-Length is not a number of bytes")
            self._bytes_left, self._read_part = int(length), self._sized_body
        self.complete = encoding is None and not self._bytes_left

    # The states of reading a body. Each returns a part of it, or None until more is received.

    def _sized_body(self) -> bytes | None:
        part = self._data()
        self.complete = not self._bytes_left
        return part

    def _chunk_size(self) -> bytes | None:
        """Section 7.1. Extensions are skipped."""
        line = self._line(_MAX_CHUNK_LINE_BYTES)
        if line is None:
            return None
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise MalformedRequestError("a chunk has no size")
        self._bytes_left = int(size[1], 16)
        if self._bytes_left:
            self._read_part = self._chunk_data
        else:
            self._bytes_left, self._read_part = _MAX_HEAD_BYTES, self._trailers
        return b""

    def _chunk_data(self) -> bytes | None:
        part = self._data()
        if not self._bytes_left:
            self._read_part = self._chunk_end
        return part

    def _chunk_end(self) -> bytes | None:
        if len(self._buffer) < 2:  # noqa: PLR2004 - CR and LF
            return None
        if self._take(2) != b"\r\n":
            raise MalformedRequestError("a chunk is longer than its size")
        self._read_part = self._chunk_size
        return b""

    def _trailers(self) -> bytes | None:
        """Section 7.1.2. Trailers are checked and dropped."""
        line = self._line(self._bytes_left)
        if line is None:
            return None
        self._bytes_left -= len(line)
        if line:
            _fields(line + b"\r\n")
        else:
            self.complete = True
        return b""

    def _data(self) -> bytes | None:
        part = self._take(min(self._bytes_left, len(self._buffer)))
        self._bytes_left -= len(part)
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

    :ivar keep_alive: whether the connection stays open after it; may be unset before ``start``.
    """

    def __init__(self, request: RequestHead) -> None:
        self.keep_alive = request.keep_alive
        self._to_head = request.method == "HEAD"
        self._is_chunked = request.version == "1.1"
        self._bodiless = False
        self._bytes_left: int | None = None

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection marks the end of the body."""
        return self._bytes_left is None and not (self._is_chunked or self._bodiless)

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The head, with the header that gives the body's length: section 6.3.

        :raises ValueError: if the status or a header cannot be sent.
        """
        if not 200 <= status <= 999:  # noqa: PLR2004
            raise ValueError(f"a response's status must be 200 to 999, not {status!r}")
        self._bodiless = self._to_head or status in _WITHOUT_BODY
        lines = self._header_lines(headers)
        if self.ends_with_connection:
            self.keep_alive = False
        elif self._bytes_left is None and not self._bodiless:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        block = b"".join(lines)
        if not _FIELDS.fullmatch(block) or block.count(b"\r\n") != len(lines):
            raise ValueError("a response header must be a name, a colon and one line")
        return b"".join((_status_line(status), block, b"\r\n"))

    def _header_lines(self, headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """The header lines, without those that this server sets itself."""
        self._bytes_left = None
        lines = []
        for name, value in headers:
            plain = name.lower()
            if plain == b"content-length":
                if self._bytes_left is not None or not value.isdigit():
                    raise ValueError("Content-Length must be one number of bytes")
                self._bytes_left = int(value)
            elif plain == b"connection":
                tokens = _tokens(value)
                self.keep_alive = self.keep_alive and b"close" not in tokens
                value = b", ".join([token for token in tokens if token not in _CONNECTION_OPTIONS])
                if not value:
                    continue
            elif plain == b"transfer-encoding":
                continue
            if b":" in name:
                raise ValueError(f"{name!r} is not a header name")
            lines.append(b"%b: %b\r\n" % (name, value))
        return lines

    def body(self, data: bytes, *, more: bool) -> bytes:
        """The next part of the body; the last one if ``more`` is false.

        :raises ValueError: if the body is longer or shorter than its Content-Length.
        """
        if self._bodiless:
            return b""
        data = bytes(data)  # A copy, if it is mutable.
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
            if self._bytes_left < 0 or (self._bytes_left and not more):
                raise ValueError("the response's body is not as long as its Content-Length")
            return data
        if not self._is_chunked:
            return data
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        return chunk if more else chunk + b"0\r\n\r\n"


def _fields(block: bytes) -> Fields:
    """The fields of complete lines. A fold is read as a space: section 5.2."""
    if b"\r\n " in block or b"\r\n\t" in block:
        block = _FOLD.sub(b" ", block)
    if not _FIELDS.fullmatch(block):
        raise MalformedRequestError("a header must be a name, a colon and a value")
    fields = []
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


def _framing_headers(headers: Fields) -> dict[bytes, bytes]:
    """The headers that frame a message."""
    framing: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _FRAMING_HEADERS:
            if name in framing and name != b"connection":
                raise MalformedRequestError(f"the header {name.decode()} is there twice")
            framing[name] = framing[name] + b"," + value if name in framing else value
    return framing


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip(b" \t").lower() for token in value.split(b",")]


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
