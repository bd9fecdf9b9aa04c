"""Policy variables: ``${aws:PrincipalTag/team}`` in a policy stands for a value of the request.

Source: "IAM policy elements: Variables and tags" (IAM User Guide).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from lattice_client.testing.wildcards import Pattern, Token, tokens

__all__ = ["Lookup", "PolicyString", "Variable"]

Lookup: TypeAlias = Callable[[str], tuple[str, ...] | None]
"""Returns the request's values of a condition key; None if it has none."""

# A default may contain a brace; a key may not.
_VARIABLE = r"\$\{([^}']*)(?:'([^']*)'\s*)?\}"
_SPECIAL = {"*", "?", "$"}


@dataclass(frozen=True, slots=True)
class Variable:
    """``${key}`` or ``${key, 'default'}``."""

    key: str
    default: str | None = None

    def value(self, lookup: Lookup) -> str | None:
        """Its value in a request; None if it has none, or more than one."""
        values = lookup(self.key)
        if values is None:
            return self.default
        # "You can't use multivalued context keys as policy variables": Single-valued vs.
        # multivalued context keys.
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class _Literal:
    """``${*}``, ``${?}`` or ``${$}``: the literal character."""

    text: str


@dataclass(frozen=True)
class PolicyString:
    """A string in a policy, which may have variables and wildcards."""

    parts: tuple[str | Variable | _Literal, ...]

    @classmethod
    def read(cls, text: str, *, variables: bool = True) -> PolicyString:
        """Parse a string.

        :param variables: whether there are variables: only in Version 2012-10-17.
        :raises ValueError: if a variable is malformed.
        """
        if not variables:
            return cls((text,))
        parts: list[str | Variable | _Literal] = []
        position = 0
        while (start := text.find("${", position)) >= 0:
            if start > position:
                parts.append(text[position:start])
            found = re.compile(_VARIABLE).match(text, start)
            if found is None:
                raise ValueError(
                    f"the policy variable at {text[start : start + 40]!r} is not closed"
                )
            parts.append(_variable(found))
            position = found.end()
        if position < len(text) or not parts:
            parts.append(text[position:])
        return cls(tuple(parts))

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in it."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    @cached_property
    def _fixed_pattern(self) -> Pattern:
        return Pattern(self._tokens(_no_values) or ())

    @cached_property
    def _fixed_text(self) -> str | None:
        return self._resolved(_no_values)

    def text(self, lookup: Lookup) -> str | None:
        """The text for exact comparison with a request; None if a variable has no value."""
        return self._resolved(lookup) if self.variables else self._fixed_text

    def _resolved(self, lookup: Lookup) -> str | None:
        texts = [_resolve(part, lookup) for part in self.parts]
        return None if None in texts else "".join(text for text in texts if text is not None)

    def pattern(self, lookup: Lookup) -> Pattern | None:
        """The same for comparison with wildcards. Those in a variable's value are literal."""
        if not self.variables:
            return self._fixed_pattern
        pieces = self._tokens(lookup)
        return None if pieces is None else Pattern(pieces)

    def _tokens(self, lookup: Lookup) -> list[Token] | None:
        pieces: list[Token] = []
        for part in self.parts:
            if isinstance(part, str):
                pieces += tokens(part)
            else:
                text = _resolve(part, lookup)
                if text is None:
                    return None
                pieces.append(text)
        return pieces

    def split(self, separator: str, times: int) -> list[PolicyString]:
        """Split at the first ``times`` separators outside variables."""
        pieces: list[list[str | Variable | _Literal]] = [[]]
        for part in self.parts:
            if not isinstance(part, str):
                pieces[-1].append(part)
                continue
            first, *others = part.split(separator, times + 1 - len(pieces))
            pieces[-1].append(first)
            pieces.extend([other] for other in others)
        return [PolicyString(tuple(piece)) for piece in pieces]


def _variable(found: re.Match[str]) -> Variable | _Literal:
    inner, default = found[1], found[2]
    if default is None and inner in _SPECIAL:
        return _Literal(inner)
    key, comma, rest = inner.partition(",")
    key = key.strip()
    if not key or rest.strip() or bool(comma) != (default is not None):
        raise ValueError(
            f"{found[0]!r} is not a policy variable; write ${{key}} or ${{key, 'default'}}"
        )
    return Variable(key, default)


def _resolve(part: str | Variable | _Literal, lookup: Lookup) -> str | None:
    if isinstance(part, Variable):
        return part.value(lookup)
    return part if isinstance(part, str) else part.text


def _no_values(_: str) -> None:
    return None
