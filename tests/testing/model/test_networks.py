"""Several service networks, and listeners."""

import httpx
import pytest

from lattice_client import ConfigurationError
from lattice_client.testing import AuthPolicy, LocalLattice, serve
from support.asgi_driver import Exchange, fetch, signed_by
from support.local_oracles import HOST, NOW, wire


def unsigned(target="/", host=HOST):
    return wire("GET", target, [("host", host)])


@pytest.fixture
def two():
    """Two networks: orders is in both, rates in the second only."""
    lattice = LocalLattice(clock=lambda: NOW, network_name="shop")
    lattice.add_network("partners")
    lattice.add_service("orders", domain=HOST, auth_type="NONE", networks=["shop", "partners"])
    lattice.add_service(
        "rates", domain="rates.example.com", auth_type="NONE", networks=["partners"]
    )
    return lattice


def test_a_caller_enters_through_one_of_them(two):
    partners = two.networks["partners"]
    assert fetch(two, unsigned()).status_code == 200
    assert two.access_log[-1]["serviceNetworkArn"] == two.network.arn == two.network_arn
    response = fetch(partners, unsigned())
    assert response.status_code == 200
    target = dict(response.json()["headers"])["x-amzn-lattice-target"]
    assert f"ServiceNetworkArn={partners.arn};" in target
    assert two.access_log[-1]["serviceNetworkArn"] == partners.arn
    assert len(two.requests) == 2


def test_a_service_outside_the_network_is_not_found(two):
    partners = two.networks["partners"]
    rates = unsigned(host="rates.example.com")
    assert Exchange(two, rates).run().status == 404
    assert two.access_log[-1]["serviceArn"] is None
    assert Exchange(partners, rates).run().status == 200
    two.network.associate(two.service("rates"))
    two.network.associate(two.service("rates"))
    assert Exchange(two, rates).run().status == 200
    partners.dissociate(two.service("rates"))
    assert Exchange(partners, rates).run().status == 404
    assert repr(partners) == "<ServiceNetwork 'partners', services: orders>"


def test_a_loopback_host_is_the_first_service_of_the_network(two):
    partners = two.networks["partners"]
    partners.dissociate(two.service("orders"))
    Exchange(partners, unsigned(host="localhost:8080")).run()
    assert two.requests[-1].service == "rates"
    partners.dissociate(two.service("rates"))
    assert Exchange(partners, unsigned(host="localhost:8080")).run().status == 404


def test_each_network_has_an_auth_policy_of_its_own(two):
    partners, caller = two.networks["partners"], two.add_caller("frontend")
    partners.auth_type = "AWS_IAM"
    partners.policy = AuthPolicy(())
    assert partners.policy is partners.auth.policy
    assert partners.auth_type == "AWS_IAM"
    assert Exchange(two, signed_by(caller)).run().status == 200
    refused = Exchange(partners, signed_by(caller)).run()
    assert "because no network-based policy allows" in refused.text
    assert two.access_log[-1]["authDeniedReason"] == "Network"


def test_both_are_served_at_the_same_time(two):
    with serve(two) as first, serve(two.networks["partners"]) as second:
        rates = {"host": "rates.example.com"}
        assert httpx.get(first.url, headers=rates).status_code == 404
        assert httpx.get(second.url, headers=rates).status_code == 200
        assert second.lattice is two
        assert len(first.access_log) == 2


def test_each_entrance_runs_the_lifespan_of_its_targets():
    class App:
        def __init__(self):
            self.events = []

        async def __call__(self, scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                scope["state"]["pool"] = "open"
                self.events.append("startup")
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self.events.append("shutdown")
                await send({"type": "lifespan.shutdown.complete"})
                return
            self.events.append(scope["state"]["pool"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})

    app, lattice = App(), LocalLattice()
    other = lattice.add_network("other")
    lattice.add_service("orders", auth_type="NONE", target=app, networks=[lattice.network, other])
    with serve(lattice) as first:
        with serve(other) as second:
            assert httpx.get(first.url).status_code == 200
            assert httpx.get(second.url).status_code == 200
        assert app.events == ["startup", "open", "startup", "open", "shutdown"]
        assert httpx.get(first.url).status_code == 200
    assert app.events[5:] == ["open", "shutdown"]


def test_names_of_networks_are_checked(two):
    for name in ("ab", "Shop", "servicenetwork-shop", "a" * 64):
        with pytest.raises(ConfigurationError, match="is not a valid service network name"):
            two.add_network(name)
    with pytest.raises(ConfigurationError, match="the service network 'shop' already exists"):
        two.add_network("shop")
    with pytest.raises(KeyError, match="no service network 'none'; there are: shop, partners"):
        two.add_service("other", networks=["none"])
    assert "other" not in [service.name for service in two.services]


# Listeners


@pytest.fixture
def orders():
    return LocalLattice().add_service("orders", domain=HOST, auth_type="NONE")


def test_from_the_beginning_there_are_two_with_the_same_rules(orders):
    assert [repr(listener) for listener in orders.listeners] == [
        "<Listener HTTP:80>",
        "<Listener HTTPS:443>",
    ]
    orders.when(path="/gone").respond(404)
    assert len({id(listener.rules) for listener in orders.listeners}) == 1


def test_listeners_have_rules_of_their_own():
    lattice = LocalLattice()
    orders = lattice.add_service("orders", domain=HOST, auth_type="NONE")
    orders.add_listener("HTTP").otherwise.respond(404)
    secure = orders.add_listener("HTTPS")
    secure.when(path="/gone").respond(500)
    statuses = {
        (scheme, target): Exchange(lattice, unsigned(target), scheme=scheme).run().status
        for scheme in ("http", "https")
        for target in ("/", "/gone")
    }
    assert statuses == {
        ("http", "/"): 404,
        ("http", "/gone"): 404,
        ("https", "/"): 200,
        ("https", "/gone"): 500,
    }
    assert lattice.access_log[-1]["listenerId"] == secure.id
    assert secure.arn == f"{orders.arn}/listener/{secure.id}"
    with pytest.raises(ConfigurationError, match="has 2 listeners, each with its own rules"):
        orders.when(path="/")


def test_the_port_in_host_decides_where_a_listener_has_it():
    lattice = LocalLattice()
    orders = lattice.add_service("orders", domain=HOST, auth_type="NONE")
    ids = {port: orders.add_listener("HTTP", port).id for port in (80, 8080, 9090)}
    for host, port in {HOST: 80, f"{HOST}:8080": 8080, f"{HOST}:9090": 9090}.items():
        Exchange(lattice, unsigned(host=host)).run()
        assert lattice.access_log[-1]["listenerId"] == ids[port]
    # A local server's port is no listener's.
    Exchange(lattice, unsigned(host=f"{HOST}:54321")).run()
    assert lattice.access_log[-1]["listenerId"] == ids[80]
    for odd in (f"{HOST}:", f"{HOST}:x", f"{HOST}:123456789", "[::1]:8080"):
        assert Exchange(lattice, unsigned(host=odd)).run().status == 200


def test_policies_see_the_listener_and_the_network(two):
    orders, partners = two.service("orders"), two.networks["partners"]
    orders.auth_type = "AWS_IAM"
    orders.policy = {
        "Statement": {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "NumericEquals": {"vpc-lattice-svcs:Port": "8080"},
                "StringEquals": {"vpc-lattice-svcs:ServiceNetworkArn": partners.arn},
            },
        }
    }
    for port in (80, 8080):
        orders.add_listener("HTTP", port)
    statuses = {
        (entrance.name, host): Exchange(entrance, unsigned(host=host)).run().status
        for entrance in two.networks.values()
        for host in (HOST, f"{HOST}:8080")
    }
    assert [key for key, status in statuses.items() if status == 200] == [
        ("partners", f"{HOST}:8080")
    ]


def test_without_a_listener_nothing_is_found():
    lattice = LocalLattice()
    lattice.add_service("orders", domain=HOST, auth_type="NONE").add_listener("HTTPS")
    assert Exchange(lattice, unsigned()).run().status == 404
    assert Exchange(lattice, unsigned(), scheme="https").run().status == 200


def test_listeners_are_checked(orders):
    orders.add_listener("HTTP")
    with pytest.raises(ConfigurationError, match="a listener at port 80 already"):
        orders.add_listener("HTTPS", 80)
    with pytest.raises(ConfigurationError, match="1 to 65535, not 0"):
        orders.add_listener("HTTP", 0)
    with pytest.raises(ConfigurationError, match="does not pass TLS through"):
        orders.add_listener("TLS_PASSTHROUGH")


def test_rules_come_after_listeners(orders):
    orders.when(path="/gone").respond(404)
    with pytest.raises(ConfigurationError, match="add listeners before rules"):
        orders.add_listener("HTTP")
