"""Makes this process resolve some host names to a loopback address; ports stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from lattice_client.testing.server.diverting import Diversion, diverting

__all__ = ["resolving"]


def resolving(names: Callable[[], Collection[str]], address: str) -> AbstractContextManager[None]:
    """Resolve ``names`` (lower case, called at each look-up) to ``address`` while in the context.

    See ``diverting`` for nested contexts, and for what is replaced.
    """
    return diverting(Diversion(names, address))
