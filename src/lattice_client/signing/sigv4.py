"""AWS Signature Version 4 ("AWS Signature Version 4 for API requests", IAM User Guide)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from lattice_client._regions import check_region
from lattice_client._secrecy import forgetful
from lattice_client.signing.canonical import Normalization, PathEncoding
from lattice_client.signing.signer import LATTICE, Signer
from lattice_client.signing.validation import CredentialsLike

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["SigV4Signer"]


_BLOCK = 64  # bytes, of SHA-256
# RFC 2104's ipad and opad, as tables for bytes.translate(): a signing key in half the time.
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


def _hmac_of(key: bytes, message: str) -> bytes:
    """The HMAC-SHA256 of one message, in half the time of :mod:`hmac`.

    :param key: of 64 bytes at most.
    """
    block = key.ljust(_BLOCK, b"\0")
    inner = sha256(block.translate(_INNER_PAD) + message.encode()).digest()
    return sha256(block.translate(_OUTER_PAD) + inner).digest()


class _Hmac:
    """HMAC-SHA256 (RFC 2104) with a key, kept as its two hash states.

    A signature then only copies a state: the key and the messages' common prefix are hashed once.
    """

    __slots__ = ("inner", "outer")

    def __init__(self, inner: _Hash, outer: _Hash) -> None:
        self.inner = inner
        self.outer = outer

    @classmethod
    def keyed(cls, key: bytes) -> _Hmac:
        """:param key: of 64 bytes at most."""
        block = key.ljust(_BLOCK, b"\0")
        return cls(sha256(block.translate(_INNER_PAD)), sha256(block.translate(_OUTER_PAD)))

    def absorbed(self, prefix: str) -> _Hmac:
        """The same for messages that begin with ``prefix``."""
        inner = self.inner.copy()
        inner.update(prefix.encode())
        return _Hmac(inner, self.outer)

    def signature(self, message: str) -> str:
        """The HMAC in hex."""
        inner = self.inner.copy()
        inner.update(message.encode())
        outer = self.outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


_NO_DAY = ("", _Hmac.keyed(b""))


class SigV4Signer(Signer):
    """Signs requests with one set of credentials for one region and service.

    :param credentials: access key, secret key and token.
    :param region: for example ``eu-west-1``.
    :param service: the signing name.
    :param path_encoding: ``double`` (the default but for S3), ``double-raw`` or ``single``.
    :param normalization: whether dot segments and repeated slashes are resolved in a
        double-encoded path: ``rfc3986`` or ``none``.
    :param signed_headers: names of headers to sign beside host and ``x-amz-*``, where a request
        has them. With ``x-amz-content-sha256`` among them, the payload's hash is sent even to a
        service that does not ask for it.
    :raises RegionError: for what is no region, such as a zone.
    :raises ConfigurationError: for any other argument that cannot work.
    :raises InvalidCredentialsError: for credentials that cannot stand in a header.

    It may be used from many threads at once. It refreshes nothing: new credentials need a new
    signer.
    """

    algorithm = "AWS4-HMAC-SHA256"

    @forgetful
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
        check_region(region)
        self.region = region
        # The HMAC under the signing key, and the day that the key is for.
        self._day = _NO_DAY
        super().__init__(
            credentials,
            service,
            path_encoding=path_encoding,
            normalization=normalization,
            signed_headers=signed_headers,
        )

    def _scope(self, date: str) -> str:
        return f"{date}/{self.region}/{self.service}/aws4_request"

    def _key_for(self, date: str, prefix: str) -> _Hmac:
        day, hmac = self._day
        if day != date:
            key = f"AWS4{self._secret_key}".encode()
            if len(key) > _BLOCK:
                key = sha256(key).digest()
            for part in (date, self.region, self.service, "aws4_request"):
                key = _hmac_of(key, part)
            hmac = _Hmac.keyed(key)
            self._day = (date, hmac)
        return hmac.absorbed(prefix)
