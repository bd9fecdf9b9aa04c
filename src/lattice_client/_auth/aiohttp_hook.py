"""The middleware of aiohttp that an auth object is: each request signed, a refusal remedied."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from lattice_client._auth.recovery import FORBIDDEN, Tried
from lattice_client._auth.request_signer import RequestSigner
from lattice_client._wire.aiohttp import AiohttpRequest, RedirectedCalls, read_aiohttp
from lattice_client._wire.request import Outgoing
from lattice_client._wire.response_body import patience

__all__ = ["AiohttpHook"]


class AiohttpHook:
    """Called as a middleware: with a request, and what sends it."""

    def __init__(self, signer: RequestSigner) -> None:
        self._signer = signer
        self._redirected = RedirectedCalls()

    async def __call__(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        url, home = request.url, self._redirected.home_of(request)
        out = AiohttpRequest(request)
        try:
            if home is not None and url.origin() not in home:
                self._signer.disown(out, home)
                await self._signer.lead_async(out)
                response = await handler(request)
            else:
                await self._signer.sign_async(out)
                response = await handler(request)
                if response.status == FORBIDDEN and out.signer is not None:
                    response = await self._cured(out, response, handler)
            self._redirected.note(request, url, home, response, out.endpoint)
        finally:
            if out.endpoint is not None:
                out.come_back()
        return response

    async def _cured(
        self, out: Outgoing, response: Any, handler: Callable[[Any], Awaitable[Any]]
    ) -> Any:
        """The answer to an aiohttp request, signed again for each remedy that a refusal has."""
        tried = Tried()
        while response.status == FORBIDDEN:
            body = await read_aiohttp(response, patience())
            if await self._signer.remedy_async(out, response.headers, body, tried) is None:
                break
            response.release()
            await self._signer.sign_async(out)
            response = await handler(out.request)
        return response
