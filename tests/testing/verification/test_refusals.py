"""Each refusal, with the text that the caller reads."""

import re
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from lattice_client.credentials import Credentials
from lattice_client.testing import RefusedError, WireRequest
from lattice_client.testing.verification.signature import is_signed
from support.local_oracles import (
    CREDENTIALS,
    HOST,
    LONG_TERM,
    NOW,
    crt_sign,
    hand_sign,
    header,
    replace_header,
    verifier,
    wire,
)

MISMATCH = (
    "InvalidSignatureException: The request signature we calculated does not match the signature "
    "you provided. Check your AWS Secret Access Key and signing method. Consult the service "
    "documentation for details."
)
UNRECOGNIZED = "UnrecognizedClientException: The security token included in the request is invalid."
LATER = NOW + 3600
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def refusal(request, **settings):
    with pytest.raises(RefusedError) as caught:
        verifier(**settings).verify(request)
    assert caught.value.status == 403
    assert str(caught.value) == caught.value.text
    return caught.value.text


def edit_authorization(old, new, request=None):
    request = request or crt_sign()
    authorization = header(request, "authorization").decode()
    assert old in authorization
    changed = authorization.replace(old, new)
    return replace_header(request, "authorization", changed.encode())


def edit_query(pattern, new, request=None):
    request = request or crt_sign(placement="query")
    changed, count = re.subn(pattern.encode(), new.encode(), request.query)
    assert count
    return WireRequest(request.method, request.path, changed, request.headers)


# The payload


def test_content_sha256_not_sent():
    request = hand_sign(path="/", headers={"x-amz-content-sha256": None})
    expected = "Missing the 'x-amz-content-sha256' in canonical headers"
    assert refusal(request) == f"IncompleteSignatureException: {expected}"


def test_content_sha256_not_signed():
    request = hand_sign(path="/", headers={"x-amz-content-sha256": None})
    request = replace_header(request, "x-amz-content-sha256", b"UNSIGNED-PAYLOAD")
    expected = "Missing the 'x-amz-content-sha256' in canonical headers"
    assert refusal(request) == f"IncompleteSignatureException: {expected}"


def test_content_sha256_not_sent_with_a_presigned_target():
    request = replace_header(crt_sign(placement="query"), "x-amz-content-sha256")
    expected = "Missing the 'x-amz-content-sha256' in canonical headers"
    assert refusal(request) == f"IncompleteSignatureException: {expected}"


def test_signed_payload():
    request = crt_sign(payload="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    assert refusal(request) == "InvalidSignatureException: Signed payloads are not supported"


# What must be signed


def test_host_not_signed():
    request = hand_sign(path="/", headers={"host": None})
    request = replace_header(request, "host", HOST.encode())
    assert refusal(request) == (
        "IncompleteSignatureException: 'Host' or ':authority' must be a 'SignedHeader' "
        "in the AWS Authorization."
    )


def test_date_not_signed():
    request = hand_sign(path="/", headers={"x-amz-date": None})
    request = replace_header(request, "x-amz-date", b"20260101T000000Z")
    assert refusal(request) == (
        "IncompleteSignatureException: 'x-amz-date' must be a 'SignedHeader' "
        "in the AWS Authorization."
    )


def test_token_not_signed():
    request = hand_sign(path="/", credentials=CREDENTIALS)
    request = replace_header(request, "x-amz-security-token", CREDENTIALS.token.encode())
    assert refusal(request) == (
        "IncompleteSignatureException: 'x-amz-security-token' must be a 'SignedHeader' "
        "in the AWS Authorization."
    )


def test_other_amazon_header_not_signed():
    request = replace_header(crt_sign(), "x-amz-meta-team", b"a")
    assert "'x-amz-meta-team' must be a 'SignedHeader'" in refusal(request)


def test_amazon_header_beside_a_presigned_target_not_signed():
    request = replace_header(crt_sign(placement="query"), "x-amz-date", b"20260101T000000Z")
    assert "'x-amz-date' must be a 'SignedHeader'" in refusal(request)


def test_signed_header_that_did_not_arrive():
    request = replace_header(crt_sign(headers=[("x-team", "a")]), "x-team")
    assert refusal(request) == MISMATCH


@pytest.mark.parametrize(
    "names", ["Host;x-amz-content-sha256;x-amz-date", "x-amz-date;host", "host;host", "host;"]
)
def test_signed_headers_out_of_form(names):
    request = edit_authorization(
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
        f"SignedHeaders={names};x-amz-content-sha256;x-amz-security-token",
    )
    assert "in lower case, in order, once each" in refusal(request)


# The scope


def test_wrong_region():
    assert refusal(crt_sign(region="eu-west-1")) == (
        "InvalidSignatureException: Credential should be scoped to a valid region: 'us-west-2', "
        "not 'eu-west-1'."
    )


def test_wrong_service():
    request = crt_sign(service="vpc-lattice")
    assert refusal(request) == (
        "InvalidSignatureException: Credential should be scoped to correct service: "
        "'vpc-lattice-svcs', not 'vpc-lattice'."
    )


def test_wrong_terminator():
    assert refusal(hand_sign(path="/", terminator="aws5_request")) == (
        "InvalidSignatureException: Credential should be scoped with a valid terminator: "
        "'aws4_request', not 'aws5_request'."
    )


def test_date_of_another_day_in_the_scope():
    assert refusal(hand_sign(path="/", scope_date="20251231")) == (
        "InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 "
        "version of date from HTTP: '20251231' != '20260101', from '20260101T000000Z'."
    )


@pytest.mark.parametrize("region_set", ["eu-*", "us-west-1,us-east-1", "us-west-?", ",", "us-west"])
def test_region_set_without_this_region(region_set):
    request = crt_sign(algorithm="sigv4a", region=region_set)
    assert refusal(request) == (
        f"InvalidSignatureException: Region set should include a valid region: 'us-west-2', "
        f"got '{region_set}'."
    )


@pytest.mark.parametrize("region_set", ["*", "us-west-2", "us-*", "eu-west-1, us-west-2", "*-2"])
def test_region_set_with_this_region(region_set):
    assert verifier().verify(crt_sign(algorithm="sigv4a", region=region_set))


def test_region_set_missing():
    request = replace_header(crt_sign(algorithm="sigv4a"), "x-amz-region-set")
    assert refusal(request) == (
        "IncompleteSignatureException: AWS4-ECDSA-P256-SHA256 requires existence of "
        "'X-Amz-Region-Set'."
    )


@pytest.mark.parametrize(
    ("algorithm", "scope", "form"),
    [
        ("sigv4", "us-west-2/", "5 slash-delimited elements, e.g. keyid/date/region/service/term."),
        ("sigv4a", "20260101/", "4 slash-delimited elements, e.g. keyid/date/service/term."),
    ],
)
def test_credential_with_an_element_missing(algorithm, scope, form):
    request = edit_authorization(scope, "", crt_sign(algorithm=algorithm))
    assert refusal(request) == f"IncompleteSignatureException: Credential must have exactly {form}"


# The time


def test_signature_expired():
    request = crt_sign(now=NOW)
    assert refusal(request, now=NOW + 10 * 60) == (
        "InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than "
        "20260101T000500Z (20260101T001000Z - 5 min.)"
    )


def test_signature_not_yet_current():
    request = crt_sign(now=NOW + 10 * 60)
    assert refusal(request) == (
        "InvalidSignatureException: Signature not yet current: 20260101T001000Z is still later "
        "than 20260101T000500Z (20260101T000000Z + 5 min.)"
    )


@pytest.mark.parametrize("off", [-300, -299, 0, 299, 300])
def test_clock_may_be_five_minutes_off_either_way(off):
    assert verifier(now=NOW + off).verify(crt_sign())


@pytest.mark.parametrize("off", [-301, 301])
def test_clock_may_not_be_more_than_five_minutes_off(off):
    assert "Signature" in refusal(crt_sign(), now=NOW + off)


def test_presigned_target_holds_for_as_long_as_it_says():
    request = crt_sign(placement="query", expires=3600)
    assert verifier(now=NOW + 3600).verify(request)
    assert refusal(request, now=NOW + 3601) == (
        "InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than "
        "20260101T000001Z (20260101T010001Z - 3600 s.)"
    )


def test_presigned_target_of_the_future():
    request = crt_sign(placement="query", now=NOW + 301, expires=3600)
    assert "Signature not yet current" in refusal(request)
    assert verifier(now=NOW + 1).verify(request)


@pytest.mark.parametrize(
    "seconds", ["0", "604801", "-1", "1e3", "", "99999999999999999999", "\uff11"]
)
def test_presigned_for_too_long_or_for_no_number(seconds):
    request = edit_query("X-Amz-Expires=300", f"X-Amz-Expires={seconds}")
    assert "X-Amz-Expires" in refusal(request)


def test_presigned_for_a_week():
    assert verifier().verify(crt_sign(placement="query", expires=604800))


def test_presigned_for_a_second():
    request = crt_sign(placement="query", expires=1)
    assert verifier().verify(request)
    assert verifier(now=NOW + 1).verify(request)
    assert "Signature expired" in refusal(request, now=NOW + 2)


@pytest.mark.parametrize(
    "date", [b"2026-01-01T00:00:00Z", b"20260230T000000Z", b"20260101T000000", b"20260101T256000Z"]
)
def test_date_out_of_form(date):
    request = replace_header(crt_sign(), "x-amz-date", date)
    assert refusal(request) == (
        "IncompleteSignatureException: Date must be in ISO-8601 'basic format'. "
        f"Got '{date.decode()}'."
    )


# The credentials


def test_unknown_access_key():
    assert refusal(crt_sign(credentials=Credentials("AKIANOBODY", "s"))) == UNRECOGNIZED


def test_wrong_secret():
    stranger = Credentials(CREDENTIALS.access_key, "wrong", CREDENTIALS.token)
    for algorithm in ("sigv4", "sigv4a"):
        for placement in ("header", "query"):
            request = crt_sign(credentials=stranger, algorithm=algorithm, placement=placement)
            assert refusal(request) == MISMATCH


@pytest.mark.parametrize("placement", ["header", "query"])
@pytest.mark.parametrize("token", [None, "another-token"])
def test_token_missing_or_wrong(token, placement):
    sent = Credentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, token)
    assert refusal(crt_sign(credentials=sent, placement=placement)) == UNRECOGNIZED


@pytest.mark.parametrize("placement", ["header", "query"])
def test_a_token_with_long_term_credentials(placement):
    sent = Credentials(LONG_TERM.access_key, LONG_TERM.secret_key, "some-token")
    assert refusal(crt_sign(credentials=sent, placement=placement)) == UNRECOGNIZED


def test_empty_token():
    assert refusal(hand_sign(path="/", headers={"x-amz-security-token": ""})) == UNRECOGNIZED


def test_expired_credentials():
    expired = Credentials(
        CREDENTIALS.access_key,
        CREDENTIALS.secret_key,
        CREDENTIALS.token,
        datetime.fromtimestamp(NOW, UTC),
    )
    request = crt_sign(credentials=expired)
    assert refusal(request, known=[expired]) == (
        "ExpiredTokenException: The security token included in the request is expired"
    )
    assert verifier(now=NOW - 1, known=[expired]).verify(request)


# The signature's own form


def test_no_signature_at_all():
    request = wire("GET", "/", [("host", HOST), ("authorization", "Bearer abc")])
    assert refusal(request) == ("MissingAuthenticationTokenException: Missing Authentication Token")


def test_signature_in_the_header_and_in_the_query():
    signed = crt_sign(placement="query")
    target = f"/?{signed.query.decode()}"
    request = hand_sign(target=target, path="/")
    assert refusal(request) == (
        "InvalidSignatureException: Only one auth mechanism allowed; only the X-Amz-Algorithm "
        "query parameter or the Authorization header should be specified"
    )


def test_two_authorization_headers():
    request = crt_sign()
    request = replace_header(
        request, "authorization", header(request, "authorization"), b"Bearer abc"
    )
    assert "Only one auth mechanism allowed" in refusal(request)


def test_bearer_token_beside_a_presigned_target():
    request = replace_header(crt_sign(placement="query"), "authorization", b"Bearer abc")
    assert verifier().verify(request).placement == "query"


@pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature"])
def test_authorization_with_a_part_missing(part):
    request = edit_authorization(f"{part}=", f"{part}=,X")
    assert refusal(request).startswith("IncompleteSignatureException: ")
    value = re.search(rf"{part}=([^,]*)", header(crt_sign(), "authorization").decode())[1]
    request = edit_authorization(f"{part}={value}", f"{part}=")
    assert refusal(request) == (
        f"IncompleteSignatureException: Authorization header requires '{part}' parameter."
    )


def test_authorization_with_a_part_twice():
    request = edit_authorization("SignedHeaders=", "Credential=a/b/c/d/e, SignedHeaders=")
    assert "once each" in refusal(request)


@pytest.mark.parametrize("algorithm", ["AWS4-HMAC-SHA512", "AWS4-", "AWS4-hmac-sha256"])
def test_unknown_algorithm(algorithm):
    expected = f"IncompleteSignatureException: Unsupported AWS 'algorithm': '{algorithm}'."
    assert refusal(edit_authorization("AWS4-HMAC-SHA256", algorithm)) == expected
    assert refusal(edit_query("AWS4-HMAC-SHA256", algorithm)) == expected


@pytest.mark.parametrize(
    "name",
    [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ],
)
def test_presigned_target_with_a_parameter_missing_or_twice(name):
    request = edit_query(f"&?{name}=[^&]*", "")
    assert refusal(request) == (
        f"IncompleteSignatureException: AWS query-string parameters must include '{name}'. "
        "Re-examine the query-string parameters."
    )
    request = edit_query(f"(&?{name}=[^&]*)", r"\1&\1")
    assert refusal(request) == (
        f"IncompleteSignatureException: Query-string parameter '{name}' is there twice."
    )


@pytest.mark.parametrize("name", ["x-amz-date", "x-amz-security-token"])
def test_header_of_the_signature_twice(name):
    request = crt_sign()
    value = header(request, name)
    request = replace_header(request, name, value, value)
    assert f"Header '{name}' is there more than once." in refusal(request)


def test_date_missing():
    assert "requires existence of 'X-Amz-Date'" in refusal(replace_header(crt_sign(), "x-amz-date"))


@pytest.mark.parametrize("value", ["", "00", "zz", "g" * 64, "é"])
@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
def test_signature_out_of_form(value, algorithm):
    request = crt_sign(algorithm=algorithm)
    signature = header(request, "authorization").decode().rpartition("Signature=")[2]
    text = refusal(edit_authorization(f"Signature={signature}", f"Signature={value}", request))
    assert text == MISMATCH or "requires 'Signature'" in text


@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
def test_signature_in_upper_case(algorithm):
    request = crt_sign(algorithm=algorithm)
    signature = header(request, "authorization").decode().rpartition("Signature=")[2]
    assert refusal(edit_authorization(signature, signature.upper(), request)) == MISMATCH


@pytest.mark.parametrize(
    ("authorization", "query", "signed"),
    [
        (None, "", False),
        ("Bearer abc", "", False),
        ("Basic YTpi", "a=b", False),
        ("AWS4-HMAC-SHA256 Credential=", "", True),
        ("AWS4-SOMETHING-NEW", "", True),
        (None, "X-Amz-Signature=0", True),
        (None, "X%2DAmz-Algorithm=0", True),
        ("Bearer abc", "X-Amz-Credential=", True),
        (None, "X-Amz-Date=20260101T000000Z", False),
    ],
)
def test_what_counts_as_signed(authorization, query, signed):
    headers = [] if authorization is None else [("Authorization", authorization)]
    assert is_signed(wire("GET", f"/?{query}", headers)) is signed


# What refusals and reprs show


def test_mismatch_carries_the_checkpoints_but_does_not_show_them():
    request = replace_header(crt_sign(headers=[("x-team", "a")]), "x-team", b"b")
    with pytest.raises(RefusedError) as caught:
        verifier().verify(request)
    assert "\nx-team:b\n" in caught.value.canonical_request
    assert caught.value.string_to_sign.startswith("AWS4-HMAC-SHA256\n20260101T000000Z\n")
    assert CREDENTIALS.token in caught.value.canonical_request
    assert CREDENTIALS.token not in f"{caught.value!r}{caught.value}"


def test_nothing_shows_a_token_or_a_signature():
    for placement in ("header", "query"):
        request = crt_sign(placement=placement)
        verified = verifier().verify(request)
        for shown in (repr(request), repr(verified)):
            assert CREDENTIALS.token not in shown
            assert "Signature=" not in shown


def with_signature(request, change):
    """The request with its signature, DER in hex, changed."""
    before, _, signature = header(request, "authorization").rpartition(b"=")
    changed = change(bytes.fromhex(signature.decode())).hex().encode()
    return replace_header(request, "authorization", before + b"=" + changed)


def in_ber(der, *, padded=False, long_length=False, trailing=b""):
    """The same two numbers in a form that DER does not allow."""
    r, s = (number.to_bytes(33, "big").lstrip(b"\0") for number in decode_dss_signature(der))
    numbers = b""
    for number in (r, s):
        content = b"\0" * (padded or number[0] >= 0x80) + number
        content = b"\0" + content if padded else content
        numbers += b"\x02" + bytes([len(content)]) + content
    length = b"\x81" if long_length else b""
    return b"\x30" + length + bytes([len(numbers)]) + numbers + trailing


@pytest.mark.parametrize(
    "ber", [{"padded": True}, {"long_length": True}, {"trailing": b"\0"}], ids=list
)
def test_a_sigv4a_signature_has_one_spelling(ber):
    request = crt_sign(algorithm="sigv4a")
    assert verifier().verify(with_signature(request, in_ber))
    with pytest.raises(RefusedError, match="does not match"):
        verifier().verify(with_signature(request, lambda der: in_ber(der, **ber)))


def test_both_halves_of_a_sigv4a_signature_are_accepted():
    """AWS's C runtime makes either, so neither may be refused."""

    def is_high(request):
        der = bytes.fromhex(header(request, "authorization").rpartition(b"=")[2].decode())
        return decode_dss_signature(der)[1] > P256_ORDER // 2

    def other(der):
        r, s = decode_dss_signature(der)
        return encode_dss_signature(r, P256_ORDER - s)

    found = {}
    for number in range(200):  # Each has a chance of about a half.
        request = crt_sign(algorithm="sigv4a", target=f"/{number}")
        found[is_high(request)] = request
        if len(found) > 1:
            break
    assert set(found) == {True, False}
    for request in found.values():
        assert verifier().verify(request)
        assert verifier().verify(with_signature(request, other))


def test_unknown_reading_of_a_plus_sign():
    with pytest.raises(
        ValueError, match="query_plus must be 'either', 'space' or 'plus', not 'both'"
    ):
        verifier(query_plus="both")


def test_unknown_path_encoding():
    with pytest.raises(ValueError, match="'double', 'double-raw' or 'single'"):
        verifier(path_encoding="triple")
