"""A refusal at the end of a redirect is about the request that was redirected to, and no other."""

from __future__ import annotations

import pytest

from adapters.drivers import HOOKS, Driver
from adapters.test_hearsay import IN_LATTICES_SHAPE, Renewable, driver, refusal
from lattice_client._auth.recovery import ALL_REMEDIES
from lattice_client.auth import request_signer
from support.raw_server import RawRequest, raw_server, redirect_to

REGION = "us-west-2"
# httpx shows a hook the answer to the last request of a chain of redirects.
HTTPX_HOOKS = [one for one in HOOKS if "httpx" in one.name and "library-free" not in one.name]

__all__ = ["driver"]


def refusing_what_follows(answer: bytes, location: str = "/orders/1"):
    """A POST is redirected to a GET, which is refused."""

    def respond(request: RawRequest) -> bytes:
        return redirect_to(location, status=303) if request.method == "POST" else answer

    return respond


@pytest.mark.parametrize("remedy", ALL_REMEDIES)
@pytest.mark.parametrize("driver", HTTPX_HOOKS, ids=lambda driver: driver.name)
class TestHooksOfHttpx:
    def test_on_the_same_origin(self, driver: Driver, remedy):
        body, off = IN_LATTICES_SHAPE[remedy]
        with raw_server(refusing_what_follows(refusal(body, off=off))) as home:
            self.post(driver, home.url)
        assert [each.method for each in home.requests] == ["POST", "GET"]

    def test_on_another_origin(self, driver: Driver, remedy):
        body, off = IN_LATTICES_SHAPE[remedy]
        with (
            raw_server(lambda _: refusal(body, off=off)) as other,
            raw_server(refusing_what_follows(b"", f"{other.url}/x")) as home,
        ):
            self.post(driver, home.url)
        assert [each.method for each in home.requests] == ["POST"]
        assert [each.method for each in other.requests] == ["GET"]

    def post(self, driver: Driver, url: str) -> None:
        """A POST that ends with 403, from which nothing is learned."""
        provider = Renewable()
        auth = driver.auth(region=REGION, credentials=provider)
        with driver.client(auth) as call:
            assert call("POST", f"{url}/charge:card", body=b"{}", redirects=True).status == 403
        assert not provider.told
        signer = request_signer(auth)
        assert signer._recovery.clock.offsets == {}
        assert signer._signers._encodings == {}


@pytest.mark.parametrize("remedy", ["clock", "credentials"])
def test_the_post_is_sent_once(driver, remedy):
    """Also where the request that follows is signed itself, and has a remedy."""
    body, off = IN_LATTICES_SHAPE[remedy]
    auth = driver.auth(region=REGION, credentials=Renewable())
    with (
        raw_server(refusing_what_follows(refusal(body, off=off))) as home,
        driver.client(auth) as call,
    ):
        assert call("POST", home.url, body=b"{}", redirects=True).status == 403
    assert [each.method for each in home.requests].count("POST") == 1
