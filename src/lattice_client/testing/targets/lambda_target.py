"""Lambda functions as targets: a handler is called with Lattice's event, structure version 2.

Sources: "Lambda functions as targets in VPC Lattice" (VPC Lattice User Guide) for the event, the
response and the limits of 6 MB each way; ``VpcLatticeV2RequestEvent`` and ``VpcLatticeResponse``
(aws-lambda-java-libs), and ``VpcLatticeV2Schema`` (Powertools for AWS Lambda), for the spelling of
the keys. Every header and every query parameter has a list of values, also for a single one.

Not published, and so inferred: a body of a text type that is UTF-8 without a content-encoding is
sent as text, others in base 64 (as by Application Load Balancers); ``path`` is the path as sent,
without the query; a function that raises, or returns an invalid response, is answered with 502.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from lattice_client.errors import ConfigurationError
from lattice_client.testing.arns import partition_of
from lattice_client.testing.asgi import Receive, Scope, Send
from lattice_client.testing.display import own_name
from lattice_client.testing.refusals import TargetFailedError, malformed
from lattice_client.testing.targets.call_threads import in_own_thread
from lattice_client.testing.verification.canonical import Headers, header_values

__all__ = ["LambdaContext", "LambdaTarget"]

_log = logging.getLogger("lattice_client.testing")

_MAX_BYTES: Final = 6 * 1024 * 1024
_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
# The fields of x-amzn-lattice-identity, and their names in the event.
_IDENTITY: Final = {
    "Type": "type",
    "Principal": "principal",
    "PrincipalOrgID": "principalOrgID",
    "SessionName": "sessionName",
    "X509Issuer/OU": "x509IssuerOu",
    "X509SAN/DNS": "x509SanDns",
    "X509SAN/NameCN": "x509SanNameCn",
    "X509SAN/URI": "x509SanUri",
    "X509Subject/CN": "x509SubjectCn",
}


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """A handler's second argument: a part of Lambda's context.

    ``region`` and ``account``, which Lambda does not have, are those of the called service.
    """

    function_name: str
    aws_request_id: str
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "128"
    region: str = "us-west-2"
    account: str = "111122223333"

    @property
    def invoked_function_arn(self) -> str:
        """An ARN of the usual form."""
        place = f"{partition_of(self.region)}:lambda:{self.region}:{self.account}"
        return f"arn:{place}:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Always three seconds, Lambda's default time-out. It is not enforced here."""
        return 3000


class LambdaTarget:
    """A Lambda function, as an ASGI application.

    A handler that is not a coroutine function runs in a thread. Each call has its own thread:
    functions may call one another.

    :param handler: called with the event and a ``LambdaContext``, as by Lambda. It returns a
        mapping with ``statusCode``, and perhaps ``headers``, ``body`` and ``isBase64Encoded``.
    :param name: the function's name, in its context.
    :raises ConfigurationError: if the handler cannot be called.
    """

    def __init__(
        self, handler: Callable[[dict[str, Any], LambdaContext], Any], *, name: str | None = None
    ) -> None:
        if not callable(handler):
            raise ConfigurationError(f"a Lambda handler must be a function, not {handler!r}")
        self.handler = handler
        self.name = name or own_name(handler) or "handler"

    def __repr__(self) -> str:
        return f"<LambdaTarget {self.name}>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application.

        :raises RefusedError: for a body of over 6 MB, which is 400 here; Lattice's is not known.
        :raises TargetFailedError: if the function fails, or returns an invalid response.
        """
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = await _read_body(receive)
        if body is None:
            return
        event = _event(scope, body)
        status, headers, answer = _response(await self._invoke(event))
        headers.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})

    async def _invoke(self, event: dict[str, Any]) -> Any:
        context = LambdaContext(self.name, str(uuid.uuid4()), **_region_and_account(event))
        try:
            if inspect.iscoroutinefunction(self.handler):
                answer = await self.handler(event, context)
            else:
                answer = await in_own_thread(self.handler, event, context)
            # As in Lambda, a result must be JSON.
            text = json.dumps(answer)
        except (Exception, SystemExit) as error:  # Lambda survives sys.exit() too
            _log.exception("the function %s failed", self.name)
            raise _bad_response(
                f"the function {self.name} raised {type(error).__name__}"
            ) from error
        if len(text) > _MAX_BYTES:
            raise _bad_response(f"the response of the function {self.name} is over 6 MB")
        return json.loads(text)


def _region_and_account(event: dict[str, Any]) -> dict[str, str]:
    """The service's region and account; empty if the event is not from Lattice."""
    arn = event["requestContext"]["serviceArn"].split(":")
    return {"region": arn[3], "account": arn[4]} if len(arn) > 4 else {}  # noqa: PLR2004


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None if the client disconnected."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > _MAX_BYTES:
            raise malformed("a body for a Lambda function is at most 6 MB")
        if not message.get("more_body", False):
            return bytes(body)


def _event(scope: Scope, body: bytes) -> dict[str, Any]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(name, []).append(value)
    target = _header_pairs(scope["headers"], "x-amzn-lattice-target")
    network = _header_pairs(scope["headers"], "x-amzn-lattice-network")
    caller = _header_pairs(scope["headers"], "x-amzn-lattice-identity")
    identity = {"sourceVpcArn": network.get("SourceVpcArn", "")}
    identity |= {name: caller[key] for key, name in _IDENTITY.items() if caller.get(key)}
    service_arn = target.get("ServiceArn", "")
    event: dict[str, Any] = {
        "version": "2.0",
        "path": scope["raw_path"].decode("latin-1"),
        "method": scope["method"],
        "headers": headers,
        "queryStringParameters": query,
        "requestContext": {
            "serviceNetworkArn": target.get("ServiceNetworkArn", ""),
            "serviceArn": service_arn,
            "targetGroupArn": target.get("TargetGroupArn", ""),
            "identity": identity,
            "region": (service_arn.split(":") + [""] * 4)[3],
            # Microseconds, as text.
            "timeEpoch": str(time.time_ns() // 1000),
        },
    }
    if body:
        text = _as_text(scope["headers"], body)
        event["body"] = base64.b64encode(body).decode() if text is None else text
        event["isBase64Encoded"] = text is None
    return event


def _as_text(headers: Headers, body: bytes) -> str | None:
    content_type = b"".join(header_values(headers, "content-type")[:1]).decode("latin-1").lower()
    if header_values(headers, "content-encoding") or not content_type.startswith(_TEXT_TYPES):
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _header_pairs(headers: Headers, name: str) -> dict[str, str]:
    """The pairs in a header that Lattice adds."""
    value = b";".join(header_values(headers, name)).decode("latin-1")
    pairs = (pair.strip().partition("=") for pair in value.split(";"))
    return {key: value for key, _, value in pairs if key}


def _response(answer: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    if not isinstance(answer, Mapping):
        raise _bad_response("a function's response must be an object with a statusCode")
    status = answer.get("statusCode")
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or not 200 <= status <= 599:  # noqa: PLR2004
        raise _bad_response("a function's statusCode must be a number from 200 to 599")
    body = answer.get("body")
    if body is None:
        body = ""
    if not isinstance(body, str):
        raise _bad_response("a function's body must be a string")
    try:
        content = (
            base64.b64decode(body, validate=True)
            if answer.get("isBase64Encoded")
            else body.encode()
        )
    except (binascii.Error, ValueError, UnicodeEncodeError):
        raise _bad_response("a function's body must be base 64, or text") from None
    return status, _headers(answer.get("headers")), content


def _headers(given: Any) -> list[tuple[bytes, bytes]]:
    if given is None:
        return []
    if not isinstance(given, Mapping):
        raise _bad_response("a function's headers must be an object")
    headers = []
    for name, values in given.items():
        for value in values if isinstance(values, list) else [values]:
            text = str(value)
            if any(char in f"{name}{text}" for char in "\r\n\0") or not name.isascii():
                raise _bad_response("a function's headers must be one line each")
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                headers.append((name.encode(), text.encode("latin-1", "replace")))
    return headers


def _bad_response(message: str) -> TargetFailedError:
    return TargetFailedError(message, status=502, failure="TargetProtocolError")
