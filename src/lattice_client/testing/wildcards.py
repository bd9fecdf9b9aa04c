"""The wildcards of IAM: ``*`` is any run of characters, ``?`` any one.

A pattern is a small automaton whose states are the bits of one integer: matching takes one step
for each character of the text, whatever the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Pattern", "Token", "Wildcard", "path_pattern", "tokens", "wildcard_match"]


class Wildcard(Enum):
    """What in a pattern is no character of its own."""

    RUN = "*"
    ONE = "?"


Token: TypeAlias = str | Wildcard
"""A piece of a pattern: a wildcard, or text that stands for itself."""


class Pattern:
    """A pattern, ready to be matched."""

    __slots__ = ("_accept", "_accept_any", "_final", "_literal", "_loops", "_prefix")

    def __init__(self, pieces: Iterable[Token]) -> None:
        pieces = tuple(pieces)
        texts = [piece for piece in pieces if isinstance(piece, str)]
        plain = "".join(texts)
        wild = [piece for piece in pieces if isinstance(piece, Wildcard)]
        # Most patterns are a text, or a text with a final "*".
        self._literal = None if wild else plain
        self._prefix = plain if wild == [Wildcard.RUN] and pieces[-1] is Wildcard.RUN else None
        if self._literal is None and self._prefix is None:
            self._build(pieces)

    def _build(self, pieces: Iterable[Token]) -> None:
        # State i: the first i characters of the pattern are matched.
        state = 1
        self._accept: dict[str, int] = {}
        self._accept_any = self._loops = 0
        for piece in pieces:
            if piece is Wildcard.RUN:
                self._loops |= state
            elif piece is Wildcard.ONE:
                self._accept_any |= state
                state <<= 1
            else:
                for character in str(piece):
                    self._accept[character] = self._accept.get(character, 0) | state
                    state <<= 1
        self._final = state

    def matches(self, text: str) -> bool:
        """Whether the whole ``text`` is of this form."""
        if self._literal is not None:
            return text == self._literal
        if self._prefix is not None:
            return text.startswith(self._prefix)
        accept, accept_any, loops = self._accept, self._accept_any, self._loops
        states = 1
        for character in text:
            step = states & (accept.get(character, 0) | accept_any)
            states = step << 1 | states & loops
            if not states:
                return False
        return bool(states & self._final)


def tokens(text: str) -> list[Token]:
    """A pattern's text, taken apart at its wildcards."""
    pieces: list[Token] = []
    start = 0
    for position, character in enumerate(text):
        if character in "*?":
            pieces += [text[start:position], Wildcard(character)]
            start = position + 1
    return [piece for piece in (*pieces, text[start:]) if piece != ""]


@lru_cache(maxsize=256)
def _pattern(text: str) -> Pattern:
    return Pattern(tokens(text))


def wildcard_match(pattern: str, text: str) -> bool:
    """Whether ``text`` is of the form ``pattern``."""
    return _pattern(pattern).matches(text)


# "?" alone is a wildcard; with a name and "=" after it somebody means a query.
_QUERY = re.compile(r"\?[^?*/=&]+=")


def path_pattern(path: object) -> str:
    """The path, if there can be calls of that form.

    :raises ValueError: if there can be none.
    """
    if not isinstance(path, str) or not path.startswith(("/", "*", "?")):
        raise ValueError(f"a path begins with '/', or with '*' or '?' as wildcards, not {path!r}")
    if query := _QUERY.search(path):
        raise ValueError(
            f"a path is compared without its query: {path[: query.start()]!r}, not {path!r}"
        )
    return path
