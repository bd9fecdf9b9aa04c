"""The pytest fixtures as users get them: installed, and requested by name."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from lattice_client import ConfigurationError
from lattice_client.testing import LocalLattice, plugin
from support.asgi_driver import signed_by
from support.local_oracles import as_pairs


@pytest.mark.parametrize("fixture", ["lattice", "lattice_async", "lattice_tls"])
def test_a_fixture_is_a_running_lattice(request, fixture):
    running = request.getfixturevalue(fixture)
    caller = running.caller("orders-frontend")
    url = running.url_for("orders")
    assert url == f"{running.scheme}://orders.internal.example.com:{running.port}"
    assert running.scheme == ("https" if fixture == "lattice_tls" else "http")
    verify = running.client_ssl_context() if fixture == "lattice_tls" else True

    with httpx.Client(verify=verify) as client:
        host = ("host", httpx.URL(url).netloc.decode())
        signed = signed_by(caller, now=running.lattice.clock(), headers=[host])
        response = client.get(url, headers=as_pairs(signed))
        assert response.json()["caller"] == caller.principal
        assert client.get(url).status_code == 403

    users = [record["resolvedUser"] for record in running.access_log]
    assert users == [caller.principal, None]


def test_each_test_gets_its_own(lattice):
    assert lattice.access_log == []
    assert [service.name for service in lattice.lattice.services] == ["orders"]


def test_target_groups_are_at_hand(lattice):
    blue = lattice.add_target_group("blue", "http://127.0.0.1:1")
    assert lattice.target_group("blue") is blue
    lattice.service("orders").otherwise.forward_to({blue: 1})


@pytest.mark.parametrize(
    ("files", "given", "problem"),
    [
        (["lattice.toml"], {"callers": ["shop"]}, "come from the file"),
        (["lattice.toml"], {"services": []}, "come from the file"),
        ([], {"callers": "shop"}, "lists of names"),
        ([], {"services": "orders"}, "lists of names"),
        ([], {"service": ["orders"]}, r"to add services, use services=\[…\]"),
    ],
)
def test_markers_that_cannot_be(tmp_path, files, given, problem):
    with pytest.raises(ConfigurationError, match=f"@pytest.mark.lattice: .*{problem}"):
        plugin._marked(*files, folder=tmp_path, **given)


def test_both_at_once(lattice, lattice_tls):
    assert lattice.port != lattice_tls.port
    assert httpx.get(lattice.url_for("orders")).status_code == 403
    context = lattice_tls.client_ssl_context()
    assert httpx.get(lattice_tls.url_for("orders"), verify=context).status_code == 403


# Contents


@pytest.mark.lattice(services=["rates", "books"], callers=["batch"], region="eu-west-1")
def test_a_marker_says_what_is_in_it(lattice, lattice_tls):
    for running in (lattice, lattice_tls):
        assert [service.name for service in running.lattice.services] == ["rates", "books"]
        assert running.lattice.region == "eu-west-1"
        assert running.caller("batch").principal.endswith(":assumed-role/batch/session")
    assert httpx.get(lattice.url_for("rates")).status_code == 403
    lattice.access.of("rates").by(None).denied_by("Service").once()


@pytest.fixture
def loaded(monkeypatch):
    """The plugin's calls of ``load``."""
    calls = []

    def load(path, **settings):
        calls.append((path, settings))
        return LocalLattice(**settings)

    monkeypatch.setitem(
        sys.modules, "lattice_client.testing.templates.load", SimpleNamespace(load=load)
    )
    return calls


class TestFiles:
    @pytest.fixture(autouse=True)
    def _files(self, loaded):
        """Set up before the lattice."""

    @pytest.mark.lattice("orders.toml", region="eu-west-1")
    def test_a_marker_names_a_file_beside_the_test(self, loaded, lattice):
        assert loaded == [(Path(__file__).with_name("orders.toml"), {"region": "eu-west-1"})]
        assert lattice.lattice.region == "eu-west-1"

    def test_the_configuration_names_a_file_beside_itself(self, loaded, request, monkeypatch):
        getini = request.config.getini
        monkeypatch.setattr(
            request.config,
            "getini",
            lambda name: "lattice.toml" if name == "lattice_file" else getini(name),
        )
        request.getfixturevalue("lattice")
        assert loaded == [(request.config.inipath.parent / "lattice.toml", {})]


@pytest.mark.skipif(
    find_spec("lattice_client.testing.templates.load") is None,
    reason="there is no reader of files here",
)
def test_a_real_file(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nlattice_file = lattice.toml\n")
    (tmp_path / "lattice.toml").write_text(
        "region = 'eu-west-1'\n[services.rates]\n[callers.batch]\n"
    )
    (tmp_path / "test_it.py").write_text(
        "def test_it(lattice):\n"
        "    assert lattice.service('rates').name == 'rates'\n"
        "    assert lattice.caller('batch').name == 'batch'\n"
    )
    run_pytest(tmp_path, plugins=[])


# With other plugins


PROJECT = """
import asyncio

import httpx
import pytest

from lattice_client.httpx import LatticeAuth


async def calls(lattice):
    auth = LatticeAuth(
        region="us-west-2", credentials=lattice.caller("orders-frontend").credentials
    )
    async with httpx.AsyncClient(auth=auth) as client:
        assert (await client.get(lattice.url_for("orders"))).status_code == 200
    lattice.access.of("orders").by("orders-frontend").allowed().once()


@pytest.mark.asyncio
@pytest.mark.parametrize("time", range(3))
async def test_with_pytest_asyncio(lattice_async, time):
    await calls(lattice_async)


@pytest.mark.anyio
async def test_with_anyio(lattice_async, anyio_backend):
    await calls(lattice_async)


@pytest.mark.parametrize("time", range(3))
def test_with_neither(lattice, time):
    asyncio.run(calls(lattice))
"""


def test_asyncio_anyio_and_xdist_get_on_with_it(tmp_path):
    (tmp_path / "test_it.py").write_text(PROJECT)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\n"
        "asyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
        "addopts = --strict-markers\n"
    )
    assert "8 passed" in run_pytest(
        tmp_path, "-n", "2", plugins=["pytest_asyncio", "anyio", "xdist"]
    )


def test_the_example_passes():
    example = Path(__file__).parents[2] / "examples" / "two_services"
    assert "8 passed" in run_pytest(example, plugins=["anyio"])


MODULES = {
    "anyio": "anyio.pytest_plugin",
    "pytest_asyncio": "pytest_asyncio.plugin",
    "xdist": "xdist.plugin",
}


def run_pytest(folder, *arguments, plugins):
    """Run the tests in a folder with our plugin and these others."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    for module in ("lattice_client.testing.plugin", *(MODULES[name] for name in plugins)):
        command += ["-p", module]
    # Without the other installed plugins, which are slow.
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        environment.pop(name, None)
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout
