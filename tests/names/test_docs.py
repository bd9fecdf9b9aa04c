"""The examples of docs/names.md run."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest

from lattice_client import LatticeAuth, names
from lattice_client.names import CloudMapNames, Names, StaticNames
from lattice_client.names.static import VARIABLE
from lattice_client.requests import Session
from lattice_client.testing import LocalLattice, serve
from support import canary

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "names.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_runs(block):
    found = {"__name__": "docs", "look_up_in_consul": lambda _: {"region": "eu-west-3"}}
    exec(compile(block, "names.md", "exec"), found)
    assert isinstance(found["names"], Names)
    if "Consul" in found:
        assert found["names"].resolve("orders.example.com").region == "eu-west-3"


def test_the_names_of_a_cloud_map_namespace_without_dns_can_be_called(
    moto_url, clients, monkeypatch
):
    """The block's own source, asked over HTTP; the service is called by its managed name."""
    (block,) = (each for each in BLOCKS if "CloudMapNames(" in each)
    settings = {"region": "eu-west-1", "credentials": canary.credentials()}
    made = functools.partial(CloudMapNames, endpoint_url=moto_url, **settings)
    monkeypatch.setattr(names, "CloudMapNames", made)
    found: dict[str, Any] = {}
    exec(compile(block, "names.md", "exec"), found)
    lattice = LocalLattice(region="eu-west-1")
    service = lattice.add_service("payments")
    app = lattice.add_caller("app")
    cloud_map = clients("servicediscovery")
    begun = cloud_map.create_http_namespace(Name="internal.example.com")["OperationId"]
    namespace = cloud_map.get_operation(OperationId=begun)["Operation"]["Targets"]["NAMESPACE"]
    registered = cloud_map.create_service(Name="payments", NamespaceId=namespace)["Service"]
    attributes = {"AWS_INSTANCE_CNAME": service.managed_name, "stage": "prod"}
    cloud_map.register_instance(ServiceId=registered["Id"], InstanceId="i0", Attributes=attributes)
    with serve(lattice) as running, running.resolving():
        auth = LatticeAuth(credentials=app.credentials, names=found["names"])
        with Session(auth=auth) as session:
            session.trust_env = False
            url = f"http://payments.internal.example.com:{running.port}/orders"
            assert session.get(url, timeout=20).status_code == 200
    (record,) = lattice.access_log
    assert record["hostHeader"].partition(":")[0] == service.managed_name


def test_the_map_in_a_file(tmp_path):
    (written,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "names.toml"
    path.write_text(written)
    found = Names(StaticNames.from_file(path))
    assert found.resolve("books.internal.example.com").host == "books.internal.example.com"
    assert found.resolve("shop.eu.example.com").region == "eu-central-1"
    assert not found.resolve("www.eu.example.com").is_lattice


def test_the_map_in_the_environment(monkeypatch):
    (entry,) = re.findall(rf"^export {VARIABLE}='(.*)'$", PAGE, flags=re.MULTILINE)
    monkeypatch.setenv(VARIABLE, entry)
    found = Names().resolve("payments.internal.example.com")
    assert (found.region, found.connect_to) == ("eu-west-1", "127.0.0.1:8080")


def test_every_source_is_there():
    for name in names.__all__:
        if name.endswith("Names") and name != "Names":
            assert f"| `{name}(" in PAGE
    assert len(BLOCKS) == 9
