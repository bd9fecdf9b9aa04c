"""The checker of the documentation site finds what a reader would stumble over; and what the pages
tell a shell to do is done as it stands."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import ROOT, blocks


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location(
        "_check_site", ROOT / "scripts" / "_check_site.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def faults(tmp_path, checker):
    """What is wrong with a site of these pages, each of which has a source."""

    def check(**pages):
        site, docs = tmp_path / "site", tmp_path / "docs"
        for folder in (site, docs):
            folder.mkdir()
        for name, text in pages.items():
            (site / f"{name}.html").write_text(text, encoding="utf-8")
            (docs / f"{name}.md").write_text("", encoding="utf-8")
        (docs / "unbuilt.md").write_text("", encoding="utf-8")
        return [fault for fault in checker.faults(site, docs) if "unbuilt" not in fault]

    return check


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<a href="gone.html">', "page.html links to gone.html, which is not there"),
        ('<a href="index.html#gone">', "page.html links to index.html#gone, which is not there"),
        ('<a href="#gone">', "page.html links to #gone, which is not there"),
        ('<img src="gone.png">', "page.html links to gone.png, which is not there"),
        (
            '<link href="https://fonts.example.com/f.css">',
            "page.html fetches https://fonts.example.com/f.css",
        ),
        ('<script src="//cdn.example.com/x.js">', "page.html fetches //cdn.example.com/x.js"),
    ],
)
def test_a_fault_is_found(faults, page, fault):
    assert faults(index='<a href="page.html">', page=page) == [fault]


def test_a_page_that_nobody_finds_is_a_fault(faults):
    assert faults(index="", page="") == ["page.html is not in the navigation"]


def test_a_good_site_has_no_faults(faults):
    there = '<h2 id="here"><a href="#here"><a href="index.html#top"><a href="https://example.com/">'
    assert faults(index='<a id="top" href="page.html#here">', page=there) == []


def test_a_public_name_without_a_place_in_the_reference_is_a_fault(tmp_path, checker, monkeypatch):
    monkeypatch.setattr(checker, "PUBLIC", ("", "retry", "testing"))
    package, reference = tmp_path / "package", tmp_path / "reference"
    (package / "testing").mkdir(parents=True)
    (package / "__init__.py").write_text('__all__ = ["Policy", "__version__"]')
    (package / "retry.py").write_text('__all__ = ["Policy", "Decision"]')
    (package / "testing" / "__init__.py").write_text('__all__ = ["Decision"]')
    reference.mkdir()
    anchors = "package.retry.Policy", "package.testing.evaluation.Decision"
    (reference / "page.html").write_text("".join(f'<h2 id="{anchor}">' for anchor in anchors))
    assert checker.unlisted(tmp_path, package) == ["package.retry.Decision is not in the reference"]


def test_every_module_is_known_to_be_public_or_not(checker):
    """A new one has to be put on one of the lists."""
    inner = {
        *("calls", "cli", "clock", "demo", "endpoints", "headers", "hosts", "httpx2", "payload"),
        *("quotas", "redirects", "remedies", "secrecy", "signers", "urls", "wire"),
    }
    package = ROOT / "src" / "lattice_client"
    modules = {path.stem for path in package.iterdir() if not path.name.startswith(("_", "py."))}
    assert modules - inner == set(checker.PUBLIC) - {""}


@pytest.mark.long
@pytest.mark.timeout(900)  # it installs
def test_the_two_minutes_page_does_what_it_says(tmp_path):
    """Its files written and its commands run one after the other, in an empty folder; the release
    that does not exist yet is replaced by this checkout, as the page says."""
    page = blocks(ROOT / "docs" / "start.md")
    commands = [block for block in page if block.language == "sh"]
    assert len(commands) == 3
    for block in page:
        if block.title:
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    script = "".join(block.text for block in commands)
    script = script.replace("'vpc-lattice-client[", f"'{ROOT}[")
    # The page's python3 is the one of this run.
    interpreter = Path(sys.base_prefix, "bin")
    result = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{interpreter}{os.pathsep}{os.environ['PATH']}"},
        timeout=840,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "200 the service saw arn:aws:sts::" in result.stdout
    assert "403 AccessDeniedException: User: anonymous is not authorized" in result.stdout
    assert "1 passed" in result.stdout
