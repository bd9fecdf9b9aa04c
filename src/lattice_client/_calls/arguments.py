"""The arguments of all clients, beside ``auth`` and those of the library.

For type checkers, where a client passes the library's arguments on and has to name them all: then a
misspelt one is found.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from lattice_client.events import Observer
from lattice_client.names import Resolver
from lattice_client.retry.policy import RetryPolicy

__all__ = ["ClientArguments"]


class ClientArguments(TypedDict, total=False):
    """What :class:`~lattice_client._calls.loop.CallSettings` is made of."""

    retry: RetryPolicy | None
    observers: Iterable[Observer] | None
    names: Resolver | None
