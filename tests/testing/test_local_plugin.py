"""The pytest fixtures, as users get them: installed, and asked for by name."""

import httpx
import pytest
from asgi_driver import signed_by
from local_oracles import as_pairs


@pytest.mark.parametrize("fixture", ["lattice", "lattice_tls"])
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
    assert users == [caller.principal, "Anonymous"]


def test_each_test_gets_its_own(lattice):
    assert lattice.access_log == []
    assert [service.name for service in lattice.lattice.services] == ["orders"]


def test_both_at_once(lattice, lattice_tls):
    assert lattice.port != lattice_tls.port
    assert httpx.get(lattice.url_for("orders")).status_code == 403
    context = lattice_tls.client_ssl_context()
    assert httpx.get(lattice_tls.url_for("orders"), verify=context).status_code == 403
