"""The interface of a provider, and the checks of the credentials that it gives."""

from __future__ import annotations

import time
from typing import Protocol, cast, runtime_checkable

from lattice_client._secrecy import forgetful, redacted_key_id
from lattice_client.credentials.shared_get import shared_get
from lattice_client.credentials.value import Credentials
from lattice_client.errors import (
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
)

__all__ = [
    "CredentialsProvider",
    "StaticCredentials",
    "checked",
    "chosen_region",
    "current",
    "provider_region",
    "ready",
    "refuse_without_token",
]


@runtime_checkable
class CredentialsProvider(Protocol):
    """Where credentials come from. Two methods; both may be called from many threads.

    A provider may have a third method, ``async get_async()``: ``get()`` for asynchronous callers,
    under asyncio and trio. Without it they call ``get()`` in a thread.

    A fourth method, ``refused(credentials)``, is called when a service has refused credentials as
    expired. The service may be wrong: the provider should give them until it has others. The method
    must not block. It returns False where there is nothing else to give, True where ``get()`` gives
    others, or a ``concurrent.futures.Future`` that is done when a fetch has ended. The request is
    sent again only where ``peek()`` or ``get()`` then gives different credentials; an error of
    ``get()`` counts as none. Without this method the refusal stands.
    """

    def peek(self) -> Credentials | None:
        """The credentials that are ready now, or None. Never blocks and does no I/O: it is called
        for every signature. It gives the same object as long as nothing changes: a signing key is
        cached for one object."""
        ...

    def get(self) -> Credentials:
        """The credentials, fetched if necessary; may block. Threads that want them at the same time
        share one call, unless there is ``get_async()``.

        :raises CredentialsError: where there are none.
        """
        ...


class StaticCredentials:
    """Always the same credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"StaticCredentials({self._credentials!r})"

    def peek(self) -> Credentials | None:
        return None if self._credentials.expired(time.time()) else self._credentials

    def get(self) -> Credentials:
        if self._credentials.expired(time.time()):
            raise ExpiredCredentialsError(
                f"the credentials of access key {redacted_key_id(self._credentials.access_key)} "
                f"expired at {self._credentials.expires_at}; pass a provider that can renew them"
            )
        return self._credentials


# These two call the user's own provider, so they are not forgetful: its error keeps its cause and
# traceback. No local of theirs holds what the provider gave.


def current(provider: CredentialsProvider) -> Credentials:
    """The credentials that a provider has ready, else those that it fetches; may block.

    :raises CredentialsError: where they cannot sign, as :func:`checked` says.
    """
    return checked(ready(provider) or _get(provider), provider)


def _get(provider: CredentialsProvider) -> object:
    # A provider with get_async() is made for many callers at once.
    return provider.get() if hasattr(provider, "get_async") else shared_get(provider)


def ready(provider: CredentialsProvider) -> Credentials | None:
    """The credentials that a provider has ready, unless they have expired.

    :raises CredentialsError: for anything but :class:`Credentials`.
    """
    return _unexpired(provider.peek(), provider)


def chosen_region(provider: object) -> str | None:
    """The region that a provider's session was given in code, which counts before the
    environment's, as it does in botocore."""
    return _ask(provider, "chosen_region")


def provider_region(provider: object) -> str | None:
    """The region that goes with a provider's credentials, if any. May read files.

    :raises CredentialsError: where they cannot be read.
    """
    return _ask(provider, "region")


def _ask(provider: object, method: str) -> str | None:
    ask = getattr(provider, method, None)
    return cast("str | None", ask()) if callable(ask) else None


@forgetful
def _unexpired(credentials: object, provider: object) -> Credentials | None:
    if credentials is None:
        return None
    known = _known(credentials, provider)
    return None if known.expired(time.time()) else known


@forgetful
def checked(credentials: object, provider: object, now: float | None = None) -> Credentials:
    """What a provider gave, if it can sign.

    :param now: seconds since the epoch; None asks the clock.
    :raises CredentialsError: for anything but :class:`Credentials`.
    :raises ExpiredCredentialsError: for expired ones.
    :raises InvalidCredentialsError: for temporary ones without their token, unless the user wrote
        them down as :class:`StaticCredentials`.
    """
    known = _known(credentials, provider)
    if known.expired(time.time() if now is None else now):
        raise ExpiredCredentialsError(
            f"{type(provider).__name__} gave credentials of access key "
            f"{redacted_key_id(known.access_key)} that expired at {known.expires_at}"
        )
    if not isinstance(provider, StaticCredentials):
        refuse_without_token(known)
    return known


def _known(credentials: object, provider: object) -> Credentials:
    if not isinstance(credentials, Credentials):
        raise CredentialsError(
            f"{type(provider).__name__} gave a {type(credentials).__name__} instead of "
            "lattice_client.Credentials"
        )
    return credentials


def refuse_without_token(credentials: Credentials) -> None:
    """Access keys that begin with ASIA are temporary, and useless without a session token ("IAM
    identifiers", Understanding unique ID prefixes, IAM User Guide).

    :raises InvalidCredentialsError: for such a key without a token.
    """
    if credentials.token is None and credentials.access_key.startswith("ASIA"):
        raise InvalidCredentialsError(
            f"access key {redacted_key_id(credentials.access_key)} is a temporary one, and its "
            "session token is missing"
        )
