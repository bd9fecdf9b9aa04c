"""The map of docs/architecture.md fits the code, and scripts/map would notice if it did not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

import lattice_client
from lattice_client import LatticeAuth, Names
from lattice_client.names import StaticNames
from lattice_client.requests import Session
from lattice_client.testing import LocalLattice, serve
from support.documents import ROOT

SOURCE = f"{lattice_client.__path__[0]}/"
DENY = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def the_map(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import _map

    return _map


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_it_fits():
    command = [sys.executable, str(ROOT / "scripts" / "map"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr


def add_to_retries(copy, text):
    policy = copy / "src/lattice_client/retry/policy.py"
    policy.write_text(policy.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_new_import_is_noticed(the_map, copy):
    add_to_retries(copy, "import lattice_client.signing\n")
    assert the_map.stale(copy) == ["docs/map/client.svg no longer fits the code; run scripts/map"]


def test_an_import_for_type_checkers_changes_nothing(the_map, copy):
    add_to_retries(copy, "if TYPE_CHECKING:\n    import lattice_client.signing\n")
    assert the_map.stale(copy) == []


@pytest.mark.parametrize(
    ("file", "before", "after", "fault"),
    [
        ("src/lattice_client/_calls/loop.py", "def call(", "def go(", "no CallSettings.call"),
        ("docs/architecture.md", "`names/aws_listing.py`", "`names/gone.py`", "no names/gone.py"),
        (
            "docs/architecture.md",
            "| 12 | `_requests/pools.py` | `HTTPConnectionPool._get_conn`",
            "| 12 | `_httpx/connections.py` | `TransportPool.acquire`",
            "client.svg",
        ),
    ],
)
def test_a_stale_page_is_noticed(the_map, copy, file, before, after, fault):
    text = (copy / file).read_text(encoding="utf-8")
    assert before in text
    (copy / file).write_text(text.replace(before, after), encoding="utf-8")
    assert fault in "\n".join(the_map.stale(copy))


def test_the_page_describes_every_module(the_map):
    page = (ROOT / the_map.PAGE).read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for picture in the_map.PICTURES:
        for module in (module for row in the_map.rows(ROOT, picture.package) for module in row):
            assert any(f"`{module}.py`" in row or f"`{module}/`" in row for row in rows), module


@contextmanager
def recorded(calls, *, in_threads=False):
    """Adds each call of a function of ours: its file in src/lattice_client, and its name."""

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(SOURCE):
            file = frame.f_code.co_filename.removeprefix(SOURCE)
            calls.append((file, frame.f_code.co_qualname))

    install = threading.setprofile if in_threads else sys.setprofile
    before = threading.getprofile() if in_threads else sys.getprofile()
    install(note)
    try:
        yield
    finally:
        install(before)


@pytest.fixture
def refused():
    """Makes the call that the page is about."""
    lattice = LocalLattice(region="us-west-2")
    lattice.add_service("orders", policy={"Version": "2012-10-17", **DENY})
    credentials = lattice.add_caller("reports").credentials

    def call(running, calls):
        names = Names(StaticNames({"orders": lattice.service("orders").host}))
        port = running.url_for("orders").rpartition(":")[2].strip("/")
        with running.resolving(), Session(LatticeAuth(credentials=credentials), names=names) as s:
            with recorded(calls):
                response = s.get(f"http://orders:{port}/items")
            assert response.status_code == 403

    return lattice, call


def test_a_request_takes_these_steps(the_map, refused):
    lattice, call = refused
    calls = []
    with serve(lattice) as running:
        call(running, calls)
    steps = the_map.steps(ROOT, the_map.PICTURES[0].heading)
    assert _missed(calls, [(step.path, step.function) for step in steps]) == []


def test_a_refused_request_takes_these_steps(the_map, refused):
    lattice, call = refused
    calls = []
    with recorded(calls, in_threads=True), serve(lattice) as running:
        call(running, [])
    steps = the_map.steps(ROOT, the_map.PICTURES[1].heading)
    assert _missed(calls, [(f"testing/{step.path}", step.function) for step in steps]) == []


def _missed(calls, way):
    """The steps that were not taken, or not in this order."""
    assert len(way) > 10
    missed, rest = [], iter(calls)
    for step in way:
        if step not in rest:
            missed.append(step)
            rest = iter(calls)
    return missed
