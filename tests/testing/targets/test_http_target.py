"""Servers as targets, over real sockets."""

import asyncio
import hashlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
import trio
import trustme

from lattice_client import ConfigurationError
from lattice_client.testing import (
    HTTPTarget,
    LocalLattice,
    load,
    serve,
)
from lattice_client.testing.targets import http_target
from lattice_client.testing.targets.echo import echo
from lattice_client.testing.targets.loading import named_app
from support.asgi_driver import fetch
from support.documents import ROOT
from support.local_oracles import HOST, wire
from support.upstreams import http2_upstream, raw_upstream, upstream

WAIT = 20


def lattice_to(target):
    lattice = LocalLattice()
    lattice.add_service("orders", domain=HOST, auth_type="NONE", target=target)
    return lattice


def pairs(response):
    return [tuple(pair) for pair in response.json()["headers"]]


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(chunk=b"", *, more=False):
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def raw(target, *headers, method="GET", content=b""):
    head = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


def answer_to(running, data):
    """The status of the answer to raw bytes, and all of it."""
    with socket.create_connection((running.host, running.port), timeout=WAIT) as sock:
        sock.sendall(data)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    return int(answer.split()[1]) if answer else None, answer


# What is passed on


def test_a_request_is_passed_on_as_it_came():
    with upstream(echo) as url, serve(lattice_to(url)) as running:
        content = b"x" * 100_000
        response = httpx.post(
            f"{running.url}/a%2Fb//c?x=%41&x=+&y",
            headers={"host": HOST, "x-own": "1", "x-amzn-requestid": "one"},
            content=content,
        )
        got = response.json()
        assert got["method"] == "POST"
        assert (got["path"], got["query"]) == ("/a%2Fb//c", "x=%41&x=+&y")
        assert got["body_sha256"] == hashlib.sha256(content).hexdigest()
        headers = dict(pairs(response))
        assert headers["host"] == HOST
        assert headers["x-own"] == "1"
        assert headers["x-amzn-requestid"] == response.headers["x-amzn-requestid"] == "one"
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert "TargetGroupArn=" in headers["x-amzn-lattice-target"]
        assert running.access_log[-1]["bytesReceived"] > len(content)


@pytest.mark.parametrize("target", ["/?", "/a[b]|c", "//double//./..", "/%zz", "/a;b=c?d=e?f#g"])
def test_odd_targets_stay_as_they_are(target):
    with upstream(echo) as url, serve(lattice_to(url)) as running:
        status, answer = answer_to(running, raw(target, "Connection: close"))
        assert status == 200
        path, _, query = target.partition("?")
        assert f'"path": "{path}", "query": "{query}"'.encode() in answer


def test_no_client_takes_out_what_lattice_adds():
    names = "host, Content-Length, X-Forwarded-For, x-amzn-lattice-network, x-amzn-requestid, x-own"
    sent = [f"Connection: close, {names}", "Content-Length: 2", "X-Own: 1"]
    with upstream(echo) as url, serve(lattice_to(url)) as running:
        status, answer = answer_to(running, raw("/", *sent, method="POST", content=b"ab"))
        assert status == 200
        got = dict(httpx.Response(200, content=answer.partition(b"\r\n\r\n")[2]).json()["headers"])
        assert got["host"] == HOST
        assert got["content-length"] == "2"
        assert got["x-forwarded-for"] == "127.0.0.1"
        assert got["x-amzn-lattice-network"].startswith("SourceVpcArn=")
        assert "x-amzn-requestid" in got
        assert "x-own" not in got


def test_what_belongs_to_the_connection_is_not_passed_on():
    async def app(scope, receive, send):
        if scope["path"] == "/":
            await echo(scope, receive, send)
            return
        headers = [(b"connection", b"x-hop"), (b"x-hop", b"1"), (b"keep-alive", b"timeout=1")]
        await send(start(200, *headers, (b"x-kept", b"1"), (b"content-length", b"0")))
        await send(body())

    with upstream(app) as url, serve(lattice_to(url)) as running:
        sent = {"connection": "x-hop, keep-alive", "x-hop": "1", "te": "trailers", "x-kept": "1"}
        names = dict(pairs(httpx.get(running.url, headers=sent)))
        assert names["x-kept"] == "1"
        assert not {"connection", "x-hop", "te", "keep-alive"} & set(names)
        response = httpx.get(f"{running.url}/response")
        assert response.headers["x-kept"] == "1"
        assert "x-hop" not in response.headers
        assert "keep-alive" not in response.headers


def test_what_comes_back_is_what_was_sent():
    async def app(_scope, _receive, send):
        # Not gzip: the body must not be decoded.
        headers = [(b"content-encoding", b"gzip"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        await send(start(302, *headers, (b"location", b"http://elsewhere/")))
        await send(body(b"as it is"))

    with upstream(app) as url, serve(lattice_to(url)) as running, httpx.Client() as client:
        with client.stream("GET", running.url) as response:
            assert b"".join(response.iter_raw()) == b"as it is"
        assert response.status_code == 302
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PURGE"])
def test_methods_without_a_body(method):
    with upstream(echo) as url, serve(lattice_to(url)) as running:
        response = httpx.request(method, running.url)
        assert response.status_code == 200
        if method == "HEAD":
            assert int(response.headers["content-length"]) > 0
        else:
            assert response.json()["method"] == method
            assert response.json()["body_length"] == 0


def test_connections_are_kept_while_the_lattice_is_served(monkeypatch):
    monkeypatch.setattr(http_target, "_KEPT_SECONDS", 60.0)
    clients = set()

    async def app(scope, receive, send):
        clients.add(scope["client"])
        await echo(scope, receive, send)

    with upstream(app) as url:
        with serve(lattice_to(url)) as running, httpx.Client() as client:
            for _ in range(3):
                assert client.post(running.url, content=b"x").status_code == 200
        assert len(clients) == 1


def test_in_process_it_runs_on_trio_too():
    async def call(lattice):
        transport = httpx.ASGITransport(lattice)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post(f"http://{HOST}/a", content=b"hello")

    with upstream(echo) as url:
        response = trio.run(call, lattice_to(url))
        assert response.json()["body_length"] == 5


def test_in_process_each_request_has_a_connection_of_its_own():
    with upstream(echo) as url:
        lattice = lattice_to(url)
        for _ in range(2):
            response = fetch(lattice, wire("POST", "/a?b=c", [("host", HOST)]), b"hello")
            assert response.json()["body_length"] == 5


# Streams


def test_a_request_is_streamed():
    arrived = threading.Event()

    async def app(_scope, receive, send):
        total = 0
        while True:
            message = await receive()
            total += len(message.get("body", b""))
            if total:
                arrived.set()
            if not message.get("more_body"):
                break
        await send(start())
        await send(body(str(total).encode()))

    def chunks():
        yield b"first"
        assert arrived.wait(WAIT), "the target has not seen the first part"
        yield b"second"

    with upstream(app) as url, serve(lattice_to(url)) as running:
        assert httpx.post(running.url, content=chunks(), timeout=WAIT).text == "11"


def test_a_response_is_streamed():
    seen = threading.Event()

    async def app(_scope, _receive, send):
        await send(start())
        await send(body(b"first", more=True))
        await asyncio.to_thread(seen.wait, WAIT)
        await send(body(b"second"))

    with (
        upstream(app) as url,
        serve(lattice_to(url)) as running,
        httpx.stream("GET", running.url, timeout=WAIT) as response,
    ):
        parts = response.iter_raw()
        assert next(parts) == b"first"
        seen.set()
        assert b"".join(parts) == b"second"


# Clients that leave


def leaving(when):
    """A target that waits for its client to leave; events for its start and its end."""
    there, gone = threading.Event(), threading.Event()

    async def app(_scope, receive, send):
        if when == "in the answer":
            await send(start())
            await send(body(b"first", more=True))
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            if when == "in the request" and not message.get("body"):
                continue
            there.set()
        gone.set()

    return app, there, gone


@pytest.mark.parametrize("when", ["before the answer", "in the answer", "in the request"])
def test_a_client_that_leaves_frees_its_target(when):
    app, there, gone = leaving(when)
    written = threading.Event()
    with upstream(app) as url:
        lattice = LocalLattice(on_access=lambda _: written.set())
        lattice.add_service("orders", domain=HOST, auth_type="NONE", target=url)
        with serve(lattice) as running:
            with socket.create_connection((running.host, running.port), timeout=WAIT) as sock:
                if when == "in the request":
                    sock.sendall(raw("/", "Content-Length: 10", method="POST", content=b"half"))
                else:
                    sock.sendall(raw("/"))
                if when == "in the answer":
                    assert b"200 OK" in sock.recv(65536)
                assert there.wait(WAIT)
            assert gone.wait(WAIT)
            assert written.wait(WAIT)
            assert running.access_log[-1]["failureReason"] == "ClientConnectionClosed"


# Servers that fail


@pytest.mark.parametrize(
    ("answers", "status", "reason"),
    [
        (None, 500, "TargetConnectionError"),
        ([b""], 502, "TargetProtocolError"),
        ([b"what?\r\n\r\n"], 502, "TargetProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], 502, "TargetProtocolError"),
    ],
)
def test_a_server_that_fails_before_it_answers(answers, status, reason, caplog, nobody_listens):
    def check(url):
        with serve(lattice_to(url)) as running:
            response = httpx.get(running.url)
            assert response.status_code == status
            assert response.text in ("Internal Server Error", "Bad Gateway")
            assert running.access_log[-1]["failureReason"] == reason
            assert url in caplog.text

    if answers is None:
        check(f"http://127.0.0.1:{nobody_listens}")
    else:
        with raw_upstream(*answers) as url:
            check(url)


def test_a_server_that_fails_in_its_answer():
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    with raw_upstream(half) as url, serve(lattice_to(url)) as running:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(running.url)
        assert running.access_log[-1]["failureReason"] == "TargetConnectionClosed"


def test_a_server_that_is_silent():
    released = threading.Event()

    async def app(_scope, receive, _send):
        while (await receive())["type"] != "http.disconnect":
            pass
        released.set()

    with upstream(app) as url:
        with serve(lattice_to(HTTPTarget(url, idle_seconds=0.1))) as running:
            assert httpx.get(running.url, timeout=WAIT).status_code == 500
            assert running.access_log[-1]["failureReason"] == "TargetDataTimeout"
        assert released.wait(WAIT)


# HTTP/2 and TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The paths of a certificate for 127.0.0.1, its key and its authority."""
    folder = tmp_path_factory.mktemp("certificate")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    paths = [str(folder / name) for name in ("cert.pem", "key.pem", "ca.pem")]
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return paths


async def versions(scope, receive, send):
    """Echo, with the version of HTTP in a header."""

    async def marked(message):
        if message["type"] == "http.response.start":
            version = scope["http_version"].encode()
            message["headers"] = [*message["headers"], (b"x-version", version)]
        await send(message)

    await echo(scope, receive, marked)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(("protocol_version", "version"), [("HTTP1", "1.1"), ("HTTP2", "2")])
def test_protocol_versions(certificate, tls, protocol_version, version):
    with http2_upstream(versions, certificate[:2] if tls else None) as url:
        assert url.startswith("https:" if tls else "http:")
        target = HTTPTarget(url, protocol_version=protocol_version)
        with serve(lattice_to(target)) as running, httpx.Client() as client:
            content = b"x" * 100_000
            for _ in range(2):
                response = client.post(f"{running.url}/a%20b?c=d", content=content)
                assert response.status_code == 200, running.access_log[-1]
                assert response.headers["x-version"] == version
                got = response.json()
                assert (got["path"], got["query"], got["body_length"]) == ("/a%20b", "c=d", 100_000)
            assert client.get(running.url).json()["body_length"] == 0
            streamed = client.post(running.url, content=iter([b"one", b"two"]))
            assert streamed.json()["body_length"] == 6


@pytest.mark.parametrize("when", ["before the answer", "in the answer"])
def test_a_client_that_leaves_frees_an_http2_target_too(when):
    app, there, gone = leaving(when)
    with http2_upstream(app) as url:
        target = HTTPTarget(url, protocol_version="HTTP2")
        with serve(lattice_to(target)) as running:
            with socket.create_connection((running.host, running.port), timeout=WAIT) as sock:
                sock.sendall(raw("/", "Content-Length: 1", method="POST", content=b"x"))
                if when == "in the answer":
                    assert b"200 OK" in sock.recv(65536)
                assert there.wait(WAIT)
            assert gone.wait(WAIT)


def test_a_certificate_is_checked_where_that_is_wanted(certificate):
    with http2_upstream(versions, certificate[:2]) as url:
        with serve(lattice_to(HTTPTarget(url, verify=True))) as running:
            assert httpx.get(running.url).status_code == 500
        trusting = ssl.create_default_context(cafile=certificate[2])
        with serve(lattice_to(HTTPTarget(url, verify=trusting))) as running:
            assert httpx.get(running.url).status_code == 200


# What is no target


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1/base",
        "http://127.0.0.1?a=b",
        "http://user:hunter2@127.0.0.1",
        "http://user:hunter2@",
        "http://user:hunter2@[::1",
        "http://user:hunter2@127.0.0.1:x",
        "user:hunter2@127.0.0.1:8000",
        "http:/user:hunter2@127.0.0.1:8000",
        "http://user:hun\nter2@[::1",
        "http://user:hunter2\uff20127.0.0.1:80",
        "http://user:hunter2%40127.0.0.1:80",
        ["http://user:hunter2@127.0.0.1"],
    ],
)
def test_a_target_is_a_server(url, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        lattice_to(url)
    assert "ter2" not in str(caught.value)
    if isinstance(url, str):
        with pytest.raises(ConfigurationError) as caught:
            named_app(url)
        assert "ter2" not in str(caught.value)
    (tmp_path / "a.toml").write_text(f"targets.blue.url = {json.dumps(url)}")
    with pytest.raises(ConfigurationError, match="targets\\.blue") as caught:
        load(tmp_path / "a.toml")
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "127.0.0.1:abc", "[::1]:0", "localhost:-1"])
def test_a_port_that_is_none_is_refused(host):
    words = re.escape(f"a target's URL must be 1 to 65535, or omitted: http://{host}")
    with pytest.raises(ConfigurationError, match=words):
        lattice_to(f"http://{host}")
    for good in ("http://127.0.0.1", "https://[::1]:65535", "http://localhost:1/"):
        lattice_to(good)


def test_other_protocol_versions_are_unknown():
    with pytest.raises(ConfigurationError, match="HTTP1 or HTTP2, not 'GRPC'"):
        HTTPTarget("http://127.0.0.1:8000", protocol_version="GRPC")
    assert repr(HTTPTarget("http://127.0.0.1:8000/")) == "<HTTPTarget http://127.0.0.1:8000>"


@pytest.mark.parametrize("library", ["httpcore", "anyio", "h2"])
def test_a_library_that_is_missing_is_named(monkeypatch, library):
    from lattice_client import MissingExtraError

    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=f"{library} is not installed.*'testing'"):
        HTTPTarget("http://127.0.0.1:8000", protocol_version="HTTP2")._pool()


# Much


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc"
)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_gibibyte_in_constant_memory(direction):
    result = subprocess.run(
        [sys.executable, "-m", "support.stream_a_gibibyte", direction],
        cwd=ROOT / "tests",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    before, after = map(int, result.stdout.split()[-2:])
    assert after - before < 32 * 1024
