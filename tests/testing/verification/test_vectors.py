"""AWS's own signing test suite, read from the verifier's side."""

import json
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lattice_client.credentials import Credentials
from lattice_client.testing import RefusedError, Verifier, WireRequest
from lattice_client.testing.verification.sigv4a import private_value

SUITE = Path(__file__).resolve().parents[4] / "shared" / "aws-signing-test-suite"
VECTORS = sorted(path.parent for path in SUITE.glob("v4*/*/header-signed-request.txt"))

pytestmark = pytest.mark.skipif(
    not VECTORS, reason="AWS's signing test suite is not beside this repository"
)
each_vector = pytest.mark.parametrize(
    "vector", VECTORS, ids=[f"{path.parent.name}-{path.name}" for path in VECTORS]
)


def read(path):
    """The wire request in a vector's file."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    request_line, *lines = head.split(b"\n")
    method, target = request_line.removesuffix(b" HTTP/1.1").split(b" ", 1)
    headers = []
    for line in lines:
        if line.startswith(b" "):
            # Folded: RFC 9112 has servers replace the line break by spaces.
            name, value = headers.pop()
            headers.append((name, value + b" " + line))
        else:
            name, _, value = line.partition(b":")
            headers.append((name, value))
    raw_path, _, query = target.partition(b"?")
    return WireRequest(method.decode(), raw_path, query, tuple(headers)), body


def without_token(request, token):
    """AWS adds the token after signing here, which our verifier refuses: remove it."""
    parameter = f"&X-Amz-Security-Token={quote(token, safe='')}".encode()
    headers = [(n, v) for n, v in request.headers if n.lower() != b"x-amz-security-token"]
    return WireRequest(
        request.method, request.path, request.query.replace(parameter, b""), tuple(headers)
    )


def prepare(vector, placement):
    """The vector's request and body, and a verifier that knows its credentials."""
    context = json.loads((vector / "context.json").read_text())
    request, body = read(vector / f"{placement}-signed-request.txt")
    keys = context["credentials"]
    token = keys.get("token")
    if context.get("omit_session_token"):
        request, token = without_token(request, token), None
    credentials = Credentials(keys["access_key_id"], keys["secret_access_key"], token)
    verifier = Verifier(
        {credentials.access_key: credentials}.get,
        region=context["region"],
        service=context["service"],
        clock=lambda: datetime.fromisoformat(context["timestamp"]).timestamp(),
        path_encoding="double" if context["normalize"] else "double-raw",
    )
    return verifier, request, body


@each_vector
@pytest.mark.parametrize("placement", ["header", "query"])
def test_vector_verifies_with_the_expected_checkpoints(vector, placement):
    verifier, request, body = prepare(vector, placement)

    verified = verifier.verify(request, body)

    expected = {
        name: (vector / f"{placement}-{name}.txt").read_text()
        for name in ("canonical-request", "string-to-sign")
    }
    assert verified.canonical_request == expected["canonical-request"]
    assert verified.string_to_sign == expected["string-to-sign"]
    assert verified.placement == placement


@each_vector
@pytest.mark.parametrize("placement", ["header", "query"])
def test_vector_with_another_method_is_refused(vector, placement):
    verifier, request, body = prepare(vector, placement)
    changed = WireRequest("PUT", request.path, request.query, request.headers)

    with pytest.raises(RefusedError, match="does not match the signature you provided"):
        verifier.verify(changed, body)


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS if vector.parent.name == "v4a"], ids=lambda v: v.name
)
def test_derived_key_is_the_vectors_public_key(vector):
    keys = json.loads((vector / "context.json").read_text())["credentials"]
    expected = json.loads((vector / "public-key.json").read_text())
    value = private_value(keys["access_key_id"], keys["secret_access_key"])
    numbers = ec.derive_private_key(value, ec.SECP256R1()).public_key().public_numbers()
    assert (f"{numbers.x:064x}", f"{numbers.y:064x}") == (expected["X"], expected["Y"])
