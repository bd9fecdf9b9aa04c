"""One request of a connection and its response: the ``receive`` and ``send`` of an application.

Source: ASGI specification, "HTTP & WebSocket ASGI Message Format".
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from lattice_client.testing.asgi import ASGIApp, Message, Scope
from lattice_client.testing.server.http1 import RequestHead, ResponseWriter

if TYPE_CHECKING:
    from lattice_client.testing.server.http_connection import HTTPConnection

__all__ = ["RequestCycle", "plain_answer"]

_log = logging.getLogger("lattice_client.testing")

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestCycle:
    """One request, until its response is complete.

    :ivar writer: writes the response. Its ``keep_alive`` may be unset until the response starts.
    :ivar unreceived: how many bytes of the body wait for the application to receive them.
    """

    def __init__(self, connection: HTTPConnection, head: RequestHead, scope: Scope) -> None:
        self.writer = ResponseWriter(head)
        self.has_started = False
        self.is_answered = False
        self.unreceived = 0
        self._connection = connection
        self._scope = scope
        self._expects_continue = head.expects_continue
        self._is_http_1_1 = head.version == "1.1"
        self._checks = 0
        self._parts: list[bytes] = []
        self._is_complete = False
        self._end_was_received = False
        self._client_is_gone = False
        self._changed = asyncio.Event()

    # For the connection

    def feed_body(self, part: bytes, *, complete: bool) -> None:
        """Add a part of the body, for the application to receive."""
        if self.is_answered:
            return
        if part:
            self._parts.append(part)
            self.unreceived += len(part)
        if part or complete:
            self._is_complete = complete
            self._changed.set()

    def probe(self) -> bool:
        """Send an interim response, which the client must skip (RFC 9110, section 15.2).

        Only the first, second, fourth, eighth … call sends one, so that a long wait does not become
        a stream of them.

        :returns: whether the client can be probed: in HTTP/1.1, until the response has started.
        """
        if self.has_started or not self._is_http_1_1:
            return False
        self._checks += 1
        if self._checks.bit_count() == 1:
            self._connection.write(_CONTINUE)
        return True

    def client_left(self) -> None:
        """Tell the application that the client is gone."""
        self._client_is_gone = True
        self._changed.set()

    async def run(self, app: ASGIApp) -> None:
        """Run the application. Answer 500 if it fails before its response starts."""
        try:
            await app(self._scope, self.receive, self.send)
        except asyncio.CancelledError:
            await self._fail()
            raise
        except BaseException as error:  # noqa: BLE001 - an application must not end the server
            if not (self._client_is_gone and isinstance(error, OSError)):
                _log.exception("the application failed")
            await self._fail()
        else:
            if not self.is_answered and not self._client_is_gone:
                _log.error("the application returned without a complete response")
                await self._fail()

    # For the application

    async def receive(self) -> Message:
        """ASGI's ``receive``."""
        while not (self._client_is_gone or self.is_answered):
            if self._parts or (self._is_complete and not self._end_was_received):
                body = b"".join(self._parts)
                self._parts, self.unreceived = [], 0
                self._end_was_received = self._is_complete
                self._connection.resume_reading()
                return {"type": "http.request", "body": body, "more_body": not self._is_complete}
            if self._expects_continue and not self.has_started:
                self._expects_continue = False
                self._connection.write(_CONTINUE)
            self._changed.clear()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI's ``send``.

        :raises OSError: if the client is gone.
        :raises ValueError: if the message's status, header or body cannot be sent.
        :raises RuntimeError: if the message is out of order.
        """
        await self._connection.writable()
        if self._client_is_gone and not self.is_answered:
            raise ConnectionAbortedError("the client is gone")
        kind = message["type"]
        if kind == "http.response.start" and not self.has_started:
            if self._expects_continue and not self._is_complete:
                # The client may send the body now or leave it out: RFC 9110, section 10.1.1.
                self.writer.keep_alive = False
            head = self.writer.start(message["status"], message.get("headers", ()))
            self.has_started = True
            self._connection.write_head(head)
        elif kind == "http.response.body" and self.has_started and not self.is_answered:
            more = message.get("more_body", False)
            self._connection.write(self.writer.body(message.get("body", b""), more=more))
            if more:
                # Without this an application that only sends would block the loop.
                await asyncio.sleep(0)
                return
            self.is_answered = True
            self._parts, self.unreceived = [], 0
            self._changed.set()
            self._connection.answered(self)
        else:
            raise RuntimeError(f"the message {kind!r} is out of order")

    async def _fail(self) -> None:
        """Answer 500, or cut a response that has started, so that it does not look complete."""
        if self.is_answered or self._client_is_gone:
            return
        if self.has_started:
            self._connection.cut()
            return
        headers, text = plain_answer("Internal Server Error")
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": text})


def plain_answer(sentence: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and body of an answer in plain text."""
    text = sentence.encode()
    return [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))], text
