"""Refusals that have a remedy: one more attempt, then none, in every hook and at both levels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate

import pytest

from adapters.drivers import ANSWERING, DRIVERS, HOOKS, STREAM, Driver, as_written
from lattice_client import Credentials, EnvironmentCredentials, LatticeAuth, RefreshingCredentials
from lattice_client.auth import request_signer
from lattice_client.testing import LocalLattice, RefusedError, Verifier, WireRequest, serve
from support import canary
from support.raw_server import OK, RawRequest, raw_server, redirect_to

REGION = "us-west-2"


@pytest.fixture(params=ANSWERING, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


class Clock:
    """The clock of the local Lattice, ahead of this machine's or behind."""

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
        assert request_signer(auth)._recovery.clock.offsets == {}


LATE = "InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than ..."
WRONG = "InvalidSignatureException: The request signature we calculated does not match"
EXPIRED = "ExpiredTokenException: The security token included in the request is expired"


def refusal(text: str, date: float | None = None) -> bytes:
    """A 403 in Lattice's own shape.

    :param date: the time that it says, in seconds since the epoch; None: none.
    """
    said = "" if date is None else f"Date: {formatdate(date, usegmt=True)}\r\n"
    return f"HTTP/1.1 403 No\r\n{said}Content-Length: {len(text)}\r\n\r\n{text}".encode()


def signed_ahead(request: RawRequest) -> float:
    """By how many seconds a request was signed ahead of this machine's clock."""
    signed = datetime.strptime(request.header("x-amz-date") + "+0000", "%Y%m%dT%H%M%SZ%z")
    return round(signed.timestamp() - time.time(), -2)


class TestClockOfAHost:
    DAYS = 6 * 86_400.0

    def test_is_not_anothers(self, driver):
        with (
            raw_server(lambda _: refusal(LATE, time.time() + self.DAYS)) as wrong,
            raw_server() as right,
            driver.client(driver.auth(region=REGION, credentials=canary.credentials())) as call,
        ):
            assert call("POST", wrong.url, body=b"{}").status == 403
            assert call("POST", right.url, body=b"{}").status == 200
        assert list(map(signed_ahead, wrong.requests)) == [0, self.DAYS]
        assert list(map(signed_ahead, right.requests)) == [0]

    @pytest.mark.parametrize("text", [LATE, WRONG])
    def test_goes_when_it_is_refused_as_well(self, driver, text):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with (
            raw_server(lambda _: refusal(text, time.time() + self.DAYS)) as wrong,
            driver.client(auth) as call,
        ):
            assert call("POST", wrong.url, body=b"{}").status == 403
            assert request_signer(auth)._recovery.clock.offsets == {}
        assert len(wrong.requests) == 2

    @pytest.mark.parametrize("date", ["none", "the same", "right"])
    def test_a_wrong_one_is_unlearned_by_the_next_call(self, driver, date):
        """The client has learned a wrong time before."""
        auth = driver.auth(region=REGION, credentials=canary.credentials())

        def respond(request: RawRequest) -> bytes:
            if not signed_ahead(request):
                return OK
            days = {"none": None, "the same": time.time() + self.DAYS, "right": time.time()}
            return refusal(LATE, days[date])

        with raw_server(respond) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            request_signer(auth)._recovery.clock.learn(
                host, formatdate(time.time() + self.DAYS, usegmt=True)
            )
            assert call("POST", service.url, body=b"{}").status == 200
            assert request_signer(auth)._recovery.clock.offsets == {}
            assert call("POST", service.url, body=b"{}").status == 200
        assert list(map(signed_ahead, service.requests)) == [self.DAYS, 0, 0]

    def test_stays_where_a_policy_denies(self, driver):
        """The signature held, and so did its time."""
        answers = [
            refusal(LATE, time.time() + 600),
            refusal("AccessDeniedException: User: anonymous is not authorized", time.time() + 600),
            OK,
        ]
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with raw_server(lambda _: answers.pop(0)) as service, driver.client(auth) as call:
            assert [call("GET", service.url).status for _ in range(2)] == [403, 200]
        assert list(map(signed_ahead, service.requests)) == [0, 600, 600]

    def test_is_kept_while_forms_of_the_path_are_tried(self, driver):
        answers = [
            refusal(LATE, time.time() + 600),
            refusal(WRONG, time.time() + 600),
            OK,
            OK,
        ]
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with raw_server(lambda _: answers.pop(0)) as service, driver.client(auth) as call:
            assert [call("GET", service.url + "/a%20b").status for _ in range(2)] == [200, 200]
        assert list(map(signed_ahead, service.requests)) == [0, 600, 600, 600]


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
            assert request_signer(auth)._signers.encoding_of(host) == "double"
            # Where both encodings are the same there is nothing to try.
            assert call("GET", lattice.url + "/plain").status == 403
            assert outcomes(lattice) == [False] * 3


FORMS = ("double", "double-raw", "single")


def reads(form: str) -> Callable[[RawRequest], bytes]:
    """A service that reads paths in one form, by the local Lattice's verifier."""
    verifier = Verifier(
        lambda _: canary.credentials(),
        region=REGION,
        path_encoding=form,
    )

    def respond(request: RawRequest) -> bytes:
        path, _, query = request.target.partition(b"?")
        try:
            verifier.verify(WireRequest(request.method, path, query, request.headers))
        except RefusedError as error:
            return refusal(error.text, time.time())
        return OK

    return respond


class TestFormsOfThePath:
    TARGET = "/a%20b//c/%2E./d?x=1"

    @pytest.mark.parametrize("start", FORMS)
    @pytest.mark.parametrize("wanted", FORMS)
    def test_what_is_left_is_tried_one_by_one(self, driver, start, wanted):
        auth = driver.auth(region=REGION, credentials=canary.credentials(), path_encoding=start)
        with raw_server(reads(wanted)) as service, driver.client(auth) as call:
            url = as_written(service.url + self.TARGET, encoded=True)
            url = url if "aiohttp" in driver.name else str(url)
            assert call("POST", url, body=b"{}").status == 200
            tries = len(service.requests)
            # What worked is remembered.
            assert call("POST", url, body=b"{}").status == 200
        assert len(service.requests) == tries + 1
        order = [start, *(form for form in FORMS if form != start)]
        assert tries == 1 + order.index(wanted)

    @pytest.mark.parametrize("start", FORMS)
    def test_where_none_helps_the_host_keeps_what_it_had(self, driver, start):
        auth = driver.auth(region=REGION, credentials=canary.credentials(), path_encoding=start)
        with raw_server(lambda _: refusal(WRONG, time.time())) as service:
            host = service.url.partition("://")[2]
            with driver.client(auth) as call:
                url = as_written(service.url + self.TARGET, encoded=True)
                url = url if "aiohttp" in driver.name else str(url)
                for number in (3, 6):
                    assert call("POST", url, body=b"{}").status == 403
                    assert len(service.requests) == number
                    assert request_signer(auth)._signers.encoding_of(host) == start

    @pytest.mark.parametrize(
        ("path", "attempts"), [("/a/b", 1), ("/a:b", 2), ("/a//b", 2), ("/a:b//c", 3)]
    )
    def test_forms_that_are_the_same_are_not_tried(self, driver, path, attempts):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with (
            raw_server(lambda _: refusal(WRONG, time.time())) as service,
            driver.client(auth) as call,
        ):
            assert call("GET", service.url + path).status == 403
        assert len(service.requests) == attempts

    def test_what_is_ambiguous_is_told_apart_later(self, driver):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with raw_server(reads("single")) as service, driver.client(auth) as call:
            for path, requests in (("/a//b", 2), ("/a:b", 4), ("/a//b", 5), ("/a:b//c", 6)):
                assert call("GET", service.url + path).status == 200
                assert len(service.requests) == requests

    def test_another_calls_finding_is_taken(self, driver):
        """It was made while this call was under way."""
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        answer = reads("single")

        def respond(request: RawRequest) -> bytes:
            request_signer(auth)._signers.set_encoding(host, "single")
            return answer(request)

        with raw_server(respond) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            assert call("GET", service.url + "/a:b//c").status == 200
            assert request_signer(auth)._signers.encoding_of(host) == "single"
        assert len(service.requests) == 2

    def test_a_call_whose_form_others_set_back_ends(self, driver):
        class Provider:
            def peek(self) -> Credentials:
                # As by a call that has found no other form to help, before this one signs again.
                request_signer(auth)._signers.set_encoding(host, "double")
                return credentials

            get = peek

        def respond(_: RawRequest) -> bytes:
            return refusal(WRONG, time.time()) if len(service.requests) < 10 else OK

        host, credentials = "", canary.credentials()
        auth = driver.auth(region=REGION, credentials=Provider())
        with raw_server(respond) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            assert call("GET", service.url + "/a:b//c").status == 403
        assert len(service.requests) <= len(FORMS)


class TestCredentials:
    def test_expired_ones_are_fetched_anew(self, driver, clock):
        """They expire at the service before their expiry here."""
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
        """Looking for a remedy reads a refusal; its caller can still read it."""
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


def logged(caplog) -> list[str]:
    """What was said of remedies."""
    return [each.getMessage() for each in caplog.records if each.name == "lattice_client.auth"]


AGAIN = "refused a request; it is signed and sent again:"


class TestLog:
    """What changes, in words."""

    @pytest.fixture(autouse=True)
    def _at_warning(self, caplog):
        caplog.set_level(logging.WARNING, "lattice_client.auth")

    def test_credentials(self, driver, caplog):
        """And neither the old nor the new ones."""
        given = iter([canary.credentials("ASIAFIRST"), canary.credentials("ASIASECOND")])
        provider = RefreshingCredentials(lambda: next(given))
        provider.get()
        provider._fetched_at -= 3600
        auth = driver.auth(region=REGION, credentials=provider)

        def respond(request: RawRequest) -> bytes:
            return OK if "ASIASECOND" in request.header("authorization") else refusal(EXPIRED)

        with raw_server(respond) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            assert call("GET", service.url).status == 200
        assert logged(caplog) == [
            f"{host} {AGAIN} the credentials have expired there; others were fetched"
        ]

    @pytest.mark.parametrize(("ahead", "off"), [(600, "-600"), (-600, "+600")])
    def test_a_clock(self, driver, caplog, ahead, off, monkeypatch):
        now = float(int(time.time()))
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        monkeypatch.setattr(request_signer(auth)._recovery.clock, "system", lambda: now)
        answers = [refusal(LATE, now + ahead), OK]
        with raw_server(lambda _: answers.pop(0)) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            assert call("GET", service.url).status == 200
        (said,) = logged(caplog)
        assert said == (
            f"{host} {AGAIN} this machine's clock is {off} s off, by the Date of the answer; "
            "set it right"
        )

    def test_a_clock_that_is_right_again(self, driver, caplog):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        answers = [refusal(LATE, time.time()), OK]
        with raw_server(lambda _: answers.pop(0)) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            late = formatdate(time.time() + 600, usegmt=True)
            request_signer(auth)._recovery.clock.learn(host, late)
            assert call("GET", service.url).status == 200
        (said,) = logged(caplog)
        assert said == (
            f"{host} {AGAIN} by this machine's own clock, as the earlier correction is no longer "
            "right"
        )

    def test_each_form_of_the_path(self, driver, caplog):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with raw_server(reads("single")) as service, driver.client(auth) as call:
            host = service.url.partition("://")[2]
            assert call("GET", service.url + "/a:b//c").status == 200
        assert logged(caplog) == [
            f"{host} {AGAIN} its path is taken in the form {form!r} (path_encoding)"
            for form in ("double-raw", "single")
        ]

    def test_a_body_that_cannot_be_sent_again(self, driver, caplog):
        auth = driver.auth(region=REGION, credentials=canary.credentials())
        with (
            raw_server(lambda _: refusal(LATE, time.time() + 600)) as service,
            driver.client(auth) as call,
        ):
            host = service.url.partition("://")[2]
            assert call("POST", service.url, body=STREAM).status == 403
        (said,) = logged(caplog)
        assert said.startswith(
            f"{host} refused a request; its body cannot be sent again, but later ones will do: "
            "this machine's clock is "
        )


def test_other_services_paths_are_certain():
    """How a service reads paths is unknown only for VPC Lattice."""
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
