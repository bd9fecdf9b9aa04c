"""Clients under faults: the right number of attempts, each with its own signature."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from email.utils import formatdate

import aiohttp
import httpx
import httpx2
import pytest
import requests

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.drivers import CLIENTS, Call, Driver
from lattice_client import ConfigurationError, LatticeAuth, RetryPolicy
from lattice_client._calls import loop as calls
from lattice_client.retry.quota import RetryQuota, RetryQuotas
from support import canary
from support.raw_server import OK, raw_server

REGION = "us-west-2"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
# What the libraries raise when no answer came.
TRANSPORT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    httpx.TransportError,
    httpx2.TransportError,
    aiohttp.ClientError,
    asyncio.TimeoutError,
)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    """No waiting: the random part of each pause is 0."""
    monkeypatch.setattr(random, "random", lambda: 0.0)


@pytest.fixture(params=CLIENTS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def client(driver) -> Iterator[Call]:
    with driver.client(auth()) as call:
        yield call


def auth(**arguments) -> LatticeAuth:
    return LatticeAuth(region=REGION, credentials=canary.credentials(), **arguments)


def answers(*responses: bytes):
    left = list(responses)
    return lambda _: left.pop(0) if left else OK


def assert_attempts(server, count: int) -> None:
    assert len(server.requests) == count
    assert all(request.verified() for request in server.requests)
    ids = {request.header("x-amzn-requestid") for request in server.requests}
    assert len(ids) == 1
    assert None not in ids


class TestAnswered:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_twice_then_well(self, client, status):
        bad = UNAVAILABLE.replace(b"503", str(status).encode())
        with raw_server(answers(bad, bad)) as server:
            assert client("GET", server.url + "/a?b=1&a=2").status == 200
            assert_attempts(server, 3)
            # The answers were read to their end, so one connection did.
            assert server.connections == 1

    def test_the_last_answer_is_handed_out(self, client):
        with raw_server(lambda _: UNAVAILABLE) as server:
            answer = client("GET", server.url)
            assert (answer.status, answer.text) == (503, "busy")
            assert_attempts(server, 3)

    @pytest.mark.parametrize("status", [200, 400, 403, 404, 500])
    def test_others_are_final(self, client, status):
        answer = UNAVAILABLE.replace(b"503", str(status).encode())
        with raw_server(lambda _: answer) as server:
            assert client("GET", server.url).status == status
            assert_attempts(server, 1)

    def test_a_post_is_not_sent_twice_without_leave(self, client):
        with raw_server(answers(UNAVAILABLE)) as server:
            assert client("POST", server.url, body=b"{}").status == 503
            assert_attempts(server, 1)

    def test_a_post_with_an_idempotency_key_is(self, client):
        with raw_server(answers(UNAVAILABLE)) as server:
            headers = {"Idempotency-Key": "one"}
            assert client("POST", server.url, body=b"{}", headers=headers).status == 200
            assert_attempts(server, 2)
            assert [request.body for request in server.requests] == [b"{}", b"{}"]

    def test_a_large_answer_is_not_read(self, client):
        large = b"HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
        with raw_server(answers(large)) as server:
            assert client("GET", server.url).status == 200
            assert_attempts(server, 2)
            assert server.connections == 2

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_retry_after_is_kept(self, client, form, monkeypatch):
        waits = _recorded_waits(monkeypatch)
        now = 1_800_000_000
        after = "7" if form == "seconds" else formatdate(now + 7, usegmt=True)
        date = formatdate(now, usegmt=True)
        busy = (
            f"HTTP/1.1 503 No\r\nDate: {date}\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n"
        )
        with raw_server(answers(busy.encode())) as server:
            assert client("GET", server.url).status == 200
        assert 7 in waits

    def test_an_endless_retry_after_is_final(self, client):
        busy = b"HTTP/1.1 503 No\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n"
        with raw_server(lambda _: busy) as server:
            assert client("GET", server.url).status == 503
            assert_attempts(server, 1)


def _recorded_waits(monkeypatch) -> list[float]:
    import anyio

    waits: list[float] = []
    sleep = asyncio.sleep

    async def async_wait(seconds: float, result: object = None) -> object:
        waits.append(seconds)
        return await sleep(0, result)

    monkeypatch.setattr("lattice_client._calls.loop.wait", waits.append)
    monkeypatch.setattr(asyncio, "sleep", async_wait)
    monkeypatch.setattr(anyio, "sleep", async_wait)
    return waits


def test_a_retry_is_paid_for_and_answers_earn_the_next_one(driver, monkeypatch):
    monkeypatch.setattr(calls, "RetryQuotas", lambda: RetryQuotas(capacity=RetryQuota.RETRY))
    left = [UNAVAILABLE]
    with raw_server(lambda _: left.pop() if left else OK) as server, driver.client(auth()) as call:

        def statuses(number: int) -> list[int]:
            return [call("GET", server.url).status for _ in range(number)]

        assert statuses(1) == [200]  # it was sent twice, which took all, and its answer earned 1
        left.append(UNAVAILABLE)
        assert statuses(1) == [503]
        assert statuses(RetryQuota.RETRY - 2) == [200] * (RetryQuota.RETRY - 2)
        left.append(UNAVAILABLE)
        assert statuses(1) == [503]
        assert statuses(1) == [200]
        left.append(UNAVAILABLE)
        assert statuses(1) == [200]
        assert not left


class TestNotSent:
    def test_refused_then_well(self, client, monkeypatch):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            # The port is bound, so no other program can use it, and nothing listens on it yet.
            port = listener.getsockname()[1]
            servers = []

            def begin_to_listen() -> float:
                """Stands in for the draw of the pause before the second attempt."""
                server = raw_server(listener=listener)
                servers.append((server, server.__enter__()))
                return 0.0

            monkeypatch.setattr(random, "random", begin_to_listen)
            # A POST too: nothing was sent.
            assert client("POST", f"http://127.0.0.1:{port}/", body=b"{}").status == 200
            context, server = servers[0]
            assert_attempts(server, 1)
            context.__exit__(None, None, None)

    def test_refused_for_good(self, client, monkeypatch):
        draws = []
        monkeypatch.setattr(random, "random", lambda: draws.append(1) or 0.0)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            with pytest.raises(TRANSPORT_ERRORS):
                client("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert len(draws) == 2

    def test_a_name_that_does_not_resolve_at_first(self, client, monkeypatch):
        resolve = socket.getaddrinfo
        asked = []

        def failing_once(host, *arguments, **named):
            name = host.decode() if isinstance(host, bytes) else host
            if name != "orders.example.com":
                return resolve(host, *arguments, **named)
            asked.append(name)
            if len(asked) == 1:
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return resolve("127.0.0.1", *arguments, **named)

        monkeypatch.setattr(socket, "getaddrinfo", failing_once)
        with raw_server() as server:
            url = f"http://orders.example.com:{server.port}/"
            assert client("POST", url, body=b"{}").status == 200
            assert_attempts(server, 1)
        assert len(asked) == 2

    def test_a_stranger_s_certificate_is_met_once(self, client, lattice_https, monkeypatch):
        draws = []
        monkeypatch.setattr(random, "random", lambda: draws.append(1) or 0.0)
        with pytest.raises(TRANSPORT_ERRORS):
            client("GET", lattice_https.url_for("orders") + "/")
        assert not draws


FAULTS = ["at once", "in the request", "after the request", "in the answer"]


class TestPerhapsSent:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_get_is_sent_again(self, client, fault):
        with raw_server(faults=[fault, fault]) as server:
            assert client("GET", server.url + "/a").status == 200
            assert server.requests[-1].verified()
            # aiohttp itself repeats what an idle connection has lost.
            assert server.connections >= 3

    # A connection that is reset at once may count as not made, and then a POST is sent again.
    @pytest.mark.parametrize("fault", FAULTS[1:])
    def test_a_post_is_not(self, client, fault):
        with raw_server(faults=[fault]) as server:
            with pytest.raises(TRANSPORT_ERRORS):
                client("POST", server.url, body=b"{}")
            assert server.connections == 1

    def test_a_post_within_the_handling_of_another_error_is_not(
        self, client, driver, nobody_listens
    ):
        """An exception that the caller is handling says nothing about this call."""
        if "aiohttp" in driver.name or "async" in driver.name:
            pytest.skip("their calls run in another context here")
        with raw_server(faults=["after the request"] * 5) as server:
            try:
                requests.get(f"http://127.0.0.1:{nobody_listens}/", timeout=5)
            except requests.ConnectionError:
                with pytest.raises(TRANSPORT_ERRORS):
                    client("POST", server.url, body=b"{}")
            assert server.connections == 1

    def test_a_post_through_a_proxy_is_not(self):
        with (
            raw_server(faults=["after the request"] * 5) as server,
            lattice_client.requests.Session(auth()) as session,
        ):
            session.trust_env = False
            with pytest.raises(requests.ConnectionError):
                session.post("http://orders.example.com/", data=b"{}", proxies={"http": server.url})
            assert len(server.requests) == 1

    def test_a_policy_of_one_attempt_is_kept(self):
        async def get(url: str) -> None:
            once = RetryPolicy(attempts=1)
            async with (
                lattice_client.aiohttp.client_session(auth(), retry=once) as session,
                session.get(url),
            ):
                pass

        with raw_server(faults=["after the request"] * 5) as server:
            with pytest.raises(aiohttp.ClientError):
                asyncio.run(get(server.url))
            assert len(server.requests) == 1

    def test_an_answer_that_breaks_off_is_let_go_of(self, client):
        broken = b"HTTP/1.1 503 No\r\nContent-Length: 100\r\nConnection: close\r\n\r\nxx"
        answer = answers(broken)
        with raw_server(answer, faults=["close"]) as server:
            assert client("GET", server.url).status == 200
            assert len(server.requests) == 2

    def test_a_connection_that_was_closed_while_idle(self, client):
        closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        with raw_server(lambda _: closing, faults=[None, "after the request"]) as server:
            assert client("GET", server.url).status == 200
            server.drop_connections()
            assert client("GET", server.url).status == 200
            assert all(request.verified() for request in server.requests)


class TestBodies:
    def test_a_generator_is_never_sent_twice(self, client):
        from adapters.drivers import STREAM

        with raw_server(answers(UNAVAILABLE)) as server:
            assert client("PUT", server.url, body=STREAM).status == 503
            assert_attempts(server, 1)

    def test_a_file_is_rewound(self, client, driver, tmp_path):
        if "httpx" in driver.name and "async" in driver.name:
            pytest.skip("asynchronous httpx takes no files")
        if "aiohttp" in driver.name and not hasattr(aiohttp.Payload, "consumed"):
            pytest.skip("this aiohttp closes a file that it has sent")
        path = tmp_path / "upload"
        path.write_bytes(b"0123456789" * 5000)
        with raw_server(answers(UNAVAILABLE)) as server, path.open("rb") as file:
            assert client("PUT", server.url, body=file).status == 200
            assert_attempts(server, 2)
            bodies = [request.body for request in server.requests]
        assert bodies == [path.read_bytes()] * 2

    def test_the_callers_request_stays_as_it_was(self):
        with raw_server() as server:
            with lattice_client.requests.Session(auth()) as session:
                prepared = session.prepare_request(requests.Request("GET", server.url))
                before = dict(prepared.headers)
                session.send(prepared)
                assert dict(prepared.headers) == before
            for module, library in ((lattice_client.httpx, httpx), (lattice_client.httpx2, httpx2)):
                with module.Client(auth=auth(), trust_env=False) as client:
                    request = library.Request("GET", server.url)
                    before = list(request.headers.raw)
                    client.send(request)
                    assert list(request.headers.raw) == before
            assert all(request.verified() for request in server.requests)


class TestPolicies:
    ONCE = RetryPolicy(attempts=1)

    def test_of_a_client(self):
        with raw_server(lambda _: UNAVAILABLE) as server:
            with lattice_client.requests.Session(auth(), retry=self.ONCE) as session:
                session.get(server.url)
            with lattice_client.httpx.Client(auth=auth(), retry=self.ONCE, trust_env=False) as http:
                http.get(server.url)
            with requests.Session() as session:
                session.mount(server.url, lattice_client.requests.Adapter(auth(), retry=self.ONCE))
                session.get(server.url)
            assert len(server.requests) == 3

    def test_of_a_call(self):
        with raw_server(lambda _: UNAVAILABLE) as server:
            with lattice_client.requests.Session(auth()) as session:
                session.get(server.url, retry=self.ONCE)
                session.request("GET", server.url, retry=self.ONCE)
                assert len(server.requests) == 2
                session.get(server.url)
                assert len(server.requests) == 5
            with lattice_client.httpx2.Client(auth=auth(), trust_env=False) as http:
                http.get(server.url, extensions={"lattice_retry": self.ONCE})
                assert len(server.requests) == 6

    @pytest.mark.parametrize(
        "make",
        [
            lattice_client.requests.Session,
            lattice_client.requests.Adapter,
            lattice_client.httpx.Client,
            lattice_client.httpx2.AsyncTransport,
            lattice_client.aiohttp.middleware,
        ],
    )
    def test_wrong_arguments(self, make):
        with pytest.raises(ConfigurationError, match="RetryPolicy"):
            make(auth=auth(), retry=3)
        with pytest.raises(ConfigurationError, match="LatticeAuth"):
            make(auth=("user", "word"))


def test_out_of_scope_nothing_is_signed_or_repeated(driver):
    with (
        driver.client(auth(hosts=["none.example"])) as call,
        raw_server(lambda _: UNAVAILABLE) as server,
    ):
        assert call("GET", server.url).status == 503
        assert len(server.requests) == 1
        assert not server.requests[0].signed
