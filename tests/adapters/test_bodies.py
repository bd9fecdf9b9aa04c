"""Bodies that are sent again, and answers that were read before their callers got them."""

from __future__ import annotations

import asyncio
import io
import logging
import random
import time
from email.utils import formatdate

import aiohttp
import httpx
import httpx2
import pytest
import requests

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.drivers import DRIVERS, Driver
from lattice_client import LatticeAuth
from support import canary
from support.raw_server import OK, raw_server

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 11\r\n\r\nnot for you"
HTTPX = [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


def auth(kind: type = LatticeAuth, **arguments) -> LatticeAuth:
    return kind(region="us-west-2", credentials=canary.credentials(), **arguments)


def answers(*responses: bytes):
    left = list(responses)
    return lambda _: left.pop(0) if left else OK


def of_another_time() -> bytes:
    """A refusal that has a remedy: by its Date, the clock is off."""
    date = formatdate(time.time() + 600, usegmt=True)
    body = "InvalidSignatureException: Signature expired: it is late"
    return (
        f"HTTP/1.1 403 No\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class ReadOnce(io.BytesIO):
    """Claims to be seekable, but cannot be rewound once it has been read."""

    read_at_all = False

    def read(self, *arguments):
        self.read_at_all = True
        return super().read(*arguments)

    def seek(self, offset, whence=0):
        if self.read_at_all and whence == 0:
            raise OSError("it was a pipe after all")
        return super().seek(offset, whence)


class TestMultipart:
    @pytest.mark.parametrize(("_", "ours"), HTTPX)
    def test_httpx(self, _, ours):
        with (
            raw_server(answers(UNAVAILABLE, of_another_time())) as server,
            ours.Client(auth=auth(), trust_env=False) as client,
        ):
            files = {"file": io.BytesIO(b"0123456789" * 20_000), "text": b"in memory"}
            response = client.put(server.url, files=files, data={"field": "value"})
            assert response.status_code == 200
        self.assert_the_same(server, 3)

    @pytest.mark.parametrize(("_", "ours"), HTTPX)
    def test_asynchronous_httpx(self, _, ours):
        async def call(url: str) -> int:
            async with ours.AsyncClient(auth=auth(), trust_env=False) as client:
                return (await client.put(url, files={"file": io.BytesIO(b"file")})).status_code

        with raw_server(answers(UNAVAILABLE)) as server:
            assert asyncio.run(call(server.url)) == 200
        self.assert_the_same(server, 2)

    @pytest.mark.parametrize(("library", "ours"), HTTPX)
    def test_the_hook_of_httpx(self, library, ours):
        with (
            raw_server(answers(of_another_time())) as server,
            library.Client(auth=auth(ours.LatticeAuth), trust_env=False) as client,
        ):
            files = {"file": io.BytesIO(b"file")}
            assert client.post(server.url, files=files).status_code == 200
        self.assert_the_same(server, 2)

    @pytest.mark.skipif(
        not hasattr(aiohttp.Payload, "consumed"), reason="this aiohttp closes files it has sent"
    )
    def test_aiohttp(self, tmp_path):
        path = tmp_path / "upload"
        path.write_bytes(b"0123456789" * 20_000)

        async def call(url: str) -> int:
            async with lattice_client.aiohttp.client_session(auth()) as session:
                with path.open("rb") as file:
                    form = {"file": file, "more": io.BytesIO(b"more"), "field": "value"}
                    async with session.put(url, data=form) as response:
                        return response.status

        with raw_server(answers(UNAVAILABLE, of_another_time())) as server:
            assert asyncio.run(call(server.url)) == 200
        self.assert_the_same(server, 3)

    def test_with_a_pipe_in_it_is_sent_once(self):
        class Pipe(io.BytesIO):
            def seekable(self):
                return False

            def seek(self, *_):
                raise io.UnsupportedOperation("seek")

        with (
            raw_server(lambda _: UNAVAILABLE) as server,
            lattice_client.httpx.Client(auth=auth(), trust_env=False) as client,
        ):
            response = client.put(server.url, files={"file": Pipe(b"file")})
            assert (response.status_code, response.text) == (503, "busy")
            assert len(server.requests) == 1

    @pytest.mark.parametrize(("_", "ours"), HTTPX)
    def test_an_encoder_that_is_read_but_once_is_sent_once(self, _, ours):
        """Such as the one of requests-toolbelt."""

        class Encoder:
            def __init__(self):
                self.fields = [("field", "value")]
                self._left = [b"--b--"]

            def __iter__(self):
                while self._left:
                    yield self._left.pop()

        with (
            raw_server(lambda _: UNAVAILABLE) as server,
            ours.Client(auth=auth(), trust_env=False) as client,
        ):
            assert client.put(server.url, content=Encoder()).status_code == 503
            assert [request.body for request in server.requests] == [b"--b--"]

    @staticmethod
    def assert_the_same(server, count: int) -> None:
        bodies = [request.body for request in server.requests]
        assert len(bodies) == count
        assert len(bodies[0]) > 0
        assert bodies == bodies[:1] * count
        assert server.requests[0].verified()


class TestRewinding:
    @pytest.mark.parametrize("refusal", [UNAVAILABLE, of_another_time()], ids=["503", "403"])
    @pytest.mark.parametrize(
        "driver",
        [each for each in DRIVERS if "async" not in each.name and "aiohttp" not in each.name],
        ids=lambda driver: driver.name,
    )
    def test_where_it_fails_the_answer_is_handed_out(self, driver, refusal):
        """Asynchronous httpx takes no files, and aiohttp rewinds them itself."""
        status, text = int(refusal[9:12]), refusal.partition(b"\r\n\r\n")[2].decode()
        with raw_server(lambda _: refusal) as server, driver.client(auth(driver.auth)) as call:
            answer = call("PUT", server.url, body=ReadOnce(b"body"))
            assert (answer.status, answer.text) == (status, text)
            assert len(server.requests) == 1

    def test_a_remedy_that_comes_too_late_for_a_body_says_so(self, driver, caplog):
        from adapters.drivers import STREAM

        refusal = of_another_time()
        caplog.set_level(logging.WARNING, "lattice_client.auth")
        with raw_server(lambda _: refusal) as server, driver.client(auth(driver.auth)) as call:
            assert call("PUT", server.url, body=STREAM).status == 403
            assert len(server.requests) == 1
        (message,) = [each for each in caplog.messages if "refused a request" in each]
        assert "cannot be sent again" in message
        assert "it is signed" not in message


@pytest.fixture(
    params=[each for each in DRIVERS if "library-free" not in each.name],
    ids=lambda driver: driver.name,
)
def driver(request) -> Driver:
    return request.param


class TestExpect100:
    @pytest.mark.parametrize("refusal", [UNAVAILABLE, of_another_time()], ids=["503", "403"])
    def test_client(self, refusal):
        async def call(url: str) -> int:
            async with (
                lattice_client.aiohttp.client_session(auth()) as session,
                session.put(url, data=b"x" * 1000, expect100=True) as response,
            ):
                return response.status

        self.run(call, refusal)

    def test_hook(self):
        async def call(url: str) -> int:
            async with (
                aiohttp.ClientSession(middlewares=(auth(),)) as session,
                session.put(url, data=b"x" * 1000, expect100=True) as response,
            ):
                return response.status

        self.run(call, of_another_time())

    def run(self, call, refusal: bytes) -> None:
        """The refusal comes before the body is asked for."""
        with raw_server(answers(refusal), faults=["before the body"]) as server:
            assert asyncio.run(call(server.url)) == 200
            assert [len(request.body) for request in server.requests] == [0, 1000]


class TestRawReaders:
    """A refusal that was read to look for a remedy still streams."""

    @pytest.fixture
    def url(self):
        with raw_server(lambda _: FORBIDDEN) as server:
            yield server.url

    def test_requests(self, url):
        ours, theirs = lattice_client.requests.Session(auth()), requests.Session()
        theirs.auth = auth()
        for session in (ours, theirs):
            with session:
                response = session.get(url, stream=True)
                assert response.raw.read(3) + response.raw.read() == b"not for you"
                assert session.get(url, stream=True).content == b"not for you"
                parts = session.get(url, stream=True).iter_content(4)
                assert list(parts) == [b"not ", b"for ", b"you"]

    def test_requests_takes_the_cookies(self):
        refusal = FORBIDDEN.replace(b"Content-Length", b"Set-Cookie: a=b\r\nContent-Length")
        with (
            raw_server(lambda _: refusal) as server,
            lattice_client.requests.Session(auth()) as session,
        ):
            assert session.get(server.url).cookies["a"] == "b"
            assert session.cookies["a"] == "b"

    @pytest.mark.parametrize(("library", "ours"), HTTPX)
    def test_httpx(self, url, library, ours):
        for client in (
            ours.Client(auth=auth(), trust_env=False),
            library.Client(auth=auth(ours.LatticeAuth), trust_env=False),
        ):
            with client:
                with client.stream("GET", url) as response:
                    assert b"".join(response.iter_raw()) == b"not for you"
                response = client.get(url)
                assert response.text == "not for you"
                assert response.is_closed
                assert response.elapsed

    @pytest.mark.parametrize(("library", "ours"), HTTPX)
    def test_asynchronous_httpx(self, url, library, ours):
        async def read(client) -> bytes:
            async with client, client.stream("GET", url) as response:
                return b"".join([part async for part in response.aiter_raw()])

        for client in (
            ours.AsyncClient(auth=auth(), trust_env=False),
            library.AsyncClient(auth=auth(ours.LatticeAuth), trust_env=False),
        ):
            assert asyncio.run(read(client)) == b"not for you"

    def test_aiohttp(self, url):
        async def read(make) -> None:
            async with make() as session:
                async with session.get(url) as response:
                    assert await response.content.read(3) == b"not"
                    assert await response.content.read() == b" for you"
                    assert await response.content.read() == b""
                async with session.get(url) as response:
                    assert [part async for part in response.content.iter_any()] == [b"not for you"]
                async with session.get(url) as response:
                    assert await response.text() == "not for you"

        asyncio.run(read(lambda: lattice_client.aiohttp.client_session(auth())))
        asyncio.run(read(lambda: aiohttp.ClientSession(middlewares=(auth(),))))


class TestRefusalsThatBreakOff:
    """A refusal whose body does not arrive raises the library's own error."""

    @pytest.fixture
    def url(self):
        answer = b"HTTP/1.1 403 No\r\nContent-Length: 12\r\n\r\nnot for "
        with raw_server(lambda _: answer, faults=["close"]) as server:
            yield server.url

    @pytest.mark.parametrize("stream", [False, True])
    def test_requests(self, stream, monkeypatch):
        monkeypatch.setattr("lattice_client._wire.response_body.PATIENCE", 0.05)

        def body(url: str) -> bytes:
            with lattice_client.requests.Session(auth()) as session:
                session.trust_env = False
                return session.get(url, stream=stream, timeout=0.3).content

        with (
            raw_server(lambda _: FORBIDDEN, faults=["half an answer"]) as server,
            # requests has no ReadTimeout for a body.
            pytest.raises(requests.ConnectionError, match="timed out"),
        ):
            body(server.url)

    @pytest.mark.parametrize(("library", "ours"), HTTPX)
    def test_httpx(self, url, library, ours):
        with (
            ours.Client(auth=auth(), trust_env=False) as client,
            pytest.raises(library.RemoteProtocolError),
        ):
            client.get(url)

    @pytest.mark.parametrize(("library", "ours"), HTTPX)
    def test_asynchronous_httpx(self, url, library, ours):
        async def call() -> None:
            async with ours.AsyncClient(auth=auth(), trust_env=False) as client:
                await client.get(url)

        with pytest.raises(library.RemoteProtocolError):
            asyncio.run(call())

    def test_aiohttp(self, url):
        async def call() -> None:
            async with (
                lattice_client.aiohttp.client_session(auth()) as session,
                session.get(url) as response,
            ):
                await response.read()

        with pytest.raises(aiohttp.ClientPayloadError):
            asyncio.run(call())


def test_no_answer_holds_up_aiohttp(monkeypatch):
    """The rest of a 503 that is not returned is not awaited until the call times out."""
    monkeypatch.setattr("lattice_client._wire.response_body.PATIENCE", 0.01)

    async def call(url: str) -> int:
        async with (
            lattice_client.aiohttp.client_session(auth()) as session,
            session.get(url) as response,
        ):
            return response.status

    with raw_server(answers(UNAVAILABLE), faults=["half an answer"]) as server:
        assert asyncio.run(call(server.url)) == 200
        assert len(server.requests) == 2
