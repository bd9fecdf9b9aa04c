from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import endpoints
from support.name_server import NameServer, name_server
from support.sources import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[NameServer]:
    pytest.importorskip("dns")
    with name_server() as running:
        yield running


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    pytest.importorskip("moto")
    with endpoints.moto() as url:
        yield url
