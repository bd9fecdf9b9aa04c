"""A refusal explained: by every library's response from the local Lattice, then by the words."""

from __future__ import annotations

import asyncio
import copy
import functools
import gzip
import hashlib
import hmac
import json
import logging
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import httpx2
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

import lattice_client
from lattice_client import (
    Denial,
    DeniedError,
    LatticeClientError,
    explain,
    raise_for_denial,
)
from lattice_client.denial import ATTEMPT, DenialLog, explain_parts, sent_request
from lattice_client.denial.explanation import _LAYERS
from lattice_client.testing import AuthPolicy, LocalLattice, RunningLattice, serve
from support import canary
from support.raw_server import raw_server

REGION = "us-west-2"
HOST = "orders.internal.example.com"
ROLE = "arn:aws:sts::111122223333:assumed-role/orders-frontend/session"
WHO = "the role orders-frontend of account 111122223333"
INVOKE = "vpc-lattice-svcs:Invoke"
RESOURCE = "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-0123/parking"


# Each refusal stands, to be explained.
LatticeAuth = functools.partial(lattice_client.LatticeAuth, remedies=())


# --- Every library's response, from the local Lattice -----------------------------------------


def by_requests(method, url, auth, headers, look, *, read=True):
    with requests.Session() as session:
        session.trust_env = False
        with session.request(
            method, url, auth=auth, headers=headers, stream=not read, timeout=20
        ) as response:
            return look(response)


def by_httpx(module):
    def call(method, url, auth, headers, look, *, read=True):
        with (
            module.Client(trust_env=False, timeout=20) as client,
            client.stream(method, url, auth=auth, headers=headers) as response,
        ):
            if read:
                response.read()
            return look(response)

    return call


def by_async_httpx(module):
    async def call(method, url, auth, headers, look, *, read=True):
        async with (
            module.AsyncClient(trust_env=False, timeout=20) as client,
            client.stream(method, url, auth=auth, headers=headers) as response,
        ):
            if read:
                await response.aread()
            return look(response)

    return lambda *args, **kwargs: asyncio.run(call(*args, **kwargs))


async def by_aiohttp(method, url, auth, headers, look, *, read=True):
    async with (
        aiohttp.ClientSession(
            middlewares=(auth,) if auth else (),
            connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()),
        ) as session,
        session.request(method, url, headers=headers) as response,
    ):
        if read:
            await response.read()
        return look(response)


LIBRARIES = {
    "requests": by_requests,
    "httpx": by_httpx(httpx),
    "httpx async": by_async_httpx(httpx),
    "httpx2": by_httpx(httpx2),
    "httpx2 async": by_async_httpx(httpx2),
    "aiohttp": lambda *args, **kwargs: asyncio.run(by_aiohttp(*args, **kwargs)),
}
SIGNED = LatticeAuth(region=REGION, credentials=canary.credentials())


@pytest.fixture(scope="module")
def running():
    local = LocalLattice(region=REGION)
    local.add_service("orders", domain=HOST)
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local) as running, running.resolving():
        yield running


@pytest.fixture
def lattice(running: RunningLattice):
    yield running
    local = running.lattice
    local.clock = time.time
    local.network.auth_type, local.network.policy = "NONE", None
    local.service("orders").policy = None


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]


@pytest.fixture
def ask(library, lattice) -> Callable[..., Any]:
    def ask(auth=SIGNED, *, method="POST", path="/parking", headers=None, **kwargs):
        look = kwargs.pop("look", explain)
        url = lattice.url_for("orders") + path
        return library(method, url, auth, headers or {}, look, **kwargs)

    return ask


def service_arn(lattice: RunningLattice) -> str:
    return lattice.service("orders").arn


def test_a_response_that_refuses_nothing(ask):
    assert ask() is None
    ask(look=raise_for_denial)


def test_unsigned(ask, lattice):
    denial = ask(None)
    assert denial.kind == "unsigned"
    assert denial.status == 403
    assert denial.host == f"{HOST}:{lattice.port}"
    assert denial.caller == "anonymous"
    assert denial.action == INVOKE
    assert denial.resource == service_arn(lattice) + "/parking"
    assert denial.canonical_request is None
    assert "the service's auth policy lets no anonymous caller through" in denial.next_step
    assert "LatticeAuth()" in denial.next_step


@pytest.mark.parametrize(
    ("layer", "kind", "policy"),
    [
        ("network", "network policy", "The service network's auth policy"),
        ("service", "service policy", "The service's auth policy"),
    ],
)
def test_denied_by_a_policy_that_does_not_allow(ask, lattice, layer, kind, policy):
    if layer == "network":
        lattice.lattice.network.auth_type = "AWS_IAM"
        lattice.lattice.network.policy = AuthPolicy(())
    else:
        lattice.service("orders").policy = AuthPolicy(())
    denial = ask()
    resource = service_arn(lattice) + "/parking"
    assert denial.kind == kind
    assert (denial.caller, denial.action, denial.resource) == (ROLE, INVOKE, resource)
    assert denial.next_step == (
        f"{policy} allows no {INVOKE} for {WHO}; add a statement for it on {resource}."
    )
    assert denial.request_id == lattice.access_log[-1]["requestId"]


def test_denied_by_a_policy_that_says_so(ask, lattice):
    lattice.service("orders").policy = {
        "Statement": [
            {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*"}
            for effect in ("Allow", "Deny")
        ]
    }
    denial = ask()
    assert denial.kind == "service policy"
    assert denial.next_step.startswith(f"A Deny in the service's auth policy meets {INVOKE} by")


def test_a_wrong_secret_key(ask, lattice):
    wrong = canary.credentials()
    wrong = type(wrong)(wrong.access_key, "canary/another", wrong.token)
    denial = ask(LatticeAuth(region=REGION, credentials=wrong), path="/parking?b=2&a=1")
    assert denial.kind == "bad signature"
    assert "The secret key does not belong to the access key" in denial.next_step
    # As the verifier has it, but for the token.
    theirs = lattice.requests[-1].canonical_request
    assert denial.canonical_request == theirs.replace(canary.TOKEN, "***")
    assert "x-amz-security-token:***" in denial.canonical_request


def test_the_other_path_encoding(ask):
    single = LatticeAuth(region=REGION, credentials=canary.credentials(), path_encoding="single")
    denial = ask(single, path="/a%20b")
    assert denial.kind == "bad signature"
    assert "path_encoding" in denial.next_step


def test_a_signature_in_the_query(ask, lattice):
    lattice.lattice.clock = lambda: time.time() + 3600
    auth = LatticeAuth(region=REGION, credentials=canary.credentials(), placement="query")
    denial = ask(auth)
    assert denial.kind == "clock"
    assert "the signature in the URL is over" in denial.next_step
    assert "X-Amz-Security-Token=***" in denial.canonical_request
    assert "X-Amz-Signature" not in denial.canonical_request


@pytest.mark.parametrize(("shift", "way"), [(600, "behind"), (-600, "ahead of")])
def test_a_clock_that_is_off(ask, lattice, shift, way):
    lattice.lattice.clock = lambda: time.time() + shift
    denial = ask()
    assert denial.kind == "clock"
    assert way in denial.next_step
    assert "NTP" in denial.next_step


def test_a_region_that_is_not_the_services(ask):
    denial = ask(LatticeAuth(region="eu-west-1", credentials=canary.credentials()))
    assert denial.kind == "bad signature"
    assert "region=" in denial.next_step


def test_an_unknown_access_key(ask):
    auth = LatticeAuth(region=REGION, credentials=canary.credentials("ASIASOMEBODYELSE"))
    denial = ask(auth)
    assert denial.kind == "bad signature"
    assert "No caller has this access key" in denial.next_step


def test_credentials_that_have_expired(ask, lattice):
    name = f"late-{len(lattice.access_log)}"
    caller = lattice.add_caller(name)
    auth = LatticeAuth(region=REGION, credentials=caller.credentials)
    caller.expire()
    denial = ask(auth)
    assert denial.kind == "expired"
    assert "expired" in denial.next_step


def test_a_host_that_no_service_answers_to(ask):
    denial = ask(headers={"Host": "stranger.example"}, method="GET")
    assert denial.kind == "no such service"
    assert denial.status == 404
    assert denial.host == "stranger.example"


def test_too_many_headers(ask):
    denial = ask(headers={f"X-Own-{number}": "1" for number in range(101)})
    assert denial.kind == "header limits"
    assert denial.status == 400


def test_ones_own_request_id_comes_back(ask):
    denial = ask(None, headers={"X-Amzn-RequestId": "order 7, attempt 2"})
    assert denial.request_id == "order 7, attempt 2"


def test_as_an_error(ask):
    with pytest.raises(DeniedError, match=r"unsigned.*LatticeAuth") as caught:
        ask(None, look=raise_for_denial)
    assert isinstance(caught.value, LatticeClientError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.denial == caught.value.denial == copy.deepcopy(caught.value).denial
    assert str(again) == str(caught.value)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_without_a_body_the_headers_have_to_do(ask, lattice, method):
    """Of HEAD there is none; of GET it is not read."""
    read = method == "HEAD"
    assert ask(None, method=method, read=read).kind == "unsigned"
    lattice.lattice.clock = lambda: time.time() + 3600
    assert ask(method=method, read=read).kind == "clock"
    lattice.lattice.clock = time.time
    lattice.service("orders").policy = AuthPolicy(())
    denial = ask(method=method, read=read)
    if denial.kind == "unknown":
        assert ("was not read" in denial.next_step) is not read
    else:  # where the hook had read it, to look for a remedy
        assert (denial.kind, read) == ("service policy", False)


@pytest.mark.parametrize("read", [True, False])
def test_an_answer_to_head_is_not_explained_in_lattices_words(ask, lattice, read):
    """It has no body, and so does not say who refused."""
    denial = ask(None, method="HEAD", read=read)
    assert denial.kind == "unsigned"
    assert "ask with GET" in denial.next_step
    lattice.lattice.service("orders").policy = AuthPolicy(())
    denial = ask(method="HEAD", read=read)
    assert denial.kind == "unknown"
    assert "ask with GET" in denial.next_step
    for words in ("was not read", "Lattice"):
        assert words not in denial.next_step


ELSEWHERE = {
    "AccessDenied: no": "the documentation of the service",
    "": "the documentation of the service",
    "Signed payloads are not supported": "the documentation of the service",
    "InvalidSignatureException: Credential should be scoped to a valid region": "region=",
}


@pytest.mark.parametrize("said", ELSEWHERE)
def test_another_service_is_not_explained_in_lattices_words(library, said):
    auth = lattice_client.SigV4Auth("s3", region=REGION, credentials=canary.credentials())
    body = said.encode()
    answer = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with raw_server(lambda _: answer) as server:
        denial = library("GET", server.url + "/", auth, None, explain)
    assert ELSEWHERE[said] in denial.next_step
    assert "Lattice" not in denial.next_step


@pytest.mark.parametrize("status", [400, 404])
def test_other_answers_of_another_service_are_its_own(status):
    auth = lattice_client.SigV4Auth("s3", region=REGION, credentials=canary.credentials())
    request = auth(httpx.Request("GET", "https://a.example/", headers={"x": "y" * 70_000}))
    answer = httpx.Response(status, request=request, text="")
    assert explain(answer) is None


def test_what_a_hook_has_read_needs_no_reading(library):
    """Of a streamed answer too; one that is too long was not read."""
    auth = lattice_client.LatticeAuth(region=REGION, credentials=canary.credentials())
    for length, kind in {0: "bad signature", 1 << 17: "unknown"}.items():
        body = b"SignatureDoesNotMatch: " + b" " * length
        answer = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        with raw_server(lambda _, answer=answer: answer) as server:
            denial = library("GET", server.url + "/", auth, None, explain, read=False)
        if library not in (LIBRARIES["requests"], LIBRARIES["aiohttp"]):
            kind = "unknown"  # httpx calls a library-free auth object as a function
        assert denial.kind == kind
        assert ("was not read" in denial.next_step) is (kind == "unknown")


def test_it_does_not_read(ask):
    """The body can be read afterwards, and by its own ways."""

    def look(response):
        assert explain(response).kind == "unsigned"
        if isinstance(response, requests.Response):
            return response.raw.read()
        if isinstance(response, aiohttp.ClientResponse):
            return b"" if response._body else b"AccessDenied"
        return b"" if response.is_stream_consumed else b"AccessDenied"

    assert b"AccessDenied" in ask(None, look=look, read=False)


def test_a_copy_of_the_request_was_signed():
    """A transport of httpx's may leave the copy with the response."""
    url = f"http://{HOST}/"
    copy_sent = SIGNED(httpx.Request("GET", url))
    response = httpx.Response(
        403,
        request=httpx.Request("GET", url),
        text="InvalidSignatureException: no",
        extensions={ATTEMPT: copy_sent},
    )
    assert "x-amz-date" in explain(response).canonical_request
    del response.extensions[ATTEMPT]
    assert explain(response).canonical_request is None


@pytest.mark.parametrize("module", [httpx, httpx2])
def test_a_response_that_belongs_to_no_request(module):
    assert explain(module.Response(403)).kind == "unknown"
    assert explain(module.Response(200)) is None


@pytest.mark.parametrize("thing", [None, "403", 403, httpx.Request("GET", "http://a.example/")])
def test_what_is_no_response(thing):
    with pytest.raises(TypeError, match="no response of requests"):
        explain(thing)


# --- The words --------------------------------------------------------------------------------


LATE = (
    "Signature expired: 20260101T000000Z is now earlier than 20260101T000100Z "
    "(20260101T000600Z - 5 min.)"
)
EARLY = (
    "Signature not yet current: 20260101T000000Z is still later than 20250101T000500Z "
    "(20250101T000000Z + 5 min.)"
)


def denied(reason: str, user: str = ROLE, resource: str = RESOURCE) -> str:
    return (
        f"AccessDeniedException: User: {user} is not authorized to perform: {INVOKE} "
        f"on resource: {resource} {reason}"
    )


def of(text: str | bytes, status: int = 403, **kwargs) -> Denial | None:
    body = text.encode() if isinstance(text, str) else text
    return explain_parts(status, kwargs.pop("headers", {}), body, **kwargs)


@pytest.mark.parametrize(
    ("reason", "kind", "step"),
    [
        (f"because no network-based policy allows the {INVOKE} action", "network policy", "The se"),
        (f"because no service-based policy allows the {INVOKE} action", "service policy", "The se"),
        (
            f"because no identity-based policy allows the {INVOKE} action",
            "identity policy",
            "The c",
        ),
        ("because no session policy allows the action", "identity policy", "The policy of the"),
        ("because no permissions boundary allows the action", "identity policy", "The caller's pe"),
        ("because no service control policy allows the action", "identity policy", "The organiz"),
        ("because no resource-based policy allows the action", "service policy", "The service's"),
        ("with an explicit deny in a network-based policy", "network policy", "A Deny in the serv"),
        ("with an explicit deny in an identity-based policy", "identity policy", "A Deny in the c"),
        ("with an explicit deny in a service control policy", "identity policy", "A Deny in the o"),
        ("with an explicit deny in a VPC endpoint policy", "network policy", "A Deny in the VPC"),
        ("with an explicit deny", "unknown", "A Deny in a policy that is not named"),
        ("because no lunar policy allows the action", "unknown", "A policy that is not named"),
        ("", "unknown", "A policy that is not named"),
    ],
)
def test_layers_of_policies(reason, kind, step):
    denial = of(denied(reason))
    assert denial.kind == kind
    assert denial.next_step.startswith(step)
    assert denial.next_step.count(". ") == 0
    assert (denial.caller, denial.action, denial.resource) == (ROLE, INVOKE, RESOURCE)


KINDS_OF_LAYERS = {
    "network-based policy": "network policy",
    "VPC endpoint policy": "network policy",
    "service-based policy": "service policy",
    "resource-based policy": "service policy",
    "resource control policy": "service policy",
    "identity-based policy": "identity policy",
    "session policy": "identity policy",
    "permissions boundary": "identity policy",
    "service control policy": "identity policy",
}


@pytest.mark.parametrize("layer", _LAYERS)
@pytest.mark.parametrize("reason", ["because no {} allows it", "with an explicit deny in a {}"])
def test_the_kind_of_each_layer(layer, reason):
    assert of(denied(reason.format(layer))).kind == KINDS_OF_LAYERS[layer]


def test_other_callers_than_roles():
    for user in ("arn:aws-cn:iam::111122223333:user/ada", "arn:aws:iam::111122223333:root"):
        denial = of(denied("because no service-based policy allows it", user))
        assert f"for {user};" in denial.next_step


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MissingAuthenticationTokenException: Missing Authentication Token", "unsigned"),
        (denied("because no network-based policy allows the action", "anonymous"), "unsigned"),
        ("ExpiredTokenException: The security token included in the request is expired", "expired"),
        ("UnrecognizedClientException: The security token included in the request is invalid.",
         "bad signature"),
        (f"InvalidSignatureException: {LATE}", "clock"),
        (f"InvalidSignatureException: {EARLY}", "clock"),
        ("InvalidSignatureException: Signed payloads are not supported", "bad signature"),
        ("IncompleteSignatureException: Missing the 'x-amz-content-sha256' in canonical headers",
         "bad signature"),
        ("SignatureDoesNotMatch", "bad signature"),
        ('{"message":"Missing Authentication Token"}', "unsigned"),
        ('{"Message":"' + denied("because no identity-based policy allows the x action") + '"}',
         "identity policy"),
        ("", "unknown"),
        ("Forbidden", "unknown"),
    ],
)  # fmt: skip
def test_words_of_a_403(text, kind):
    assert of(text).kind == kind


def test_the_error_may_stand_in_a_header():
    assert of("{}", headers={"x-amzn-ErrorType": "ExpiredTokenException"}).kind == "expired"


@pytest.mark.parametrize(
    "text",
    [
        "Signed payloads are not supported",
        "Missing the 'x-amz-content-sha256' in canonical headers",
    ],
)
def test_a_signed_payload(text):
    assert "unsigned" in of(f"InvalidSignatureException: {text}").next_step


@pytest.mark.parametrize("text", ["", "Not Found", "not found.", "404 Not Found\n"])
def test_a_404_of_lattice(text):
    assert of(text, 404).kind == "no such service"


@pytest.mark.parametrize(
    "text", ['{"detail":"Not Found"}', "<h1>Not Found</h1>", "no order 7", "Not Found: order 7"]
)
def test_a_404_of_the_service(text):
    assert of(text, 404) is None
    assert explain_parts(404, {}, None) is None


def test_a_400_of_the_service():
    assert of("the order has no items", 400) is None


def test_header_limits_by_size():
    big = [("cookie", "x" * 60_000), ("x-other", "y" * 2000)]
    assert of("?", 400, url="https://a.example/", request_headers=big).kind == "header limits"
    assert of("?", 400, url="https://a.example/", request_headers=big[:1]) is None


@pytest.mark.parametrize("status", [200, 301, 401, 429, 500, 502, 503])
def test_other_statuses_refuse_nothing(status):
    assert of("InvalidSignatureException: x", status) is None


def test_a_signed_header_that_was_lost():
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-west-2/vpc-lattice-svcs/"
        "aws4_request, SignedHeaders=host;x-amz-date;x-lost;x-tenant, Signature=00ff00ff",
        "X-Amz-Date": "20260101T000000Z",
        "X-Tenant": "a tenant's own business",
    }
    denial = of(
        "InvalidSignatureException: x", url="https://a.example/b?c", request_headers=headers
    )
    assert "not in the request" in denial.next_step
    assert denial.canonical_request == (
        "GET\n/b\nc=\nhost:a.example\nx-amz-date:20260101T000000Z\n"
        "x-lost:(not in the request)\nx-tenant:***\n\nhost;x-amz-date;x-lost;x-tenant\n"
        "(the SHA-256 of the body)"
    )


def test_a_signature_that_was_removed_on_its_way():
    signed = SIGNED(requests.Request("GET", f"http://{HOST}/").prepare())
    denial = of(
        denied("because no network-based policy allows the action", "anonymous"),
        url=signed.url,
        request_headers=signed.headers,
    )
    assert "removes Authorization" in denial.next_step


def signed_for(service: str, **arguments: Any) -> requests.PreparedRequest:
    """A request to a service other than VPC Lattice, with a path that can be read in two ways."""
    auth = lattice_client.SigV4Auth(
        service, region=REGION, credentials=canary.credentials(), **arguments
    )
    return auth(requests.Request("GET", f"https://{HOST}/a%20b//c?x=1").prepare())


@pytest.mark.parametrize("service", ["s3", "s3express", "execute-api"])
def test_another_path_encoding_is_advised_for_lattice_alone(service):
    """How other services read paths is published."""
    for signed, advised in (
        (signed_for(service), False),
        (signed_for("vpc-lattice-svcs", payload="unsigned"), True),
    ):
        denial = of("SignatureDoesNotMatch", url=signed.url, request_headers=signed.headers)
        assert ("path_encoding" in denial.next_step) is advised


def signature_of(canonical_request: str, credential: str, date: str) -> str:
    scope = credential.split("/")[1:]
    hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
    key = b"AWS4" + canary.SECRET.encode()
    for part in (*scope, f"AWS4-HMAC-SHA256\n{date}\n{'/'.join(scope)}\n{hashed}"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


@pytest.mark.parametrize("placement", ["header", "query"])
@pytest.mark.parametrize(
    "service", ["s3", "s3express", "s3-outposts", "s3-object-lambda", "execute-api"]
)
def test_the_canonical_request_is_the_one_that_was_signed(service, placement):
    signed = signed_for(service, placement=placement)
    denial = of("SignatureDoesNotMatch", url=signed.url, request_headers=signed.headers)
    canonical = denial.canonical_request.replace("Token=***", f"Token={quote(canary.TOKEN, '')}")
    canonical = canonical.replace("token:***", f"token:{canary.TOKEN}")
    if service == "execute-api":
        empty = hashlib.sha256(b"").hexdigest()
        canonical = canonical.replace("(the SHA-256 of the body)", empty)
    parts = sent_request.SentRequest.of("GET", signed.url, signed.headers).signature
    assert parts["X-Amz-Signature"] == signature_of(
        canonical, parts["X-Amz-Credential"], parts["X-Amz-Date"]
    )


def test_sigv4a():
    auth = LatticeAuth(algorithm="sigv4a", region_set="*", credentials=canary.credentials())
    signed = auth(requests.Request("GET", f"http://{HOST}/").prepare())
    denial = of("InvalidSignatureException: x", url=signed.url, request_headers=signed.headers)
    assert "x-amz-region-set:*" in denial.canonical_request


# --- Secrets ----------------------------------------------------------------------------------


def gives_away_by_definition(secret: str, text: str) -> bool:
    """Whether 16 characters of it, or the whole of a shorter one, stand in the text."""
    pieces = {secret[at : at + 16] for at in range(max(1, len(secret) - 15))}
    return any(piece in text for piece in pieces)


LETTERS = st.text("ab", min_size=8, max_size=60)


@given(LETTERS, LETTERS, st.integers(0, 60), st.integers(0, 60), LETTERS)
def test_a_piece_of_a_secret_is_found_wherever_it_stands(secret, before, start, size, behind):
    for text in (before + secret[start : start + size] + behind, before):
        found = sent_request._contains_piece(secret, text)
        assert found is gives_away_by_definition(secret, text)


@pytest.mark.parametrize("name", ["Cookie", "x-amz-security-token"])
@pytest.mark.parametrize("said", [denied("because no service-based policy allows it"), LATE])
def test_explaining_takes_no_more_steps_for_long_secrets(name, said):
    """Each step of Python's own; what C does in one is linear and quick."""

    def steps(length: int) -> int:
        count = 0

        def counting(*_: object):
            nonlocal count
            count += 1
            return counting

        secret = "".join(f"{number:x}." for number in range(length))[:length]
        request = SIGNED(httpx.Request("GET", f"https://{HOST}/", headers={name: secret}))
        request.headers[name] = secret
        before = sys.gettrace()
        sys.settrace(counting)
        try:
            denial = of(
                said,
                headers={"x-amzn-requestid": "7" * 36},
                url=str(request.url),
                request_headers=request.headers,
            )
        finally:
            sys.settrace(before)
        assert denial.request_id
        return count

    steps(100)  # loads what is loaded once
    assert steps(100_000) <= steps(1000) * 1.1


# --- Unexpected bodies ------------------------------------------------------------------------

TOKENS = (canary.TOKEN, canary.TOKEN.replace("/", "%2F").replace("=", "%3D"), canary.TOKEN[:40])


@pytest.mark.parametrize("token", TOKENS, ids=["whole", "encoded", "in part"])
@pytest.mark.parametrize(
    "text",
    [
        "InvalidSignatureException: {} is wrong",
        denied("because no service-based policy allows the x action", resource=RESOURCE + "/{}"),
        denied("", user="arn:aws:sts::111122223333:assumed-role/{}/session"),
        denied("with an explicit deny in a {}"),
        "{}",
        "x-amz-security-token:{}\nMissing Authentication Token",
    ],
)
@pytest.mark.parametrize("place", ["header", "query"])
def test_what_a_body_echoes_is_not_repeated(text, token, place):
    auth = LatticeAuth(region=REGION, credentials=canary.credentials(), placement=place)
    signed = auth(requests.Request("GET", f"http://{HOST}/").prepare())
    signature = (signed.headers.get("Authorization") or signed.url).rpartition("Signature=")[2]
    for secret in (token, signature):
        denial = of(
            text.replace("{}", secret),
            url=signed.url,
            request_headers=signed.headers,
            headers={"X-Amzn-RequestId": f"id {secret}"},
        )
        said = f"{denial} {denial!r} {DeniedError(denial)!r}"
        assert secret not in said
        assert canary.TOKEN[:40] not in said
        assert signature not in said


@pytest.mark.parametrize(
    "secret",
    [
        {"Authorization": "Bearer of-the-service-0123"},
        {"X-Forwarded-Authorization": "Bearer of-the-service-0123"},
        {"X-Amz-Meta-User": "Bearer of-the-service-0123"},
        {"Cookie": "session=0123456789"},
    ],
)
def test_nor_are_other_secrets_of_the_request(secret):
    (value,) = secret.values()
    text = denied("", resource=RESOURCE + "/" + value.split()[-1])
    denial = of(text, url=f"http://{HOST}/", request_headers=secret)
    assert denial.resource is None
    assert denial.caller == ROLE


def test_nor_in_another_spelling():
    cookie = {"Cookie": "a/b/c/d/e/f/g/h/i/j/k"}
    text = denied("", resource=RESOURCE + "/" + cookie["Cookie"].replace("/", "%2F"))
    assert of(text, url=f"http://{HOST}/", request_headers=cookie).resource is None


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\xff\xfe" * 1000,
        gzip.compress(b"InvalidSignatureException", mtime=0),
        b"<html><body><h1>403 Forbidden</h1></body></html>",
        json.dumps({"error": {"code": [403, None, {"a": "b"}]}}).encode(),
        b"User: " * 100_000,
        b"User: arn:aws:iam::" + b"1" * 1_000_000,
        b"x" * 10_000 + b"InvalidSignatureException",
        denied("because no " + "a" * 10_000 + " policy allows").encode()[:9000],
        "AccessDeniedException: User: arn:aws:iam::٠١٢٣٤٥٦٧٨٩٠١:user/x is not authorized".encode(),
    ],
    ids=[
        "binary",
        "gzip",
        "html",
        "json",
        "again",
        "digits",
        "late",
        "long word",
        "digits of others",
    ],
)
def test_bodies_that_say_nothing(body):
    denial = of(body)
    assert denial.kind == "unknown"
    assert len(str(denial)) < 4000


@pytest.mark.parametrize("text", ["", "\x1b[31mred", "a\nb", "é", "x" * 513])
def test_request_ids_that_would_break_a_log(text):
    assert of("", headers={"x-amzn-requestid": text}).request_id is None


@given(
    st.sampled_from([400, 403, 404]),
    st.binary(max_size=60) | st.text(max_size=60).map(denied).map(str.encode),
    st.dictionaries(
        st.sampled_from(["Authorization", "X-Amz-Date", "Host", "X-Amz-Content-Sha256"]),
        st.text(max_size=30)
        | st.just("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=;b;, Signature="),
    ),
    st.text(max_size=30) | st.text(max_size=20).map("http://a.example/{}".format),
)
def test_nothing_makes_it_raise(status, body, headers, url):
    denial = explain_parts(
        status, {"date": "x", "x-amzn-requestid": "1"}, body, url=url, request_headers=headers
    )
    assert denial is None or str(denial).startswith(str(status))


def test_the_clock_by_the_headers():
    signed = SIGNED(requests.Request("HEAD", f"http://{HOST}/").prepare())
    for off, kind in ((290, "unknown"), (310, "clock"), (-310, "clock")):
        date = formatdate(time.time() + off, usegmt=True)
        denial = of("", url=signed.url, request_headers=signed.headers, headers={"Date": date})
        assert denial.kind == kind


# --- The log ----------------------------------------------------------------------------------


def test_each_kind_is_logged_once_for_each_host(caplog):
    log = DenialLog()
    with caplog.at_level(logging.WARNING, "lattice_client.denial"):
        for kind in ("clock", "clock", "unsigned"):
            for host in ("a.example", "b.example"):
                log.note(Denial(kind, 403, "Do this.", host, canonical_request="GET\n/secret"))
    assert caplog.messages == [
        "403 from a.example (clock): Do this.",
        "403 from b.example (clock): Do this.",
        "403 from a.example (unsigned): Do this.",
        "403 from b.example (unsigned): Do this.",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_the_log_remembers_so_many():
    log = DenialLog(remembered=2)
    logged = [log.note(Denial("clock", 403, "Do this.", host)) for host in "aabcba"]
    assert logged == [True, False, True, True, False, True]
    assert len(log._seen) == 2


def test_the_log_looks_and_remembers_in_one():
    """Else two threads log the same, or one goes through what another changes."""
    log = DenialLog(remembered=1)

    class GuardedDict(dict):
        """Is touched by who holds the lock alone."""

        def __getattribute__(self, name: str) -> object:
            assert log._lock.locked()
            return super().__getattribute__(name)

        def __contains__(self, key: object) -> bool:
            assert log._lock.locked()
            return super().__contains__(key)

        def __iter__(self) -> Iterator[object]:
            assert log._lock.locked()
            return super().__iter__()

        def __setitem__(self, key: object, value: object) -> None:
            assert log._lock.locked()
            super().__setitem__(key, value)

    log._seen = GuardedDict()
    logged = [log.note(Denial("clock", 403, "Do this.", host)) for host in "aab"]
    assert logged == [True, False, True]
    assert not log._lock.locked()


def test_a_denial_is_a_value():
    denial = of(denied(""))
    assert denial == of(denied(""))
    assert hash(denial) == hash(of(denied("")))
    assert pickle.loads(pickle.dumps(denial)) == denial
    with pytest.raises(AttributeError):
        denial.kind = "clock"
