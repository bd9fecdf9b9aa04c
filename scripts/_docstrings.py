"""Docstrings as the site shows them."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
_FIELDS = re.compile(r"^:(?:param|raises|returns)\b.*\n?(?:[ \t]+\S.*\n?)*", re.MULTILINE)


def shown(docstring: str) -> str:
    """Turn roles such as :class:`Name` into code, and move the list of parameters to the end:
    otherwise the text after it would belong to the last parameter."""
    text = _ROLE.sub(r"`\1`", docstring)
    fields = "".join(f"{field.rstrip()}\n" for field in _FIELDS.findall(text))
    return f"{_FIELDS.sub('', text).rstrip()}\n\n{fields}".strip()


class Shown(griffe.Extension):
    """An extension for mkdocstrings: see zensical.toml."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = shown(obj.docstring.value)
