"""The auth flows of httpx and httpx2. The two differ only in their import name."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from lattice_client._auth.recovery import FORBIDDEN, Tried
from lattice_client._wire.detect import wrap_request
from lattice_client._wire.httpx import CALL_AUTH, copy_request
from lattice_client._wire.httpx_response import read_httpx, read_httpx_async
from lattice_client._wire.request import SignableRequest
from lattice_client._wire.response_body import patience
from lattice_client.auth import SigV4Auth, request_signer
from lattice_client.denial.model import ATTEMPT

__all__ = ["CallFlow", "HttpxFlow"]


class HttpxFlow(SigV4Auth):
    """Signs in httpx's auth flow, which keeps the event loop of an asynchronous client (asyncio or
    trio) free while credentials are fetched, and lets a refusal be remedied."""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        out, tried, signer = wrap_request(request), Tried(), request_signer(self)
        before = request.extensions
        out.note_auth(self)
        try:
            while True:
                signer.sign(out)
                response = yield request
                if not _is_refused(out, response):
                    return
                body = read_httpx(response, patience())
                if signer.remedy(out, response.headers, body, tried) is None:
                    return
        finally:
            _forget(self, request, before)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        out, tried, signer = wrap_request(request), Tried(), request_signer(self)
        before = request.extensions
        out.note_auth(self)
        try:
            while True:
                await signer.sign_async(out)
                response = yield request
                if not _is_refused(out, response):
                    return
                body = await read_httpx_async(response, patience())
                if await signer.remedy_async(out, response.headers, body, tried) is None:
                    return
        finally:
            _forget(self, request, before)


def _forget(auth: SigV4Auth, request: Any, before: Any) -> None:
    """Take a call's auth object off its request, which another client may send again.

    :param before: the extensions that the request had.
    """
    extensions = request.extensions
    if extensions.get(CALL_AUTH) is auth:
        others = {name: value for name, value in extensions.items() if name != CALL_AUTH}
        given = {CALL_AUTH: before[CALL_AUTH]} if CALL_AUTH in before else {}
        request.extensions = {**others, **given}


def _is_refused(signed: SignableRequest, response: Any) -> bool:
    """Whether the signed request itself was refused. After redirects, httpx hands a flow the last
    response of the chain, which refuses another request, perhaps to another host. A transport of
    ours below has tried the remedies already."""
    return (
        response.status_code == FORBIDDEN
        and signed.signer is not None
        and response.request is signed.request
        and ATTEMPT not in response.extensions
    )


class CallFlow:
    """An auth flow of httpx that signs nothing: it tells the transport below the auth object of one
    call. It sends a copy, as other calls may be sending the same request with another."""

    def __init__(self, auth: SigV4Auth | None) -> None:
        self._auth = auth

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        yield self._of_call(request)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        yield self._of_call(request)

    def _of_call(self, request: Any) -> Any:
        copied = copy_request(request)
        copied.extensions = {**request.extensions, CALL_AUTH: self._auth}
        return copied
