"""Faults on demand: in-process, and over real sockets."""

import asyncio
import contextlib
import http.client
import math
import socket
import ssl
import threading
from http import HTTPStatus

import pytest

from lattice_client.testing import LocalLattice, serve
from lattice_client.testing.data_plane import waiting
from lattice_client.testing.data_plane.connection import (
    CONNECTION_STATE,
    Connection,
    ConnectionCutError,
    ConnectionLimits,
)
from lattice_client.testing.server.http_connection import HTTPConnection
from support.asgi_driver import Exchange, fetch, scope_of, signed_by
from support.local_oracles import HOST, NOW, as_pairs, crt_sign, wire


@pytest.fixture
def lattice():
    """Two services without authentication."""
    local = LocalLattice(clock=lambda: NOW)
    local.add_service("orders", domain=HOST, auth_type="NONE")
    local.add_service("books", domain="books.example.com", auth_type="NONE")
    return local


def get(lattice, target="/", host=HOST):
    return Exchange(lattice, wire("GET", target, [("host", host)])).run()


def statuses(lattice, count, **request):
    return [get(lattice, **request).status for _ in range(count)]


class Client:
    """A server's receive and send, in-process; the client stays until it is told to leave."""

    def __init__(self, *body):
        self.leaves = asyncio.Event()
        self.all_received = asyncio.Event()
        self.sent = []
        self._body = list(body) or [b""]

    async def call(self, lattice):
        request = wire("POST", "/", [("host", HOST)])
        await lattice(scope_of(request), self._receive, self._send)
        return self.sent

    async def _receive(self):
        await asyncio.sleep(0)
        if self._body:
            chunk = self._body.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._body)}
        self.all_received.set()
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.sent.append(message)


# Which calls


def test_the_next_calls(lattice):
    fault = lattice.faults.status(503, times=2)
    assert statuses(lattice, 4) == [503, 503, 200, 200]
    assert fault.struck == 2


def test_as_long_as_the_context_lasts(lattice):
    with lattice.faults.status(500) as fault:
        assert statuses(lattice, 3) == [500] * 3
    assert statuses(lattice, 1) == [200]
    assert fault.struck == 3


def test_until_it_is_removed(lattice):
    fault = lattice.faults.status(500)
    assert statuses(lattice, 1) == [500]
    fault.remove()
    fault.remove()
    lattice.faults.status(502)
    assert statuses(lattice, 1) == [502]
    lattice.faults.clear()
    assert statuses(lattice, 1) == [200]


def test_a_fraction_of_the_calls_the_same_in_every_run(lattice):
    with lattice.faults.status(503, fraction=0.2):
        first = statuses(lattice, 200)
        assert set(first) == {200, 503}
        # 40 expected; 99.9 % of all seeds give 22 to 59.
        assert 22 <= first.count(503) <= 59
        lattice.faults.random.seed(0)
        assert statuses(lattice, 200) == first


@pytest.mark.parametrize("service", ["orders", HOST, f"{HOST.upper()}:80"])
def test_one_service(lattice, service):
    with lattice.faults.status(503, service=service):
        assert statuses(lattice, 1) == [503]
        assert statuses(lattice, 1, host="books.example.com") == [200]
        assert statuses(lattice, 1, host="unknown.example.com") == [404]


def test_a_service_that_there_is_not_is_an_error(lattice):
    with pytest.raises(KeyError, match="no service 'order'; there are: orders, books"):
        lattice.faults.status(503, service="order")
    assert statuses(lattice, 1) == [200]


def test_the_service_that_the_network_routes_to(lattice):
    partners = lattice.add_network("partners")
    partners.associate(lattice.service("books"))
    with lattice.faults.status(503, service="books"):
        assert get(partners, host="127.0.0.1").status == 503
        assert get(lattice, host="127.0.0.1").status == 200
    with lattice.faults.status(503, service="orders", times=1):
        assert get(partners, host="127.0.0.1").status == 200
        assert get(partners, host=HOST).status == 404
        assert get(lattice, host="127.0.0.1").status == 503


def test_one_path(lattice):
    with lattice.faults.status(503, path="/orders/*", times=1):
        assert statuses(lattice, 1, target="/books/1?x=/orders/1") == [200]
        assert [get(lattice, f"/orders/{n}").status for n in range(2)] == [503, 200]


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ({"times": 0}, "times must be a whole number of at least 1"),
        ({"fraction": 0}, "fraction must be"),
        ({"fraction": 2}, "at most 1"),
        ({"times": "2"}, "times must be a whole number of at least 1, not '2'"),
        ({"times": 1.5}, "not 1.5"),
        ({"times": True}, "not True"),
        ({"fraction": "x"}, "fraction must be .*, not 'x'"),
        ({"fraction": math.nan}, "not nan"),
        ({"service": 5}, "service must be a service's name or host name, not 5"),
        ({"path": "orders/*"}, r"a path begins with '/'.*, not 'orders/\*'"),
        ({"path": ""}, "a path begins with '/'"),
        ({"path": "/orders?id=1"}, "without its query: '/orders', not "),
        ({"path": 5}, "not 5"),
    ],
)
def test_nonsense_is_refused(lattice, which, words):
    with pytest.raises(ValueError, match=words):
        lattice.faults.status(500, **which)
    assert statuses(lattice, 1) == [200]


@pytest.mark.parametrize(
    "fault",
    [
        lambda faults: faults.reset("somewhere"),
        lambda faults: faults.path_encoding("triple"),
        lambda faults: faults.slow_body(1, chunk=0),
        lambda faults: faults.slow_body(1, chunk="1"),
    ],
)
def test_other_nonsense_too(lattice, fault):
    with pytest.raises(ValueError, match=" must be "):
        fault(lattice.faults)
    assert statuses(lattice, 1) == [200]


@pytest.mark.parametrize("status", [200, 302, 399, 600, "503", 503.0, True, None])
def test_a_fault_is_an_error_of_a_server(lattice, status):
    with pytest.raises(ValueError, match=f"status must be an error.*, not {status!r}"):
        lattice.faults.status(status)


@pytest.mark.parametrize("status", [200, 500, "429", None])
def test_throttling_has_two_statuses(lattice, status):
    with pytest.raises(ValueError, match=f"status must be 429 or 503, not {status!r}"):
        lattice.faults.throttle(status=status)


@pytest.mark.parametrize(
    "seconds", ["1", None, True, math.nan, -math.inf, pytest.param(10**400, id="huge")]
)
@pytest.mark.parametrize("fault", ["latency", "slow_body", "clock_skew", "idle", "lifetime"])
def test_seconds_are_a_number_that_can_be_waited_for(lattice, fault, seconds):
    with (
        pytest.raises(ValueError, match=r"seconds must be a number of seconds from .*, not "),
        getattr(lattice.faults, fault)(seconds),
    ):
        pass
    assert lattice.faults.connections == ConnectionLimits()


@pytest.mark.parametrize("fault", ["latency", "slow_body", "idle", "lifetime"])
def test_negative_seconds_are_refused(lattice, fault):
    with (
        pytest.raises(ValueError, match="from 0 to 10000000000, not -1"),
        getattr(lattice.faults, fault)(-1),
    ):
        pass


@pytest.mark.parametrize("limit", ["idle", "lifetime"])
def test_connections_may_be_kept_for_ever(lattice, limit):
    with serve(lattice) as running, getattr(lattice.faults, limit)(math.inf):
        assert calls(running) == 200


def test_limits_that_were_set_by_hand_outlive_faults(lattice):
    limits = lattice.faults.connections
    limits.idle = 5
    with lattice.faults.status(503), lattice.faults.lifetime(1):
        assert (limits.idle, limits.lifetime) == (5, 1)
        with lattice.faults.idle(2):
            assert limits.idle == 2
            limits.idle = 3
            with lattice.faults.status(500):
                assert limits.idle == 3
        assert limits.idle == 5
    lattice.faults.clear()
    assert (limits.idle, limits.lifetime) == (5, 600)


def test_limits_of_connections_begin_and_end_as_other_faults_do(lattice):
    limits = lattice.faults.connections

    def now():
        return limits.idle, limits.lifetime

    first = lattice.faults.idle(1)
    assert now() == (1, 600)
    with lattice.faults.lifetime(2), lattice.faults.idle(3) as second:
        assert now() == (3, 2)
        first.remove()
        assert now() == (3, 2)
    second.remove()
    assert now() == (60, 600)
    lattice.faults.lifetime(4)
    lattice.faults.status(500)
    assert statuses(lattice, 1) == [500]
    assert (now(), second.struck) == ((60, 4), 0)
    lattice.faults.clear()
    assert now() == (60, 600)
    assert statuses(lattice, 1) == [200]


def test_a_misspelt_narrowing_is_refused(lattice):
    with pytest.raises(TypeError, match="a fault takes times, fraction, service, path, not tims"):
        lattice.faults.status(503, tims=1)


@pytest.mark.parametrize("seconds", ["x", -1, math.nan, math.inf])
def test_retry_after_is_a_number_of_seconds(lattice, seconds):
    with pytest.raises(ValueError, match=f"retry_after must be .*, not {seconds!r}"):
        lattice.faults.throttle(retry_after=seconds)


def test_a_clock_may_be_off_by_centuries(lattice):
    for seconds in (10**10, -(10**10)):
        with contextlib.ExitStack() as several:
            for _ in range(30):
                several.enter_context(lattice.faults.clock_skew(seconds))
                assert statuses(lattice, 1) == [200]


# What happens


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "TargetConnectionError"),
        (502, "InternalError"),
        (503, "InternalError"),
        (504, "TargetDataTimeout"),
        (507, "InternalError"),
        (429, "ClientRateLimited"),
        (404, None),
    ],
)
def test_an_error_in_the_targets_place(lattice, status, reason):
    with lattice.faults.status(status, times=1):
        response = get(lattice)
    assert response.status == status
    assert response.body.decode() == HTTPStatus(status).phrase
    assert "retry-after" not in response.headers
    (record,) = lattice.access_log
    assert (record["responseCode"], record["failureReason"]) == (status, reason)
    assert record["targetGroupArn"] is None


def test_the_callers_signature_counts_before_a_fault(local):
    with local.faults.status(503) as fault:
        assert fetch(local, crt_sign()).status_code == 403
        assert fetch(local, signed_by(local.caller("frontend"))).status_code == 503
    assert fault.struck == 1


def test_refused_calls_are_none_of_the_next_calls(local):
    """``times=2`` fails two calls that would have passed; refused ones do not count."""
    caller = local.caller("frontend")
    lost = wire("GET", "/", [("host", "unknown.example.com")])
    fault = local.faults.status(503, times=2)
    calls = [crt_sign(), signed_by(caller), lost, signed_by(caller), signed_by(caller)]
    assert [fetch(local, call).status_code for call in calls] == [403, 503, 404, 503, 200]
    assert fault.struck == 2


def test_a_refusal_is_neither_cut_nor_slowed_down(local):
    slow = local.faults.slow_body(0, chunk=1)
    cut = local.faults.reset("mid body")
    refused = Exchange(local, crt_sign()).run()
    assert (refused.status, len(refused.sent)) == (403, 2)
    assert (slow.struck, cut.struck) == (0, 0)


def test_what_is_about_verification_strikes_refused_calls_too(local):
    call = signed_by(local.caller("frontend"))
    fault = local.faults.clock_skew(3600, times=2)
    assert [fetch(local, call).status_code for _ in range(3)] == [403, 403, 200]
    assert fault.struck == 2


@pytest.mark.parametrize(
    ("settings", "status", "header"),
    [
        ({}, 429, "1"),
        ({"retry_after": 0.5}, 429, "0.5"),
        ({"status": 503}, 503, "1"),
        ({"retry_after": 1234567}, 429, "1234567"),
        ({"retry_after": 0.00001}, 429, "0.00001"),
        ({"retry_after": 0}, 429, "0"),
    ],
)
def test_throttling(lattice, settings, status, header):
    with lattice.faults.throttle(times=1, **settings):
        response = get(lattice)
    assert (response.status, response.headers["retry-after"]) == (status, header)
    assert lattice.access_log[0]["failureReason"] == "ClientRateLimited"


def test_throttling_without_advice(lattice):
    with lattice.faults.throttle(retry_after=None):
        assert "retry-after" not in get(lattice).headers


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_off_says_so_in_its_date(local, seconds):
    caller = local.caller("frontend")
    with local.faults.clock_skew(seconds):
        response = fetch(local, signed_by(caller))
        assert response.status_code == 403
        assert ("expired" if seconds > 0 else "not yet current") in response.text
        assert fetch(local, signed_by(caller, now=NOW + seconds)).status_code == 200
        there = {-3600: "Wed, 31 Dec 2025 23:00:00 GMT", 3600: "Thu, 01 Jan 2026 01:00:00 GMT"}
        assert response.headers["date"] == there[seconds]
    assert fetch(local, signed_by(caller)).status_code == 200


@pytest.mark.parametrize(("query_plus", "status"), [("space", 403), ("plus", 200)])
@pytest.mark.parametrize("fault", ["clock_skew", "path_encoding"])
def test_a_plus_sign_keeps_its_meaning_during_a_fault(fault, query_plus, status):
    lattice = LocalLattice(clock=lambda: NOW, query_plus=query_plus)
    lattice.add_service("orders", domain=HOST)
    signed = signed_by(lattice.add_caller("frontend"), target="/?q=a%2Bb")
    sent = wire(signed.method, "/?q=a+b", as_pairs(signed))
    with getattr(lattice.faults, fault)({"clock_skew": 1, "path_encoding": "single"}[fault]):
        assert Exchange(lattice, sent).run().status == status


@pytest.mark.parametrize("encoding", ["single", "double-raw"])
def test_paths_in_another_encoding(local, encoding):
    double, other = (
        signed_by(local.caller("frontend"), target="/a%20b//c", path_encoding=each)
        for each in ("double", encoding)
    )
    with local.faults.path_encoding(encoding):
        assert [fetch(local, each).status_code for each in (double, other)] == [403, 200]
    assert [fetch(local, each).status_code for each in (double, other)] == [200, 403]


def answering(body, pieces=1):
    async def target(_scope, _receive, send):
        headers = [(b"content-length", str(len(body) * pieces).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for left in reversed(range(pieces)):
            await send({"type": "http.response.body", "body": body, "more_body": left > 0})

    return target


def test_a_slow_body_comes_whole_and_in_pieces(lattice):
    lattice.service("orders").target = answering(b"0123456789", pieces=2)
    with lattice.faults.slow_body(0, chunk=4), lattice.faults.latency(0):
        sent = asyncio.run(Client().call(lattice))
    pieces = [message["body"] for message in sent[1:]]
    assert pieces == [b"0123", b"4567", b"89"] * 2
    assert [message["more_body"] for message in sent[1:]] == [True] * 5 + [False]


def test_waiting_takes_its_time_on_either_event_loop(lattice):
    import trio

    sent = []

    async def call():
        async def send(message):
            sent.append(message)

        request = wire("GET", "/", [("host", HOST)])
        body = {"type": "http.request", "body": b""}

        async def receive():
            return body

        await lattice(scope_of(request), receive, send)

    with lattice.faults.latency(0.01):
        trio.run(call)
        asyncio.run(call())
    assert [message.get("status") for message in sent] == [200, None] * 2
    assert all(record["duration"] >= 10 for record in lattice.access_log)


@pytest.mark.parametrize("body", [(b"1", b"2"), (b"x" * (3 << 20), b"2")])
def test_a_client_that_gives_up_during_a_latency_is_in_the_log_at_once(lattice, body):
    async def main():
        client = Client(*body)
        call = asyncio.create_task(client.call(lattice))
        await client.all_received.wait()
        client.leaves.set()
        await asyncio.wait_for(call, 20)
        assert client.sent == []

    called = []
    lattice.service("orders").target = lambda *_: called.append(1)
    with lattice.faults.latency(math.inf):
        asyncio.run(main())
    (record,) = lattice.access_log
    assert (record["responseCode"], record["failureReason"]) == (400, "ClientConnectionClosed")
    assert called == []


@pytest.mark.parametrize("latency", [0, 0.05])
@pytest.mark.parametrize("body", [(b"",), (b"1", b"2", b"3"), (b"x" * (2 << 20), b"y", b"z")])
def test_a_body_that_comes_during_a_latency_reaches_the_target(lattice, latency, body, monkeypatch):
    monkeypatch.setattr(waiting, "_MAX_KEPT_BYTES", 1 << 20)

    async def target(_scope, receive, send):
        whole, more = b"", True
        while more:
            message = await receive()
            whole, more = whole + message["body"], message["more_body"]
        await answering(whole)(None, None, send)

    lattice.service("orders").target = target
    client = Client(*body)
    with lattice.faults.latency(latency):
        asyncio.run(client.call(lattice))
    assert client.sent[1]["body"] == b"".join(body)
    assert lattice.access_log[0]["failureReason"] is None


def test_a_client_is_watched_behind_a_body_that_is_whole_however_large(lattice, monkeypatch):
    async def main():
        client = Client(b"x" * 100)
        call = asyncio.create_task(client.call(lattice))
        await asyncio.wait_for(client.all_received.wait(), 20)
        client.leaves.set()
        await asyncio.wait_for(call, 20)

    monkeypatch.setattr(waiting, "_MAX_KEPT_BYTES", 10)
    with lattice.faults.latency(math.inf):
        asyncio.run(main())
    assert lattice.access_log[0]["failureReason"] == "ClientConnectionClosed"


def test_a_body_that_is_being_generated_outlasts_a_latency(lattice):
    import httpx

    go_on = asyncio.Event()

    async def target(_scope, receive, send):
        go_on.set()
        whole = b""
        while message := await receive():
            whole += message["body"]
            if not message["more_body"]:
                break
        await answering(whole)(None, None, send)

    async def body():
        yield b"first, "
        await go_on.wait()
        yield b"then"

    async def main():
        transport = httpx.ASGITransport(lattice)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post(f"http://{HOST}/", content=body())

    lattice.service("orders").target = target
    with lattice.faults.latency(0.01):
        assert asyncio.run(main()).text == "first, then"


def test_a_slow_body_is_in_the_log_when_its_last_piece_goes_out(lattice):
    lattice.service("orders").target = answering(b"0123456789")
    counts = []
    with lattice.faults.slow_body(0, chunk=4):
        Exchange(
            lattice,
            wire("GET", "/", [("host", HOST)]),
            on_send=lambda _: counts.append(len(lattice.access_log)),
        ).run()
    assert counts == [0, 0, 0, 1]


@pytest.mark.parametrize("pieces", [2, 3])
def test_what_a_client_that_gives_up_did_not_get_is_not_in_the_log(lattice, pieces):
    """Also if it misses only the last part, just before which the record is written."""
    connection = Connection()

    def on_send(message):
        if connection.lost:
            raise ConnectionAbortedError
        # The client reads the first piece, and leaves.
        connection.lost = message["type"] == "http.response.body"

    def bytes_sent(**server):
        lattice.service("orders").target = answering(b"0123" * pieces)
        with lattice.faults.slow_body(0, chunk=4):
            Exchange(lattice, wire("GET", "/", [("host", HOST)]), **server).run()
        return lattice.access_log[-1]["bytesSent"]

    whole = bytes_sent()
    with contextlib.suppress(ConnectionAbortedError):
        bytes_sent(on_send=on_send, state={CONNECTION_STATE: connection})
    record = lattice.access_log[-1]
    assert record["bytesSent"] == whole - 4 * (pieces - 1)
    assert (record["responseCode"], record["failureReason"]) == (200, "ClientConnectionClosed")


@pytest.mark.parametrize("stage", ["before head", "mid head", "mid body"])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_reset_in_process_is_an_exception(lattice, stage, fixed):
    orders = lattice.service("orders")
    orders.target = answering(b"0123456789")
    if fixed:
        orders.when(path="/", priority=1).respond(404)
    with lattice.faults.reset(stage, times=1), pytest.raises(ConnectionCutError):
        get(lattice)
    assert statuses(lattice, 1) == [404 if fixed else 200]
    assert len(lattice.access_log) == 2


# Over sockets


@pytest.fixture(params=[False, True], ids=["http", "https"])
def running(request, lattice):
    lattice.service("orders").target = answering(b"0123456789" * 1000)
    with serve(lattice, tls=request.param) as running:
        yield running


def connect(running):
    sock = socket.create_connection((running.host, running.port), timeout=10)
    if running.scheme == "https":
        context = running.client_ssl_context()
        # Some versions of Python report a reset like a missing close_notify.
        return context.wrap_socket(sock, server_hostname=HOST, suppress_ragged_eofs=False)
    return sock


REQUEST = f"GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode()


def all_that_comes(sock):
    """The bytes until the end, and whether that was a reset."""
    came = b""
    try:
        while data := sock.recv(65536):
            came += data
    except (ConnectionResetError, ssl.SSLEOFError):
        return came, True
    return came, False


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("stage", ["before head", "mid head", "mid body"])
def test_a_reset_at_each_stage(running, stage, method, caplog):
    reason = "TargetConnectionClosed" if stage == "mid body" else "InternalError"
    with running.faults.reset(stage, times=1), connect(running) as sock:
        length = b"content-length: 3\r\n\r\nabc" if method == "POST" else b"\r\n"
        sock.sendall(REQUEST[:-2].replace(b"GET", method.encode()) + length)
        came, was_reset = all_that_comes(sock)
    assert was_reset
    head, _, body = came.partition(b"\r\n\r\n")
    if stage == "before head":
        assert came == b""
    elif stage == "mid head":
        assert came == b"HTTP/1.1 200 OK\r\ncontent-ty"
    else:
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"0123456789" * 500
    assert calls(running) == 200
    assert running.access_log[0]["failureReason"] == reason
    assert caplog.text == ""


def calls(running):
    with connect(running) as sock:
        return one_response(sock)


def one_response(sock):
    sock.sendall(REQUEST)
    response = http.client.HTTPResponse(sock)
    response.begin()
    response.read()
    return response.status


def test_an_idle_connection_is_closed(running):
    with connect(running) as used:
        # It must not be idle until it is used: it has come before another's call is answered.
        assert calls(running) == 200
        with running.faults.idle(0.05), connect(running) as unused:
            assert one_response(used) == 200
            assert all_that_comes(used) == all_that_comes(unused) == (b"", False)
    with connect(running) as sock:
        assert running.faults.connections.idle == 60
        assert [one_response(sock) for _ in range(2)] == [200, 200]


def test_a_connection_lives_so_long_and_no_longer(running):
    left = threading.Event()

    async def target(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    running.service("books").target = target
    with running.faults.lifetime(0.1):
        with connect(running) as idle:
            assert all_that_comes(idle) == (b"", False)
        came = b""
        while not came:  # A slow machine may not get a request in in time.
            with connect(running) as busy, contextlib.suppress(OSError):
                busy.sendall(REQUEST.replace(HOST.encode(), b"books.example.com"))
                came, _ = all_that_comes(busy)
    assert came.startswith(b"HTTP/1.1 200")
    assert left.wait(10)
    running.stop()
    assert running.access_log[-1]["failureReason"] == "ConnectionDurationExceeded"
    assert running.faults.connections.lifetime == 600


def test_a_stream_that_outlives_its_connection_is_in_the_log_as_such(running):
    ended = threading.Event()

    async def target(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0.005)
        finally:
            ended.set()

    running.service("books").target = target
    came = b""
    with running.faults.lifetime(0.1):
        while not came:  # A slow machine may not get a request in in time.
            with connect(running) as busy, contextlib.suppress(OSError):
                busy.sendall(REQUEST.replace(HOST.encode(), b"books.example.com"))
                came, _ = all_that_comes(busy)
    assert ended.wait(20)
    running.stop()
    record = running.access_log[-1]
    assert (record["responseCode"], record["failureReason"]) == (200, "ConnectionDurationExceeded")


def test_a_client_that_gives_up_before_the_last_piece_is_in_the_log_as_such(running, monkeypatch):
    began, is_lost, lose = threading.Event(), asyncio.Event(), HTTPConnection.connection_lost

    def connection_lost(self, error):
        lose(self, error)
        is_lost.set()

    async def until_the_client_has_left(_seconds):
        began.set()
        await asyncio.wait_for(is_lost.wait(), 20)

    monkeypatch.setattr(HTTPConnection, "connection_lost", connection_lost)
    monkeypatch.setattr("lattice_client.testing.faults.effects.sleep", until_the_client_has_left)
    with running.faults.slow_body(1, chunk=5000):
        with connect(running) as sock:
            sock.sendall(REQUEST)
            assert began.wait(20)
        running.stop()
    assert running.access_log[-1]["failureReason"] == "ClientConnectionClosed"
