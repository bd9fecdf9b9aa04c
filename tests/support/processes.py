"""Child processes that never outlive the test that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

SECONDS = 60.0


def run_script(code: str, *arguments: str, timeout: float = SECONDS) -> str:
    """The stdout of a new interpreter, which is killed at the end with its children.

    :raises AssertionError: if it fails or exceeds the time-out. The message has its stderr.
    """
    # A separate process group: a forked child would keep the pipes open, and live on.
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        try:
            out, said = process.communicate(timeout=timeout)
        finally:
            kill_group(process.pid)
    except subprocess.TimeoutExpired:
        out, said = process.communicate(timeout=SECONDS)
        raise AssertionError(f"it hung; until then it said:\n{out}\n{said}") from None
    assert process.returncode == 0, f"it ended with {process.returncode}:\n{out}\n{said}"
    return out


def kill_group(group: int) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def in_a_child(work: Callable[[], object], meanwhile: Callable[[], None] | None = None) -> bool:
    """Whether the work, in a forked child, raises nothing and does not return False.

    :param meanwhile: called in the parent after the fork.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 2 if work() is False else 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            os._exit(code)
    try:
        if meanwhile is not None:
            meanwhile()
    finally:
        ended = _ended(pid)
    return ended == 0


def _ended(pid: int) -> int | None:
    """The child's exit status; None if it had to be killed."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
