"""Bodies and URLs that are sent in another form than given: signed as sent, or refused."""

from __future__ import annotations

import asyncio
import io
import socket
import tempfile

import aiohttp
import anyio
import httpx
import httpx2
import pytest
import requests

import lattice_client.httpx
import lattice_client.httpx2
from lattice_client import InvalidHeaderError, LatticeAuth, SigV4Auth, UnsignablePayloadError
from support import canary
from support.raw_server import raw_server

REGION = "us-west-2"


@pytest.fixture
def server():
    with raw_server() as running:
        yield running


def lattice(**arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(), **arguments)


def execute_api(kind: type[SigV4Auth] = SigV4Auth) -> SigV4Auth:
    # With the hash in a header, the verifier compares it with the body that came.
    return kind(
        "execute-api",
        region=REGION,
        credentials=canary.credentials(),
        signed_headers=["x-amz-content-sha256"],
    )


def assert_body_verified(server, body: bytes) -> None:
    request = server.requests[-1]
    assert request.body == body
    assert request.verified(service="execute-api")


def aiohttp_call(auth, method: str, url: str, *, jar=None, **arguments) -> None:
    async def call() -> None:
        async with (
            aiohttp.ClientSession(middlewares=(auth,)) as session,
            session.request(method, url, **arguments) as response,
        ):
            await response.read()

    asyncio.run(call())


def form(file: object = b"data") -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("file", file, filename="name.bin")
    return data


def packed() -> aiohttp.MultipartWriter:
    """Parts that aiohttp encodes on the way out, one within another."""
    inner, outer = aiohttp.MultipartWriter(), aiohttp.MultipartWriter()
    inner.append(b"data" * 100, {"Content-Encoding": "gzip"})
    inner.append(b"data", {"Content-Transfer-Encoding": "base64"})
    outer.append(inner)
    outer.append_json({"a": 1})
    return outer


class Reversed(aiohttp.payload.BytesPayload):
    """A payload that is sent in another form than given."""

    async def write(self, writer):
        await writer.write(self._value[::-1])

    async def write_with_length(self, writer, content_length):
        await self.write(writer)


async def generated():
    yield b"once"


class TestAiohttpBodies:
    @pytest.mark.parametrize(
        ("arguments", "sent"),
        [
            ({}, b""),
            ({"data": b""}, b""),
            ({"data": b"abc"}, b"abc"),
            ({"data": bytearray(b"abc")}, b"abc"),
            ({"data": memoryview(b"abc")}, b"abc"),
            ({"data": "bücher"}, "bücher".encode()),
            ({"data": {"a": "b c"}}, b"a=b+c"),
            ({"json": {"a": 1}}, b'{"a": 1}'),
            ({"data": b"abc", "chunked": True}, b"abc"),
            ({"data": io.BytesIO(b"file")}, b"file"),
            ({"data": io.StringIO("bücher")}, "bücher".encode()),
            ({"data": aiohttp.payload.StringPayload("é", encoding="utf-16")}, "é".encode("utf-16")),
            ({"data": Reversed(b"abc")}, b"cba"),
            ({"data": b"abcdef", "headers": {"Content-Length": "3"}}, b"abc"),
        ],
    )
    def test_are_hashed_as_sent(self, server, arguments, sent):
        aiohttp_call(execute_api(), "POST", server.url, **arguments)
        assert_body_verified(server, sent)

    @pytest.mark.parametrize("make", [form, packed])
    def test_of_parts_are_hashed_as_sent(self, server, make):
        aiohttp_call(execute_api(), "POST", server.url, data=make())
        assert server.requests[-1].body.endswith(b"--\r\n")
        assert server.requests[-1].verified(service="execute-api")

    @pytest.mark.parametrize(
        "arguments",
        [
            {"data": b"abc" * 100, "compress": True},
            {"data": generated()},
            {"data": form(generated())},
            {"data": memoryview(b"abcdef")[::2]},
        ],
        ids=["compressed", "generator", "generator in a form", "memory with gaps"],
    )
    def test_are_refused_where_they_cannot_be_read_before(self, server, arguments):
        with pytest.raises(UnsignablePayloadError, match="payload='unsigned'"):
            aiohttp_call(execute_api(), "POST", server.url, **arguments)
        assert not server.requests

    @pytest.mark.parametrize("data", [lambda file: file, form], ids=["alone", "in a form"])
    def test_a_text_file_in_another_encoding(self, server, data):
        with tempfile.TemporaryFile("w+", encoding="latin-1") as file:
            file.write("caf\xe9")
            file.seek(0)
            with pytest.raises(UnsignablePayloadError, match="binary"):
                aiohttp_call(execute_api(), "POST", server.url, data=data(file))
        assert not server.requests

    @pytest.mark.parametrize("body", [form, lambda: b"abc" * 100, generated])
    def test_are_no_matter_to_lattice(self, server, body):
        data = body()
        compress = True if isinstance(data, bytes) else None
        aiohttp_call(lattice(), "POST", server.url, data=data, compress=compress)
        assert server.requests[-1].verified()


@pytest.mark.parametrize(
    ("module", "native"), [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]
)
class TestHttpxBodies:
    @pytest.mark.parametrize(
        ("arguments", "sent"),
        [
            ({}, b""),
            ({"content": b"abc"}, b"abc"),
            ({"content": "bücher"}, "bücher".encode()),
            ({"data": {"a": "b c"}}, b"a=b+c"),
        ],
    )
    def test_are_hashed_as_sent(self, server, module, native, arguments, sent):
        with module.Client(auth=execute_api(native.SigV4Auth), trust_env=False) as client:
            client.post(server.url, **arguments)
        assert_body_verified(server, sent)

    def test_a_file_is_hashed_as_sent(self, server, module, native):
        with module.Client(auth=execute_api(native.SigV4Auth), trust_env=False) as client:
            client.post(server.url, content=io.BytesIO(b"file"))
        assert_body_verified(server, b"file")

    @pytest.mark.parametrize("content", [["text"], [b"bytes", 1], [memoryview(b"abcd")[::2]]])
    def test_pieces_that_are_no_bytes_are_refused(self, server, module, native, content):
        with module.Client(auth=execute_api(native.SigV4Auth), trust_env=False) as client:
            with pytest.raises(UnsignablePayloadError, match="list"):
                client.post(server.url, content=content)
            assert not server.requests

    def test_an_asynchronous_file_is_no_file(self, server, module, native, tmp_path):
        (tmp_path / "upload").write_bytes(b"data")

        async def call() -> None:
            auth = execute_api(native.SigV4Auth)
            async with (
                module.AsyncClient(auth=auth, trust_env=False) as client,
                await anyio.open_file(tmp_path / "upload", "rb") as file,
            ):
                await client.post(server.url, content=file)

        with pytest.raises(UnsignablePayloadError):
            asyncio.run(call())
        assert not server.requests


class TestRequestsUrls:
    """Through a proxy, which shows the target and Host header that a name would get."""

    def call(self, server, url: str, auth=None, **arguments) -> requests.Response:
        proxies = {"http": server.url}
        with requests.Session() as session:
            session.trust_env = False
            return session.get(
                url, auth=auth or lattice(), proxies=proxies, timeout=20, **arguments
            )

    @pytest.mark.parametrize(
        ("url", "host"),
        [
            ("http://orders.example.com/a?b=1&a=2", "orders.example.com"),
            ("http://orders.example.com:80/a?b=1", "orders.example.com"),
            ("http://orders.example.com:8080/a", "orders.example.com:8080"),
            ("http://user:word@orders.example.com:80/a", "orders.example.com"),
            ("http://orders.example.com?b=1+2", "orders.example.com"),
            ("http://orders.example.com/a?b=1+2#fragment", "orders.example.com"),
        ],
    )
    def test_through_a_proxy(self, server, url, host):
        self.call(server, url)
        assert server.requests[-1].header("host") == host
        assert server.requests[-1].verified()

    def test_an_empty_host_header_is_refused(self, server):
        with pytest.raises(InvalidHeaderError, match="Host"):
            self.call(server, "http://orders.example.com/", headers={"Host": ""})
        assert not server.requests

    def test_the_final_dot_is_not_sent(self, server, monkeypatch):
        auth = lattice()
        url = f"http://orders.example.com.:{server.port}/"
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda _, *arguments: resolve("127.0.0.1", *arguments)
        )
        with requests.Session() as session:
            session.trust_env = False
            session.get(url, auth=auth, timeout=20)
        assert server.requests[-1].header("host") == f"orders.example.com:{server.port}"
        assert server.requests[-1].verified()


class TestSignedAlready:
    """A URL with a signature in its query is not sent with two."""

    @pytest.mark.parametrize("placement", ["header", "query"])
    def test_is_signed_anew(self, server, placement):
        url, _ = lattice(placement="query").presign_url("GET", f"{server.url}/a?z=1")
        auth = lattice(placement=placement)
        requests.get(url, auth=auth, timeout=20)
        httpx.get(url, auth=auth, trust_env=False)
        httpx2.get(url, auth=auth, trust_env=False)
        aiohttp_call(auth, "GET", aiohttp.client.URL(url, encoded=True))
        for request in server.requests:
            assert request.verified()
            assert request.target.count(b"X-Amz-Signature=") == (placement == "query")
            assert request.target.startswith(b"/a?z=1")
        assert len(server.requests) == 4


def test_what_is_not_signed_stays_as_it_is_written(server):
    """A plus sign may be part of another signature."""
    auth = lattice(hosts=["none.example"])
    url = f"{server.url}/?q=a+b"
    requests.get(url, auth=auth, timeout=20)
    httpx.get(url, auth=auth, trust_env=False)
    aiohttp_call(auth, "GET", aiohttp.client.URL(url, encoded=True))
    assert [request.target for request in server.requests] == [b"/?q=a+b"] * 3
    assert not any(request.signed for request in server.requests)
