"""The fork server of ``multiprocessing``, which keeps the environment that it was started with."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

__all__ = ["leave_fork_server"]

# Fork servers that were left, and may still have processes.
_left: list[int] = []


def leave_fork_server() -> None:
    """Let the next process come from a new fork server, with the environment of now.

    It is how Python 3.14 starts processes by default on Linux. ``ForkServer._stop`` would wait
    until the processes of the old one have ended; they go on, and it ends after them.
    """
    for left in tuple(_left):
        _reap(left)
    module = sys.modules.get("multiprocessing.forkserver")
    if module is None:
        return
    server: Any = module._forkserver  # noqa: SLF001 - there is no public way
    with server._lock:  # noqa: SLF001
        pid, alive = server._forkserver_pid, server._forkserver_alive_fd  # noqa: SLF001
        if pid is None:
            return
        server._forkserver_pid = None  # noqa: SLF001
        server._forkserver_alive_fd = server._forkserver_address = None  # noqa: SLF001
    os.close(alive)
    _left.append(pid)
    _reap(pid)


def _reap(pid: int) -> None:
    ended = pid
    with suppress(ChildProcessError):  # other code has waited for it
        ended, _ = os.waitpid(pid, os.WNOHANG)
    if ended:
        _left.remove(pid)
