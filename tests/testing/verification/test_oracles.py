"""The verifier accepts other signers' requests, and refuses those changed after signing."""

import functools
import itertools
import string
import time
from contextlib import suppress

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.crt.auth import CrtSigV4AsymAuth
from hypothesis import given, settings
from hypothesis import strategies as st

from lattice_client.testing import RefusedError, Verifier, WireRequest
from lattice_client.testing.verification.canonical import canonical_path
from lattice_client.testing.verification.sigv4a import private_value
from support.local_oracles import (
    CREDENTIALS,
    HOST,
    LONG_TERM,
    NOW,
    REGION,
    SERVICE,
    UNSIGNED,
    crt_sign,
    hand_sign,
    header,
    replace_header,
    verifier,
    wire,
)

TARGETS = [
    "/",
    "/parking",
    "/a/b/c/",
    "/a%20b/%C3%A9",
    "/a//b",
    "/a/./b/../c",
    "/..",
    "/a/.",
    "/colon:at@comma,semi;eq=",
    "/[brackets]",
    "/%zz",
    "/plus+plus",
    "/?",
    "/?a=1&b=2",
    "/?b=2&a=1&a=0",
    "/?a",
    "/?=v",
    "/?a=b=c",
    "/?&&a=1&",
    "/?a+b=c+d",
    "/?a=%2f%41",
    "/?a=/:;@?",
    "/?a-=1&a=2",
    "/?q=%C3%A9&%E2%82%AC=1",
]


@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
@pytest.mark.parametrize("placement", ["header", "query"])
@pytest.mark.parametrize("target", TARGETS)
def test_c_runtime_signature_verifies(target, placement, algorithm):
    request = crt_sign(target=target, placement=placement, algorithm=algorithm)
    verified = verifier().verify(request)
    assert verified.access_key == CREDENTIALS.access_key
    assert verified.placement == placement


@pytest.mark.parametrize("path_encoding", ["double-raw", "single"])
@pytest.mark.parametrize("target", TARGETS)
def test_c_runtime_signature_in_the_other_path_encodings_verifies(target, path_encoding):
    request = crt_sign(target=target, path_encoding=path_encoding)
    assert verifier(path_encoding=path_encoding).verify(request)


@pytest.mark.parametrize(
    ("target", "alike"),
    [
        ("/plain/path", {"double", "double-raw", "single"}),
        ("/a%20b", {"double", "double-raw"}),
        ("/a:b", {"double", "double-raw"}),
        ("/a//b", {"double-raw", "single"}),
        ("/a/./b/../c", {"double-raw", "single"}),
        ("/a%20b//c", set()),
    ],
)
def test_path_encodings_are_told_apart(target, alike):
    encodings = ("double", "double-raw", "single")
    for signed, read in itertools.product(encodings, repeat=2):
        request = crt_sign(target=target, path_encoding=signed)
        if signed == read or {signed, read} <= alike:
            assert verifier(path_encoding=read).verify(request)
        else:
            with pytest.raises(RefusedError, match="does not match"):
                verifier(path_encoding=read).verify(request)


@pytest.mark.parametrize(
    ("raw", "double", "double_raw", "single"),
    [
        (b"", "/", "/", "/"),
        (b"/", "/", "/", "/"),
        (b"a/b", "/a/b", "a/b", "a/b"),
        (b"a//b", "/a/b", "a//b", "a//b"),
        (b"//a", "/a", "//a", "//a"),
        (b"/.", "/", "/.", "/."),
        (b"/.a", "/.a", "/.a", "/.a"),
        (b"/a/../%2e", "/%252e", "/a/../%252e", "/a/../%2e"),
        (b"..", "/", "..", ".."),
    ],
)
def test_canonical_paths(raw, double, double_raw, single):
    assert canonical_path(raw) == canonical_path(raw, "double") == double
    assert canonical_path(raw, "double-raw") == double_raw
    assert canonical_path(raw, "single") == single


@pytest.mark.parametrize("placement", ["header", "query"])
@pytest.mark.parametrize(
    ("query_plus", "accepted"),
    [("either", {"%20", "%2B"}), ("space", {"%20"}), ("plus", {"%2B"})],
)
@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
def test_a_raw_plus_in_a_query(query_plus, accepted, algorithm, placement):
    """A character signed as a space or as a plus sign, and then sent as ``+``."""
    checker = verifier(query_plus=query_plus)
    for signed_as in ("%20", "%2B"):
        target = f"/?a{signed_as}b=c{signed_as}d&a=e"
        signed = crt_sign(target=target, placement=placement, algorithm=algorithm)
        # A query signature itself has escapes: of "/" and ":" and the token's letters.
        sent = signed.query.replace(f"a{signed_as}b=c{signed_as}d".encode(), b"a+b=c+d")
        assert b"a+b=c+d" in sent
        request = WireRequest(signed.method, signed.path, sent, signed.headers)
        if signed_as in accepted:
            assert f"a{signed_as}b=c{signed_as}d" in checker.verify(request).canonical_request
        else:
            with pytest.raises(RefusedError, match="does not match"):
                checker.verify(request)


def test_all_plus_signs_of_a_query_mean_the_same():
    signed = crt_sign(target="/?a=%20&b=%2B")
    with pytest.raises(RefusedError, match="does not match"):
        verifier().verify(WireRequest("GET", b"/", b"a=+&b=+", signed.headers))


def test_the_time_is_looked_up_at_each_call(monkeypatch):
    checker = Verifier({CREDENTIALS.access_key: CREDENTIALS}.get, region=REGION)
    monkeypatch.setattr(time, "time", lambda: NOW)
    assert checker.verify(crt_sign())


def test_an_escaped_plus_sign_is_no_space():
    signed = crt_sign(target="/?a=%20")
    with pytest.raises(RefusedError, match="does not match"):
        verifier().verify(WireRequest("GET", b"/", b"a=%2B", signed.headers))


@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
@pytest.mark.parametrize("placement", ["header", "query"])
def test_credentials_without_a_token_verify(placement, algorithm):
    request = crt_sign(credentials=LONG_TERM, placement=placement, algorithm=algorithm)
    assert verifier().verify(request).access_key == LONG_TERM.access_key


@pytest.mark.parametrize(
    "value", ["a  b", '  "a   b" ', "a\t\tb", "a\x0bb", "\u00e9 \u00a0 x", "", "a,b"]
)
def test_header_values_are_read_as_the_c_runtime_writes_them(value):
    request = crt_sign(headers=[("x-team", value), ("X-Team", "second")])
    assert "x-team" in verifier().verify(request).signed_headers


safe = string.ascii_letters + string.digits + "-._~"
segments = st.text(safe + "!$&'()*+,;=:@[]|^`{}\"<>", max_size=6) | st.sampled_from(
    ["%20", "%2F", "%c3%a9", ".", "..", "", "%25"]
)
paths = st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts))
words = st.text(safe + "+/:;@?!$'()*,", max_size=5) | st.sampled_from(["%20", "%41", "%c3%a9", ""])
queries = st.lists(st.tuples(words, words).map("=".join) | words, max_size=5).map("&".join)
targets = (
    st.tuples(paths, queries)
    .map(lambda parts: "?".join(parts) if parts[1] else parts[0])
    # The C runtime takes text before ":/" for a URL's scheme, and signs the rest.
    .filter(lambda target: ":/" not in target)
)


@settings(max_examples=200)
@given(target=targets, placement=st.sampled_from(["header", "query"]))
def test_any_target_signed_by_the_c_runtime_verifies(target, placement):
    assert verifier().verify(crt_sign(target=target, placement=placement))


def test_a_url_in_the_target():
    """Signed by hand: the C runtime cannot read such a target."""
    path, query = "/go/http%3A/x", "u=http%3A%2F%2Fx%2Fy"
    request = hand_sign(target="/go/http://x?u=http://x/y", path=path, query=query)
    assert verifier().verify(request)


def botocore_request(signer, target, headers=(), method="GET", data=b""):
    aws_request = AWSRequest(method, f"https://{HOST}{target}", headers=dict(headers), data=data)
    signer.add_auth(aws_request)
    prepared = aws_request.prepare()
    target = prepared.url.removeprefix(f"https://{HOST}")
    pairs = {name.lower(): str(value) for name, value in prepared.headers.items()}
    pairs = {name: value for name, value in pairs.items() if name not in ("host", "content-length")}
    return wire(method, target, [("host", HOST), *pairs.items()])


def botocore_credentials():
    return BotocoreCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key, CREDENTIALS.token)


@pytest.fixture
def real_time_verifier():
    """botocore signs with the system's time."""
    return functools.partial(verifier, clock=time.time)


@pytest.mark.parametrize("target", ["/", "/a%20b/c:d", "/a//b/../c", "/?a=1&b=%20", "/?b=2&a=1"])
def test_botocore_signature_verifies(target, real_time_verifier):
    signer = SigV4Auth(botocore_credentials(), SERVICE, REGION)
    request = botocore_request(signer, target, {"x-amz-content-sha256": UNSIGNED})
    assert real_time_verifier().verify(request)


@pytest.mark.parametrize("target", ["/a%20b/c:d", "/a//b/../c"])
def test_botocore_s3_signature_verifies_with_the_path_as_it_is(target, real_time_verifier):
    signer = S3SigV4Auth(botocore_credentials(), "s3", REGION)
    request = botocore_request(signer, target)
    assert real_time_verifier(service="s3", path_encoding="single").verify(request)


@pytest.mark.parametrize("region_set", ["*", "us-west-2", "eu-west-1,us-west-2", "us-*"])
def test_botocore_sigv4a_signature_verifies(region_set, real_time_verifier):
    signer = CrtSigV4AsymAuth(botocore_credentials(), SERVICE, region_set)
    request = botocore_request(signer, "/a?b=c", {"x-amz-content-sha256": UNSIGNED})
    assert real_time_verifier().verify(request)


def test_other_services_may_sign_the_payload(real_time_verifier):
    checker = real_time_verifier(service="execute-api")
    signer = SigV4Auth(botocore_credentials(), "execute-api", REGION)
    request = botocore_request(signer, "/prod", method="POST", data=b"hello")
    assert checker.needs_body(request)
    assert checker.verify(request, b"hello")
    with pytest.raises(RefusedError, match="does not match"):
        checker.verify(request, b"hellO")


def test_other_services_may_send_the_payload_hash(real_time_verifier):
    checker = real_time_verifier(service="aoss")
    signer = CrtSigV4AsymAuth(botocore_credentials(), "aoss", REGION)
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    headers = {"x-amz-content-sha256": digest}
    request = botocore_request(signer, "/", headers, method="POST", data=b"hello")
    assert checker.verify(request, b"hello")
    with pytest.raises(RefusedError, match="'x-amz-content-sha256' header does not match"):
        checker.verify(request, b"hellO")


def test_other_services_may_leave_the_payload_unsigned(real_time_verifier):
    checker = real_time_verifier(service="execute-api")
    signer = SigV4Auth(botocore_credentials(), "execute-api", REGION)
    request = botocore_request(signer, "/", {"x-amz-content-sha256": UNSIGNED})
    assert not checker.needs_body(request)
    assert checker.verify(request)


def test_other_services_presigned(real_time_verifier):
    checker = real_time_verifier(service="sts")
    signer = SigV4QueryAuth(botocore_credentials(), "sts", REGION, expires=60)
    request = botocore_request(signer, "/?Action=GetCallerIdentity")
    assert checker.needs_body(request)
    assert checker.verify(request).placement == "query"


def test_s3_leaves_the_payload_of_a_presigned_url_unsigned(real_time_verifier):
    checker = real_time_verifier(service="s3", path_encoding="single")
    signer = S3SigV4QueryAuth(botocore_credentials(), "s3", REGION, expires=60)
    request = botocore_request(signer, "/key", method="PUT")
    assert not checker.needs_body(request)
    assert checker.verify(request).canonical_request.endswith(UNSIGNED)


def test_s3_takes_the_payload_hash_with_a_signature_in_the_header():
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    headers = {"x-amz-content-sha256": None}
    request = hand_sign(path="/", headers=headers, payload=digest, service="s3")
    checker = verifier(service="s3")
    assert checker.needs_body(request)
    assert checker.verify(request, b"hello")


def test_lattice_never_needs_the_body():
    assert not verifier().needs_body(crt_sign())


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/%zz?a=%zz&b=%", "/%25zz", "a=%25zz&b=%25"),
        ("/a?x=%e", "/a", "x=%25e"),
        ("/a?%=%%41", "/a", "%25=%25A"),
    ],
)
def test_malformed_escapes_are_literal_percents(target, path, query):
    assert verifier().verify(hand_sign(target=target, path=path, query=query))


def test_derivation_knows_the_published_answer():
    value = private_value("AKISORANDOMAASORANDOM", "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom")
    assert f"{value:x}" == "7fd3bd010c0d9c292141c2b77bfbde1042c92e6836fff749d1269ec890fca1bd"


def test_derivation_tries_the_next_counter_where_a_candidate_is_too_large():
    from lattice_client.testing.verification import sigv4a

    class Digest:
        answers = iter([b"\xff" * 32, b"\x01" * 32])

        def digest(self):
            return next(self.answers)

    messages = []

    class Hmac:
        @staticmethod
        def new(_key, message, _digest):
            messages.append(message)
            return Digest()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sigv4a, "hmac", Hmac)
        assert private_value("A", "s") == int.from_bytes(b"\x01" * 32, "big") + 1
    assert [message[-5] for message in messages] == [1, 2]


# Changed on the way


def flips(raw):
    """Every way to flip the lowest bit of one byte."""
    for index in range(len(raw)):
        yield raw[:index] + bytes([raw[index] ^ 1]) + raw[index + 1 :]


def assert_refused(request):
    with pytest.raises(RefusedError):
        verifier().verify(request)


@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
def test_a_flipped_byte_in_a_signed_header_or_the_signature_is_refused(algorithm):
    request = crt_sign("POST", "/a/b?c=d", [("x-amz-meta", "team a")], algorithm=algorithm)
    verified = verifier().verify(request)
    for name in (*verified.signed_headers, "authorization"):
        for changed in flips(header(request, name)):
            assert_refused(replace_header(request, name, changed))


@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
def test_a_flipped_byte_in_a_presigned_target_is_refused(algorithm):
    request = crt_sign("GET", "/a/b?c=d", placement="query", algorithm=algorithm)
    assert verifier().verify(request)
    for query in flips(request.query):
        assert_refused(WireRequest(request.method, request.path, query, request.headers))


def test_a_flipped_byte_in_the_request_line_is_refused():
    request = crt_sign("POST", "/a%2Fb/c?d=e&f=%41")
    for method in flips(b"POST"):
        changed = WireRequest(method.decode(), request.path, request.query, request.headers)
        assert_refused(changed)
    for path in flips(request.path):
        assert_refused(WireRequest(request.method, path, request.query, request.headers))
    for query in flips(request.query):
        assert_refused(WireRequest(request.method, request.path, query, request.headers))


def test_an_added_header_or_parameter_is_refused():
    request = crt_sign(target="/a?b=c", headers=[("x-team", "a")])
    assert_refused(replace_header(request, "x-team", b"a", b"a"))
    assert_refused(replace_header(request, "x-amz-more", b"a"))
    assert_refused(WireRequest("GET", request.path, request.query + b"&b=c", request.headers))
    assert_refused(replace_header(request, "x-team"))


def test_the_order_of_duplicate_headers_counts():
    request = crt_sign(headers=[("x-team", "a"), ("x-team", "b")])
    assert verifier().verify(request)
    assert_refused(replace_header(request, "x-team", b"b", b"a"))


def test_unsigned_headers_may_change():
    request = replace_header(crt_sign(), "x-amzn-trace-id", b"Root=1", b"Root=2")
    assert verifier().verify(request)


names = st.sampled_from(
    [b"Authorization", b"Host", b"X-Amz-Date", b"x-amz-content-sha256", b"x-amz-security-token"]
)
values = st.binary(max_size=60) | st.sampled_from(
    [value for _, value in crt_sign().headers]
    + [b"AWS4-HMAC-SHA256 Credential=a/b/c/d/e,", b"AWS4-"]
)
parameters = st.sampled_from(crt_sign(placement="query").query.split(b"&")) | st.binary(max_size=20)


@settings(max_examples=300)
@given(
    method=st.text(max_size=4),
    path=st.binary(max_size=20),
    query=st.lists(parameters, max_size=8).map(b"&".join),
    headers=st.lists(st.tuples(names | st.binary(max_size=8), values), max_size=8),
)
def test_any_bytes_are_accepted_or_refused_and_nothing_else(method, path, query, headers):
    with suppress(RefusedError):
        verifier().verify(WireRequest(method, path, query, tuple(headers)))
