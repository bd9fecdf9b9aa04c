"""How things are called in messages."""

from __future__ import annotations

import re

__all__ = ["own_name", "without_password"]


def own_name(called: object) -> str:
    """What an application or a function calls itself; empty where it does not say.

    Lazy ones (of frameworks whose settings come later) may raise anything at any question.
    """
    try:
        name: object = getattr(called, "__name__", "")
    except Exception:  # noqa: BLE001
        return ""
    return name if isinstance(name, str) else ""


def without_password(text: str) -> str:
    """A text that is no URL, and might have a password before an ``@`` for all that."""
    # People also write it as an escape, or as what urlsplit refuses to take for one.
    return re.sub(r"(?s).*(?:@|\uff20|%40)", "", text)
