"""IAM's wildcards: ``*`` matches any run of characters, ``?`` any one character.

A pattern is an automaton whose states are the bits of one integer. Matching takes one step for
each character of the text, so no pattern makes it slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

__all__ = ["Pattern", "Token", "Wildcard", "path_pattern", "tokens", "wildcard_match"]


class Wildcard(Enum):
    """The wildcards in a pattern."""

    RUN = "*"
    ONE = "?"


Token: TypeAlias = str | Wildcard
"""A piece of a pattern: a wildcard or literal text."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_accept", "_accept_any", "_final", "_literal", "_loops", "_prefix")

    def __init__(self, pieces: Iterable[Token]) -> None:
        pieces = tuple(pieces)
        texts = [piece for piece in pieces if isinstance(piece, str)]
        plain = "".join(texts)
        wild = [piece for piece in pieces if isinstance(piece, Wildcard)]
        # Most patterns are literal, or literal with a final "*".
        self._literal = None if wild else plain
        self._prefix = plain if wild == [Wildcard.RUN] and pieces[-1] is Wildcard.RUN else None
        if self._literal is None and self._prefix is None:
            self._build(pieces)

    def _build(self, pieces: Iterable[Token]) -> None:
        # In state i, the first i characters of the pattern have matched.
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
        """Whether the pattern matches the whole ``text``."""
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
    """Split a pattern at its wildcards."""
    pieces: list[Token] = []
    start = 0
    for position, character in enumerate(text):
        if character in "*?":
            pieces += [text[start:position], Wildcard(character)]
            start = position + 1
    return [piece for piece in (*pieces, text[start:]) if piece != ""]


@lru_cache(maxsize=256)
def _compiled(text: str) -> Pattern:
    return Pattern(tokens(text))


def wildcard_match(pattern: str, text: str) -> bool:
    """Whether ``pattern`` matches the whole ``text``."""
    return _compiled(pattern).matches(text)


# "?" is a wildcard; a name and "=" after it mean that it begins a query.
_QUERY = re.compile(r"\?[^?*/=&]+=")


def path_pattern(path: object) -> str:
    """Check a path pattern, and return it.

    :raises ValueError: if no request's path can match it.
    """
    if not isinstance(path, str) or not path.startswith(("/", "*", "?")):
        raise ValueError(f"a path begins with '/', or with '*' or '?' as wildcards, not {path!r}")
    if query := _QUERY.search(path):
        raise ValueError(
            f"a path is compared without its query: {path[: query.start()]!r}, not {path!r}"
        )
    return path
