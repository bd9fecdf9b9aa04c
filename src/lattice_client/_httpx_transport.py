"""The second level of httpx and httpx2, which differ in their import name alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any, Self

from lattice_client import calls
from lattice_client._readable import unread_httpx
from lattice_client.auth import SigV4Auth
from lattice_client.calls import REQUEST_ID, Level, refuse_retries, run, run_async
from lattice_client.denial import ATTEMPT
from lattice_client.events import Observer
from lattice_client.retry import Outcome, RetryPolicy
from lattice_client.wire import REDIRECTS, HttpxRequest, is_small, origin_of

__all__ = ["RETRY", "AsyncSigningTransport", "SigningClient", "SigningTransport"]

# Extensions of a request: a retry policy for it alone, and the origin that a redirected call was
# made to. httpx hands extensions on to the request that follows a redirect.
RETRY = "lattice_retry"
_HOME = "lattice_home"

_CLIENT_ERRORS = 400
# How OpenSSL says it. The exception itself does not come through httpcore's.
_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"


class SigningTransport:
    """Signs and sends each attempt of a request: a copy of it, so that the request itself stays as
    it was. A redirect to another origin goes out unsigned, and without any ``x-amz-*`` header.

    :param auth: None: a ``LatticeAuth`` of no arguments. Requests to hosts that are not among its
        ``hosts`` pass through.
    :param retry: None: a ``RetryPolicy`` of no arguments. A request's extension ``lattice_retry``
        is a policy for it alone.
    :param observers: who is told of calls: see ``lattice_client.events``. None: its ``log`` alone.
    :param transport: what sends. None: the library's own transport, made with the other arguments,
        but for ``retries``.
    :raises ConfigurationError: for an argument that cannot work.
    """

    # httpx or httpx2.
    _library: ModuleType

    def __init__(
        self,
        auth: SigV4Auth | None = None,
        *,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        transport: Any = None,
        **arguments: Any,
    ) -> None:
        self._level = Level(auth, retry, observers)
        refuse_retries("retries", arguments.get("retries", 0))
        self._inner = transport or self._library.HTTPTransport(**arguments)

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._inner.__exit__(*error)

    def handle_request(self, request: Any) -> Any:
        stranger = _stranger(self._library, self._level.auth, request)
        hands = _SyncHands(self._library, self._level.auth, request, self._inner.handle_request)
        if stranger is not None:
            response = self._inner.handle_request(stranger)
        elif not self._level.auth.signs(hands.host):
            response = self._inner.handle_request(request)
        else:
            course = self._level.course(hands, request.extensions.get(RETRY))
            response = run(course, hands)
            hands.leave_for_explain(response)
        if response.status_code in REDIRECTS:
            _remember(request)
        return response

    def close(self) -> None:
        self._inner.close()


class AsyncSigningTransport:
    __doc__ = SigningTransport.__doc__

    _library: ModuleType

    def __init__(
        self,
        auth: SigV4Auth | None = None,
        *,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        transport: Any = None,
        **arguments: Any,
    ) -> None:
        self._level = Level(auth, retry, observers)
        refuse_retries("retries", arguments.get("retries", 0))
        self._inner = transport or self._library.AsyncHTTPTransport(**arguments)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(*error)

    async def handle_async_request(self, request: Any) -> Any:
        stranger = _stranger(self._library, self._level.auth, request)
        hands = _AsyncHands(
            self._library, self._level.auth, request, self._inner.handle_async_request
        )
        if stranger is not None:
            response = await self._inner.handle_async_request(stranger)
        elif not self._level.auth.signs(hands.host):
            response = await self._inner.handle_async_request(request)
        else:
            course = self._level.course(hands, request.extensions.get(RETRY))
            response = await run_async(course, hands)
            hands.leave_for_explain(response)
        if response.status_code in REDIRECTS:
            _remember(request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class SigningClient:
    """A client whose every attempt is signed, redirects and retries included.

    :param auth: None: a ``LatticeAuth`` of no arguments.
    :param retry: None: a ``RetryPolicy`` of no arguments; ``extensions={"lattice_retry": …}`` is
        one for one call.
    :param observers: who is told of calls: see ``lattice_client.events``. None: its ``log`` alone.
    :param arguments: those of the library's own client.
    :raises ConfigurationError: for an argument that cannot work.
    """

    # The library's transport of this module.
    _signing: Callable[..., Any]
    _transport: Any
    _mounts: Any

    def __init__(
        self,
        *,
        auth: SigV4Auth | None = None,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        **arguments: Any,
    ) -> None:
        # One for all transports, and checked before they are made.
        level = Level(auth, retry, observers)
        settings = {"retry": retry, "observers": level.observers.given}
        super().__init__(**arguments)
        # Not through arguments: the library takes the environment's proxies only where it makes the
        # transports itself.
        self._transport = self._signing(level.auth, transport=self._transport, **settings)
        self._mounts = {
            pattern: inner and self._signing(level.auth, transport=inner, **settings)
            for pattern, inner in self._mounts.items()
        }


def _remember(request: Any) -> None:
    """Not in the extensions as they were given: they may be those of other calls too."""
    if _HOME not in request.extensions:
        request.extensions = {**request.extensions, _HOME: origin_of(str(request.url))}


def _stranger(library: ModuleType, auth: SigV4Auth, request: Any) -> Any:
    """The request to send unsigned, if a redirect has led it away from its call's origin."""
    home = request.extensions.get(_HOME)
    if home is None or home == origin_of(str(request.url)):
        return None
    stranger = _copy(library, request)
    auth.disown(stranger)
    return stranger


def _copy(library: ModuleType, request: Any) -> Any:
    """A copy that shares all but the headers."""
    copied = library.Request.__new__(library.Request)
    vars(copied).update(vars(request))
    copied.headers = library.Headers(request.headers)
    return copied


class _Hands:
    """What both kinds of clients have in common."""

    def __init__(
        self, library: ModuleType, auth: SigV4Auth, request: Any, send: Callable[[Any], Any]
    ) -> None:
        self._library = library
        self._auth = auth
        self._request = request
        self._send = send
        self._last = HttpxRequest(_copy(library, request))
        self._begun = False
        self.host = self._last.host

    def attempt(self, request_id: str) -> HttpxRequest:
        if self._begun:
            self._last = HttpxRequest(_copy(self._library, self._request))
        self._begun = True
        attempt = self._last
        attempt.request.headers.setdefault(REQUEST_ID, request_id)
        return attempt

    def send(self, attempt: HttpxRequest) -> Any:
        return self._send(attempt.request)

    def leave_for_explain(self, response: Any) -> None:
        """The response belongs to the caller's request, and that was not signed."""
        if response.status_code >= _CLIENT_ERRORS:
            response.extensions[ATTEMPT] = self._last.request

    def status(self, response: Any) -> int:
        status: int = response.status_code
        return status

    def failed(self, error: Exception, replayable: bool) -> Outcome | None:  # noqa: FBT001
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
            return Outcome.perhaps_sent(replayable=replayable)
        return None


class _SyncHands(_Hands):
    def sign(self, attempt: HttpxRequest) -> None:
        self._auth.sign(attempt)

    def pause(self, seconds: float) -> None:
        calls.wait(seconds)

    def read(self, response: Any) -> bytes:
        return unread_httpx(response, response.read())

    def discard(self, response: Any) -> None:
        try:
            if is_small(response.headers):
                response.read()
        finally:
            response.close()


class _AsyncHands(_Hands):
    def sign(self, attempt: HttpxRequest) -> Awaitable[None]:
        return self._auth.sign_async(attempt)

    async def pause(self, seconds: float) -> None:
        from anyio import sleep  # a dependency of httpx and httpx2

        await sleep(seconds)

    async def read(self, response: Any) -> bytes:
        return unread_httpx(response, await response.aread())

    async def discard(self, response: Any) -> None:
        try:
            if is_small(response.headers):
                await response.aread()
        finally:
            await response.aclose()
