"""The transports and clients of httpx and httpx2. The two differ only in their import name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from lattice_client._auth.recovery import Remedy
from lattice_client._auth.redirects import is_foreign
from lattice_client._auth.request_signer import RequestSigner
from lattice_client._calls import loop
from lattice_client._calls.loop import (
    REQUEST_ID,
    CallSettings,
    not_ours,
    refuse_retries,
)
from lattice_client._calls.steps import Answer
from lattice_client._httpx.connections import HttpxAttempt, TransportPool, maker, with_context
from lattice_client._secrecy import forgetful
from lattice_client._wire.httpx import CALL_AUTH, HttpxRequest, copy_request
from lattice_client._wire.httpx_response import (
    discard_httpx,
    discard_httpx_async,
    read_httpx,
    read_httpx_async,
)
from lattice_client._wire.urls import REDIRECTS, origin_of
from lattice_client.auth import LatticeAuth, SigV4Auth
from lattice_client.denial.model import ATTEMPT
from lattice_client.events import Observer
from lattice_client.names import Resolver
from lattice_client.retry.policy import Outcome, RetryPolicy

__all__ = ["RETRY", "AsyncSigningTransport", "SigningClient", "SigningTransport"]

# Extensions of a request: its own retry policy, and the origins that a redirected call was made to.
# httpx copies extensions to the request that follows a redirect.
RETRY = "lattice_retry"
_ALLOWED_ORIGINS = "lattice_allowed_origins"
_NOT_GIVEN = object()

_CLIENT_ERRORS = 400
# OpenSSL's words: httpcore does not chain the exception itself.
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
# The error code REFUSED_STREAM (RFC 9113 section 7).
_REFUSED_STREAM = 7


class _SigningTransport:
    """What synchronous and asynchronous transports share."""

    # httpx or httpx2, and the name of its transport.
    _library: ModuleType
    _transport_name: str

    @forgetful
    def __init__(
        self,
        auth: SigV4Auth | None = None,
        *,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        names: Resolver | None = None,
        transport: Any = None,
        **arguments: Any,
    ) -> None:
        self._settings = CallSettings(auth, retry, observers, names)
        refuse_retries("retries", arguments.get("retries", 0))
        kind = getattr(self._library, self._transport_name)
        self._inner = _transports(self._library, kind, transport, arguments)

    def _signer_of(self, request: Any) -> RequestSigner:
        extensions, settings = request.extensions, self._settings
        return (
            settings.signer_of(extensions[CALL_AUTH])
            if CALL_AUTH in extensions
            else settings.signer
        )

    @classmethod
    def _of_client(cls, settings: CallSettings, inner: TransportPool) -> Self:
        """A transport of a client; all of these share the client's settings."""
        made = cls.__new__(cls)
        made._settings, made._inner = settings, inner  # noqa: SLF001 its own
        return made


class SigningTransport(_SigningTransport):
    """Signs and sends each attempt of a request. An attempt is a copy, so the request itself stays
    as it was. A redirect to another origin goes out unsigned and without ``x-amz-*`` headers.

    :param auth: None: ``LatticeAuth()``. Requests to hosts outside its ``hosts`` pass unsigned.
    :param retry: None: ``RetryPolicy()``. A request's extension ``lattice_retry`` is a policy for
        that request alone, and its ``lattice_auth`` an auth object; None there sends it unsigned.
    :param observers: receive the events of each call: see ``lattice_client.events``. None: its
        ``log`` alone.
    :param names: resolves each host, as in :class:`LatticeAuth`. None: the resolver of ``auth``.
    :param transport: sends the attempts. None: the library's transport, made with the other
        arguments, of which ``retries`` must be 0.
    :raises ConfigurationError: for an argument that cannot work.
    """

    _transport_name = "HTTPTransport"

    def __enter__(self) -> Self:
        self._inner.first.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for transport in self._inner.others():
            transport.close()
        self._inner.first.__exit__(*error)

    def handle_request(self, request: Any) -> Any:
        signer = self._signer_of(request)
        ops = _SyncOps(self._library, signer, request, self._inner)
        signs = signer.is_in_scope(ops.last) if signer.names is None else signer.route(ops.last)
        if not signs or ops.is_foreign_origin():
            self._settings.note_unsigned(ops.unsigned().request)
            response = ops.send(ops.last)
            ops.attach_for_explain(response)
        else:
            signer.refuse_basic(ops.last)
            response = self._settings.call(ops, request.extensions.get(RETRY))
            if ops.last.signer is None:  # its name has moved meanwhile
                self._settings.note_unsigned(ops.last.request)
            ops.attach_for_explain(response)
        if response.status_code in REDIRECTS:
            _remember(request, ops.origins())
        return response

    def close(self) -> None:
        for transport in (*self._inner.others(), self._inner.first):
            transport.close()


class AsyncSigningTransport(_SigningTransport):
    __doc__ = SigningTransport.__doc__

    _transport_name = "AsyncHTTPTransport"

    async def __aenter__(self) -> Self:
        await self._inner.first.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        for transport in self._inner.others():
            await transport.aclose()
        await self._inner.first.__aexit__(*error)

    async def handle_async_request(self, request: Any) -> Any:
        signer = self._signer_of(request)
        ops = _AsyncOps(self._library, signer, request, self._inner)
        signs = (
            signer.is_in_scope(ops.last)
            if signer.names is None
            else await signer.route_async(ops.last)
        )
        if not signs or ops.is_foreign_origin():
            self._settings.note_unsigned(ops.unsigned().request)
            response = await ops.send(ops.last)
            ops.attach_for_explain(response)
        else:
            signer.refuse_basic(ops.last)
            response = await self._settings.call_async(ops, request.extensions.get(RETRY))
            if ops.last.signer is None:  # its name has moved meanwhile
                self._settings.note_unsigned(ops.last.request)
            ops.attach_for_explain(response)
        if response.status_code in REDIRECTS:
            _remember(request, ops.origins())
        return response

    async def aclose(self) -> None:
        for transport in (*self._inner.others(), self._inner.first):
            await transport.aclose()


class SigningClient:
    """A client that signs every attempt, redirects and retries included.

    :param auth: None: ``LatticeAuth()``. It is ``client.auth``, which may be set. ``auth=`` of one
        call signs in its place, and None there sends it unsigned. Other authentication is refused
        where the client signs.
    :param retry: None: ``RetryPolicy()``. ``extensions={"lattice_retry": …}`` is a policy for one
        call.
    :param observers: receive the events of each call: see ``lattice_client.events``. None: its
        ``log`` alone.
    :param names: resolves each host, as in :class:`LatticeAuth`. None: the resolver of ``auth``.
    :param arguments: those of the library's client.
    :raises ConfigurationError: for an argument that cannot work.
    """

    # The transport and the auth flow of this module.
    _signing: Any
    _call_flow: Any
    _transport: Any
    _mounts: Any

    @forgetful
    def __init__(
        self,
        *,
        auth: SigV4Auth | None = None,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        names: Resolver | None = None,
        **arguments: Any,
    ) -> None:
        auth = LatticeAuth() if auth is None else auth
        # All transports share these, and they are checked before any is made.
        settings = CallSettings(auth, retry, observers, names)
        # Of one call, too, the auth object may have names.
        pools_by_name = arguments.get("transport") is None
        if pools_by_name:
            arguments = with_context(self._signing._library, arguments)  # noqa: SLF001
        super().__init__(**arguments)
        # Replace the transports instead of passing ours as an argument: the library uses the
        # environment's proxies only if it makes the transports itself.
        first = self._transport
        inner = TransportPool(first, maker(type(first), arguments) if pools_by_name else None)
        signing = self._signing._of_client  # noqa: SLF001
        self._transport = signing(settings, inner)
        self._mounts = {
            pattern: mounted and signing(settings, TransportPool(mounted, None))
            for pattern, mounted in self._mounts.items()
        }
        self._settings = settings
        self._own_auth: Any = auth
        self._default_auth: Any = auth
        self._no_flow = self._signing._library.Auth()  # noqa: SLF001

    # The library's own signatures are the ones for type checkers.
    if not TYPE_CHECKING:

        @property
        def auth(self) -> Any:
            """What calls without ``auth=`` are signed with; None: they go out unsigned."""
            return self._default_auth

        @auth.setter
        def auth(self, auth: Any) -> None:
            self._default_auth = auth

        def send(self, request: Any, *, auth: Any = _NOT_GIVEN, **how: Any) -> Any:
            """As the library's. An auth object of ours signs each attempt, below redirects."""
            library = self._signing._library  # noqa: SLF001
            if auth is _NOT_GIVEN or auth is library.USE_CLIENT_DEFAULT:
                auth = request.extensions.get(CALL_AUTH, self._default_auth)
            return super().send(request, auth=self._flow(request, auth), **how)

    def _flow(self, request: Any, auth: object) -> Any:
        """The auth flow of one call.

        :raises ConfigurationError: for authentication that is not ours, where this client signs.
        """
        is_own = auth is self._own_auth and CALL_AUTH not in request.extensions
        is_ours = is_own or auth is None or isinstance(auth, SigV4Auth)
        if request.url.userinfo or not is_ours:
            if self._refuses(request, auth, is_ours=is_ours):
                raise not_ours(None if is_ours else auth)
            if is_own or not isinstance(auth, SigV4Auth):
                return None if is_own else auth  # as the library does without us
        return self._no_flow if is_own else self._call_flow(auth)

    def _refuses(self, request: Any, auth: object, *, is_ours: bool) -> bool:
        """Whether other authentication, or with an auth object of ours the user and password of the
        URL, is refused before the request is sent. Where names alone decide what is signed, basic
        authentication is refused by its header, in the transport."""
        own, out = self._settings.signer, HttpxRequest(request)
        if isinstance(auth, SigV4Auth) and auth is not self._own_auth:
            return own.is_in_scope(out) or self._settings.signer_of(auth).is_in_scope(out)
        basic = self._signing._library.BasicAuth  # noqa: SLF001
        is_basic = is_ours or isinstance(auth, tuple | basic)
        return not (is_basic and own.is_decided_by_names) and own.is_in_scope(out)


def _transports(
    library: ModuleType,
    kind: Callable[..., Any],
    transport: Any,
    arguments: dict[str, Any],
) -> TransportPool:
    if transport is not None:
        return TransportPool(transport, None)
    make = partial(kind, **with_context(library, arguments))
    return TransportPool(make(), make)


def _remember(request: Any, origins: tuple[str, ...]) -> None:
    """Attach the origins of a call to its redirected request. The extensions are copied: the caller
    may pass the same ones to other calls."""
    if _ALLOWED_ORIGINS not in request.extensions:
        request.extensions = {**request.extensions, _ALLOWED_ORIGINS: origins}


def _is_unprocessed(error: Exception) -> bool:
    """Whether an HTTP/2 server states that it has not processed a request (RFC 9113 section 8.7).

    httpcore passes h2's event as the reason. If GOAWAY names a last stream, httpcore itself sends
    later streams on another connection, so only a GOAWAY without one gets here.
    """
    reasons = getattr(error.__cause__, "args", ())
    event = reasons[0] if reasons else None
    match type(event).__name__:
        case "StreamReset":
            return getattr(event, "error_code", None) == _REFUSED_STREAM
        case "ConnectionTerminated":
            return getattr(event, "last_stream_id", None) == 0
    return False


class _Ops:
    """What the operations of both kinds of transports share, for one call."""

    def __init__(
        self, library: ModuleType, signer: RequestSigner, request: Any, inner: TransportPool
    ) -> None:
        self._library = library
        self._signer = signer
        self._request = request
        self._inner = inner
        self._started = False
        self.last = self._copied()

    def _copied(self) -> HttpxAttempt:
        return HttpxAttempt(
            copy_request(self._request),
            can_connect_to_address=self._inner.connects_to_addresses,
        )

    def is_foreign_origin(self) -> bool:
        """Whether a redirect has led the request away from the origins of its call."""
        allowed_origins = self._request.extensions.get(_ALLOWED_ORIGINS)
        # The origin is read from the URL only after a redirect.
        return allowed_origins is not None and is_foreign(
            origin_of(str(self._request.url)), allowed_origins
        )

    def origins(self) -> tuple[str, ...]:
        """The origin that was called, and the one of the same service that its name resolved to."""
        last, called = self.last, origin_of(str(self._request.url))
        is_routed = last.endpoint is not None and last.endpoint.is_lattice
        return (called, f"{last.scheme}://{last.host}") if is_routed else (called,)

    def unsigned(self) -> HttpxAttempt:
        """The only attempt of a request that must not be signed."""
        if self.is_foreign_origin():
            self._signer.strip_credentials(self.last, self._request.extensions[_ALLOWED_ORIGINS])
        return self.last

    def attempt(self, request_id: str) -> HttpxAttempt:
        if self._started:
            self.last = self._copied()
        self._started = True
        attempt = self.last
        attempt.set_default_header(REQUEST_ID, request_id)
        return attempt

    def attach_for_explain(self, response: Any) -> None:
        """Attach the attempt for ``explain()``: ``response.request`` is the caller's."""
        if response.status_code >= _CLIENT_ERRORS:
            response.extensions[ATTEMPT] = self.last.request

    def status(self, response: Any) -> int:
        status: int = response.status_code
        return status

    def outcome(self, error: Exception, replayable: bool) -> Outcome | None:  # noqa: FBT001
        library = self._library
        if _CERTIFICATE in str(error):
            return None
        if isinstance(error, library.ConnectError | library.ProxyError):
            return Outcome.not_sent()
        if isinstance(error, library.ConnectTimeout | library.PoolTimeout):
            return Outcome.not_sent(timed_out=True)
        if isinstance(error, library.TimeoutException):
            return Outcome.perhaps_sent(replayable=replayable, timed_out=True)
        if isinstance(error, library.NetworkError | library.RemoteProtocolError):
            sent = Outcome.not_sent if _is_unprocessed(error) else Outcome.perhaps_sent
            return sent(replayable=replayable)
        return None


class _SyncOps(_Ops):
    def send(self, attempt: HttpxAttempt) -> Any:
        if attempt.endpoint is None:
            return self._inner.first.handle_request(attempt.request)
        inner = self._inner
        with inner.acquire(attempt.request) as transport:
            for retired in inner.retired():
                retired.close()
            return transport.handle_request(attempt.request)

    def sign(self, attempt: HttpxAttempt) -> None:
        self._signer.sign(attempt)

    def pause(self, seconds: float) -> None:
        loop.wait(seconds)

    def read(self, answer: Answer) -> bytes | None:
        return read_httpx(*answer)

    def remedy(self, refusal: tuple[Any, ...]) -> Remedy | None:
        return self._signer.remedy(*refusal)

    def discard(self, answer: Answer) -> None:
        discard_httpx(*answer)


class _AsyncOps(_Ops):
    def send(self, attempt: HttpxAttempt) -> Awaitable[Any]:
        sent: Awaitable[Any]
        if attempt.endpoint is None:
            sent = self._inner.first.handle_async_request(attempt.request)
        else:
            sent = self._send_routed(attempt)
        return sent

    async def _send_routed(self, attempt: HttpxAttempt) -> Any:
        inner = self._inner
        with inner.acquire(attempt.request) as transport:
            for retired in inner.retired():
                await retired.aclose()
            return await transport.handle_async_request(attempt.request)

    def sign(self, attempt: HttpxAttempt) -> Awaitable[None]:
        return self._signer.sign_async(attempt)

    async def pause(self, seconds: float) -> None:
        from anyio import sleep  # a dependency of httpx and httpx2

        await sleep(seconds)

    async def read(self, answer: Answer) -> bytes | None:
        return await read_httpx_async(*answer)

    async def remedy(self, refusal: tuple[Any, ...]) -> Remedy | None:
        return await self._signer.remedy_async(*refusal)

    async def discard(self, answer: Answer) -> None:
        await discard_httpx_async(*answer)
