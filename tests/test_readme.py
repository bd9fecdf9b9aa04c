"""README says nothing that does not run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

BLOCKS = {
    section.partition("\n")[0]: block
    for section in re.split(r"^#+ ", README, flags=re.MULTILINE)
    for block in re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
}
PROGRAMS = {heading: block for heading, block in BLOCKS.items() if "def test_" not in block}
TESTS = {heading: block for heading, block in BLOCKS.items() if "def test_" in block}


@pytest.fixture(scope="module")
def services() -> Iterator[list[RunningLattice]]:
    """What README's programs call: a Lattice service, and an API of API Gateway."""
    orders = LocalLattice()
    orders.add_service("orders", domain="orders.internal.example.com")
    api = LocalLattice(service="execute-api")
    api.add_service("api", domain="a1b2c3d4e5.execute-api.us-west-2.amazonaws.com")
    for local in (orders, api):
        local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(orders) as first, serve(api) as second, first.resolving(), second.resolving():
        yield [first, second]


@pytest.fixture
def environment(monkeypatch):
    credentials = canary.credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", credentials.token or "")
    monkeypatch.setenv("AWS_REGION", "us-west-2")


@pytest.mark.parametrize("heading", PROGRAMS)
def test_a_program_runs(heading, services, environment, capsys):
    program = PROGRAMS[heading]
    for running in services:
        running.lattice.clear()
        host = running.service(running.lattice.services[0].name).domain
        assert host is not None
        program = program.replace(f"https://{host}", f"http://{host}:{running.port}")
    exec(compile(program, f"README.md, {heading}", "exec"), {"__name__": "__main__"})
    records = [record for running in services for record in running.access_log]
    assert [record["responseCode"] for record in records] == [200]
    assert "assumed-role/orders-frontend" in str(records[0]["callerPrincipal"])
    assert "200" in capsys.readouterr().out


@pytest.mark.parametrize("heading", TESTS)
def test_a_test_passes(heading, tmp_path):
    path = tmp_path / "test_readme_block.py"
    path.write_text(TESTS[heading], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout


def test_there_is_one_for_each_library():
    assert len(PROGRAMS) == 9
    assert len(TESTS) == 1
    for library in ("requests", "httpx", "httpx2", "aiohttp"):
        assert any(f"\nimport {library}\n" in f"\n{block}" for block in BLOCKS.values())
    assert len(BLOCKS) == README.count("```python")


def test_the_oldest_supported_versions_are_the_ones_that_are_required():
    requirements = list(PYPROJECT["dependencies"])
    for library in ("requests", "httpx", "httpx2", "aiohttp"):
        requirements += PYPROJECT["optional-dependencies"][library]
    stated = dict(re.findall(r"^\| (\w+) \| (\d+\.\d+\.\d+)\b", README, flags=re.MULTILINE))
    assert stated == dict(requirement.split(">=") for requirement in requirements)


def test_python_versions_are_the_declared_ones():
    declared = re.findall(r":: (3\.\d+)", "\n".join(PYPROJECT["classifiers"]))
    assert f"Python {', '.join(declared[:-1])} and {declared[-1]}." in README


def test_extras_are_there():
    for extras in re.findall(r"vpc-lattice-client\[([\w,]+)\]", README):
        assert set(extras.split(",")) <= PYPROJECT["optional-dependencies"].keys()


CALLING = [
    pytest.param(block, id=f"{page}, {number}")
    for page in ("clients", "observability")
    for number, block in enumerate(
        re.findall(
            r"^```python\n(.*?)^```$",
            (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        )
    )
    if "https://" in block
]


@pytest.mark.parametrize("block", CALLING)
def test_the_pages_on_clients_say_nothing_that_does_not_run(block, services, environment):
    orders = services[0]
    orders.lattice.clear()
    host = "orders.internal.example.com"
    names: dict[str, object] = {}
    exec(block.replace(f"https://{host}", f"http://{host}:{orders.port}"), names)
    if "main" in names:
        asyncio.run(names["main"]())
    calls = ("main" in names) + ("response" in names)
    assert [record["responseCode"] for record in orders.access_log] == [200] * calls
    assert calls


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    ],
)
def test_links_within_the_repository_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(((?!https?:)[^)]+)\)", text):
        path, _, anchor = target.partition("#")
        assert (ROOT / page).parent.joinpath(path).exists()
        assert not anchor or anchor in anchors
