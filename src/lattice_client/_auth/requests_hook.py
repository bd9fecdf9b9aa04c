"""The response hooks that an auth object adds to a request of requests.

The library is not imported: the hook is registered with the signed request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lattice_client._auth.recovery import FORBIDDEN, Tried
from lattice_client._wire.headers import set_signature, strip_signature
from lattice_client._wire.requests import RequestsRequest
from lattice_client._wire.requests_response import discard_requests, read_requests
from lattice_client._wire.response_body import patience
from lattice_client._wire.urls import REDIRECTS, origin_of

if TYPE_CHECKING:
    from lattice_client._auth.request_signer import RequestSigner
    from lattice_client._wire.request import SignableRequest

__all__ = ["ResponseHook", "add_response_hook", "note_signer", "signer_of_call"]


def add_response_hook(signer: RequestSigner, signed: SignableRequest) -> None:
    """Keep a request's signature from going along with a redirect, and answer a refusal that has a
    remedy. An unsigned request only keeps the signer, for a client below."""
    kind: type[ResponseHook] = ResponseHook
    if "pre_send" in signed.request.hooks:  # one of niquests
        if signed.signer is None:
            return
        from lattice_client._auth.niquests_hook import NiquestsHook as kind  # noqa: N813
    _add(signed.request, _Signer(signer) if signed.signer is None else kind(signer, signed))


def note_signer(signer: RequestSigner, request: Any) -> None:
    """Keep the signer of a call's auth object on its request, for the client that will sign it."""
    _add(request, _Signer(signer))


def signer_of_call(request: Any) -> RequestSigner | None:
    """The signer that a request was prepared with; None for none of ours."""
    for hook in request.hooks["response"]:
        if isinstance(hook, _Signer):
            return hook.signer
    return None


def _add(request: Any, added: _Signer) -> None:
    hooks = request.hooks
    others = [hook for hook in hooks["response"] if not isinstance(hook, _Signer)]
    request.hooks = {**hooks, "response": [*others, added]}


class _Signer:
    """A response hook that does nothing: requests copies it to what follows a redirect.

    Caches and queues pickle responses, and with these the hooks of their requests. Such a pickle
    holds no credentials, so it has no signer.
    """

    def __init__(self, signer: RequestSigner | None) -> None:
        self.signer = signer

    def __call__(self, response: Any, **_: Any) -> Any:
        return response

    def __reduce__(self) -> tuple[Any, ...]:
        return _Signer, (None,)

    def __deepcopy__(self, _: object) -> _Signer:
        return self


class ResponseHook(_Signer):
    """Called with a response, it returns the one that the caller gets."""

    signer: RequestSigner

    def __init__(self, signer: RequestSigner, signed: SignableRequest) -> None:
        self.signer = signer
        self._signed = signed

    def __call__(self, response: Any, **how_sent: Any) -> Any:
        request = response.request
        if self._is_refusal(response):
            response = self._retry_after_recovery(response, how_sent)
        self._leave_unsigned_after_redirect(request, response)
        return response

    def _is_refusal(self, response: Any) -> bool:
        """Whether the signed request itself was refused."""
        return response.status_code == FORBIDDEN and response.request is self._signed.request

    def _leave_unsigned_after_redirect(self, request: Any, response: Any) -> None:
        """The hook cannot know whether a redirect will be followed. So a prepared request that was
        redirected has to be signed again before it is sent again.

        :param request: the caller's, not a copy that was sent for a remedy.
        """
        if response.status_code in REDIRECTS:
            origin, destination = _forget_signature(
                request, response.headers.get("Location"), self.signer.moved_authorization
            )
            self.signer.note_redirect([origin], destination)

    def _retry_after_recovery(self, response: Any, how_sent: dict[str, Any]) -> Any:
        signed, tried = self._signed, Tried()
        while response.status_code == FORBIDDEN:
            body = read_requests(response, patience())
            if self.signer.remedy(signed, response.headers, body, tried) is None:
                break
            discard_requests(response, patience())
            signed = self._copy(signed)
            self.signer.sign(signed)
            answer = response.connection.send(signed.request, **how_sent)
            response = self._next(response, answer, how_sent)
        return response

    def _copy(self, signed: SignableRequest) -> SignableRequest:
        copied = RequestsRequest(signed.request.copy())
        copied.endpoint = signed.endpoint
        return copied

    def _next(self, refusal: Any, answer: Any, how_sent: dict[str, Any]) -> Any:  # noqa: ARG002 niquests needs it
        answer.history.append(refusal)
        return answer

    def __reduce__(self) -> tuple[Any, ...]:
        return _Unpickled, (self.signer.moved_authorization,)


class _Unpickled(_Signer):
    """Keeps the signature of an unpickled request from going along with a redirect."""

    def __init__(self, moved_authorization: str | None) -> None:
        super().__init__(None)
        self._moved_authorization = moved_authorization

    def __call__(self, response: Any, **_: Any) -> Any:
        if response.status_code in REDIRECTS:
            location = response.headers.get("Location")
            _forget_signature(response.request, location, self._moved_authorization)
        return response

    def __reduce__(self) -> tuple[Any, ...]:
        return _Unpickled, (self._moved_authorization,)


def _forget_signature(
    request: Any, location: str | None, moved_authorization: str | None
) -> tuple[str, str]:
    """Remove the signature of a redirected request: requests makes the next one from it, where the
    signature is not valid and may reach a foreign origin.

    :returns: its origin, and the one that the redirect leads to.
    """
    from urllib.parse import urljoin  # deferred: slow to load, and requests has loaded it

    try:
        target = urljoin(request.url, location or "")
    except ValueError:
        target = ""
    origin, destination = origin_of(request.url), origin_of(target)
    if origin == destination:
        set_signature(request.headers, {}, stale=True)
    else:
        strip_signature(request.headers, moved_authorization)
    return origin, destination
