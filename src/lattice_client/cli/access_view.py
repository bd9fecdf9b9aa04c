"""The live view of ``lattice-client local``: a local Lattice's access log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from lattice_client.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

__all__ = ["AccessView", "line_of"]

# Terminal columns from which on more of a record fits.
_TIMES, _CALLERS, _DETAILS = 60, 80, 120
# Lines of the table's frame, and the least number of records to show.
_FRAME, _MIN_RECORDS = 3, 3
_MAX_RECORDS = 500


class AccessView:
    """A heading, and below it the newest records that fit.

    :param head: the heading's lines.
    """

    def __init__(self, head: Sequence[Text]) -> None:
        self._head = head
        self._records: deque[dict[str, Any]] = deque(maxlen=_MAX_RECORDS)
        self._count = 0

    def add(self, record: dict[str, Any]) -> None:
        """Show a record; may be called from any thread."""
        self._records.append(record)
        self._count += 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        head = [Text("\n").join(self._head)] if self._head else []
        lines = sum(len(console.render_lines(one, options, pad=False)) for one in head)
        room = max(_MIN_RECORDS, options.size.height - lines - _FRAME - 1)
        yield Group(*head, self._table(list(self._records)[-room:], width))

    def _table(self, records: Iterable[dict[str, Any]], width: int) -> RenderableType:
        columns = [Column("Status", no_wrap=True), Column("Request", ratio=1, no_wrap=True)]
        if width >= _TIMES:
            columns.insert(0, Column("Time", no_wrap=True))
        if width >= _CALLERS:
            columns.append(Column("Caller", no_wrap=True, max_width=width // 4))
        if width >= _DETAILS:
            columns.append(Column("Took", justify="right", no_wrap=True))
            columns.append(Column("Why not", no_wrap=True, max_width=width // 5))
        table = Table(*columns, box=SIMPLE_HEAD, show_edge=False, expand=True, padding=(0, 1, 0, 0))
        for record in records:
            table.add_row(*_cells(record, width))
        if not self._count:
            return Group(table, Text("Waiting for requests; Ctrl-C ends it.", "dim"))
        return table


def _cells(record: dict[str, Any], width: int) -> list[Text]:
    status = record["responseCode"]
    host = width >= _TIMES
    cells = [Text(str(status or "-"), _style(status)), Text(_request(record, host=host))]
    if width >= _TIMES:
        cells.insert(0, Text(str(record["startTime"])[11:19], "dim"))
    if width >= _CALLERS:
        cells.append(Text(_caller(record)))
    if width >= _DETAILS:
        cells.append(Text(f"{record['duration']} ms"))
        cells.append(Text(_why_not(record), "red"))
    return cells


def line_of(record: dict[str, Any]) -> str:
    """A record as one line, for pipes."""
    parts = [
        str(record["startTime"]),
        str(record["responseCode"] or "-"),
        _request(record),
        f"{record['duration']} ms",
        _caller(record),
        _why_not(record),
    ]
    return "  ".join(filter(None, parts))


def _request(record: dict[str, Any], *, host: bool = True) -> str:
    where = (record["hostHeader"] or "-") if host else ""
    return printable(f"{record['requestMethod']} {where}{record['requestPath'] or ''}")


def _caller(record: dict[str, Any]) -> str:
    """The role and the session, of arn:aws:sts::111122223333:assumed-role/ROLE/SESSION."""
    principal = str(record["callerPrincipal"] or record["resolvedUser"] or "")
    return principal.partition(":assumed-role/")[2] or principal


def _why_not(record: dict[str, Any]) -> str:
    denied = record["authDeniedReason"]
    words = f"denied by the {str(denied).lower()} policy" if denied else ""
    return words or str(record["failureReason"] or "")


_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def _style(status: Any) -> str:
    if not isinstance(status, int) or status >= _SERVER_ERROR:
        return "bold red"
    return "yellow" if status >= _CLIENT_ERROR else "green"
