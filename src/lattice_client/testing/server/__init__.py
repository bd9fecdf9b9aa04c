"""A local Lattice on a real socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client._lazy import lazy_exports as _lazy_exports

if TYPE_CHECKING:
    from lattice_client.testing.server.running import ExposedLatticeWarning as ExposedLatticeWarning
    from lattice_client.testing.server.running import RunningLattice as RunningLattice
    from lattice_client.testing.server.running import serve as serve

__all__ = [
    "ExposedLatticeWarning",
    "RunningLattice",
    "serve",
]

_MODULE_OF = {
    "ExposedLatticeWarning": "running",
    "RunningLattice": "running",
    "serve": "running",
}

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF)
