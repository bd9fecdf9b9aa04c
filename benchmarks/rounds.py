"""Interleaved measurement: rounds of short bursts, and the ratios within each round.

Clocks, caches and neighbours of a machine drift while one measures. So every round runs each
contender for a short burst, in shuffled order, and what is compared is compared within its round.
The figure is the median over the rounds; the quartiles say how sure it is.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter_ns
from typing import Any

__all__ = ["Burst", "Rounds", "Spread", "clock_cost", "measure", "timed"]

# Seconds for one item, measured over a few of them.
Burst = Callable[[], float]

# Calls before the clock starts, in hundredths of a burst: the contender before has the caches.
_WARM_UP = 20


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        given = list(figures)
        if len(given) == 1:
            return cls(given[0], given[0], given[0])
        low, median, high = quantiles(given, n=4, method="inclusive")
        return cls(median, low, high)

    def scaled(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor)


class Rounds:
    """What every contender took in each round, in seconds for one item."""

    def __init__(self, rounds: list[dict[str, float]]) -> None:
        self.rounds = rounds

    @property
    def names(self) -> list[str]:
        return list(self.rounds[0])

    def seconds(self, name: str) -> Spread:
        return Spread.of(each[name] for each in self.rounds)

    def ratio(self, name: str, to: str) -> Spread:
        """The median of the rounds' own ratios, and not the ratio of two medians."""
        return Spread.of(each[name] / each[to] for each in self.rounds)

    def difference(self, name: str, to: str) -> Spread:
        """In seconds, likewise."""
        return Spread.of(each[name] - each[to] for each in self.rounds)


def measure(bursts: Mapping[str, Burst], rounds: int, seed: int = 1) -> Rounds:
    """Run every burst once in each round, in shuffled order."""
    # The order must differ between rounds and be the same in every run.
    shuffle = random.Random(seed).shuffle
    measured: list[dict[str, float]] = []
    for _ in range(rounds):
        order = list(bursts)
        shuffle(order)
        taken = {name: bursts[name]() for name in order}
        measured.append({name: taken[name] for name in bursts})
    return Rounds(measured)


def timed(sign: Callable[[Any], object], prepared: list[Any]) -> float:
    """Seconds for one call of ``sign``, each with an argument of its own.

    The first of the arguments warm the caches and are not counted. As in :mod:`timeit`, the garbage
    collector waits: what it would do here is mostly the fault of other bursts.
    """
    warm_up = max(1, len(prepared) * _WARM_UP // 100)
    early, counted = prepared[:warm_up], prepared[warm_up:]
    collecting = gc.isenabled()
    gc.disable()
    try:
        for argument in early:
            sign(argument)
        start = perf_counter_ns()
        for argument in counted:
            sign(argument)
        end = perf_counter_ns()
    finally:
        if collecting:
            gc.enable()
    return (end - start) / len(counted) / 1e9


def clock_cost() -> float:
    """Seconds between two readings of the clock with nothing in between."""
    gaps: list[int] = []
    for _ in range(1000):
        start = perf_counter_ns()
        gaps.append(perf_counter_ns() - start)
    return Spread.of(gaps).median / 1e9
