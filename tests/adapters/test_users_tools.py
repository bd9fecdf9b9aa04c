"""The tools with which users test their own code go on working with our hooks in place."""

from __future__ import annotations

import asyncio
import urllib.request

import aiohttp
import aiohttp.test_utils
import aiohttp.web
import aioresponses
import httpx
import httpx2
import pytest
import requests
import responses
import respx
from botocore.awsrequest import AWSRequest

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from lattice_client import InvalidHeaderError, LatticeAuth, RetryPolicy
from lattice_client.testing import LocalLattice
from support import canary

REGION = "us-west-2"
# Pauses hardly at all.
AT_ONCE = RetryPolicy(base=0.001)
URL = "https://orders.example.com/orders?b=1&a=2"


def auth(kind: type[LatticeAuth] = LatticeAuth) -> LatticeAuth:
    return kind(region=REGION, credentials=canary.credentials())


HTTPX_AUTHS = [LatticeAuth, lattice_client.httpx.LatticeAuth]
HTTPX2_AUTHS = [LatticeAuth, lattice_client.httpx2.LatticeAuth]


def assert_signed(headers) -> None:
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=ASIACANARY")


@pytest.mark.parametrize("kind", HTTPX_AUTHS)
def test_respx(kind):
    with respx.mock:
        route = respx.get(URL).respond(json={"ok": True})
        assert httpx.get(URL, auth=auth(kind)).json() == {"ok": True}
        assert_signed(route.calls.last.request.headers)


def test_responses():
    with responses.RequestsMock() as mock:
        mock.get(URL, json={"ok": True})
        assert requests.get(URL, auth=auth(), timeout=5).json() == {"ok": True}
        assert_signed(mock.calls[0].request.headers)


def test_respx_below_our_client():
    with respx.mock, lattice_client.httpx.Client(auth=auth(), retry=AT_ONCE) as client:
        route = respx.get(URL).mock(side_effect=[httpx.Response(503), httpx.Response(200)])
        assert client.get(URL).status_code == 200
        first, second = (call.request.headers for call in route.calls)
        assert_signed(first)
        assert_signed(second)


def test_responses_below_our_session():
    with (
        responses.RequestsMock() as mock,
        lattice_client.requests.Session(auth(), retry=AT_ONCE) as session,
    ):
        mock.get(URL, status=503)
        mock.get(URL, json={"ok": True})
        assert session.get(URL).json() == {"ok": True}
        first, second = (call.request.headers for call in mock.calls)
        assert_signed(first)
        assert_signed(second)


@pytest.mark.parametrize("client", ["hook", "our client"])
def test_aioresponses_answers_above_all_middlewares(client):
    """So nothing is signed or retried. The original of that name does the same, and breaks with
    aiohttp 3.14."""

    def session() -> aiohttp.ClientSession:
        if client == "hook":
            return aiohttp.ClientSession(middlewares=(auth(),))
        return lattice_client.aiohttp.client_session(auth(), retry=AT_ONCE)

    async def call() -> int:
        with aioresponses.aioresponses() as mock:
            mock.get(URL, status=503)
            async with session() as calling, calling.get(URL) as response:
                (asked,) = mock.requests.values()
                assert [set(each.kwargs) & {"headers"} for each in asked] == [set()]
                assert not response.request_info.headers
                return response.status

    assert asyncio.run(call()) == 503


def test_a_server_of_aiohttps_own_is_below():
    """What the docs recommend beside the local Lattice."""
    seen = []

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        seen.append(request.headers)
        return aiohttp.web.Response(status=503 if len(seen) == 1 else 200)

    async def call() -> int:
        application = aiohttp.web.Application()
        application.router.add_get("/orders", answer)
        async with (
            aiohttp.test_utils.TestServer(application) as server,
            lattice_client.aiohttp.client_session(auth(), retry=AT_ONCE) as session,
            session.get(server.make_url("/orders")) as response,
        ):
            return response.status

    assert asyncio.run(call()) == 200
    assert len(seen) == 2
    for headers in seen:
        assert_signed(headers)


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_mock_transport(module):
    def handler(request):
        assert_signed(request.headers)
        return module.Response(200)

    for kind in HTTPX_AUTHS if module is httpx else HTTPX2_AUTHS:
        with module.Client(transport=module.MockTransport(handler), auth=auth(kind)) as client:
            assert client.post(URL, json={"a": 1}).status_code == 200


@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_asgi_transport(module):
    """The local Lattice itself, in-process."""
    local = LocalLattice(region=REGION)
    local.add_service("orders", domain="orders.example.com")
    caller = local.add_caller("orders-frontend", credentials=canary.credentials())

    async def call(kind: type[LatticeAuth]):
        transport = module.ASGITransport(app=local)
        async with module.AsyncClient(transport=transport, auth=auth(kind)) as client:
            return await client.post(URL, content=b"{}")

    for kind in HTTPX_AUTHS if module is httpx else HTTPX2_AUTHS:
        response = asyncio.run(call(kind))
        assert response.json()["caller"] == caller.principal


def test_one_object_serves_all_libraries():
    one = auth()
    prepared = requests.Request("GET", URL, auth=one).prepare()
    assert_signed(prepared.headers)
    for module in (httpx, httpx2):
        request = module.Request("GET", URL)
        assert one(request) is request
        assert_signed(request.headers)


@pytest.mark.parametrize(
    "thing",
    [
        object(),
        AWSRequest("GET", URL),
        AWSRequest("GET", URL).prepare(),
        requests.Request("GET", URL),
        urllib.request.Request(URL),
    ],
    ids=lambda thing: f"{type(thing).__module__}.{type(thing).__name__}",
)
def test_anything_else_is_told_what_fits(thing):
    with pytest.raises(TypeError, match=r"a prepared one.*SigV4Signer"):
        auth()(thing)  # type: ignore[type-var]


def test_an_error_within_a_request_of_requests_is_its_own():
    class Broken(requests.PreparedRequest):
        @property
        def path_url(self) -> str:
            return self.missing

    request = Broken()
    request.prepare("GET", URL)
    with pytest.raises(AttributeError, match="missing"):
        auth()(request)


@pytest.mark.parametrize("module", [httpx, httpx2, lattice_client.httpx, lattice_client.httpx2])
@pytest.mark.parametrize("arguments", [{}, {"hosts": ["*"]}, {"region": None}])
def test_a_relative_url_is_called_that(module, arguments):
    signing = LatticeAuth(**{"region": REGION, "credentials": canary.credentials(), **arguments})

    async def call() -> None:
        async with module.AsyncClient(auth=signing) as client:
            await client.get("/orders")

    with pytest.raises(InvalidHeaderError, match=r"is relative: .* base_url"):
        asyncio.run(call())
    with (
        module.Client(auth=signing) as client,
        pytest.raises(InvalidHeaderError, match=r"is relative: .* base_url"),
    ):
        client.get("/orders")
