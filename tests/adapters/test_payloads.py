"""Bodies under ``SigV4Auth``: hashed as they are sent, or not at all where S3 takes no hash."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import formatdate
from typing import ClassVar

import aiohttp
import anyio
import httpx
import httpx2
import pytest

import lattice_client.httpx
import lattice_client.httpx2
from adapters.drivers import CHUNKS, CLIENTS, DRIVERS, STREAM, Driver, Form, sigv4_auth
from lattice_client import SigV4Auth, UnsignablePayloadError
from lattice_client._wire.body import QUICK_TO_HASH
from lattice_client.signing import EMPTY_PAYLOAD
from support import canary
from support.oracles import Case, crt_request
from support.raw_server import OK, RawRequest, RawServer, raw_server

REGION = "us-west-2"


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def parameter(target: str, name: str) -> str:
    return target.partition(f"{name}=")[2].partition("&")[0]


class TestS3InTheQuery:
    """S3 takes the constant UNSIGNED-PAYLOAD there, and no header that says so ("Authenticating
    Requests: Using Query Parameters", S3 API Reference)."""

    @staticmethod
    def expected(sent: RawRequest, service: str) -> str:
        """The signature that AWS's C runtime gives the request as it arrived."""
        target = sent.target.decode()
        case = Case(
            sent.method,
            sent.header("host") or "",
            target.partition("?")[0],
            credentials=canary.credentials(),
            now=_seconds(parameter(target, "X-Amz-Date")),
            region=REGION,
            service=service,
        )
        theirs = crt_request(
            case,
            query=True,
            double=False,
            normalize=False,
            payload_header=False,
            expires=int(parameter(target, "X-Amz-Expires")),
        )
        return parameter(theirs.path, "X-Amz-Signature")

    @pytest.mark.parametrize("service", ["s3", "s3-object-lambda", "s3-outposts"])
    @pytest.mark.parametrize("payload", ["signed", "unsigned"])
    def test_no_body_is_signed(self, driver, service, payload):
        auth = sigv4_auth(driver)(
            service,
            region=REGION,
            credentials=canary.credentials(),
            placement="query",
            payload=payload,
        )
        # What an earlier signature has left is no header of this one.
        stale = {"x-amz-content-sha256": EMPTY_PAYLOAD}
        with raw_server() as server, driver.client(auth) as call:
            for body in (None, b"an object", STREAM):
                assert call("PUT", f"{server.url}/key", body=body, headers=stale).status == 200
                sent = server.requests[-1]
                assert sent.body == (b"".join(CHUNKS) if body is STREAM else body or b"")
                assert not sent.signed
                assert parameter(sent.target.decode(), "X-Amz-Signature") == self.expected(
                    sent, service
                )
            assert len(server.requests) == 3


def _seconds(amz_date: str) -> int:
    return int(datetime.strptime(amz_date + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp())


UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
LARGE = 5 << 20


def execute_api(kind: type[SigV4Auth] = SigV4Auth) -> SigV4Auth:
    """With the hash in a header, which the verifier compares with the body that came."""
    return kind(
        "execute-api",
        region=REGION,
        credentials=canary.credentials(),
        signed_headers=["x-amz-content-sha256"],
    )


def refused_by_the_clock() -> bytes:
    """A refusal that has a remedy; what is signed with it is still within the verifier's window."""
    date = formatdate(time.time() + 120, usegmt=True)
    body = "InvalidSignatureException: Signature expired: it is late"
    return (
        f"HTTP/1.1 403 No\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def assert_verified(server: RawServer, count: int) -> bytes:
    """The body, which has arrived so many times, each time as it was signed."""
    bodies = [request.body for request in server.requests]
    assert bodies == bodies[:1] * count
    for request in server.requests:
        assert request.verified(service="execute-api")
    return bodies[0]


@pytest.fixture
def files(tmp_path) -> Iterator[dict[str, object]]:
    (tmp_path / "large").write_bytes(b"0123456789abcdef" * (LARGE // 16))
    (tmp_path / "text").write_bytes("begin bücher\r\n".encode())
    with (tmp_path / "large").open("rb") as large, (tmp_path / "text").open("rb") as middle:
        middle.seek(6)
        in_memory = io.BytesIO(b"begin in memory")
        in_memory.seek(6)
        yield {
            "bytes": b"bytes",
            "empty": io.BytesIO(),
            "in memory": in_memory,
            "from its middle": middle,
            "large": large,
        }


needs_files_left_open = pytest.mark.skipif(
    not hasattr(aiohttp.Payload, "consumed"), reason="this aiohttp closes files it has sent"
)


# Where a request is sent again: after a 503 by the clients, after a refusal that has a remedy by
# all that are shown the answer.
SENT_AGAIN = [
    pytest.param(driver, refusal, id=f"{driver.name}-{refusal}")
    for driver in DRIVERS
    for refusal in ("503", "remedy")
    if "library-free" not in driver.name and (refusal == "remedy" or driver in CLIENTS)
]


@contextmanager
def refusing_once(refusal: str) -> Iterator[RawServer]:
    left = [UNAVAILABLE if refusal == "503" else refused_by_the_clock()]
    with raw_server(lambda _: left.pop() if left else OK) as server:
        yield server


@pytest.fixture
def no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


# requests reads the files of a form into memory, and an older aiohttp asks for their length itself.
STREAMING_FORMS = [
    driver
    for driver in DRIVERS
    if driver.name.startswith("httpx")
    or (driver.name.startswith("aiohttp") and hasattr(aiohttp.Payload, "consumed"))
]


class TestMultipart:
    FIELDS: ClassVar = {"field": "b\xfccher", "empty": ""}

    def test_text_is_hashed_as_sent(self, driver):
        with raw_server() as server, driver.client(execute_api(sigv4_auth(driver))) as call:
            form = Form(self.FIELDS, {"file": b"in memory"})
            assert call("POST", server.url, form=form).status == 200
        body = assert_verified(server, 1)
        assert "bücher".encode() in body
        assert b"in memory" in body

    @needs_files_left_open
    def test_files_are_hashed_as_sent(self, driver, files):
        with raw_server() as server, driver.client(execute_api(sigv4_auth(driver))) as call:
            assert call("POST", server.url, form=Form(self.FIELDS, files)).status == 200
        body = assert_verified(server, 1)
        assert b"0123456789abcdef" * (LARGE // 16) in body
        assert "bücher\r\n".encode() in body
        # httpx sends files from their beginning, the others from where they stand.
        assert (b"begin in memory" in body) is ("httpx" in driver.name)

    @needs_files_left_open
    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(("driver", "refusal"), SENT_AGAIN)
    def test_files_are_hashed_as_sent_again(self, driver, refusal, files):
        with (
            refusing_once(refusal) as server,
            driver.client(execute_api(sigv4_auth(driver))) as call,
        ):
            assert call("PUT", server.url, form=Form(self.FIELDS, files)).status == 200
        assert len(assert_verified(server, 2)) > LARGE

    @pytest.mark.parametrize("driver", STREAMING_FORMS, ids=lambda driver: driver.name)
    def test_a_file_that_can_be_read_but_once_is_refused(self, driver):
        class Pipe(io.BytesIO):
            def seekable(self):
                return False

            def seek(self, *_):
                raise io.UnsupportedOperation("seek")

        pipe = Pipe(b"once")
        with raw_server() as server, driver.client(execute_api(sigv4_auth(driver))) as call:
            with pytest.raises(UnsignablePayloadError, match="payload='unsigned'"):
                call("PUT", server.url, form=Form(self.FIELDS, {"file": pipe}))
            assert not server.requests
        assert pipe.read() == b"once"

    @pytest.mark.parametrize("driver", STREAMING_FORMS, ids=lambda driver: driver.name)
    def test_a_file_that_cannot_be_put_back_is_refused(self, driver):
        """It says that it can, and is found to have been used up."""

        class Surprise(io.BytesIO):
            read_at_all = False

            def read(self, *arguments):
                self.read_at_all = True
                return super().read(*arguments)

            def seek(self, offset, whence=0):
                if self.read_at_all:
                    raise io.UnsupportedOperation("seek")
                return super().seek(offset, whence)

        with raw_server() as server, driver.client(execute_api(sigv4_auth(driver))) as call:
            with pytest.raises(UnsignablePayloadError, match="payload='unsigned'"):
                call("PUT", server.url, form=Form(self.FIELDS, {"file": Surprise(b"once")}))
            assert not server.requests


class TestEventLoops:
    """They are not held up while a form is read to be hashed."""

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @pytest.mark.parametrize("level", ["hook", "client"])
    @pytest.mark.parametrize(
        ("library", "ours"), [(httpx, lattice_client.httpx), (httpx2, lattice_client.httpx2)]
    )
    def test_files_are_read_in_a_thread(self, library, ours, level, backend):
        read_in = []

        class Noting(io.BytesIO):
            def read(self, *arguments):
                read_in.append(threading.current_thread())
                return super().read(*arguments)

        async def call(url: str) -> None:
            auth = execute_api(ours.SigV4Auth)
            kind = ours.AsyncClient if level == "client" else library.AsyncClient
            async with kind(auth=auth, trust_env=False) as client:
                assert (await client.post(url, files={"file": Noting(b"file")})).is_success

        with raw_server() as server:
            anyio.run(call, server.url, backend=backend)
            assert_verified(server, 1)
        # Once to be hashed, and once to be sent; each time to the end.
        here = threading.current_thread()
        assert [thread is here for thread in read_in] == [False, False, True, True]

    def test_large_parts_are_hashed_in_a_thread(self, monkeypatch):
        hashed_in = {}

        class Noting:
            def __init__(self):
                self._hash = hashlib.sha256()

            def update(self, data):
                hashed_in[len(data)] = threading.current_thread()
                self._hash.update(data)

            def hexdigest(self):
                return self._hash.hexdigest()

        monkeypatch.setattr("lattice_client._wire.body.sha256", Noting)

        async def call(url: str) -> None:
            form = aiohttp.FormData()
            for size in (QUICK_TO_HASH, QUICK_TO_HASH + 1):
                form.add_field(f"of {size}", b"x" * size, filename="file")
            async with (
                aiohttp.ClientSession(middlewares=(execute_api(),)) as session,
                session.post(url, data=form) as response,
            ):
                assert response.ok

        with raw_server() as server:
            asyncio.run(call(server.url))
            assert_verified(server, 1)
        here = threading.current_thread()
        assert hashed_in[QUICK_TO_HASH] is here
        assert hashed_in[QUICK_TO_HASH + 1] is not here


class TestOtherBodies:
    @needs_files_left_open
    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(
        ("driver", "refusal"),
        # Asynchronous httpx takes no files.
        [case for case in SENT_AGAIN if "async" not in case.values[0].name],
    )
    def test_a_file_is_hashed_as_sent_again(self, driver, refusal, tmp_path):
        (tmp_path / "large").write_bytes(b"0123456789abcdef" * (LARGE // 16))
        # aiohttp alone sends text.
        for mode in ("rb", "r") if driver.name.startswith("aiohttp") else ("rb",):
            with (
                (tmp_path / "large").open(mode) as file,
                refusing_once(refusal) as server,
                driver.client(execute_api(sigv4_auth(driver))) as call,
            ):
                assert call("PUT", server.url, body=file).status == 200
            assert len(assert_verified(server, 2)) == LARGE

    @pytest.mark.usefixtures("no_jitter")
    @pytest.mark.parametrize(
        ("driver", "refusal"),
        [
            case
            for case in SENT_AGAIN
            if case.values[0].name.startswith("httpx") and "async" not in case.values[0].name
        ],
    )
    def test_pieces_are_hashed_as_sent_again(self, driver, refusal):
        with (
            refusing_once(refusal) as server,
            driver.client(execute_api(sigv4_auth(driver))) as call,
        ):
            assert call("PUT", server.url, body=[b"one ", b"", b"two"]).status == 200
        assert assert_verified(server, 2) == b"one two"

    def test_a_generator_is_refused(self, driver):
        with raw_server() as server, driver.client(execute_api(sigv4_auth(driver))) as call:
            with pytest.raises(UnsignablePayloadError, match=r"generator.*payload='unsigned'"):
                call("PUT", server.url, body=STREAM)
            assert not server.requests
