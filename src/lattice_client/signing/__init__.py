"""The pure core: strings and a time in, header values out. Standard library only."""

from lattice_client.signing.canonical import canonical_path, canonical_query
from lattice_client.signing.presign import Presigned, presign
from lattice_client.signing.signer import LATTICE, SIGNATURE_HEADERS
from lattice_client.signing.sigv4 import SigV4Signer
from lattice_client.signing.sigv4a import SigV4ASigner
from lattice_client.signing.validation import EMPTY_PAYLOAD, UNSIGNED_PAYLOAD

__all__ = [
    "EMPTY_PAYLOAD",
    "LATTICE",
    "SIGNATURE_HEADERS",
    "UNSIGNED_PAYLOAD",
    "Presigned",
    "SigV4ASigner",
    "SigV4Signer",
    "canonical_path",
    "canonical_query",
    "presign",
]
