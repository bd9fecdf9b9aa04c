"""All that a run found, and the machine that it ran on; to and from JSON-able values."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import ssl
import sys
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns
from typing import Any

from benchmarks.asymmetric import BARE, OURS_A
from benchmarks.contenders import FLOOR, OURS
from benchmarks.imports import BARE_PYTHON
from benchmarks.many_hosts import ONE
from benchmarks.memory import Memory
from benchmarks.requests_on_loopback import CONSTANTS
from benchmarks.rounds import Rounds, Spread
from benchmarks.tail import Tail

__all__ = ["Figures", "machine", "versions"]

_DISTRIBUTIONS = [
    "vpc-lattice-client",
    "aiohttp",
    "asigv4",
    "aws-sdk-signers",
    "awscrt",
    "botocore",
    "cryptography",
    "httpx",
    "httpx-aws-auth",
    "httpx2",
    "requests",
    "requests-aws4auth",
]


@dataclass(slots=True)
class Figures:
    """What a run measured; what it left out is None or empty."""

    # Scenario -> rounds.
    signing: dict[str, Rounds] = field(default_factory=dict)
    asymmetric: Rounds | None = None
    hosts: Rounds | None = None
    # Library -> rounds.
    requests: dict[str, Rounds] = field(default_factory=dict)
    # Contender -> whether the local Lattice takes its signatures.
    lattice: dict[str, bool] = field(default_factory=dict)
    # What was not measured -> why.
    missing: dict[str, str] = field(default_factory=dict)
    memory: Memory | None = None
    imports: Rounds | None = None
    tail: dict[str, Tail] = field(default_factory=dict)
    credentials: Rounds | None = None

    def as_json(self) -> dict[str, Any]:
        """Seconds and ratios; every spread as its median and quartiles."""
        return {
            "machine": machine(),
            "versions": versions(),
            "signing": {name: _table(rounds, FLOOR, OURS) for name, rounds in self.signing.items()},
            "SigV4A": _table(self.asymmetric, BARE, OURS_A) if self.asymmetric else {},
            "many hosts": _table(self.hosts, ONE) if self.hosts else {},
            "valid for Lattice": self.lattice,
            "whole request": {
                name: _table(rounds, CONSTANTS) for name, rounds in self.requests.items()
            },
            "fresh interpreter": _table(self.imports, less=BARE_PYTHON) if self.imports else {},
            "memory of one signer": asdict(self.memory) if self.memory else {},
            "tail": {name: asdict(tail) for name, tail in self.tail.items()},
            "reading credentials": _table(self.credentials) if self.credentials else {},
            "not measured": self.missing,
        }


def _table(rounds: Rounds, *over: str, less: str | None = None) -> dict[str, Any]:
    """Each contender's seconds, and its medians of ratios over, or of differences to, another."""
    table: dict[str, Any] = {
        "rounds": len(rounds.rounds),
        "seconds": {name: _spread(rounds.seconds(name)) for name in rounds.names},
    }
    for base in over:
        if base in rounds.names:
            ratios = {name: _spread(rounds.ratio(name, base)) for name in rounds.names}
            table[f"over {base}"] = ratios
    if less:
        beyond = {name: _spread(rounds.difference(name, less)) for name in rounds.names}
        table[f"beyond {less}"] = beyond
    return table


def _spread(spread: Spread) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in asdict(spread).items()}


def machine() -> dict[str, object]:
    """The machine's class, without its name."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "openssl": ssl.OPENSSL_VERSION,
        "sha256, MB/s": _sha256_speed(),
        "switch interval": sys.getswitchinterval(),
    }


def _sha256_speed() -> int:
    """Tells processors with SHA instructions (more than 1000) from those without."""
    from hashlib import sha256

    block = bytes(1 << 20)
    best = min(_timed_once(lambda: sha256(block)) for _ in range(10))
    return round(1 / best)


def _timed_once(work: Any) -> float:
    start = perf_counter_ns()
    work()
    return (perf_counter_ns() - start) / 1e9


def versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
