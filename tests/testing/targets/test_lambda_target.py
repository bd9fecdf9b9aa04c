"""Lambda functions as targets: the event, the response, and failures."""

import asyncio
import base64
import contextvars
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lattice_client.testing import LambdaTarget, LocalLattice
from support.asgi_driver import Exchange, fetch, signed_by
from support.local_oracles import HOST, NOW, wire


def request_for(method="POST", target="/", headers=()):
    return wire(method, target, [("host", HOST), *headers])


class Function:
    """A handler that keeps its event, and returns a given answer."""

    def __init__(self, answer=None):
        self.answer = answer if answer is not None else {"statusCode": 200}
        self.event = self.context = None

    def __call__(self, event, context):
        self.event, self.context = event, context
        return self.answer


def lattice_with(function, **settings):
    lattice = LocalLattice(clock=lambda: NOW, region="eu-west-1")
    target = LambdaTarget(function, name="orders-function")
    lattice.add_service("orders", domain=HOST, target=target, **{"auth_type": "NONE"} | settings)
    return lattice


def event_of(request, content=None):
    function = Function()
    assert fetch(lattice_with(function), request, content).status_code == 200
    return function.event


def test_the_event():
    function = Function()
    lattice = lattice_with(function)
    orders = lattice.service("orders")
    headers = [("content-type", "application/json"), ("X-Own", "1"), ("x-own", "2")]
    request = request_for("POST", "/a%20b/c?x=1&y=%20&x=2&z=", headers)
    fetch(lattice, request, b'{"a": "\xc3\xa9"}')
    event = function.event
    assert json.loads(json.dumps(event)) == event
    assert set(event) == {
        "version",
        "path",
        "method",
        "headers",
        "queryStringParameters",
        "requestContext",
        "body",
        "isBase64Encoded",
    }
    assert event["version"] == "2.0"
    assert event["path"] == "/a%20b/c"
    assert event["method"] == "POST"
    assert event["headers"]["host"] == [HOST]
    assert event["headers"]["x-own"] == ["1", "2"]
    assert event["headers"]["x-forwarded-proto"] == ["http"]
    assert event["queryStringParameters"] == {"x": ["1", "2"], "y": [" "], "z": [""]}
    assert event["body"] == '{"a": "é"}'
    assert event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert context.pop("timeEpoch").isdigit()
    assert context == {
        "serviceNetworkArn": lattice.network_arn,
        "serviceArn": orders.arn,
        "targetGroupArn": orders.target_group_arn,
        "identity": {"sourceVpcArn": lattice.vpc_arn},
        "region": "eu-west-1",
    }
    assert function.context.function_name == "orders-function"
    arn = "arn:aws:lambda:eu-west-1:111122223333:function:orders-function"
    assert function.context.invoked_function_arn == arn
    assert function.context.aws_request_id
    assert function.context.get_remaining_time_in_millis() > 0


def test_a_functions_arn_is_of_the_lattices_region_and_account():
    function = Function()
    lattice = LocalLattice(region="cn-north-1", account="222233334444")
    lattice.add_service(
        "orders", domain=HOST, auth_type="NONE", target=LambdaTarget(function, name="f")
    )
    fetch(lattice, request_for())
    arn = "arn:aws-cn:lambda:cn-north-1:222233334444:function:f"
    assert function.context.invoked_function_arn == arn


def test_a_function_may_be_called_without_a_lattice():
    function = Function()
    assert fetch(LambdaTarget(function), request_for()).status_code == 200
    assert function.context.invoked_function_arn.startswith("arn:aws:lambda:us-west-2:1111")


def test_the_caller_is_in_the_event():
    function = Function()
    lattice = lattice_with(function, auth_type="AWS_IAM")
    caller = lattice.add_caller("frontend", session="task-1")
    assert Exchange(lattice, signed_by(caller, region="eu-west-1")).run().status == 200
    assert function.event["requestContext"]["identity"] == {
        "sourceVpcArn": lattice.vpc_arn,
        "type": "AWS_IAM",
        "principal": caller.principal,
        "principalOrgID": "o-a1b2c3d4e5",
        "sessionName": "task-1",
    }


def test_without_a_body_there_is_none():
    event = event_of(request_for("GET"))
    assert "body" not in event
    assert event["queryStringParameters"] == {}


@pytest.mark.parametrize(
    ("headers", "content", "text"),
    [
        ([("content-type", "text/plain; charset=utf-8")], b"hello", "hello"),
        ([("content-type", "application/json")], b"{}", "{}"),
        ([("content-type", "application/octet-stream")], b"hello", None),
        ([], b"hello", None),
        ([("content-type", "text/plain")], b"\xff\xfe", None),
        ([("content-type", "text/plain"), ("content-encoding", "gzip")], b"hello", None),
    ],
)
def test_a_body_is_text_or_base_64(headers, content, text):
    event = event_of(request_for(headers=headers), content)
    assert event["isBase64Encoded"] is (text is None)
    assert event["body"] == (base64.b64encode(content).decode() if text is None else text)


def test_the_response():
    answer = {
        "isBase64Encoded": False,
        "statusCode": 201,
        "statusDescription": "201 Created",
        "headers": {"content-type": "text/plain", "Set-Cookie": ["a=1", "b=2"], "x-number": 3},
        "body": "é",
    }
    response = fetch(lattice_with(Function(answer)), request_for())
    assert response.status_code == 201
    assert response.text == "é"
    assert response.headers["content-length"] == "2"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-number"] == "3"


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}, b"hi"),
        ({"statusCode": "204"}, b""),
        ({"statusCode": 200, "body": None, "headers": None}, b""),
        ({"statusCode": 200, "headers": {"content-length": "9"}, "body": "hi"}, b"hi"),
    ],
)
def test_responses_that_are_fine(answer, content):
    response = fetch(lattice_with(Function(answer)), request_for())
    assert response.status_code == int(answer["statusCode"])
    assert response.content == content


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("hello", "must be an object"),
        ({"body": "hello"}, "statusCode must be a number"),
        ({"statusCode": 99}, "statusCode must be a number"),
        ({"statusCode": "ok"}, "statusCode must be a number"),
        ({"statusCode": 200, "body": {"a": 1}}, "body must be a string"),
        ({"statusCode": 200, "body": "?", "isBase64Encoded": True}, "must be base 64"),
        ({"statusCode": 200, "body": "\ud800"}, "or text"),
        ({"statusCode": 200, "headers": ["a"]}, "headers must be an object"),
        ({"statusCode": 200, "headers": {"x-a": "1\r\nx-b: 2"}}, "one line each"),
        ({"statusCode": 200, "body": b"bytes"}, "raised TypeError"),
        ({"statusCode": 200, "body": "x" * (6 << 20)}, "is over 6 MB"),
    ],
)
def test_responses_that_are_none(answer, words, caplog):
    lattice = lattice_with(Function(answer))
    response = fetch(lattice, request_for())
    assert (response.status_code, response.text) == (502, "Bad Gateway")
    assert lattice.access_log[-1]["failureReason"] == "TargetProtocolError"
    assert words in caplog.text


@pytest.mark.parametrize("failure", [ZeroDivisionError, SystemExit])
def test_a_function_that_raises(caplog, failure):
    def handler(_event, _context):
        raise failure("in the function")

    lattice = lattice_with(handler)
    assert fetch(lattice, request_for()).status_code == 502
    assert lattice.access_log[-1]["failureReason"] == "TargetProtocolError"
    assert f"{failure.__name__}: in the function" in caplog.text
    assert f"the function orders-function raised {failure.__name__}" in caplog.text


def test_a_request_may_have_six_megabytes():
    function = Function()
    lattice = lattice_with(function)
    six = 6 * 1024 * 1024
    assert fetch(lattice, request_for(), b"x" * six).status_code == 200
    function.event = None
    assert fetch(lattice, request_for(), b"x" * (six + 1)).status_code == 400
    assert function.event is None
    assert lattice.access_log[-1]["failureReason"] == "ClientProtocolError"


def test_a_handler_may_be_a_coroutine_function():
    async def handler(event, _context):
        return {"statusCode": 200, "body": event["method"]}

    target = LambdaTarget(handler)
    assert repr(target) == "<LambdaTarget handler>"
    lattice = LocalLattice()
    lattice.add_service("orders", domain=HOST, auth_type="NONE", target=target)
    assert fetch(lattice, request_for("PUT")).text == "PUT"


def test_a_client_that_leaves_calls_nothing():
    function = Function()
    lattice = lattice_with(function)
    assert Exchange(lattice, request_for(), [b"half"] * 0).run().sent == []
    assert function.event is None
    assert lattice.access_log[-1]["failureReason"] == "ClientConnectionClosed"


def request_of(lattice):
    return lattice(Exchange(lattice, request_for("GET"))._scope, *no_server())


def no_server():
    """The ends of a server that waits with its client."""

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(_message):
        pass

    return receive, send


def test_functions_may_wait_for_one_another():
    """Not limited by the event loop's few threads."""
    meeting = threading.Barrier(3)

    def handler(_event, _context):
        meeting.wait(20)
        return {"statusCode": 200}

    lattice = lattice_with(handler)

    async def main():
        with ThreadPoolExecutor(1) as executor:
            asyncio.get_running_loop().set_default_executor(executor)
            await asyncio.gather(*(request_of(lattice) for _ in range(3)))

    asyncio.run(main())
    assert [record["responseCode"] for record in lattice.access_log] == [200] * 3


def test_a_function_sees_the_context_of_its_call():
    tenant = contextvars.ContextVar("tenant")
    seen = []

    def handler(_event, _context):
        seen.append(tenant.get())
        return {"statusCode": 200}

    async def main():
        tenant.set("one")
        await request_of(lattice_with(handler))

    asyncio.run(main())
    assert seen == ["one"]


def test_a_function_that_outlives_the_event_loop_does_no_harm(monkeypatch):
    monkeypatch.setattr("lattice_client.testing.targets.call_threads._IDLE_SECONDS", 0.01)
    go_on, complaints, threads = threading.Event(), [], []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    lattice = lattice_with(lambda *_: None)

    async def main():
        loop, began = asyncio.get_running_loop(), asyncio.Event()

        def handler(_event, _context):
            threads.append(threading.current_thread())
            loop.call_soon_threadsafe(began.set)
            go_on.wait(20)
            return {"statusCode": 200}

        lattice.service("orders").target = LambdaTarget(handler)
        call = asyncio.ensure_future(request_of(lattice))
        await began.wait()
        call.cancel()

    asyncio.run(main())
    go_on.set()
    (thread,) = threads
    thread.join(20)
    assert (thread.daemon, thread.is_alive(), complaints) == (True, False, [])
    assert lattice.access_log[-1]["failureReason"] == "ClientConnectionClosed"


def test_threads_end_when_they_are_idle(monkeypatch):
    monkeypatch.setattr("lattice_client.testing.targets.call_threads._IDLE_SECONDS", 0.01)
    seen = []

    def handler(_event, _context):
        seen.append(threading.current_thread())
        return {"statusCode": 200}

    lattice = lattice_with(handler)
    for _ in range(20):
        asyncio.run(request_of(lattice))
    for thread in set(seen):
        thread.join(20)
        assert not thread.is_alive()
    asyncio.run(request_of(lattice))
    assert [record["responseCode"] for record in lattice.access_log] == [200] * 21
