from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support import endpoints
from support.aws_apis import client
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


@pytest.fixture(scope="module")
def clients(moto_url) -> Iterator[Callable[[str], Any]]:
    made: dict[str, Any] = {}

    def get(service: str) -> Any:
        if service not in made:
            made[service] = client(service, moto_url)
        return made[service]

    yield get
    for each in made.values():
        each.close()


@pytest.fixture
def no_pauses(monkeypatch):
    """botocore's between its tries."""
    monkeypatch.setattr("botocore.endpoint.time", types.SimpleNamespace(sleep=lambda _: None))
