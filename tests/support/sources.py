"""Credential sources under a test's control: generations, a clock, a slow fetch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lattice_client import Credentials
from support import canary


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float | None = None) -> None:
        self.now = float(int(time.time())) if now is None else now

    def __call__(self) -> float:
        return self.now


def generation(number: int, expires_at: float | None = None) -> Credentials:
    """One of a series of credentials, distinguished by the access key."""
    return Credentials(
        f"ASIAGENERATION{number}",
        f"{canary.SECRET}{number}",
        f"{canary.TOKEN}{number}",
        expires_at,
    )


class Source:
    """A fetch function that counts calls, and fails or waits on demand; each returns a new
    generation."""

    def __init__(self, clock: Callable[[], float], lifetime: float = 3600) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.calls = 0
        self.called_at: list[float] = []
        self.threads: list[int] = []
        self.failure: BaseException | None = None
        # Clear it to block fetches.
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()

    def __call__(self) -> Credentials:
        self.calls += 1
        self.called_at.append(self.clock())
        self.threads.append(threading.get_ident())
        self.entered.set()
        assert self.open.wait(30)
        if self.failure is not None:
            raise self.failure
        return generation(self.calls, self.clock() + self.lifetime)


def landed(provider: object) -> None:
    """Wait until the provider's background fetch, if there is one, is over and logged."""
    for thread in threading.enumerate():
        if thread.name == f"credentials from {provider._name}":  # type: ignore[attr-defined]
            thread._started.wait(30)  # type: ignore[attr-defined]
            thread.join(30)
            assert not thread.is_alive()
