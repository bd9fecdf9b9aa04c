"""The origins that a redirected call was made to, remembered among the hooks of its request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

__all__ = ["allowed_origins_of", "remember"]


class _AllowedOrigins:
    """The origins that a redirected call was made to, as a response hook that does nothing.

    requests copies hooks to the request that follows a redirect. On the redirected request itself
    this one has no meaning.
    """

    def __init__(self, origins: tuple[str, ...], redirected: requests.PreparedRequest) -> None:
        self.origins = origins
        self.redirected = redirected

    def __call__(self, response: requests.Response, **_: object) -> None:
        """Do nothing."""


def allowed_origins_of(request: requests.PreparedRequest) -> tuple[str, ...] | None:
    """The origins that a request's call was made to; None if it follows no redirect."""
    for hook in request.hooks["response"]:
        if isinstance(hook, _AllowedOrigins) and hook.redirected is not request:
            _forget(hook.redirected)
            return hook.origins
    return None


def remember(request: requests.PreparedRequest, allowed_origins: tuple[str, ...]) -> None:
    """Attach the origins of a call to its redirected request."""
    _forget(request)
    hooks = [*request.hooks["response"], _AllowedOrigins(allowed_origins, request)]
    request.hooks = {**request.hooks, "response": hooks}


def _forget(request: requests.PreparedRequest) -> None:
    others = [hook for hook in request.hooks["response"] if not isinstance(hook, _AllowedOrigins)]
    request.hooks = {**request.hooks, "response": others}
