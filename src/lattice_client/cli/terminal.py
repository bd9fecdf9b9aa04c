"""Stdout and stderr, good at a terminal and in a pipe."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import BinaryIO, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

__all__ = ["binary", "console", "have_streams", "let_go", "note", "printable", "say"]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the program with 1; it ends as all of its commands do."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console with escape codes on a terminal, unless it is a dumb one or NO_COLOR is set
    (no-color.org), and without them in a pipe, where no line is broken either."""
    stream = sys.stderr if stderr else sys.stdout
    # Not every encoding has an arrow, and what has none is no reason to end with a traceback.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    # Left to itself, rich writes bold under NO_COLOR.
    plain = {"color_system": None} if os.environ.get("NO_COLOR") else {}
    return _Console(stderr=stderr, highlight=False, markup=False, emoji=False, **plain)  # type: ignore[arg-type]


def say(
    text: str | Text,
    style: str = "",
    *,
    stderr: bool = True,
    indent: int = 0,
    whole: bool = False,
) -> None:
    """A line for people, broken between words on a terminal and not at all in a pipe.

    :param whole: leave breaking to the terminal, so that copying gives the line as it is.
    """
    out = console(stderr=stderr)
    if out.is_terminal and indent:
        out.print(Padding(text, (0, 0, 0, indent)), style=style)
    else:
        out.print(" " * indent, text, style=style, soft_wrap=whole or not out.is_terminal, sep="")


def note(text: str) -> None:
    """A line on stderr that names the program, as is usual for what may go wrong."""
    line = Text("lattice-client: ", "bold")
    line.append(text, "not bold")
    say(line)


def printable(text: str) -> str:
    """Without control characters, which could move a terminal's cursor and repaint it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def have_streams() -> None:
    """Python has none of those that a shell closes (``>&-``)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = open(os.devnull, mode, encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115 to the end
            setattr(sys, name, nothing)


def let_go() -> None:
    """Leave nothing that stdout and stderr have not taken: the interpreter would try again at its
    end, and complain or wait."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, KeyboardInterrupt):
            with suppress(OSError, ValueError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)


def binary(stream: TextIO) -> BinaryIO:
    """What is below a text stream."""
    stream.flush()
    return stream.buffer
