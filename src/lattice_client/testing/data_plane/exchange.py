"""One request and its response, as they pass through the local Lattice.

An exchange stands between the server and the target. It counts bytes and times, adds the headers
that Lattice adds, and writes the access-log record when the response ends.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from lattice_client.testing.access_log import AccessRecord, FailureReason, new_record
from lattice_client.testing.asgi import Message, Receive, Scope, Send
from lattice_client.testing.data_plane.connection import Connection
from lattice_client.testing.data_plane.target_headers import principal_tags
from lattice_client.testing.data_plane.tls import TLS_STATE, TLSDetails
from lattice_client.testing.data_plane.waiting import Incoming
from lattice_client.testing.model.callers import Principal
from lattice_client.testing.model.services import Listener, Service
from lattice_client.testing.model.target_groups import TargetGroup
from lattice_client.testing.refusals import malformed
from lattice_client.testing.verification.canonical import Headers
from lattice_client.testing.verification.signature import WireRequest

if TYPE_CHECKING:
    from lattice_client.testing.model.networks import ServiceNetwork

__all__ = ["Exchange"]


_REQUEST_ID = b"x-amzn-requestid"
_REQUEST_ID_BYTES = 512


class Exchange:
    """One request on its way to a target, or to a refusal.

    The target gets ``receive`` and ``send`` in place of the server's.

    ``record`` is the access-log record, as far as it is known; ``incoming`` are the messages from
    the client. Faults may set ``fault_send``: it gets each message in place of ``pass_on``, and
    calls that with what goes out.

    :param network: the service network that the request came in through.
    :param clock: the time for ``date`` and ``startTime``, in seconds since the epoch.
    :param write: called exactly once, with the finished access-log record.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        network: ServiceNetwork,
        clock: Callable[[], float],
        write: Callable[[AccessRecord], None],
    ) -> None:
        self.scope = scope
        self.request = request = _wire_request(scope)
        self.request_id = _request_id(request)
        self.network = network
        self.service: Service | None = None
        self.listener: Listener | None = None
        self.target_group: TargetGroup | None = None
        self.principal: Principal | None = None
        self.failure: FailureReason | None = None
        self.record = new_record()
        self.fault_send: Send | None = None
        self.forwarded = False
        self.ended = False
        self.disconnected = False
        self.incoming = Incoming(receive)
        self._send = send
        self._connection = Connection.of(scope)
        self._clock = clock
        self._write = write
        self._written = False
        self._buffered: bytes | None = None
        self._status: int | None = None
        self._content_length: int | None = None
        self._trailers = False
        self._body_sent = 0
        self._bytes_received = request.header_bytes + 4 * len(request.headers)
        self._bytes_sent = 0
        self._start_time = clock()
        self._began = time.perf_counter()
        self._request_forwarded: float | None = None
        self._response_began: float | None = None

    @property
    def started(self) -> bool:
        """Whether the response has begun."""
        return self._status is not None

    async def receive(self) -> Message:
        """The next part of the request."""
        if self._buffered is not None:
            body, self._buffered = self._buffered, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self.incoming.receive()
        if message["type"] == "http.disconnect":
            self._note_disconnect()
        elif message["type"] == "http.request":
            self._bytes_received += len(message.get("body", b""))
            if not message.get("more_body", False):
                self._request_forwarded = time.perf_counter()
        return message

    async def read_body(self) -> bytes:
        """The whole body; the target still gets it.

        :raises RefusedError: if the client disconnects before its end.
        """
        chunks = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise malformed("the client closed the connection early")
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        self._buffered = b"".join(chunks)
        return self._buffered

    async def send(self, message: Message) -> None:
        """Send a part of the response, through the faults in force.

        :raises OSError: if the client is gone and the server raises.
        """
        await (self.pass_on if self.fault_send is None else self.fault_send)(message)

    async def pass_on(self, message: Message) -> None:
        """Send a part of the response to the server, past the faults.

        The record is written just before the part that lets the client see the response's end: a
        client that has the response finds its record in the log.

        :raises OSError: if the client is gone and the server raises.
        """
        if self._connection.lost:
            self._note_disconnect()
        size = 0
        if message["type"] == "http.response.start":
            message = self._start(message)
        elif message["type"] == "http.response.body" and self.request.method != "HEAD":
            size = 0 if self.disconnected else len(message.get("body", b""))
            self._body_sent += size
        self.ended = self.ended or self._is_last(message)
        if self.ended or self._client_has_all():
            self.finish()
        try:
            await self._send(message)
        except OSError:
            self._body_sent -= size
            self._note_disconnect()
            if not self.ended:
                raise

    async def answer(self, status: int, text: str, extra: Headers = ()) -> None:
        """Answer in plain text, as Lattice itself does."""
        body = text.encode()
        headers = [
            *extra,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
        ]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def note_failure(self, reason: FailureReason) -> None:
        """Note a failure reason for the record. The first one stays."""
        self.failure = self.failure or reason

    def finish(self) -> None:
        """Write the access-log record, if it is not written yet."""
        if not self._written:
            self._written = True
            self._complete(self.record)
            self._write(self.record)

    def _note_disconnect(self) -> None:
        self.disconnected = True
        if not self.ended:
            expired = self._connection.expired
            self.note_failure("ConnectionDurationExceeded" if expired else "ClientConnectionClosed")

    def _start(self, message: Message) -> Message:
        self._response_began = time.perf_counter()
        self._status = message["status"]
        headers, dated = [], False
        for name, value in message.get("headers", ()):
            plain = name.lower()
            if plain == _REQUEST_ID:
                continue
            if plain == b"date":
                dated = True
            elif plain == b"content-length" and value.isdigit():
                self._content_length = int(value)
            headers.append((name, value))
        if not dated:
            headers.append((b"date", _http_date(int(self._clock()))))
        headers.append((_REQUEST_ID, self.request_id))
        self._trailers = message.get("trailers", False)
        self._bytes_sent += sum([len(name) + len(value) + 4 for name, value in headers])
        return {**message, "headers": headers}

    def _is_last(self, message: Message) -> bool:
        if message["type"] == "http.response.body":
            return not message.get("more_body", False) and not self._trailers
        return message["type"] == "http.response.trailers" and not message.get("more_trailers")

    def _client_has_all(self) -> bool:
        if self.request.method == "HEAD" or self._status in (204, 304):
            return True
        return self._content_length is not None and self._body_sent >= self._content_length

    def _complete(self, record: AccessRecord) -> None:
        request, scope = self.request, self.scope
        now = time.perf_counter()
        status = self._status
        if status is None and self.failure == "ClientConnectionClosed":
            status = 400  # "Client closed early" in AWS's table.
        record["hostHeader"] = _header(request, "host")
        record["requestMethod"] = request.method
        # Without the query: it may hold a signature and a token.
        record["requestPath"] = request.path.decode("latin-1")
        record["protocol"] = f"HTTP/{scope.get('http_version', '1.1')}"
        record["responseCode"] = status
        record["userAgent"] = _header(request, "user-agent")
        record["startTime"] = _iso_time(int(self._start_time))
        record["duration"] = _milliseconds(self._began, now)
        record["bytesReceived"] = self._bytes_received
        record["bytesSent"] = self._bytes_sent + self._body_sent
        record["requestId"] = self.request_id.decode("latin-1")
        record["sourceIpPort"] = _address(scope.get("client"))
        record["listenerType"] = scope.get("scheme", "http").upper()
        record["failureReason"] = self.failure
        if self.service is not None:
            record["serviceArn"] = self.service.arn
        if self.listener is not None:
            record["listenerId"] = self.listener.id
        if self.target_group is not None and self.forwarded:
            record["targetGroupArn"] = self.target_group.arn
            record["requestToTargetDuration"] = _milliseconds(self._began, self._request_forwarded)
            record["responseFromTargetDuration"] = _milliseconds(self._response_began, now)
        elif self.failure == "ClientAccessDenied":
            record["requestToTargetDuration"] = 0  # As in real records of denied requests.
        if self.principal is not None:
            record["callerPrincipal"] = self.principal.arn
            record["callerPrincipalOrgID"] = self.principal.organization
            if self.principal.tags:
                record["callerPrincipalTags"] = principal_tags(self.principal.tags)
        tls = (scope.get("state") or {}).get(TLS_STATE)
        if isinstance(tls, TLSDetails):
            record["tlsVersion"] = tls.version
            record["sslCipher"] = tls.cipher
            record["serverNameIndication"] = tls.server_name


def _wire_request(scope: Scope) -> WireRequest:
    path = scope.get("raw_path")
    if path is None:
        # Optional in ASGI. Without it there is only the decoded path, which differs from the path
        # as sent where that had escapes.
        path = quote(scope["path"], safe="/:@!$&'()*+,;=").encode()
    return WireRequest(scope["method"], path, scope["query_string"], scope["headers"])


def _request_id(request: WireRequest) -> bytes:
    """The client's own request id, cut at 512 bytes, or a new one. Source: "Request tracking"
    (VPC Lattice User Guide)."""
    sent = request.by_name.get("x-amzn-requestid")
    return (sent[0][:_REQUEST_ID_BYTES] if sent else b"") or _new_request_id()


def _new_request_id() -> bytes:
    # A version 4 UUID. uuid4() makes a system call for each, which releases the GIL.
    digits = f"{random.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}".encode()


def _header(request: WireRequest, name: str) -> str | None:
    values = request.by_name.get(name)
    return values[0].decode("latin-1") if values else None


# Cached: both texts are the same for all requests of a second.
@lru_cache(maxsize=8)
def _http_date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()


@lru_cache(maxsize=8)
def _iso_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(client: tuple[str, int] | None) -> str | None:
    return None if client is None else f"{client[0]}:{client[1]}"


def _milliseconds(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else round((end - start) * 1000)
