import logging

import pytest

from lattice_client.testing import LocalLattice
from support.local_oracles import HOST, NOW


@pytest.fixture
def local():
    """A local Lattice at a fixed time, with the service ``orders`` and the caller ``frontend``."""
    lattice = LocalLattice(clock=lambda: NOW)
    lattice.add_service("orders", domain=HOST)
    lattice.add_caller("frontend", role="orders-frontend", session="task-1")
    return lattice


@pytest.fixture(scope="module")
def authority():
    from lattice_client.testing.server.certificates import Certificates

    certificates = Certificates(tuple)
    yield certificates
    certificates.close()


@pytest.fixture(params=["http", "https"])
def certificates(request):
    """None for a server without TLS."""
    return request.getfixturevalue("authority") if request.param == "https" else None


@pytest.fixture
def nothing_goes_wrong_inside(caplog):
    """Fail if anything is logged as an error that the test does not clear."""
    yield
    said = caplog.get_records("call")
    assert not [record for record in said if record.levelno >= logging.ERROR]
