"""Makes virtual environments inside the checkout, for each version of Python, and uses them.

It needs only Python 3.11 or later.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# The requirements of the tests, and of tests and checks.
TESTS = ("--editable", ".[all]", "--group", "test")
DEVELOPMENT = ("--editable", ".[all]", "--group", "dev")
VERSIONS = [(3, minor) for minor in range(11, 20)]
# uv has .venv to itself.
ENVIRONMENTS = ".venvs"

# The tests start hundreds of interpreters; without bytecode, each compiles the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def need_python(oldest: tuple[int, int] = OLDEST) -> None:
    """Runs the script under a newer interpreter of this machine if this one is too old."""
    if sys.version_info < oldest:
        for interpreter in reversed(interpreters(oldest)):
            os.execv(interpreter, [interpreter, *sys.argv])
        sys.exit(f"Python {oldest[0]}.{oldest[1]} or later is needed; this is {sys.version}")


def interpreters(oldest: tuple[int, int] = OLDEST) -> list[str]:
    """The machine's interpreters from ``oldest`` on, one for each version, oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable]
    candidates += [found for v in VERSIONS if (found := shutil.which(f"python{v[0]}.{v[1]}"))]
    candidates += [str(path) for path in sorted(pyenv.glob("*/bin/python"))]
    found: dict[tuple[int, ...], str] = {}
    for candidate in candidates:
        ask = "import sys; print(*sys.version_info[:2])"
        answer = subprocess.run(  # noqa: PLW1510 a shim without its interpreter fails, and is skipped
            [candidate, "-c", ask], capture_output=True, text=True
        )
        version = tuple(int(part) for part in answer.stdout.split()[:2])
        if answer.returncode == 0 and version >= oldest:
            found.setdefault(version, candidate)
    return [found[version] for version in sorted(found)]


def python(name: str, *requirements: str) -> str:
    """The interpreter of the environment ``name``, made or brought up to date first.

    :param requirements: arguments for ``pip install``, with the checkout as current folder.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = ROOT / ENVIRONMENTS / f"{version}-{name}"
    executable = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = hashlib.sha256(
        b"\0".join([(ROOT / "pyproject.toml").read_bytes(), *map(str.encode, requirements)])
    ).hexdigest()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Setting up {ENVIRONMENTS}/{folder.name} (once; a minute or two) …", file=sys.stderr)
        run(sys.executable, "-m", "venv", "--clear", str(folder))
        # Dependency groups need a newer pip than some interpreters include.
        # Compiling all of it takes 8 s; what is imported is compiled then.
        install = (str(executable), "-m", "pip", "install", "--quiet", "--no-compile")
        run(*install, "--upgrade", "pip>=25.1")
        run(*install, *requirements)
        stamp.write_text(wanted)
    return str(executable)


def run(*command: str) -> None:
    """Runs a command in the checkout; exits with its code if it fails."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)


def become(*command: str) -> None:
    """Replaces this process by the command, run in the checkout."""
    os.chdir(ROOT)
    if os.name == "nt":
        run(*command)
        sys.exit(0)
    os.execv(command[0], command)
