"""The local Lattice where nothing describes one: the fixtures', and ``lattice-client local``'s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lattice_client.testing.lattice import LocalLattice

__all__ = ["default_lattice"]

_SERVICES, _CALLERS = ("orders",), ("orders-frontend",)


def default_lattice(
    services: Iterable[str] | None = None, callers: Iterable[str] | None = None, **settings: Any
) -> LocalLattice:
    """A local Lattice with the service ``orders`` and the caller ``orders-frontend``.

    :param services: other services. The custom domain of each is ``NAME.internal.example.com``.
    :param callers: other callers.
    :param settings: arguments of ``LocalLattice``.
    """
    local = LocalLattice(**settings)
    for service in _SERVICES if services is None else services:
        local.add_service(service, domain=f"{service}.internal.example.com")
    for caller in _CALLERS if callers is None else callers:
        local.add_caller(caller)
    return local
