"""The programs in docs/identity.md, docs/faults.md and docs/test-your-program.md run."""

import re
from pathlib import Path

import pytest

from support.documents import run_tests

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page):
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", blocks("identity"))
def test_a_block_about_identities_runs(block):
    exec(compile(block, "identity.md", "exec"), {})


@pytest.mark.parametrize("block", blocks("faults"))
def test_a_block_about_faults_runs(block, lattice):
    names = {}
    exec(compile(block, "faults.md", "exec"), names)
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    test(lattice)


def test_your_program_is_tested(tmp_path):
    """The page's programs and their tests, as files beside each other."""
    page = (DOCS / "test-your-program.md").read_text(encoding="utf-8")
    titled = re.findall(
        r"^```python title=\"(.*?)\"\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL
    )
    assert len(titled) == page.count("```python")
    for name, text in titled:
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert name.startswith("test_") or "lattice_client.testing" not in text
    assert "5 passed" in run_tests(tmp_path)


def test_every_fault_is_there():
    from lattice_client.testing.faults.faults import Faults

    page = (DOCS / "faults.md").read_text(encoding="utf-8")
    helpers = {"clear", "remove", "strike", "random"}
    for name in {name for name in vars(Faults) if not name.startswith("_")} - helpers:
        assert f"`{name}(" in page
