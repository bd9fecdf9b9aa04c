"""The local Lattice in-process: routing, authentication, requests at targets, answers."""

import asyncio
import dataclasses
import hashlib
import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lattice_client.credentials import Credentials
from lattice_client.identity import CallerIdentity
from lattice_client.testing import AuthPolicy, LocalLattice, Principal, WireRequest
from support.asgi_driver import Exchange, fetch, signed_by
from support.local_oracles import HOST, NOW, as_pairs, crt_sign, replace_header, wire

ARN = "arn:aws:sts::111122223333:assumed-role/orders-frontend/task-1"


def unsigned(target="/", headers=(), method="GET", host=HOST):
    return wire(method, target, [("host", host), *headers])


def seen(response):
    """The request as the default target saw it."""
    assert response.status_code == 200, response.text
    return response.json()


def headers_seen(response):
    return dict(seen(response)["headers"])


@pytest.fixture
def caller(local):
    return local.caller("frontend")


@pytest.fixture
def open_lattice():
    """A Lattice that allows every request, with a target of the test's choice."""

    def make(target=None, **settings):
        lattice = LocalLattice(clock=lambda: NOW, **settings)
        lattice.add_service("orders", domain=HOST, target=target, auth_type="NONE")
        return lattice

    return make


# Authentication and authorisation


@pytest.mark.parametrize("algorithm", ["sigv4", "sigv4a"])
@pytest.mark.parametrize("placement", ["header", "query"])
def test_a_signed_request_reaches_the_target(local, caller, placement, algorithm):
    request = signed_by(caller, "POST", "/a%20b?c=d", placement=placement, algorithm=algorithm)
    got = seen(fetch(local, request, b"hello"))
    assert got["method"] == "POST"
    assert got["path"] == "/a%20b"
    assert got["query"].startswith("c=d")
    assert got["body_length"] == 5
    assert got["body_sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert got["caller"] == caller.principal == ARN


def test_an_unsigned_request_is_anonymous(local):
    response = fetch(local, unsigned("/parking"))
    assert response.status_code == 403
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == (
        "AccessDeniedException: User: anonymous is not authorized to perform: "
        "vpc-lattice-svcs:Invoke on resource: "
        f"{local.service('orders').arn}/parking "
        "because no service-based policy allows the vpc-lattice-svcs:Invoke action"
    )


def test_a_bearer_token_is_anonymous(local):
    response = fetch(local, unsigned(headers=[("authorization", "Bearer abc")]))
    assert "User: anonymous is not authorized" in response.text


def test_a_denied_caller_is_named(local, caller):
    local.service("orders").policy = AuthPolicy(())
    response = fetch(local, signed_by(caller, target="/parking"))
    assert response.status_code == 403
    assert f"User: {ARN} is not authorized" in response.text


def test_the_networks_policy_counts_too(caller, local):
    local.network.auth_type = "AWS_IAM"
    local.network.policy = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "999999999999"},
            "Action": "*",
            "Resource": "*",
        }
    }
    response = fetch(local, signed_by(caller))
    assert "because no network-based policy allows" in response.text
    assert local.access_log[-1]["authDeniedReason"] == "Network"


def test_policies_at_construction():
    document = {
        "Statement": {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*/private/*"}
    }
    lattice = LocalLattice(network_auth_type="AWS_IAM", network_policy=document)
    lattice.add_service("orders", auth_type="NONE")
    response = fetch(lattice, unsigned("/private/x", host="localhost"))
    assert response.text.endswith("with an explicit deny in a network-based policy")
    with pytest.raises(ValueError, match=r"Statement\[0\]\.Effect"):
        lattice.add_service("rates", policy={"Statement": [{"Condition": {}}]})


def test_anonymous_callers_pass_where_no_layer_asks(open_lattice):
    got = fetch(open_lattice(), unsigned())
    assert seen(got)["caller"] is None
    assert "x-amzn-lattice-identity" not in headers_seen(got)


def test_a_bad_signature_is_refused_even_where_anonymous_callers_pass(open_lattice):
    lattice = open_lattice()
    response = fetch(lattice, crt_sign())
    assert response.status_code == 403
    assert response.text.startswith("UnrecognizedClientException: ")


def test_new_credentials_leave_the_old_ones_valid(local, caller):
    old = caller.credentials
    new = caller.rotate()
    assert new is caller.credentials is not old
    for credentials in (old, new):
        assert seen(fetch(local, crt_sign(credentials=credentials)))["caller"] == ARN


def test_revoked_credentials_are_unknown(local, caller):
    old = caller.credentials
    caller.rotate()
    caller.revoke(old)
    response = fetch(local, crt_sign(credentials=old))
    assert response.text.startswith("UnrecognizedClientException: ")
    assert seen(fetch(local, signed_by(caller)))
    caller.revoke()
    assert fetch(local, signed_by(caller)).status_code == 403


def test_expired_credentials_are_told_apart(local, caller):
    caller.expire()
    assert fetch(local, signed_by(caller)).text.startswith("ExpiredTokenException: ")
    assert caller.rotate(expires_at=NOW + 1)
    assert seen(fetch(local, signed_by(caller)))
    local.clock = lambda: NOW + 1
    assert fetch(local, signed_by(caller)).text.startswith("ExpiredTokenException: ")


def test_callers_bring_their_own_credentials(local):
    first, second = Credentials("AKIAONE", "secret"), Credentials("AKIATWO", "secret")
    batch = local.add_caller("batch", account="999999999999", credentials=first)
    batch.rotate(second)
    for credentials in (first, second):
        got = seen(fetch(local, crt_sign(credentials=credentials)))
        assert got["caller"] == "arn:aws:sts::999999999999:assumed-role/batch/session"
    with pytest.raises(ValueError, match="'AKIATWO' is registered already"):
        local.add_caller("other", credentials=second)
    with pytest.raises(ValueError, match="there is a caller 'batch' already"):
        local.add_caller("batch")
    with pytest.raises(ValueError, match="'AKIATHREE' is not registered"):
        batch.expire(Credentials("AKIATHREE", "secret"))
    assert local.caller("batch") is batch
    with pytest.raises(KeyError, match="no caller 'other'; there are: batch, frontend"):
        local.caller("other")


def test_made_up_credentials_look_real(local):
    temporary = local.add_caller("temporary").credentials
    assert re.fullmatch("ASIA[A-Z2-7]{16}", temporary.access_key)
    assert temporary.token
    lasting = local.add_caller("lasting", token=False)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", lasting.credentials.access_key)
    assert lasting.credentials.token is None
    assert lasting.rotate().token is None
    assert seen(fetch(local, signed_by(lasting)))


def test_nothing_shows_credentials(local, caller):
    fetch(local, signed_by(caller))
    secrets = caller.credentials.secret_key, caller.credentials.token
    for shown in (local, caller, local.requests[-1], local.access_log[-1], local.service("orders")):
        assert not any(secret in repr(shown) for secret in secrets)


def test_the_clock_can_be_shifted(local, caller):
    local.clock = lambda: NOW + 3600
    response = fetch(local, signed_by(caller))
    assert response.text == (
        "InvalidSignatureException: Signature expired: 20260101T000000Z is now earlier than "
        "20260101T005500Z (20260101T010000Z - 5 min.)"
    )
    assert response.headers["date"] == "Thu, 01 Jan 2026 01:00:00 GMT"


@pytest.mark.parametrize("path_encoding", ["double", "double-raw", "single"])
def test_any_form_of_the_path_can_be_demanded(path_encoding):
    lattice = LocalLattice(clock=lambda: NOW, path_encoding=path_encoding)
    lattice.add_service("orders", domain=HOST)
    caller = lattice.add_caller("frontend")
    for signed in ("double", "double-raw", "single"):
        request = signed_by(caller, target="/a%20b//c", path_encoding=signed)
        expected = 200 if signed == path_encoding else 403
        assert fetch(lattice, request).status_code == expected


@pytest.mark.parametrize(
    ("query_plus", "statuses"),
    [("either", [200, 200]), ("space", [200, 403]), ("plus", [403, 200])],
)
def test_either_reading_of_a_plus_sign_can_be_demanded(query_plus, statuses):
    lattice = LocalLattice(clock=lambda: NOW, query_plus=query_plus)
    lattice.add_service("orders", domain=HOST)
    caller = lattice.add_caller("frontend")
    got = []
    for signed_as in ("%20", "%2B"):
        signed = signed_by(caller, target=f"/?q=a{signed_as}b")
        sent = wire(signed.method, "/?q=a+b", as_pairs(signed))
        exchange = Exchange(lattice, sent).run()
        got.append(exchange.status)
    assert got == statuses


def test_other_services_sign_payloads():
    lattice = LocalLattice(clock=lambda: NOW, service="execute-api")
    lattice.add_service("orders", domain=HOST)
    caller = lattice.add_caller("frontend")
    digest = hashlib.sha256(b"hello").hexdigest()
    request = signed_by(caller, "POST", service="execute-api", payload=digest)
    assert seen(fetch(lattice, request, b"hello"))["body_sha256"] == digest
    assert fetch(lattice, request, b"hellO").status_code == 403
    cut_off = Exchange(lattice, request, body=()).run()
    assert cut_off.status == 400
    assert lattice.access_log[-1]["failureReason"] == "ClientConnectionClosed"


# Routing


def test_services_are_found_by_host(local):
    rates = local.add_service("rates", auth_type="NONE")
    local.service("orders").auth_type = "NONE"
    assert rates.managed_name == (f"rates-{rates.id[4:]}.7d67968.vpc-lattice-svcs.us-west-2.on.aws")
    assert re.fullmatch("svc-0[0-9a-f]{16}", rates.id)
    assert rates.arn == f"arn:aws:vpc-lattice:us-west-2:111122223333:service/{rates.id}"
    hosts = {
        HOST: "orders",
        HOST.upper(): "orders",
        f"{HOST}:8443": "orders",
        f"{HOST}.": "orders",
        f"{HOST}.:80": "orders",
        local.service("orders").managed_name: "orders",
        rates.managed_name: "rates",
        "localhost:8080": "orders",
        "127.0.0.1": "orders",
        "127.0.0.9:1": "orders",
        "[::1]:8080": "orders",
    }
    for host, name in hosts.items():
        response = fetch(local, unsigned(host=host))
        assert response.status_code == 200, host
        assert local.requests[-1].service == name
        assert headers_seen(response)["host"] == host


def test_what_is_remembered_of_requests_is_no_more_than_is_shown(open_lattice):
    local = open_lattice()
    fetch(local, unsigned())
    # An index for each of thousands of services would make requests a third slower.
    assert type(local.requests[-1].headers) is tuple


@pytest.mark.parametrize("host", ["rates.internal.example.com", "10.0.0.1", "", "localhost.evil"])
def test_an_unknown_host_is_not_found(local, host):
    response = fetch(local, unsigned(host=host))
    assert (response.status_code, response.text) == (404, "Not Found")
    assert local.access_log[-1]["serviceArn"] is None
    assert local.access_log[-1]["failureReason"] is None


def test_a_network_without_services_finds_nothing():
    assert fetch(LocalLattice(), unsigned(host="localhost")).status_code == 404


@pytest.mark.parametrize("hosts", [(), (b"a", b"b")])
def test_there_must_be_one_host(local, hosts):
    exchange = Exchange(local, replace_header(unsigned(), "host", *hosts)).run()
    assert exchange.status == 400
    assert local.access_log[-1]["failureReason"] == "ClientProtocolError"


@pytest.mark.parametrize("path", [b"*", b"http://orders.internal.example.com/", b""])
def test_the_target_must_be_a_path(local, path):
    request = unsigned()
    exchange = Exchange(local, WireRequest("OPTIONS", path, b"", request.headers)).run()
    assert exchange.status == 400


def test_names_are_checked(local):
    with pytest.raises(ValueError, match=f"another service already has the name {HOST}"):
        local.add_service("rates", domain=HOST)
    with pytest.raises(ValueError, match="already"):
        local.add_service("orders")
    for name in ("ab", "a" * 41, "Orders", "svc-orders", "-orders", "orders-", "a--b", "a_b"):
        with pytest.raises(ValueError, match="is not a valid service name"):
            local.add_service(name)
    for domain in ("", "a.b:80", "a.b."):
        with pytest.raises(ValueError, match="is not a domain name"):
            local.add_service("rates", domain=domain)
    assert local.add_service("rates", domain="Rates.Example.com").domain == "rates.example.com"
    assert [service.name for service in local.services] == ["orders", "rates"]


def test_services_are_looked_up_by_any_name(local):
    orders = local.service("orders")
    assert local.service(HOST) is orders
    assert local.service(orders.managed_name) is orders
    assert local.names == {HOST, orders.managed_name}
    with pytest.raises(KeyError, match="no service 'rates'; there are: orders"):
        local.service("rates")


def test_the_same_names_in_every_run():
    def names():
        return LocalLattice().add_service("orders").names

    assert names() == names()


# Limits


def test_a_hundred_headers_and_no_more(open_lattice):
    headers = [(f"x-{index}", "v") for index in range(99)]
    assert Exchange(open_lattice(), unsigned(headers=headers)).run().status == 200
    exchange = Exchange(open_lattice(), unsigned(headers=[*headers, ("x", "v")])).run()
    assert (exchange.status, exchange.text) == (
        400,
        "Bad Request: over 100 headers, or over 60 K of them",
    )


def test_sixty_k_of_headers_and_no_more(open_lattice):
    room = 60 * 1024 - len("host") - len(HOST) - len("x-big")
    fits, spills = (unsigned(headers=[("x-big", "v" * size)]) for size in (room, room + 1))
    assert Exchange(open_lattice(), fits).run().status == 200
    assert Exchange(open_lattice(), spills).run().status == 400


# Requests at targets


def test_identity_headers(local, caller):
    orders = local.service("orders")
    request = signed_by(caller)
    got = {
        name.decode(): value.decode()
        for name, value in json_headers(Exchange(local, request, scheme="https").run())
    }
    assert got["x-amzn-lattice-identity"] == (
        f"Principal={ARN}; PrincipalOrgID=o-a1b2c3d4e5; PrincipalOrgPath=; SessionName=task-1; "
        "Type=AWS_IAM"
    )
    assert got["x-amzn-lattice-identity-tags"] == (
        f"principal={ARN};principalorgid=o-a1b2c3d4e5;principalorgpath="
    )
    assert got["x-amzn-lattice-network"] == f"SourceVpcArn={local.vpc_arn}"
    assert got["x-amzn-lattice-target"] == (
        f"ServiceArn={orders.arn};ServiceNetworkArn={local.network_arn};"
        f"TargetGroupArn={orders.target_group_arn}"
    )
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-port"] == "80"
    assert got["x-forwarded-proto"] == "https"
    assert re.fullmatch(r"arn:aws:ec2:us-west-2:111122223333:vpc/vpc-0[0-9a-f]{16}", local.vpc_arn)


def test_a_servers_port_may_be_text(open_lattice):
    """granian's is."""
    exchange = Exchange(open_lattice(), unsigned(), server=("127.0.0.1", "8000"), http_version="1")
    assert (b"x-forwarded-port", b"8000") in json_headers(exchange.run())


@pytest.mark.parametrize(
    ("upgrade", "status"),
    [("websocket", 400), ("h2c, WebSocket", 400), ("h2c", 200), ("websocket-ish", 200)],
)
def test_a_websocket_is_refused_as_a_request(open_lattice, upgrade, status):
    headers = [
        ("connection", "Upgrade"),
        ("upgrade", upgrade),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ]
    lattice = open_lattice()
    exchange = Exchange(lattice, unsigned(headers=headers)).run()
    assert exchange.status == status
    if status == 400:
        assert exchange.text == ("Bad Request: WebSockets pass through TLS listeners only")
        assert lattice.access_log[-1]["failureReason"] == "ClientProtocolError"


def test_the_time_is_looked_up_at_each_call(monkeypatch):
    """freezegun may replace ``time.time`` after the local Lattice is created."""
    lattice = LocalLattice()
    lattice.add_service("orders", domain=HOST)
    caller = lattice.add_caller("frontend")
    monkeypatch.setattr(time, "time", lambda: NOW)
    response = fetch(lattice, signed_by(caller))
    assert seen(response)
    assert response.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"


@pytest.mark.parametrize("server", [None, (HOST, None)])
def test_where_the_server_has_no_port_the_listeners_is_forwarded(open_lattice, server):
    """As httpx sends it in-process."""
    exchange = Exchange(open_lattice(), unsigned(), scheme="https", server=server).run()
    assert dict(json_headers(exchange))[b"x-forwarded-port"] == b"443"


def json_headers(exchange):
    pairs = json.loads(exchange.body)["headers"]
    return [(name.encode(), value.encode()) for name, value in pairs]


def test_the_identity_of_a_caller_with_tags_and_a_place_in_its_organization(local):
    principal = Principal(
        "111122223333",
        "team/web",
        "task-2",
        "o-a1b2c3d4e5",
        tags={"Team": "Payments", "principal": "mine"},
        organization_paths=["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"],
    )
    got = headers_seen(fetch(local, signed_by(local.add_caller("web", principal=principal))))
    assert (
        "; PrincipalOrgPath=o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/; Se"
        in (got["x-amzn-lattice-identity"])
    )
    assert got["x-amzn-lattice-identity-tags"] == (
        f"principal={principal.arn};principalorgid=o-a1b2c3d4e5;"
        "principalorgpath=o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/;Team=Payments;principal=mine"
    )
    assert local.access_log[-1]["callerPrincipalTags"] == "Team=Payments;principal=mine"
    read = CallerIdentity.from_headers(got)
    assert dict(read.tags) == principal.tags
    assert read.organization_path == "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"


def test_an_anonymous_caller_has_no_identity(open_lattice):
    got = headers_seen(fetch(open_lattice(), unsigned()))
    assert not [name for name in got if name.startswith("x-amzn-lattice-identity")]


def test_a_caller_outside_any_organization():
    lattice = LocalLattice(clock=lambda: NOW, organization=None)
    lattice.add_service("orders", domain=HOST)
    response = fetch(lattice, signed_by(lattice.add_caller("frontend")))
    assert "; PrincipalOrgID=; " in headers_seen(response)["x-amzn-lattice-identity"]
    assert lattice.access_log[-1]["callerPrincipalOrgID"] is None


def test_incoming_copies_are_stripped(open_lattice):
    forged = [
        ("X-Amzn-Lattice-Identity", "Principal=forged"),
        ("x-amzn-lattice-identity-tags", "principal=forged"),
        ("x-amzn-lattice-anything-new", "forged"),
        ("x-forwarded-for", "forged"),
        ("X-Forwarded-Proto", "forged"),
        ("x-forwarded-port", "forged"),
        ("x-forwarded-host", "kept"),
    ]
    exchange = Exchange(open_lattice(), unsigned(headers=forged), client=None, server=None).run()
    assert "forged" not in exchange.text
    assert (b"x-forwarded-host", b"kept") in json_headers(exchange)
    assert b"x-forwarded-for" not in dict(json_headers(exchange))


def test_a_target_gets_the_wire_path_where_the_server_gives_only_the_decoded_one(open_lattice):
    exchange = Exchange(open_lattice(), unsigned(), path="/a b/é:@", raw_path=None)
    assert json.loads(exchange.run().body)["path"] == "/a%20b/%C3%A9:@"


# Request ids and dates


def test_a_request_id_is_made(local, open_lattice):
    lattice = open_lattice()
    response = fetch(lattice, unsigned())
    request_id = response.headers["x-amzn-requestid"]
    assert re.fullmatch("[0-9a-f]{8}-[0-9a-f-]{27}", request_id)
    assert headers_seen(response)["x-amzn-requestid"] == request_id
    assert lattice.access_log[-1]["requestId"] == request_id
    assert fetch(lattice, unsigned()).headers["x-amzn-requestid"] != request_id
    assert fetch(local, unsigned()).headers["x-amzn-requestid"]


def test_the_clients_request_id_is_kept(open_lattice):
    lattice = open_lattice()
    response = fetch(lattice, unsigned(headers=[("X-Amzn-RequestId", "any text")]))
    assert response.headers.get_list("x-amzn-requestid") == ["any text"]
    ids = [value for name, value in seen(response)["headers"] if name == "x-amzn-requestid"]
    assert ids == ["any text"]
    assert lattice.access_log[-1]["requestId"] == "any text"


def test_a_long_request_id_is_cut(open_lattice):
    response = fetch(open_lattice(), unsigned(headers=[("x-amzn-requestid", "x" * 513)]))
    assert response.headers["x-amzn-requestid"] == "x" * 512


def test_an_empty_request_id_is_replaced(open_lattice):
    response = fetch(open_lattice(), unsigned(headers=[("x-amzn-requestid", "")]))
    assert response.headers["x-amzn-requestid"]


def test_every_response_is_dated(local, open_lattice):
    for lattice, status in ((open_lattice(), 200), (local, 403)):
        response = fetch(lattice, unsigned())
        assert response.status_code == status
        assert response.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert fetch(local, unsigned(host="unknown")).headers["date"]


def test_a_targets_own_date_and_not_its_request_id_is_kept(open_lattice):
    async def target(_scope, _receive, send):
        headers = [(b"Date", b"mine"), (b"x-amzn-requestid", b"mine")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    response = fetch(open_lattice(target), unsigned(headers=[("x-amzn-requestid", "yours")]))
    assert response.headers.get_list("date") == ["mine"]
    assert response.headers.get_list("x-amzn-requestid") == ["yours"]


# Records of requests


def test_requests_are_kept_as_they_arrived(local, caller):
    request = signed_by(caller, "PUT", "/a//b?x=%zz1".replace("%zz", "%2f"))
    fetch(local, request)
    (received,) = local.requests
    assert (received.method, received.path, received.query) == ("PUT", b"/a//b", b"x=%2f1")
    assert received.target == b"/a//b?x=%2f1"
    assert received.service == "orders"
    assert received.header("Host") == HOST
    assert received.header("x-nothing") is None
    assert received.verified.access_key == caller.credentials.access_key
    assert received.refusal is None
    assert received.canonical_request.startswith("PUT\n/a/b\nx=%2F1\nhost:")
    assert received.string_to_sign.startswith("AWS4-HMAC-SHA256\n20260101T000000Z\n")
    assert repr(received) == "<ReceivedRequest PUT b'/a//b', signed>"


def test_refused_requests_are_kept_with_the_checkpoints(local, caller):
    request = replace_header(signed_by(caller), "x-amzn-trace-id", b"Root=1")
    changed = WireRequest("DELETE", request.path, request.query, request.headers)
    refused = fetch(local, changed)
    (received,) = local.requests
    assert received.refusal == refused.text
    assert received.verified is None
    assert received.canonical_request.startswith("DELETE\n/\n")
    assert repr(received) == "<ReceivedRequest DELETE b'/', refused>"
    fetch(local, unsigned())
    assert local.requests[-1].canonical_request is None
    local.clear()
    assert local.requests == local.access_log == []


def test_only_so_many_are_kept(open_lattice):
    lattice = open_lattice(history=2)
    for path in ("/1", "/2", "/3"):
        fetch(lattice, unsigned(path))
    assert [request.path for request in lattice.requests] == [b"/2", b"/3"]
    assert [record["requestPath"] for record in lattice.access_log] == ["/2", "/3"]


# Any request


@settings(max_examples=100)
@given(
    method=st.text(min_size=1, max_size=5),
    path=st.binary(max_size=20),
    query=st.binary(max_size=20),
    headers=st.lists(
        st.tuples(
            st.sampled_from([b"host", b"x-amzn-requestid", b"authorization"])
            | st.binary(max_size=8),
            st.sampled_from([HOST.encode(), b"[::1", b"AWS4-HMAC-SHA256 x"])
            | st.binary(max_size=30),
        ),
        max_size=5,
    ),
)
def test_every_request_gets_an_answer_and_a_record(method, path, query, headers):
    lattice = LocalLattice(clock=lambda: NOW)
    lattice.add_service("orders", domain=HOST, auth_type="NONE")
    request = WireRequest(method, path, query, tuple(headers))
    exchange = Exchange(lattice, request, path="/").run()
    assert exchange.status in (200, 400, 403, 404)
    assert [record["responseCode"] for record in lattice.access_log] == [exchange.status]
    assert len(lattice.requests) == 1


# Other ASGI scopes


def test_websockets_are_closed(local):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(local({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close"}]


def test_unknown_scopes_are_an_error(local):
    with pytest.raises(NotImplementedError, match="'smoke'"):
        asyncio.run(local({"type": "smoke"}, None, None))


def test_a_changed_vpc_or_account_is_what_policies_see():
    local = LocalLattice(clock=lambda: NOW)
    caller = local.add_caller("frontend")
    key = {"vpc-lattice-svcs:SourceVpc": "vpc-other"}
    owner = {"vpc-lattice-svcs:SourceVpcOwnerAccount": "444455556666"}
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": key | owner},
    }
    local.add_service("orders", domain=HOST, policy={"Statement": [statement]})
    statuses = [fetch(local, signed_by(caller)).status_code]
    local.vpc_id = "vpc-other"
    statuses.append(fetch(local, signed_by(caller)).status_code)
    local.account = "444455556666"
    statuses.append(fetch(local, signed_by(caller)).status_code)
    assert statuses == [403, 403, 200]


def test_a_wire_request_is_a_value():
    request = WireRequest("GET", "/", b"", [(b"A", b"1"), (b"a", b"2")])
    changed = dataclasses.replace(request, method="POST")
    assert (changed.by_name, changed.header_bytes) == ({"a": [b"1", b"2"]}, 4)
    assert changed != request
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.headers = ()


def test_a_target_that_fails_after_its_answer_harms_no_other(local, caplog):
    async def target(_scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})
        while (await receive())["type"] != "http.disconnect":
            pass
        raise ZeroDivisionError

    local.service("orders").target = target
    response = fetch(local, signed_by(local.caller("frontend")))
    assert (response.status_code, response.text) == (200, "done")
    assert "the target of service orders failed" in caplog.text
