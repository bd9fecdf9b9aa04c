"""AWS Signature Version 4A: one signature for several regions, with an elliptic-curve key.

"AWS Signature Version 4A" (IAM User Guide); the derivation of the key is that of AWS's C runtime,
after NIST SP 800-108 (KDF in counter mode) and FIPS 186-4 B.4.2 (candidates, tested).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from lattice_client._regions import check_region
from lattice_client._secrecy import forgetful
from lattice_client.errors import ConfigurationError, MissingExtraError, RegionError
from lattice_client.signing.canonical import Normalization, PathEncoding
from lattice_client.signing.signer import LATTICE, Signer
from lattice_client.signing.validation import CredentialsLike

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey

__all__ = ["SigV4ASigner", "private_key"]

_ALGORITHM = "AWS4-ECDSA-P256-SHA256"

# The order of the group of P-256 (FIPS 186-4 D.1.2.3).
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_LAST_COUNTER = 254


def private_key(access_key: str, secret_key: str) -> int:
    """The private key that is derived from the credentials: 1 to the curve's order - 1.

    :raises ConfigurationError: where no counter gives one, which in practice never happens.
    """
    import hmac

    key = f"AWS4A{secret_key}".encode()
    for counter in range(1, _LAST_COUNTER + 1):
        message = b"".join(
            (
                (1).to_bytes(4, "big"),
                _ALGORITHM.encode(),
                b"\0",
                access_key.encode(),
                counter.to_bytes(1, "big"),
                (256).to_bytes(4, "big"),
            )
        )
        candidate = int.from_bytes(hmac.digest(key, message, "sha256"), "big")
        if candidate <= _N - 2:
            return candidate + 1
    raise ConfigurationError("these credentials lead to no SigV4A key; make others")


class _Key:
    """The private key of some credentials, for messages that begin with ``prefix``."""

    __slots__ = ("_algorithm", "_prefix", "_private")

    def __init__(self, private: EllipticCurvePrivateKey, algorithm: ECDSA, prefix: str) -> None:
        self._private = private
        self._algorithm = algorithm
        self._prefix = prefix

    @classmethod
    def of(cls, access_key: str, secret_key: str) -> _Key:
        try:
            from cryptography.hazmat.primitives.asymmetric import ec
            from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
            from cryptography.hazmat.primitives.hashes import SHA256
        except ModuleNotFoundError as error:
            if error.name != "cryptography":
                raise
            raise MissingExtraError("sigv4a", "cryptography") from None
        private = ec.derive_private_key(private_key(access_key, secret_key), ec.SECP256R1())
        # hashlib hashes so short a text faster than cryptography does: 2 µs of 35.
        return cls(private, ec.ECDSA(Prehashed(SHA256())), "")

    def absorbed(self, prefix: str) -> _Key:
        """The same for messages that begin with ``prefix``."""
        return _Key(self._private, self._algorithm, prefix)

    def signature(self, message: str) -> str:
        """The ECDSA signature in DER, in hex."""
        digest = sha256((self._prefix + message).encode()).digest()
        return self._private.sign(digest, self._algorithm).hex()


class SigV4ASigner(Signer):
    """Signs requests for several regions at once; the same methods as :class:`SigV4Signer`.

    :param region_set: the regions in which the signature is valid: ``eu-west-1,eu-central-1`` or a
        sequence of such names, ``*`` for all, with wildcards such as ``us-east-*``.
    :raises MissingExtraError: where ``cryptography`` is not installed (extra ``sigv4a``).

    The other parameters are those of :class:`SigV4Signer`. Keep a signer: each derives its key
    once. ECDSA draws a random number for each signature, so no two are alike.
    """

    algorithm = _ALGORITHM

    @forgetful
    def __init__(
        self,
        credentials: CredentialsLike,
        region_set: str | Iterable[str],
        service: str = LATTICE,
        *,
        path_encoding: PathEncoding | None = None,
        normalization: Normalization = "rfc3986",
        signed_headers: Iterable[str] = (),
    ) -> None:
        super().__init__(
            credentials,
            service,
            path_encoding=path_encoding,
            normalization=normalization,
            signed_headers=signed_headers,
        )
        self.region_set = _checked_region_set(region_set)
        self._key = _Key.of(self.access_key, self._secret_key)

    def _scope(self, date: str) -> str:
        return f"{date}/{self.service}/aws4_request"

    def _extra_headers(self) -> dict[str, str]:
        return {"x-amz-region-set": self.region_set}

    def query_parameters(self) -> dict[str, str]:
        return {"X-Amz-Region-Set": self.region_set}

    def _key_for(self, date: str, prefix: str) -> _Key:  # noqa: ARG002 it is the same on any day
        return self._key.absorbed(prefix)


def _checked_region_set(region_set: str | Iterable[str]) -> str:
    given = region_set.split(",") if isinstance(region_set, str) else list(region_set)
    names = [name.strip() for name in given]
    if not any(names):
        raise RegionError("region_set is empty; give regions as in 'eu-west-1,us-east-*', or '*'")
    for name in names:
        if not name:
            raise RegionError(
                "region_set has an empty name, which is no region: remove the extra comma"
            )
        check_region(name, "a name in region_set", wildcards=True)
    return ",".join(names)
