"""The release check tries every extra, with what it has downloaded."""

from __future__ import annotations

import importlib
import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from support.documents import ROOT


@pytest.fixture
def script(monkeypatch):
    """A module of scripts/."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # the scripts remove it
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


def extras_of(requirements):
    """The extras that these requirements ask for."""
    listed = re.findall(r"\[(.*?)\]", " ".join(map(str, requirements)))
    return {extra for each in listed for extra in each.split(",")}


def test_it_knows_what_each_extra_brings_and_how_it_is_used(script):
    release, smoke = script("_release"), script("_smoke")
    assert set(release.EXTRAS) == set(smoke.LIBRARIES) == set(smoke.USES)


def test_what_it_installs_without_the_network_was_downloaded(script, monkeypatch, tmp_path):
    release = script("_release")
    monkeypatch.setattr(release, "WORK", tmp_path)
    monkeypatch.setattr(release, "quietly", lambda *_, **__: "3.11")
    monkeypatch.setattr(release.Interpreter, "_make", lambda _, name: name)
    downloaded, installed = set(), set()

    def pip(_self, _executable, command, *arguments):
        into = downloaded if command == "download" else installed
        into.update(extras_of(arguments))

    monkeypatch.setattr(release.Interpreter, "_pip", pip)
    monkeypatch.setattr(release, "local_lattice", lambda _: nullcontext({}))
    interpreter = release.Interpreter("python", "tools", Path("package-1.0-any.whl"))
    release.try_extras(interpreter, oldest=False)
    assert downloaded >= installed == set(release.EXTRAS)
