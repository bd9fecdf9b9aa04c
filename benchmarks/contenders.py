"""Everyone who signs, behind one small interface, and the floor that nobody gets under.

All sign the same request: POST, a 900-character token, an empty body that is declared
UNSIGNED-PAYLOAD where the contender can. What a contender needs as its own form of a request is
made before the clock starts, in :meth:`Contender.prepare`; only the signing is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from lattice_client import Credentials
from lattice_client.signing import SigV4Signer

__all__ = [
    "BOTOCORE",
    "CRT",
    "FLOOR",
    "HOST",
    "METHOD",
    "OURS",
    "REGION",
    "SERVICE",
    "UNSIGNED",
    "Botocore",
    "Contender",
    "Crt",
    "Floor",
    "Ours",
    "available",
    "contenders",
    "credentials",
    "lattice_accepts",
]

METHOD = "POST"
HOST = "orders-0a1b2c3d4e5f6a7b8.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
REGION = "eu-west-1"
SERVICE = "vpc-lattice-svcs"
UNSIGNED = "UNSIGNED-PAYLOAD"

OURS = "lattice_client"
FLOOR = "CPython floor"
BOTOCORE = "botocore SigV4Auth"
CRT = "awscrt"


def credentials(number: int = 0, token_length: int = 900) -> Credentials:
    """Credentials as STS gives them; each number another set."""
    token = (f"IQoJb3JpZ2luX2VjE{number:08d}" + "aB3/+xYz9" * token_length)[:token_length]
    return Credentials(f"ASIABENCH{number:011d}", f"wJalrXUtnFEMI/K7MDENG{number:019d}", token)


class Contender:
    """One who signs; made for one set of credentials."""

    name: ClassVar[str]
    # Whether the time can be given; all others ask the clock at each signature.
    takes_time: ClassVar[bool] = False

    # Signs what prepare() gave. This is measured.
    sign: Callable[[Any], Any]

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def prepare(self, target: str) -> Any:
        """The contender's own form of the request; not measured."""
        return target

    def sign_at(self, prepared: Any, now: float) -> Any:
        """Sign it at a time, in seconds since the epoch. This is measured."""
        raise NotImplementedError

    def headers(self, prepared: Any, signed: Any) -> dict[str, str]:
        """The headers that a signature consists of; not measured."""
        raise NotImplementedError


class Ours(Contender):
    name = OURS
    takes_time = True

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials)
        self.sign = partial(SigV4Signer(credentials, REGION).sign, METHOD, HOST)

    def sign_at(self, prepared: str, now: float) -> dict[str, str]:
        signed: dict[str, str] = self.sign(prepared, now=now)
        return signed

    def headers(self, prepared: str, signed: dict[str, str]) -> dict[str, str]:
        return signed


class Floor(Contender):
    """What hashing alone costs: the canonical request once, and HMAC from two keyed states."""

    name = FLOOR
    takes_time = True

    def __init__(self, credentials: Credentials) -> None:
        super().__init__(credentials)
        self._signer = SigV4Signer(credentials, REGION)
        key = sha256(credentials.secret_key.encode()).digest().ljust(64, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in key))
        self._inner.update(self._signer.string_to_sign(METHOD, HOST, "/")[:-64].encode())
        self._outer = sha256(bytes(byte ^ 0x5C for byte in key))

    def prepare(self, target: str) -> bytes:
        return self._signer.canonical_request(METHOD, HOST, target).encode()

    def sign(self, prepared: bytes) -> str:
        inner = self._inner.copy()
        inner.update(sha256(prepared).hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()

    def sign_at(self, prepared: bytes, now: float) -> str:
        return self.sign(prepared)

    def headers(self, prepared: bytes, signed: str) -> dict[str, str]:
        return {}


class Botocore(Contender):
    name = BOTOCORE

    def __init__(self, credentials: Credentials) -> None:
        from botocore.credentials import ReadOnlyCredentials

        super().__init__(credentials)
        self._frozen = ReadOnlyCredentials(
            credentials.access_key, credentials.secret_key, credentials.token
        )
        self.sign = self._signer_class()(self._frozen, SERVICE, REGION).add_auth

    def _signer_class(self) -> Callable[..., Any]:
        from botocore.auth import SigV4Auth

        return SigV4Auth

    def prepare(self, target: str) -> Any:
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=METHOD, url=f"https://{HOST}{target}")
        request.context["payload_signing_enabled"] = False
        return request

    def headers(self, prepared: Any, signed: Any) -> dict[str, str]:
        return dict(prepared.headers.items())


class BotocoreCrt(Botocore):
    name = "botocore CrtSigV4Auth"

    def _signer_class(self) -> Callable[..., Any]:
        from botocore.crt.auth import CrtSigV4Auth

        return CrtSigV4Auth


class Crt(Contender):
    """The C runtime without botocore around it; its configuration holds the time, so each signature
    needs its own."""

    name = CRT
    takes_time = True
    algorithm = "V4"

    def __init__(self, credentials: Credentials) -> None:
        from awscrt import auth

        super().__init__(credentials)
        self._auth = auth
        self._fixed = {
            "algorithm": getattr(auth.AwsSigningAlgorithm, self.algorithm),
            "signature_type": auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
            "credentials_provider": auth.AwsCredentialsProvider.new_static(
                credentials.access_key, credentials.secret_key, credentials.token
            ),
            "region": REGION,
            "service": SERVICE,
            "signed_body_value": UNSIGNED,
            "signed_body_header_type": auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        }

    def prepare(self, target: str) -> Any:
        from awscrt.http import HttpHeaders, HttpRequest

        return HttpRequest(METHOD, target, HttpHeaders([("host", HOST)]))

    def sign(self, prepared: Any) -> Any:
        config = self._auth.AwsSigningConfig(**self._fixed)
        return self._auth.aws_sign_request(prepared, config).result()

    def sign_at(self, prepared: Any, now: float) -> Any:
        config = self._auth.AwsSigningConfig(**self._fixed, date=datetime.fromtimestamp(now, UTC))
        return self._auth.aws_sign_request(prepared, config).result()

    def headers(self, prepared: Any, signed: Any) -> dict[str, str]:
        return dict(prepared.headers)


class AwsSdkSigners(Contender):
    name = "aws-sdk-signers"

    def __init__(self, credentials: Credentials) -> None:
        import aws_sdk_signers as signers

        super().__init__(credentials)
        self._signers = signers
        self._sign = signers.SigV4Signer().sign
        self._identity = signers.AWSCredentialIdentity(
            access_key_id=credentials.access_key,
            secret_access_key=credentials.secret_key,
            session_token=credentials.token,
        )
        self._properties = signers.SigV4SigningProperties(
            region=REGION,
            service=SERVICE,
            payload_signing_enabled=False,
            content_checksum_enabled=True,
        )

    def prepare(self, target: str) -> Any:
        path, _, query = target.partition("?")
        return self._signers.AWSRequest(
            destination=self._signers.URI(host=HOST, path=path, query=query or None),
            method=METHOD,
            body=None,
            fields=self._signers.Fields(),
        )

    def sign(self, prepared: Any) -> Any:
        return self._sign(request=prepared, identity=self._identity, properties=self._properties)

    def headers(self, prepared: Any, signed: Any) -> dict[str, str]:
        return {field.name: field.as_string() for field in signed.fields}


class RequestsAws4Auth(Contender):
    name = "requests-aws4auth"

    def __init__(self, credentials: Credentials) -> None:
        from requests_aws4auth import AWS4Auth

        super().__init__(credentials)
        self.sign = AWS4Auth(
            credentials.access_key,
            credentials.secret_key,
            REGION,
            SERVICE,
            session_token=credentials.token,
        )

    def prepare(self, target: str) -> Any:
        import requests

        return requests.Request(METHOD, f"https://{HOST}{target}").prepare()

    def headers(self, prepared: Any, signed: Any) -> dict[str, str]:
        return dict(prepared.headers)


class HttpxAwsAuth(Contender):
    name = "httpx-aws-auth"

    def __init__(self, credentials: Credentials) -> None:
        import httpx_aws_auth

        super().__init__(credentials)
        theirs = httpx_aws_auth.AwsCredentials(
            credentials.access_key, credentials.secret_key, credentials.token
        )
        flow = httpx_aws_auth.AwsSigV4Auth(theirs, REGION, SERVICE).auth_flow
        self.sign = lambda prepared: next(flow(prepared))

    def prepare(self, target: str) -> Any:
        import httpx

        return httpx.Request(METHOD, f"https://{HOST}{target}")

    def headers(self, prepared: Any, signed: Any) -> dict[str, str]:
        return dict(prepared.headers)


class Asigv4(Contender):
    name = "asigv4"
    takes_time = True

    def __init__(self, credentials: Credentials) -> None:
        import asigv4

        super().__init__(credentials)
        self._sign = asigv4.sign_request

    def prepare(self, target: str) -> Any:
        path, _, query = target.partition("?")
        return path, dict(parse_qsl(query))

    def _signed(self, prepared: Any, now: datetime | None) -> dict[str, str]:
        path, parameters = prepared
        headers = {"host": HOST, "x-amz-security-token": self.credentials.token or ""}
        headers["authorization"] = self._sign(
            method=METHOD,
            path=path,
            headers=headers,
            query_params=parameters,
            access_key_id=self.credentials.access_key,
            secret_key=self.credentials.secret_key,
            region=REGION,
            service=SERVICE,
            signed_headers=["host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"],
            payload_hash=UNSIGNED,
            now=now,
        )
        return headers

    def sign(self, prepared: Any) -> dict[str, str]:
        return self._signed(prepared, None)

    def sign_at(self, prepared: Any, now: float) -> dict[str, str]:
        return self._signed(prepared, datetime.fromtimestamp(now, UTC))

    def headers(self, prepared: Any, signed: dict[str, str]) -> dict[str, str]:
        return signed


def available(
    candidates: Iterable[type[Contender]],
) -> tuple[dict[str, type[Contender]], dict[str, str]]:
    """Those who sign here, by name; and why the others do not."""
    there: dict[str, type[Contender]] = {}
    missing: dict[str, str] = {}
    for candidate in candidates:
        try:
            contender = candidate(credentials())
            contender.sign(contender.prepare("/orders/7?page=2"))
        except Exception as error:  # noqa: BLE001 whatever ails a peer is told, and the rest goes on
            missing[candidate.name] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            there[candidate.name] = candidate
    return there, missing


def contenders() -> tuple[dict[str, type[Contender]], dict[str, str]]:
    """All who sign SigV4 here, the floor among them; and why the others do not."""
    return available(
        [
            Ours,
            Floor,
            Crt,
            Asigv4,
            HttpxAwsAuth,
            RequestsAws4Auth,
            Botocore,
            BotocoreCrt,
            AwsSdkSigners,
        ]
    )


def lattice_accepts(contender: Contender, target: str) -> bool:
    """Whether the local Lattice, which shares no code with any of them, takes the signature."""
    from lattice_client.testing.refusals import RefusedError
    from lattice_client.testing.signature import WireRequest
    from lattice_client.testing.verifier import Verifier

    prepared = contender.prepare(target)
    headers = contender.headers(prepared, contender.sign(prepared))
    if not headers:
        return False
    sent = {"host": HOST, **{name.lower(): value for name, value in headers.items()}}
    path, _, query = target.partition("?")
    request = WireRequest(
        METHOD,
        path.encode(),
        query.encode(),
        [(name.encode(), value.encode()) for name, value in sent.items()],
    )
    try:
        Verifier(lambda _: contender.credentials, region=REGION).verify(request)
    except RefusedError:
        return False
    return True
