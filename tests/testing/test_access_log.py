"""Access-log records, and requests that end in unusual ways."""

import asyncio
import json
import logging

import pytest

from lattice_client.testing import LocalLattice
from lattice_client.testing.access_log import FIELDS, as_json_line
from lattice_client.testing.data_plane.tls import TLS_STATE, TLSDetails
from lattice_client.testing.targets import lifespan
from support.asgi_driver import Exchange, fetch, signed_by
from support.local_oracles import HOST, NOW, wire


def unsigned(method="GET", target="/", headers=()):
    return wire(method, target, [("host", HOST), *headers])


def lattice_with(target=None, **settings):
    lattice = LocalLattice(clock=lambda: NOW, **settings)
    lattice.add_service("orders", domain=HOST, target=target, auth_type="NONE")
    return lattice


def answering(*messages):
    """A target that sends these messages, or raises those that are exceptions."""

    async def target(_scope, _receive, send):
        for message in messages:
            if isinstance(message, BaseException):
                raise message
            await send(message)

    return target


def start(status=200, **headers):
    pairs = [
        (name.replace("_", "-").encode(), str(value).encode()) for name, value in headers.items()
    ]
    return {"type": "http.response.start", "status": status, "headers": pairs}


def body(chunk=b"", *, more=False):
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def test_a_record_of_a_signed_request(local):
    caller = local.caller("frontend")
    request = signed_by(
        caller,
        "POST",
        "/parking?token=secret",
        [("user-agent", "tests/1"), ("x-amzn-requestid", "one")],
    )
    response = fetch(local, request, b"hello")
    (record,) = local.access_log
    orders = local.service("orders")
    header_bytes = sum(len(name) + len(value) + 4 for name, value in response.headers.raw)
    assert record == dict.fromkeys(FIELDS) | {
        "serviceNetworkArn": local.network_arn,
        "serviceArn": orders.arn,
        "resolvedUser": caller.principal,
        "hostHeader": HOST,
        "requestMethod": "POST",
        "requestPath": "/parking",
        "protocol": "HTTP/1.1",
        "responseCode": 200,
        "userAgent": "tests/1",
        "startTime": "2026-01-01T00:00:00Z",
        "duration": record["duration"],
        "requestToTargetDuration": record["requestToTargetDuration"],
        "responseFromTargetDuration": record["responseFromTargetDuration"],
        "bytesReceived": record["bytesReceived"],
        "bytesSent": header_bytes + len(response.content),
        "requestId": "one",
        "callerPrincipal": caller.principal,
        "callerPrincipalOrgID": "o-a1b2c3d4e5",
        "sourceVpcArn": local.vpc_arn,
        "sourceVpcId": local.vpc_id,
        "sourceIpPort": record["sourceIpPort"],
        "destinationVpcId": local.vpc_id,
        "targetGroupArn": orders.target_group_arn,
        "listenerId": orders.listener_ids["http"],
        "listenerType": "HTTP",
    }
    assert tuple(record) == FIELDS
    for name in ("duration", "requestToTargetDuration", "responseFromTargetDuration"):
        assert isinstance(record[name], int)
    assert record["sourceIpPort"].startswith("127.0.0.1:")
    assert json.loads(json.dumps(record)) == record


def test_the_body_counts_as_received():
    sizes = []
    for chunks in ((b"",), (b"x" * 100, b"y" * 50)):
        lattice = lattice_with()
        Exchange(lattice, unsigned("POST"), chunks).run()
        sizes.append(lattice.access_log[0]["bytesReceived"])
    assert sizes[1] - sizes[0] == 150


def test_records_of_refusals(local):
    caller = local.caller("frontend")
    cases = [
        (unsigned(), None, "Service"),
        (signed_by(caller, region="eu-west-1"), "Unknown", None),
    ]
    for request, user, reason in cases:
        response = fetch(local, request)
        record = local.access_log[-1]
        assert response.status_code == record["responseCode"] == 403
        assert record["resolvedUser"] == user
        assert record["authDeniedReason"] == reason
        assert record["failureReason"] == "ClientAccessDenied"
        assert record["serviceArn"] == local.service("orders").arn
        assert record["targetGroupArn"] is None
        assert record["requestToTargetDuration"] == 0
        assert record["responseFromTargetDuration"] is None
        # As in the published records: a dash for an unknown value.
        written = json.loads(as_json_line(record))
        assert (written["requestToTargetDuration"], written["targetIpPort"]) == (0, "-")
        assert written["resolvedUser"] == (user or "-")


def test_only_denied_requests_have_taken_no_time_to_a_target(local):
    Exchange(local, wire("GET", "/", [("host", "other.example.com")])).run()
    assert local.access_log[-1]["responseCode"] == 404
    assert local.access_log[-1]["requestToTargetDuration"] is None


def test_no_user_without_authentication():
    lattice = lattice_with()
    fetch(lattice, unsigned())
    assert lattice.access_log[0]["resolvedUser"] is None


def test_tls_details_are_taken_from_the_servers_state():
    lattice = lattice_with()
    details = TLSDetails("TLSv1.3", "TLS_AES_256_GCM_SHA384", HOST)
    Exchange(lattice, unsigned(), scheme="https", state={TLS_STATE: details}).run()
    record = lattice.access_log[0]
    assert record["tlsVersion"] == "TLSv1.3"
    assert record["sslCipher"] == "TLS_AES_256_GCM_SHA384"
    assert record["serverNameIndication"] == HOST
    assert record["listenerType"] == "HTTPS"


def test_the_callback_gets_each_record():
    records = []
    lattice = lattice_with(on_access=records.append)
    fetch(lattice, unsigned())
    assert records == lattice.access_log


def test_a_failing_callback_is_reported_and_does_no_harm(caplog):
    def fail(_record):
        raise RuntimeError("full disk")

    lattice = lattice_with(on_access=fail)
    assert fetch(lattice, unsigned()).status_code == 200
    assert len(lattice.access_log) == 1
    assert "on_access failed" in caplog.text


# The record is there before the client can see the end of the response


@pytest.mark.parametrize(
    ("method", "messages", "last"),
    [
        ("GET", [start(), body(b"all")], "http.response.body"),
        ("GET", [start(), body(b"1", more=True), body(b"2")], "http.response.body"),
        ("GET", [start(content_length=0), body()], "http.response.start"),
        ("GET", [start(204), body()], "http.response.start"),
        ("GET", [start(304, content_length=9), body()], "http.response.start"),
        ("HEAD", [start(content_length=9), body(b"ignored")], "http.response.start"),
    ],
)
def test_the_record_is_written_before_the_last_message(method, messages, last):
    lattice = lattice_with(answering(*messages))
    types = []

    def on_send(message):
        if lattice.access_log and not types:
            types.append(message["type"])

    Exchange(lattice, unsigned(method), on_send=on_send).run()
    assert types == [last]
    assert len(lattice.access_log) == 1


def test_the_record_is_written_when_the_promised_bytes_are_sent():
    counts = []
    messages = [start(content_length=4), body(b"12", more=True), body(b"34", more=True), body()]
    lattice = lattice_with(answering(*messages))
    Exchange(lattice, unsigned(), on_send=lambda _: counts.append(len(lattice.access_log))).run()
    assert counts == [0, 0, 1, 1]


def test_the_record_waits_for_trailers():
    counts = []
    trailers = {"type": "http.response.trailers", "headers": []}
    opening = start() | {"trailers": True}
    lattice = lattice_with(answering(opening, body(b"x"), trailers))
    Exchange(lattice, unsigned(), on_send=lambda _: counts.append(len(lattice.access_log))).run()
    assert counts == [0, 0, 1]


def test_head_has_no_body_bytes():
    sent = {}
    for method in ("GET", "HEAD"):
        lattice = lattice_with(answering(start(content_length=9), body(b"x" * 9)))
        fetch(lattice, unsigned(method))
        sent[method] = lattice.access_log[0]["bytesSent"]
    assert sent["GET"] - sent["HEAD"] == 9


# Targets that fail


def test_a_target_that_fails_before_it_answers(caplog):
    lattice = lattice_with(answering(ZeroDivisionError("in the target")))
    response = fetch(lattice, unsigned())
    assert (response.status_code, response.text) == (502, "Bad Gateway")
    assert lattice.access_log[0]["responseCode"] == 502
    assert lattice.access_log[0]["failureReason"] == "TargetConnectionError"
    # Tests of a service need to see where it failed.
    assert "the target of service orders failed" in caplog.text
    assert "ZeroDivisionError: in the target" in caplog.text


def test_a_target_that_does_not_answer():
    lattice = lattice_with(answering())
    assert fetch(lattice, unsigned()).status_code == 502
    assert lattice.access_log[0]["failureReason"] == "TargetProtocolError"


def test_a_target_that_fails_in_the_middle():
    lattice = lattice_with(answering(start(), body(b"1", more=True), ZeroDivisionError()))
    exchange = Exchange(lattice, unsigned())
    with pytest.raises(ZeroDivisionError):
        exchange.run()
    assert [message["type"] for message in exchange.sent] == [
        "http.response.start",
        "http.response.body",
    ]
    record = lattice.access_log[0]
    assert (record["responseCode"], record["failureReason"]) == (200, "TargetConnectionClosed")


def test_a_target_that_stops_in_the_middle():
    lattice = lattice_with(answering(start(), body(b"1", more=True)))
    Exchange(lattice, unsigned()).run()
    assert lattice.access_log[0]["failureReason"] == "TargetConnectionClosed"


def test_a_target_that_fails_after_its_answer(caplog):
    lattice = lattice_with(answering(start(), body(b"done"), ZeroDivisionError()))
    assert fetch(lattice, unsigned()).text == "done"
    assert lattice.access_log[0]["failureReason"] is None
    assert "the target of service orders failed" in caplog.text


def test_a_local_lattice_that_fails_itself(monkeypatch):
    lattice = lattice_with()
    monkeypatch.setattr(lattice._admission, "route", lambda _request: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Exchange(lattice, unsigned()).run()
    assert lattice.access_log[0]["failureReason"] == "InternalError"


# Clients that leave


def test_a_client_that_leaves_before_the_answer():
    async def target(_scope, receive, _send):
        while (await receive())["type"] != "http.disconnect":
            pass

    lattice = lattice_with(target)
    assert Exchange(lattice, unsigned("POST"), [b"1"]).run().sent == []
    record = lattice.access_log[0]
    assert (record["responseCode"], record["failureReason"]) == (400, "ClientConnectionClosed")


def test_a_client_that_leaves_during_the_answer():
    async def target(_scope, receive, send):
        await send(start())
        while (await receive())["type"] != "http.disconnect":
            await send(body(b"1", more=True))
        raise ConnectionError("nothing listens")

    lattice = lattice_with(target)
    with pytest.raises(ConnectionError):
        Exchange(lattice, unsigned()).run()
    record = lattice.access_log[0]
    assert (record["responseCode"], record["failureReason"]) == (200, "ClientConnectionClosed")


def test_a_client_that_leaves_after_the_answer():
    async def target(_scope, receive, send):
        await send(start())
        await send(body())
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    lattice = lattice_with(target)
    Exchange(lattice, unsigned()).run()
    assert lattice.access_log[0]["failureReason"] is None


def test_a_cancelled_request_is_recorded():
    async def target(_scope, _receive, _send):
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    lattice = lattice_with(target)
    with pytest.raises(asyncio.CancelledError):
        Exchange(lattice, unsigned()).run()
    assert lattice.access_log[0]["failureReason"] == "ClientConnectionClosed"


# Streams


def test_nothing_is_buffered_on_the_way():
    events = []

    async def target(_scope, receive, send):
        await send(start())
        for _ in range(3):
            message = await receive()
            events.append(("received", message["body"]))
            await send(body(message["body"], more=message["more_body"]))

    lattice = lattice_with(target)
    Exchange(
        lattice,
        unsigned("POST"),
        [b"1", b"2", b"3"],
        on_send=lambda message: events.append(("sent", message.get("body"))),
    ).run()
    assert events == [
        ("sent", None),
        ("received", b"1"),
        ("sent", b"1"),
        ("received", b"2"),
        ("sent", b"2"),
        ("received", b"3"),
        ("sent", b"3"),
    ]


def test_files_are_not_sent_past_the_log():
    scopes = []

    async def target(scope, _receive, send):
        scopes.append(scope)
        await send(start())
        await send(body())

    extensions = {"http.response.pathsend": {}, "http.response.trailers": {}}
    Exchange(lattice_with(target), unsigned(), extensions=extensions).run()
    assert scopes[0]["extensions"] == {"http.response.trailers": {}}


# Lifespans of targets


class App:
    """A target with a lifespan."""

    def __init__(self, *, fails=None, breaks=None):
        self.events = []
        self._fails = fails
        self._breaks = breaks

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            self.events.append(("request", scope["state"]))
            await send(start())
            await send(body())

    async def _lifespan(self, scope, receive, send):
        assert (await receive())["type"] == "lifespan.startup"
        if self._fails is not None:
            await send({"type": "lifespan.startup.failed", "message": self._fails})
            return
        scope["state"]["pool"] = "open"
        self.events.append("startup")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.events.append("shutdown")
        if self._breaks is not None:
            raise self._breaks
        await send({"type": "lifespan.shutdown.complete"})


def run_with_lifespan(lattice, *requests):
    """Run the requests, each once, within the lattice's own lifespan."""

    async def main():
        incoming, outgoing = asyncio.Queue(), asyncio.Queue()
        task = asyncio.create_task(lattice({"type": "lifespan"}, incoming.get, outgoing.put))
        await incoming.put({"type": "lifespan.startup"})
        assert (await outgoing.get())["type"] == "lifespan.startup.complete"
        exchanges = [Exchange(lattice, request) for request in requests]
        for exchange in exchanges:
            await lattice(exchange._scope, exchange._receive, exchange._send)
        await incoming.put({"type": "lifespan.shutdown"})
        assert (await outgoing.get())["type"] == "lifespan.shutdown.complete"
        await task
        return exchanges

    return asyncio.run(main())


def test_a_targets_lifespan_is_run():
    app = App()
    lattice = lattice_with(app)
    for _ in range(2):
        run_with_lifespan(lattice, unsigned(), unsigned())
    request = ("request", {"pool": "open"})
    assert app.events == ["startup", request, request, "shutdown"] * 2


def test_a_target_that_is_not_used_is_not_started():
    app = App()
    run_with_lifespan(lattice_with(app))
    assert app.events == []


def test_a_target_without_lifespan_is_used_as_it_is():
    class Target:
        async def __call__(self, scope, _receive, send):
            assert scope["type"] == "http"
            await send(start())
            await send(body())

    (exchange,) = run_with_lifespan(lattice_with(Target()), unsigned())
    assert exchange.status == 200


def test_a_bare_function_has_no_lifespan():
    types = []

    async def target(scope, _receive, send):
        types.append(scope["type"])
        await send(start())
        await send(body())

    run_with_lifespan(lattice_with(target), unsigned())
    assert types == ["http"]


def test_a_target_that_does_not_shut_down_is_cancelled(monkeypatch, caplog):
    class Target(App):
        async def _lifespan(self, scope, receive, send):
            await send({"type": "lifespan.startup.complete"})
            await asyncio.Event().wait()

    monkeypatch.setattr(lifespan, "_GRACE_SECONDS", 0.01)
    run_with_lifespan(lattice_with(Target()), unsigned())
    assert "a target's shutdown takes too long and is cancelled" in caplog.text


def test_a_target_whose_startup_fails(caplog):
    (exchange,) = run_with_lifespan(lattice_with(App(fails="no database")), unsigned())
    assert exchange.status == 502
    assert "the target's startup failed: no database" in caplog.text


def test_a_target_whose_shutdown_fails(caplog):
    with caplog.at_level(logging.ERROR):
        run_with_lifespan(lattice_with(App(breaks=ZeroDivisionError())), unsigned())
    assert "a target's lifespan failed" in caplog.text


def test_without_the_lattices_lifespan_targets_have_none():
    app = App()
    assert fetch(lattice_with(app), unsigned()).status_code == 200
    assert app.events == [("request", {})]
