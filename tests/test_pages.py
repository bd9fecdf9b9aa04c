"""The documentation's pages say nothing that does not run, and lead nowhere that is not there."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import tomllib

import pytest
import requests

from lattice_client import LatticeAuth
from support.documents import ROOT, Block, blocks, calls_a_service, run_tests

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# Their programs want another world than this one; their own tests run them.
RUN_ELSEWHERE = {
    "command-line.md",
    "faults.md",
    "identity.md",
    "local-lattice-policies.md",
    "local-lattice.md",
    "names.md",
    "test-your-program.md",
}
BLOCKS = [block for page in PAGES for block in blocks(page) if page.name not in RUN_ELSEWHERE]
PROGRAMS = [block for block in BLOCKS if block.program]
TESTS = [block for block in BLOCKS if block.is_test]


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_a_program_runs(block, run_documented):
    if block.page == "niquests.md":
        pytest.importorskip("niquests", reason="its environment is that of scripts/test --niquests")
    records = run_documented(block).records
    assert {record["responseCode"] for record in records} == (
        {200} if calls_a_service(block) else set()
    )
    assert all("assumed-role/orders-frontend" in str(r["callerPrincipal"]) for r in records)


def test_tests_pass(tmp_path):
    """Those that pages show, all in one run of pytest."""
    for number, block in enumerate(TESTS):
        name = f"test_{block.page.removesuffix('.md').replace('-', '_')}_{number}.py"
        (tmp_path / name).write_text(block.text, encoding="utf-8")
    there = sum(block.text.count("def test_") for block in TESTS)
    assert f"{there} passed" in run_tests(tmp_path)


def test_every_fence_is_known():
    """A Python block that the pattern above does not see would not be run."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert len(re.findall(r"^```\w", text, flags=re.MULTILINE)) == len(blocks(page)), page.name
        assert not re.search(r"^ +```(python|diff)", text, flags=re.MULTILINE), page.name


def test_every_page_is_in_the_navigation():
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    named = set(_pages_of(site["nav"]))
    assert named == {page.relative_to(DOCS).as_posix() for page in PAGES}


@pytest.mark.parametrize("module", ["", ".testing", ".names"])
def test_every_public_name_is_in_the_reference(module):
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("reference/*.md"))
    shown = set()
    for identifier in re.findall(r"^::: (\S+)", pages, flags=re.MULTILINE):
        shown.add(identifier.rpartition(".")[2])
        shown |= set(getattr(pkgutil.resolve_name(identifier), "__all__", ()))
    public = set(importlib.import_module(f"lattice_client{module}").__all__) - {"__version__"}
    assert public <= shown, public - shown


def _pages_of(entry):
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [page for each in entries for page in _pages_of(each)]


@pytest.mark.parametrize(
    "page",
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
        *PAGES,
        ROOT / "examples" / "README.md",
    ],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_links_within_the_repository_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        there = page.parent.joinpath(path) if path else page
        assert there.exists(), target
        assert not anchor or anchor in _anchors(there), target


def _anchors(page):
    fence = re.compile(r"^```.*?^```$", flags=re.MULTILINE | re.DOTALL)
    text = fence.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class TestTheBlocksThemselves:
    def test_of_a_diff_the_result_counts(self):
        block = Block("p.md", "h", 0, "diff", None, " import a\n-old()\n+new()\n")
        assert block.program == "import a\nnew()"

    def test_a_wrong_program_fails(self, run_documented):
        with pytest.raises(ZeroDivisionError):
            run_documented(Block("p.md", "h", 0, "python", None, "async def main(): 1 / 0\n"))

    def test_a_call_is_seen(self, run_documented):
        text = (
            "from urllib.request import urlopen\n"
            "from urllib.error import HTTPError\n"
            "try:\n    urlopen('https://orders.internal.example.com/')\n"
            "except HTTPError as error:\n    error.close()\n"
        )
        result = run_documented(Block("p.md", "h", 0, "python", None, text))
        assert [record["responseCode"] for record in result.records] == [403]


@pytest.mark.parametrize(
    ("title", "anonymous", "others"), [("both.json", 200, 200), ("signed.json", 403, 403)]
)
def test_the_policies_for_moving_let_in_whom_they_say(lattice, title, anonymous, others):
    (document,) = (block.text for block in blocks(DOCS / "moving.md") if block.title == title)
    lattice.service("orders").auth.policy = json.loads(document)
    lattice.add_caller("reports")
    statuses = []
    for auth in (
        None,
        LatticeAuth(region="us-west-2", credentials=lattice.caller("reports").credentials),
        LatticeAuth(region="us-west-2", credentials=lattice.caller("orders-frontend").credentials),
    ):
        with requests.get(lattice.url_for("orders"), auth=auth) as response:
            statuses.append(response.status_code)
    assert statuses == [anonymous, others, 200]
