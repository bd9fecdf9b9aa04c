"""Stdout and stderr, for terminals and pipes."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import BinaryIO, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

__all__ = [
    "binary_stream",
    "console",
    "discard_unwritten",
    "note",
    "printable",
    "replace_closed_streams",
    "say",
]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise, so that every command exits with the same code; rich would exit with 1."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console with escape codes on a terminal, unless TERM is dumb or NO_COLOR is set
    (no-color.org), and without escape codes in a pipe."""
    stream = sys.stderr if stderr else sys.stdout
    # Not every encoding has an arrow or a µ; without one, "?" is better than a traceback.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    # By default, rich writes bold under NO_COLOR.
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
    """Print a line for people, wrapped between words on a terminal and not wrapped in a pipe.

    :param whole: let the terminal wrap it, so that copying gives the original line.
    """
    out = console(stderr=stderr)
    if out.is_terminal and indent:
        out.print(Padding(text, (0, 0, 0, indent)), style=style)
    else:
        out.print(" " * indent, text, style=style, soft_wrap=whole or not out.is_terminal, sep="")


def note(text: str) -> None:
    """Print a line on stderr that begins with the program's name, for warnings and errors."""
    line = Text("lattice-client: ", "bold")
    line.append(text, "not bold")
    say(line)


def printable(text: str) -> str:
    """The text with control characters replaced, which could repaint a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def replace_closed_streams() -> None:
    """Open the null device for each stream that the shell has closed (``>&-``): Python has None."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = open(os.devnull, mode, encoding="utf-8", errors="replace")  # noqa: PTH123, SIM115 used until the process ends
            setattr(sys, name, nothing)


def discard_unwritten() -> None:
    """Drop output that stdout and stderr cannot take: the interpreter would flush it again at
    exit, and fail or block."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, KeyboardInterrupt):
            with suppress(OSError, ValueError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)


def binary_stream(stream: TextIO) -> BinaryIO:
    """The binary stream below a text stream."""
    stream.flush()
    return stream.buffer
