"""SigV4A: its signers, and the bare P-256 signature that is their floor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any

from benchmarks.contenders import HOST, METHOD, OURS, REGION, SERVICE, Contender, available
from benchmarks.peers import Botocore, Crt
from lattice_client import Credentials

__all__ = ["BARE", "CRT_A", "OURS_A", "asymmetric_contenders"]

OURS_A = f"{OURS}, SigV4A"
BARE = "cryptography, bare sign"
CRT_A = "awscrt, SigV4A"


class OursA(Contender):
    name = OURS_A

    def __init__(self, credentials: Credentials) -> None:
        from lattice_client.signing import SigV4ASigner

        super().__init__(credentials)
        self.sign = partial(SigV4ASigner(credentials, (REGION,)).sign, METHOD, HOST)


class Bare(Contender):
    """One ECDSA signature with SHA-256 over as many bytes as a string to sign has."""

    name = BARE

    def __init__(self, credentials: Credentials) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        super().__init__(credentials)
        key = ec.generate_private_key(ec.SECP256R1())
        algorithm = ec.ECDSA(SHA256())
        self.sign = lambda prepared: key.sign(prepared, algorithm)

    def prepare(self, target: str) -> bytes:
        scope = f"20260830/{SERVICE}/aws4_request"
        request_hash = sha256(target.encode()).hexdigest()
        return f"AWS4-ECDSA-P256-SHA256\n20260830T120000Z\n{scope}\n{request_hash}".encode()

    def signed_headers(self, prepared: bytes) -> dict[str, str]:  # noqa: ARG002 it has none
        return {}


class CrtA(Crt):
    name = CRT_A
    algorithm = "V4_ASYMMETRIC"


class BotocoreCrtA(Botocore):
    name = "botocore CrtSigV4AsymAuth"

    def _signer_class(self) -> Callable[..., Any]:
        from botocore.crt.auth import CrtSigV4AsymAuth

        return CrtSigV4AsymAuth


def asymmetric_contenders() -> tuple[dict[str, type[Contender]], dict[str, str]]:
    """All who sign SigV4A here, the bare signature among them; and why the others do not."""
    return available([OursA, Bare, CrtA, BotocoreCrtA])
