"""The pytest plugin: fixtures that start a local Lattice.

pytest loads it in every run where this package is installed, so it imports only pytest until a
fixture is used.

The contents of a test's Lattice come from the first of these that is there:

- the marker: ``@pytest.mark.lattice("lattice.toml")``, the file beside the test, or the arguments
  of ``LocalLattice`` and with them ``services=["orders", "stock"]`` and ``callers=["shop"]``;
- ``lattice_file`` in pytest's configuration, relative to it;
- the default: the service ``orders`` and the caller ``orders-frontend``.

Each test gets a separate Lattice at a free port, in every process of pytest-xdist.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.server.running import RunningLattice

__all__ = ["lattice", "lattice_async", "lattice_tls"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("lattice_file", "the file that the fixture lattice is made from, TOML or YAML")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "lattice(file=None, *, services=…, callers=…, **settings): what the local Lattice of the "
        "fixtures lattice, lattice_async and lattice_tls is made from",
    )


@pytest.fixture
def lattice(request: pytest.FixtureRequest) -> Iterator[RunningLattice]:
    """A local Lattice over HTTP, with one service and one caller, for one test.

    The service ``orders`` has the name ``orders.internal.example.com``, which resolves to it while
    the test runs; the caller is ``orders-frontend``. ``lattice.as_caller("orders-frontend")`` is a
    context in which a program calls it unchanged. To add or configure more, see
    ``lattice_client.testing.plugin``.
    """
    yield from _running(request, tls=False)


@pytest.fixture
def lattice_async(request: pytest.FixtureRequest) -> Iterator[RunningLattice]:
    """The same, for asynchronous tests with pytest-asyncio, anyio or others.

    It needs no event loop and blocks none: a separate thread runs it and its targets.
    """
    yield from _running(request, tls=False)


@pytest.fixture
def lattice_tls(request: pytest.FixtureRequest) -> Iterator[RunningLattice]:
    """The same as ``lattice``, over HTTPS; clients trust it through its ``ca_file``."""
    yield from _running(request, tls=True)


def _running(request: pytest.FixtureRequest, *, tls: bool) -> Iterator[RunningLattice]:
    from lattice_client.testing import serve

    with serve(_configured(request), tls=tls) as running, running.resolving():
        yield running


def _configured(request: pytest.FixtureRequest) -> LocalLattice:
    config, marker = request.config, request.node.get_closest_marker("lattice")
    if marker is not None:
        if len(marker.args) > 1:
            raise _error(f"give one file, not {len(marker.args)}")
        return _marked(*marker.args, folder=request.path.parent, **marker.kwargs)
    file = config.getini("lattice_file")
    if file:
        return _from_file((config.inipath or config.rootpath / "ini").parent / file)
    return _marked(folder=request.path.parent)


def _marked(
    file: str | None = None,
    *,
    folder: Path,
    services: Iterable[str] | None = None,
    callers: Iterable[str] | None = None,
    **settings: Any,
) -> LocalLattice:
    from lattice_client.testing.templates.default import default_lattice

    if isinstance(services, str) or isinstance(callers, str):
        raise _error("services and callers must be lists of names")
    if not isinstance(settings.get("service", ""), str):
        raise _error("service is the name in signatures; to add services, use services=[…]")
    if file is not None:
        if services is not None or callers is not None:
            raise _error("services and callers come from the file: leave out the arguments")
        return _from_file(folder / file, **settings)
    return default_lattice(services, callers, **settings)


def _from_file(path: Path, **settings: Any) -> LocalLattice:
    local: LocalLattice = import_module("lattice_client.testing.templates.load").load(
        path, **settings
    )
    return local


def _error(problem: str) -> Exception:
    from lattice_client.errors import ConfigurationError

    return ConfigurationError(f"@pytest.mark.lattice: {problem}")
