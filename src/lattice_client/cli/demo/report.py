"""The demo's tables and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = ["DemoOutcome", "calls_table", "refusals_table", "signing_summary", "verdict"]


@dataclass(frozen=True)
class DemoOutcome:
    """The outcome of a call that was made once or a few times."""

    client: str
    call: str
    # None without a response; then the text is the error's.
    status: int | None
    text: str
    # Whether this outcome was expected.
    expected: bool
    # The caller that the service saw; empty if the call did not reach it.
    caller: str = ""
    # Seconds of each signing.
    signing: tuple[float, ...] = ()

    @property
    def status_text(self) -> str:
        return "error" if self.status is None else str(self.status)


def calls_table(outcomes: Sequence[DemoOutcome]) -> Table:
    """The calls that should pass."""
    table = _table("Client", "Call", "Status", "The service saw", "Signing")
    table.columns[-1].justify = "right"
    for outcome in outcomes:
        # arn:aws:sts::111122223333:assumed-role/ROLE/SESSION
        caller = outcome.caller.partition(":assumed-role/")[2] or outcome.caller
        signing = f"{median(outcome.signing) * 1e6:.0f} µs" if outcome.signing else ""
        table.add_row(outcome.client, outcome.call, _status(outcome), caller, signing)
    return table


def signing_summary(outcomes: Sequence[DemoOutcome]) -> str:
    """How the table's times were measured."""
    times = [time for outcome in outcomes for time in outcome.signing]
    if not times:
        return ""
    return (
        "Signing: the median of each row's calls, measured around the auth object. The\n"
        f"first of all took {times[0] * 1e3:.0f} ms, to load botocore and read the profile."
    )


def refusals_table(outcomes: Sequence[DemoOutcome]) -> Table:
    """The calls that should be refused."""
    from rich.text import Text

    table = _table("Call (requests)", "Status", "Lattice's answer")
    table.columns[0].max_width = 20
    for outcome in outcomes:
        table.add_row(outcome.call, _status(outcome), Text(outcome.text))
    return table


def verdict(outcomes: Sequence[DemoOutcome]) -> Text:
    """A line for each unexpected outcome, and a summary."""
    from rich.text import Text

    wrong = [outcome for outcome in outcomes if not outcome.expected]
    if not wrong:
        return Text(f"All {len(outcomes)} calls passed or were refused as they should.", "green")
    lines = [
        *(f"{one.client}, {one.call}: {one.status_text}, {one.text}" for one in wrong),
        f"{len(wrong)} of {len(outcomes)} calls did not end as they should.",
    ]
    return Text("\n".join(lines), "red")


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    return Table(
        # ARNs have no spaces to break a line at.
        *(Column(name, overflow="fold") for name in columns),
        box=SIMPLE_HEAD,
        show_edge=False,
        # With this padding, the calls fit into 80 columns.
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def _status(outcome: DemoOutcome) -> Text:
    from rich.text import Text

    return Text(outcome.status_text, "green" if outcome.expected else "bold red")
