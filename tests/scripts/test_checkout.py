"""What the checkout sets up for editors, for uv, and for the machines that check changes."""

from __future__ import annotations

import os
import re
import tomllib

import pytest
import yaml

from support.documents import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the sdist has none of these files")


def steps(workflow):
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def is_program(path):
    return path.is_file() and os.access(path, os.X_OK)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_workflows_run_scripts_that_are_there(workflow):
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    for command in commands:
        assert is_program(
            ROOT / re.fullmatch(r"python(?:3\.\d+)? (scripts/[\w-]+)( .*)?", command)[1]
        )


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_workflows_pin_what_they_use_and_need_no_secret(workflow):
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", each) for each in used)
    assert "secrets" not in workflow.read_text(encoding="utf-8")


def test_workflows_run_what_ci_runs_on_every_supported_python():
    def arguments(text):
        return {
            tuple(found.split())
            for found in re.findall(r"scripts/((?!interp)\w.*)$", text, re.MULTILINE)
        }

    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace(" </dev/null", "")
    text = "".join(workflow.read_text(encoding="utf-8") for workflow in WORKFLOWS)
    assert arguments(text) >= arguments(ci) > set()
    (matrix,) = re.findall(r"python: \[(.*)\]", text)
    declared = re.findall(r":: (3\.\d+)", "\n".join(PYPROJECT["project"]["classifiers"]))
    assert re.findall(r"[\d.]+", matrix) == declared


def test_the_hook_before_a_commit_is_a_script_that_is_there():
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = (hook for repository in settings["repos"] for hook in repository["hooks"])
    assert hook["language"] == "system"
    assert is_program(ROOT / hook["entry"])


def test_uv_has_its_folder_to_itself_and_its_lock_is_not_committed():
    """The scripts' environments are not in .venv, which uv would remove."""
    text = (ROOT / "scripts" / "_environment.py").read_text(encoding="utf-8")
    (folder,) = re.findall(r'^ENVIRONMENTS = "(.*)"$', text, re.MULTILINE)
    assert folder != ".venv"
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {".venv/", f"{folder}/", "uv.lock"} <= set(ignored)
