"""The changes that scripts/mutants makes, and what tells it which tests to run."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap

import pytest

from support.documents import ROOT

HERE = ROOT / "scripts" / "_mutants"


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    changes = pytest.importorskip("_mutants.changes")
    return lambda text: [change for place in changes.places(text) for change in place]


def changed(mutants, statement):
    text = f"def f(a, b):\n    {statement}\n"
    made = [change.apply(text) for change in mutants(text)]
    return {each.removeprefix("def f(a, b):\n").strip() for each in made}


@pytest.mark.parametrize(
    ("statement", "some"),
    [
        ("x = a < b", {"x = (a <= b)"}),
        ("x = a and b", {"x = (a or b)", "x = (a)", "x = (b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a + 7", {"x = (a - 7)", "x = a + (8)", "x = a + (6)"}),
        ("x = 'é' + a", {"x = ('é~') + a", "x = ('') + a"}),
        ("x = f'{a - b} is'", {"x = f'{(a + b)} is'"}),
        ("return a", {"return None"}),
        ("a.x = b", {"pass"}),
        ("a += b", {"a -= b", "pass"}),
        ("f(a, b)", {"(f(b, a))", "pass"}),
        ("raise ValueError(1)", {"pass"}),
        ("if a: b()", {"if not (a): b()", "if a: pass"}),
        ("with a: b()", {"if True: b()", "with a: pass"}),
    ],
)
def test_a_statement_and_what_becomes_of_it(mutants, statement, some):
    assert changed(mutants, statement) >= some


@pytest.mark.parametrize(
    "statement",
    [
        "'words'",
        "x: Literal[1]",
        "log().info('words', 1)",
        "return None",
        "__all__ = ['f']",
        "pass",
    ],
)
def test_what_is_left_as_it_is(mutants, statement):
    assert changed(mutants, statement) <= {"pass"}


@pytest.mark.parametrize(
    "file", ["signing/canonical.py", "names/resolver_cache.py", "retry/policy.py"]
)
def test_a_change_is_one_and_can_be_compiled(mutants, file):
    text = (ROOT / "src" / "lattice_client" / file).read_text(encoding="utf-8")
    before = ast.dump(ast.parse(text))
    made = mutants(text)
    assert len(made) > 100
    for change in made[::11]:
        assert ast.dump(ast.parse(change.apply(text))) != before, change


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs sys.monitoring")
def test_the_lines_of_each_test_are_recorded_in_its_children_too(tmp_path):
    source, folder = tmp_path / "src", tmp_path / "record"
    source.mkdir()
    folder.mkdir()
    source.joinpath("package.py").write_text("def f():\n    return 1\ndef g():\n    return 2\n")
    tmp_path.joinpath("test_it.py").write_text(
        textwrap.dedent("""
        import os, subprocess, sys, package
        def test_here():
            assert package.f() == package.f() == 1
        def test_in_a_command():
            subprocess.run([sys.executable, "-c", "import package, os; package.g(); os._exit(0)"])
        """)
    )
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(source), str(HERE)]),
        "MUTANTS_RECORD": str(folder),
        "MUTANTS_SOURCE": f"{source}{os.sep}",
    }
    plugins = ["-p", "mutants_plugin", "-p", "no:cacheprovider"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "test_it.py"],
        cwd=tmp_path,
        env=env,
        check=True,
        timeout=60,
        capture_output=True,
    )
    durations = json.loads(folder.joinpath("durations.json").read_text())
    assert set(durations) == {"test_it.py::test_here", "test_it.py::test_in_a_command"}
    lines = {}
    for file in folder.glob("*.lines"):
        for entry in file.read_text().splitlines():
            if entry.startswith("test "):
                test = ast.literal_eval(entry[5:])
            else:
                lines.setdefault(entry, set()).add(test)
    assert lines["package.py 2"] == {"test_it.py::test_here"}
    assert lines["package.py 4"] == {"test_it.py::test_in_a_command"}
