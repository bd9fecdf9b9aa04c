"""The second level for requests: a session and an adapter that sign each attempt.

``Session(auth=LatticeAuth())`` is a ``requests.Session`` with an :class:`Adapter` for all URLs;
whoever has a session already mounts the adapter on it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

from lattice_client._auth.recovery import Remedy
from lattice_client._auth.request_signer import RequestSigner
from lattice_client._calls import loop as calls
from lattice_client._calls.loop import REQUEST_ID, CallSettings, refuse_retries, run
from lattice_client._calls.steps import Answer
from lattice_client._secrecy import forgetful
from lattice_client._wire.requests import Attempt, server_name
from lattice_client._wire.requests_response import discard_requests, read_requests
from lattice_client._wire.urls import REDIRECTS, origin_of
from lattice_client.auth import SigV4Auth
from lattice_client.errors import ConfigurationError, MissingExtraError
from lattice_client.events import Observer
from lattice_client.names import Resolver
from lattice_client.retry.policy import Outcome, RetryPolicy

try:
    import requests
    import urllib3.exceptions
    from requests.adapters import HTTPAdapter
    from requests.structures import CaseInsensitiveDict
    from requests.utils import select_proxy
except ModuleNotFoundError as error:
    if error.name != "requests":
        raise
    raise MissingExtraError("requests", "requests") from None

__all__ = ["Adapter", "Session"]

_NOT_CONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class Adapter(HTTPAdapter):
    """Signs and sends each attempt of a request: a copy of it, so that the request itself stays as
    it was. A redirect to another origin goes out unsigned, and without any ``x-amz-*`` header.

    :param auth: None: a ``LatticeAuth`` of no arguments. Requests to hosts that are not among its
        ``hosts`` pass as through ``requests.adapters.HTTPAdapter``.
    :param retry: None: a ``RetryPolicy`` of no arguments.
    :param observers: who is told of calls: see ``lattice_client.events``. None: its ``log`` alone.
    :param names: who is asked of each host, as of :class:`LatticeAuth`. None: whom ``auth`` asks.
    :param arguments: those of ``requests.adapters.HTTPAdapter``, but for ``max_retries``: urllib3
        would send one and the same signature again.
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
        **arguments: Any,
    ) -> None:
        self._settings = CallSettings(auth, retry, observers, names)
        refuse_retries("max_retries", arguments.get("max_retries", 0))
        super().__init__(**arguments)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
        manager: Any = super().proxy_manager_for(*arguments, **named)
        # One for SOCKS has pools of its own, that go through it.
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def __getstate__(self) -> dict[str, Any]:
        settings: Any = super().__getstate__()
        return {**settings, "_settings": self._settings}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 as in requests
        timeout: Any = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 as in requests
        cert: Any = None,
        proxies: Any = None,
        *,
        retry: RetryPolicy | None = None,
    ) -> requests.Response:
        """As ``HTTPAdapter.send``.

        :param retry: a policy for this request alone.
        """
        signer = self._settings.signer
        if signer.names is not None and proxies:
            # Chosen by the name that was called, wherever it leads.
            proxy = select_proxy(str(request.url), proxies)
            proxies = {"all": proxy} if proxy else None
        how = {
            "stream": stream,
            "timeout": timeout,
            "verify": verify,
            "cert": cert,
            "proxies": proxies,
        }
        ops = _Ops(signer, request, super().send, how)
        allowed_origins = _allowed_origins_of(request)
        signs = signer.is_in_scope(ops.last) if signer.names is None else signer.route(ops.last)
        response: requests.Response
        if allowed_origins is not None and origin_of(request.url or "") not in allowed_origins:
            signer.strip_credentials(ops.last, allowed_origins)
            response = ops.send(ops.last)
        elif not signs:
            response = ops.send(ops.last)
        else:
            response = run(self._settings.steps(ops, retry), ops)
        if signer.names is not None and request.url:
            # What was asked for is what a redirect is relative to.
            response.url = request.url
        if response.status_code in REDIRECTS:
            _remember(request, allowed_origins or ops.origins())
            # Whoever follows it by hand may start from what was sent.
            response.request.hooks = request.hooks
        return response

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """As of ``HTTPAdapter``, with a pool for each name that an address is spoken to by."""
        host: Any
        tls: Any
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        name = server_name(request)
        if name is not None and host["scheme"] == "https":
            tls["server_hostname"] = name
        return host, tls

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """As of ``HTTPAdapter``.

        :raises ConfigurationError: for a proxy where names have an address to connect to.
        """
        name = server_name(request)
        if name is not None and select_proxy(str(request.url), proxies):
            raise ConfigurationError(
                f"{name!r} is to be reached at an address of its own (connect_to), and through a "
                "proxy: one of them has to go"
            )
        return super().get_connection_with_tls_context(request, verify, proxies, cert)


class _Home:
    """Where a redirected call was made to. It stands among the request's hooks, for these go along
    to the request that follows a redirect; for the redirected one itself it means nothing."""

    def __init__(self, origins: tuple[str, ...], redirected: requests.PreparedRequest) -> None:
        self.origins = origins
        self.redirected = redirected

    def __call__(self, response: requests.Response, **_: object) -> None:
        """No hook in fact."""


def _allowed_origins_of(request: requests.PreparedRequest) -> tuple[str, ...] | None:
    """The origins that a request's call was made to; None where no redirect has led to it."""
    for hook in request.hooks["response"]:
        if isinstance(hook, _Home) and hook.redirected is not request:
            _forget(hook.redirected)
            return hook.origins
    return None


def _remember(request: requests.PreparedRequest, allowed_origins: tuple[str, ...]) -> None:
    _forget(request)
    hooks = [*request.hooks["response"], _Home(allowed_origins, request)]
    request.hooks = {**request.hooks, "response": hooks}


def _forget(request: requests.PreparedRequest) -> None:
    others = [hook for hook in request.hooks["response"] if not isinstance(hook, _Home)]
    request.hooks = {**request.hooks, "response": others}


def _copy(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """A copy that shares all but the headers; its own ``copy()`` copies all cookies too."""
    copied = requests.PreparedRequest.__new__(requests.PreparedRequest)
    copied.__dict__ = {**vars(request), "headers": _copy_of_headers(request.headers)}
    return copied


def _copy_of_headers(headers: Any) -> Any:
    """As their own copy(), which looks up each header and sets it anew: 8 µs rather than 1."""
    store = getattr(headers, "_store", None)
    if store is None or type(headers) is not CaseInsensitiveDict:
        return headers.copy()
    copied: CaseInsensitiveDict[str] = CaseInsensitiveDict.__new__(CaseInsensitiveDict)
    copied.__dict__ = {"_store": store.copy()}
    return copied


class _Ops:
    def __init__(
        self,
        signer: RequestSigner,
        request: requests.PreparedRequest,
        send: Any,
        how: dict[str, Any],
    ) -> None:
        self.sign = signer.sign
        self._signer = signer
        self._request = request
        self._send = send
        self._how = how
        self._begun = False
        self.last = Attempt(_copy(request))

    def origins(self) -> tuple[str, ...]:
        """The origin that was asked for, and the one of the same service that names led to."""
        last, asked = self.last, origin_of(self._request.url or "")
        return (asked,) if last.endpoint is None else (asked, f"{last.scheme}://{last.host}")

    def attempt(self, request_id: str) -> Attempt:
        if self._begun:
            self.last = Attempt(_copy(self._request))
        self._begun = True
        self.last.set_default_header(REQUEST_ID, request_id)
        return self.last

    def send(self, attempt: Attempt) -> requests.Response:
        response: requests.Response = self._send(attempt.request, **self._how)
        return response

    def pause(self, seconds: float) -> None:
        calls.wait(seconds)

    def outcome(self, error: Exception, replayable: bool) -> Outcome | None:  # noqa: FBT001
        if isinstance(error, requests.exceptions.SSLError):
            return None
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return Outcome.not_sent(timed_out=True)
        if isinstance(error, requests.exceptions.ReadTimeout):
            return Outcome.perhaps_sent(replayable=replayable, timed_out=True)
        if isinstance(error, requests.exceptions.ConnectionError):
            # urllib3 says ProxyError also of a connection that breaks after the request was sent.
            reason = getattr(error.args[0] if error.args else None, "reason", None)
            reason = getattr(reason, "original_error", reason)
            if isinstance(reason, _NOT_CONNECTED):
                return Outcome.not_sent()
            return Outcome.perhaps_sent(replayable=replayable)
        return None

    def status(self, response: requests.Response) -> int:
        return response.status_code

    def read(self, answer: Answer) -> bytes | None:
        return read_requests(*answer)

    def remedy(self, refusal: tuple[Any, ...]) -> Remedy | None:
        return self._signer.remedy(*refusal)

    def discard(self, answer: Answer) -> None:
        discard_requests(*answer)


# --- Connections ------------------------------------------------------------------------------

# Lattice closes a connection that has been idle for 60 s ("Quotas for Amazon VPC Lattice", VPC
# Lattice User Guide). In seconds; urllib3 itself keeps them for ever.
_LONGEST_IDLE = 55.0


# Their names stand in errors, and so stay urllib3's.
class HTTPConnectionPool(urllib3.HTTPConnectionPool):
    """Uses no connection again that has been idle for long, or since before a fork: that one is
    the parent's."""

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle = os.getpid(), time.monotonic()
        super()._put_conn(conn)

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        owner, since = getattr(conn, "idle", (0, math.inf))
        if time.monotonic() - since > _LONGEST_IDLE or (owner and owner != os.getpid()):
            conn.close()  # it connects anew when it is used
        return conn


class HTTPSConnectionPool(HTTPConnectionPool, urllib3.HTTPSConnectionPool):
    pass


_POOLS: Any = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}


# --- Sessions ---------------------------------------------------------------------------------

# Which session's call is about to be sent, and with which policy for it alone.
_about_to_send: ContextVar[tuple[requests.Session, RetryPolicy | None] | None] = ContextVar(
    "_about_to_send", default=None
)


class Session(requests.Session):
    """A ``requests.Session`` whose every attempt is signed, redirects and retries included.

    :param auth: None: a ``LatticeAuth`` of no arguments.
    :param retry: None: a ``RetryPolicy`` of no arguments.
    :param observers: who is told of calls: see ``lattice_client.events``. None: its ``log`` alone.
    :param names: who is asked of each host, as of :class:`LatticeAuth`. None: whom ``auth`` asks.
    :param adapter: arguments of :class:`Adapter`, as ``pool_maxsize``.
    :raises ConfigurationError: for an argument that cannot work.

    ``request()`` and its kin take ``retry=`` for one call.
    """

    @forgetful
    def __init__(
        self,
        auth: SigV4Auth | None = None,
        *,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        names: Resolver | None = None,
        **adapter: Any,
    ) -> None:
        super().__init__()
        one_for_all = Adapter(auth, retry=retry, observers=observers, names=names, **adapter)
        self.mount("https://", one_for_all)
        self.mount("http://", one_for_all)

    def request(
        self, *arguments: Any, retry: RetryPolicy | None = None, **named: Any
    ) -> requests.Response:
        """As ``requests.Session.request``.

        :param retry: a policy for this call alone.
        """
        if retry is None and _about_to_send.get() is None:
            return super().request(*arguments, **named)  # as nearly always
        token = _about_to_send.set((self, retry))
        try:
            return super().request(*arguments, **named)
        finally:
            _about_to_send.reset(token)

    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:
        """As ``requests.Session.send``; ``retry=`` is a policy for this request alone."""
        about_to_send = _about_to_send.get()
        retry = arguments.pop("retry", None)
        if retry is None and about_to_send is not None and about_to_send[0] is self:
            # For this request; requests itself passes it on to those that follow a redirect.
            _about_to_send.set(None)
            retry = about_to_send[1]
        if retry is not None and isinstance(self.get_adapter(str(request.url)), Adapter):
            arguments["retry"] = retry
        return super().send(request, **arguments)
