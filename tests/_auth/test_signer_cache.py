"""What the signers of one auth object keep for each host."""

from __future__ import annotations

from collections.abc import Callable

from lattice_client import Credentials
from lattice_client._auth.signer_cache import SignerCache
from lattice_client.signing import SigV4Signer
from support import canary

HOST = "orders.example.com"


class Provider:
    """Calls a function the next time that it is asked."""

    then: Callable[[], None] | None = None

    def __init__(self) -> None:
        self._credentials = canary.credentials()

    def peek(self) -> Credentials:
        then, self.then = self.then, None
        if then is not None:
            then()
        return self._credentials

    get = peek


def test_an_encoding_that_is_set_while_a_signer_is_found_is_kept():
    """Else all later calls would be signed with the former one, and refused."""
    provider = Provider()

    def make(credentials, region, encoding):
        return SigV4Signer(
            credentials, region, "vpc-lattice-svcs", path_encoding=encoding or "double"
        )

    signers = SignerCache(provider, "us-west-2", make)
    signers.get("another.example.com")
    provider.then = lambda: signers.set_encoding(HOST, "single")
    signers.cached(HOST)
    found = signers.cached(HOST) or signers.get(HOST)
    assert found.path_encoding == "single"
