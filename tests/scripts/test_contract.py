"""The import contract holds, and it would notice if it did not."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("testing/lattice.py", "import lattice_client.auth", "downwards"),
        ("testing/model/services.py", "import lattice_client._auth.host_scope", "downwards"),
        ("testing/model/services.py", "import lattice_client.names", "downwards"),
        (
            "testing/verification/verifier.py",
            "from lattice_client.signing import canonical",
            "downwards",
        ),
        ("testing/verification/verifier.py", "import lattice_client.testing.model", "leaves up"),
        ("signing/canonical.py", "import lattice_client.credentials", "core is pure"),
        ("signing/sigv4.py", "import botocore", "core is pure"),
        ("auth.py", "import httpx", "One file for each"),
        ("credentials/botocore_chain.py", "import lattice_client.auth", "downwards"),
        ("credentials/value.py", "import lattice_client.credentials.botocore_chain", "value up to"),
    ],
)
def test_it_notices(copy, module, line, contract):
    path = copy / "src" / "lattice_client" / module
    path.write_text(path.read_text() + f"\n{line}\n")
    result = lint(copy)
    assert result.returncode != 0
    assert contract in result.stdout.split("Broken contracts")[-1]


def test_a_new_module_has_to_find_its_place(copy):
    (copy / "src/lattice_client/unplaced.py").write_text("import lattice_client.auth\n")
    (copy / "src/lattice_client/testing/unplaced.py").write_text("")
    result = lint(copy)
    assert result.returncode != 0
    told = result.stdout.split("Broken contracts")[-1]
    assert "lattice_client.unplaced" in told
    assert "lattice_client.testing.unplaced" in told
