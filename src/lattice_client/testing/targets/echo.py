"""The default target: returns in JSON the request as a service behind Lattice sees it."""

from __future__ import annotations

import hashlib
import json

from lattice_client.testing.asgi import Receive, Scope, Send
from lattice_client.testing.verification.canonical import header_values

__all__ = ["echo"]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request: ``method``, ``path`` (raw), ``query``, ``headers`` (pairs),
    ``body_length``, ``body_sha256`` and ``caller``, the principal in Lattice's headers, or null.

    The body is read in chunks and never held in memory as a whole.
    """
    length, digest = 0, hashlib.sha256()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        chunk: bytes = message.get("body", b"")
        length += len(chunk)
        digest.update(chunk)
        if not message.get("more_body", False):
            break
    seen = {
        "method": scope["method"],
        "path": scope["raw_path"].decode("latin-1"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
        ],
        "body_length": length,
        "body_sha256": digest.hexdigest(),
        "caller": _caller(scope),
    }
    body = json.dumps(seen).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _caller(scope: Scope) -> str | None:
    for identity in header_values(scope["headers"], "x-amzn-lattice-identity"):
        for pair in identity.decode("latin-1").split(";"):
            key, _, value = pair.strip().partition("=")
            if key == "Principal":
                return value
    return None
