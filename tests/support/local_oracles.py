"""Independent signers: AWS's C runtime, botocore, and one written by hand."""

import hashlib
import hmac
from datetime import UTC, datetime

from awscrt import auth, http

from lattice_client.credentials import Credentials
from lattice_client.testing import Verifier, WireRequest

NOW = 1767225600.0  # 2026-01-01T00:00:00Z
DATE = "20260101T000000Z"
HOST = "orders.internal.example.com"
REGION = "us-west-2"
SERVICE = "vpc-lattice-svcs"
UNSIGNED = "UNSIGNED-PAYLOAD"
CREDENTIALS = Credentials("ASIAEXAMPLE", "an/example+secret", "an-example-token")
LONG_TERM = Credentials("AKIAEXAMPLE", "another-secret")

ALGORITHMS = {
    "sigv4": auth.AwsSigningAlgorithm.V4,
    "sigv4a": auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
}
PLACEMENTS = {
    "header": auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
    "query": auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
}


def verifier(now=NOW, known=(CREDENTIALS, LONG_TERM), **settings):
    find = {credentials.access_key: credentials for credentials in known}.get
    return Verifier(find, **{"region": REGION, "clock": lambda: now} | settings)


def wire(method, target, headers):
    path, _, query = target.encode().partition(b"?")
    return WireRequest(
        method, path, query, tuple((name.encode(), value.encode()) for name, value in headers)
    )


def crt_sign(
    method="GET",
    target="/",
    headers=(),
    *,
    credentials=CREDENTIALS,
    algorithm="sigv4",
    placement="header",
    region=REGION,
    service=SERVICE,
    now=NOW,
    path_encoding="double",
    expires=300,
    payload=UNSIGNED,
):
    """A wire request signed by AWS's C runtime."""
    names = {name.lower() for name, _ in headers}
    given = http.HttpHeaders([*([] if "host" in names else [("host", HOST)]), *headers])
    request = http.HttpRequest(method, target, given)
    config = auth.AwsSigningConfig(
        algorithm=ALGORITHMS[algorithm],
        signature_type=PLACEMENTS[placement],
        credentials_provider=auth.AwsCredentialsProvider.new_static(
            credentials.access_key, credentials.secret_key, credentials.token
        ),
        region=region,
        service=service,
        date=datetime.fromtimestamp(now, UTC),
        use_double_uri_encode=path_encoding != "single",
        should_normalize_uri_path=path_encoding == "double",
        signed_body_value=payload,
        signed_body_header_type=(
            auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256
            if placement == "header"
            else auth.AwsSignedBodyHeaderType.NONE
        ),
        expiration_in_seconds=expires if placement == "query" else None,
    )
    signed = auth.aws_sign_request(request, config).result(timeout=30)
    return wire(signed.method, signed.path, list(signed.headers))


def hand_sign(
    method="GET",
    target="/",
    headers=(),
    *,
    path,
    query="",
    credentials=LONG_TERM,
    now=NOW,
    scope_date=None,
    region=REGION,
    service=SERVICE,
    terminator="aws4_request",
    payload=UNSIGNED,
):
    """A request signed over the test's canonical path and query; all ``headers`` are signed."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    pairs = {"host": HOST, "x-amz-content-sha256": payload, "x-amz-date": date} | dict(headers)
    pairs = {name: value for name, value in pairs.items() if value is not None}
    scope = "/".join((scope_date or date[:8], region, service, terminator))
    signed = ";".join(sorted(pairs))
    lines = "".join(f"{name}:{' '.join(pairs[name].split())}\n" for name in sorted(pairs))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={signed}, Signature={key.hex()}"
    )
    return wire(method, target, [*pairs.items(), ("authorization", authorization)])


def replace_header(request, name, *values):
    """The request with the header's values replaced, or removed if there are none."""
    kept = [(key, value) for key, value in request.headers if key.lower() != name.encode()]
    added = [(name.encode(), value) for value in values]
    return WireRequest(request.method, request.path, request.query, (*kept, *added))


def header(request, name):
    return next(value for key, value in request.headers if key.lower() == name.encode())


def as_pairs(request):
    """The headers as text, for HTTP clients."""
    return [(name.decode(), value.decode()) for name, value in request.headers]
