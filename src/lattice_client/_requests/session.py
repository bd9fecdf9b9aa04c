"""The session that mounts the signing adapter for all URLs."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Unpack

from lattice_client._requests.adapter import Adapter, AdapterArguments
from lattice_client._requests.verbs import TypedSession
from lattice_client._secrecy import forgetful
from lattice_client.auth import SigV4Auth
from lattice_client.events import Observer
from lattice_client.names import Resolver
from lattice_client.retry.policy import RetryPolicy

if TYPE_CHECKING:
    import requests

__all__ = ["Session"]

# The session whose call is about to be sent, and the retry policy of this call alone.
_about_to_send: ContextVar[tuple[requests.Session, RetryPolicy | None] | None] = ContextVar(
    "_about_to_send", default=None
)


class Session(TypedSession):
    """A ``requests.Session`` that signs every attempt, redirects and retries included.

    :param auth: None: ``LatticeAuth()``.
    :param retry: None: ``RetryPolicy()``.
    :param observers: receive the events of each call: see ``lattice_client.events``. None: its
        ``log`` alone.
    :param names: resolves each host, as in :class:`LatticeAuth`. None: the resolver of ``auth``.
    :param adapter: arguments of :class:`Adapter`, such as ``pool_maxsize``.
    :raises ConfigurationError: for an argument that cannot work.

    ``request()``, ``get()`` and the like take ``retry=`` for one call.
    """

    @forgetful
    def __init__(
        self,
        auth: SigV4Auth | None = None,
        *,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        names: Resolver | None = None,
        **adapter: Unpack[AdapterArguments],
    ) -> None:
        super().__init__()
        signing = Adapter(auth, retry=retry, observers=observers, names=names, **adapter)
        self.mount("https://", signing)
        self.mount("http://", signing)

    def request(
        self, *arguments: Any, retry: RetryPolicy | None = None, **named: Any
    ) -> requests.Response:
        """As ``requests.Session.request``.

        :param retry: a policy for this call alone.
        """
        if retry is None and _about_to_send.get() is None:
            return super().request(*arguments, **named)  # the usual case
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
            # requests passes ``retry`` on to the requests that follow a redirect.
            _about_to_send.set(None)
            retry = about_to_send[1]
        if retry is not None and isinstance(self.get_adapter(str(request.url)), Adapter):
            arguments["retry"] = retry
        return super().send(request, **arguments)
