"""Nothing that signs leaves with a redirect to another origin, wherever a hook can prevent it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from adapters.drivers import DRIVERS, Driver
from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary

REGION = "us-west-2"


async def redirector(scope, receive, send) -> None:
    """Sends its caller on to the URL in the query: ``/303?https://…``."""
    status = int(scope["path"].removeprefix("/"))
    location = scope["query_string"]
    await send({"type": "http.response.start", "status": status, "headers": [
        (b"location", location), (b"content-length", b"0"),
    ]})  # fmt: skip
    await send({"type": "http.response.body", "body": b""})


def _local(name: str) -> LocalLattice:
    local = LocalLattice(region=REGION)
    local.add_service(name, domain=f"{name}.internal.example.com", auth_type="NONE")
    local.add_service("redirector", target=redirector, domain="redirector.internal.example.com")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    return local


@pytest.fixture(scope="module")
def home() -> Iterator[RunningLattice]:
    with serve(_local("home")) as running, running.resolving():
        yield running


@pytest.fixture(scope="module")
def stranger() -> Iterator[RunningLattice]:
    with serve(_local("stranger")) as running:
        yield running


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def client(driver):
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        yield call


def redirect(home: RunningLattice, status: int, to: str) -> str:
    return f"http://redirector.internal.example.com:{home.port}/{status}?{to}"


def credentials_in(seen: str) -> list[str]:
    names = [name.lower() for name, _ in json.loads(seen)["headers"]]
    return [name for name in names if name.startswith("x-amz-") or name == "authorization"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_to_another_origin(client, driver, home, stranger, status):
    url = redirect(home, status, f"{stranger.url}/")
    answer = client("GET", url, headers={"X-Amz-Meta-Own": "1"}, redirects=True)
    if driver.prevents_forwarding:
        assert answer.status == 200
        assert not credentials_in(answer.text)
    else:
        # httpx forwards the headers below its auth flow, and its hooks have no say in it: the
        # reason why the documentation says to leave follow_redirects off. Authorization it strips.
        assert b"authorization" not in {name.lower() for name, _ in stranger.requests[-1].headers}


def test_to_another_port_of_the_same_host(client, driver, stranger):
    if not driver.prevents_forwarding:
        pytest.skip("httpx gives its hooks no say in redirects")
    local = LocalLattice(region=REGION)
    local.add_service("redirector", target=redirector, auth_type="NONE")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as running:
        answer = client("GET", f"{running.url}/302?{stranger.url}/", redirects=True)
    assert local.requests[0].verified
    assert answer.status == 200
    assert not credentials_in(answer.text)


def test_not_followed_nothing_leaks(client, home, stranger):
    before = len(stranger.requests)
    assert client("GET", redirect(home, 302, f"{stranger.url}/")).status == 302
    assert len(stranger.requests) == before


def test_aiohttp_signs_each_hop_of_its_own_origin(home, stranger):
    driver = DRIVERS[-1]
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        home.lattice.clear()
        call("GET", redirect(home, 302, "/302?/303?/404"), redirects=True)
        assert [bool(request.verified) for request in home.requests] == [True] * len(home.requests)
        assert len(home.requests) > 2
        # A call of its own to the stranger is signed: it is no part of a redirect.
        assert call("GET", stranger.url + "/").status == 200
        assert credentials_in(call("GET", stranger.url + "/").text)


def test_requests_drops_a_stale_signature(home):
    driver = DRIVERS[0]
    auth = driver.auth(region=REGION, credentials=canary.credentials())
    with driver.client(auth) as call:
        home.lattice.clear()
        # What follows is unsigned: a stale signature would be refused even where anyone may call.
        answer = call("GET", redirect(home, 302, "/404"), redirects=True)
    assert answer.status == 403
    assert "anonymous" in answer.text
    assert [bool(request.verified) for request in home.requests] == [True, False]


def test_a_url_that_a_redirect_named_is_not_held_against_another_auth_object(home, stranger):
    driver = DRIVERS[-1]
    first, second = (driver.auth(region=REGION, credentials=canary.credentials()) for _ in range(2))
    with driver.client(first) as call:
        assert call("GET", redirect(home, 302, f"{stranger.url}/")).status == 302
    with driver.client(second) as call:
        assert credentials_in(call("GET", f"{stranger.url}/").text)
