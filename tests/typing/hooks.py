"""Checked by mypy and pyright, never run: the hooks fit the libraries and keep exact types."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import aiohttp
import botocore.credentials
import botocore.session
import httpx
import httpx2
import requests
import requests.auth

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.requests
from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    Credentials,
    CredentialsProvider,
    DefaultCredentials,
    Denial,
    Endpoint,
    EnvironmentCredentials,
    LatticeAuth,
    RetryPolicy,
    SigV4Auth,
    explain,
    raise_for_denial,
)
from lattice_client.credentials import CredentialsSource
from lattice_client.events import Event, RetryPlanned, log, observe_credentials
from lattice_client.names import Resolver
from lattice_client.otel import OpenTelemetry
from lattice_client.signing import SigV4Signer


def requests_session(auth: LatticeAuth, prepared: requests.PreparedRequest) -> None:
    session = requests.Session()
    session.auth = auth
    requests.get("https://orders.example.com/", auth=auth, timeout=5)
    assert_type(auth(prepared), requests.PreparedRequest)
    bases: list[requests.auth.AuthBase] = [
        lattice_client.requests.LatticeAuth(hosts=["*.example.com"]),
        lattice_client.requests.SigV4Auth("execute-api"),
        LatticeAuth(),  # type: ignore[list-item] # pyright: ignore[reportAssignmentType]
    ]
    session.auth = bases[0]
    own = lattice_client.requests.LatticeAuth()
    assert_type(own(prepared), requests.PreparedRequest)
    lattice_client.requests.Session(own)
    aiohttp.ClientSession(middlewares=(own,))


def httpx_clients(auth: LatticeAuth, request: httpx.Request, request2: httpx2.Request) -> None:
    httpx.Client(auth=auth)
    httpx.AsyncClient(auth=auth)
    httpx.Client(auth=lattice_client.httpx.LatticeAuth())
    httpx.AsyncClient(auth=lattice_client.httpx.SigV4Auth("execute-api"))
    httpx2.Client(auth=auth)
    httpx2.Client(auth=lattice_client.httpx2.LatticeAuth())
    httpx2.AsyncClient(auth=lattice_client.httpx2.SigV4Auth("execute-api"))
    assert_type(auth(request), httpx.Request)
    assert_type(auth(request2), httpx2.Request)


async def aiohttp_session(
    auth: SigV4Auth, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> None:
    async with aiohttp.ClientSession(middlewares=(auth, LatticeAuth())) as session:
        await session.get("https://orders.example.com/", middlewares=(auth,))
    assert_type(await auth(request, handler), aiohttp.ClientResponse)


def clients(auth: LatticeAuth) -> None:
    retry = RetryPolicy(attempts=5).replace(deadline=2.0)
    with lattice_client.requests.Session(auth, retry=retry) as session:
        assert_type(session.get("https://orders.example.com/"), requests.Response)
        session.get("https://orders.example.com/", params={"a": 1}, timeout=5, retry=retry)
        session.post("https://orders.example.com/", b"{}", headers={"a": "b"}, retry=retry)
        session.put("https://orders.example.com/", tiemout=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    session.mount("https://", lattice_client.requests.Adapter(auth, pool_maxsize=20))
    with lattice_client.httpx.Client(auth=auth, retry=retry, follow_redirects=True) as client:
        assert_type(client.get("https://orders.example.com/"), httpx.Response)
    httpx.Client(transport=lattice_client.httpx.Transport(auth, http2=True))
    httpx.AsyncClient(transport=lattice_client.httpx.AsyncTransport(auth))
    with lattice_client.httpx2.Client(auth=auth) as client2:
        assert_type(client2.get("https://orders.example.com/"), httpx2.Response)
    httpx2.AsyncClient(transport=lattice_client.httpx2.AsyncTransport(auth))
    lattice_client.Session  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnusedExpression] # noqa: B018
    lattice_client.httpx.Client(retry=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lattice_client.httpx.Client(auth=("a", "b"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def misspelt_arguments(auth: LatticeAuth) -> None:
    lattice_client.requests.Session(auth, pool_maxsiz=20)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.requests.Adapter(auth, retyr=None)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx.Client(auth=auth, follow_redirect=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx.AsyncClient(auth=auth, retyr=None)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx.Transport(auth, htp2=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx.AsyncTransport(auth, htp2=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx2.Client(auth=auth, base_ulr="/")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx2.AsyncClient(auth=auth, retyr=None)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx2.Transport(auth, htp2=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.httpx2.AsyncTransport(auth, htp2=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.aiohttp.client_session(auth, raise_for_stat=True)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    lattice_client.aiohttp.middleware(auth, retyr=None)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    LatticeAuth(move_authorisation_to="X-Token")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


def values_that_do_not_fit(auth: LatticeAuth) -> None:
    lattice_client.requests.Session(auth, max_retries=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lattice_client.httpx.AsyncTransport(auth, retries=2)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lattice_client.httpx.AsyncClient(transport=httpx.HTTPTransport())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lattice_client.httpx2.Client(limits=httpx.Limits())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    lattice_client.aiohttp.client_session(auth, timeout=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    LatticeAuth(move_authorization_to=b"X-Token")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def the_librarys_own_arguments(auth: LatticeAuth) -> None:
    lattice_client.httpx.Client(
        auth=auth,
        params={"a": 1},
        headers={"x-tenant": "7"},
        timeout=httpx.Timeout(5),
        limits=httpx.Limits(max_connections=5),
        event_hooks={"request": [print]},
        transport=httpx.HTTPTransport(http2=True),
        mounts={"all://": None},
        proxy="http://127.0.0.1:3128",
    )
    lattice_client.httpx2.AsyncClient(
        timeout=None, verify=False, cert=("a", "b"), transport=httpx2.AsyncHTTPTransport()
    )
    lattice_client.aiohttp.client_session(
        auth,
        base_url="https://orders.example.com",
        headers={"x-tenant": "7"},
        cookies={"a": "b"},
        timeout=aiohttp.ClientTimeout(total=5),
        middlewares=(auth,),
        trace_configs=[aiohttp.TraceConfig()],
    )


async def clients_async(auth: LatticeAuth) -> None:
    async with lattice_client.httpx.AsyncClient(auth=auth) as client:
        assert_type(await client.get("https://orders.example.com/"), httpx.Response)
    async with lattice_client.httpx2.AsyncClient(auth=auth) as client2:
        assert_type(await client2.get("https://orders.example.com/"), httpx2.Response)
    async with lattice_client.aiohttp.client_session(auth, raise_for_status=True) as session:
        assert_type(session, aiohttp.ClientSession)
    middleware = lattice_client.aiohttp.middleware(auth, retry=RetryPolicy(attempts=1))
    aiohttp.ClientSession(middlewares=(middleware,))


def observers(auth: LatticeAuth) -> None:
    seen: list[Event] = []

    def count(event: Event) -> None:
        if isinstance(event, RetryPlanned):
            assert_type(event.call.host, str)

    lattice_client.requests.Session(auth, observers=[count, seen.append, OpenTelemetry(), log])
    lattice_client.httpx.Client(auth=auth, observers=(log,))
    lattice_client.aiohttp.middleware(auth, observers=())
    assert_type(observe_credentials(count), Callable[[], None])


def explanations(response: requests.Response) -> None:
    assert_type(explain(response), Denial | None)
    raise_for_denial(response)


class Vault:
    """A provider of one's own."""

    def peek(self) -> Credentials | None:
        return None

    def get(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "secret")


class Later:
    """As aiobotocore's session."""

    async def get_credentials(self) -> botocore.credentials.Credentials | None:
        return None


def credentials() -> None:
    provider: CredentialsProvider = Vault()
    provider = BotocoreCredentials(profile="orders")
    provider = EnvironmentCredentials()
    LatticeAuth(credentials=provider, hosts=["*.example.com"], signed_headers=("content-type",))
    LatticeAuth(credentials=Credentials("AKIDEXAMPLE", "secret"), path_encoding="single")
    LatticeAuth(path_encoding="double-raw", remedies=("clock", "path encoding"))
    LatticeAuth(remedies=())
    lattice_client.SigV4Auth("execute-api", remedies={"credentials"})
    LatticeAuth(remedies=("clocks",))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    LatticeAuth(hosts=["*.example.com"], match_hosts="header")
    LatticeAuth(match_hosts="url")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    LatticeAuth(path_encoding="triple")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    session = botocore.session.Session()
    LatticeAuth(credentials=session)
    lattice_client.httpx.LatticeAuth(credentials=session.get_credentials())
    if held := session.get_credentials():
        SigV4Auth("execute-api", credentials=held.get_frozen_credentials())
        SigV4Signer(held, "eu-west-1")
    LatticeAuth(credentials={"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "secret"})
    assert_type(Credentials.from_sts({"AccessKeyId": "AKIDEXAMPLE"}), Credentials)
    LatticeAuth(profile="orders")
    DefaultCredentials(session)
    BotocoreCredentials(session=session)
    AssumeRole("arn:aws:iam::123456789012:role/orders", base=session)
    deferred = botocore.credentials.DeferredRefreshableCredentials(dict, "method")
    source: CredentialsSource = deferred
    LatticeAuth(credentials=source)
    LatticeAuth(profile_name="orders")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    LatticeAuth(credentials=("key", "secret"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    BotocoreCredentials(session)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    LatticeAuth(credentials=Later())  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    LatticeAuth(credentials="secret")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


class Told:
    """A resolver of one's own."""

    strict = True

    def peek(self, host: str) -> Endpoint | None:
        return Endpoint(host, region="eu-west-1", connect_to="127.0.0.1:8443")

    def resolve(self, host: str) -> Endpoint:
        return Endpoint(host, managed_name=None)

    async def resolve_async(self, host: str) -> Endpoint:
        return self.resolve(host)


def names() -> None:
    assert_type(LatticeAuth(names=Told()).names, Resolver | None)
    SigV4Auth("execute-api", names=Told(), hosts=["*.example.com"])
    lattice_client.httpx.LatticeAuth(names=Told())
    lattice_client.httpx2.Client(auth=LatticeAuth(names=Told()))
    lattice_client.httpx.AsyncTransport(names=Told())
    lattice_client.requests.Session(names=Told())
    lattice_client.aiohttp.client_session(names=Told())
    LatticeAuth(names={"orders.example.com": "10.0.0.7"})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def signer() -> None:
    one = SigV4Signer(Credentials("AKIDEXAMPLE", "secret"), "eu-west-1")
    assert_type(one.sign("GET", "orders.example.com", "/"), dict[str, str])
    assert_type(one.canonical_request("GET", "orders.example.com", "/", {"x-amz-meta": "1"}), str)


def names_that_there_are_not() -> None:
    from lattice_client.denial import explian  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] # noqa: F401
    from lattice_client.retry import RetryPolcy  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] # noqa: F401
    from lattice_client.testing.server import serv  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] # noqa: F401
