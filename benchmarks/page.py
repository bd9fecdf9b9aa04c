"""The page in the docs: what was measured, how, and where a peer is better."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import tables
from benchmarks.contenders import FLOOR, OURS
from benchmarks.requests_on_loopback import AFTER_FAILURE, AT_INFO, CONSTANTS
from benchmarks.scenarios import SCENARIOS
from benchmarks.tables import Found, as_markdown

__all__ = ["page"]

_HOW = f"""\
Every figure is the median over rounds of short bursts. In each round all contenders run in shuffled
order in one process, and ratios are taken within the round, so that changes of clock speed and load
affect all of them. The quartiles are in brackets. Compare within a table: the absolute figures
depend on the machine.

- All sign the same request: POST, a {{token}}-character session token, an empty body declared
  UNSIGNED-PAYLOAD if the contender can, and a target that is a new string each time. A contender's
  own form of a request is made before the clock starts.
- The **floor** is the hashing alone, in CPython: one `sha256().hexdigest()` over the
  canonical request, and HMAC from two copied states.
- **In a request loop**, a signed request goes over loopback between any two signatures, and only
  the signing is timed: the caches are then as cold as in a client.
- "Lattice takes it" is the verdict of the package's local Lattice on the signature. Its verifier
  shares no code with any signer here.
- A whole request goes to a server in another process that does nothing but answer, and only the
  caller's processor time counts. "{CONSTANTS}" is a client that always sends the same signed
  headers; the other columns are ratios to it. "A hook that writes constants" is what having a hook
  costs in the library itself. "{AT_INFO}" logs `lattice_client` at INFO, the level that many
  programs run at; in all other columns it is WARNING. "{AFTER_FAILURE}" has called a host where
  nothing listens. "50 at once" are tasks of one event loop: the libraries' own share shrinks there.
"""


def page(runs: dict[str, Found]) -> str:
    """The page over the runs (by the names of their files), with the details of the last."""
    name, found = list(runs.items())[-1]
    return "\n".join([*_lines(runs, name, found), ""])


def _lines(runs: dict[str, Found], name: str, found: Found) -> Iterator[str]:
    machine = found["machine"]
    yield "# Performance"
    yield ""
    yield (
        f"Measured by `scripts/benchmark`, which writes this page, on {machine['system']}, "
        f"{machine['architecture']}, {machine['cpus']} CPUs, "
        f"SHA-256 at {machine['sha256, MB/s']:,} MB/s, {machine['openssl']}."
    )
    yield ""
    yield "## The goals, and what came of them"
    yield ""
    yield as_markdown(tables.goals({run["machine"]["python"]: run for run in runs.values()}))
    yield ""
    yield "## How it is measured"
    yield ""
    yield _HOW.format(token=900)
    yield f"## The figures: {machine['python']}"
    yield ""
    others = [f"[{other}](benchmarks/{other}.json)" for other in runs]
    yield f"Everything, with the versions of all contenders: {', '.join(others)}."
    yield ""
    yield f"![What a signature costs](benchmarks/{name}.svg)"
    for table in tables.tables(found):
        if table.title in ("Goals", "Not measured"):
            continue
        yield ""
        yield f"### {table.title}"
        yield ""
        yield as_markdown(table)
        if table.title == "By circumstance":
            yield ""
            yield from (
                f"- {scenario.name}: {scenario.told}"
                for scenario in SCENARIOS
                if scenario.name in found["signing"]
            )
    yield ""
    yield "## Where a peer is better"
    yield ""
    yield from _better(found)
    if found["not measured"]:
        yield ""
        yield "## Not measured"
        yield ""
        yield from (f"- {what}: {why}" for what, why in found["not measured"].items())


def _better(found: Found) -> Iterator[str]:
    """Every peer that was faster than ours in some circumstance."""
    faster: list[str] = []
    for scenario, table in found["signing"].items():
        for peer, ratio in table.get(f"over {OURS}", {}).items():
            if peer not in (OURS, FLOOR) and ratio["median"] < 1:
                times = 1 / ratio["median"]
                faster.append(f"- {scenario}: {peer} is {times:.1f} times as fast as ours.")
    yield from faster or ["- None of those measured is faster in any of these circumstances."]
    yield "- awscrt also signs the chunks of a stream (aws-chunked), which lattice_client does not."
    yield (
        "- botocore's signers come with boto3: a program that loads it anyway, and signs a few "
        "requests a second, gains nothing noticeable from a faster one."
    )
