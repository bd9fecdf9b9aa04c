"""Signatures in the query string: their bounds, their payload, and what they replace."""

from __future__ import annotations

import pytest

from lattice_client import Credentials, InvalidHeaderError, SigningError
from lattice_client.signing import EMPTY_PAYLOAD, SigV4ASigner, SigV4Signer, presign
from lattice_client.signing.presign import DEFAULT_EXPIRES, MAX_EXPIRES, without_signature

HOST = "orders.example.com"
NOW = 1_440_938_160
CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "token")
HASH = "0123456789abcdef" * 4


@pytest.fixture
def signer() -> SigV4Signer:
    return SigV4Signer(CREDENTIALS, "eu-west-1")


def parameters(target: str) -> dict[str, str]:
    return dict(piece.split("=", 1) for piece in target.partition("?")[2].split("&"))


@pytest.mark.parametrize("expires", [1, 2, MAX_EXPIRES])
def test_a_signature_holds_for_whole_seconds(signer, expires):
    signed = presign(signer, "GET", HOST, "/", expires=expires, now=NOW)
    assert parameters(signed.target)["X-Amz-Expires"] == str(expires)


def test_five_minutes_are_the_default(signer):
    assert DEFAULT_EXPIRES == 300
    assert parameters(presign(signer, "GET", HOST, "/").target)["X-Amz-Expires"] == "300"


@pytest.mark.parametrize("expires", [0, -1, MAX_EXPIRES + 1, 1.5, 300.0, True, "300", None])
def test_no_other_time_is_taken(signer, expires):
    with pytest.raises(SigningError, match="expires") as caught:
        presign(signer, "GET", HOST, "/", expires=expires)
    assert repr(expires) in str(caught.value)


def test_lattice_gets_its_payload_header(signer):
    signed = presign(signer, "GET", HOST, "/", now=NOW)
    assert signed.headers == {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert signed.canonical_request.endswith("\nUNSIGNED-PAYLOAD")
    assert parameters(signed.target)["X-Amz-SignedHeaders"] == "host%3Bx-amz-content-sha256"


def test_a_payload_of_ones_own_is_signed_and_sent(signer):
    signed = presign(signer, "PUT", HOST, "/", payload_hash=HASH, now=NOW)
    assert signed.headers == {"x-amz-content-sha256": HASH}
    assert signed.canonical_request.endswith(f"\n{HASH}")


def test_other_services_want_no_header_but_for_an_unsigned_payload():
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", "execute-api")
    signed = presign(signer, "GET", HOST, "/", now=NOW)
    assert (signed.headers, signed.canonical_request[-64:]) == ({}, EMPTY_PAYLOAD)
    unsigned = presign(signer, "GET", HOST, "/", payload_hash="UNSIGNED-PAYLOAD", now=NOW)
    assert unsigned.headers == {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}


@pytest.mark.parametrize("service", ["s3", "s3-object-lambda", "s3-outposts", "s3express"])
def test_links_to_objects_send_no_header(service):
    signer = SigV4Signer(CREDENTIALS, "eu-west-1", service)
    signed = presign(signer, "GET", HOST, "/key", now=NOW)
    assert signed.headers == {}
    assert signed.canonical_request.endswith("\nhost\nUNSIGNED-PAYLOAD")


@pytest.mark.parametrize("service", ["s3", "s3-object-lambda", "s3-outposts", "s3express"])
@pytest.mark.parametrize("signer_kind", [SigV4Signer, SigV4ASigner])
@pytest.mark.parametrize("payload", [HASH, EMPTY_PAYLOAD, "UNSIGNED-PAYLOAD", None])
def test_no_payload_is_signed_in_a_link_to_an_object(service, signer_kind, payload):
    """S3 API Reference, "Authenticating Requests: Using Query Parameters"."""
    signer = signer_kind(CREDENTIALS, "eu-west-1", service)
    signed = presign(signer, "PUT", HOST, "/key", payload_hash=payload, now=NOW)
    assert signed.headers == {}
    assert signed.canonical_request.endswith("\nhost\nUNSIGNED-PAYLOAD")


def test_what_is_no_hash_is_refused_in_a_link_to_an_object_too():
    with pytest.raises(SigningError, match="payload_hash"):
        presign(SigV4Signer(CREDENTIALS, "eu-west-1", "s3"), "PUT", HOST, "/", payload_hash="abc")


def test_the_request_is_checked(signer):
    with pytest.raises(InvalidHeaderError, match="method"):
        presign(signer, "GET /", HOST, "/")
    with pytest.raises(InvalidHeaderError, match="Host"):
        presign(signer, "GET", "a b", "/")
    with pytest.raises(InvalidHeaderError, match="'/'"):
        presign(signer, "GET", HOST, "orders")
    with pytest.raises(SigningError, match="payload_hash"):
        presign(signer, "GET", HOST, "/", payload_hash="")


def test_no_headers_may_be_none(signer):
    plain = presign(signer, "GET", HOST, "/", now=NOW)
    assert presign(signer, "GET", HOST, "/", None, now=NOW).target == plain.target


def test_headers_of_its_own_are_signed(signer):
    signed = presign(signer, "GET", HOST, "/", {"X-Amz-Meta-A": "1", "accept": "*/*"}, now=NOW)
    assert "\nx-amz-meta-a:1\n" in signed.canonical_request
    assert "accept" not in signed.canonical_request


@pytest.mark.parametrize(
    ("target", "before"),
    [
        ("/", "/?"),
        ("/?", "/?"),
        ("/?a", "/?a&"),
        ("/?a&", "/?a&"),
        ("/orders?a=1", "/orders?a=1&"),
        ("/orders??", "/orders??&"),
        ("/orders?X-Amz-Date=1", "/orders?"),
    ],
)
def test_its_parameters_follow_the_others(signer, target, before):
    signed = presign(signer, "GET", HOST, target, now=NOW)
    assert signed.target.startswith(f"{before}X-Amz-Algorithm=")


@pytest.mark.parametrize("target", ["/", "/orders", "/orders?a=1&b=%20", "/orders?q", "/??"])
def test_an_earlier_signature_is_replaced(signer, target):
    first = presign(signer, "GET", HOST, target, now=NOW)
    later = presign(signer, "GET", HOST, target, now=NOW + 60, expires=60)
    assert later.target != first.target
    again = presign(signer, "GET", HOST, first.target, now=NOW + 60, expires=60)
    assert again.target == later.target
    assert without_signature(first.target) == target


def test_that_of_another_algorithm_is_replaced_too(signer):
    asymmetric = SigV4ASigner(CREDENTIALS, "*")
    assert parameters(presign(asymmetric, "GET", HOST, "/").target)["X-Amz-Region-Set"] == "%2A"
    mixed = presign(signer, "GET", HOST, presign(asymmetric, "GET", HOST, "/").target, now=NOW)
    assert mixed.target == presign(signer, "GET", HOST, "/", now=NOW).target


@pytest.mark.parametrize(
    "target", ["/", "/orders?", "/X-Amz-Date=1?a=b", "/?X-Amz-Own=1", "/?x-amz-date=1", "/?&&a"]
)
def test_what_is_no_signature_stays(target):
    assert without_signature(target) == target


def test_no_signature_or_token_in_the_repr(signer):
    signed = presign(signer, "GET", HOST, "/orders?a=1", now=NOW)
    assert repr(signed) == "Presigned(target='/orders?…')"
