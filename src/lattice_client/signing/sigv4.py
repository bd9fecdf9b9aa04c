"""AWS Signature Version 4 ("AWS Signature Version 4 for API requests", IAM User Guide)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING

from lattice_client.errors import ConfigurationError, RegionError
from lattice_client.signing.canonical import (
    USUAL_METHODS,
    HeaderPairs,
    Normalization,
    PathEncoding,
)
from lattice_client.signing.signer import (
    GIL_KEPT_BELOW,
    LATTICE,
    CredentialsLike,
    Signer,
    Stamp,
    hash_of,
)

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["SigV4Signer"]


_BLOCK = 64  # bytes, of SHA-256
_EMPTY = sha256()


class _Hmac:
    """HMAC-SHA256 (RFC 2104) with a key, as the two hash states that the key leads to.

    ``.copy()`` of a state is all that a signature then pays for the key.
    """

    __slots__ = ("inner", "outer")

    def __init__(self, inner: _Hash, outer: _Hash) -> None:
        self.inner = inner
        self.outer = outer

    @classmethod
    def keyed(cls, key: bytes) -> _Hmac:
        if len(key) > _BLOCK:
            key = sha256(key).digest()
        block = key.ljust(_BLOCK, b"\0")
        return cls(
            sha256(bytes(byte ^ 0x36 for byte in block)),
            sha256(bytes(byte ^ 0x5C for byte in block)),
        )

    def absorbed(self, prefix: str) -> _Hmac:
        """The same for messages that begin with ``prefix``."""
        inner = self.inner.copy()
        inner.update(prefix.encode())
        return _Hmac(inner, self.outer)

    def digest(self, message: str) -> bytes:
        outer = self.outer.copy()
        outer.update(self.absorbed(message).inner.digest())
        return outer.digest()


class SigV4Signer(Signer):
    """Signs requests with one set of credentials for one region and service.

    :param credentials: access key, secret key and token.
    :param region: for example ``eu-west-1``.
    :param service: the signing name.
    :param path_encoding: ``double`` (the default but for S3) or ``single``.
    :param normalization: whether dot segments and repeated slashes are resolved in a
        double-encoded path: ``rfc3986`` or ``none``.
    :param signed_headers: names of headers to sign beside host and ``x-amz-*``, where a request
        has them. With ``x-amz-content-sha256`` among them, the payload's hash is sent even to a
        service that does not ask for it.
    :raises ConfigurationError: for an argument that cannot work.

    May be used from many threads at once. Nothing is refreshed: new credentials, new signer.
    """

    algorithm = "AWS4-HMAC-SHA256"

    def __init__(
        self,
        credentials: CredentialsLike,
        region: str,
        service: str = LATTICE,
        *,
        path_encoding: PathEncoding | None = None,
        normalization: Normalization = "rfc3986",
        signed_headers: Iterable[str] = (),
    ) -> None:
        self.region = _checked_region(region)
        # The HMAC under the signing key, and the day that the key is for.
        self._day: tuple[str, _Hmac] = ("", _Hmac.keyed(b""))
        super().__init__(
            credentials,
            service,
            path_encoding=path_encoding,
            normalization=normalization,
            signed_headers=signed_headers,
        )

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
        if headers:
            headers = self.selected(headers)
        if headers or (payload_hash is not None and payload_hash != self._default_payload):
            return super().sign(method, host, target, headers, payload_hash=payload_hash, now=now)
        # The hot path: what Signer.sign() does for such a request, without its calls. They would
        # take it from twice what CPython's hashing alone takes to 2.4 times.
        stamp = self._stamp
        try:
            of_this_second = stamp.start <= (time() if now is None else now) < stamp.end  # type: ignore[operator]
        except TypeError:  # a datetime
            of_this_second = False
        if not of_this_second:
            stamp = self.stamp_at(now)
        if host not in self._hosts or method not in USUAL_METHODS:
            self.check(method, host)
        request = (
            f"{method}\n{self.target_lines(target)}\nhost:{host}".encode("latin-1") + stamp.tail
        )
        if len(request) < GIL_KEPT_BELOW:
            # A copy of an empty state is had sooner than a new one: 0.05 µs on 3.11 and 3.13.
            hasher = _EMPTY.copy()
            hasher.update(request)
            request_hash = hasher.hexdigest()
        else:
            request_hash = hash_of(request)
        inner = stamp.ready.inner.copy()
        inner.update(request_hash.encode())
        outer = stamp.ready.outer.copy()
        outer.update(inner.digest())
        signed = stamp.headers.copy()
        signed["Authorization"] = stamp.authorization + outer.hexdigest()
        return signed

    def _scope(self, date: str) -> str:
        return f"{date}/{self.region}/{self.service}/aws4_request"

    def _make_ready(self, date: str, prefix: str) -> _Hmac:
        day, hmac = self._day
        if day != date:
            key = f"AWS4{self.credentials.secret_key}".encode()
            for part in (date, self.region, self.service, "aws4_request"):
                key = _Hmac.keyed(key).digest(part)
            hmac = _Hmac.keyed(key)
            self._day = (date, hmac)
        return hmac.absorbed(prefix)

    def signature(self, stamp: Stamp, request_hash: str) -> str:
        hmac: _Hmac = stamp.ready
        return hmac.digest(request_hash).hex()


def _checked_region(region: str) -> str:
    if not region:
        raise RegionError("region is empty; give the region of the service, as in 'eu-west-1'")
    if not region.replace("-", "").isalnum() or not region.isascii():
        raise ConfigurationError(f"{region!r} is no AWS region; they look like 'eu-west-1'")
    return region
