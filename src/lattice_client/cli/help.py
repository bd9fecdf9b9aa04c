"""Help texts that also fit narrow terminals."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import click

__all__ = ["Command", "Context", "Group"]

# Terminal columns: two columns of text need _NARROW; lines longer than _WIDE are hard to read.
_NARROW, _WIDE = 60, 100


class _Formatter(click.HelpFormatter):
    """Click's formatter uses at least 50 columns."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__(width=min(shutil.get_terminal_size().columns, _WIDE) - 1)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        # On a narrow terminal, the text goes below the name.
        super().write_dl(list(rows), 4 if self.width < _NARROW else col_max, col_spacing)


class Context(click.Context):
    formatter_class = _Formatter


class Command(click.Command):
    context_class = Context


class Group(click.Group):
    context_class = Context
    command_class = Command
