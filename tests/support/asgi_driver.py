"""Calls an ASGI application directly, so that tests see every message in order."""

import asyncio

import httpx

from support.local_oracles import HOST, as_pairs, crt_sign


def scope_of(request, **changes):
    """The ASGI scope of a wire request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path.decode("utf-8", "replace"),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": list(request.headers),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    } | changes


class Exchange:
    """A request to an application, and the messages that it sent."""

    def __init__(self, app, request, body=(b"",), *, on_send=None, **scope_changes):
        self.sent = []
        self._app = app
        self._scope = scope_of(request, **scope_changes)
        chunks = list(body)
        self._incoming = [
            {"type": "http.request", "body": chunk, "more_body": index < len(chunks) - 1}
            for index, chunk in enumerate(chunks)
        ]
        self._on_send = on_send

    def run(self):
        asyncio.run(self._app(self._scope, self._receive, self._send))
        return self

    async def _receive(self):
        return self._incoming.pop(0) if self._incoming else {"type": "http.disconnect"}

    async def _send(self, message):
        if self._on_send is not None:
            self._on_send(message)
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def text(self):
        return self.body.decode()


def fetch(app, request, content=None, *, scheme="http"):
    """Send a wire request through httpx, in-process."""

    async def send():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.send(
                client.build_request(
                    request.method,
                    f"{scheme}://{HOST}{request.path.decode()}?{request.query.decode()}",
                    headers=as_pairs(request),
                    content=content,
                )
            )

    return asyncio.run(send())


def signed_by(caller, *args, **kwargs):
    """A request signed with the newest credentials of a caller of the local Lattice."""
    return crt_sign(*args, credentials=caller.credentials, **kwargs)
