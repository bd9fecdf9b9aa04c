"""What the auth hook for requests does when the answer has come.

requests itself is not imported: the hook is registered with the request that it has signed.
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

__all__ = ["guard"]


def guard(signer: RequestSigner, signed: RequestsRequest) -> None:
    """Look after a signed request: keep its signature from going along with a redirect, and answer
    a refusal that has a remedy."""
    hooks = signed.request.hooks
    others = [hook for hook in hooks["response"] if not isinstance(hook, _Guard)]
    signed.request.hooks = {**hooks, "response": [*others, _Guard(signer, signed)]}


class _Guard:
    def __init__(self, signer: RequestSigner, signed: RequestsRequest) -> None:
        self._signer = signer
        self._signed = signed

    def __call__(self, response: Any, **how_sent: Any) -> Any:
        """Whether a redirect is followed is not known here, so a prepared request that was
        redirected has to be signed again before it is sent again."""
        request = response.request
        if response.status_code == FORBIDDEN and request is self._signed.request:
            response = self._retry_after_recovery(response, how_sent)
        if response.status_code in REDIRECTS:
            # Of the request that was asked for, not of one that a remedy has made.
            allowed_origins, there = _forget_signature(request, response.headers.get("Location"))
            self._signer.note_redirect([allowed_origins], there)
        return response

    def _retry_after_recovery(self, response: Any, how_sent: dict[str, Any]) -> Any:
        signed, tried = self._signed, Tried()
        while response.status_code == FORBIDDEN:
            body = read_requests(response, patience())
            if self._signer.remedy(signed, response.headers, body, tried) is None:
                break
            discard_requests(response, patience())
            endpoint = signed.endpoint
            signed = RequestsRequest(response.request.copy())
            signed.endpoint = endpoint
            self._signer.sign(signed)
            refusal, response = response, response.connection.send(signed.request, **how_sent)
            response.history.append(refusal)
        return response


def _forget_signature(request: Any, location: str | None) -> tuple[str, str]:
    """A request that was redirected is the template for the one that follows, and its
    signature is neither valid there nor meant for other eyes.

    :returns: its origin, and the one that the redirect leads to.
    """
    from urllib.parse import urljoin  # loaded by requests anyway, and slow to load

    try:
        target = urljoin(request.url, location or "")
    except ValueError:
        target = ""
    allowed_origins, there = origin_of(request.url), origin_of(target)
    if allowed_origins == there:
        set_signature(request.headers, {}, stale=True)
    else:
        strip_signature(request.headers)
    return allowed_origins, there
