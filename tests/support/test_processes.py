"""The helper for child processes: none is left when it returns, however the test ends."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import processes

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

# Its child hangs, as if it waited for a lock that is never released.
DEADLOCKED = """
import os, sys, time
child = os.fork()
if child == 0:
    with open(sys.argv[1], "w") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(600)
while not (os.path.exists(sys.argv[1]) and open(sys.argv[1]).read().endswith("\\n")):
    time.sleep(0.01)
print("forked", flush=True)
if sys.argv[2] == "wait":
    os.waitpid(child, 0)
elif sys.argv[2] == "fail":
    sys.exit("the parent failed")
"""


def test_a_deadlocked_child_ends_with_the_script(tmp_path):
    """Whether the parent waits for it, has failed, or has left it behind."""

    def left(how):
        noted = tmp_path / how
        with pytest.raises(AssertionError, match="forked"):
            processes.run_script(DEADLOCKED, str(noted), how, timeout=2)
        return int(noted.read_text())

    with ThreadPoolExecutor() as pool:  # at once, because each takes the whole time-out
        assert all(map(gone, pool.map(left, ["wait", "fail", "end"])))


def test_what_a_script_says_and_how_it_ends():
    assert processes.run_script("import sys; print(sys.argv[1])", "said") == "said\n"
    with pytest.raises(AssertionError, match="it ended with 3"):
        processes.run_script("raise SystemExit(3)")


def test_a_child_of_the_test_that_hangs_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "SECONDS", 0.3)
    noted = tmp_path / "pid"

    def hang() -> None:
        noted.write_text(str(os.getpid()))
        time.sleep(600)

    assert not processes.in_a_child(hang)
    assert gone(int(noted.read_text()))


def test_how_a_child_ends():
    assert processes.in_a_child(lambda: None)
    assert not processes.in_a_child(lambda: False)


def gone(pid: int) -> bool:
    """Whether the process is not running (init may not have reaped it yet)."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.01)
    return False
