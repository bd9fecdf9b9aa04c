"""Measures all of it:  scripts/benchmark [--quick] [--only PART …] [--output FOLDER]"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import credentials as provided
from benchmarks import imports, many_hosts, memory, requests_on_loopback, scenarios, tail
from benchmarks.asymmetric import asymmetric_contenders
from benchmarks.cheap_server import cheap_server
from benchmarks.contenders import Contender, credentials, lattice_accepts
from benchmarks.figures import Figures
from benchmarks.goals import check
from benchmarks.page import page
from benchmarks.peers import contenders
from benchmarks.plot import plot
from benchmarks.tables import Found, as_text, tables

ROOT = Path(__file__).resolve().parent.parent


class Run:
    """One run, its parts and how long they take."""

    def __init__(self, origin: str, *, quick: bool) -> None:
        self.figures = Figures()
        self._origin = origin
        self._quick = quick

    def _rounds(self, usual: int, quick: int) -> int:
        return quick if self._quick else usual

    def signing(self) -> None:
        there, missing = contenders()
        self._note(there, missing)
        for scenario in scenarios.SCENARIOS:
            _say(f"signing: {scenario.name}")
            rounds = self._rounds(300, 6)
            if scenario.circumstance == "threads":
                rounds = self._rounds(30, 1)  # of long bursts
            measured = scenarios.run(scenario, there, rounds, self._origin)
            self.figures.signing[scenario.name] = measured

    def sigv4a(self) -> None:
        there, missing = asymmetric_contenders()
        self._note(there, missing)
        hot = scenarios.SCENARIOS[0]
        if there:
            rounds = self._rounds(600, 10)
            self.figures.asymmetric = scenarios.run(hot, there, rounds, self._origin)

    def hosts(self) -> None:
        self.figures.hosts = many_hosts.run(self._rounds(300, 6))

    def requests(self) -> None:
        rounds = self._rounds(600, 8)
        self.figures.requests, missing = requests_on_loopback.run(self._origin, rounds)
        self.figures.missing |= missing

    def imports(self) -> None:
        self.figures.imports = imports.run(self._rounds(40, 2))

    def memory(self) -> None:
        self.figures.memory = memory.run(self._rounds(1_000_000, 10_000))

    def tail(self) -> None:
        self.figures.tail = tail.run(self._rounds(2000, 100))

    def credentials(self) -> None:
        self.figures.credentials = provided.run(self._rounds(300, 6))

    def _note(self, there: dict[str, type[Contender]], missing: dict[str, str]) -> None:
        """Who is missing, and whose signatures the local Lattice takes."""
        self.figures.missing |= missing
        for name, kind in there.items():
            accepted = lattice_accepts(kind(credentials()), "/orders/7?status=open&page=3")
            self.figures.lattice[name] = accepted


PARTS: dict[str, Callable[[Run], None]] = {
    "signing": Run.signing,
    "sigv4a": Run.sigv4a,
    "hosts": Run.hosts,
    "requests": Run.requests,
    "imports": Run.imports,
    "memory": Run.memory,
    "tail": Run.tail,
    "credentials": Run.credentials,
}


def _say(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run; its figures say little")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="PART",
        help=", ".join(PARTS),
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="a folder for the figures, plot and page; docs/ if the run is complete, else none",
    )
    given = parser.parse_args()
    start = time.monotonic()
    with cheap_server() as origin:
        run = Run(origin, quick=given.quick)
        for part in given.only:
            _say(part)
            PARTS[part](run)
    goals = [goal.as_json() for goal in check(run.figures)]
    found = run.figures.as_json() | {"goals": goals}
    for table in tables(found):
        print(as_text(table))
    complete = not given.quick and set(given.only) == set(PARTS)
    output = given.output or (ROOT / "docs" if complete else None)
    if output:
        write(found, output)
    print(f"{time.monotonic() - start:.0f} s.", file=sys.stderr)


def write(found: Found, output: Path) -> None:
    """The figures and plot of this version of Python, and the page over all versions' figures."""
    folder = output / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"cpython-{sys.version_info[0]}.{sys.version_info[1]}"
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    (folder / f"{name}.svg").write_text(plot(found))
    runs = {
        path.stem: json.loads(path.read_text())
        for path in sorted(folder.glob("cpython-*.json"), key=lambda path: (len(path.stem), path))
    }
    (output / "performance.md").write_text(page(runs))


if __name__ == "__main__":
    main()
