"""The programs in docs/local-lattice.md run."""

import json
import re
import sys
import types
from pathlib import Path

import pytest

from lattice_client.testing import load
from lattice_client.testing.templates.default import default_lattice
from support import applications
from support.describe import describe
from support.documents import run_tests

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "local-lattice.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


TEST, MARKED, BUILDER, LOADER = blocks("python")
SMALLEST, FILE, AROUND = blocks("toml")
POLICY = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The modules and files that the page names."""
    for name in ("shop", "shop.orders", "shop.functions"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["shop.orders"], "app", applications.blue, raising=False)
    monkeypatch.setattr(
        sys.modules["shop.functions"], "handler", applications.handler, raising=False
    )
    (tmp_path / "lattice.toml").write_text(FILE)
    (tmp_path / "around.toml").write_text(AROUND)
    (tmp_path / "partners.json").write_text(json.dumps(POLICY))
    monkeypatch.chdir(tmp_path)


def test_the_tests_pass(tmp_path):
    (tmp_path / "test_fixture.py").write_text(TEST)
    (tmp_path / "test_marker.py").write_text(MARKED)
    assert "2 passed" in run_tests(tmp_path)


def test_the_builder_builds(capsys):
    names = {}
    exec(BUILDER, names)
    assert capsys.readouterr().out.count("http://orders.internal.example.com:") == 2
    words = "\n".join(describe(names["lattice"]))
    assert "otherwise: 100 to orders-blue" in words
    assert "1: POST /hooks…: " in words


def test_the_smallest_file_is_what_the_fixtures_have(tmp_path):
    path = tmp_path / "smallest.toml"
    path.write_text(SMALLEST)
    assert len(SMALLEST.splitlines()) == 4
    assert describe(load(path)) == describe(default_lattice())
    assert list(load(path).callers) == list(default_lattice().callers)


def test_the_file_loads(shop):
    names = {}
    exec(LOADER, names)
    assert names["caller"].principal.startswith("arn:aws:sts::222233334444:")
    words = "\n".join(describe(load("lattice.toml")))
    assert "services: orders, rates" in words
    assert "50: /gone: 404" in words
    assert "1: where x-tenant" not in words


def test_the_document_around_a_template_loads(shop, tmp_path):
    (tmp_path / "template.yaml").write_text(
        """
        Parameters: {Stage: {Type: String}}
        Resources:
          OrdersBlue: {Type: AWS::VpcLattice::TargetGroup, Properties: {Type: INSTANCE}}
          OrdersHooks:
            Type: AWS::VpcLattice::TargetGroup
            Properties: {Type: LAMBDA, Targets: [{Id: !GetAtt HooksFunction.Arn}]}
          HooksFunction: {Type: AWS::Lambda::Function}
        """
    )
    lattice = load("around.toml")
    assert "127.0.0.1:8001" in repr(lattice.target_group("orders-blue").targets)
    assert "handler" in repr(lattice.target_group("orders-hooks").targets)
