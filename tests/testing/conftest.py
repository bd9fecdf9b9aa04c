import pytest
from local_oracles import HOST, NOW

from lattice_client.testing import LocalLattice


@pytest.fixture
def local():
    """A local Lattice at a fixed time, with the service ``orders`` and the caller ``frontend``."""
    lattice = LocalLattice(clock=lambda: NOW)
    lattice.add_service("orders", domain=HOST)
    lattice.add_caller("frontend", role="orders-frontend", session="task-1")
    return lattice
