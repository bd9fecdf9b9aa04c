"""The local Lattice as an ASGI application of other servers."""

import ssl

import httpx
import pytest
import trustme

from support.asgi_driver import signed_by
from support.local_oracles import HOST, as_pairs
from support.upstreams import http2_upstream, under_uvicorn


@pytest.fixture
def signed(local):
    return as_pairs(signed_by(local.caller("frontend"), target="/a%20b?x=1"))


def check(local, response, protocol):
    assert (response.status_code, response.json()["caller"]) == (
        200,
        local.caller("frontend").principal,
    )
    assert len(response.headers.get_list("date")) == 1
    (record,) = local.access_log
    assert (record["protocol"], record["responseCode"]) == (protocol, 200)
    assert local.requests[0].target == b"/a%20b?x=1"


def test_uvicorn(local, signed):
    with under_uvicorn(local) as url:
        check(local, httpx.get(f"{url}/a%20b?x=1", headers=signed), "HTTP/1.1")
        assert httpx.get(url).status_code == 403


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_hypercorn_over_http2(local, signed, tls, tmp_path):
    authority = trustme.CA()
    paths = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    issued = authority.issue_cert("127.0.0.1", HOST)
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        http2_upstream(local, paths if tls else None) as url,
        httpx.Client(http1=False, http2=True, verify=context) as client,
    ):
        response = client.get(f"{url}/a%20b?x=1", headers=signed)
        assert response.http_version == "HTTP/2"
        check(local, response, "HTTP/2")
