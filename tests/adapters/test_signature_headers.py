"""A signature replaces an earlier one, and leaves a token in the query alone.

The quick ways are compared with the general one, and the bytes on the wire are looked at.
"""

from __future__ import annotations

from itertools import product

import httpx
import httpx2
import multidict
import pytest
import requests.structures

from adapters.drivers import DRIVERS
from lattice_client._wire.headers import set_signature
from lattice_client._wire.httpx import set_httpx_signature
from support import canary
from support.raw_server import raw_server

BEARER = "Bearer own"
OLD = "AWS4-HMAC-SHA256 Credential=A/20200101/us-west-2/vpc-lattice-svcs/aws4_request"
# What a request may have when it is signed, by the header's name as it may be written.
AUTHORIZATIONS = [None, ("Authorization", BEARER), ("authorization", OLD), ("AUTHORIZATION", OLD)]
LEFT = [
    (),
    (("X-Amz-Date", "20200101T000000Z"),),
    (("x-amz-date", "20200101T000000Z"), ("x-amz-security-token", "old token")),
    (
        ("X-Amz-Date", "20200101T000000Z"),
        ("X-Amz-Security-Token", "old token"),
        ("X-AMZ-CONTENT-SHA256", "old hash"),
        ("x-amz-region-set", "old set"),
    ),
]
SIGNATURES = {
    "header": {
        "Authorization": "AWS4-new",
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "x-amz-date": "20261121T093000Z",
        "x-amz-security-token": "new token",
    },
    "header, no token": {"Authorization": "AWS4-new", "x-amz-date": "20261121T093000Z"},
    "query": {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"},
    "query, nothing to send": {},
}
OTHERS = [("Accept", "*/*"), ("X-Amz-Meta-Note", "kept")]


def present(authorization, left) -> list[tuple[str, str]]:
    return [OTHERS[0], *left, *([authorization] if authorization else []), OTHERS[1]]


def expected(authorization, signature: dict[str, str]) -> list[tuple[str, str]]:
    """Names in lower case, sorted."""
    bearer = authorization if authorization and authorization[1] == BEARER else None
    kept = [bearer] if bearer and "Authorization" not in signature else []
    return sorted((name.lower(), value) for name, value in [*OTHERS, *kept, *signature.items()])


CASES = [
    pytest.param(authorization, left, signature)
    for authorization, left, signature in product(AUTHORIZATIONS, LEFT, SIGNATURES.values())
]


class WithoutList:
    """httpx's mapping, its own list not being there to be found."""

    def __init__(self, headers):
        self._headers = headers

    def __getattr__(self, name):
        if name == "_list":
            raise AttributeError(name)
        return getattr(self._headers, name)

    def __setitem__(self, name, value):
        self._headers[name] = value

    def __delitem__(self, name):
        del self._headers[name]


def raw(headers) -> list[tuple[str, str]]:
    return sorted((name.decode().lower(), value.decode()) for name, value in headers.raw)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(("authorization", "left", "signature"), CASES)
def test_the_quick_way_of_httpx_is_the_general_one(library, authorization, left, signature):
    quick, general, public = (library.Headers(present(authorization, left)) for _ in range(3))
    set_httpx_signature(quick, signature)
    set_signature(general, signature, stale=True)
    set_httpx_signature(WithoutList(public), signature)
    assert raw(quick) == raw(general) == raw(public) == expected(authorization, signature)


@pytest.mark.parametrize("kind", [requests.structures.CaseInsensitiveDict, multidict.CIMultiDict])
@pytest.mark.parametrize(("authorization", "left", "signature"), CASES)
def test_the_general_way(kind, authorization, left, signature):
    headers = kind(present(authorization, left))
    set_signature(headers, signature, stale=bool(left))
    found = sorted((name.lower(), value) for name, value in headers.items())
    assert found == expected(authorization, signature)


@pytest.mark.parametrize("placement", ["header", "query"])
@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_on_the_wire(driver, placement):
    auth = driver.auth(region="us-west-2", credentials=canary.credentials(), placement=placement)
    with raw_server() as server, driver.client(auth) as call:
        for authorization, left in product(AUTHORIZATIONS, LEFT):
            headers = dict(present(authorization, left))
            assert call("GET", f"{server.url}/orders?a=1", headers=headers).status == 200
            assert_replaced(server.requests[-1], authorization, placement)
        assert len(server.requests) == len(AUTHORIZATIONS) * len(LEFT)


def assert_replaced(sent, authorization, placement: str) -> None:
    assert sent.verified()
    found: dict[str, list[str]] = {}
    for name, value in sent.headers:
        found.setdefault(name.decode().lower(), []).append(value.decode())
    ours = {
        name: values
        for name, values in found.items()
        if name == "authorization" or name.startswith("x-amz-")
    }
    assert ours.pop("x-amz-meta-note") == ["kept"]
    assert ours.pop("x-amz-content-sha256") == ["UNSIGNED-PAYLOAD"]
    if placement == "query":
        bearer = authorization is not None and authorization[1] == BEARER
        assert ours == ({"authorization": [BEARER]} if bearer else {})
        assert sent.target.count(b"X-Amz-Signature=") == 1
        return
    (signature,) = ours.pop("authorization")
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=ASIACANARYEXAMPLE/")
    (date,) = ours.pop("x-amz-date")
    assert not date.startswith("2020")
    assert ours == {"x-amz-security-token": [canary.TOKEN]}
    assert b"X-Amz-" not in sent.target
