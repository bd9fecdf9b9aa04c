"""What SigV4 and SigV4A signers share: everything but the algorithm.

A signer belongs to one set of credentials, one region (or region set) and one service. All that is
constant for a second stands in one immutable :class:`SigningContext`. It is swapped whole, so that
no signature mixes two of them, in any thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from math import floor
from time import gmtime, strftime, time
from typing import ClassVar, Protocol, cast

from lattice_client.errors import ConfigurationError, SigningError
from lattice_client.signing.canonical import (
    HeaderPairs,
    Normalization,
    PathEncoding,
    canonical_headers,
    canonical_request,
    canonical_target,
    header_pairs,
    joined_headers,
)
from lattice_client.signing.validation import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    USUAL_METHODS,
    CredentialsLike,
    check_header,
    check_host,
    check_method,
    check_payload_hash,
    check_str,
    checked_names,
    checked_parts,
)

__all__ = [
    "LATTICE",
    "S3_SERVICES",
    "SIGNATURE_HEADERS",
    "Signer",
]

LATTICE = "vpc-lattice-svcs"
"""The signing name of services behind VPC Lattice (the control plane has another)."""

# S3 and its kin. A signature in the query never covers their payload ("Authenticating Requests:
# Using Query Parameters", S3 API Reference).
S3_SERVICES = frozenset(("s3", "s3-object-lambda", "s3-outposts", "s3express"))
# Services that require the payload's hash in a header, of every kind.
_CONTENT_SHA256_SERVICES = S3_SERVICES | {LATTICE, "aoss", "glacier"}

SIGNATURE_HEADERS = frozenset(
    ("x-amz-content-sha256", "x-amz-date", "x-amz-region-set", "x-amz-security-token")
)
"""Headers that the signer sets itself, beside Authorization. Those that a request has already are
left over from an earlier signature."""

# Years of four digits: x-amz-date has no room for others, and strftime() adds no zeros.
_FIRST_YEAR, _LAST_YEAR = 1000, 9999

# How many hosts whose form has been checked are remembered. Few, so that a signer stays small.
_KNOWN_HOSTS = 32


# hashlib releases the GIL for inputs of 2,048 bytes and more, and another thread may then hold it
# for milliseconds; a signature takes microseconds. So long requests are hashed in smaller pieces.
GIL_KEPT_BELOW = 2048


class Key(Protocol):
    """A key that has absorbed the string to sign but for the canonical request's hash."""

    def signature(self, message: str, /) -> str:
        """The signature (hex) of the string that ends in this hash (hex)."""
        ...


class SigningContext:
    """All that is constant for one second. Immutable."""

    __slots__ = (
        "amz_date",
        "authorization",
        "canonical_suffix",
        "end",
        "headers",
        "key",
        "max_head_bytes",
        "scope",
        "start",
        "string_to_sign_prefix",
    )

    def __init__(
        self,
        start: float,
        end: float,
        amz_date: str,
        scope: str,
        string_to_sign_prefix: str,
        headers: dict[str, str],
        canonical_suffix: bytes,
        authorization: str,
        key: Key,
    ) -> None:
        self.start = start
        self.end = end
        self.amz_date = amz_date
        self.scope = scope
        # The string to sign but for the hash: algorithm, date and scope, a line each.
        self.string_to_sign_prefix = string_to_sign_prefix
        # The headers that every request of this second gets, but for Authorization.
        self.headers = headers
        # What follows the host's value in the canonical request, where only these are signed.
        self.canonical_suffix = canonical_suffix
        # Up to how many bytes before the suffix, both are hashed in one piece each.
        self.max_head_bytes = GIL_KEPT_BELOW if len(canonical_suffix) < GIL_KEPT_BELOW else 0
        # The value of Authorization but for the signature, where only these headers are signed.
        self.authorization = authorization
        self.key = key


_AT_NO_TIME = SigningContext(0.0, 0.0, "", "", "", {}, b"", "", cast("Key", None))


class Signer:
    """The base of the signers; not for direct use."""

    algorithm: ClassVar[str]

    def __init__(
        self,
        credentials: CredentialsLike,
        service: str,
        *,
        path_encoding: PathEncoding | None,
        normalization: Normalization,
        signed_headers: Iterable[str],
    ) -> None:
        if not service or not service.isascii() or "/" in service or not service.isprintable():
            raise ConfigurationError(f"service must be a signing name, not {service!r}")
        self.credentials = credentials
        self.access_key, self._secret_key, self.token = checked_parts(credentials)
        self.service = service
        self.path_encoding: PathEncoding = (
            _default_path_encoding(service) if path_encoding is None else path_encoding
        )
        names = checked_names(signed_headers)
        self.signed_headers = names - SIGNATURE_HEADERS - {"host"}
        self.target_lines = canonical_target(self.path_encoding, normalization)
        self._default_payload = UNSIGNED_PAYLOAD if service == LATTICE else EMPTY_PAYLOAD
        # Whether a signature in the query covers the payload.
        self.signs_payload_in_query = service not in S3_SERVICES
        self._sends_payload_hash = (
            service in _CONTENT_SHA256_SERVICES or "x-amz-content-sha256" in names
        )
        self._hosts: set[str] = set()
        # The first signature makes the first real one.
        self._context = _AT_NO_TIME

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._scope('DATE')!r})"

    # For the algorithm to override.

    def _scope(self, date: str) -> str:
        """The credential scope for a day (YYYYMMDD)."""
        raise NotImplementedError

    def _extra_headers(self) -> dict[str, str]:
        """Headers of this algorithm beside those of SigV4."""
        return {}

    def query_parameters(self) -> dict[str, str]:
        """Query parameters of this algorithm beside those of SigV4."""
        return {}

    def _key_for(self, date: str, prefix: str) -> Key:
        """The key of a day (YYYYMMDD), with ``prefix`` absorbed."""
        raise NotImplementedError

    def sign(
        self,
        method: str,
        host: str,
        target: str,
        headers: HeaderPairs = (),
        *,
        payload_hash: str | None = None,
        now: float | datetime | None = None,
    ) -> dict[str, str]:
        """The headers to set on the request, in place of any of the same names, however they are
        written: ``Authorization``, and ``x-amz-…`` in lower case.

        :param method: as sent, for example ``POST``.
        :param host: the Host header as sent, with the port if it is sent.
        :param target: path and query as sent.
        :param headers: the request's headers, a mapping, pairs or None; those named ``x-amz-*`` and
            those of ``signed_headers`` are signed. One character stands for one byte on the wire
            (latin-1).
        :param payload_hash: the body's SHA-256 in hex, or ``UNSIGNED-PAYLOAD``. By default
            ``UNSIGNED-PAYLOAD`` for VPC Lattice and the hash of an empty body for other services.
        :param now: seconds since the epoch or an aware datetime; None asks the system's clock.
        :raises SigningError: for what cannot be signed as it stands.
        """
        if headers or payload_hash is not None:
            selected = self.selected(headers)
            if selected or payload_hash not in (None, self._default_payload):
                context = self.context_at(now)
                return self._sign_composed(context, method, host, target, selected, payload_hash)
        # The hot path: for most requests the context holds all but two lines of the canonical
        # request. Calling context_at() and check() only where needed saves 0.1 µs.
        context = self._context
        if now is not None or not context.start <= time() < context.end:
            context = self.context_at(now)
        if host not in self._hosts or method not in USUAL_METHODS:
            self.check(method, host)
        head = f"{method}\n{self.target_lines(target)}\nhost:{host}".encode()
        if len(head) < context.max_head_bytes:
            # Copying an empty state is 0.1 µs faster than creating one, and two updates are
            # 0.17 µs faster than joining head and suffix.
            hasher = _EMPTY.copy()
            hasher.update(head)
            hasher.update(context.canonical_suffix)
            request_hash = hasher.hexdigest()
        else:
            request_hash = hash_of(head + context.canonical_suffix)
        signed = context.headers.copy()
        signed["Authorization"] = context.authorization + context.key.signature(request_hash)
        return signed

    def _sign_composed(
        self,
        context: SigningContext,
        method: str,
        host: str,
        target: str,
        selected: dict[str, str],
        payload_hash: str | None,
    ) -> dict[str, str]:
        """Sign a request that has headers to sign, or another payload than the default."""
        request, names, signed = self._compose(
            context, method, host, target, selected, payload_hash
        )
        signature = context.key.signature(hash_of(request))
        signed["Authorization"] = self._authorization(context.scope, names) + signature
        return signed

    def canonical_request(
        self,
        method: str,
        host: str,
        target: str,
        headers: HeaderPairs = (),
        *,
        payload_hash: str | None = None,
        now: float | datetime | None = None,
    ) -> str:
        """The canonical request that :meth:`sign` hashes, given the same arguments.

        A character stands for a byte. It holds the session token: do not log it.
        """
        context = self.context_at(now)
        selected = self.selected(headers)
        request, _, _ = self._compose(context, method, host, target, selected, payload_hash)
        return request.decode("latin-1")

    def string_to_sign(
        self,
        method: str,
        host: str,
        target: str,
        headers: HeaderPairs = (),
        *,
        payload_hash: str | None = None,
        now: float | datetime | None = None,
    ) -> str:
        """The string to sign that :meth:`sign` signs, given the same arguments."""
        context = self.context_at(now)
        selected = self.selected(headers)
        request, _, _ = self._compose(context, method, host, target, selected, payload_hash)
        return context.string_to_sign_prefix + hash_of(request)

    def _compose(
        self,
        context: SigningContext,
        method: str,
        host: str,
        target: str,
        selected: dict[str, str],
        payload_hash: str | None,
    ) -> tuple[bytes, str, dict[str, str]]:
        """The canonical request, the names of its signed headers, and the headers to set."""
        payload, added = self._default_payload, context.headers.copy()
        if payload_hash is not None:
            check_payload_hash(payload_hash)
            payload = payload_hash
            added.pop("x-amz-content-sha256", None)
            added.update(self._payload_header(payload))
        self.check(method, host)
        signed = {"host": host, **added, **selected}
        names, block = canonical_headers(signed)
        lines = self.target_lines(target)
        return canonical_request(method, lines, block, names, payload), names, added

    def selected(self, headers: HeaderPairs) -> dict[str, str]:
        """The request's own headers that are signed; those of one name are joined."""
        names: list[str] = []
        values: list[str] = []
        for given_name, value in header_pairs(headers):
            try:
                name = _name_to_sign(given_name, self.signed_headers)
            except TypeError:  # not hashable
                check_str("a header's name", given_name)
                raise
            if name:
                names.append(name)
                values.append(value)
        return joined_headers(names, values) if names else {}

    def _payload_header(self, payload: str) -> dict[str, str]:
        # Every service must be told of a payload that is no hash, such as UNSIGNED-PAYLOAD.
        if self._sends_payload_hash or len(payload) != len(EMPTY_PAYLOAD):
            return {"x-amz-content-sha256": payload}
        return {}

    def query_payload(self, payload_hash: str | None) -> tuple[str, dict[str, str]]:
        """The payload's hash for a signature in the query, and the headers to send with it.

        For S3 it is always ``UNSIGNED-PAYLOAD``, and no header says so.
        """
        if payload_hash is not None:
            check_payload_hash(payload_hash)
        if not self.signs_payload_in_query:
            return UNSIGNED_PAYLOAD, {}
        payload = payload_hash or self._default_payload
        return payload, self._payload_header(payload)

    def _authorization(self, scope: str, names: str) -> str:
        return (
            f"{self.algorithm} Credential={self.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature="
        )

    def check(self, method: str, host: str) -> None:
        check_method(method)
        if host not in self._hosts:
            check_host(host)
            if len(self._hosts) >= _KNOWN_HOSTS:
                self._hosts = set()
            self._hosts.add(host)

    def context_at(self, now: float | datetime | None) -> SigningContext:
        seconds = time() if now is None else _seconds(now)
        context = self._context
        # Both bounds: a clock may step back.
        if not context.start <= seconds < context.end:
            self._context = context = self._new_context(seconds)
        return context

    def _new_context(self, seconds: float) -> SigningContext:
        try:
            moment = gmtime(seconds)
        except (OverflowError, ValueError, OSError):
            raise SigningError(f"now is {seconds!r}, which is no time in seconds") from None
        if not _FIRST_YEAR <= moment.tm_year <= _LAST_YEAR:
            raise SigningError(
                f"now is {seconds!r}, which is no time that x-amz-date can say: "
                f"it is in the year {moment.tm_year}"
            )
        amz_date = strftime("%Y%m%dT%H%M%SZ", moment)
        start = float(floor(seconds))
        date = amz_date[:8]
        scope = self._scope(date)
        prefix = f"{self.algorithm}\n{amz_date}\n{scope}\n"
        headers = {**self._payload_header(self._default_payload), "x-amz-date": amz_date}
        headers.update(self._extra_headers())
        if self.token:
            headers["x-amz-security-token"] = self.token
        # They stand in canonical order, and host would be the first.
        names = ";".join(["host", *headers])
        block = "".join([f"{name}:{value}\n" for name, value in headers.items()])
        return SigningContext(
            start=start,
            end=start + 1.0,
            amz_date=amz_date,
            scope=scope,
            string_to_sign_prefix=prefix,
            headers=headers,
            canonical_suffix=f"\n{block}\n{names}\n{self._default_payload}".encode(),
            authorization=self._authorization(scope, names),
            key=self._key_for(date, prefix),
        )


# A program has few header names; each is looked up in 0.1 µs rather than checked in 0.4 µs.
@lru_cache(maxsize=256)
def _name_to_sign(given_name: str, more: frozenset[str]) -> str:
    """A header's name in lower case if the header is signed, else an empty text.

    :raises InvalidHeaderError: for what is no str, and for a signed header's that is no name.
    """
    check_str("a header's name", given_name)
    name = given_name.lower()
    if name in more or (name.startswith("x-amz-") and name not in SIGNATURE_HEADERS):
        check_header(given_name, "")
        return name
    return ""


def _default_path_encoding(service: str) -> PathEncoding:
    # "Create a signed AWS API request": all services but S3 encode the path twice.
    return "single" if service in S3_SERVICES else "double"


_PIECE = 1984  # a multiple of SHA-256's block
_EMPTY = sha256()


def hash_of(request: bytes) -> str:
    """The SHA-256 of a canonical request, in hex."""
    hasher = sha256(request[:_PIECE])
    for start in range(_PIECE, len(request), _PIECE):
        hasher.update(request[start : start + _PIECE])
    return hasher.hexdigest()


def _seconds(now: float | datetime) -> float:
    if isinstance(now, datetime):
        if now.utcoffset() is None:
            raise SigningError(f"now is {now!r}, which has no time zone; give an aware datetime")
        return now.timestamp()
    if not isinstance(now, int | float):
        raise SigningError(
            f"now must be seconds since the epoch or an aware datetime, not {type(now).__name__}"
        )
    return now
