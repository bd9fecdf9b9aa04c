"""A refusal of what follows a redirect: the redirect is named, and what made it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from adapters.drivers import DRIVERS, HOOKS, Driver
from adapters.test_redirects import redirector
from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.raw_server import raw_server, redirect_to

REGION = "us-west-2"
HOST = "orders.internal.example.com"
OTHER = "billing.internal.example.com"
UNSIGNED = "lattice_client.unsigned"


def _local() -> LocalLattice:
    local = LocalLattice(region=REGION)
    local.add_service("orders", domain=HOST, target=redirector)
    local.add_service("billing", domain=OTHER)
    local.add_caller("orders-frontend", credentials=canary.credentials())
    return local


@pytest.fixture(scope="module")
def tls() -> Iterator[RunningLattice]:
    with serve(_local(), tls=True) as running, running.resolving():
        yield running


@pytest.fixture(scope="module")
def plain() -> Iterator[RunningLattice]:
    with serve(_local()) as running:
        yield running


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def client(driver, tls):
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth, tls.ca_file) as call:
        yield call


def logged(caplog, name: str = UNSIGNED) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


def test_from_https_to_http_on_the_same_host(client, driver, tls, plain, caplog):
    """TLS ends at Lattice, and the application takes its calls for ``http://`` ones."""
    caplog.set_level(logging.WARNING)
    url = f"https://{HOST.upper()}:{tls.port}/307?http://{HOST.upper()}:{plain.port}/parking/"
    for _ in range(2):
        denial = client("GET", url, redirects=True).denial
        assert denial.kind == "unsigned"
        assert "from https:// to http://" in denial.next_step
        assert "X-Forwarded-Proto" in denial.next_step
        assert "LatticeAuth()" not in denial.next_step
    # Hooks of httpx have no say in redirects.
    said = logged(caplog)
    if driver.prevents_forwarding:
        assert len(said) == 1
        assert HOST in said[0]
        assert "X-Forwarded-Proto" in said[0]


DENIED = (
    b"AccessDeniedException: User: anonymous is not authorized to perform: vpc-lattice-svcs:Invoke"
    b" because no service-based policy allows the vpc-lattice-svcs:Invoke action"
)


def test_and_on_from_there(client, tls):
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(DENIED), DENIED)
    answers = {b"/1": redirect_to("/2"), b"/2": refusal}
    with raw_server(lambda request: answers[request.target]) as plain:
        url = f"https://{HOST}:{tls.port}/307?http://{HOST}:{plain.port}/1"
        denial = client("GET", url, redirects=True).denial
    assert "from https:// to http://" in denial.next_step


def test_to_another_origin(client, driver, tls, plain, caplog):
    caplog.set_level(logging.WARNING)
    url = f"http://{HOST}:{plain.port}/307?http://{OTHER}:{plain.port}/"
    answer = client("GET", url, redirects=True)
    if driver.prevents_forwarding:
        assert answer.denial.kind == "unsigned"
        assert "redirect led to another origin" in answer.denial.next_step
        assert "X-Forwarded-Proto" not in answer.denial.next_step
    assert not logged(caplog)


def test_on_the_same_origin(tls, plain, caplog):
    """The hook of requests signs nothing that follows a redirect, and is alone in that."""
    caplog.set_level(logging.INFO)
    driver = HOOKS[0]
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        denial = call("GET", f"http://{HOST}:{plain.port}/307?/parking", redirects=True).denial
    assert denial.kind == "unsigned"
    assert "lattice_client.requests.Session" in denial.next_step
    (said,) = logged(caplog)
    assert "lattice_client.requests.Session" in said


def test_to_a_host_that_is_not_signed_for_either(driver, tls, plain):
    """What kept the first request unsigned is told, and not the redirect."""
    auth = driver.auth(region=REGION, credentials=canary.credentials(), hosts=["none.example"])
    with driver.client(auth) as call:
        url = f"http://{HOST}:{plain.port}/307?/parking"
        denial = call("GET", url, redirects=True).denial
    assert "none of hosts=['none.example']" in denial.next_step


@pytest.mark.parametrize("driver", HOOKS, ids=lambda driver: driver.name)
def test_without_an_auth_object_it_says_so_as_ever(driver, tls, plain):
    with driver.client(None) as call:
        denial = call("GET", f"http://{HOST}:{plain.port}/parking", redirects=True).denial
    assert "send it with LatticeAuth()" in denial.next_step
