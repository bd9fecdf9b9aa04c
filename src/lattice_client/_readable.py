"""An answer whose body we have read, to see what it says, is made readable once more.

Whoever gets it may stream it, or take it raw, as if nobody had. No library is imported here.
"""

from __future__ import annotations

import io
import sys
from typing import Any

__all__ = ["read_aiohttp", "read_requests", "unread_httpx"]


def read_requests(response: Any) -> bytes:
    """The body of a ``requests.Response``."""
    body: bytes = response.content
    raw = response.raw
    from urllib3 import HTTPResponse  # what requests itself is made on

    response.raw = HTTPResponse(
        io.BytesIO(body),
        headers=raw.headers,
        status=raw.status,
        version=raw.version,
        reason=raw.reason,
        preload_content=False,
        decode_content=raw.decode_content,
        # The session takes the cookies from it.
        original_response=raw._original_response,  # noqa: SLF001 as requests does
        # A HEAD request's answer tells the length of a body that does not come.
        enforce_content_length=False,
    )
    return body


def unread_httpx(response: Any, body: bytes) -> bytes:
    """Give a response of httpx or httpx2 the body again that was read from it."""
    library = sys.modules[type(response).__module__.partition(".")[0]]
    del response._content  # noqa: SLF001 or the client would not close it, nor take its time
    # Below a client nobody has taken the time; within one, its stream may have.
    elapsed = getattr(response.stream, "elapsed", None)
    if elapsed is not None:
        response.elapsed = elapsed
    response.stream = library.ByteStream(body)
    response.is_stream_consumed = response.is_closed = False
    return body


async def read_aiohttp(response: Any) -> bytes:
    """The body of an ``aiohttp.ClientResponse``."""
    body: bytes = await response.read()
    if body:
        import asyncio

        aiohttp = sys.modules["aiohttp"]
        loop = asyncio.get_running_loop()
        # A reader that is fed by no connection, and so has none to hold back.
        nobody = aiohttp.base_protocol.BaseProtocol(loop)
        response.content = aiohttp.StreamReader(nobody, 2 * len(body), loop=loop)
        response.content.feed_data(body)
        response.content.feed_eof()
    return body
