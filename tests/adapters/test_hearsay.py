"""An answer has a remedy only in the shape of the service's own refusals, in every library."""

from __future__ import annotations

import logging
import pickle
import sys
import threading
import time
from email.utils import formatdate

import pytest

from adapters.drivers import ANSWERING, CLIENTS, DRIVERS, Driver, sigv4_auth
from lattice_client import ConfigurationError, LatticeAuth, RetryPolicy, SigV4Auth
from lattice_client._auth.genuine_refusal import fault_of
from lattice_client._auth.recovery import ALL_REMEDIES, Recovery
from lattice_client._auth.signer_cache import SignerCache
from lattice_client.auth import request_signer
from lattice_client.denial import DenialLog
from lattice_client.signing import LATTICE
from support import canary
from support.raw_server import OK, raw_server

REGION = "us-west-2"
HOUR = 3600.0

CARD = b'{"error":"charged the card; storing the receipt failed: ExpiredToken"}'
SIGN_IN = b"<html><h1>Signature expired. Please sign in again.</h1></html>"
WEBHOOK = b'{"code":"InvalidSignature","message":"webhook HMAC"}'
EXPIRED = b"ExpiredTokenException: The security token included in the request is expired"
LATE = b"InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than ..."
WRONG = b"InvalidSignatureException: The request signature we calculated does not match"


def refusal(body: bytes, content_type: str | None = None, *, off: float = 0.0, more: str = ""):
    """A 403 of a target's own.

    :param off: by how many seconds its Date is off.
    """
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    date = formatdate(time.time() + off, usegmt=True)
    head = f"HTTP/1.1 403 No\r\nDate: {date}\r\n{kind}{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.fixture(params=ANSWERING, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


def once_only(driver: Driver) -> dict[str, object]:
    """A client's settings that rule out every retry; a hook has none."""
    return {"retry": RetryPolicy(attempts=1)} if driver in CLIENTS else {}


TARGETS_OWN = {
    "JSON that mentions a token": (CARD, "application/json", 0.0, ""),
    "HTML, Date off": (SIGN_IN, "text/html; charset=utf-8", -HOUR, ""),
    "JSON that names a signature": (WEBHOOK, "application/json", 0.0, ""),
    "the word in the midst of plain text": (b"failed: " + EXPIRED, "text/plain", 0.0, ""),
    "the word without a colon": (b"ExpiredTokenException", "text/plain", 0.0, ""),
    "the words alone, Date off": (b"Signature expired: no", "text/plain", HOUR, ""),
    "the shape, as HTML": (EXPIRED, "text/html", 0.0, ""),
    "the shape, as JSON": (WRONG, "application/json", 0.0, ""),
    "nothing, Date off": (b"", None, HOUR, ""),
    "another service's header": (b"{}", None, 0.0, "x-amzn-errortype: ExpiredTokenException\r\n"),
    "S3's XML": (b"<Error><Code>ExpiredToken</Code></Error>", "application/xml", 0.0, ""),
    "a policy's words": (b"AccessDeniedException: ExpiredTokenException: no", None, 0.0, ""),
}


@pytest.mark.parametrize("answer", TARGETS_OWN.values(), ids=TARGETS_OWN)
def test_a_targets_own_403_is_sent_once(driver, answer):
    body, content_type, off, more = answer
    provider = Renewable()
    auth = driver.auth(region=REGION, credentials=provider)
    with (
        raw_server(lambda _: refusal(body, content_type, off=off, more=more)) as target,
        driver.client(auth, **once_only(driver)) as call,
    ):
        got = call("POST", target.url + "/charge:card", body=b"{}")
    assert (got.status, got.text) == (403, body.decode())
    assert [each.body for each in target.requests] == [b"{}"]
    assert not provider.told
    assert request_signer(auth)._recovery.clock.offsets == {}


S3_XML = b"<Error><Code>ExpiredToken</Code></Error>"


@pytest.mark.parametrize(
    ("service", "content_type"),
    [
        ("execute-api", "application/xml"),
        ("execute-api", None),
        ("s3", "text/html"),
        ("s3", "text/plain"),
    ],
)
def test_s3s_xml_is_believed_of_s3_alone_and_as_xml_alone(driver, service, content_type):
    provider = Renewable()
    auth = sigv4_auth(driver)(service, region=REGION, credentials=provider)
    with (
        raw_server(lambda _: refusal(S3_XML, content_type)) as target,
        driver.client(auth, **once_only(driver)) as call,
    ):
        got = call("POST", target.url + "/charge", body=b"{}")
    assert (got.status, got.text) == (403, S3_XML.decode())
    assert [each.body for each in target.requests] == [b"{}"]
    assert not provider.told


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8", None])
def test_s3s_own_xml_has_a_remedy(driver, content_type):
    answers = [refusal(S3_XML, content_type), OK]
    auth = sigv4_auth(driver)("s3", region=REGION, credentials=Renewable())
    with raw_server(lambda _: answers.pop(0)) as target, driver.client(auth) as call:
        assert call("POST", target.url + "/charge", body=b"{}").status == 200
    assert len(target.requests) == 2


class Renewable:
    """A provider that has other credentials as soon as the first are refused."""

    def __init__(self) -> None:
        self.held = canary.credentials("ASIAFIRST")
        self.told = 0

    def peek(self):
        return self.held

    get = peek

    def refused(self, _: object) -> bool:
        self.told += 1
        self.held = canary.credentials("ASIASECOND")
        return True


IN_LATTICES_SHAPE = {
    "clock": (LATE, HOUR),
    "credentials": (EXPIRED, 0),
    "path encoding": (WRONG, 0),
}


@pytest.mark.parametrize("content_type", [None, "text/plain", "Text/Plain; charset=utf-8"])
@pytest.mark.parametrize("remedy", ALL_REMEDIES)
def test_lattices_own_shape_has_a_remedy(driver, remedy, content_type):
    body, off = IN_LATTICES_SHAPE[remedy]
    answers = [refusal(body, content_type, off=off), OK]
    auth = driver.auth(region=REGION, credentials=Renewable())
    with raw_server(lambda _: answers.pop(0)) as target, driver.client(auth) as call:
        assert call("POST", target.url + "/charge:card", body=b"{}").status == 200
    assert len(target.requests) == 2


@pytest.mark.parametrize("remedy", ALL_REMEDIES)
@pytest.mark.parametrize("allowed", [(), "the others"])
def test_what_is_switched_off_is_not_done(driver, remedy, allowed):
    others = tuple(one for one in ALL_REMEDIES if one != remedy) if allowed else ()
    body, off = IN_LATTICES_SHAPE[remedy]
    provider = Renewable()
    auth = driver.auth(region=REGION, credentials=provider, remedies=others)
    auth = pickle.loads(pickle.dumps(auth)) if remedy != "credentials" else auth
    with (
        raw_server(lambda _: refusal(body, off=off)) as target,
        driver.client(auth) as call,
    ):
        path = "/charge" if remedy == "clock" else "/charge:card"
        assert call("POST", target.url + path, body=b"{}").status == 403
    assert len(target.requests) == 1
    assert not provider.told


@pytest.mark.parametrize("auth", [LatticeAuth, lambda **more: SigV4Auth("execute-api", **more)])
@pytest.mark.parametrize("wrong", ["clock", ("clocks",), ("clock", "path-encoding"), None, 7, (7,)])
def test_a_wrong_name_is_refused(auth, wrong):
    with pytest.raises(ConfigurationError, match="'clock', 'credentials', 'path encoding'"):
        auth(remedies=wrong)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (ALL_REMEDIES, ALL_REMEDIES),
        (iter(["path encoding", "clock", "clock"]), ("clock", "path encoding")),
        ({"credentials"}, ("credentials",)),
        ([], ()),
    ],
)
def test_any_collection_of_names_will_do(given, kept):
    auth = LatticeAuth(region=REGION, credentials=canary.credentials(), remedies=given)
    assert request_signer(pickle.loads(pickle.dumps(auth)))._recovery._allowed == kept


# --- The shapes -------------------------------------------------------------------------------

API = "execute-api"


@pytest.mark.parametrize(
    ("service", "headers", "body", "fault"),
    [
        (LATTICE, {}, EXPIRED, "expired"),
        (LATTICE, {}, LATE, "clock"),
        (LATTICE, {}, WRONG, "signature"),
        (LATTICE, {}, b" " + EXPIRED, None),
        (LATTICE, {}, b"InvalidSignatureException: Signed payloads are not supported", None),
        (
            LATTICE,
            {},
            b"InvalidSignatureException: Credential should be scoped to a valid region",
            None,
        ),
        (LATTICE, {}, b"IncompleteSignatureException: no date", None),
        (LATTICE, {}, None, None),
        (LATTICE, {}, b"", None),
        (API, {"x-amzn-errortype": "ExpiredTokenException"}, b"{}", "expired"),
        (API, {"x-amzn-errortype": "a.b#ExpiredTokenException:http://x/"}, b"", "expired"),
        (API, {"x-amzn-errortype": "ExpiredTokenException"}, None, None),
        (
            API,
            {"x-amzn-errortype": "InvalidSignatureException"},
            b'{"message":"Signature expired: 2026"}',
            "clock",
        ),
        (API, {"x-amzn-errortype": "InvalidSignatureException"}, b"{}", "signature"),
        (API, {"x-amzn-errortype": "AccessDeniedException"}, EXPIRED[:3], None),
        (API, {"Content-Type": "application/json"}, WEBHOOK, None),
        ("s3", {}, b'<?xml version="1.0"?>\n<Error><Code>RequestTimeTooSkewed</Code>', "clock"),
        ("s3", {}, b"<Error><Code>ExpiredToken</Code>", "expired"),
        ("s3", {}, b"<Error><Code>SignatureDoesNotMatch</Code>", "signature"),
        ("s3", {}, b"<html><Error><Code>ExpiredToken</Code>", None),
        (LATTICE, {"x-amzn-errortype": "ExpiredTokenException"}, b"{}", None),
        (LATTICE, {}, b"<Error><Code>ExpiredToken</Code>", None),
    ],
)
def test_shapes(service, headers, body, fault):
    assert fault_of(service, headers, body) == fault


# --- What is logged ---------------------------------------------------------------------------


def test_a_token_that_comes_back_as_a_request_id_is_not_logged(driver, caplog):
    def echo(request):
        token = request.header("x-amz-security-token")
        return refusal(b"no", more=f"x-amzn-requestid: {token[:500]}\r\n")

    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with (
        caplog.at_level(logging.WARNING, "lattice_client"),
        raw_server(echo) as target,
        driver.client(auth) as call,
    ):
        assert call("GET", target.url).status == 403
    (said,) = [each.getMessage() for each in caplog.records if each.name == "lattice_client.denial"]
    assert "403 from 127.0.0.1" in said
    assert canary.TOKEN[:40] not in said


def test_an_empty_403_with_the_clock_off_is_explained_and_not_sent_again(driver, caplog):
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with (
        caplog.at_level(logging.WARNING, "lattice_client.denial"),
        raw_server(lambda _: refusal(b"", off=HOUR)) as target,
        driver.client(auth) as call,
    ):
        assert call("HEAD", target.url).status == 403
    assert len(target.requests) == 1
    (said,) = [each.getMessage() for each in caplog.records if each.name == "lattice_client.denial"]
    assert "(clock)" in said
    assert "behind the answer's Date" in said


def remedies() -> Recovery:
    provider = Renewable()
    return Recovery(SignerCache(provider, REGION, lambda *_: None))


def test_what_was_told_is_forgotten_beyond_a_bound(caplog):
    told = remedies()
    with caplog.at_level(logging.WARNING, "lattice_client.auth"):
        for number in range(1000):
            told._log_remedy("credentials", f"host-{number}", again=True)
            told._log_remedy("credentials", f"host-{number}", again=True)
    assert len(caplog.records) == 1000
    assert len(told._logged) <= 256


def test_many_threads_tell_at_once():
    told, failed, threads = remedies(), [], 8
    logging.getLogger("lattice_client.auth").setLevel(logging.CRITICAL)

    def tell(thread: int) -> None:
        try:
            for number in range(20_000):
                told._log_remedy("credentials", f"host-{thread}-{number}", again=True)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        running = [threading.Thread(target=tell, args=(one,)) for one in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
        logging.getLogger("lattice_client.auth").setLevel(logging.NOTSET)
    assert not failed
    assert not any(thread.is_alive() for thread in running)


def test_the_log_of_denials_stays_bounded(caplog):
    from lattice_client.denial import Denial

    log = DenialLog(remembered=4)
    with caplog.at_level(logging.CRITICAL, "lattice_client.denial"):
        assert all(log.note(Denial("unknown", 403, "", host=str(n))) for n in range(9))
    assert len(log._seen) == 4


def test_the_hooks_that_see_no_answer_send_once():
    """httpx shows a library-free hook no answer."""
    (driver,) = [one for one in DRIVERS if one.name == "httpx library-free hook"]
    auth = driver.auth(region=REGION, credentials=Renewable())
    with raw_server(lambda _: refusal(EXPIRED)) as target, driver.client(auth) as call:
        assert call("POST", target.url, body=b"{}").status == 403
    assert len(target.requests) == 1
