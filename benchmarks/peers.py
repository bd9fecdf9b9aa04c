"""The others who sign. Each is imported when it is made, so that any of them may be missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from benchmarks.contenders import (
    HOST,
    METHOD,
    REGION,
    SERVICE,
    UNSIGNED,
    Contender,
    Floor,
    Headers,
    Ours,
    available,
)
from lattice_client import Credentials

__all__ = ["BOTOCORE", "CRT", "Botocore", "Crt", "contenders"]

BOTOCORE = "botocore SigV4Auth"
CRT = "awscrt"


class Botocore(Contender):
    name = BOTOCORE
    takes_whole = True

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
        return self.prepare_whole(target, HOST, [])

    def prepare_whole(self, target: str, host: str, headers: Headers) -> Any:
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method=METHOD, url=f"https://{host}{target}", headers=dict(headers))
        request.context["payload_signing_enabled"] = False
        return request

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        self.sign(prepared)
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
    takes_whole = True
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
        return self.prepare_whole(target, HOST, [])

    def prepare_whole(self, target: str, host: str, headers: Headers) -> Any:
        from awscrt.http import HttpHeaders, HttpRequest

        return HttpRequest(METHOD, target, HttpHeaders([("host", host), *headers]))

    def sign(self, prepared: Any) -> Any:
        config = self._auth.AwsSigningConfig(**self._fixed)
        return self._auth.aws_sign_request(prepared, config).result()

    def sign_at(self, prepared: Any, now: float) -> Any:
        config = self._auth.AwsSigningConfig(**self._fixed, date=datetime.fromtimestamp(now, UTC))
        return self._auth.aws_sign_request(prepared, config).result()

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        self.sign(prepared)
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

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        signed = self.sign(prepared)
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

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        self.sign(prepared)
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

    def signed_headers(self, prepared: Any) -> dict[str, str]:
        self.sign(prepared)
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
