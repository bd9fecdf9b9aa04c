"""httpx's extension ``target`` names another path and query than the URL: signed as sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

import lattice_client.httpx
import lattice_client.httpx2
from lattice_client import LatticeAuth, SigningError, SigV4Auth, explain
from support import canary
from support.raw_server import raw_server, redirect_to

REGION = "us-west-2"

MODULES = {
    "httpx": (httpx, LatticeAuth),
    "httpx's own auth": (httpx, lattice_client.httpx.LatticeAuth),
    "client of httpx": (lattice_client.httpx, LatticeAuth),
    "httpx2": (httpx2, LatticeAuth),
    "httpx2's own auth": (httpx2, lattice_client.httpx2.LatticeAuth),
    "client of httpx2": (lattice_client.httpx2, LatticeAuth),
}


@pytest.fixture(params=MODULES)
def library(request) -> tuple[Any, type[SigV4Auth]]:
    return MODULES[request.param]


@pytest.fixture(params=["sync", "async"])
def get(request, library) -> Callable[..., Any]:
    module, kind = library

    def sync_get(url: str, extensions: dict[str, Any], **arguments: Any) -> Any:
        follow = arguments.pop("follow_redirects", False)
        auth = kind(region=REGION, credentials=canary.credentials(), **arguments)
        with module.Client(auth=auth, trust_env=False, timeout=20) as client:
            return client.get(url, extensions=extensions, follow_redirects=follow)

    async def async_get(url: str, extensions: dict[str, Any], **arguments: Any) -> Any:
        follow = arguments.pop("follow_redirects", False)
        auth = kind(region=REGION, credentials=canary.credentials(), **arguments)
        async with module.AsyncClient(auth=auth, trust_env=False, timeout=20) as client:
            return await client.get(url, extensions=extensions, follow_redirects=follow)

    if request.param == "sync":
        return sync_get
    return lambda *args, **arguments: asyncio.run(async_get(*args, **arguments))


@pytest.mark.parametrize("target", [b"/b?x=1", b"/b//c/../%7e?x=%c3", "/b?x=1"])
def test_is_signed_as_it_is_sent(get, target):
    with raw_server() as server:
        get(server.url + "/a?y=2", {"target": target})
    (sent,) = server.requests
    assert sent.target == (target if isinstance(target, bytes) else target.encode())
    assert sent.verified()


def test_a_plus_is_sent_as_a_space_and_the_callers_extensions_stay(get):
    extensions = {"target": b"/b?x=1+2"}
    with raw_server() as server:
        get(server.url + "/a", extensions)
    (sent,) = server.requests
    assert sent.target == b"/b?x=1%202"
    assert sent.verified()
    assert extensions == {"target": b"/b?x=1+2"}


def test_an_earlier_signature_in_it_goes(get):
    link, _ = LatticeAuth(region=REGION, credentials=canary.credentials()).presign_url(
        "GET", "https://a.example/b?x=1"
    )
    with raw_server() as server:
        get(server.url + "/a", {"target": link.removeprefix("https://a.example").encode()})
    (sent,) = server.requests
    assert sent.target == b"/b?x=1"
    assert sent.verified()


def test_it_bears_no_signature(get):
    """httpx copies extensions to the request that follows a redirect, to any host."""
    with raw_server() as server, pytest.raises(SigningError, match="placement='header'"):
        get(server.url + "/a", {"target": b"/b?x=1"}, placement="query")
    assert server.requests == []


@pytest.mark.parametrize("target", ["/b\u00fc", b"/b\xfc", b"*", b"http://b.example/"])
def test_what_is_no_path_is_refused(get, target):
    with raw_server() as server, pytest.raises(SigningError, match="target"):
        get(server.url + "/a", {"target": target})
    assert server.requests == []


def test_a_refusal_is_explained_by_what_was_sent(get):
    body = b"InvalidSignatureException: x"
    answer = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with raw_server(lambda _: answer) as server:
        response = get(server.url + "/a", {"target": b"/b?x=1"}, remedies=())
    assert explain(response).canonical_request.startswith("GET\n/b\nx=1\n")


@pytest.mark.parametrize("module", [lattice_client.httpx, lattice_client.httpx2])
def test_a_redirect_to_another_origin_has_the_callers_target_unsigned(module):
    auth = LatticeAuth(region=REGION, credentials=canary.credentials())
    with (
        raw_server() as stranger,
        raw_server(lambda _: redirect_to(stranger.url + "/c")) as server,
        module.Client(auth=auth, trust_env=False, timeout=20) as client,
    ):
        client.get(server.url + "/a", extensions={"target": b"/b?x=1+2"}, follow_redirects=True)
    assert server.requests[0].verified()
    (sent,) = stranger.requests
    assert not sent.signed
    assert sent.target == b"/b?x=1+2"
