"""Values of a file, each with its place in the file for errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.display import without_password
from lattice_client.testing.numbers import is_integer

__all__ = ["Node", "as_text", "text_of"]

# Ports, priorities and weights are shorter, and Python refuses to parse very long numbers.
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_FLAGS: Final = {"true": True, "false": False}


class Node:
    """A value and its place, such as ``lattice.toml: services.orders.rules[0].path``.

    The reading methods raise ConfigurationError, with the place, for a value of another type.
    """

    def __init__(self, value: Any, place: str) -> None:
        self.value = value
        self.place = place

    def __repr__(self) -> str:
        return f"<Node {self.place}>"

    def error(self, message: str) -> ConfigurationError:
        """An error that begins with the place."""
        return ConfigurationError(f"{self.place.removesuffix(': ')}: {message}")

    @contextmanager
    def error_context(self) -> Iterator[None]:
        """Turn ValueError and KeyError inside into errors that begin with the place."""
        try:
            yield
        except (ValueError, KeyError) as error:
            if isinstance(error, ConfigurationError) and str(error).startswith(self._file):
                raise  # It already names a more exact place.
            # str() of a KeyError would quote the message.
            raise self.error(str(error.args[0] if error.args else error)) from error

    def child(self, key: str) -> Node:
        """The value of a key."""
        separator = "" if self.place.endswith(": ") else "."
        return Node(self.value[key], f"{self.place}{separator}{key}")

    def need(self, key: str) -> Node:
        """The value of a required property."""
        if key not in self.table():
            raise self.error(f"the property {key!r} is missing")
        return self.child(key)

    def table(self, known: Iterable[str] | None = None) -> dict[str, Node]:
        """The values of a table, by key.

        :param known: the allowed keys; None for any.
        """
        if not isinstance(self.value, Mapping):
            raise self.error("this must be a table (a mapping)")
        for key in self.value:
            if not isinstance(key, str):
                raise self.error(f"the key {key!r} must be text: put it in quotes")
        allowed = None if known is None else tuple(known)
        for key in self.value:
            if allowed is not None and key not in allowed:
                raise self.error(
                    f"{key!r} is not known here; the known keys are: {', '.join(allowed)}"
                )
        return {key: self.child(key) for key in self.value}

    def items(self) -> list[Node]:
        """The values of a list."""
        if not isinstance(self.value, list):
            raise self.error("this must be a list")
        return [Node(value, f"{self.place}[{index}]") for index, value in enumerate(self.value)]

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            shown = without_password(repr(self.value))
            raise self.error(f"this must be text (in quotes), not {shown}")
        return self.value

    def number(self) -> int:
        """A whole number."""
        if not is_integer(self.value):
            raise self.error(f"this must be a whole number, not {self.value!r}")
        return self.value

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"this must be true or false, not {self.value!r}")
        return self.value

    def as_text(self) -> str:
        """A text, or a number or boolean as CloudFormation writes it."""
        if not isinstance(self.value, str | int | float):
            raise self.error(f"this must be text, not {self.value!r}")
        return as_text(self.value)

    def as_number(self) -> int:
        """A whole number, or a text of one: CloudFormation accepts both."""
        whole = isinstance(self.value, float) and self.value.is_integer()
        if whole or (isinstance(self.value, str) and _WHOLE.fullmatch(self.value.strip())):
            return int(self.value)
        return self.number()

    def as_flag(self) -> bool:
        """True or false, or a text of either."""
        if isinstance(self.value, str) and self.value.lower() in _FLAGS:
            return _FLAGS[self.value.lower()]
        return self.flag()

    @property
    def _file(self) -> str:
        return self.place.partition(": ")[0] + ": "


def as_text(value: Any) -> str:
    """A scalar as CloudFormation writes and compares it: as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def text_of(table: Mapping[str, Node], key: str, default: Any = None) -> Any:
    """A property's text, or the default if it is missing."""
    return table[key].as_text() if key in table else default
