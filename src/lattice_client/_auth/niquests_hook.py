"""The response hook that an auth object adds to a request of niquests.

One hook serves ``Session`` and ``AsyncSession``: which of them sends a request is not known when it
is signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lattice_client._auth.recovery import FORBIDDEN, Tried
from lattice_client._auth.requests_hook import ResponseHook
from lattice_client._wire.niquests import (
    NiquestsRequest,
    discard_niquests_async,
    is_async,
    mark_as_coroutine_function,
    read_niquests_async,
    replace_answer,
    unsigned_copies,
)
from lattice_client._wire.response_body import patience
from lattice_client._wire.urls import REDIRECTS

if TYPE_CHECKING:
    from lattice_client._auth.request_signer import RequestSigner
    from lattice_client._wire.request import SignableRequest

__all__ = ["NiquestsHook"]


class NiquestsHook(ResponseHook):
    """Called with a response, it returns that, or for an ``AsyncSession`` an awaitable of it."""

    def __init__(self, signer: RequestSigner, signed: SignableRequest) -> None:
        super().__init__(signer, signed)
        unsigned_copies(signed.request, signer.moved_authorization)
        mark_as_coroutine_function(self)

    def __call__(self, response: Any, **how_sent: Any) -> Any:
        # Sent alone: the answer to a remedy is needed at once.
        how_sent["multiplexed"] = False
        if is_async(response):
            return self._call_async(response, how_sent)
        return super().__call__(response, **how_sent)

    async def _call_async(self, response: Any, how_sent: dict[str, Any]) -> Any:
        request = response.request
        if self._is_refusal(response):
            await self._retry_after_recovery_async(response, how_sent)
        self._leave_unsigned_after_redirect(request, response)
        return response

    async def _retry_after_recovery_async(self, response: Any, how_sent: dict[str, Any]) -> None:
        signed, tried = self._signed, Tried()
        while response.status_code == FORBIDDEN:
            body = await read_niquests_async(response, patience())
            if await self.signer.remedy_async(signed, response.headers, body, tried) is None:
                break
            await discard_niquests_async(response, patience())
            signed = self._copy(signed)
            await self.signer.sign_async(signed)
            answer = await response.connection.send(signed.request, **how_sent)
            self._next(response, answer, how_sent)

    def _is_refusal(self, response: Any) -> bool:
        # An application that the session calls itself has no connection to send on.
        return super()._is_refusal(response) and hasattr(response, "connection")

    def _leave_unsigned_after_redirect(self, request: Any, response: Any) -> None:
        if response.status_code in REDIRECTS:
            # What is removed here depends on where the redirect leads.
            vars(request).pop("copy", None)
        super()._leave_unsigned_after_redirect(request, response)

    def _copy(self, signed: SignableRequest) -> SignableRequest:
        request = signed.request
        copied = NiquestsRequest(type(request).copy(request))
        copied.request.conn_info = request.conn_info
        copied.endpoint = signed.endpoint
        return copied

    def _next(self, refusal: Any, answer: Any, how_sent: dict[str, Any]) -> Any:
        replace_answer(refusal, answer, streamed=bool(how_sent.get("stream")))
        return refusal
