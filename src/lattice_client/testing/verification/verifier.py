"""An independent SigV4 and SigV4A verifier: a request's bytes in, its caller or a refusal out.

It was written from AWS's documentation as a *verifier*: it parses the signature, computes the
canonical form from what was received, and compares. It shares nothing with this package's signer,
so that a mistake in one cannot hide in the other.

Sources: "Create a signed AWS API request" (IAM User Guide) for the checks; "SIGv4 authenticated
requests for Amazon VPC Lattice" (VPC Lattice User Guide) for the unsigned payload.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol

from lattice_client.testing.clock import system_time
from lattice_client.testing.refusals import (
    expired_token,
    incomplete_signature,
    invalid_signature,
    unrecognized_client,
)
from lattice_client.testing.verification import sigv4a
from lattice_client.testing.verification.canonical import (
    PathEncoding,
    QueryPlus,
    canonical_headers,
    canonical_path,
    canonical_queries,
    canonical_request,
    check_path_encoding,
    check_query_plus,
    string_to_sign,
)
from lattice_client.testing.verification.signature import (
    Placement,
    Signature,
    WireRequest,
    is_signed,
    is_signed_in_query,
    parse,
)
from lattice_client.testing.wildcards import wildcard_match

__all__ = ["LATTICE", "Verified", "Verifier", "VerifierCredentials"]

LATTICE: Final = "vpc-lattice-svcs"

# S3 signs the constant UNSIGNED-PAYLOAD in the query ("Authenticating Requests: Using Query
# Parameters", Amazon S3 API Reference).
_S3_SERVICES: Final = frozenset({"s3", "s3-object-lambda", "s3-outposts", "s3express"})
_UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_CONTENT_SHA256 = "x-amz-content-sha256"
_CLOCK_WINDOW = 5 * 60
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)


class VerifierCredentials(Protocol):
    """What the verifier needs of a set of credentials; ``Credentials`` has it."""

    @property
    def secret_key(self) -> str: ...
    @property
    def token(self) -> str | None: ...
    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Verified:
    """A valid signature, and the checkpoints of its verification."""

    access_key: str
    algorithm: str
    placement: Placement
    signed_headers: tuple[str, ...]
    # Both may hold the session token.
    canonical_request: str = field(repr=False)
    string_to_sign: str = field(repr=False)


class Verifier:
    """Checks the signature of requests to one service in one region.

    :param find_credentials: returns the credentials of an access key, or None for an unknown key.
    :param region: the region that signatures must be scoped to.
    :param service: the signing name. ``vpc-lattice-svcs`` has Lattice's own rule: the payload must
        be sent as unsigned. Any other service accepts signed payloads. For S3, a signature in the
        query without ``x-amz-content-sha256`` has an unsigned payload.
    :param path_encoding: how the path is canonicalised: SigV4's ``double``; ``double-raw``, which
        keeps dot segments and repeated slashes; or ``single``, which keeps the wire path unchanged.
    :param query_plus: what a raw ``+`` in the query must be signed as: ``space`` (``%20``),
        ``plus`` (``%2B``), or ``either``. Which one Lattice wants is not published.
    :param clock: returns the time, in seconds since the epoch. By default ``time.time``, looked up
        at each call.
    :raises ValueError: if ``path_encoding`` or ``query_plus`` is not one of these words.
    """

    def __init__(
        self,
        find_credentials: Callable[[str], VerifierCredentials | None],
        *,
        region: str,
        service: str = LATTICE,
        path_encoding: PathEncoding = "double",
        query_plus: QueryPlus = "either",
        clock: Callable[[], float] = system_time,
    ) -> None:
        self.region = region
        self.service = service
        self._find_credentials = find_credentials
        self._path_encoding: PathEncoding = check_path_encoding(path_encoding)
        self._query_plus: QueryPlus = check_query_plus(query_plus)
        self._clock = clock

    def variant(
        self,
        *,
        clock: Callable[[Callable[[], float]], Callable[[], float]],
        path_encoding: PathEncoding | None,
    ) -> Verifier:
        """A copy with another clock, made from this one's, and another encoding unless None."""
        return Verifier(
            self._find_credentials,
            region=self.region,
            service=self.service,
            path_encoding=path_encoding or self._path_encoding,
            query_plus=self._query_plus,
            clock=clock(self._clock),
        )

    def needs_body(self, request: WireRequest) -> bool:
        """Whether ``verify`` needs the whole body of this request. It never does for Lattice."""
        return (
            self.service != LATTICE
            and is_signed(request)
            and self._content_sha256(request) != _UNSIGNED_PAYLOAD
        )

    def verify(self, request: WireRequest, body: bytes = b"") -> Verified:
        """Check the signature of a request.

        :param body: the whole body, if ``needs_body`` returns True.
        :returns: the signature's access key, and the checkpoints.
        :raises RefusedError: if the signature is not valid, with the status and text to answer.
        :raises MissingExtraError: for a SigV4A signature, if ``cryptography`` is not installed.
        """
        signature = parse(request)
        payload_hash = self._payload_hash(request, signature, body)
        _check_signed_headers(request, signature)
        self._check_scope(signature)
        self._check_time(signature)
        credentials = self._credentials(signature)

        try:
            headers = canonical_headers(request.by_name, signature.signed_headers)
        except KeyError:
            # A signed header was lost on the way: the signature cannot match.
            raise invalid_signature(_MISMATCH) from None
        path = canonical_path(request.path, self._path_encoding)
        mismatches = []
        for query in canonical_queries(request.query, self._query_plus):
            canonical = canonical_request(
                request.method, path, query, headers, signature.signed_headers, payload_hash
            )
            to_sign = string_to_sign(
                signature.algorithm, signature.date, signature.scope.text, canonical
            )
            if _matches(signature, credentials.secret_key, to_sign):
                return Verified(
                    signature.access_key,
                    signature.algorithm,
                    signature.placement,
                    signature.signed_headers,
                    canonical,
                    to_sign,
                )
            mismatches.append((canonical, to_sign))
        canonical, to_sign = mismatches[0]
        raise invalid_signature(_MISMATCH, canonical_request=canonical, string_to_sign=to_sign)

    def _content_sha256(self, request: WireRequest) -> str | None:
        """The payload hash that the request states; None if it states none."""
        values = request.by_name.get(_CONTENT_SHA256)
        if values is not None:
            return b",".join([value.strip(b" \t") for value in values]).decode("ascii", "replace")
        if self.service in _S3_SERVICES and is_signed_in_query(request):
            return _UNSIGNED_PAYLOAD
        return None

    def _payload_hash(self, request: WireRequest, signature: Signature, body: bytes) -> str:
        sent = self._content_sha256(request)
        if self.service == LATTICE:
            if sent is None or _CONTENT_SHA256 not in signature.signed_headers:
                raise incomplete_signature(f"Missing the '{_CONTENT_SHA256}' in canonical headers")
            if sent != _UNSIGNED_PAYLOAD:
                raise invalid_signature("Signed payloads are not supported")
            return sent
        if sent == _UNSIGNED_PAYLOAD:
            return sent
        computed = hashlib.sha256(body).hexdigest()
        if sent is not None and sent != computed:
            raise invalid_signature(
                f"The provided '{_CONTENT_SHA256}' header does not match what was computed."
            )
        return computed

    def _check_scope(self, signature: Signature) -> None:
        scope = signature.scope
        if scope.terminator != "aws4_request":
            raise invalid_signature(
                "Credential should be scoped with a valid terminator: 'aws4_request', "
                f"not '{scope.terminator}'."
            )
        if scope.service != self.service:
            raise invalid_signature(
                f"Credential should be scoped to correct service: '{self.service}', "
                f"not '{scope.service}'."
            )
        if signature.algorithm == sigv4a.ALGORITHM:
            self._check_region_set(signature)
        elif scope.region != self.region:
            raise invalid_signature(
                f"Credential should be scoped to a valid region: '{self.region}', "
                f"not '{scope.region}'."
            )
        if scope.date != signature.date[:8]:
            raise invalid_signature(
                f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{scope.date}' != '{signature.date[:8]}', from '{signature.date}'."
            )

    def _check_region_set(self, signature: Signature) -> None:
        if not signature.region_set:
            raise incomplete_signature(
                f"{signature.algorithm} requires existence of 'X-Amz-Region-Set'."
            )
        for region in signature.region_set.split(","):
            # "*" is the only wildcard of a region set.
            if "?" not in region and wildcard_match(region.strip(" "), self.region):
                return
        raise invalid_signature(
            f"Region set should include a valid region: '{self.region}', "
            f"got '{signature.region_set}'."
        )

    def _check_time(self, signature: Signature) -> None:
        now = int(self._clock())
        if signature.timestamp > now + _CLOCK_WINDOW:
            raise invalid_signature(
                f"Signature not yet current: {signature.date} is still later than "
                f"{_iso(now + _CLOCK_WINDOW)} ({_iso(now)} + 5 min.)"
            )
        if signature.expires is None:
            window, words = _CLOCK_WINDOW, "5 min."
        else:
            window, words = signature.expires, f"{signature.expires} s."
        if signature.timestamp < now - window:
            raise invalid_signature(
                f"Signature expired: {signature.date} is now earlier than "
                f"{_iso(now - window)} ({_iso(now)} - {words})"
            )

    def _credentials(self, signature: Signature) -> VerifierCredentials:
        credentials = self._find_credentials(signature.access_key)
        if credentials is None:
            raise unrecognized_client()
        # An empty token is refused for every caller, as Lattice does.
        expected, sent = credentials.token, signature.token
        if (expected is None) != (sent is None):
            raise unrecognized_client()
        if not hmac.compare_digest((expected or "").encode(), (sent or "").encode()):
            raise unrecognized_client()
        expires_at = credentials.expires_at
        if expires_at is not None and expires_at.timestamp() <= self._clock():
            raise expired_token()
        return credentials


def _check_signed_headers(request: WireRequest, signature: Signature) -> None:
    signed = signature.signed_headers
    if not _are_in_order(signed):
        raise incomplete_signature(
            "'SignedHeaders' must be header names in lower case, in order, once each."
        )
    if "host" not in signed:
        raise incomplete_signature(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    for name in request.by_name:
        # x-amzn-… does not begin with x-amz-: request ids and trace ids stay unsigned.
        if name.startswith("x-amz-") and name not in signed:
            raise incomplete_signature(
                f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )


@lru_cache(maxsize=64)
def _are_in_order(names: tuple[str, ...]) -> bool:
    return list(names) == sorted({name.lower() for name in names}) and "" not in names


def _matches(signature: Signature, secret_key: str, to_sign: str) -> bool:
    if signature.algorithm == sigv4a.ALGORITHM:
        # Lower case only, as signers write it.
        if not re.fullmatch(r"(?:[0-9a-f]{2})+", signature.value):
            return False
        return sigv4a.signature_matches(
            signature.access_key, secret_key, to_sign, bytes.fromhex(signature.value)
        )
    keyed = _signing_key(secret_key, signature.scope.text).copy()
    keyed.update(to_sign.encode())
    return hmac.compare_digest(keyed.hexdigest().encode(), signature.value.encode())


@lru_cache(maxsize=64)
def _signing_key(secret_key: str, scope: str) -> hmac.HMAC:
    """An HMAC with the signing key, to be copied. The key is the same for all requests of a day."""
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")
