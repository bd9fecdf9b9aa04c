"""Transports that are not the library's own: what they give is iterated, and never lost."""

from __future__ import annotations

import asyncio
import random
import time
from email.utils import formatdate

import httpx
import httpx2
import pytest

import lattice_client.httpx
import lattice_client.httpx2
from adapters.test_bounded import EXPIRED
from lattice_client import RetryPolicy
from lattice_client._wire import response_body
from support import canary

REGION = "us-west-2"


HTTPX = [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]


@pytest.mark.parametrize(("library", "ours"), HTTPX)
class TestOtherTransports:
    """Their streams are iterated: between two pieces it is seen whether a limit is reached."""

    def handler(self, library, pieces, error=None, response=None):
        response = response or library.Response

        class Stream(library.SyncByteStream, library.AsyncByteStream):
            def __iter__(self):
                yield from pieces
                if error:
                    raise error

            async def __aiter__(self):
                for piece in self:
                    yield piece

        def handle(request):
            if request.headers["x-amz-date"][:11] != time.strftime("%Y%m%dT%H", time.gmtime()):
                return library.Response(200)
            date = formatdate(time.time() + 7200, usegmt=True)
            return response(403, headers={"date": date}, stream=Stream())

        return library.MockTransport(handle)

    def get(self, library, ours, transport) -> list[tuple[int, bytes]]:
        """The answers to the hook and the client, each synchronous and asynchronous."""
        found = []
        hook = {"auth": ours.LatticeAuth(region=REGION, credentials=canary.credentials())}
        for module, settings in ((library, hook), (ours, hook)):
            with (
                module.Client(transport=transport, **settings) as client,
                client.stream("GET", "http://a.example/") as response,
            ):
                found.append((response.status_code, response.read()))

            async def get(module=module) -> tuple[int, bytes]:
                again = ours.LatticeAuth(region=REGION, credentials=canary.credentials())
                async with (
                    module.AsyncClient(transport=transport, auth=again) as client,
                    client.stream("GET", "http://a.example/") as response,
                ):
                    return response.status_code, await response.aread()

            found.append(asyncio.run(get()))
        return found

    def test_a_remedy(self, library, ours):
        transport = self.handler(library, [EXPIRED[:10], EXPIRED[10:]])
        assert self.get(library, ours, transport) == [(200, b"")] * 4

    def test_too_long(self, library, ours):
        pieces = [EXPIRED, *[b" " * 1000] * 100]
        transport = self.handler(library, pieces)
        assert self.get(library, ours, transport) == [(403, b"".join(pieces))] * 4

    def test_out_of_time(self, library, ours, monkeypatch):
        monkeypatch.setattr(response_body, "PATIENCE", 0.0)
        transport = self.handler(library, [EXPIRED])
        assert self.get(library, ours, transport) == [(403, EXPIRED)] * 4

    def test_breaking_off(self, library, ours):
        transport = self.handler(library, [EXPIRED], library.ReadError("gone"))
        with pytest.raises(library.ReadError, match="gone"):
            self.get(library, ours, transport)

    def test_a_subclass_of_the_response(self, library, ours):
        class Traced(library.Response):
            pass

        transport = self.handler(library, [b"no"], response=Traced)
        assert self.get(library, ours, transport) == [(403, b"no")] * 4

    def test_a_503_is_closed_unread(self, library, ours, monkeypatch):
        """A read of it may take as long as that transport lets it."""
        monkeypatch.setattr(random, "random", lambda: 0.0)
        happened: list[str] = []

        class Stream(library.SyncByteStream, library.AsyncByteStream):
            def __iter__(self):
                happened.append("read")
                yield b"busy"

            async def __aiter__(self):
                for piece in self:
                    yield piece

            def close(self):
                happened.append("closed")

            async def aclose(self):
                self.close()

        def handle(_):
            happened.append("sent")
            if happened.count("sent") % 2:
                return library.Response(503, stream=Stream())
            return library.Response(200)

        settings = {
            "auth": ours.LatticeAuth(region=REGION, credentials=canary.credentials()),
            "transport": library.MockTransport(handle),
            "retry": RetryPolicy(base=0),
        }
        with ours.Client(**settings) as client:
            assert client.get("http://a.example/").status_code == 200

        async def get() -> int:
            async with ours.AsyncClient(**settings) as client:
                return (await client.get("http://a.example/")).status_code

        assert asyncio.run(get()) == 200
        assert happened == ["sent", "closed", "sent"] * 2
