"""Which tests run which line, recorded once for each state of the tree."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

__all__ = ["HERE", "Record", "copy_tree", "environment", "record"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
_CACHE = ROOT / ".cache" / "mutants"
# It checks the output of all other tests, so it is relevant to every line.
_SWEEP = "tests/test_secrets.py"


class Record(NamedTuple):
    """Seconds by test; and by file and line the tests that run it."""

    durations: dict[str, float]
    lines: dict[str, dict[str, list[str]]]

    def tests_of(self, file: str, lines: tuple[int, int]) -> list[str]:
        """The tests that run any of these lines, the fastest first."""
        found = {
            test
            for line, tests in self.lines.get(file, {}).items()
            if lines[0] <= int(line) <= lines[1]
            for test in tests
            if test in self.durations
        }
        sweep = {test for test in self.durations if _SWEEP in test}
        return sorted(found | sweep if found else found, key=self.durations.__getitem__)


def copy_tree(copy: Path) -> None:
    """Copy the files that git tracks, or would add, to a new folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    # Tests look for AWS's signing test suite in shared/ beside the checkout.
    beside = ROOT.parent / "shared"
    if beside.is_dir():
        copy.with_name("shared").symlink_to(beside)


def environment(copy: Path, **variables: str) -> dict[str, str]:
    path = os.pathsep.join([str(copy / "src"), str(HERE)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **variables}


def record(python: str, copy: Path, tests: list[str]) -> Record:
    """Run the tests in a copy of the tree, unless that was done with this very tree.

    :param tests: files and folders of tests; none: all.
    """
    cached = _CACHE / f"{_state(copy, tests)}.json"
    if not cached.exists():
        print("Recording which tests run which line (once for each state of the tree) …")
        with tempfile.TemporaryDirectory() as folder:
            found = _run(python, copy, tests, Path(folder))
        shutil.rmtree(_CACHE, ignore_errors=True)
        _CACHE.mkdir(parents=True)
        cached.write_text(json.dumps(found), encoding="utf-8")
    return Record(*json.loads(cached.read_text(encoding="utf-8")))


def _run(python: str, copy: Path, tests: list[str], folder: Path) -> Record:
    options = ["-q", "-n", "auto", "-p", "no:cacheprovider", "-p", "mutants_plugin"]
    source = f"{copy / 'src'}{os.sep}"
    env = environment(copy, MUTANTS_RECORD=str(folder), MUTANTS_SOURCE=source)
    subprocess.run([python, "-m", "pytest", *options, *tests], cwd=copy, env=env, check=False)
    durations = folder / "durations.json"
    if not durations.exists():
        sys.exit("The tests could not be run.")
    passed = json.loads(durations.read_text(encoding="utf-8"))
    lines: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for each in folder.glob("*.lines"):
        _read(each, lines)
    if not lines:
        sys.exit("No test ran the copy's package: is it installed from elsewhere?")
    return Record(
        {ascii(test): seconds for test, seconds in passed.items()},
        {
            f"src/{file}": {line: sorted(names) for line, names in of_file.items()}
            for file, of_file in lines.items()
        },
    )


def _read(file: Path, lines: dict[str, dict[str, set[str]]]) -> None:
    test = ""
    with file.open(encoding="utf-8") as written:
        for entry in written:
            if entry.startswith("test "):
                test = ascii(ast.literal_eval(entry[5:]))
            else:
                name, _, number = entry.rstrip("\n").rpartition(" ")
                lines[name.replace(os.sep, "/")][number].add(test)


def _state(copy: Path, tests: list[str]) -> str:
    state = hashlib.sha256(repr((sys.version_info[:2], sorted(tests))).encode())
    files = [file for part in ("src", "tests") for file in (copy / part).rglob("*")]
    for file in sorted([copy / "pyproject.toml", *filter(Path.is_file, files)]):
        state.update(f"{file.relative_to(copy)}\0".encode() + file.read_bytes())
    return state.hexdigest()[:16]
