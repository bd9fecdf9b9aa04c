"""What a user's own provider says to a refusal, and what it raises."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import httpx
import pytest

from adapters.test_hearsay import EXPIRED, driver, refusal
from adapters.test_hearsay_credentials import in_scope
from lattice_client import Credentials, CredentialsError, LatticeAuth
from lattice_client.httpx import AsyncClient
from support.raw_server import raw_server
from support.sources import generation

REGION = "us-west-2"

__all__ = ["driver"]


class Own:
    """A user's provider.

    :param says: what ``refused()`` returns.
    :param then: what ``get()`` returns or raises.
    """

    def __init__(self, says: object, then: Credentials | Exception) -> None:
        self.held: Credentials | None = generation(1)
        self.says = says
        self.then = then
        self.gets = 0

    def peek(self) -> Credentials | None:
        return self.held

    def get(self) -> Credentials:
        self.gets += 1
        if isinstance(self.then, Exception):
            raise self.then
        self.held = self.then
        return self.then

    def refused(self, _: Credentials) -> object:
        return self.says


@pytest.mark.parametrize(
    ("says", "then", "status"),
    [
        (True, generation(2), 200),
        (True, generation(1), 403),
        (True, CredentialsError("down"), 403),
        (True, OSError("down"), 403),
        (False, generation(2), 403),
        (None, generation(2), 403),
    ],
)
def test_a_provider_of_ones_own(driver, says, then, status):
    auth = driver.auth(region=REGION, credentials=Own(says, then))
    with raw_server(in_scope(2)) as service, driver.client(auth) as call:
        assert call("POST", service.url, body=b"{}").status == status
    assert len(service.requests) == (2 if status == 200 else 1)


class Failing(Own):
    """A provider that raises as soon as it has been refused."""

    def __init__(self, *raising: str) -> None:
        super().__init__(True, OSError("down"))
        self.raising = raising
        self.refusals = 0

    def peek(self) -> Credentials | None:
        if self.refusals and "peek" in self.raising:
            raise OSError("the vault is down")
        return super().peek()

    def refused(self, _: Credentials) -> object:
        self.refusals += 1
        if "refused" in self.raising:
            raise OSError("the vault is down")
        if "fetch" in self.raising:
            fetch: Future[None] = Future()
            fetch.set_exception(OSError("the vault is down"))
            return fetch
        return True


@pytest.mark.parametrize("raising", [["refused"], ["peek"], ["peek", "fetch"], ["peek", "refused"]])
def test_a_provider_that_raises_leaves_the_refusal(driver, raising):
    provider = Failing(*raising)
    auth = driver.auth(region=REGION, credentials=provider)
    with raw_server(lambda _: refusal(EXPIRED)) as service, driver.client(auth) as call:
        answer = call("POST", service.url, body=b"{}")
        assert (answer.status, answer.text) == (403, EXPIRED.decode())
    assert len(service.requests) == 1
    assert provider.refusals == 1


def test_a_provider_that_cannot_be_looked_at(driver):
    """It raises before it can be told."""

    class Down(Own):
        def peek(self) -> Credentials | None:
            if service.requests:
                raise OSError("the vault is down")
            return super().peek()

    auth = driver.auth(region=REGION, credentials=Down(False, OSError("down")))
    with raw_server(lambda _: refusal(EXPIRED)) as service, driver.client(auth) as call:
        assert call("POST", service.url, body=b"{}").status == 403
    assert len(service.requests) == 1


def test_a_provider_that_cannot_be_told(driver):
    class Plain:
        def peek(self) -> Credentials:
            return generation(1)

        get = peek

    auth = driver.auth(region=REGION, credentials=Plain())
    with raw_server(in_scope(2)) as service, driver.client(auth) as call:
        assert call("POST", service.url, body=b"{}").status == 403
    assert len(service.requests) == 1


def test_the_client_of_httpx_keeps_its_answer():
    """The 403 that is returned after a failed fetch can still be read."""
    auth = LatticeAuth(region=REGION, credentials=Own(True, OSError("down")))
    with raw_server(lambda _: refusal(EXPIRED)) as odd:

        async def main() -> bytes:
            async with (
                AsyncClient(auth=auth, trust_env=False) as client,
                client.stream("GET", odd.url) as response,
            ):
                assert isinstance(response, httpx.Response)
                return await response.aread()

        assert asyncio.run(main()) == EXPIRED
