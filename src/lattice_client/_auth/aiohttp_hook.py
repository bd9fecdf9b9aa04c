"""An auth object as a middleware of aiohttp: signs each request, and answers a refusal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lattice_client._auth.recovery import FORBIDDEN, Tried
from lattice_client._auth.redirects import is_foreign
from lattice_client._auth.request_signer import RequestSigner
from lattice_client._run_steps import run_async
from lattice_client._wire.aiohttp import (
    AiohttpRequest,
    RedirectedCalls,
    is_unconnected,
    read_aiohttp,
)
from lattice_client._wire.response_body import patience
from lattice_client._wire.unsigned_mark import pass_mark_on

__all__ = ["AiohttpClient", "AiohttpHook", "take_over"]

# An attribute of a request, for clients below: the hook's signer, and the request as it has it.
_HOOKED = "_lattice_client_hooked"
# Another: the client that sends it for a hook.
_SENDING = "_lattice_client_sending"


class AiohttpHook:
    """The middleware: called with a request, and the handler that sends it."""

    def __init__(self, signer: RequestSigner) -> None:
        self._signer = signer
        self._redirected = RedirectedCalls()

    async def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        client = _client_of(request)
        if client is not None:
            return await client.call(request, handler, self._signer)
        url, allowed_origins = request.url, self._redirected.allowed_origins_of(request)
        out = AiohttpRequest(request)
        setattr(request, _HOOKED, (self._signer, out))
        try:
            if allowed_origins is not None and is_foreign(url.origin(), allowed_origins):
                self._signer.strip_credentials(out, allowed_origins)
                await self._signer.route_async(out)
                response = await send_routed(self._signer, out, handler)
            else:
                await self._signer.sign_async(out)
                response = await send_routed(self._signer, out, handler)
                if response.status == FORBIDDEN and out.signer is not None:
                    response = await self._retry_after_recovery(out, response, handler)
            if out.signer is None:
                pass_mark_on(request, response)
            self._redirected.note(request, url, allowed_origins, response, out.endpoint)
        except OSError as error:  # aiohttp's, of a connection
            out.note_name(error)
            raise
        finally:
            setattr(request, _HOOKED, None)  # the two refer to each other
            if out.endpoint is not None:
                out.restore()
        return response

    async def _retry_after_recovery(
        self, out: AiohttpRequest, response: Any, handler: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        """Sign and send the request again, for each remedy that its refusal has.

        :returns: the last response.
        """
        tried = Tried()
        while response.status == FORBIDDEN:
            body = await read_aiohttp(response, patience())
            if await self._signer.remedy_async(out, response.headers, body, tried) is None:
                break
            response.release()
            await self._signer.sign_async(out)
            response = await send_routed(self._signer, out, handler)
        return response


def send_routed(
    signer: RequestSigner, out: AiohttpRequest, handler: Callable[[Any], Awaitable[Any]]
) -> Awaitable[Any]:
    """Send a request to the first of its addresses that can be connected to."""
    there = out.endpoint
    if there is None or not there.addresses[1:]:
        return handler(out.request)
    steps = signer.send_steps(out, there, is_unconnected, find_first=True)
    return run_async(steps, _Sending(handler))


class _Sending:
    """The operations of the steps that send."""

    def __init__(self, handler: Callable[[Any], Awaitable[Any]]) -> None:
        self._handler = handler

    def send_once(self, out: AiohttpRequest) -> Awaitable[Any]:
        return self._handler(out.request)

    def find_reachable(self, out: AiohttpRequest) -> Awaitable[str | None]:
        return out.find_reachable()


def _client_of(request: Any) -> AiohttpClient | None:
    """The client of a request's session, unless it is sending the request already."""
    if getattr(request, _SENDING, None) is not None:
        return None
    for middleware in getattr(getattr(request, "_session", None), "_middlewares", ()):
        if isinstance(middleware, AiohttpClient):
            return middleware
    return None


class AiohttpClient:
    """The middleware of a client, as far as the hooks know it.

    ``middlewares=`` of one call takes its place. A hook there replaces the client's auth object and
    nothing else, so it lets the client make the call.
    """

    async def call(
        self, request: Any, handler: Callable[[Any], Awaitable[Any]], signer: RequestSigner
    ) -> Any:
        """Make a call for a hook."""
        setattr(request, _SENDING, self)
        try:
            return await self._call(request, handler, signer)
        finally:
            delattr(request, _SENDING)

    def is_sending(self, request: Any) -> bool:
        """Whether a client, this or the session's, has signed a request for a hook above."""
        return getattr(request, _SENDING, None) is not None

    async def _call(
        self, request: Any, handler: Callable[[Any], Awaitable[Any]], signer: RequestSigner | None
    ) -> Any:
        raise NotImplementedError


def take_over(request: Any) -> RequestSigner | None:
    """The signer of the hook that has signed a request above a client; None for none. The client
    signs each attempt with it, so the hook's own signature and routing are undone."""
    hooked = getattr(request, _HOOKED, None)
    if hooked is None:
        return None
    setattr(request, _HOOKED, None)
    signer: RequestSigner
    signer, out = hooked
    out.restore()
    out.signer = None
    return signer
