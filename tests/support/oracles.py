"""AWS's own signers: the C runtime (awscrt) and botocore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import awscrt.auth
import awscrt.http
import botocore.auth
import botocore.awsrequest
import botocore.credentials

from lattice_client import Credentials

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
QUERY_EXPIRES = 3600
EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG")


@dataclass(frozen=True)
class Case:
    """A request to sign, and the signer's settings."""

    method: str
    host: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Credentials = EXAMPLE
    now: int = 1_440_938_160
    region: str = "eu-west-1"
    service: str = "vpc-lattice-svcs"


def crt_request(
    case: Case,
    *,
    double: bool = True,
    normalize: bool = True,
    asymmetric: bool = False,
    query: bool = False,
    payload_hash: str = UNSIGNED_PAYLOAD,
    payload_header: bool = True,
    expires: int = QUERY_EXPIRES,
) -> awscrt.http.HttpRequest:
    """The request as AWS's C runtime signs it.

    :raises Exception: if the runtime refuses it.
    """
    headers = awscrt.http.HttpHeaders([("host", case.host), *case.headers])
    request = awscrt.http.HttpRequest(case.method, case.target, headers)
    config = awscrt.auth.AwsSigningConfig(
        algorithm=(
            awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC
            if asymmetric
            else awscrt.auth.AwsSigningAlgorithm.V4
        ),
        signature_type=(
            awscrt.auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS
            if query
            else awscrt.auth.AwsSignatureType.HTTP_REQUEST_HEADERS
        ),
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(
            case.credentials.access_key, case.credentials.secret_key, case.credentials.token
        ),
        region=case.region,
        service=case.service,
        date=datetime.fromtimestamp(case.now, UTC),
        expiration_in_seconds=expires if query else None,
        use_double_uri_encode=double,
        should_normalize_uri_path=normalize,
        signed_body_value=payload_hash,
        signed_body_header_type=(
            awscrt.auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256
            if payload_header
            else awscrt.auth.AwsSignedBodyHeaderType.NONE
        ),
    )
    return awscrt.auth.aws_sign_request(request, config).result(10)


def crt_authorization(case: Case, **options: bool) -> str:
    """The Authorization header of AWS's C runtime."""
    value = crt_request(case, **options).headers.get("authorization")
    assert value is not None
    return value


@dataclass(frozen=True)
class BotocoreStages:
    canonical_request: str
    string_to_sign: str
    authorization: str


def botocore_stages(case: Case) -> BotocoreStages:
    """botocore's result at each stage of signing a request."""
    signer = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials(
            case.credentials.access_key, case.credentials.secret_key, case.credentials.token
        ),
        case.service,
        case.region,
    )
    request = botocore.awsrequest.AWSRequest(
        method=case.method,
        url=f"https://{case.host}{case.target}",
        headers=dict(case.headers),
    )
    request.headers["x-amz-content-sha256"] = UNSIGNED_PAYLOAD
    request.context["payload_signing_enabled"] = False
    # The steps of add_auth() without reading the clock.
    moment = datetime.fromtimestamp(case.now, UTC)
    request.context["timestamp"] = moment.strftime(botocore.auth.SIGV4_TIMESTAMP)
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    to_sign = signer.string_to_sign(request, canonical)
    signer._inject_signature_to_request(request, signer.signature(to_sign, request))
    return BotocoreStages(canonical, to_sign, request.headers["Authorization"])


def botocore_s3_link(case: Case) -> str:
    """The target of botocore's presigned request to S3; its body is not hashed."""
    signer = botocore.auth.S3SigV4QueryAuth(
        botocore.credentials.Credentials(
            case.credentials.access_key, case.credentials.secret_key, case.credentials.token
        ),
        case.service,
        case.region,
        expires=QUERY_EXPIRES,
    )
    origin = f"https://{case.host}"
    request = botocore.awsrequest.AWSRequest(
        method=case.method, url=origin + case.target, headers=dict(case.headers)
    )
    # The steps of add_auth() without reading the clock.
    moment = datetime.fromtimestamp(case.now, UTC)
    request.context["timestamp"] = moment.strftime(botocore.auth.SIGV4_TIMESTAMP)
    signer._modify_request_before_signing(request)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(to_sign, request))
    return request.url.removeprefix(origin)
