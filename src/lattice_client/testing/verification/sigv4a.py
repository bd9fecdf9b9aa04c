"""SigV4A's key and signature, from the verifier's side.

Source: "AWS Signature Version 4 for API requests" (IAM User Guide) for the algorithm, and AWS's C
runtime for the derivation: NIST SP 800-108 in counter mode, then FIPS 186-4 B.4.2, key pair
generation by testing candidates.
"""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["ALGORITHM", "private_value", "signature_matches"]

ALGORITHM = "AWS4-ECDSA-P256-SHA256"

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def private_value(access_key: str, secret_key: str) -> int:
    """The P-256 private value that AWS derives from an access key and a secret key.

    :raises ValueError: if no counter gives a usable candidate (odds: about 2**-8000).
    """
    key = b"AWS4A" + secret_key.encode()
    for counter in range(1, 255):
        message = b"\x00\x00\x00\x01" + ALGORITHM.encode() + b"\x00"
        message += access_key.encode() + bytes([counter]) + (256).to_bytes(4, "big")
        candidate = int.from_bytes(hmac.new(key, message, hashlib.sha256).digest(), "big")
        if candidate <= _P256_ORDER - 2:
            return candidate + 1
    raise ValueError("no P-256 key can be derived from this access key")


def signature_matches(access_key: str, secret_key: str, message: str, signature: bytes) -> bool:
    """Whether ``signature`` (DER) is one of ``message`` by the key derived from these two.

    A pair (r, s) has one encoding, DER's. The pair (r, n - s) is also a valid signature of the same
    message (SEC 1, section 4.1.4). Both are accepted, because signers make both: about half of the
    signatures of AWS's C runtime and of OpenSSL have the larger s.

    :raises MissingExtraError: if ``cryptography`` is not installed.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        from lattice_client.errors import MissingExtraError

        raise MissingExtraError("testing", "cryptography") from None

    key = ec.derive_private_key(private_value(access_key, secret_key), ec.SECP256R1())
    try:
        key.public_key().verify(signature, message.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
