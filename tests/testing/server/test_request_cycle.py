"""Requests and responses of bare applications: what is refused, and what an application may do."""

import asyncio
import http.client
import queue
import socket
import sys
import threading

import pytest

from support.bare_server import (
    CHUNKED,
    DONE,
    GET,
    SIZE,
    answer,
    good,
    post,
    response,
    serving,
    turns,
    whole,
)

pytestmark = pytest.mark.usefixtures("nothing_goes_wrong_inside")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


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

    # As much as one read takes: the answer's head is still held when the next is read.
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
        assert sock.recv(100) == CONTINUE
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


def half_closed(server, data):
    """All bytes that a client gets that sends ``data`` and ends its side."""
    with server.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return whole(sock)


async def slowly(scope, receive, send):
    """Answers with the path, after many turns of the loop."""
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.request":
        await turns()
        await answer(send, scope["path"].encode())


@pytest.mark.parametrize("app", [slowly, good])
def test_a_client_that_ends_its_side_gets_its_answer(app):
    with serving(app) as server:
        got = half_closed(server, GET).removeprefix(CONTINUE)
        assert got.startswith(b"HTTP/1.1 200 OK\r\n")
        assert got.endswith(b"\r\n\r\n/" if app is slowly else b"good")


def test_a_client_that_ends_its_side_gets_all_answers_of_a_pipeline():
    requests = [b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % number for number in range(20)]
    upload = b"POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
    with serving(slowly) as server:
        got = half_closed(server, b"".join([*requests, upload]))
        assert got.count(b"HTTP/1.1 200 OK") == 21
        assert got.endswith(b"\r\n\r\n/upload")
        # An incomplete request is not answered.
        got = half_closed(server, requests[1] + upload[:-1])
        assert got.count(b"HTTP/1.1 200 OK") == 1
        assert half_closed(server, upload[:-1]) == b""
        assert half_closed(server, b"") == b""
        server.settle(lambda: len(server.clients))
        assert not server.clients


def test_a_slow_answer_reaches_a_client_that_ended_its_side():
    """Probes, which the client must skip, find out whether it is still there."""
    waiting, go = threading.Event(), threading.Event()

    async def waits(_scope, _receive, send):
        waiting.set()
        await asyncio.to_thread(go.wait, 20)
        await answer(send)

    with serving(waits) as server, server.connect() as sock:
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        assert waiting.wait(20)
        assert sock.recv(len(CONTINUE), socket.MSG_WAITALL) == CONTINUE
        go.set()
        assert response(sock) == DONE
        assert is_at_end(sock)


def test_an_http_1_0_client_is_never_probed():
    """HTTP/1.0 knows no interim responses."""
    go = asyncio.Event()

    async def waits(_scope, _receive, send):
        await go.wait()
        await answer(send)

    with serving(waits) as server, server.connect() as sock, server.stopped_clock():
        sock.sendall(GET.replace(b"1.1", b"1.0"))
        sock.shutdown(socket.SHUT_WR)
        server.turn()
        server.do(go.set)
        assert whole(sock).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_stream_reaches_a_client_that_ended_its_side_while_it_keeps_coming():
    parts = asyncio.Semaphore(0)

    async def streams(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(8):
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
            await parts.acquire()
        await send({"type": "http.response.body"})

    with serving(streams) as server, server.connect() as sock, server.stopped_clock():
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        for _ in range(8):
            server.later(0.4)
            server.do(parts.release)
            server.turn()
        assert response(sock) == (200, b"part" * 8, None)


def test_a_client_that_ended_its_side_may_read_a_stream_slowly():
    async def streams(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2):
            await send({"type": "http.response.body", "body": b"x" * SIZE, "more_body": True})
        await send({"type": "http.response.body"})

    with serving(streams) as server, server.connect() as sock, server.stopped_clock():
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        for _ in range(4):
            server.later(0.6)
        assert response(sock) == (200, b"x" * 2 * SIZE, None)


async def waits_for_the_end(_scope, receive, _send):
    while (await receive())["type"] != "http.disconnect":
        pass


def test_a_client_that_leaves_is_noticed_at_once():
    with serving(waits_for_the_end) as server, server.stopped_clock():
        with server.connect() as sock:
            sock.sendall(GET)
            server.turn()
            assert server.holds(sock)
            address = sock.getsockname()
        server.turn()
        assert address not in server.clients


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_client_that_leaves_a_stream_is_noticed_within_a_second(version):
    gone = threading.Event()

    async def streams(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        await waits_for_the_end(scope, receive, send)
        gone.set()

    with serving(streams) as server, server.stopped_clock():
        with server.connect() as sock:
            sock.sendall(GET.replace(b"1.1", version))
            assert sock.recv(65536)
        server.later(0.6)
        assert gone.wait(20)


def test_a_client_that_ends_its_side_and_leaves_later_is_noticed():
    """It is probed at growing intervals, so that a long wait is not a stream of probes."""
    with serving(waits_for_the_end) as server, server.stopped_clock():
        with server.connect() as sock:
            sock.sendall(GET)
            sock.shutdown(socket.SHUT_WR)
            for _ in range(16):
                server.later(0.51)
            # At once, and after 0.5, 1.5, 3.5 and 7.5 seconds.
            assert sock.recv(65536) == CONTINUE * 5
            address = sock.getsockname()
        for _ in range(16):
            server.later(0.51)
        assert address not in server.clients


def is_at_end(sock):
    return sock.recv(1) == b""


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
