"""The local Lattice on real sockets: raw bytes, TLS, IPv6, names, starting and stopping."""

import asyncio
import functools
import http.client
import json
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests
import trio

from lattice_client.errors import ConfigurationError
from lattice_client.testing import LocalLattice, serve
from lattice_client.testing.server import server_thread
from lattice_client.testing.server.resolving import resolving
from support.asgi_driver import signed_by
from support.asynchronous import closing
from support.ipv6 import need_ipv6
from support.local_oracles import HOST, NOW, as_pairs, hand_sign, replace_header, wire

each_scheme = pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])


def connect(running):
    sock = socket.create_connection((running.host, running.port), timeout=10)
    if running.scheme == "https":
        return running.client_ssl_context().wrap_socket(sock, server_hostname=HOST)
    return sock


def raw(request, body=b""):
    """The bytes of a wire request."""
    target = request.path + (b"?" + request.query if request.query else b"")
    lines = [f"{request.method} ".encode() + target + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers]
    return b"\r\n".join([*lines, b"", b""]) + body


def exchange(sock, data):
    """Send bytes, and read one response."""
    sock.sendall(data)
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response.status, response.read()


def is_closed(sock):
    """Whether the other side has closed the connection, with or without a reset."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def running(local):
    with serve(local) as running:
        yield running


@pytest.fixture
def caller(local):
    return local.caller("frontend")


# Bytes


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/[brackets]{braces}|pipe^caret`tick", None, ""),
        ("/a;b=c;d", "/a%3Bb%3Dc%3Bd", ""),
        ("//double//slash", "/double/slash", ""),
        ("/dots/./and/../more", "/dots/more", ""),
        ("/%zz%e9%2f", "/%25zz%25e9%252f", ""),
        ("/?", "/", ""),
        ("/??", "/", "%3F="),
        ("/?a=[1]&b='2'", "/", "a=%5B1%5D&b=%272%27"),
        ("/?a=%zz&a=%41;b", "/", "a=%25zz&a=A%3Bb"),
        ("/?x=1?y=2", "/", "x=1%3Fy%3D2"),
        ("/?+=+", "/", "%2B=%2B"),
        ("/?&&b&&a&", "/", "a=&b="),
    ],
)
def test_odd_targets_arrive_as_they_were_sent(local, running, target, path, query):
    local.add_caller("by-hand", credentials=by_hand())
    path = path or "/%5Bbrackets%5D%7Bbraces%7D%7Cpipe%5Ecaret%60tick"
    request = hand_sign(target=target, path=path, query=query, credentials=by_hand())
    with connect(running) as sock:
        data = raw(request).replace(b" HTTP", b"? HTTP") if target == "/?" else raw(request)
        status, body = exchange(sock, data)
    assert status == 200, body
    (received,) = running.requests
    assert (
        received.path + b"?" + received.query
        == target.encode().partition(b"?")[0] + b"?" + (target.encode().partition(b"?")[2])
    )
    assert received.canonical_request.startswith(f"GET\n{path}\n{query}\n")


def by_hand():
    from lattice_client.credentials import Credentials

    return Credentials("AKIABYHAND", "secret")


def test_header_values_arrive_as_they_were_sent(local, running, caller):
    headers = [("x-team", 'a  "b   c"'), ("X-TEAM", "second"), ("x-utf", "é")]
    request = signed_by(caller, headers=headers)
    with connect(running) as sock:
        status, body = exchange(sock, raw(request))
    assert status == 200, body
    assert running.requests[0].header("x-team") == 'a  "b   c", second'


@pytest.mark.parametrize(
    "data", [b"GET /\xc3\xa9 HTTP/1.1\r\nhost: a\r\n\r\n", b"nonsense\r\n\r\n"]
)
def test_what_is_no_http_is_refused(running, data):
    with connect(running) as sock:
        assert exchange(sock, data)[0] == 400
    assert running.requests == []


def test_a_chunked_body_is_read(running, caller):
    request = signed_by(caller, "POST", headers=[("transfer-encoding", "chunked")])
    with connect(running) as sock:
        status, body = exchange(sock, raw(request, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))
    assert (status, json.loads(body)["body_length"]) == (200, 5)


def test_the_body_is_asked_for_only_if_it_is_wanted(running, caller):
    expecting = [("expect", "100-continue"), ("content-length", "5")]
    with connect(running) as sock:
        sock.sendall(raw(signed_by(caller, "POST", headers=expecting)))
        assert sock.recv(12) == b"HTTP/1.1 100"
    unsigned = wire("POST", "/", [("host", HOST), *expecting])
    with connect(running) as sock:
        status, body = exchange(sock, raw(unsigned))
    assert status == 403
    assert b"anonymous" in body


def test_a_large_refused_body_does_not_harm_the_connection(running, caller):
    size = 4 * 1024 * 1024
    length = [("content-length", str(size))]
    with connect(running) as sock:
        refused = wire("POST", "/", [("host", HOST), *length])
        assert exchange(sock, raw(refused, b"x" * size))[0] == 403
        status, body = exchange(sock, raw(signed_by(caller, "PUT", headers=length), b"x" * size))
        assert (status, json.loads(body)["body_length"]) == (200, size)


def test_head(running, caller):
    with connect(running) as sock:
        sock.sendall(raw(signed_by(caller, "HEAD")))
        response = http.client.HTTPResponse(sock, method="HEAD")
        response.begin()
        assert (response.status, response.read()) == (200, b"")
        assert int(response.headers["content-length"]) > 0


@each_scheme
def test_one_connection_carries_a_thousand_requests(local, caller, tls):
    data = raw(signed_by(caller))
    with serve(local, tls=tls) as running, connect(running) as sock:
        for _ in range(1000):
            assert exchange(sock, data)[0] == 200
        assert len({record["sourceIpPort"] for record in running.access_log}) == 1
        assert len(running.access_log) == 1000


def test_headers_over_the_limit_get_lattices_answer(running):
    headers = [("host", HOST), ("x-big", "v" * 100_000)]
    with connect(running) as sock:
        status, body = exchange(sock, raw(wire("GET", "/", headers)))
    assert (status, body) == (400, b"Bad Request: over 100 headers, or over 60 K of them")


def test_the_client_ip_is_not_taken_from_the_request(running, caller):
    request = replace_header(signed_by(caller), "x-forwarded-for", b"10.1.2.3")
    with connect(running) as sock:
        _, body = exchange(sock, raw(request))
    forwarded = {value for name, value in json.loads(body)["headers"] if name == "x-forwarded-for"}
    assert forwarded == {"127.0.0.1"}


# Targets that fail, clients that leave


def test_a_failing_target_cuts_the_connection(local, caplog):
    async def target(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    local.add_service("broken", target=target, auth_type="NONE", domain="broken.example.com")
    with serve(local) as running, connect(running) as sock:
        with pytest.raises(http.client.IncompleteRead):
            exchange(sock, raw(wire("GET", "/", [("host", "broken.example.com")])))
        assert running.access_log[0]["failureReason"] == "TargetConnectionClosed"
    assert "ZeroDivisionError" in caplog.text


def test_a_client_that_leaves_is_noticed(local):
    left = threading.Event()

    async def target(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass

    local.add_service("slow", target=target, auth_type="NONE", domain="slow.example.com")
    local._on_access = lambda _record: left.set()
    with serve(local) as running:
        with connect(running) as sock:
            sock.sendall(raw(wire("GET", "/", [("host", "slow.example.com")])))
            assert sock.recv(8) == b"HTTP/1.1"
        assert left.wait(10)
        assert running.access_log[0]["failureReason"] == "ClientConnectionClosed"


def test_responses_are_streamed(local):
    more = threading.Event()

    async def target(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.to_thread(more.wait, 10)
        await send({"type": "http.response.body", "body": b"second"})

    local.add_service("stream", target=target, auth_type="NONE", domain="stream.example.com")
    with (
        serve(local) as running,
        running.resolving(),
        httpx.stream("GET", running.url_for("stream")) as response,
    ):
        chunks = response.iter_raw()
        assert next(chunks) == b"first"
        more.set()
        assert next(chunks) == b"second"


# TLS


@each_scheme
def test_any_client_reaches_it_by_name(local, caller, tls):
    with serve(local, tls=tls) as running, running.resolving():
        url = running.url_for("orders")
        assert url == f"{running.scheme}://{HOST}:{running.port}"
        host = ("host", f"{HOST}:{running.port}")
        pairs = as_pairs(signed_by(caller, target="/a", headers=[host]))
        verify = running.ca_file if tls else True

        def check(status, got):
            assert status == 200
            assert got["caller"] == caller.principal
            record = running.access_log[-1]
            assert record["hostHeader"] == f"{HOST}:{running.port}"
            assert record["serverNameIndication"] == (HOST if tls else None)
            assert record["tlsVersion"] == ("TLSv1.3" if tls else None)
            assert (record["sslCipher"] is not None) is tls

        response = requests.get(f"{url}/a", headers=dict(pairs), verify=verify, timeout=10)
        check(response.status_code, response.json())

        context = running.client_ssl_context() if tls else True
        response = httpx.get(f"{url}/a", headers=pairs, verify=context)
        check(response.status_code, response.json())

        async def with_aiohttp():
            async with (
                closing(aiohttp.ClientSession()) as session,
                session.get(f"{url}/a", headers=pairs, ssl=context) as response,
            ):
                check(response.status, await response.json())

        asyncio.run(with_aiohttp())

        async def with_trio():
            async with httpx.AsyncClient(verify=context) as client:
                response = await client.get(f"{url}/a", headers=pairs)
                check(response.status_code, response.json())

        trio.run(with_trio)


@pytest.mark.parametrize("host", [HOST, "localhost", "127.0.0.1", "::1", "managed"])
def test_the_certificate_is_for_every_name(local, host):
    name = local.service("orders").managed_name if host == "managed" else host
    with (
        serve(local, tls=True) as running,
        socket.create_connection((running.host, running.port), timeout=10) as sock,
        running.client_ssl_context().wrap_socket(sock, server_hostname=name) as tls,
    ):
        assert tls.version() == "TLSv1.3"
        assert tls.selected_alpn_protocol() is None


def test_the_certificate_is_for_no_other_name(local):
    with (
        serve(local, tls=True) as running,
        socket.create_connection((running.host, running.port), timeout=10) as sock,
        pytest.raises(ssl.SSLCertVerificationError, match="match"),
    ):
        running.client_ssl_context().wrap_socket(sock, server_hostname="other.example.com")


def test_a_service_added_later_is_certified_too(local):
    with serve(local, tls=True) as running, running.resolving():
        running.add_service("rates", domain="rates.example.com", auth_type="NONE")
        response = httpx.get(running.url_for("rates"), verify=running.client_ssl_context())
        assert response.status_code == 200


def test_the_authoritys_file_goes_when_the_server_stops(local):
    with serve(local, tls=True) as running:
        assert Path(running.ca_file).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert not Path(running.ca_file).parent.exists()


def test_there_is_no_authority_without_tls(running):
    for use in (lambda: running.ca_file, running.client_ssl_context):
        with pytest.raises(RuntimeError, match="does not speak TLS"):
            use()


# Addresses and URLs


@each_scheme
def test_ipv6(local, caller, tls):
    need_ipv6()
    with serve(local, host="::1", tls=tls) as running, running.resolving():
        assert running.url == f"{running.scheme}://[::1]:{running.port}"
        context = running.client_ssl_context() if tls else True
        pairs = as_pairs(signed_by(caller))
        assert httpx.get(running.url, headers=pairs, verify=context).status_code == 200
        host = ("host", f"{HOST}:{running.port}")
        pairs = as_pairs(signed_by(caller, headers=[host]))
        response = httpx.get(running.url_for("orders"), headers=pairs, verify=context)
        assert response.json()["caller"] == caller.principal
        assert running.access_log[-1]["sourceIpPort"].startswith("::1:")


def test_urls(local, running):
    orders = local.service("orders")
    rates = running.add_service("rates")
    assert running.url == f"http://127.0.0.1:{running.port}"
    for service in ("orders", orders, HOST):
        assert running.url_for(service) == f"http://{HOST}:{running.port}"
    assert running.url_for(orders.managed_name) == f"http://{orders.managed_name}:{running.port}"
    assert running.url_for("rates") == f"http://{rates.managed_name}:{running.port}"
    with pytest.raises(KeyError):
        running.url_for("nothing")
    assert repr(running) == f"<RunningLattice at {running.url}>"


def test_what_tests_need_is_at_hand(local, running):
    caller = running.add_caller("batch", role="batch-jobs")
    assert running.caller("batch") is caller is local.caller("batch")
    assert running.service("orders") is local.service("orders")
    requests.get(running.url, timeout=10)
    assert running.access_log == local.access_log
    assert len(running.requests) == 1


# Starting and stopping


@each_scheme
def test_it_can_be_started_again_at_the_same_port(local, tls):
    with serve(local, tls=tls) as first:
        kept_open = connect(first)
    with kept_open:
        assert is_closed(kept_open)
    with pytest.raises(ConnectionError):
        connect(first)
    with serve(local, tls=tls, port=first.port) as second, connect(second) as sock:
        assert second.port == first.port
        assert exchange(sock, raw(wire("GET", "/", [("host", HOST)])))[0] == 403


def test_it_can_be_stopped_in_the_middle_of_a_handshake(local):
    with serve(local, tls=True) as running:
        sock = socket.create_connection((running.host, running.port), timeout=10)
        # The first bytes of a record that is never finished.
        sock.sendall(b"\x16\x03\x01\x02\x00")
    with sock:
        assert is_closed(sock)


def test_clients_that_do_not_trust_it_do_no_harm(local):
    with serve(local, tls=True) as running:
        for _ in range(3):
            with (
                socket.create_connection((running.host, running.port), timeout=10) as sock,
                pytest.raises(ssl.SSLCertVerificationError),
            ):
                ssl.create_default_context().wrap_socket(sock, server_hostname=HOST)
        with connect(running) as sock:
            assert exchange(sock, raw(wire("GET", "/", [("host", HOST)])))[0] == 403


def test_an_address_that_is_taken_is_an_error(local, running):
    with pytest.raises(OSError, match=r"[Aa]ddress"), serve(local, port=running.port):
        pass


def test_an_application_that_does_not_start_is_an_error(monkeypatch, local):
    class ServerError(Exception):
        pass

    async def started(_lifespan):
        raise ServerError

    monkeypatch.setattr(server_thread.Lifespan, "started", started)
    before = set(threading.enumerate())
    with pytest.raises(ServerError), serve(local, tls=True):
        pass
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_an_error(local, port):
    with (
        pytest.raises(ConfigurationError, match="port must be 0 to 65535"),
        serve(local, port=port),
    ):
        pass


def test_stopping_twice_does_no_harm(local):
    with serve(local) as running:
        running.stop()
        running.stop()


@each_scheme
def test_stopping_ends_what_is_in_flight(local, caplog, monkeypatch, tls):
    monkeypatch.setattr(server_thread, "_GRACE_SECONDS", 0.05)
    reached = threading.Event()

    async def target(_scope, _receive, _send):
        reached.set()
        await asyncio.Event().wait()

    local.add_service("stuck", target=target, auth_type="NONE", domain="stuck.example.com")
    with serve(local, tls=tls) as running:
        sock = connect(running)
        sock.sendall(raw(wire("GET", "/", [("host", "stuck.example.com")])))
        assert reached.wait(10)
    with sock:
        assert is_closed(sock)
    assert local.access_log[0]["failureReason"] == "ClientConnectionClosed"
    assert caplog.text == ""


def test_a_target_that_does_not_let_go_of_its_thread(local, caplog, monkeypatch):
    monkeypatch.setattr(server_thread, "_GRACE_SECONDS", 0.05)
    monkeypatch.setattr(server_thread, "_JOIN_SECONDS", 0.05)
    reached, go_on = threading.Event(), threading.Event()

    async def target(_scope, _receive, _send):
        reached.set()
        go_on.wait(10)  # Blocks the whole loop.

    local.add_service("stuck", target=target, auth_type="NONE", domain="stuck.example.com")
    with serve(local) as running, connect(running) as sock:
        sock.sendall(raw(wire("GET", "/", [("host", "stuck.example.com")])))
        assert reached.wait(10)
        running.stop()
        assert "still waiting for a target" in caplog.text
        go_on.set()
        running._thread._thread.join(10)
        assert not running._thread._thread.is_alive()


def test_stopping_lets_a_response_be_finished(local, monkeypatch):
    monkeypatch.setattr(server_thread, "_GRACE_SECONDS", 20)
    reached, go_on = threading.Event(), threading.Event()

    async def target(_scope, _receive, send):
        reached.set()
        await asyncio.to_thread(go_on.wait, 10)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    local.add_service("slow", target=target, auth_type="NONE", domain="slow.example.com")
    with ThreadPoolExecutor() as pool:
        with serve(local) as running:
            sock = connect(running)
            data = raw(wire("GET", "/", [("host", "slow.example.com")]))
            response = pool.submit(exchange, sock, data)
            assert reached.wait(10)
            stopping = pool.submit(running.stop)
            go_on.set()
            stopping.result(10)
        with sock:
            assert response.result(10) == (200, b"done")


def test_without_a_file_to_spare_it_waits_and_goes_on():
    pytest.importorskip("resource")
    script = """
        import http.client, logging, os, resource, socket, threading
        from lattice_client.testing import LocalLattice, serve
        said, warnings = threading.Event(), []
        class Handler(logging.Handler):
            def emit(self, record):
                warnings.append(record.getMessage())
                said.set()
        logging.getLogger("lattice_client.testing").addHandler(Handler())
        with serve(LocalLattice()) as running:
            first, client = [
                http.client.HTTPConnection(running.host, running.port, timeout=10) for _ in range(2)
            ]
            first.request("GET", "/")
            first.getresponse().read()  # All late imports are done.
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            taken = []
            try:
                while True:
                    taken.append(os.dup(0))
            except OSError:
                os.close(taken.pop())
            client.connect()
            client.request("GET", "/")
            assert said.wait(10)
            for number in taken:
                os.close(number)
            print(client.getresponse().status, warnings[0], len(warnings) < 100)
    """
    result = run_python(script)
    assert "404 cannot accept a connection: " in result.stdout, result.stderr
    assert result.stdout.endswith(" True\n")


def test_a_forgotten_server_does_not_keep_the_interpreter():
    script = """
        from lattice_client.testing import LocalLattice, serve
        context = serve(LocalLattice(), tls=True)
        running = context.__enter__()
        print(running.url)
    """
    result = run_python(script)
    assert result.stdout.startswith("https://127.0.0.1:")
    assert (result.returncode, result.stderr) == (0, "")


def test_nothing_is_logged_and_no_logger_is_touched():
    script = """
        import logging, urllib.error, urllib.request
        from lattice_client.testing import LocalLattice, serve
        lattice = LocalLattice()
        lattice.add_service("orders")
        with serve(lattice) as running:
            try:
                urllib.request.urlopen(running.url)
            except urllib.error.HTTPError as error:
                with error:
                    print(error.status)
        for name, logger in logging.root.manager.loggerDict.items():
            if isinstance(logger, logging.Logger):
                assert not logger.handlers and logger.propagate and not logger.level, name
        assert not logging.root.handlers
    """
    result = run_python(script)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "403\n")


def run_python(script):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_missing_library_names_its_extra():
    script = """
        import sys
        sys.modules["trustme"] = None
        from lattice_client.errors import MissingExtraError
        from lattice_client.testing import LocalLattice, serve
        try:
            with serve(LocalLattice(), tls=True):
                pass
        except MissingExtraError as error:
            print(error.extra, error)
    """
    result = run_python(script)
    assert result.stdout.startswith("testing trustme is not installed"), result.stderr


def test_sigv4a_without_cryptography_names_its_extra():
    script = """
        import sys
        sys.modules["cryptography"] = None
        from lattice_client.errors import MissingExtraError
        from lattice_client.testing.verification.sigv4a import signature_matches
        try:
            signature_matches("key", "secret", "message", b"signature")
        except MissingExtraError as error:
            print(error.extra, error)
    """
    assert run_python(script).stdout.startswith("testing cryptography is not installed")


def test_serving_without_tls_loads_no_cryptography():
    script = """
        import sys
        from lattice_client.testing import LocalLattice, serve
        with serve(LocalLattice()):
            print(*{"cryptography", "trustme"} & set(sys.modules))
    """
    result = run_python(script)
    assert (result.stderr, result.stdout) == ("", "\n")


def test_importing_it_is_cheap():
    script = """
        import sys
        import lattice_client.testing
        import lattice_client.testing.plugin
        light = set(sys.modules)
        from lattice_client.testing import *
        heavy = "aiohttp botocore cryptography h11 httpx httpx2 requests trustme uvicorn".split()
        assert not light & {*heavy, "asyncio", "ssl"}, light
        assert not set(sys.modules) & set(heavy)
        print(*(name for name in lattice_client.testing.__all__ if name not in globals()))
        assert set(lattice_client.testing.__all__) <= set(dir(lattice_client.testing))
        try:
            lattice_client.testing.nothing
        except AttributeError as error:
            print(error)
    """
    script = script.replace("import sys\n", "import sys, pytest; before = set(sys.modules)\n", 1)
    script = script.replace("light = set(sys.modules)", "light = set(sys.modules) - before")
    result = run_python(script)
    assert result.stderr == ""
    assert result.stdout == "\nmodule 'lattice_client.testing' has no attribute 'nothing'\n"


# Names


def test_only_the_services_names_resolve_to_it(local):
    system = socket.getaddrinfo
    with serve(local) as running:
        with running.resolving() as same:
            assert same is running
            for name in (HOST, HOST.upper(), f"{HOST}.", HOST.encode()):
                addresses = {info[4] for info in socket.getaddrinfo(name, running.port)}
                assert addresses == {("127.0.0.1", running.port)}
            flags = socket.AI_ADDRCONFIG
            assert socket.getaddrinfo(host=HOST, port=80, type=socket.SOCK_STREAM, flags=flags)
            assert socket.getaddrinfo("127.0.0.2", 80) == system("127.0.0.2", 80)
            assert socket.getaddrinfo(None, 80) == system(None, 80)
            running.add_service("rates", domain="rates.example.com")
            assert socket.getaddrinfo("rates.example.com", 80)
        assert socket.getaddrinfo is system


def resolve(name):
    return {info[4][0] for info in socket.getaddrinfo(name, 80)}


@pytest.mark.usefixtures("nothing_diverted")
def test_resolving_may_be_nested_and_may_overlap():
    system = socket.getaddrinfo
    first = resolving(lambda: {"a.test", "b.test"}, "127.0.0.1")
    second = resolving(lambda: {"b.test", "c.test"}, "127.0.0.2")
    first.__enter__()
    second.__enter__()
    assert [resolve(name) for name in ("a.test", "b.test", "c.test")] == [
        {"127.0.0.1"},
        {"127.0.0.2"},
        {"127.0.0.2"},
    ]
    first.__exit__(None, None, None)
    assert resolve("b.test") == {"127.0.0.2"}
    assert socket.getaddrinfo is not system
    second.__exit__(None, None, None)
    assert socket.getaddrinfo is system


@pytest.mark.usefixtures("nothing_diverted")
def test_resolving_survives_another_wrapper(monkeypatch):
    system = socket.getaddrinfo
    with resolving(lambda: {"a.test"}, "127.0.0.1"):
        ours = socket.getaddrinfo
        socket.getaddrinfo = theirs = functools.partial(ours)
    assert socket.getaddrinfo is theirs
    assert resolve("127.0.0.3") == {"127.0.0.3"}
    with resolving(lambda: {"a.test"}, "127.0.0.2"):
        assert resolve("a.test") == {"127.0.0.2"}
    assert socket.getaddrinfo is theirs
    socket.getaddrinfo = system


def test_resolving_from_many_threads():
    system = socket.getaddrinfo
    barrier = threading.Barrier(8)

    def work(number):
        name, address = f"{number}.test", f"127.0.0.{number + 1}"
        for _ in range(50):
            barrier.wait(10)
            with resolving(lambda: {name}, address):
                assert resolve(name) == {address}
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == list(range(8))
    assert socket.getaddrinfo is system


def test_two_servers_side_by_side():
    running = []
    for name in ("orders", "rates"):
        lattice = LocalLattice(clock=lambda: NOW)
        lattice.add_service(name, domain=f"{name}.example.com", auth_type="NONE")
        running.append(lattice)
    with (
        serve(running[0]) as orders,
        serve(running[1]) as rates,
        orders.resolving(),
        rates.resolving(),
    ):
        assert requests.get(orders.url_for("orders"), timeout=10).status_code == 200
        assert requests.get(rates.url_for("rates"), timeout=10).status_code == 200
    assert [len(lattice.access_log) for lattice in running] == [1, 1]
