"""The figures as tables: on the terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.asymmetric import BARE, OURS_A
from benchmarks.contenders import FLOOR, OURS
from benchmarks.imports import BARE_PYTHON
from benchmarks.many_hosts import ONE
from benchmarks.peers import BOTOCORE, CRT
from benchmarks.requests_on_loopback import (
    BOTOCORE_HOOK,
    CONSTANTS,
    EMPTY_HOOK,
    OUR_CLIENTS,
    UNSIGNED,
)
from benchmarks.scenarios import HOT, LOOP
from benchmarks.tail import TOKEN_LENGTH

__all__ = ["Found", "Table", "as_markdown", "as_text", "goals", "tables"]

# What a run found, as its JSON has it.
Found = dict[str, Any]
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    head: list[str]
    rows: list[list[str]]


def tables(found: Found) -> Iterator[Table]:
    """All tables that a run has figures for."""
    if found["signing"]:
        yield contenders(found)
        yield circumstances(found)
    if found["SigV4A"]:
        yield sigv4a(found)
    if found.get("many hosts"):
        yield many_hosts(found)
    if found["whole request"]:
        yield whole_requests(found)
    if found["fresh interpreter"]:
        yield fresh_interpreters(found)
    if found["memory of one signer"]:
        yield memory(found)
    if found["tail"]:
        yield tail(found)
    if found["reading credentials"]:
        yield reading_credentials(found)
    yield goals({found["machine"]["python"]: found})
    if found["not measured"]:
        rows = [[name, why] for name, why in found["not measured"].items()]
        yield Table("Not measured", ["what", "why"], rows)


def contenders(found: Found) -> Table:
    """Every contender, quickest first."""
    hot, loop = (found["signing"].get(name, {}) for name in (HOT, LOOP))
    names = sorted(hot["seconds"], key=lambda name: hot["seconds"][name]["median"])
    rows = [
        [
            name,
            _micro(hot, name),
            _median(hot, f"over {OURS}", name),
            _micro(loop, name),
            _median(loop, f"over {OURS}", name),
            NOTHING if name == FLOOR else _yes(found["valid for Lattice"].get(name)),
        ]
        for name in names
    ]
    head = ["", "hot, µs", "/ ours", "in a request loop, µs", "/ ours", "Lattice takes it"]
    return Table("One signature", head, rows)


def circumstances(found: Found) -> Table:
    rows = [
        [
            name,
            _micro(table, OURS),
            _median(table, f"over {FLOOR}", OURS),
            _median(table, f"over {OURS}", BOTOCORE),
            _median(table, f"over {OURS}", CRT),
        ]
        for name, table in found["signing"].items()
    ]
    head = ["", "ours, µs", "ours / floor", "botocore / ours", "awscrt / ours"]
    return Table("By circumstance", head, rows)


def sigv4a(found: Found) -> Table:
    table = found["SigV4A"]
    rows = [
        [
            name,
            _micro(table, name),
            _median(table, f"over {BARE}", name),
            _median(table, f"over {OURS_A}", name),
        ]
        for name in table["seconds"]
    ]
    return Table("SigV4A", ["", "µs", "/ bare sign", "/ ours"], rows)


def many_hosts(found: Found) -> Table:
    table = found["many hosts"]
    rows = [
        [name, _micro(table, name), _median(table, f"over {ONE}", name)]
        for name in table["seconds"]
    ]
    return Table("One auth object, hosts in turn", ["", "µs", f"/ {ONE}"], rows)


def whole_requests(found: Found) -> Table:
    shown = (UNSIGNED, EMPTY_HOOK, OURS, *OUR_CLIENTS, BOTOCORE_HOOK)
    rows = [
        [
            library,
            _micro(table, CONSTANTS, digits=0),
            *(_median(table, f"over {CONSTANTS}", name, digits=3) for name in shown),
        ]
        for library, table in found["whole request"].items()
    ]
    head = ["", f"{CONSTANTS}, µs", *(f"{name} / that" for name in shown)]
    return Table("A whole request on loopback", head, rows)


def fresh_interpreters(found: Found) -> Table:
    beyond = found["fresh interpreter"][f"beyond {BARE_PYTHON}"]
    rows = [
        [name, f"{spread['median'] * 1e3:.1f}"]
        for name, spread in beyond.items()
        if name != BARE_PYTHON
    ]
    return Table("In a fresh interpreter", ["", f"over {BARE_PYTHON}, ms"], rows)


def memory(found: Found) -> Table:
    kept = found["memory of one signer"]
    rows = [
        ["new", f"{kept['fresh']:,}"],
        ["after the first signature", f"{kept['after_first']:,}"],
        [f"after {kept['signatures']:,} targets and hosts", f"{kept['after_all']:,}"],
        ["at its largest", f"{kept['most']:,}"],
    ]
    return Table("One signer with all that it keeps", ["", "bytes"], rows)


def tail(found: Found) -> Table:
    rows = [
        [name, *(f"{value * 1e3:.3f}" for value in tail.values())]
        for name, tail in found["tail"].items()
    ]
    title = f"Single signatures, a {TOKEN_LENGTH:,}-character token, another thread computing"
    return Table(title, ["ms", "p50", "p99", "p99.9", "worst"], rows)


def reading_credentials(found: Found) -> Table:
    table = found["reading credentials"]
    rows = [[name, _micro(table, name, digits=3)] for name in table["seconds"]]
    return Table("Reading the credentials that are ready", ["", "µs"], rows)


def goals(runs: dict[str, Found]) -> Table:
    """Goal by goal, a column for each run."""
    rows: list[list[str]] = []
    for found in runs.values():
        for number, goal in enumerate(found["goals"]):
            if number == len(rows):
                sense = "≤" if goal["sense"] == "at most" else "≥"
                rows.append([goal["what"], f"{sense} {goal['bound']:g} {goal['unit']}".strip()])
            figure = "" if goal["measured"] is None else f"{goal['measured']:.2f}, "
            rows[number].append(figure + goal["verdict"])
    return Table("Goals", ["", "goal", *runs], rows)


def _micro(table: Found, name: str, digits: int = 2) -> str:
    spread = table.get("seconds", {}).get(name)
    return f"{spread['median'] * 1e6:.{digits}f}" if spread else NOTHING


def _median(table: Found, ratios: str, name: str, digits: int = 2) -> str:
    """A median and its quartiles."""
    spread = table.get(ratios, {}).get(name)
    if not spread:
        return NOTHING
    low, median, high = (f"{spread[part]:.{digits}f}" for part in ("low", "median", "high"))
    return f"{median} ({low} to {high})"


def _yes(value: object) -> str:
    return NOTHING if value is None else "yes" if value else "no"


def as_text(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(table.head, *table.rows, strict=True)]

    def line(cells: list[str]) -> str:
        first, *others = (
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join(["", table.title, line(table.head), rule, *map(line, table.rows)])


def as_markdown(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rule = ["---", *("---:" for _ in table.head[1:])]
    return "\n".join([line(table.head), line(rule), *map(line, table.rows)])
