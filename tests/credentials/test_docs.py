"""docs/credentials.md names every provider, and its example of a user's provider works."""

from __future__ import annotations

from lattice_client import credentials
from lattice_client.auth import request_signer
from support.documents import ROOT, blocks

PAGE = ROOT / "docs" / "credentials.md"


def test_a_vault_of_ones_own_is_asked(run_documented):
    (vault,) = (block for block in blocks(PAGE) if "from_vault" in block.text)
    names = run_documented(vault).names
    assert request_signer(names["auth"])._signers._provider.get().access_key == "AKIDVAULT"


def test_every_provider_is_there():
    text = PAGE.read_text(encoding="utf-8")
    providers = {name for name in credentials.__all__ if name.endswith("Credentials")}
    for name in providers - {"Credentials", "StaticCredentials"} | {"AssumeRole"}:
        assert f"| `{name}(" in text
