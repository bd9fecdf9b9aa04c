"""One suite for every library: real sockets, and a verifier that shares no code with the signer."""

from __future__ import annotations

import hashlib
import json
import pickle

import httpx
import httpx2
import pytest
import requests.auth

import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from adapters.drivers import (
    CHUNKS,
    CLIENTS,
    DRIVERS,
    STREAM,
    Driver,
    Requests,
    RequestsSession,
    is_over_urllib3_future,
)
from lattice_client.testing import RunningLattice
from support import canary

REGION = "us-west-2"

# The probes of real requests on which signers differ, as a user would type them.
TARGETS = {
    "root": "/",
    "no path": "",
    "unsorted query": "/orders?b=2&a=1&c=3",
    "duplicate names": "/orders?tag=b&tag=a&tag=c",
    "prefix names": "/orders?page=1&page2=2&page-1=3&page.1=4",
    "a flag": "/orders?flag",
    "a flag on the root": "/?x",
    "an empty value": "/orders?flag=",
    "an empty name": "/orders?=value",
    "encoded equals sign": "/orders?q=a%3Db",
    "raw equals signs": "/orders?q=a==b=c",
    "lower-case escape": "/orders?q=a%2fb%c3%a9",
    "needless escape": "/orders?q=%41%7E",
    "raw reserved characters": "/orders?q=a,b:c/d;e@f!g*h'i(j)",
    "encoded space": "/orders?q=a%20b",
    "plus for a space": "/orders?q=a+b&r=+",
    "encoded plus": "/orders?q=a%2Bb",
    "empty pieces": "/orders?&a=1&&b=2&",
    "utf-8 in the query": "/orders?q=日本&é=ü",
    "brackets": "/orders?filter[name]=x&a[]=1",
    "a question mark": "/orders?a=b?c=d",
    "a question mark at the end": "/orders?a=b?",
    "malformed escapes": "/orders?q=%zz&r=100%",
    "malformed beside well-formed escapes": "/orders?q=%2f&r=%zz",
    "only a question mark": "/orders?",
    "space in the path": "/order%20book/a b",
    "utf-8 in the path": "/bücher/日本",
    "encoded slash": "/orders/a%2Fb",
    "reserved in the path": "/orders/a:b@c,d;e=f&g+h$i!j*k'l(m)",
    "colon and slash": "/orders:/x",
    "two slashes": "/orders//7",
    "many slashes": "////orders////",
    "dot segments": "/a/b/../c/./d/..",
    "encoded dots": "/a/%2E%2E/b/%2e/c",
    "trailing slash": "/orders/",
    "tilde": "/~orders/%7Ex",
    "long": "/" + "/".join(f"segment{i}" for i in range(40)) + "?" + "&".join(
        f"name{i % 7}={i}" for i in range(60)
    ),
}  # fmt: skip

HEADERS = {
    "runs of spaces": "a   b    c",
    "quotes": '"a   b"  "c"',
    "one quote": 'a "  b',
    "tabs": "a \t b",
    "commas": "a,b , c",
    "latin-1": "caf\xe9",
}


@pytest.fixture(params=DRIVERS, ids=lambda driver: driver.name)
def driver(request) -> Driver:
    return request.param


@pytest.fixture
def auth(driver):
    return driver.auth(region=REGION, credentials=canary.credentials())


@pytest.fixture(params=["http", "https"])
def lattice(request) -> RunningLattice:
    return request.getfixturevalue(f"lattice_{request.param}")


@pytest.fixture
def client(driver, auth, lattice):
    ca_file = lattice.ca_file if lattice.scheme == "https" else None
    with driver.client(auth, ca_file) as call:
        yield call


@pytest.fixture
def base(lattice) -> str:
    return lattice.url_for("orders")


def assert_signed(lattice, answer) -> dict:
    """The service saw the caller; and what it saw is returned."""
    assert answer.status == 200, answer.text
    seen = json.loads(answer.text)
    assert seen["caller"] == lattice.caller("orders-frontend").principal
    return seen


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_targets(client, lattice, base, target):
    assert_signed(lattice, client("GET", base + target))
    assert_signed(lattice, client("POST", base + target, body=b"{}"))


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods(client, lattice, base, method):
    seen = assert_signed(lattice, client(method, base + "/orders"))
    assert seen["method"] == method


def test_head(client, lattice, base):
    assert client("HEAD", base + "/orders?b=1&a=2").status == 200


@pytest.mark.parametrize("value", HEADERS.values(), ids=HEADERS.keys())
def test_signed_header_values(client, driver, lattice, base, value):
    headers = {"X-Amz-Meta-Note": value}
    if not value.isascii() and "httpx" in driver.name:
        pytest.skip("httpx takes such values only as bytes")
    seen = assert_signed(lattice, client("GET", base + "/", headers=headers))
    assert "x-amz-meta-note" in dict(seen["headers"])
    assert "x-amz-meta-note" in lattice.requests[-1].canonical_request.split("\n")[-2].split(";")


def test_spaces_are_sent_as_percent_20(client, lattice, base):
    seen = assert_signed(lattice, client("GET", base + "/a+b?q=a+b&r=%2B"))
    assert seen["query"] == "q=a%20b&r=%2B"
    assert seen["path"] == "/a+b"


def test_a_body(client, lattice, base):
    body = json.dumps({"item": "bücher", "n": 3}).encode()
    seen = assert_signed(
        lattice,
        client("POST", base + "/orders", body=body, headers={"content-type": "application/json"}),
    )
    assert seen["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_a_generator_is_streamed(client, lattice, base):
    seen = assert_signed(lattice, client("POST", base + "/orders", body=STREAM))
    assert seen["body_sha256"] == hashlib.sha256(b"".join(CHUNKS)).hexdigest()
    assert dict(seen["headers"])["transfer-encoding"] == "chunked"


def test_a_file_is_streamed(client, driver, lattice, base, tmp_path):
    if "async" in driver.name:
        pytest.skip("asynchronous httpx takes no files")
    path = tmp_path / "upload"
    path.write_bytes(b"0123456789" * 10_000)
    with path.open("rb") as file:
        seen = assert_signed(lattice, client("PUT", base + "/upload", body=file))
    assert seen["body_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_port_is_in_the_host_that_is_signed(client, lattice, base):
    seen = assert_signed(lattice, client("GET", base + "/"))
    assert dict(seen["headers"])["host"] == f"orders.internal.example.com:{lattice.port}"


def test_an_upper_case_host(client, lattice, base):
    assert_signed(lattice, client("GET", base.replace("orders.internal", "Orders.INTERNAL") + "/"))


def test_a_non_ascii_host(client, lattice):
    url = f"{lattice.scheme}://bücher.internal.example.com:{lattice.port}/"
    assert_signed(lattice, client("GET", url))


def test_a_host_header_of_ones_own(client, lattice):
    headers = {"Host": "orders.internal.example.com"}
    seen = assert_signed(lattice, client("GET", lattice.url + "/x?b=1&a=2", headers=headers))
    assert dict(seen["headers"])["host"] == "orders.internal.example.com"


def test_tracing_headers_are_sent_and_not_signed(client, lattice, base):
    headers = {"traceparent": "00-ab-cd-01", "X-Amzn-Trace-Id": "Root=1", "baggage": "a=b"}
    seen = assert_signed(lattice, client("GET", base + "/", headers=headers))
    assert headers.keys() & {name for name, _ in seen["headers"]} >= {"traceparent", "baggage"}
    signed = lattice.requests[-1].canonical_request.split("\n")[-2]
    assert signed == "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"


def test_headers_signed_by_name(driver, lattice_http):
    auth = driver.auth(
        region=REGION, credentials=canary.credentials(), signed_headers=["Content-Type"]
    )
    with driver.client(auth) as call:
        answer = call(
            "POST", lattice_http.url + "/", body=b"{}", headers={"Content-Type": "text/plain"}
        )
    assert_signed(lattice_http, answer)
    assert lattice_http.requests[-1].canonical_request.split("\n")[-2].startswith("content-type;")


def test_ipv6_loopback(driver, auth, lattice_ipv6):
    if is_over_urllib3_future(driver):
        pytest.skip("urllib3-future sends an IPv6 address in Host without its brackets")
    with driver.client(auth) as call:
        seen = assert_signed(lattice_ipv6, call("GET", lattice_ipv6.url + "/orders?b=1&a=2"))
    assert dict(seen["headers"])["host"] == f"[::1]:{lattice_ipv6.port}"


@pytest.mark.parametrize("number", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_many_requests_on_one_connection(driver, auth, lattice_http, number):
    lattice_http.lattice.clear()
    with driver.client(auth) as call:
        for i in range(number):
            assert call("GET", f"{lattice_http.url}/orders/{i}?b={i}&a=1").status == 200
    records = lattice_http.access_log
    assert len(records) == number
    assert {record["resolvedUser"] for record in records} == {
        lattice_http.caller("orders-frontend").principal
    }
    assert len({record["sourceIpPort"] for record in records}) == 1


def test_other_hosts_get_no_signature(driver, lattice_http):
    auth = driver.auth(
        region=REGION, credentials=canary.credentials(), hosts=["*.internal.example.com"]
    )
    with driver.client(auth) as call:
        assert call("GET", lattice_http.url + "/").status == 403
        seen = lattice_http.requests[-1]
        assert not [name for name, _ in seen.headers if name.startswith((b"x-amz-", b"authoriz"))]
        assert_signed(lattice_http, call("GET", lattice_http.url_for("orders") + "/"))


def test_a_pickled_auth_object_signs(driver, auth, lattice_http):
    with driver.client(pickle.loads(pickle.dumps(auth))) as call:
        assert_signed(lattice_http, call("GET", lattice_http.url + "/"))


@pytest.mark.parametrize(
    ("module", "base"),
    [
        (lattice_client.requests, requests.auth.AuthBase),
        (lattice_client.httpx, httpx.Auth),
        (lattice_client.httpx2, httpx2.Auth),
    ],
)
def test_an_auth_object_of_a_librarys_own_kind(module, base):
    for auth in (module.LatticeAuth(), module.SigV4Auth("execute-api")):
        assert isinstance(auth, base)
        assert isinstance(auth, lattice_client.SigV4Auth)
        assert isinstance(pickle.loads(pickle.dumps(auth)), base)
    assert isinstance(module.LatticeAuth(), lattice_client.LatticeAuth)
    with pytest.raises(TypeError, match="payload"):
        module.LatticeAuth(payload="signed")


@pytest.mark.parametrize("driver", [Requests(), RequestsSession()], ids=lambda each: each.name)
def test_the_auth_object_of_requests_own_kind_signs(driver, lattice):
    auth = lattice_client.requests.LatticeAuth(region=REGION, credentials=canary.credentials())
    ca_file = lattice.ca_file if lattice.scheme == "https" else None
    with driver.client(auth, ca_file) as call:
        assert_signed(lattice, call("GET", lattice.url_for("orders") + "/orders?b=2&a=1"))


def test_single_path_encoding(driver, lattice_http):
    """The two encodings differ on the wire, and the local Lattice reads but one of them."""
    auth = driver.auth(region=REGION, credentials=canary.credentials(), path_encoding="single")
    with driver.client(auth) as call:
        assert_signed(lattice_http, call("GET", lattice_http.url + "/orders"))
        lattice_http.lattice.clear()
        answer = call("GET", lattice_http.url + "/order%20book")
        assert "InvalidSignatureException" in lattice_http.requests[0].refusal
        # Drivers that see the answer sign again in the other encoding.
        assert answer.status == (403 if "library-free" in driver.name else 200)


KINDS = {
    "query": {"placement": "query"},
    "sigv4a": {"algorithm": "sigv4a", "region_set": "eu-west-1,us-west-*"},
    "sigv4a for the one region": {"algorithm": "sigv4a"},
    "sigv4a in the query": {"algorithm": "sigv4a", "region_set": "*", "placement": "query"},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_other_signatures(driver, lattice_http, options):
    """SigV4A, and signatures in the query, for all targets."""
    auth = driver.auth(region=REGION, credentials=canary.credentials(), **options)
    in_query = options.get("placement") == "query"
    with driver.client(auth) as call:
        for target in TARGETS.values():
            seen = assert_signed(lattice_http, call("GET", lattice_http.url_for("orders") + target))
            assert ("X-Amz-Signature=" in seen["query"]) is in_query
            headers = {name.lower(): value for name, value in seen["headers"]}
            assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
            assert ("authorization" not in headers) is in_query
            assert ("x-amz-security-token" not in headers) is in_query
        seen = assert_signed(
            lattice_http, call("POST", lattice_http.url_for("orders") + "/", body=STREAM)
        )
        assert seen["body_sha256"] == hashlib.sha256(b"".join(CHUNKS)).hexdigest()


def test_a_bearer_token_beside_a_signature_in_the_query(driver, lattice_http):
    auth = driver.auth(region=REGION, credentials=canary.credentials(), placement="query")
    headers = {"Authorization": "Bearer own"}
    with driver.client(auth) as call:
        seen = assert_signed(lattice_http, call("GET", lattice_http.url + "/?a=b", headers=headers))
    assert dict(seen["headers"])["authorization"] == "Bearer own"


@pytest.mark.parametrize("name", ["X-Forwarded-Authorization", "X-Amz-Meta-User"])
def test_a_bearer_token_moved_out_of_the_signatures_way(driver, lattice, name):
    auth = driver.auth(region=REGION, credentials=canary.credentials(), move_authorization_to=name)
    ca_file = lattice.ca_file if lattice.scheme == "https" else None
    with driver.client(auth, ca_file) as call:
        url = lattice.url_for("orders") + "/?a=b"
        seen = assert_signed(lattice, call("GET", url, headers={"Authorization": "Bearer own"}))
    assert dict(seen["headers"])[name.lower()] == "Bearer own"
    signed = lattice.requests[-1].canonical_request.split("\n")[-2].split(";")
    assert (name.lower() in signed) is name.lower().startswith("x-amz-")


def test_a_region_set_without_the_region_is_refused(driver, lattice_http):
    auth = driver.auth(credentials=canary.credentials(), algorithm="sigv4a", region_set="eu-*")
    with driver.client(auth) as call:
        assert call("GET", lattice_http.url + "/").status == 403


def test_what_the_refused_see(driver, lattice_http):
    unknown = driver.auth(region=REGION, credentials=canary.credentials("ASIAUNKNOWN"))
    elsewhere = driver.auth(region="eu-west-1", credentials=canary.credentials())
    # Our clients are never without an auth object.
    for auth in (unknown, elsewhere) if driver in CLIENTS else (None, unknown, elsewhere):
        with driver.client(auth) as call:
            assert call("GET", lattice_http.url + "/").status == 403
