"""The server's connections: who waits for whom, who is told what, and how they end.

The server's clock is set forward where time is to pass, so that nothing depends on how busy the
machine is; and where nothing is to happen, the server is given other requests to answer meanwhile.
"""

import asyncio
import contextlib
import gc
import http.client
import logging
import queue
import sys
import threading

import pytest
from serving import answer, endless, good, response, serving, turns, whole

from lattice_client.testing import server_thread
from lattice_client.testing.certificates import Certificates

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
SIZE = 4 * 1024 * 1024
DONE = (200, b"done", None)


def post(size, *headers):
    lines = [b"POST / HTTP/1.1", b"host: a", b"content-length: %d" % size, *headers]
    return b"\r\n".join([*lines, b"", b""])


@pytest.fixture(scope="module")
def authority():
    certificates = Certificates(tuple)
    yield certificates
    certificates.close()


@pytest.fixture(params=["http", "https"])
def certificates(request):
    """None for a server without TLS."""
    return request.getfixturevalue("authority") if request.param == "https" else None


@pytest.fixture(autouse=True)
def nothing_goes_wrong_inside(caplog):
    """Nothing is logged as an error, unless the test clears it away."""
    yield
    said = caplog.get_records("call")
    assert not [record for record in said if record.levelno >= logging.ERROR]


# Who waits for whom


def test_an_upload_is_not_read_before_it_is_received(certificates):
    may_receive = asyncio.Event()

    async def app(_scope, receive, send):
        await may_receive.wait()
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await answer(send, b"%d" % size)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(post(SIZE))
        sent = server.fill(sock, SIZE)
        assert sent < SIZE / 2
        server.do(may_receive.set)
        sock.sendall(b"x" * (SIZE - sent))
        assert response(sock) == (200, b"%d" % SIZE, None)


def test_an_upload_that_nobody_received_is_read_away_behind_the_answer(certificates):
    may_answer = asyncio.Event()

    async def app(_scope, _receive, send):
        await may_answer.wait()
        await answer(send)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(post(SIZE))
        sent = server.fill(sock, SIZE)
        server.do(may_answer.set)
        assert response(sock) == DONE
        sock.sendall(b"x" * (SIZE - sent) + GET)
        assert response(sock) == DONE


def test_sending_waits_for_a_client_that_does_not_read(certificates):
    part, sent = b"x" * 65536, []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(SIZE // len(part)):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(GET)
        assert 0 < server.settle(lambda: len(sent)) < SIZE / len(part) / 2
        assert response(sock) == (200, b"x" * SIZE, None)


def test_one_that_only_sends_ends_with_its_client(certificates):
    has_begun, has_left, ended = threading.Event(), threading.Event(), queue.Queue()

    async def app(_scope, receive, send):
        async def send_on(message):
            await send(message)
            has_begun.set()
            # The loop does not turn, and learns only from sending that the client has left.
            assert has_left.wait(20)

        try:
            await endless({}, receive, send_on)
        except Exception as error:
            ended.put(error)
            raise

    with serving(app, certificates) as server:
        with server.connect() as sock:
            sock.sendall(GET)
            assert has_begun.wait(20)
        has_left.set()
        assert isinstance(ended.get(timeout=20), OSError)


def test_one_that_only_sends_keeps_neither_others_nor_the_end_waiting(certificates, monkeypatch):
    monkeypatch.setattr(server_thread, "_GRACE_SECONDS", 0.01)
    with serving(endless, certificates) as server, server.connect() as sock:
        sock.sendall(GET)
        reader = threading.Thread(target=until_cut, args=(sock,))
        reader.start()
        server.turn()
        server.stop()
        assert not server.is_running
        reader.join()


def until_cut(sock):
    with contextlib.suppress(OSError):
        whole(sock)


def test_a_sender_that_waits_learns_that_its_client_has_left(certificates):
    ended, sent = queue.Queue(), []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for number in range(1000):
                body = b"x" * 65536
                await send({"type": "http.response.body", "body": body, "more_body": True})
                sent.append(number)
        except OSError as error:
            ended.put(error)

    with serving(app, certificates) as server:
        with server.connect() as sock:
            sock.sendall(GET)
            server.settle(lambda: len(sent))
        assert ended.get(timeout=20)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_a_body_is_not_run_as_a_request_where_tasks_begin_at_once():
    paths = []
    hidden = b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"

    async def app(scope, _receive, send):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        paths.append(scope["path"])
        await answer(send)

    with serving(app) as server, server.connect() as sock:
        for data in (GET, post(len(hidden)) + hidden, GET):
            sock.sendall(data)
            assert response(sock) == DONE
    assert paths == ["/"] * 3


# How connections end


@pytest.mark.parametrize(
    ("data", "status"), [(post(SIZE, b"connection: close"), b"200"), (b"nonsense\r\n\r\n", b"400")]
)
def test_a_last_answer_reaches_a_client_that_still_sends(data, status):
    async def app(_scope, _receive, send):
        await answer(send)

    with serving(app) as server, server.connect() as sock:
        sock.sendall(data + b"x" * SIZE)
        head, _, body = whole(sock).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 " + status)
        assert b"content-length: %d" % len(body) in head


def test_a_last_answer_is_read_as_slowly_as_the_client_likes():
    async def app(_scope, _receive, send):
        await answer(send, b"x" * SIZE)

    with serving(app) as server, server.connect() as sock:
        sock.sendall(post(5, b"connection: close"))
        for _ in range(5):
            server.later(10)
        assert response(sock) == (200, b"x" * SIZE, "close")


def test_a_last_answer_lets_an_upload_come_that_nobody_received():
    may_answer = asyncio.Event()

    async def app(_scope, _receive, send):
        await may_answer.wait()
        await answer(send)

    with serving(app) as server, server.connect() as sock:
        sock.sendall(post(SIZE, b"connection: close"))
        sent = server.fill(sock, SIZE)
        server.do(may_answer.set)
        sock.sendall(b"x" * (SIZE - sent))
        assert response(sock) == (200, b"done", "close")


def test_one_that_never_ends_does_not_keep_the_server_from_stopping(monkeypatch):
    monkeypatch.setattr(server_thread, "_GRACE_SECONDS", 0.01)
    has_begun = threading.Event()

    async def app(_scope, _receive, _send):
        has_begun.set()
        await asyncio.Event().wait()

    with serving(app) as server, server.connect() as sock:
        sock.sendall(GET)
        assert has_begun.wait(20)
        server.stop()
        assert not server.is_running


def test_a_client_that_never_goes_is_cut_in_the_end():
    with serving(good) as server, server.connect() as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert whole(sock).startswith(b"HTTP/1.1 400")
        server.turn()
        assert server.holds(sock)
        server.later(10)
        assert not server.holds(sock)


def test_nothing_is_read_behind_a_refusal(certificates):
    paths = []

    async def app(scope, _receive, send):
        paths.append(scope["path"])
        await answer(send)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(b"nonsense\r\n\r\n" + GET)
        assert response(sock)[0] == 400
        with contextlib.suppress(OSError):
            sock.sendall(GET)
        server.turn()
    assert paths == []


def test_what_is_in_flight_when_the_server_stops_is_the_last():
    async def app(_scope, _receive, send):
        server.begin_to_stop()
        await turns()
        await answer(send)

    with serving(app) as server, server.connect() as sock:
        sock.sendall(GET)
        assert response(sock) == (200, b"done", "close")
        assert whole(sock) == b""


def test_a_connection_without_a_request_is_closed(certificates):
    with serving(good, certificates) as server, server.connect() as new, server.connect() as used:
        used.sendall(GET)
        assert response(used)[0] == 200
        server.later(40)
        assert server.holds(new)
        assert server.holds(used)
        server.later(40)
        assert whole(new) == whole(used) == b""


def test_a_head_is_given_its_time_once():
    with serving(good) as server, server.connect() as sock:
        for data in (b"", b"G", b"E"):
            sock.sendall(data)
            server.later(40)
            assert server.holds(sock) is (data != b"E")


def test_a_request_in_flight_is_not_idle(certificates):
    may_answer = asyncio.Event()

    async def app(_scope, _receive, send):
        await may_answer.wait()
        await answer(send)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(GET)
        server.later(100)
        server.do(may_answer.set)
        assert response(sock) == DONE


def test_an_upload_that_nobody_receives_is_not_idle_while_it_comes(certificates):
    async def app(_scope, _receive, send):
        await answer(send)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(post(3))
        assert response(sock) == DONE
        for _ in range(3):
            server.later(40)
            sock.sendall(b"x")
        sock.sendall(GET)
        assert response(sock) == DONE


def test_a_request_in_flight_does_not_outlive_its_connections_lifetime(certificates):
    """Nor is it asked whether its client reads."""
    got, sent = queue.Queue(), []

    async def app(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = b"x" * SIZE
        await send({"type": "http.response.body", "body": body, "more_body": True})
        sent.append(body)
        got.put(await receive())
        got.put(await receive())

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(GET)
        server.settle(lambda: len(sent))
        server.later(700)
        assert not server.holds(sock)
        assert got.get(timeout=20)["type"] == "http.request"
        assert got.get(timeout=20)["type"] == "http.disconnect"
        with pytest.raises((http.client.IncompleteRead, OSError)):
            response(sock)


def test_a_client_that_never_reads_does_not_outlive_its_connections_lifetime(certificates):
    async def app(_scope, _receive, send):
        await answer(send, b"x" * SIZE)

    with serving(app, certificates, idle=10_000) as server, server.connect() as sock:
        sock.sendall(GET)
        server.later(500)
        assert server.holds(sock)
        server.later(200)
        server.later(10)
        assert not server.holds(sock)
    gc.collect()  # What has not been closed would say so.


def test_a_client_that_does_not_say_goodbye_does_not_outlive_it_either(authority):
    """TLS would wait for it longer."""
    with serving(good, authority, idle=60, lifetime=80) as server, server.connect() as sock:
        server.later(70)
        assert server.holds(sock)
        server.later(15)
        assert not server.holds(sock)
    gc.collect()


# What is refused


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\nhost: a\n\n",
        b"GET / HTTP/1.1\r\nhost: a\n",
    ],
    ids=["TLS", "line feeds", "a line feed"],
)
def test_what_will_be_no_request_is_refused_at_once(data):
    with serving(good) as server, server.connect() as sock:
        sock.sendall(data)
        assert response(sock)[0] == 400


def test_bad_chunks_are_not_asked_for():
    async def app(_scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await answer(send)

    with serving(app) as server, server.connect() as sock:
        sock.sendall(CHUNKED[:-2] + b"expect: 100-continue\r\n\r\nzz\r\n")
        came = whole(sock)
        assert came.startswith(b"HTTP/1.1 400 ")
        assert came.count(b"HTTP/1.1 ") == 1


def test_bad_chunks_get_one_answer_however_early_it_is():
    with serving(good) as server, server.connect() as sock:
        sock.sendall(CHUNKED + b"1\r\na\r\nzz\r\n")
        came = whole(sock)
        assert came.startswith(b"HTTP/1.1 400 ")
        assert came.count(b"HTTP/1.1 ") == 1


def test_bad_chunks_end_an_answer_that_has_begun():
    async def app(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.body"})

    # As much as is read at once; the answer's head waits for its body when the next is read.
    chunk = b"x" * (65536 - len(CHUNKED) - 6)
    first = CHUNKED + b"%04x\r\n%b" % (len(chunk), chunk)
    with serving(app) as server, server.connect() as sock:
        sock.sendall(first + b"ZZ\r\n")
        came = whole(sock)
        assert came.startswith(b"HTTP/1.1 200 ")
        assert came.count(b"HTTP/1.1 ") == 1
        assert came.endswith(b"\r\n\r\n")
        assert not came.endswith(b"0\r\n\r\n")


def test_a_receiver_learns_that_the_body_is_refused():
    got = queue.Queue()

    async def app(_scope, receive, _send):
        while (message := await receive())["type"] == "http.request":
            got.put(message["body"])
        got.put(message["type"])

    with serving(app) as server, server.connect() as sock:
        sock.sendall(CHUNKED + b"1\r\na\r\n")
        assert got.get(timeout=20) == b"a"
        sock.sendall(b"zz\r\n")
        assert got.get(timeout=20) == "http.disconnect"
        assert response(sock)[0] == 400


# What an application may do


def test_a_body_that_was_never_asked_for_ends_the_connection(certificates):
    async def app(_scope, _receive, send):
        await answer(send)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(post(5, b"expect: 100-continue"))
        assert response(sock) == (200, b"done", "close")
        assert whole(sock) == b""


def test_a_body_that_was_asked_for_does_not():
    async def app(_scope, receive, send):
        await answer(send, (await receive())["body"])

    with serving(app) as server, server.connect() as sock:
        sock.sendall(post(4, b"expect: 100-continue"))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"done")
        assert response(sock) == DONE
        sock.sendall(post(4) + b"done")
        assert response(sock) == DONE


def test_failing_behind_the_answer_does_no_harm_to_the_next_request(caplog):
    may_fail = asyncio.Event()

    async def app(scope, _receive, send):
        if scope["path"] == "/fails":
            await answer(send)
            await may_fail.wait()
            raise ZeroDivisionError
        may_fail.set()
        await turns()
        await answer(send)

    with serving(app) as server, server.connect() as sock:
        for data in (GET.replace(b"/", b"/fails", 1), GET):
            sock.sendall(data)
            assert response(sock) == DONE
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()


async def fails_halfway(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("version", "error"),
    [(b"1.0", ConnectionResetError), (b"1.1", http.client.IncompleteRead)],
)
def test_half_an_answer_does_not_look_whole(caplog, version, error):
    with serving(fails_halfway) as server, server.connect() as sock:
        sock.sendall(GET.replace(b"1.1", version))
        with pytest.raises(error):
            response(sock)
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()


@pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))])
def test_a_body_may_be_changed_when_it_has_been_sent(certificates, kind):
    changed = threading.Event()

    async def app(_scope, _receive, send):
        body = kind(b"a" * SIZE)
        length = [(b"content-length", b"%d" % (2 * SIZE + 1))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"-", "more_body": True})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        body[:] = b"b" * SIZE
        changed.set()
        await send({"type": "http.response.body", "body": body})

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(GET)
        assert changed.wait(20)
        _, body, _ = response(sock)
        assert (body.count(b"a"), body.count(b"b")) == (SIZE, SIZE)


def test_two_that_receive_both_learn_of_the_end():
    got = queue.Queue()

    async def app(_scope, receive, send):
        both = [asyncio.ensure_future(receive()) for _ in range(2)]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await answer(send)
        for message in await asyncio.gather(*both):
            got.put(message["type"])

    with serving(app) as server, server.connect() as sock:
        sock.sendall(post(3) + b"abc")
        assert response(sock) == DONE
        types = [got.get(timeout=20), got.get(timeout=20)]
        assert sorted(types) == ["http.disconnect", "http.request"]


def test_each_message_has_its_turn():
    start = {"type": "http.response.start", "status": 200, "headers": []}
    body = {"type": "http.response.body", "body": b"done"}
    refused = queue.Queue()

    async def app(_scope, _receive, send):
        for message, known in [(body, True), (start, False), (start, True), (body, False)]:
            await sent(send, message, is_refused=known)
        await sent(send, start, is_refused=True)
        await sent(send, body, is_refused=True)
        refused.put(None)

    async def sent(send, message, *, is_refused):
        try:
            await send(message)
        except RuntimeError:
            refused.put(message["type"] if is_refused else "wrongly")
        else:
            assert not is_refused

    with serving(app) as server, server.connect() as sock:
        sock.sendall(GET)
        assert response(sock) == DONE
        kinds = list(iter(lambda: refused.get(timeout=20), None))
        assert kinds == [body["type"], start["type"], start["type"], body["type"]]
