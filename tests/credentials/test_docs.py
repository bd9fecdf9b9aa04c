"""docs/credentials.md says nothing that does not run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lattice_client import credentials

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "credentials.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_runs(block, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    secret = {"access_key": "A", "secret_key": "s", "token": "t", "expires_at": 4102444800}
    names = {"__name__": "docs", "read_secret": lambda _: secret}
    exec(compile(block, "credentials.md", "exec"), names)
    if "from_vault" in names:
        assert names["auth"]._signers._provider.get().access_key == "A"


def test_every_provider_is_there():
    providers = {name for name in credentials.__all__ if name.endswith("Credentials")}
    for name in providers - {"Credentials", "StaticCredentials"} | {"AssumeRole"}:
        assert f"| `{name}(" in PAGE
    assert len(BLOCKS) == 4
