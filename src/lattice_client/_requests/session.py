"""The session that mounts the signing adapter for all URLs."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Unpack

import requests
from requests.utils import get_auth_from_url, get_netrc_auth

from lattice_client._auth.requests_hook import note_signer, signer_of_call
from lattice_client._calls.loop import not_ours
from lattice_client._requests.adapter import Adapter, AdapterArguments
from lattice_client._requests.redirects import allowed_origins_of
from lattice_client._requests.verbs import TypedSession
from lattice_client._secrecy import forgetful
from lattice_client.auth import SigV4Auth, request_signer
from lattice_client.errors import ConfigurationError
from lattice_client.events import Observer
from lattice_client.names import Resolver
from lattice_client.retry.policy import RetryPolicy

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

    ``request()``, ``get()`` and the like take ``retry=`` for one call. Their ``auth=``, or else
    ``session.auth``, signs in place of the session's own. Other authentication is refused where the
    session signs, and ``.netrc`` is not read there.
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

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As ``requests.Session.prepare_request``. The request is signed when it is sent.

        :raises ConfigurationError: for authentication that is not ours, where the session signs.
        """
        given = self.auth if request.auth is None else request.auth
        call = requests.Request.__new__(requests.Request)
        call.__dict__ = {**vars(request), "auth": _CallAuth(self, given)}
        return super().prepare_request(call)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """As ``requests.Session.rebuild_auth``, without ``.netrc`` where the session signs."""
        plain: Any = super()
        if not _signs(self, prepared_request):
            plain.rebuild_auth(prepared_request, response)
        elif plain.should_strip_auth(response.request.url, prepared_request.url):
            prepared_request.headers.pop("Authorization", None)

    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:
        """As ``requests.Session.send``; ``retry=`` and ``auth=`` are for this request alone.

        :raises ConfigurationError: for ``retry=`` where another adapter sends the request.
        """
        about_to_send = _about_to_send.get()
        # requests passes both on to the requests that follow a redirect.
        retry, given = arguments.pop("retry", None), arguments.pop("auth", None)
        auth = given
        if auth is None and isinstance(self.auth, SigV4Auth) and signer_of_call(request) is None:
            auth = self.auth
        if retry is None and about_to_send is not None and about_to_send[0] is self:
            _about_to_send.set(None)
            retry = about_to_send[1]
        own = retry is not None or auth is not None
        if own and _is_ours(self, request):
            arguments.update(retry=retry, auth=auth)
            if isinstance(auth, SigV4Auth):  # also for rebuild_auth()
                request = request.copy()
                note_signer(request_signer(auth), request)
        elif allowed_origins_of(request) is None:  # another adapter's, and no redirect of ours
            if retry is not None:
                raise ConfigurationError(
                    f"another adapter is mounted for {request.url}, and it knows no retry=…: mount "
                    "an Adapter of ours there, or leave retry out"
                )
            if given is not None:  # the request is authenticated as requests does it
                request = request.copy()
                request.prepare_auth(given)
        return super().send(request, **arguments)


class _CallAuth:
    """What one call says of its auth, as an auth object that requests calls."""

    def __init__(self, session: requests.Session, given: Any) -> None:
        self._session = session
        self._given = given

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        session, given = self._session, self._given
        adapter = session.get_adapter(str(request.url))
        if not isinstance(adapter, Adapter):
            _as_requests_does(session, request, given)
        elif isinstance(given, SigV4Auth):
            signer = request_signer(given)
            if _names_user(request) and adapter.refuses(request, None, signer):
                raise not_ours(None)
            note_signer(signer, request)
        elif not adapter.may_sign(request):
            _as_requests_does(session, request, given)
        elif given is not None or _names_user(request):
            if adapter.refuses(request, given):
                raise not_ours(given)
            _as_requests_does(session, request, given)
        return request


def _as_requests_does(
    session: requests.Session, request: requests.PreparedRequest, given: Any
) -> None:
    """Authenticate a request that the session does not sign."""
    if given is None and session.trust_env:
        given = get_netrc_auth(str(request.url))
    adapter = session.get_adapter(str(request.url))
    if given is not None and isinstance(adapter, Adapter):
        # The call's own: an auth object of ours in ``session.auth`` is not for it.
        adapter.claim(request)
    request.prepare_auth(given)


def _names_user(request: requests.PreparedRequest) -> bool:
    url = str(request.url)
    return "@" in url and any(get_auth_from_url(url))


def _is_ours(session: requests.Session, request: requests.PreparedRequest) -> bool:
    return isinstance(session.get_adapter(str(request.url)), Adapter)


def _signs(session: requests.Session, request: requests.PreparedRequest) -> bool:
    """Whether a request goes to a host that the session, or the auth object of the call, may sign
    for."""
    adapter = session.get_adapter(str(request.url))
    return isinstance(adapter, Adapter) and adapter.may_sign(request, signer_of_call(request))
