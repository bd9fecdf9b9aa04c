"""Reading an answer ahead of its caller is bounded in bytes and time, and loses nothing."""

from __future__ import annotations

import gzip
import random
import socket
import ssl
import time
import zlib
from email.utils import formatdate

import aiohttp
import httpx
import httpx2
import pytest
import requests
import responses
import trustme

from adapters.drivers import (
    ANSWERING,
    BROKEN_OF_NIQUESTS,
    CLIENTS,
    DRIVERS,
    Driver,
    is_over_urllib3_future,
)
from lattice_client import LatticeAuth, RetryPolicy
from lattice_client._wire import response_body
from support import canary
from support.raw_server import OK, RawRequest, raw_server

REGION = "us-west-2"
BROKEN = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    httpx.TransportError,
    httpx2.TransportError,
    aiohttp.ClientError,
    *BROKEN_OF_NIQUESTS,
)

BODY = b"x" * 60_000
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)


def chunked(body: bytes, size: int = 1 << 14, extension: bytes = b"") -> bytes:
    """A body in chunks, with its header."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    lines = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(lines) + b"0\r\n\r\n"


BODIES = {
    "with its length": LENGTH + BODY,
    "chunked": chunked(BODY),
    # No byte of the body comes before the whole of this.
    "in the chunk's own line": chunked(BODY, extension=b";x=" + b"y" * 2000),
}


def refusal(rest: bytes, *, ahead: float = 0) -> bytes:
    """A 403, dated some seconds ahead of us."""
    date = formatdate(time.time() + ahead, usegmt=True).encode()
    return b"HTTP/1.1 403 Forbidden\r\nDate: " + date + b"\r\n" + rest


def unavailable(rest: bytes) -> bytes:
    return b"HTTP/1.1 503 Unavailable\r\n" + rest


def answers(*responses: bytes):
    left = list(responses)
    return lambda _: left.pop(0) if left else OK


EXPIRED = b"InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier"


def if_late(rest: bytes):
    """Refuse what is signed by the local clock, as a Lattice whose clock is an hour ahead."""

    def respond(request: RawRequest) -> bytes:
        signed_at = (request.header("x-amz-date") or "")[:13]
        now = time.strftime("%Y%m%dT%H%M", time.gmtime())
        return refusal(rest, ahead=3600) if signed_at[:11] == now[:11] else OK

    return respond


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(params=ANSWERING, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def auth(driver: Driver):
    return driver.auth(region=REGION, credentials=canary.credentials())


class SeenError(Exception):
    pass


class TestDripping:
    """The server drips until the call has returned, or far longer than any limit of ours."""

    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch):
        monkeypatch.setattr(response_body, "PATIENCE", 0.3)

    @pytest.mark.parametrize("body", BODIES)
    def test_a_refusal_is_handed_out_and_stays_whole(self, driver, body):
        with (
            raw_server(lambda _: refusal(BODIES[body]), ["drip"]) as server,
            driver.client(auth(driver)) as call,
        ):
            answer = call("GET", server.url, on_head=server.go_on.set)
            assert not server.dripped_out
            assert (answer.status, answer.text) == (403, BODY.decode())
            assert call("GET", server.url).status == 403

    @pytest.mark.parametrize("body", BODIES)
    @pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
    def test_an_answer_that_is_not_handed_out_is_let_go_of(self, driver, body):
        respond = answers(unavailable(BODIES[body]))
        with raw_server(respond, ["drip"]) as server, driver.client(auth(driver)) as call:
            assert call("GET", server.url).status == 200
            assert not server.dripped_out
            # The rest of the answer would have come before the next one.
            assert server.connections == 2

    @pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
    def test_the_deadline_counts_too(self, driver, monkeypatch):
        monkeypatch.setattr(response_body, "PATIENCE", 3600.0)
        retry = RetryPolicy(deadline=0.3)
        for status, respond in {
            403: lambda _: refusal(LENGTH + BODY),
            503: lambda _: unavailable(LENGTH + BODY),
        }.items():
            with (
                raw_server(respond, ["drip"] * 9) as server,
                driver.client(auth(driver), retry=retry) as call,
            ):
                answer = call("GET", server.url, on_head=server.go_on.set)
                assert not server.dripped_out
                assert (answer.status, answer.text) == (status, BODY.decode())

    def test_silence_does_not_use_up_the_librarys_own_patience(self, driver):
        """Half of the body comes, and no more. The library would wait for 20 s, and then raise."""

        def seen() -> None:
            raise SeenError

        with (
            raw_server(lambda _: refusal(LENGTH + BODY), ["half an answer"]) as server,
            pytest.raises(SeenError),
            driver.client(auth(driver)) as call,
        ):
            call("GET", server.url, on_head=seen)


ENCODED = {
    "chunked": chunked(EXPIRED),
    "chunked, byte by byte": chunked(EXPIRED, 1),
    "until the connection closes": b"Connection: close\r\n\r\n" + EXPIRED,
    **{
        f"{coding}, {name}": b"Content-Encoding: " + coding.encode() + b"\r\n" + rest
        for coding, packed in {
            "gzip": gzip.compress(EXPIRED),
            "deflate": zlib.compress(EXPIRED),
        }.items()
        for name, rest in {
            "with its length": b"Content-Length: %d\r\n\r\n" % len(packed) + packed,
            "chunked": chunked(packed, 10),
        }.items()
    },
}


@pytest.mark.parametrize("rest", ENCODED)
class TestRefusalsAsAProxySendsThem:
    def test_they_have_their_remedy(self, driver, rest):
        faults = ["close"] if "closes" in rest else []
        with (
            raw_server(if_late(ENCODED[rest]), faults) as server,
            driver.client(auth(driver)) as call,
        ):
            for _ in range(2):
                assert call("POST", server.url, body=b"{}").status == 200
            assert len(server.requests) == 3
            # The refusal was read to its end, so its connection was reused.
            assert server.connections == 1 + len(faults)

    def test_they_stay_readable(self, driver, rest):
        faults = ["close"] if "closes" in rest else []
        with (
            raw_server(lambda _: refusal(ENCODED[rest]), faults) as server,
            driver.client(auth(driver)) as call,
        ):
            answer = call("GET", server.url, on_head=lambda: None)
            assert (answer.status, answer.text) == (403, EXPIRED.decode())
            assert len(server.requests) == 1


class TestBombs:
    def test_what_is_longer_unpacked_is_not_looked_at(self, driver):
        """Although it begins with words that have a remedy."""
        bomb = zlib.compress(EXPIRED + b" " * (10 << 20), 9)
        rest = b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
        with raw_server(if_late(rest)) as server, driver.client(auth(driver)) as call:
            assert call("GET", server.url).status == 403
            assert len(server.requests) == 1

    @pytest.mark.parametrize("bits", [47, -15])
    def test_the_limit(self, bits):
        for size, kept in {1 << 16: True, (1 << 16) + 1: False}.items():
            packing = zlib.compressobj(wbits=15 if bits > 0 else bits)
            packed = packing.compress(b"x" * size) + packing.flush()
            assert (response_body._inflate(packed, bits) is not None) is kept
            assert response_body._inflate(packed[:-5], bits) is None


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    authority = trustme.CA()
    ca_file = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def secured(respond, faults=()):
        plain = socket.create_server(("127.0.0.1", 0))
        return raw_server(respond, faults, context.wrap_socket(plain, server_side=True))

    return secured, str(ca_file)


class TestTls:
    """TLS delivers whole records: a readable socket may have no data yet."""

    def test_a_remedy(self, driver, secured):
        serving, ca_file = secured
        with (
            serving(if_late(ENCODED["chunked"])) as server,
            driver.client(auth(driver), ca_file) as call,
        ):
            for _ in range(2):
                url = f"https://127.0.0.1:{server.port}"
                assert call("POST", url, body=b"{}").status == 200
            assert len(server.requests) == 3
            assert server.connections == 1

    def test_dripping(self, driver, secured, monkeypatch):
        monkeypatch.setattr(response_body, "PATIENCE", 0.3)
        serving, ca_file = secured
        with (
            serving(lambda _: refusal(BODIES["chunked"]), ["drip"]) as server,
            driver.client(auth(driver), ca_file) as call,
        ):
            url = f"https://127.0.0.1:{server.port}"
            answer = call("GET", url, on_head=server.go_on.set)
            assert not server.dripped_out
            assert (answer.status, answer.text) == (403, BODY.decode())


class TestBreakingOff:
    """A refusal whose body breaks off is returned; reading it raises the library's error."""

    @pytest.mark.parametrize(
        ("rest", "fault"),
        [
            (LENGTH + b"x" * 100, "close"),
            (b"Transfer-Encoding: chunked\r\n\r\n40\r\nxxx", "close"),
            # Without the error, what came would look whole.
            (b"Connection: close\r\n\r\nxxx", "reset"),
        ],
        ids=["with its length", "chunked", "until the connection closes"],
    )
    def test_it_is_handed_out(self, driver, rest, fault):
        if fault == "reset" and ("aiohttp" in driver.name or is_over_urllib3_future(driver)):
            pytest.skip("aiohttp and urllib3-future themselves take a reset for the end")
        handed_out = []
        with (
            raw_server(lambda _: refusal(rest), [fault]) as server,
            driver.client(auth(driver)) as call,
        ):
            with pytest.raises(BROKEN):
                call("GET", server.url, on_head=lambda: handed_out.append(1))
            assert handed_out
            assert len(server.requests) == 1


def test_a_small_buffer_is_not_waited_for(monkeypatch):
    """aiohttp reads no more of a refusal than its buffer holds until its caller reads."""
    monkeypatch.setattr(response_body, "PATIENCE", 3600.0)
    rest = b"Content-Length: 10000\r\n\r\n" + b"x" * 10_000
    for driver in DRIVERS:
        if "aiohttp" not in driver.name:
            continue
        with (
            raw_server(lambda _: refusal(rest)) as server,
            driver.client(auth(driver), read_bufsize=1024) as call,
        ):
            # The call itself times out after 20 s.
            answer = call("GET", server.url)
            assert (answer.status, len(answer.text)) == (403, 10_000)
            assert len(server.requests) == 1


def test_a_tool_that_answers_requests():
    auth = LatticeAuth(region=REGION, credentials=canary.credentials())
    with responses.RequestsMock() as mock:
        date = formatdate(time.time() + 3600, usegmt=True)
        mock.get("http://a.example/", status=403, body=EXPIRED, headers={"Date": date})
        mock.get("http://a.example/", body=b"ok")
        answer = requests.get("http://a.example/", auth=auth, timeout=5)
        assert (answer.status_code, answer.content) == (200, b"ok")
        assert answer.history[0].content == EXPIRED
