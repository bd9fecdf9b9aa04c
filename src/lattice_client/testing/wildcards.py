"""The wildcards of IAM policies."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["wildcard_match"]


def wildcard_match(pattern: str, text: str) -> bool:
    """Whether ``text`` is of the form ``pattern``: ``*`` is any run, ``?`` any one character."""
    # fnmatch's third wildcard, [...], is none of IAM's.
    return fnmatchcase(text, pattern.replace("[", "[[]"))
