"""Refusals that have a remedy: one more attempt, then none, in every hook and at both levels."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate

import pytest

from adapters.drivers import DRIVERS, HOOKS, STREAM, Driver
from lattice_client import Credentials, EnvironmentCredentials, LatticeAuth, RefreshingCredentials
from lattice_client.testing import LocalLattice, serve
from support import canary
from support.raw_server import raw_server, redirect_to

REGION = "us-west-2"

# httpx calls a library-free auth object as a function: it never shows it the answer.
ANSWERING = [
    driver for driver in DRIVERS if "httpx" not in driver.name or "free" not in driver.name
]


@pytest.fixture(params=ANSWERING, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


class Clock:
    """The local Lattice's, which is ahead of ours or behind."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


def running(clock: Clock | None = None, **settings):
    local = LocalLattice(region=REGION, clock=clock or time.time, **settings)
    local.add_service("orders", domain="orders.internal.example.com")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    return serve(local)


def outcomes(lattice) -> list[bool]:
    """Of each request, whether it was verified."""
    return [bool(request.verified) for request in lattice.requests]


@pytest.mark.parametrize("ahead", [600, -600])
class TestClock:
    def test_one_attempt_more_then_none(self, driver, clock, ahead):
        clock.ahead = ahead
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with running(clock) as lattice, driver.client(auth) as call:
            for _ in range(3):
                assert call("POST", lattice.url + "/", body=b"{}").status == 200
            assert outcomes(lattice) == [False, True, True, True]

    def test_it_steps_and_comes_back(self, driver, clock, ahead):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with running(clock) as lattice, driver.client(auth) as call:
            for step in (0, ahead, 0):
                clock.ahead = step
                for _ in range(2):
                    assert call("GET", lattice.url + "/").status == 200
            assert outcomes(lattice) == [True, True, False, True, True, False, True, True]
        assert auth._remedies.clock.offsets == {}


class TestPathEncoding:
    TARGET = "/a%20b/c:d?x=1"

    def test_is_flipped_and_remembered(self, driver):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with running(path_encoding="single") as lattice, driver.client(auth) as call:
            for _ in range(3):
                assert call("GET", lattice.url + self.TARGET).status == 200
            assert outcomes(lattice) == [False, True, True, True]

    def test_each_host_has_its_own(self, driver):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with (
            running(path_encoding="single") as single,
            running() as double,
            driver.client(auth) as call,
        ):
            for _ in range(2):
                assert call("GET", single.url + self.TARGET).status == 200
                assert call("GET", double.url + self.TARGET).status == 200
            assert outcomes(single) == [False, True, True]
            assert outcomes(double) == [True, True]

    def test_is_flipped_back_where_it_was_not_that(self, driver):
        """The secret is wrong: no encoding helps."""
        auth = driver.auth(
            region=REGION, credentials=Credentials("ASIACANARYEXAMPLE", "wrong", canary.TOKEN)
        )
        with running() as lattice, driver.client(auth) as call:
            assert call("GET", lattice.url + self.TARGET).status == 403
            assert outcomes(lattice) == [False, False]
            host = lattice.url.partition("://")[2]
            assert auth._signers.encoding_of(host) == "double"
            # Where both encodings are the same there is nothing to try.
            assert call("GET", lattice.url + "/plain").status == 403
            assert outcomes(lattice) == [False] * 3


class TestCredentials:
    def test_expired_ones_are_fetched_anew(self, driver, clock):
        """They expire at the service while we think that they are good."""
        fetched = [
            canary.credentials("ASIAFIRST"),
            canary.credentials("ASIASECOND"),
        ]
        given = iter(fetched)
        provider = RefreshingCredentials(lambda: next(given))
        auth = driver.auth(region=REGION, credentials=provider)
        local = LocalLattice(region=REGION)
        local.add_service("orders")
        old = fetched[0]
        local.add_caller(
            "first",
            credentials=Credentials(old.access_key, old.secret_key, old.token, time.time() - 60),
        )
        local.add_caller("second", credentials=fetched[1])
        provider.get()
        provider._fetched_at -= 3600
        with serve(local) as lattice, driver.client(auth) as call:
            for _ in range(2):
                assert call("GET", lattice.url + "/").status == 200
            assert outcomes(lattice) == [False, True, True]

    def test_fresh_ones_are_not(self, driver):
        fetches = []

        def fetch() -> Credentials:
            fetches.append(1)
            return canary.credentials()

        auth = driver.auth(region=REGION, credentials=RefreshingCredentials(fetch))
        local = LocalLattice(region=REGION)
        local.add_service("orders")
        ours = canary.credentials()
        local.add_caller(
            "first",
            credentials=Credentials(ours.access_key, ours.secret_key, ours.token, time.time() - 60),
        )
        with serve(local) as lattice, driver.client(auth) as call:
            for _ in range(3):
                assert call("GET", lattice.url + "/").status == 403
            assert outcomes(lattice) == [False] * 3
        assert len(fetches) == 1

    def test_the_environments_are_read_again(self, monkeypatch):
        def say(credentials: Credentials) -> None:
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
            monkeypatch.setenv("AWS_SESSION_TOKEN", credentials.token)

        provider = EnvironmentCredentials()
        say(canary.credentials("ASIAFIRST"))
        first = provider.get()
        assert not provider.refused(first)
        say(canary.credentials("ASIASECOND"))
        assert provider.refused(first)
        assert provider.peek().access_key == "ASIASECOND"


class TestBodies:
    def test_what_cannot_be_sent_again_is_not(self, driver, clock):
        clock.ahead = 600
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with running(clock) as lattice, driver.client(auth) as call:
            assert call("POST", lattice.url + "/", body=STREAM).status == 403
            # But what was learned serves the next call.
            assert call("POST", lattice.url + "/", body=STREAM).status == 200
            assert outcomes(lattice) == [False, True]

    def test_the_answer_stays_readable(self, driver):
        """Looking for a remedy reads a refusal; whoever gets it reads it too."""
        auth = driver.auth(region="eu-west-1", credentials=canary.credentials())
        with running() as lattice, driver.client(auth) as call:
            answer = call("GET", lattice.url + "/")
        assert answer.status == 403
        assert "scoped" in answer.text

    def test_a_file_is_sent_again(self, driver, clock, tmp_path):
        if "httpx" in driver.name and "async" in driver.name:
            pytest.skip("asynchronous httpx takes no files")
        clock.ahead = 600
        path = tmp_path / "upload"
        path.write_bytes(b"0123456789" * 5000)
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with (
            running(clock) as lattice,
            driver.client(auth) as call,
            path.open("rb") as file,
        ):
            answer = call("POST", lattice.url + "/", body=file)
        if "aiohttp" in driver.name and answer.status == 403:
            pytest.skip("this aiohttp does not send a file twice")
        assert answer.status == 200


def test_it_is_logged_once(clock, caplog):
    clock.ahead = 600
    auth = LatticeAuth(region=REGION, credentials=canary.credentials())
    driver = DRIVERS[0]
    with (
        caplog.at_level(logging.WARNING, "lattice_client.auth"),
        running(clock) as lattice,
        driver.client(auth) as call,
    ):
        call("GET", lattice.url + "/")
        clock.ahead = 1200
        call("GET", lattice.url + "/")
    messages = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert len(messages) == 1
    assert "-600 s off" in messages[0] or "-599 s off" in messages[0]


def test_other_services_paths_are_certain():
    """Only of VPC Lattice is it unknown how it reads paths."""
    from lattice_client import SigV4Auth

    auth = SigV4Auth("execute-api", region=REGION, credentials=canary.credentials())
    local = LocalLattice(region=REGION, service="execute-api", path_encoding="single")
    local.add_service("orders")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as lattice, DRIVERS[0].client(auth) as call:
        assert call("GET", lattice.url + "/a%20b").status == 403
        assert len(lattice.requests) == 1


def test_what_has_no_remedy_is_explained_in_the_log_once(driver, caplog):
    auth = driver.auth(region="eu-west-1", credentials=canary.credentials())
    with (
        caplog.at_level(logging.WARNING, "lattice_client.denial"),
        running() as lattice,
        driver.client(auth) as call,
    ):
        for _ in range(3):
            assert call("GET", lattice.url + "/").status == 403
    records = [each for each in caplog.records if each.name == "lattice_client.denial"]
    (message,) = [record.getMessage() for record in records]
    assert "403" in message
    assert lattice.url.partition("://")[2] in message
    assert "region=" in message


def test_a_redirect_after_a_remedy_gives_nothing_away(driver):
    if driver in HOOKS and "httpx" in driver.name:
        pytest.skip("httpx gives its hooks no say in redirects")
    late = formatdate(time.time() + 600, usegmt=True)
    body = b"InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than ..."
    refusal = b"HTTP/1.1 403 No\r\nDate: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        late.encode(), len(body), body
    )  # fmt: skip
    with raw_server() as stranger:
        answers = [refusal, redirect_to(f"{stranger.url}/")]
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with raw_server(lambda _: answers.pop(0)) as home, driver.client(auth) as call:
            assert call("GET", home.url, redirects=True).status == 200
    assert len(home.requests) == 2
    assert not stranger.requests[0].signed
