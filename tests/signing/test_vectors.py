"""AWS's own signing vectors, each as canonical request, string to sign and signature, in the header
form and in the query form, for SigV4 and SigV4A."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from lattice_client import Credentials
from lattice_client.signing import SigV4ASigner, SigV4Signer, presign
from lattice_client.signing.sigv4a import private_key

SUITE = Path(__file__).resolve().parents[3] / "shared" / "aws-signing-test-suite"


def cases(version: str) -> list[Path]:
    # Two folders of the v4a suite hold a request without any expected result.
    found = (SUITE / version).glob("*/header-canonical-request.txt")
    return sorted(path.parent for path in found)


V4, V4A = cases("v4"), cases("v4a")
absent = pytest.mark.skipif(not V4, reason="AWS's signing test suite is not beside the checkout")
pytestmark = absent


def test_there_are_all_of_them():
    assert (len(V4), len(V4A)) == (38, 38)


class Vector(NamedTuple):
    """One folder of the suite, read."""

    path: Path
    context: dict[str, Any]
    arguments: tuple[str, str, str, list[tuple[str, str]]]
    options: dict[str, Any]

    def expected(self, name: str) -> str:
        return (self.path / f"{name}.txt").read_text()

    @property
    def credentials(self) -> Credentials:
        given = self.context["credentials"]
        # "omit": the token is added to the request after it was signed.
        token = None if self.context.get("omit_session_token") else given.get("token")
        return Credentials(given["access_key_id"], given["secret_access_key"], token)

    def signer_options(self, *, sends_payload_hash: bool) -> dict[str, Any]:
        names = [name for name, _ in self.arguments[3]]
        if self.context["sign_body"] and sends_payload_hash:
            names.append("x-amz-content-sha256")
        return {
            "service": self.context["service"],
            "normalization": "rfc3986" if self.context["normalize"] else "none",
            "signed_headers": names,
        }


def read(path: Path) -> Vector:
    context = json.loads((path / "context.json").read_text())
    head, _, body = (path / "request.txt").read_text().replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    method, rest = first.split(" ", 1)
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t"):  # a folded line reads as a space (RFC 9112 section 5.2)
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line}")
        elif line:
            name, _, value = line.partition(":")
            headers.append((name, value))
    host = next(value for name, value in headers if name.lower() == "host").strip()
    options = {
        "payload_hash": hashlib.sha256(body.encode()).hexdigest(),
        "now": datetime.fromisoformat(context["timestamp"]),
    }
    return Vector(path, context, (method, host, rest.rsplit(" ", 1)[0], headers), options)


@pytest.fixture(params=V4, ids=lambda path: path.name)
def v4(request) -> Vector:
    return read(request.param)


@pytest.fixture(params=V4A, ids=lambda path: path.name)
def v4a(request) -> Vector:
    return read(request.param)


def parameter(target: str, name: str) -> str:
    return target.partition(f"{name}=")[2].partition("&")[0]


def test_v4_in_the_headers(v4):
    options = v4.signer_options(sends_payload_hash=True)
    signer = SigV4Signer(v4.credentials, v4.context["region"], **options)
    canonical = signer.canonical_request(*v4.arguments, **v4.options)
    assert canonical == v4.expected("header-canonical-request")
    to_sign = signer.string_to_sign(*v4.arguments, **v4.options)
    assert to_sign == v4.expected("header-string-to-sign")
    signed = signer.sign(*v4.arguments, **v4.options)
    assert signed["Authorization"].endswith(f"Signature={v4.expected('header-signature')}")


def test_v4_in_the_query(v4):
    options = v4.signer_options(sends_payload_hash=False)
    signer = SigV4Signer(v4.credentials, v4.context["region"], **options)
    expires = v4.context["expiration_in_seconds"]
    signed = presign(signer, *v4.arguments, **v4.options, expires=expires)
    assert signed.canonical_request == v4.expected("query-canonical-request")
    assert signed.string_to_sign == v4.expected("query-string-to-sign")
    assert parameter(signed.target, "X-Amz-Signature") == v4.expected("query-signature")


def assert_holds(vector: Vector, string_to_sign: str, signature: str) -> None:
    """The signature holds for the suite's own public key."""
    numbers = json.loads((vector.path / "public-key.json").read_text())
    key = ec.EllipticCurvePublicNumbers(
        int(numbers["X"], 16), int(numbers["Y"], 16), ec.SECP256R1()
    ).public_key()
    key.verify(bytes.fromhex(signature), string_to_sign.encode(), ec.ECDSA(SHA256()))


def test_v4a_in_the_headers(v4a):
    options = v4a.signer_options(sends_payload_hash=True)
    signer = SigV4ASigner(v4a.credentials, v4a.context["region"], **options)
    canonical = signer.canonical_request(*v4a.arguments, **v4a.options)
    assert canonical == v4a.expected("header-canonical-request")
    to_sign = signer.string_to_sign(*v4a.arguments, **v4a.options)
    assert to_sign == v4a.expected("header-string-to-sign")
    signed = signer.sign(*v4a.arguments, **v4a.options)
    assert signed["x-amz-region-set"] == v4a.context["region"]
    assert_holds(v4a, to_sign, signed["Authorization"].partition("Signature=")[2])
    # The suite's own signature differs, for ECDSA is random, and holds for the same text.
    assert_holds(v4a, to_sign, v4a.expected("header-signature"))


def test_v4a_in_the_query(v4a):
    options = v4a.signer_options(sends_payload_hash=False)
    signer = SigV4ASigner(v4a.credentials, v4a.context["region"], **options)
    expires = v4a.context["expiration_in_seconds"]
    signed = presign(signer, *v4a.arguments, **v4a.options, expires=expires)
    assert signed.canonical_request == v4a.expected("query-canonical-request")
    assert signed.string_to_sign == v4a.expected("query-string-to-sign")
    assert_holds(v4a, signed.string_to_sign, parameter(signed.target, "X-Amz-Signature"))


def test_the_key_that_credentials_lead_to(v4a):
    given = v4a.credentials
    number = private_key(given.access_key, given.secret_key)
    public = ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers()
    expected = json.loads((v4a.path / "public-key.json").read_text())
    assert (public.x, public.y) == (int(expected["X"], 16), int(expected["Y"], 16))
