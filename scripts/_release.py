"""The steps of scripts/release-check."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from _environment import ROOT

DIST = ROOT / "dist"
WORK = ROOT / "build" / "release"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = tuple(extra for extra in PROJECT["optional-dependencies"] if extra != "all")
# niquests is not one of them: it brings what takes the place of urllib3.
TOGETHER = tuple(re.findall(r"[\w-]+", PROJECT["optional-dependencies"]["all"][0].split("[")[1]))
SMOKE = ROOT / "scripts" / "_smoke.py"
_started = monotonic()


class ReleaseFaultError(Exception):
    """A fault of the release, in a sentence."""


def say(text: str) -> None:
    print(f"[{monotonic() - _started:5.1f} s] {text}", flush=True)


def need(holds: object, fault: str) -> None:
    if not holds:
        raise ReleaseFaultError(fault)


def quietly(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """Runs a command; shows its output only if it fails."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ReleaseFaultError(
            f"{' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}"
        )
    return result.stdout


# The distributions


def build(tools: str) -> tuple[Path, Path]:
    """Builds wheel and sdist in dist/; both must be reproducible, byte for byte, from the sdist."""
    shutil.rmtree(DIST, ignore_errors=True)
    quietly(tools, "-m", "build", "--no-isolation", "--outdir", DIST)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    with TemporaryDirectory() as temporary:
        source = unpacked(sdist, Path(temporary))
        again, straight = Path(temporary, "again"), Path(temporary, "straight")
        quietly(tools, "-m", "build", "--no-isolation", "--outdir", again, cwd=source)
        quietly(tools, "-m", "build", "--no-isolation", "--wheel", "--outdir", straight)
        for one, other in (
            (wheel, straight / wheel.name),
            (wheel, again / wheel.name),
            (sdist, again / sdist.name),
        ):
            need(
                filecmp.cmp(one, other, shallow=False),
                f"{one.name} differs when built again",
            )
    return wheel, sdist


def unpacked(sdist: Path, into: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    return into / sdist.name.removesuffix(".tar.gz")


def check_contents(wheel: Path, sdist: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata_file,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        page = archive.read(metadata_file).decode()
    relative = re.findall(r"\]\((?!https?:|#)([^)]+)\)", page)
    need(not relative, f"these links of README lead nowhere on an index's page: {relative}")
    repository = PROJECT["urls"]["Repository"]
    if ".example/" in repository:
        say(f"the repository's address is still a placeholder: {repository}")
    roots = {name.partition("/")[0] for name in names}
    metadata = {root for root in roots if root.endswith(".dist-info")}
    need(roots - metadata == {"lattice_client"}, f"the wheel holds {sorted(roots)}")
    need("lattice_client/py.typed" in names, "the wheel has no py.typed")
    need(any(name.endswith("licenses/LICENSE") for name in names), "the wheel has no licence")
    with tarfile.open(sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    committed = set(quietly("git", "ls-files", "src", "tests", "docs", "examples").split("\n"))
    missing = sorted(filter(None, committed - files))
    need(not missing, f"the sdist lacks {missing}")


# Environments with the wheel and nothing of this checkout


class Interpreter:
    """One of the machine's interpreters, its wheels and its environments."""

    def __init__(self, python: str, tools: str, wheel: Path) -> None:
        self.python, self.tools, self.wheel = python, tools, wheel
        said = quietly(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        self.label = said.strip()
        self.folder = WORK / self.label
        self.house = self.folder / "wheelhouse"

    def fetch(self) -> None:
        """Downloads the dependencies of all extras once."""
        bare = self._make("bare")
        self._pip(bare, "download", "--dest", self.house, f"{self.wheel}[{','.join(EXTRAS)}]")

    def environment(self, name: str, extras: tuple[str, ...]) -> str:
        """The interpreter of a new environment with the wheel and these extras."""
        executable = self._make(name)
        wanted = f"{self.wheel}[{','.join(extras)}]" if extras else str(self.wheel)
        offline = ("--no-index", "--find-links", self.house)
        self._pip(executable, "install", "--no-compile", *offline, wanted)
        return executable

    def oldest_libraries(self) -> str:
        """The interpreter of a new environment with the oldest supported libraries."""
        executable = self._make("oldest")
        floors = ROOT / "tests" / "floors.txt"
        self._pip(executable, "install", "--constraint", floors, f"{self.wheel}[all]")
        return executable

    def install(self, executable: str, *arguments: str | Path) -> None:
        self._pip(executable, "install", *arguments)

    def _make(self, name: str) -> str:
        folder = self.folder / name
        quietly(self.python, "-m", "venv", "--clear", "--without-pip", folder)
        return str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    def _pip(self, executable: str, command: str, *arguments: str | Path) -> None:
        pip = (self.tools, "-m", "pip", "--python", executable)
        quietly(*pip, command, "--quiet", "--disable-pip-version-check", *arguments)


@contextmanager
def local_lattice(executable: str) -> Iterator[dict[str, str]]:
    """Serves a local Lattice from the wheel; yields the environment variables for its callers."""
    server = subprocess.Popen(
        [executable, "-I", SMOKE, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout  # noqa: S101 for the type checkers
        yield json.loads(server.stdout.readline())
    finally:
        server.communicate(timeout=30)


def try_extras(interpreter: Interpreter, *, oldest: bool) -> tuple[str, str]:
    """Calls a local Lattice with no extra, with each alone and with those of ``all``.

    :param oldest: whether also with the oldest supported version of each library.
    :returns: the interpreters of the environments with none and with all.
    """
    interpreter.fetch()
    version = interpreter.wheel.name.split("-")[1]
    sets = {"all": TOGETHER, "core": (), **{extra: (extra,) for extra in EXTRAS}}
    # In parallel: pip uses the processor more than the network.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = dict(zip(sets, pool.map(interpreter.environment, sets, sets.values()), strict=True))
        with local_lattice(made["all"]) as settings:

            def attempt(name: str) -> None:
                smoke = (made[name], "-I", SMOKE, "try", version, *sets[name])
                quietly(*smoke, cwd=interpreter.folder, **settings)

            list(pool.map(attempt, made))
            if oldest:
                made["oldest"] = interpreter.oldest_libraries()
                sets["oldest"] = TOGETHER
                attempt("oldest")
    return made["core"], made["all"]


def check_types(interpreter: Interpreter, executable: str, dev: str) -> None:
    """Users' code under both type checkers, against the installed wheel."""
    # What a user of typed sessions and credentials of botocore's has.
    interpreter.install(executable, "botocore-stubs")
    with TemporaryDirectory() as temporary:
        code = Path(temporary, "users_code")
        shutil.copytree(ROOT / "tests" / "typing", code)
        quietly(
            dev, "-m", "mypy", "--strict", "--config-file=", "--python-executable", executable,
            "--cache-dir", Path(temporary, "cache"), code, cwd=Path(temporary),
        )  # fmt: skip
        quietly(dev, "-m", "pyright", "--pythonpath", executable, code, cwd=Path(temporary))


def check_size(executable: str) -> None:
    """Checks README's figures: the sizes of the package and its dependencies, and their number."""
    measure = (
        "import json; from importlib.metadata import distributions as all;"
        "size = lambda files: sum(file.locate().stat().st_size for file in files);"
        "print(json.dumps({each.name: size(each.files) for each in all()}))"
    )
    sizes: dict[str, int] = json.loads(quietly(executable, "-I", "-c", measure))
    own = sizes.pop("vpc-lattice-client") / 1e6
    others = sum(sizes.values()) / 1e6
    say(f"installed: {own:.2f} MB; it brings {', '.join(sorted(sizes))}: {others:.1f} MB")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pattern = r"less\s+than\s+([\d.]+)\s+MB\b.*?brings\s+(\d+)\s+packages.*?(\d+)\s+MB"
    stated = re.search(pattern, readme, re.DOTALL)
    need(stated, "README does not state the package's size")
    assert stated  # noqa: S101 for the type checkers
    need(own < float(stated[1]), f"README says less than {stated[1]} MB; it is {own:.2f} MB")
    need(len(sizes) == int(stated[2]), f"README says {stated[2]} packages; it is {sorted(sizes)}")
    need(
        abs(others - float(stated[3])) <= 0.2 * others,
        f"README says that the dependencies take {stated[3]} MB; it is {others:.1f} MB",
    )


def list_parts(executable: str, tools: str) -> None:
    """Writes the bill of materials and the licences of all dependencies."""
    scripts = Path(tools).parent
    quietly(
        scripts / "cyclonedx-py", "environment", executable, "--pyproject", "pyproject.toml",
        "--output-reproducible", "--output-file", WORK / "sbom.cdx.json",
    )  # fmt: skip
    quietly(
        scripts / "pip-licenses", "--python", executable, "--from=mixed", "--format=markdown",
        "--output-file", WORK / "licences.md",
    )  # fmt: skip


def test_suite(interpreter: Interpreter, executable: str, sdist: Path) -> None:
    """Runs all tests of the sdist against the wheel. Its src/ is read by the tests of the scripts,
    and not imported."""
    interpreter.install(executable, "--group", f"{ROOT / 'pyproject.toml'}:test")
    with TemporaryDirectory() as temporary:
        source = unpacked(sdist, Path(temporary))
        where = "import lattice_client; print(lattice_client.__file__)"
        imported = quietly(executable, "-c", where, cwd=source).strip()
        need(Path(imported).is_relative_to(interpreter.folder), f"the tests import {imported}")
        tests = subprocess.run(
            [executable, "-m", "pytest", "-q", "-n", "auto"], cwd=source, check=False
        )
        need(tests.returncode == 0, "the tests fail with the wheel")
