"""What niquests has beyond the other libraries: lazy responses on shared connections, its copies of
requests, and hooks that one of its two sessions awaits."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path

import pytest

import lattice_client.niquests
from adapters.drivers import close_niquests
from lattice_client import LatticeAuth, RefreshingCredentials, explain
from lattice_client._wire import niquests as wire
from lattice_client._wire import response_body
from support import canary
from support.h2_server import Drip, H2Server, h2_server
from support.raw_server import OK, RawRequest, raw_server

niquests = pytest.importorskip(
    "niquests", reason="it has its own environment: scripts/test --niquests"
)

REGION = "us-west-2"
LATE = b"InvalidSignatureException: Signature expired: it is now earlier"
DENIED = (
    b"AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/orders-frontend/x is not "
    b"authorized to perform: vpc-lattice-svcs:Invoke because no service-based policy allows the "
    b"vpc-lattice-svcs:Invoke action"
)


def auth(kind: type[LatticeAuth] = LatticeAuth, **arguments) -> LatticeAuth:
    return kind(**{"region": REGION, "credentials": canary.credentials(), **arguments})


AUTHS = [LatticeAuth, lattice_client.niquests.AsyncLatticeAuth]


def if_late(request: RawRequest) -> tuple[int, bytes]:
    """Refuse what is signed by the local clock."""
    hour = time.strftime("%Y%m%dT%H", time.gmtime())
    return (403, LATE) if (request.header("x-amz-date") or "").startswith(hour) else (200, b"ok")


@pytest.fixture
def late(tmp_path) -> Iterator[H2Server]:
    """A server whose clock is two hours ahead."""
    ahead = formatdate(time.time() + 7200, usegmt=True)
    with h2_server(if_late, tmp_path, headers=[("date", ahead)]) as server:
        yield server


def session(server: H2Server, signing: LatticeAuth, **arguments):
    made = niquests.Session(disable_http3=True, **arguments)
    made.auth, made.trust_env, made.verify = signing, False, server.ca_file
    return made


@asynccontextmanager
async def async_session(server: H2Server, signing: LatticeAuth, **arguments):
    made = niquests.AsyncSession(disable_http3=True, **arguments)
    made.auth, made.trust_env, made.verify = signing, False, server.ca_file
    try:
        yield made
    finally:
        await close_niquests(made)


class TestMultiplexed:
    """The responses are handed out before the answers have come."""

    def test_a_remedy_for_each(self, late):
        with session(late, auth(), multiplexed=True) as calling:
            responses = [calling.post(f"{late.url}/{n}", data=b"{}") for n in range(3)]
            assert all(response.lazy for response in responses)
            calling.gather()
            for response in responses:
                assert (response.status_code, response.text) == (200, "ok")
                assert [one.status_code for one in response.history] == [403]
                assert response.history[0].content == LATE
                assert explain(response) is None
        assert len(late.requests) == 6
        assert late.connections == 1

    def test_it_comes_by_asking_for_the_status(self, late):
        with session(late, auth(), multiplexed=True) as calling:
            response = calling.get(late.url, stream=True)
            assert response.lazy
            assert response.status_code == 200
            assert b"".join(response.iter_content(1)) == b"ok"

    @pytest.mark.parametrize("kind", AUTHS)
    @pytest.mark.parametrize("stream", [False, True])
    def test_in_an_async_session(self, late, kind, stream):
        async def main() -> None:
            async with async_session(late, auth(kind), multiplexed=True) as calling:
                responses = [
                    await calling.post(f"{late.url}/{n}", data=b"{}", stream=stream)
                    for n in range(3)
                ]
                assert all(response.lazy for response in responses)
                await calling.gather()
                for response in responses:
                    assert response.status_code == 200
                    assert (await response.text if stream else response.text) == "ok"
                    (refusal,) = response.history
                    assert (await refusal.content if stream else refusal.content) == LATE
                    assert explain(refusal).kind == "clock"

        asyncio.run(main())
        assert len(late.requests) == 6
        assert late.connections == 1

    @pytest.mark.parametrize("kind", [None, *AUTHS])
    def test_what_follows_a_redirect_elsewhere_is_unsigned(self, tmp_path, kind):
        own = {"X-Amz-Meta-Note": "mine"}
        for name in ("home", "stranger"):
            (tmp_path / name).mkdir()

        async def main(home: H2Server) -> int:
            async with async_session(home, auth(kind), multiplexed=True) as calling:
                calling.verify = both
                response = await calling.get(home.url, headers=own)
                await calling.gather()
                return response.status_code

        with h2_server(lambda _: (200, b"ok"), tmp_path / "stranger") as stranger:
            location = [("location", f"{stranger.url}/elsewhere")]
            redirecting = h2_server(lambda _: (302, b""), tmp_path / "home", headers=location)
            with redirecting as home:
                authorities = [Path(each.ca_file).read_text() for each in (home, stranger)]
                both = str(tmp_path / "both.pem")
                Path(both).write_text("".join(authorities))
                if kind is None:
                    with session(home, auth(), multiplexed=True) as calling:
                        calling.verify = both
                        assert calling.get(home.url, headers=own).status_code == 200
                else:
                    assert asyncio.run(main(home)) == 200
                # After a redirect elsewhere niquests leaves a connection open.
                with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                    gc.collect()
        assert home.requests[0].verified()
        (followed,) = stranger.requests
        assert not followed.signed

    def test_a_refusal_is_explained(self, tmp_path):
        with (
            h2_server(lambda _: (403, DENIED), tmp_path) as server,
            session(server, auth(), multiplexed=True) as calling,
        ):
            response = calling.get(server.url)
            assert explain(response).kind == "service policy"
            with pytest.raises(niquests.HTTPError) as caught:
                response.raise_for_status()
            assert explain(caught.value.response) == explain(response)

    def test_before_it_is_gathered_an_async_one_is_not_explained(self, tmp_path):
        async def main(server: H2Server) -> None:
            async with async_session(server, auth(), multiplexed=True) as calling:
                response = await calling.get(server.url)
                with pytest.raises(niquests.exceptions.MultiplexingError, match="gather"):
                    explain(response)
                await calling.gather()
                assert explain(response).kind == "service policy"

        with h2_server(lambda _: (403, DENIED), tmp_path) as server:
            asyncio.run(main(server))


@pytest.mark.parametrize("multiplexed", [False, True])
@pytest.mark.parametrize("kind", [None, *AUTHS])
def test_a_redirect_that_answers_a_remedy(tmp_path, kind, multiplexed):
    """What follows it is unsigned. A multiplexed session looks for redirects before the remedy."""
    for name in ("home", "stranger"):
        (tmp_path / name).mkdir()

    def answer(request: RawRequest) -> tuple[int, bytes]:
        status, body = if_late(request)
        return (status, body) if status == 403 else (307, b"")

    async def main(home: H2Server) -> int:
        async with async_session(home, auth(kind), multiplexed=multiplexed) as calling:
            calling.verify = both
            response = await calling.post(home.url, headers=own, data=b"{}")
            if multiplexed:
                await calling.gather()
            return response.status_code

    own, both = {"X-Amz-Meta-Note": "mine"}, str(tmp_path / "both.pem")
    with h2_server(lambda _: (200, b"ok"), tmp_path / "stranger") as stranger:
        ahead = formatdate(time.time() + 7200, usegmt=True)
        headers = [("location", f"{stranger.url}/elsewhere"), ("date", ahead)]
        with h2_server(answer, tmp_path / "home", headers=headers) as home:
            authorities = [Path(each.ca_file).read_text() for each in (home, stranger)]
            Path(both).write_text("".join(authorities))
            if kind is None:
                with session(home, auth(), multiplexed=multiplexed) as calling:
                    calling.verify = both
                    status = calling.post(home.url, headers=own, data=b"{}").status_code
            else:
                status = asyncio.run(main(home))
            # After a redirect elsewhere niquests leaves a connection open.
            with warnings.catch_warnings(action="ignore", category=ResourceWarning):
                gc.collect()
    assert len(home.requests) == 2
    assert status == (307 if multiplexed else 200)
    assert len(stranger.requests) == (0 if multiplexed else 1)
    for followed in stranger.requests:
        assert not followed.signed
        assert not [
            name for name in ("x-amz-security-token", "x-amz-meta-note") if followed.header(name)
        ]


class TestHttp2:
    def test_many_threads_on_one_connection(self, late):
        """Each is refused; reading one's refusal takes nothing from the others'."""
        with session(late, auth()) as calling, ThreadPoolExecutor(8) as threads:
            responses = threads.map(
                lambda n: calling.post(f"{late.url}/{n}", data=b"{}"), range(40)
            )
            assert [response.text for response in responses] == ["ok"] * 40

    @pytest.mark.parametrize("kind", AUTHS)
    def test_many_tasks_on_one_connection(self, late, kind):
        async def main() -> list[str]:
            async with async_session(late, auth(kind)) as calling:
                calls = [calling.post(f"{late.url}/{n}", data=b"{}") for n in range(40)]
                return [response.text for response in await asyncio.gather(*calls)]

        assert asyncio.run(main()) == ["ok"] * 40

    @pytest.mark.parametrize("kind", [None, *AUTHS])
    def test_a_refusal_that_drips_is_handed_out_and_stays_whole(self, tmp_path, monkeypatch, kind):
        monkeypatch.setattr(response_body, "PATIENCE", 0.3)

        async def main() -> bytes:
            async with async_session(server, auth(kind)) as calling:
                response = await calling.get(server.url, stream=True)
                server.go_on.set()
                return await response.content

        with h2_server(lambda _: Drip(403, b"x" * 500), tmp_path) as server:
            if kind is None:
                with session(server, auth()) as calling:
                    response = calling.get(server.url, stream=True)
                    server.go_on.set()
                    assert response.content == b"x" * 500
            else:
                assert asyncio.run(main()) == b"x" * 500
            assert not server.dripped_out


def test_the_loop_runs_while_credentials_are_fetched():
    """With the library-free object it would wait for them, and they for it."""
    fetched = threading.Event()

    def fetch():
        assert fetched.wait(10)
        return canary.credentials()

    async def main(url: str) -> int:
        signing = auth(
            lattice_client.niquests.AsyncLatticeAuth, credentials=RefreshingCredentials(fetch)
        )
        calling = niquests.AsyncSession()
        calling.auth = signing
        call = asyncio.ensure_future(calling.get(url))
        await asyncio.sleep(0)
        fetched.set()
        try:
            return (await call).status_code
        finally:
            await close_niquests(calling)

    with raw_server() as server:
        assert asyncio.run(main(server.url)) == 200
    assert server.requests[0].verified()


def test_a_call_that_is_cancelled_closes_the_refusal(monkeypatch):
    """No caller gets it."""
    monkeypatch.setattr(response_body, "PATIENCE", 3600.0)
    reading, closed = asyncio.Event(), []
    goes_on = wire._Ahead.goes_on
    close = niquests.AsyncResponse.close

    def seen(ahead) -> bool:
        reading.set()
        return goes_on(ahead)

    async def noted(response) -> None:
        closed.append(response.status_code)
        await close(response)

    monkeypatch.setattr(wire._Ahead, "goes_on", seen)
    monkeypatch.setattr(niquests.AsyncResponse, "close", noted)

    async def main(url: str) -> None:
        calling = niquests.AsyncSession()
        call = asyncio.ensure_future(calling.get(url, auth=auth()))
        await reading.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await close_niquests(calling)

    half = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    with raw_server(lambda _: half, ["half an answer"]) as server:
        asyncio.run(main(server.url))
    assert closed == [403]


def test_a_copy_is_signed_until_the_request_is_sent():
    with raw_server() as server, niquests.Session() as calling:
        prepared = niquests.Request("GET", server.url, auth=auth()).prepare()
        assert calling.send(prepared.copy()).status_code == 200
        assert calling.send(prepared).status_code == 200
        assert calling.send(prepared.copy()).status_code == 200
    assert [request.signed for request in server.requests] == [True, True, False]


def test_after_a_redirect_on_the_same_origin_other_headers_stay():
    moved = b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
    answers = [moved, OK]
    with raw_server(lambda _: answers.pop(0)) as server, niquests.Session() as calling:
        assert (
            calling.get(server.url, headers={"X-Amz-Meta-Note": "mine"}, auth=auth()).status_code
            == 200
        )
    first, second = server.requests
    assert first.verified()
    assert second.header("authorization") is None
    assert second.header("x-amz-security-token") is None
    assert second.header("x-amz-meta-note") == "mine"


@pytest.mark.parametrize("kind", AUTHS)
def test_an_application_that_the_session_calls_itself(kind):
    """Its 403 is no answer of Lattice's, and there is no connection to send a remedy on."""

    class Application:
        async def __call__(self, scope, receive, send) -> None:
            if scope["type"] == "http":
                start = {"type": "http.response.start", "status": 403, "headers": []}
                await send(start)
                await send({"type": "http.response.body", "body": LATE})

    async def main() -> tuple[int, str]:
        try:
            calling = niquests.AsyncSession(app=Application())
        except TypeError:
            pytest.skip("this niquests does not call applications itself")
        async with calling:
            response = await calling.get("/orders", auth=auth(kind))
            return response.status_code, response.text

    assert asyncio.run(main()) == (403, LATE.decode())
