"""A pytest plugin: tells the recorder which test runs, or runs the selected tests.

MUTANTS_RECORD is the folder for the recordings. MUTANTS_SELECT is a file with the names of the
tests to run, one a line, in this order.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_DURATIONS: dict[str, float] = {}
_FAILED: set[str] = set()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    recorder = getattr(sys.modules.get("sitecustomize"), "recorder", None)
    if recorder is not None:
        recorder.begin(item.nodeid)
    try:
        return (yield)
    finally:
        if recorder is not None:
            recorder.begin("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _DURATIONS[report.nodeid] = _DURATIONS.get(report.nodeid, 0.0) + report.duration
    if report.failed or report.skipped:
        _FAILED.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    folder = os.environ.get("MUTANTS_RECORD")
    if folder and not hasattr(session.config, "workerinput"):
        passed = {test: time for test, time in _DURATIONS.items() if test not in _FAILED}
        Path(folder, "durations.json").write_text(json.dumps(passed), encoding="utf-8")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # First, so that tests that conftest.py puts last stay last.
    selected = os.environ.get("MUTANTS_SELECT")
    if not selected:
        return
    names = Path(selected).read_text(encoding="utf-8").split("\n")
    place = {name: number for number, name in enumerate(names)}
    config.hook.pytest_deselected(items=[item for item in items if ascii(item.nodeid) not in place])
    items[:] = [item for item in items if ascii(item.nodeid) in place]
    items.sort(key=lambda item: place[ascii(item.nodeid)])
