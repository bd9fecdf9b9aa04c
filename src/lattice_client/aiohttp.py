"""The client for aiohttp: a middleware that signs each attempt and retries.

:func:`client_session` makes an ``aiohttp.ClientSession`` with it. To sign with an existing session,
add a :class:`middleware` as the last of its ``middlewares``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from copy import copy
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from lattice_client._auth.aiohttp_hook import AiohttpClient, send_routed, take_over
from lattice_client._auth.recovery import Remedy
from lattice_client._auth.redirects import is_foreign
from lattice_client._auth.request_signer import RequestSigner
from lattice_client._calls.loop import REQUEST_ID, CallSettings
from lattice_client._calls.steps import Answer
from lattice_client._secrecy import forgetful
from lattice_client._wire.aiohttp import (
    AiohttpRequest,
    CallStore,
    RedirectedCalls,
    read_aiohttp,
)
from lattice_client._wire.unsigned_mark import pass_mark_on
from lattice_client.auth import LatticeAuth, SigV4Auth
from lattice_client.errors import MissingExtraError
from lattice_client.events import Observer
from lattice_client.names import Resolver
from lattice_client.retry.policy import IDEMPOTENT_METHODS, Outcome, RetryPolicy

try:
    import aiohttp
except ModuleNotFoundError as error:
    if error.name != "aiohttp":
        raise
    raise MissingExtraError("aiohttp", "aiohttp") from None

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.abc import AbstractCookieJar
    from aiohttp.typedefs import LooseCookies, LooseHeaders, StrOrURL

# The auth objects are the library-free ones, which are middlewares as they are.
__all__ = ["LatticeAuth", "SigV4Auth", "client_session", "middleware"]

# The number of failed calls that are remembered; beyond it, the oldest are forgotten.
_REMEMBERED = 4096

_Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]


class middleware(AiohttpClient):  # noqa: N801 used like a function, as aiohttp's middlewares are
    """Signs and sends each attempt of a request. A redirect to another origin goes out unsigned and
    without ``x-amz-*`` headers.

    :param auth: None: ``LatticeAuth()``. Requests to hosts outside its ``hosts`` pass unsigned.
    :param retry: None: ``RetryPolicy()``. For a single call, give that call its own
        ``middlewares``. An auth object there signs in place of ``auth``, with this policy.
    :param observers: receive the events of each call: see ``lattice_client.events``. None: its
        ``log`` alone.
    :param names: resolves each host, as in :class:`LatticeAuth`. None: the resolver of ``auth``.
    :raises ConfigurationError: for an argument that cannot work.
    """

    @forgetful
    def __init__(
        self,
        auth: SigV4Auth | None = None,
        *,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        names: Resolver | None = None,
    ) -> None:
        self._settings = CallSettings(auth, retry, observers, names)
        self._redirected = RedirectedCalls()
        self._failed = _FailedCalls()

    def __call__(
        self, request: aiohttp.ClientRequest, handler: _Handler
    ) -> Awaitable[aiohttp.ClientResponse]:
        if self.is_sending(request):
            return handler(request)
        return self._call(request, handler, take_over(request))

    async def _call(
        self, request: aiohttp.ClientRequest, handler: _Handler, signer: RequestSigner | None
    ) -> aiohttp.ClientResponse:
        self._failed.refuse(request)
        url, allowed_origins = request.url, self._redirected.allowed_origins_of(request)
        response: aiohttp.ClientResponse
        settings, out = self._settings, AiohttpRequest(request)
        signer = settings.signer if signer is None else settings.adopt(signer)
        ops = _Ops(signer, out, handler)
        try:
            if allowed_origins is not None and is_foreign(url.origin(), allowed_origins):
                signer.strip_credentials(out, allowed_origins)
                await signer.route_async(out)
                response = await ops.send(out)
            elif signer.is_in_scope(out) if signer.names is None else await signer.route_async(out):
                if allowed_origins is None:
                    signer.refuse_basic(out)
                try:
                    response = await settings.call_async(ops)
                except aiohttp.ClientConnectorError:
                    raise  # aiohttp does not repeat this one, and it refers to the request's body
                except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                    self._failed.note(request, error)
                    raise
            else:
                response = await ops.send(out)
            if out.signer is None:
                settings.note_unsigned(request)
                pass_mark_on(request, response)
            self._redirected.note(request, url, allowed_origins, response, out.endpoint)
        except aiohttp.ClientConnectionError as error:
            out.note_name(error)
            raise
        finally:
            if out.endpoint is not None:
                out.restore()
        return response


class _SessionArguments(TypedDict, total=False):
    """Those of ``aiohttp.ClientSession`` that are passed on as they are."""

    base_url: StrOrURL | None
    connector: aiohttp.BaseConnector | None
    loop: asyncio.AbstractEventLoop | None
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    proxy: StrOrURL | None
    proxy_auth: aiohttp.BasicAuth | None
    skip_auto_headers: Iterable[str] | None
    json_serialize: Callable[[Any], str]
    json_serialize_bytes: Callable[[Any], bytes] | None
    request_class: type[aiohttp.ClientRequest]
    response_class: type[aiohttp.ClientResponse]
    ws_response_class: type[aiohttp.ClientWebSocketResponse]
    version: aiohttp.HttpVersion
    cookie_jar: AbstractCookieJar | None
    connector_owner: bool
    raise_for_status: bool | Callable[[aiohttp.ClientResponse], Awaitable[None]]
    read_timeout: float
    conn_timeout: float | None
    timeout: aiohttp.ClientTimeout
    auto_decompress: bool
    trust_env: bool
    requote_redirect_url: bool
    trace_configs: list[aiohttp.TraceConfig] | None
    read_bufsize: int
    max_line_size: int
    max_field_size: int
    max_headers: int
    fallback_charset_resolver: Callable[[aiohttp.ClientResponse, bytes], str]
    ssl_shutdown_timeout: float | None


@forgetful
def client_session(
    auth: SigV4Auth | None = None,
    *,
    retry: RetryPolicy | None = None,
    observers: Iterable[Observer] | None = None,
    names: Resolver | None = None,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    **arguments: Unpack[_SessionArguments],
) -> aiohttp.ClientSession:
    """An ``aiohttp.ClientSession`` that signs every attempt, redirects and retries included.

    :param auth: None: ``LatticeAuth()``.
    :param retry: None: ``RetryPolicy()``.
    :param observers: receive the events of each call: see ``lattice_client.events``. None: its
        ``log`` alone.
    :param names: resolves each host, as in :class:`LatticeAuth`. None: the resolver of ``auth``.
    :param middlewares: others, which come before ours, so that what they change is signed.
    :param arguments: those of ``aiohttp.ClientSession``.
    :raises ConfigurationError: for an argument that cannot work.
    """
    ours = middleware(auth, retry=retry, observers=observers, names=names)
    return aiohttp.ClientSession(middlewares=(*(middlewares or ()), ours), **arguments)


class _Ops:
    """The operations of aiohttp for one call."""

    def __init__(self, signer: RequestSigner, attempt: AiohttpRequest, handler: _Handler) -> None:
        self.sign = signer.sign_async
        self._signer = signer
        self._handler = handler
        # aiohttp makes a request for each call, so its headers can be changed in place.
        self._attempt = attempt
        self._started = False

    def attempt(self, request_id: str) -> AiohttpRequest:
        if self._started and self._attempt.endpoint is not None:
            # Resolve its name again.
            self._attempt.restore()
        self._started = True
        self._attempt.set_default_header(REQUEST_ID, request_id)
        return self._attempt

    def send(self, attempt: AiohttpRequest) -> Awaitable[aiohttp.ClientResponse]:
        if attempt.endpoint is None:
            return self._handler(attempt.request)
        return send_routed(self._signer, attempt, self._handler)

    def status(self, response: aiohttp.ClientResponse) -> int:
        return response.status

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def outcome(self, error: Exception, replayable: bool) -> Outcome | None:  # noqa: FBT001
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return None
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            timed_out = isinstance(error, aiohttp.ConnectionTimeoutError)
            return Outcome.not_sent(timed_out=timed_out)
        if isinstance(error, aiohttp.ServerTimeoutError):
            return Outcome.perhaps_sent(replayable=replayable, timed_out=True)
        if isinstance(error, aiohttp.ClientOSError | aiohttp.ServerConnectionError):
            return Outcome.perhaps_sent(replayable=replayable)
        return None

    async def read(self, answer: Answer) -> bytes | None:
        return await read_aiohttp(*answer)

    async def remedy(self, refusal: tuple[Any, ...]) -> Remedy | None:
        return await self._signer.remedy_async(*refusal)

    async def discard(self, answer: Answer) -> None:
        response, seconds = answer
        try:
            await read_aiohttp(response, seconds)
        finally:
            # aiohttp reuses the connection if the whole response has arrived.
            response.release()


class _FailedCalls:
    """The calls that have failed. aiohttp repeats a request by itself after a lost connection; such
    a repeat must send nothing, because our retry policy has already given up."""

    def __init__(self) -> None:
        # The id of the failed request, and its error.
        self._calls = CallStore[tuple[int, Exception]](_REMEMBERED)

    def note(self, request: Any, error: Exception) -> None:
        """Remember a call that ends with an error after which aiohttp makes another request."""
        # aiohttp repeats only these methods ("Retrying requests", RFC 9112 section 9.3.1).
        if request.method in IDEMPOTENT_METHODS:
            # Keep a copy: the traceback of the error refers to everything in progress.
            self._calls.keep(request, (id(request), copy(error)))

    def refuse(self, request: Any) -> None:
        """Raise the error of a failed call again, for a repeat by aiohttp.

        The same request object comes from another middleware, which may send it again.
        """
        kept = self._calls.get(request)
        if kept is not None:
            self._calls.forget(request)
            failed, error = kept
            if failed != id(request):
                raise error
