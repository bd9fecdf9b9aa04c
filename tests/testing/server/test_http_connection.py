"""The server's connections: backpressure, notices of disconnects, and how they end.

Tests set the server's clock forward instead of waiting, so that nothing depends on how busy the
machine is. Where nothing must happen, the server answers other requests meanwhile.
"""

import asyncio
import contextlib
import gc
import http.client
import queue
import threading

import pytest

from lattice_client.testing.server import server_thread
from support.bare_server import (
    DONE,
    GET,
    SIZE,
    answer,
    endless,
    good,
    post,
    response,
    serving,
    turns,
    whole,
)

pytestmark = pytest.mark.usefixtures("nothing_goes_wrong_inside")

# Backpressure


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


def test_an_unreceived_upload_is_dropped_after_the_answer(certificates):
    may_answer = asyncio.Event()

    async def app(_scope, _receive, send):
        await may_answer.wait()
        await answer(send)

    with serving(app, certificates) as server, server.connect() as sock:
        sock.sendall(post(SIZE))
        sent = server.fill(sock, SIZE)
        server.do(may_answer.set)
        assert response(sock) == DONE
        sock.sendall(b"x" * (SIZE - sent - 1))
        server.turn()
        assert server.held == 0
        sock.sendall(b"x" + GET)
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
            # The loop is blocked, and learns only from sending that the client has left.
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


def test_one_that_only_sends_delays_neither_others_nor_the_stop(certificates, monkeypatch):
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


def test_an_unreceived_upload_is_dropped_after_a_last_answer():
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


def test_an_unreceived_upload_is_not_idle_while_it_comes(certificates):
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
    """It is closed even if its client does not read."""
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
    gc.collect()  # An unclosed socket would cause a ResourceWarning.


def test_a_client_that_does_not_say_goodbye_does_not_outlive_it_either(authority):
    """TLS would wait longer for its close_notify."""
    with serving(good, authority, idle=60, lifetime=80) as server, server.connect() as sock:
        server.later(70)
        assert server.holds(sock)
        server.later(15)
        assert not server.holds(sock)
    gc.collect()
