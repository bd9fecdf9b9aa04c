"""Both services, in the local Lattice of each test."""

import json
from pathlib import Path

import httpx
import pytest

from lattice_client import LatticeAuth
from orders import orders
from stock import app as stock

POLICY = json.loads(Path(__file__).with_name("stock-policy.json").read_text())


@pytest.fixture
def shop(lattice):
    """The local Lattice, with ``orders``, ``stock`` and their callers."""
    return furnish(lattice)


@pytest.fixture
def shop_async(lattice_async):
    """The same, for asynchronous tests."""
    return furnish(lattice_async)


def furnish(lattice):
    lattice.add_caller("orders")
    lattice.add_service("stock", domain="stock.internal.example.com", target=stock, policy=POLICY)
    credentials = lattice.caller("orders").credentials
    lattice.service("orders").target = orders(lattice.url_for("stock"), credentials)
    return lattice


@pytest.fixture
def frontend(shop):
    """A client that signs as ``orders-frontend``."""
    auth = LatticeAuth(region="us-west-2", credentials=shop.caller("orders-frontend").credentials)
    with httpx.Client(auth=auth) as client:
        yield client
