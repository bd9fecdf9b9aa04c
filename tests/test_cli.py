"""The command ``lattice-client``."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest

from lattice_client import __version__, cli, demo

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def test_version():
    result = subprocess.run(
        [sys.executable, "-m", "lattice_client.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout == f"lattice-client {__version__}\n"


def test_the_command_is_installed():
    scripts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["scripts"]
    assert resolve_name(scripts["lattice-client"]) is cli.main


@pytest.mark.parametrize("code", [0, 1, 2])
def test_demo_ends_with_the_demos_exit_code(monkeypatch, code):
    arguments = []
    monkeypatch.setattr(demo, "main", lambda argv: arguments.append(argv) or code)
    assert cli.main(["demo"]) == code
    assert arguments == [[]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--help"], "call a local Lattice"), (["demo", "--help"], "usage: lattice-client demo")],
)
def test_help(capsys, arguments, says):
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main(arguments)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["demo", "--frobnicate"]])
def test_wrong_arguments(capsys, arguments):
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main(arguments)
    assert "usage: lattice-client" in capsys.readouterr().err
