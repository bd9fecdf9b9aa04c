"""The examples of docs/names.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lattice_client import names
from lattice_client.names import Names, StaticNames
from lattice_client.names.static import VARIABLE

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "names.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_runs(block):
    found = {"__name__": "docs", "look_up_in_consul": lambda _: {"region": "eu-west-3"}}
    exec(compile(block, "names.md", "exec"), found)
    assert isinstance(found["names"], Names)
    if "Consul" in found:
        assert found["names"].resolve("orders.example.com").region == "eu-west-3"


def test_the_map_in_a_file(tmp_path):
    (written,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "names.toml"
    path.write_text(written)
    found = Names(StaticNames.from_file(path))
    assert found.resolve("books.internal.example.com").host == "books.internal.example.com"
    assert found.resolve("shop.eu.example.com").region == "eu-central-1"
    assert not found.resolve("www.eu.example.com").is_lattice


def test_the_map_in_the_environment(monkeypatch):
    (entry,) = re.findall(rf"^export {VARIABLE}='(.*)'$", PAGE, flags=re.MULTILINE)
    monkeypatch.setenv(VARIABLE, entry)
    found = Names().resolve("payments.internal.example.com")
    assert (found.region, found.connect_to) == ("eu-west-1", "127.0.0.1:8080")


def test_every_source_is_there():
    for name in names.__all__:
        if name.endswith("Names") and name != "Names":
            assert f"| `{name}(" in PAGE
    assert len(BLOCKS) == 9
