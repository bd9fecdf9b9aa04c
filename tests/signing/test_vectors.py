"""AWS's own signing vectors, each as canonical request, string to sign and signature."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest

from lattice_client import Credentials
from lattice_client.signing import SigV4Signer

SUITE = Path(__file__).resolve().parents[3] / "shared" / "aws-signing-test-suite"
CASES = sorted(path for path in (SUITE / "v4").glob("*") if (path / "request.txt").exists())

pytestmark = pytest.mark.skipif(
    not CASES, reason="AWS's signing test suite is not beside the checkout"
)


def test_there_are_all_of_them():
    assert len(CASES) == 38


def read_request(text: str) -> tuple[str, str, str, list[tuple[str, str]], bytes]:
    """Method, host, target, headers and body of a request as the vectors write it."""
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    method, rest = first.split(" ", 1)
    target = rest.rsplit(" ", 1)[0]
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t"):  # a folded line goes on
            name, value = headers[-1]
            # obs-fold reads as a space (RFC 9112 section 5.2)
            headers[-1] = (name, f"{value} {line}")
        elif line:
            name, _, value = line.partition(":")
            headers.append((name, value))
    host = next(value for name, value in headers if name.lower() == "host").strip()
    return method, host, target, headers, body.encode()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_header_form(case):
    context = json.loads((case / "context.json").read_text())
    method, host, target, headers, body = read_request((case / "request.txt").read_text())
    names = [name for name, _ in headers]
    if context["sign_body"]:
        names.append("x-amz-content-sha256")
    signer = SigV4Signer(
        credentials(context),
        context["region"],
        context["service"],
        normalization="rfc3986" if context["normalize"] else "none",
        signed_headers=names,
    )
    arguments = (method, host, target, headers)
    options = {
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "now": datetime.fromisoformat(context["timestamp"]),
    }

    def expected(name: str) -> str:
        return (case / f"header-{name}.txt").read_text()

    assert signer.canonical_request(*arguments, **options) == expected("canonical-request")
    assert signer.string_to_sign(*arguments, **options) == expected("string-to-sign")
    signed = signer.sign(*arguments, **options)
    assert signed["Authorization"].endswith(f"Signature={expected('signature')}")


def credentials(context) -> Credentials:
    given = context["credentials"]
    # "omit": the token is added to the request after it was signed.
    token = None if context.get("omit_session_token") else given.get("token")
    return Credentials(given["access_key_id"], given["secret_access_key"], token)
