"""What the signers promise besides correct signatures: headers, time, bad input, bounded memory."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from lattice_client import (
    ConfigurationError,
    Credentials,
    InvalidHeaderError,
    RegionError,
    SigningError,
)
from lattice_client.signing import (
    EMPTY_PAYLOAD,
    SIGNATURE_HEADERS,
    SigV4ASigner,
    SigV4Signer,
    presign,
)
from lattice_client.signing.validation import NEVER_SIGNED
from lattice_client.testing import Verifier, WireRequest

HOST = "orders.example.com"
NOW = 1_440_938_160.5
CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "token")


@pytest.fixture
def signer() -> SigV4Signer:
    return SigV4Signer(CREDENTIALS, "eu-west-1")


def signed_headers(headers: dict[str, str]) -> str:
    return headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0]


def test_lattice_gets_an_unsigned_payload_that_is_signed(signer):
    headers = signer.sign("POST", HOST, "/", now=NOW)
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["x-amz-security-token"] == "token"
    assert signed_headers(headers) == "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"


def test_an_empty_token_is_neither_sent_nor_signed():
    headers = SigV4Signer(Credentials("AKIDEXAMPLE", "secret", ""), "eu-west-1").sign(
        "GET", HOST, "/"
    )
    assert "x-amz-security-token" not in headers
    assert signed_headers(headers) == "host;x-amz-content-sha256;x-amz-date"


def test_the_answer_is_the_callers_own(signer):
    first = signer.sign("GET", HOST, "/", now=NOW)
    first.clear()
    assert signer.sign("GET", HOST, "/", now=NOW)


def test_x_amz_headers_and_those_asked_for_are_signed_and_no_others():
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", signed_headers=["Content-Type", "x-absent"])
    headers = signer.sign(
        "GET",
        HOST,
        "/",
        {"X-Amz-Meta-Kind": "a", "content-type": "text/plain", "traceparent": "00-1", "x-own": "1"},
        now=NOW,
    )
    assert signed_headers(headers) == (
        "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-kind;x-amz-security-token"
    )


def test_headers_may_be_a_mapping_or_any_pairs(signer):
    pairs = [("X-Amz-Meta-B", " b  c "), ("accept", "*/*"), ("x-amz-meta-a", "1")]
    expected = signer.sign("GET", HOST, "/", pairs, now=NOW)
    assert "x-amz-meta-a;x-amz-meta-b" in expected["Authorization"]
    for form in (dict(pairs), tuple(pairs), iter(pairs), (pair for pair in pairs)):
        assert signer.sign("GET", HOST, "/", form, now=NOW) == expected


def test_headers_that_are_not_signed_change_nothing(signer):
    plain = signer.sign("GET", HOST, "/", now=NOW)
    assert signer.sign("GET", HOST, "/", {"accept": "*/*"}, now=NOW) == plain
    unsigned = signer.sign("GET", HOST, "/", payload_hash="UNSIGNED-PAYLOAD", now=NOW)
    assert unsigned == plain


# Those of the design and of the signers that AWS ships; a name taken off the list fails here.
@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "baggage",
        "Connection",
        "Expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "TE",
        "trace-context",
        "traceparent",
        "tracestate",
        "trailer",
        "Transfer-Encoding",
        "upgrade",
        "User-Agent",
        "X-Amzn-Trace-Id",
    ],
)
def test_what_others_change_cannot_be_signed(name):
    with pytest.raises(ConfigurationError, match=f"{name.lower()}' cannot be signed: "):
        SigV4Signer(CREDENTIALS, "eu-west-1", signed_headers=["x-own", name])


def test_the_list_of_those_is_whole():
    assert len(NEVER_SIGNED) == 17


def test_what_an_earlier_signature_left_is_replaced(signer):
    stale = signer.sign("GET", HOST, "/", now=NOW)
    assert signer.sign("GET", HOST, "/", stale, now=NOW + 5) == signer.sign(
        "GET", HOST, "/", now=NOW + 5
    )


def test_other_services_sign_the_payload_and_send_its_hash_only_where_it_is_wanted():
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", "execute-api")
    assert signer.canonical_request("GET", HOST, "/", now=NOW).endswith("\n" + EMPTY_PAYLOAD)
    assert "x-amz-content-sha256" not in signer.sign("GET", HOST, "/", now=NOW)
    unsigned = signer.sign("GET", HOST, "/", payload_hash="UNSIGNED-PAYLOAD", now=NOW)
    assert unsigned["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize(
    ("service", "path_encoding"),
    [
        ("aoss", "double"),
        ("glacier", "double"),
        ("s3", "single"),
        ("s3-object-lambda", "single"),
        ("s3-outposts", "single"),
        ("s3express", "single"),
    ],
)
def test_services_that_are_sent_the_hash_of_the_payload(service, path_encoding):
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", service)
    headers = signer.sign("GET", HOST, "/", now=NOW)
    assert headers["x-amz-content-sha256"] == EMPTY_PAYLOAD
    assert "x-amz-content-sha256" in signed_headers(headers)
    assert signer.path_encoding == path_encoding


def test_the_hash_of_the_payload_is_sent_where_it_is_to_be_signed():
    names = ["X-Amz-Content-SHA256"]
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", "execute-api", signed_headers=names)
    assert signer.sign("GET", HOST, "/", now=NOW)["x-amz-content-sha256"] == EMPTY_PAYLOAD


def test_the_headers_of_a_signature_have_one_spelling(signer):
    names = {"Authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
    assert set(signer.sign("GET", HOST, "/")) == names
    asymmetric = SigV4ASigner(CREDENTIALS, "*").sign("GET", HOST, "/")
    assert set(asymmetric) == names | {"x-amz-region-set"}
    assert {name for name in asymmetric if name != "Authorization"} == SIGNATURE_HEADERS


def test_time_is_seconds_or_an_aware_datetime(signer):
    moment = datetime.fromtimestamp(NOW, UTC)
    assert signer.sign("GET", HOST, "/", now=moment) == signer.sign("GET", HOST, "/", now=NOW)
    with pytest.raises(SigningError, match="time zone"):
        signer.sign("GET", HOST, "/", now=datetime(2026, 1, 1))  # noqa: DTZ001
    for senseless in (float("nan"), float("inf"), 1e30):
        with pytest.raises(SigningError, match="no time"):
            signer.sign("GET", HOST, "/", now=senseless)


def test_a_clock_that_steps_back_is_followed(signer):
    dates = [
        signer.sign("GET", HOST, "/", now=now)["x-amz-date"] for now in (NOW, NOW + 60, NOW, 0)
    ]
    assert dates == ["20150830T123600Z", "20150830T123700Z", "20150830T123600Z", "19700101T000000Z"]


@pytest.mark.parametrize(
    ("path_encoding", "canonical"),
    [("double", "/a%2520b/c"), ("double-raw", "/a%2520b//c"), ("single", "/a%20b//c")],
)
@pytest.mark.parametrize("kind", [SigV4Signer, SigV4ASigner])
def test_the_forms_of_a_path(kind, path_encoding, canonical):
    signer = kind(CREDENTIALS, "eu-west-1", path_encoding=path_encoding)
    request = signer.canonical_request("GET", HOST, "/a%20b//c?x=1")
    assert request.splitlines()[:3] == ["GET", canonical, "x=1"]


@pytest.mark.parametrize("path_encoding", ["double", "double-raw", "single"])
def test_links_have_the_form_of_their_signer(path_encoding):
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", path_encoding=path_encoding)
    signed = presign(signer, "GET", HOST, "/a%20b//c", now=NOW)
    path, _, query = signed.target.partition("?")
    headers = (
        (b"host", HOST.encode()),
        *((k.encode(), v.encode()) for k, v in signed.headers.items()),
    )
    verifier = Verifier(
        lambda _: CREDENTIALS,
        region="eu-west-1",
        clock=lambda: NOW,
        path_encoding=path_encoding,
    )
    assert verifier.verify(WireRequest("GET", path.encode(), query.encode(), headers))


@pytest.mark.parametrize("bad", ["\r", "\n", "\0", "\r\nX-Evil: 1"])
class TestLineBreaks:
    """None of them reaches the wire, and no message repeats what may be a secret."""

    def test_in_the_method(self, signer, bad):
        with pytest.raises(InvalidHeaderError, match="method"):
            signer.sign(f"GET{bad}", HOST, "/")

    def test_in_the_host(self, signer, bad):
        with pytest.raises(InvalidHeaderError, match="Host"):
            signer.sign("GET", f"{HOST}{bad}", "/")

    @pytest.mark.parametrize(
        "options", [{}, {"path_encoding": "double-raw"}, {"path_encoding": "single"}]
    )
    def test_in_the_target(self, options, bad):
        signer = SigV4Signer(CREDENTIALS, "eu-west-1", **options)
        for target in (f"/{bad}", f"/?a={bad}"):
            with pytest.raises(InvalidHeaderError, match="target"):
                signer.sign("GET", HOST, target)

    def test_in_a_header(self, signer, bad):
        with pytest.raises(InvalidHeaderError, match="x-amz-meta") as caught:
            signer.sign("GET", HOST, "/", {"x-amz-meta": f"canary{bad}"})
        assert "canary" not in str(caught.value)

    def test_in_a_header_name(self, signer, bad):
        with pytest.raises(InvalidHeaderError, match="header name"):
            signer.sign("GET", HOST, "/", {f"x-amz-{bad}": "1"})

    def test_in_the_credentials(self, bad):
        for field in ("access_key", "secret_key", "token"):
            parts = {"access_key": "AKID", "secret_key": "canary", "token": "canary"}
            parts[field] = "canary" + bad
            with pytest.raises(ValueError, match=field) as caught:
                Credentials(**parts)
            assert "canary" not in str(caught.value)

    def test_in_the_payload_hash(self, signer, bad):
        with pytest.raises(SigningError, match="payload_hash"):
            signer.sign("GET", HOST, "/", payload_hash=f"UNSIGNED-PAYLOAD{bad}")


@pytest.mark.parametrize("host", ["", "a b", "a/b", "user@host", "host:port", "[::1", "a\tb"])
def test_hosts_that_cannot_be(signer, host):
    with pytest.raises(InvalidHeaderError, match="Host"):
        signer.sign("GET", host, "/")


@pytest.mark.parametrize("host", ["a", "a:1", "a.b.", "127.0.0.1:80", "[::1]", "[fd00::1]:8080"])
def test_hosts_that_can(signer, host):
    assert signer.sign("GET", host, "/")


def test_a_non_ascii_host_is_told_its_idna_form(signer):
    with pytest.raises(InvalidHeaderError, match=r"xn--bcher-kva\.example"):
        signer.sign("GET", "bücher.example", "/")


@pytest.mark.parametrize("target", ["", "orders", "?a=1", "http://a/", "*"])
def test_a_target_begins_with_a_slash(signer, target):
    with pytest.raises(InvalidHeaderError, match="'/'"):
        signer.sign("GET", HOST, target)


def test_half_a_surrogate_pair_is_refused(signer):
    with pytest.raises(InvalidHeaderError, match="surrogate"):
        signer.sign("GET", HOST, "/\ud800")


def test_a_header_that_no_wire_can_carry_is_refused(signer):
    with pytest.raises(InvalidHeaderError, match="x-amz-meta"):
        signer.sign("GET", HOST, "/", {"x-amz-meta": "日本"})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"region": ""}, RegionError),
        ({"region": "eu-west-\uff11"}, RegionError),  # a digit, but none of ASCII
        ({"region": "eu west"}, ConfigurationError),
        ({"service": ""}, ConfigurationError),
        ({"service": "a/b"}, ConfigurationError),
        ({"path_encoding": "triple"}, ConfigurationError),
        ({"normalization": "some"}, ConfigurationError),
        ({"signed_headers": "content-type"}, ConfigurationError),
    ],
)
def test_arguments_that_cannot_work(arguments, error):
    with pytest.raises(error):
        SigV4Signer(CREDENTIALS, **{"region": "eu-west-1", **arguments})


def test_no_secret_in_a_repr(signer):
    signer.sign("GET", HOST, "/")
    for value in (signer, CREDENTIALS):
        assert "secret'" not in repr(value)
        assert "token'" not in repr(value)
    assert "eu-west-1" in repr(signer)


def test_what_is_constant_for_a_second_is_made_once(signer):
    stamps = []
    for now in (NOW, NOW + 0.4, NOW - 0.4, NOW + 0.5):
        signer.sign("GET", HOST, "/", now=now)
        stamps.append(signer._context)
    assert stamps[0] is stamps[1] is stamps[2]
    assert stamps[3] is not stamps[0]


def test_what_a_signer_remembers_is_bounded(signer):
    for i in range(1000):
        signer.sign("GET", f"host{i}.example.com", f"/{i}", now=NOW)
    remembered = [value for value in vars(signer).values() if isinstance(value, frozenset | dict)]
    assert max(map(len, remembered)) <= 32


@pytest.mark.parametrize("names", [["host"], ["Host", "content-type"]])
@pytest.mark.parametrize("make", [SigV4Signer, SigV4ASigner])
def test_the_host_that_is_signed_is_the_argument(make, names):
    """It is always signed. A header of that name in ``headers`` is not what is sent."""
    signer = make(CREDENTIALS, "eu-west-1", signed_headers=names)
    plain = make(CREDENTIALS, "eu-west-1", signed_headers=names[1:])
    headers = {"Host": "other.example.com", "HOST": "another.example.com", "Accept": "*/*"}
    request = signer.canonical_request("GET", HOST, "/", headers, now=NOW)
    assert request == plain.canonical_request("GET", HOST, "/", now=NOW)
    assert request.count("host:") == 1
    assert f"\nhost:{HOST}\n" in request
    assert signed_headers(signer.sign("GET", HOST, "/", headers, now=NOW)).startswith("host;x-amz-")
    in_query = presign(signer, "GET", HOST, "/", headers, now=NOW).canonical_request
    assert in_query == presign(plain, "GET", HOST, "/", now=NOW).canonical_request


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("cryptography", "MissingExtraError"),
        # It is installed but broken: another extra would not help.
        ("cryptography.hazmat.primitives.asymmetric", "ModuleNotFoundError"),
    ],
)
def test_without_what_sigv4a_needs(missing, told):
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
from lattice_client import Credentials
from lattice_client.signing import SigV4ASigner
try:
    SigV4ASigner(Credentials("AKIDEXAMPLEAKIDEXAMP", "secret"), "*").sign("GET", "a.example", "/")
except ImportError as error:
    print(type(error).__name__)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [told]


def test_the_hash_of_an_empty_payload():
    assert sha256(b"").hexdigest() == EMPTY_PAYLOAD
