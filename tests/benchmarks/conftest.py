from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _level_of_the_log() -> Iterator[None]:
    """Measurements set it, and the sweep over the run wants to see every record."""
    ours = logging.getLogger("lattice_client")
    level = ours.level
    yield
    ours.setLevel(level)
