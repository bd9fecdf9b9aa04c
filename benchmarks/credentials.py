"""Reading the credentials that are ready, as is done for every signature."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import repeat
from time import perf_counter_ns

import botocore.session

from benchmarks.rounds import Burst, Rounds, measure
from lattice_client import (
    BotocoreCredentials,
    Credentials,
    DefaultCredentials,
    EnvironmentCredentials,
    RefreshingCredentials,
    StaticCredentials,
)

__all__ = ["NOTHING_DONE", "run"]

NOTHING_DONE = "an empty method"
_BURST = 5000


class Nothing:
    def peek(self) -> None:
        pass


def _peeks() -> dict[str, Callable[[], object]]:
    """Each provider far from its expiry, its credentials fetched."""
    value = Credentials("AKIDBENCH", "secret", "token", time.time() + 6 * 3600)
    environ = {"AWS_ACCESS_KEY_ID": "AKIDBENCH", "AWS_SECRET_ACCESS_KEY": "secret"}
    session = botocore.session.Session()
    session.set_credentials("AKIDBENCH", "secret")
    chain = BotocoreCredentials(session=session)
    # Without credentials in the environment, which it keeps an eye on.
    default = DefaultCredentials()
    default._environment = EnvironmentCredentials({})
    default._chain = chain
    providers = {
        "StaticCredentials": StaticCredentials(value),
        "EnvironmentCredentials": EnvironmentCredentials(environ),
        "RefreshingCredentials": RefreshingCredentials(lambda: value),
        "BotocoreCredentials": chain,
        "DefaultCredentials, by the chain": default,
    }
    for provider in providers.values():
        provider.get()
    return {NOTHING_DONE: Nothing().peek} | {name: each.peek for name, each in providers.items()}


def run(rounds: int) -> Rounds:
    """Seconds for one ``peek()``."""
    return measure({name: _burst(peek) for name, peek in _peeks().items()}, rounds)


def _burst(peek: Callable[[], object]) -> Burst:
    def burst() -> float:
        start = perf_counter_ns()
        for _ in repeat(None, _BURST):
            peek()
        return (perf_counter_ns() - start) / _BURST / 1e9

    return burst
