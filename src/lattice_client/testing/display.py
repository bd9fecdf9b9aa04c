"""How objects and texts appear in messages."""

from __future__ import annotations

import re

__all__ = ["own_name", "without_password"]


def own_name(called: object) -> str:
    """The ``__name__`` of an application or a function; empty if it has none.

    Lazy objects of frameworks that are not configured yet may raise any exception here.
    """
    try:
        name: object = getattr(called, "__name__", "")
    except Exception:  # noqa: BLE001
        return ""
    return name if isinstance(name, str) else ""


def without_password(text: str) -> str:
    """Cut everything up to the last ``@``, in case a text that is not a URL has a password.

    The ``@`` may also be an escape, or the full-width form that urlsplit refuses.
    """
    return re.sub(r"(?s).*(?:@|\uff20|%40)", "", text)
