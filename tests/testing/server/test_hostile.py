"""Malformed and hostile requests over raw sockets: they end, do no harm, and are not passed on.

Limits of connections are short here, so that unfinished requests end. They are set only after the
connections of requests that must not come too late.
"""

import contextlib
import http.client
import random
import re
import socket
import threading

import pytest

from lattice_client.testing import serve
from lattice_client.testing.server.running import ExposedLatticeWarning
from support.asgi_driver import signed_by
from support.local_oracles import HOST

H = f"host: {HOST}\r\n".encode()
GET = b"GET /good HTTP/1.1\r\n" + H + b"\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + b"\r\n"


def post(headers, body=b""):
    return b"POST /post HTTP/1.1\r\n" + H + headers + b"\r\n\r\n" + body


# Name: the bytes to send, and the statuses that may come back.
REFUSED = {
    "no text": (b"\x00\x01\x02\xff\r\n\r\n", [400]),
    "no HTTP": (b"HELO example.com\r\n\r\n", [400]),
    "an unknown version": (b"GET / HTTP/9.9\r\n" + H + b"\r\n", [400]),
    "HTTP/0.9": (b"GET /\r\n\r\n", [400]),
    "HTTP/2, untold": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", [400]),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + H + b"\r\n", [400]),
    "a space in the target": (b"GET /a b HTTP/1.1\r\n" + H + b"\r\n", [400]),
    "a NUL in the target": (b"GET /\x00 HTTP/1.1\r\n" + H + b"\r\n", [400]),
    "a NUL in a name": (b"GET / HTTP/1.1\r\n" + H + b"x-\x00: 1\r\n\r\n", [400]),
    "a NUL in a value": (b"GET / HTTP/1.1\r\n" + H + b"x-a: \x00\r\n\r\n", [400]),
    "a bare CR": (b"GET / HTTP/1.1\r\n" + H + b"x-a: 1\rx-b: 2\r\n\r\n", [400]),
    "no colon": (b"GET / HTTP/1.1\r\n" + H + b"x-a\r\n\r\n", [400]),
    "a space before the colon": (b"GET / HTTP/1.1\r\n" + H + b"x-a : 1\r\n\r\n", [400]),
    "a fold before any header": (b"GET / HTTP/1.1\r\n x-a: 1\r\n" + H + b"\r\n", [400]),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", [400]),
    "two hosts": (b"GET / HTTP/1.1\r\n" + H + H + b"\r\n", [400]),
    "no path": (b"GET http://x.example.com/ HTTP/1.1\r\n" + H + b"\r\n", [400]),
    "an asterisk": (b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n", [400]),
    "a tunnel": (b"CONNECT x.example.com:443 HTTP/1.1\r\n" + H + b"\r\n", [400]),
    "an unknown host": (b"GET / HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n", [404]),
    "101 headers": (b"GET / HTTP/1.1\r\n" + H + b"x: 1\r\n" * 100 + b"\r\n", [400]),
    "10,000 headers": (b"GET / HTTP/1.1\r\n" + H + b"x: 1\r\n" * 10_000 + b"\r\n", [400]),
    "a huge header": (b"GET / HTTP/1.1\r\n" + H + b"x: " + b"1" * 200_000 + b"\r\n\r\n", [400]),
    "an endless header": (b"GET / HTTP/1.1\r\n" + H + b"x: " + b"1" * 2_000_000, [400]),
    "an endless target": (b"GET /" + b"a" * 2_000_000, [400]),
    "both lengths": (
        post(b"content-length: 5\r\ntransfer-encoding: chunked", b"0\r\n\r\n") + SMUGGLED[:-2],
        [400],
    ),
    "two lengths": (post(b"content-length: 0\r\ncontent-length: 5"), [400]),
    "a list of lengths": (post(b"content-length: 0, 5"), [400]),
    "a length with a sign": (post(b"content-length: +5", b"12345"), [400]),
    "a negative length": (post(b"content-length: -5"), [400]),
    "a length in hex": (post(b"content-length: 0x5", b"12345"), [400]),
    "an endless length": (post(b"content-length: " + b"9" * 5000), [400]),
    "another encoding": (post(b"transfer-encoding: gzip", b"12345"), [400, 501]),
    "a hidden encoding": (post(b"transfer-encoding: xchunked", b"0\r\n\r\n"), [400, 501]),
    "chunked twice": (post(b"transfer-encoding: chunked, chunked", b"0\r\n\r\n"), [400, 501]),
    "a tab in the encoding": (post(b"transfer-encoding:\x0bchunked", b"0\r\n\r\n"), [400, 501]),
}
CHUNKED = b"transfer-encoding: chunked"
# These turn out to be malformed after the target is called; it gets no complete request.
CUT_SHORT = {
    "a chunk of no size": post(CHUNKED, b"zz\r\nab\r\n0\r\n\r\n"),
    "a chunk of negative size": post(CHUNKED, b"-1\r\nab\r\n0\r\n\r\n"),
    "a chunk of endless size": post(CHUNKED, b"F" * 300 + b"\r\nab"),
    "a chunk without an end": post(CHUNKED, b"2\r\nabXX0\r\n\r\n"),
    "a chunk too short": post(CHUNKED, b"5\r\nab"),
    "a chunk's endless extension": post(CHUNKED, b"1;" + b"x" * 2_000_000),
    "endless trailers": post(CHUNKED, b"0\r\n" + b"x: 1\r\n" * 400_000),
    "a body too short": post(b"content-length: 10", b"123"),
    "an endless body that never comes": post(b"content-length: 99999999999999999999", b"1"),
}


@pytest.fixture
def reached(local):
    """The paths of the requests that reached the target completely."""
    paths = []

    async def target(scope, receive, send):
        message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                return
        paths.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"good"})

    local.service("orders").target = target
    local.service("orders").auth_type = "NONE"
    return paths


@pytest.fixture
def running(local, reached):
    with serve(local) as running:
        yield running


def connect(running):
    return socket.create_connection((running.host, running.port), timeout=20)


def until_the_end(sock):
    came = b""
    try:
        while data := sock.recv(65536):
            came += data
    except ConnectionResetError:
        pass
    return came


def send(sock, data, *, is_all=False):
    with contextlib.suppress(OSError):  # The server may have closed the connection.
        sock.sendall(data)
        if is_all:
            sock.shutdown(socket.SHUT_WR)


def statuses(came):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ", came)]


def assert_it_goes_on(running, caller, made=None):
    """A valid call passes."""
    with made or connect(running) as sock:
        request = signed_by(caller, target="/good")
        lines = [b"GET /good HTTP/1.1", *(b": ".join(header) for header in request.headers)]
        sock.sendall(b"\r\n".join([*lines, b"", b""]))
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert (response.status, response.read()) == (200, b"good")


@pytest.mark.usefixtures("nothing_goes_wrong_inside")
class TestHostileInput:
    def test_it_is_refused_or_cut_and_does_no_harm(self, local, running, reached):
        cases = {name: data for name, (data, _) in REFUSED.items()} | CUT_SHORT
        sockets = {name: connect(running) for name in cases}
        with running.faults.idle(5):
            senders = [
                threading.Thread(
                    target=send, args=(sockets[name], data), kwargs={"is_all": name in CUT_SHORT}
                )
                for name, data in cases.items()
            ]
            for sender in senders:
                sender.start()
            came = {name: statuses(until_the_end(sock)) for name, sock in sockets.items()}
            for sender in senders:
                sender.join()
            for sock in sockets.values():
                sock.close()
        wrong = {
            name: came[name]
            for name, (_, right) in REFUSED.items()
            if not came[name] or set(came[name]) - set(right)
        }
        wrong |= {name: came[name] for name in CUT_SHORT if set(came[name]) - {400}}
        assert wrong == {}
        assert reached == []
        assert_it_goes_on(running, local.caller("frontend"))

    def test_a_folded_header_is_one_value_and_hides_no_other(self, running, reached):
        """RFC 9112, section 5.2, lets a server read a fold as spaces."""
        folded = b"GET /good HTTP/1.1\r\n" + H + b"x-a: 1\r\n transfer-encoding: chunked\r\n\r\n"
        with connect(running) as sock, running.faults.idle(1):
            sock.sendall(folded)
            assert statuses(until_the_end(sock)) == [200]
        assert running.requests[0].header("x-a") == "1 transfer-encoding: chunked"
        assert running.requests[0].header("transfer-encoding") is None

    def test_requests_in_a_row_are_answered_in_order(self, running, reached):
        row = b"".join(GET.replace(b"good", b"%d" % number) for number in range(50))
        with connect(running) as sock, running.faults.idle(1):
            sock.sendall(row + b"nonsense\r\n\r\n" + SMUGGLED)
            assert statuses(until_the_end(sock)) == [200] * 50 + [400]
        assert reached == [f"/{number}" for number in range(50)]

    def test_after_two_lengths_nothing_is_read(self, running, reached):
        """RFC 9112, section 6.1: the connection is closed after the response."""
        lengths = CHUNKED + b"\r\ncontent-length: 5"
        with connect(running) as sock:
            sock.sendall(post(lengths, b"0\r\n\r\n" + SMUGGLED))
            assert statuses(until_the_end(sock)) == [400]
        assert reached == []

    def test_a_bad_body_gets_no_second_answer(self, local, running, reached):
        local.service("orders").auth_type = "AWS_IAM"
        with connect(running) as sock:
            sock.sendall(post(CHUNKED))
            assert sock.recv(12) == b"HTTP/1.1 403"
            sock.sendall(b"zz\r\n")
            assert statuses(until_the_end(sock)) == []

    def test_a_body_is_not_read_as_a_request(self, running, reached):
        length = b"content-length: %d" % len(SMUGGLED)
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
        with connect(running) as sock, running.faults.idle(1):
            sock.sendall(post(length, SMUGGLED) + post(CHUNKED, chunk) + GET)
            assert statuses(until_the_end(sock)) == [200] * 3
        assert reached == ["/post", "/post", "/good"]

    def test_slow_clients_do_not_delay_others(self, local, running):
        """Unfinished heads, on new connections and on used ones."""
        with contextlib.ExitStack() as stack:
            good, *used = [stack.enter_context(connect(running)) for _ in range(51)]
            for sock in (good, *used):
                sock.sendall(GET)
                assert sock.recv(4096).startswith(b"HTTP/1.1 200")
            stack.enter_context(running.faults.idle(1))
            slow = [*(stack.enter_context(connect(running)) for _ in range(50)), *used]
            for number, sock in enumerate(slow):
                send(sock, GET[: 3 + number % 20])
            assert_it_goes_on(running, local.caller("frontend"), good)
            for sock in slow:
                send(sock, b"x")  # Another byte does not extend the time.
                until_the_end(sock)

    def test_a_client_that_never_reads_does_not_delay_others(self, local, running):
        async def target(_scope, _receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(400):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await send({"type": "http.response.body"})

        local.add_service("endless", target=target, auth_type="NONE", domain="e.example.com")
        with connect(running) as sock:
            sock.sendall(GET.replace(HOST.encode(), b"e.example.com"))
            assert sock.recv(4) == b"HTTP"
            assert_it_goes_on(running, local.caller("frontend"))

    def test_random_heads(self, local, running, reached):
        pick = random.Random(7)
        pieces = [b"\r\n", b"\n", b"\0", b":", b" ", b"chunked", b"\xff", b"0", b"host", b"\r"]
        seeds = [GET, post(b"content-length: 5", b"12345"), post(CHUNKED, b"1\r\na\r\n0\r\n\r\n")]
        with running.faults.idle(0.3), running.faults.lifetime(1):
            sockets = []
            for _ in range(150):
                data = bytearray(pick.choice(seeds))
                for _ in range(pick.randint(1, 4)):
                    place = pick.randrange(len(data))
                    data[place : place + pick.randint(0, 3)] = pick.choice(pieces)
                sockets.append(connect(running))
                send(sockets[-1], bytes(data))
            for sock in sockets:
                assert all(100 <= status < 600 for status in statuses(until_the_end(sock)))
                sock.close()
        assert_it_goes_on(running, local.caller("frontend"))

    def test_plain_text_and_noise_for_tls(self, local, reached):
        with serve(local, tls=True) as running:
            sockets = [connect(running) for _ in range(3)]
            for sock, data in zip(
                sockets, (GET, b"\0" * 1000, b"\x16\x03\x01\xff\xff"), strict=True
            ):
                sock.sendall(data)
            for sock in sockets[:2]:
                until_the_end(sock)
            with running.client_ssl_context().wrap_socket(
                connect(running), server_hostname=HOST
            ) as sock:
                sock.sendall(GET)
                assert statuses(sock.recv(4096)) == [200]
            for sock in sockets:
                sock.close()


def test_it_is_bound_to_loopback(local):
    with serve(local) as running:
        assert running.host == "127.0.0.1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_says_when_others_can_reach_it(local, monkeypatch, host):
    # The warning comes before it listens, and listening fails here.
    monkeypatch.setattr("lattice_client.testing.server.running._listen", lambda *_: 1 / 0)
    warned = pytest.warns(ExposedLatticeWarning, match="other machines can reach it")
    with warned as noted, contextlib.suppress(ZeroDivisionError), serve(local, host=host):
        pass
    assert noted[0].filename == __file__
