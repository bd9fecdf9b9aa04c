"""README says nothing that does not run."""

from __future__ import annotations

import re
import tomllib

import pytest

from support.documents import ROOT, blocks, run_tests

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PYPROJECT = SETTINGS["project"]

BLOCKS = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
PROGRAMS = [block for block in BLOCKS if block.program]
TESTS = [block for block in BLOCKS if block.is_test]


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_runs(block, run_documented):
    _, output, records = run_documented(block)
    assert [record["responseCode"] for record in records] == [200]
    assert "assumed-role/orders-frontend" in str(records[0]["callerPrincipal"])
    assert "200" in output


@pytest.mark.parametrize("block", TESTS, ids=str)
def test_a_test_passes(block, tmp_path):
    (tmp_path / "test_readme_block.py").write_text(block.text, encoding="utf-8")
    assert "1 passed" in run_tests(tmp_path)


def test_there_is_one_for_each_library():
    assert len(PROGRAMS) == 7
    assert len(TESTS) == 1
    for library in ("requests", "httpx", "httpx2", "aiohttp"):
        assert any(f"\nimport {library}\n" in f"\n{block.text}" for block in BLOCKS)
    assert len(BLOCKS) == README.count("```python")


def test_the_oldest_supported_versions_are_the_ones_that_are_required():
    requirements = list(PYPROJECT["dependencies"])
    for library in ("requests", "niquests", "httpx", "httpx2", "aiohttp"):
        requirements += PYPROJECT["optional-dependencies"][library]
    stated = dict(re.findall(r"^\| (\w+) \| (\d+\.\d+\.\d+)\b", README, flags=re.MULTILINE))
    oldest = (requirement.partition(",")[0].split(">=") for requirement in requirements)
    assert stated == dict(oldest)


def test_python_versions_are_the_declared_ones():
    declared = re.findall(r":: (3\.\d+)", "\n".join(PYPROJECT["classifiers"]))
    assert f"Python {', '.join(declared[:-1])} and {declared[-1]}." in README


def test_extras_are_there():
    for extras in re.findall(r"vpc-lattice-client\[([\w,]+)\]", README):
        assert set(extras.split(",")) <= PYPROJECT["optional-dependencies"].keys()


def test_its_links_lead_into_the_repository_from_an_index_page():
    hook = SETTINGS["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    page = README
    for each in hook["substitutions"]:
        page = re.sub(each["pattern"], each["replacement"], page)
    files = f"{PYPROJECT['urls']['Repository']}/blob/main/"
    links = re.findall(r"\]\(([^)#\s]+)", page)
    assert all(link.startswith("https://") for link in links)
    into = [link.removeprefix(files) for link in links if link.startswith(files)]
    assert len(into) == len(re.findall(r"\]\((?!https?:|#)", README)) > 0
    assert all((ROOT / path).exists() for path in into)
    named = [url.removeprefix(files) for url in PYPROJECT["urls"].values() if "/blob/" in url]
    assert all((ROOT / path).is_file() for path in named)
