"""The import contract holds, and it would notice if it did not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="the import contract is checked by scripts/check")

ROOT = Path(__file__).resolve().parents[2]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, 'src')\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_it_holds(copy):
    result = lint(copy)
    assert result.returncode == 0, result.stdout


# Where a forbidden import is, of what, and the contract that forbids it.
FORBIDDEN = [
    ("testing.lattice", "lattice_client.auth", "Imports run downwards only"),
    ("testing.model.services", "lattice_client._auth.host_scope", "Imports run downwards only"),
    ("testing.model.services", "lattice_client.names", "Imports run downwards only"),
    ("testing.verification.verifier", "lattice_client.signing", "Imports run downwards only"),
    ("testing.verification.verifier", "lattice_client.testing.model", "from the leaves up"),
    ("signing.canonical", "lattice_client.credentials", "The core is pure"),
    ("signing.sigv4", "botocore", "The core is pure"),
    ("auth", "httpx", "One file for each HTTP library"),
    ("credentials.botocore_chain", "lattice_client.auth", "Imports run downwards only"),
    ("credentials.value", "lattice_client.credentials.botocore_chain", "from the value up"),
]


def test_it_notices(copy):
    for module, imported, _ in FORBIDDEN:
        path = copy / "src" / "lattice_client" / f"{module.replace('.', '/')}.py"
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\nimport {imported}\n")
    result = lint(copy)
    assert result.returncode != 0
    # Each broken contract's heading is underlined; long lines are wrapped.
    broken = re.split(r"\n(?=.+\n-+\n)", result.stdout.split("Broken contracts")[-1])
    for module, imported, contract in FORBIDDEN:
        (told,) = (" ".join(part.split()) for part in broken if contract in part.split("\n---")[0])
        assert f"lattice_client.{module} -> {imported} (" in told


def test_a_new_module_has_to_find_its_place(copy):
    (copy / "src/lattice_client/unplaced.py").write_text("import lattice_client.auth\n")
    (copy / "src/lattice_client/testing/unplaced.py").write_text("")
    result = lint(copy)
    assert result.returncode != 0
    told = result.stdout.split("Broken contracts")[-1]
    assert "lattice_client.unplaced" in told
    assert "lattice_client.testing.unplaced" in told
