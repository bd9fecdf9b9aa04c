"""The figures to reach, and whether a run reached them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from benchmarks import imports, requests_on_loopback
from benchmarks.asymmetric import BARE, CRT_A, OURS_A
from benchmarks.contenders import FLOOR, OURS
from benchmarks.figures import Figures
from benchmarks.many_hosts import MANY, ONE
from benchmarks.peers import BOTOCORE, CRT
from benchmarks.rounds import Rounds
from benchmarks.scenarios import HOT, LOOP, NO_QUERY

__all__ = ["Goal", "check"]


# The hook's bound and the client's.
_WHOLE_REQUEST = {
    "requests": (1.03, 1.08),
    "httpx": (1.06, 1.10),
    "httpx async": (1.06, 1.10),
    "httpx2": (1.06, 1.12),
    "aiohttp": (1.08, 1.16),
    "aiohttp, 50 at once": (1.18, 1.25),
}


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure to reach."""

    what: str
    sense: Literal["at most", "at least"]
    bound: float
    # None: not measured in this run.
    measured: float | None
    unit: str = ""

    @property
    def verdict(self) -> Literal["reached", "missed", "not measured"]:
        if self.measured is None:
            return "not measured"
        low, high = sorted((self.measured, self.bound))
        within = high == self.bound if self.sense == "at most" else low == self.bound
        return "reached" if within else "missed"

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "verdict": self.verdict}


def check(figures: Figures) -> Iterator[Goal]:
    """Every goal, with what the run made of it."""
    hot, loop = figures.signing.get(HOT), figures.signing.get(LOOP)
    yield Goal("ours / floor", "at most", 2.0, _ratio(hot, OURS, FLOOR))
    no_query = figures.signing.get(NO_QUERY)
    yield Goal("ours / floor, no query", "at most", 1.7, _ratio(no_query, OURS, FLOOR))
    yield Goal("ours / floor, in a request loop", "at most", 2.5, _ratio(loop, OURS, FLOOR))
    yield Goal("botocore / ours", "at least", 15, _ratio(hot, BOTOCORE, OURS))
    yield Goal("botocore / ours, in a request loop", "at least", 8, _ratio(loop, BOTOCORE, OURS))
    yield Goal("awscrt / ours", "at least", 4, _ratio(hot, CRT, OURS))
    ratios = [_ratio(rounds, CRT, OURS) for rounds in figures.signing.values()]
    least = min((ratio for ratio in ratios if ratio is not None), default=None)
    yield Goal("awscrt / ours, in every circumstance", "at least", 1, least)
    yield Goal("10,000 hosts / one host", "at most", 1.5, _ratio(figures.hosts, MANY, ONE))
    asymmetric = figures.asymmetric
    yield Goal("SigV4A: ours / bare sign", "at most", 1.2, _ratio(asymmetric, OURS_A, BARE))
    yield Goal("SigV4A: awscrt / ours", "at least", 1.0, _ratio(asymmetric, CRT_A, OURS_A))
    for library, (hook, client) in _WHOLE_REQUEST.items():
        rounds, base = figures.requests.get(library), requests_on_loopback.CONSTANTS
        ratio = _ratio(rounds, OURS, base)
        yield Goal(f"whole request / constant headers: {library}", "at most", hook, ratio)
        ratio = _ratio(rounds, requests_on_loopback.AT_INFO, base)
        yield Goal(f"the same with our client, at INFO: {library}", "at most", client, ratio)
    kept = figures.memory.most / 1024 if figures.memory else None
    yield Goal("one signer with its caches, at its largest", "at most", 16, kept, "KiB")
    for what, bound in ((imports.PACKAGE, 15), (imports.FIRST, 30)):
        taken = None
        if figures.imports:
            taken = figures.imports.difference(what, imports.BARE_PYTHON).median * 1e3
        yield Goal(f"{what}, over bare Python", "at most", bound, taken, "ms")
    slowest = None
    if figures.credentials:
        seconds = (figures.credentials.seconds(name).median for name in figures.credentials.names)
        slowest = max(seconds) * 1e6
    yield Goal("reading a provider's credentials", "at most", 0.3, slowest, "µs")


def _ratio(rounds: Rounds | None, one: str, other: str) -> float | None:
    if rounds is None or not {one, other} <= {*rounds.names}:
        return None
    return rounds.ratio(one, other).median
