"""The examples, run as they stand, against a local Lattice."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import pytest

from lattice_client.testing import ALLOW_AUTHENTICATED, AuthPolicy, LocalLattice, serve
from support import canary
from support.documents import ORDERS, ROOT

EXAMPLES = ROOT / "examples"
# Those that are programs of their own, with a test of their own.
FOLDERS_RUN_ELSEWHERE = {"two_services"}


@pytest.fixture(scope="module")
def running():
    local = LocalLattice()
    local.add_service("orders", domain=ORDERS)
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as running, running.resolving():
        yield running


@pytest.fixture
def lattice(running, monkeypatch):
    """The service `orders`, and in the environment what leads there."""
    running.lattice.clear()
    running.service("orders").policy = ALLOW_AUTHENTICATED
    credentials = canary.credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", credentials.token or "")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("ORDERS_URL", running.url_for("orders"))
    return running


def nobody(lattice):
    lattice.service("orders").policy = AuthPolicy(())


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fastapi(lattice):
    from fastapi.testclient import TestClient

    with TestClient(load("fastapi_service").app) as client:
        yield client


class TestFastApi:
    def test_it_calls_through_lattice(self, lattice, fastapi):
        seen = fastapi.get("/customers/Zoë & Co/orders").json()
        assert seen["query"] == "customer=Zo%C3%AB%20%26%20Co"
        assert seen["caller"].endswith("assumed-role/orders-frontend/session")
        assert [record["responseCode"] for record in lattice.access_log] == [200]

    def test_a_refusal_is_not_the_customers_affair(self, lattice, fastapi, caplog):
        nobody(lattice)
        response = fastapi.get("/customers/7/orders")
        assert (response.status_code, response.json()["detail"]) == (
            502,
            "orders refuses this service",
        )
        assert "service policy" in caplog.text


class TestLambda:
    @pytest.fixture
    def function(self, lattice):
        module = load("lambda_handler")
        yield module
        module.session.close()

    def test_it_reads_an_order(self, lattice, function):
        answer = function.handler({"order": "a/7"}, None)
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"])["path"] == "/orders/a%2F7"

    def test_a_refusal_is_explained(self, lattice, function):
        from lattice_client import DeniedError

        nobody(lattice)
        with pytest.raises(DeniedError, match="add a statement"):
            function.handler({"order": "7"}, None)


class TestBatch:
    def test_each_order_is_confirmed_once(self, lattice):
        batch = load("batch_aiohttp")
        outcomes = asyncio.run(batch.run(lattice.url_for("orders"), range(400)))
        assert outcomes == {"200": 400}
        paths = [record["requestPath"] for record in lattice.access_log]
        assert sorted(paths) == sorted(f"/orders/{number}/confirmation" for number in range(400))

    def test_what_fails_is_counted(self, lattice):
        nobody(lattice)
        batch = load("batch_aiohttp")
        assert asyncio.run(batch.run(lattice.url_for("orders"), range(3))) == {"403": 3}


class TestFlask:
    @pytest.fixture
    def module(self, lattice):
        module = load("flask_caller")
        yield module
        if hasattr(module.of_thread, "session"):
            module.of_thread.session.close()

    def test_it_places_an_order(self, lattice, module):
        response = module.app.test_client().post(
            "/basket", json={"item": "espresso"}, headers={"Idempotency-Key": "k-1"}
        )
        assert response.status_code == 200
        assert ["idempotency-key", "k-1"] in response.json["headers"]

    def test_a_refusal_is_logged(self, lattice, module, caplog):
        nobody(lattice)
        response = module.app.test_client().post("/basket", json={"item": "espresso"})
        assert response.status_code == 502
        assert "service policy" in caplog.text


def test_each_is_listed_and_run():
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    this = (ROOT / "tests" / "test_examples.py").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        if path.suffix == ".py":
            assert f"]({path.name})" in readme
            assert f'load("{path.stem}")' in this
        elif path.is_dir() and path.name != "__pycache__":
            assert path.name in FOLDERS_RUN_ELSEWHERE
