from __future__ import annotations

import pytest

from lattice_client.testing.server import diverting


@pytest.fixture
def nothing_diverted(monkeypatch):
    """The diversions of fixtures that live as long as the run are out of sight."""
    monkeypatch.setattr(diverting, "_active", ())
    monkeypatch.setattr(diverting, "_installed", [])
