"""Records which lines of the package run, in every Python process of a test run.

Its folder is on PYTHONPATH during the run, so each interpreter imports it at start-up.
"""

from __future__ import annotations

import os
import sys
import time
from types import CodeType

_FOLDER = os.environ.get("MUTANTS_RECORD")
_SOURCE = os.environ.get("MUTANTS_SOURCE", "")


class Recorder:
    """Writes a line for each line that runs, once per test, after a line that names the test.

    Unbuffered, so that nothing is lost at ``os._exit``. A forked child appends.
    """

    def __init__(self, folder: str) -> None:
        name = f"{folder}/{os.getpid()}-{time.monotonic_ns()}.lines"
        self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutants")
        monitoring.register_callback(
            monitoring.COVERAGE_ID, monitoring.events.LINE, self._line_has_run
        )
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)

    def begin(self, test: str) -> None:
        os.write(self._file, f"test {test!a}\n".encode())
        sys.monitoring.restart_events()

    def _line_has_run(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(_SOURCE):
            os.write(self._file, f"{code.co_filename[len(_SOURCE) :]} {line}\n".encode())
        return sys.monitoring.DISABLE


recorder = None
if _FOLDER and sys.version_info >= (3, 12):
    recorder = Recorder(_FOLDER)
    # Set by pytest: the lines of a command that a test starts belong to that test.
    recorder.begin(os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0])
