"""Paths with wildcards, as faults and sentences over the access log are given them."""

from __future__ import annotations

import re

__all__ = ["path_pattern"]

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
