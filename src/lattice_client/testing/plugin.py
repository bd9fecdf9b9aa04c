"""The pytest plugin: fixtures that start a local Lattice.

pytest loads it in every run where this package is installed, so it imports pytest and nothing else
until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lattice_client.testing.server import RunningLattice

__all__ = ["lattice", "lattice_tls"]


@pytest.fixture
def lattice() -> Iterator[RunningLattice]:
    """A local Lattice over HTTP, with one service and one caller, for one test.

    The service ``orders`` answers at ``orders.internal.example.com``, which resolves to it while
    the test runs; the caller is ``orders-frontend``. Add more as needed.
    """
    yield from _running(tls=False)


@pytest.fixture
def lattice_tls() -> Iterator[RunningLattice]:
    """The same as ``lattice``, over HTTPS; clients trust it through its ``ca_file``."""
    yield from _running(tls=True)


def _running(*, tls: bool) -> Iterator[RunningLattice]:
    from lattice_client.testing import LocalLattice, serve

    local = LocalLattice()
    local.add_service("orders", domain="orders.internal.example.com")
    local.add_caller("orders-frontend")
    with serve(local, tls=tls) as running, running.resolving():
        yield running
