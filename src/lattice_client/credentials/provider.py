"""The interface of a provider, and what is asked of the credentials that one hands out."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from lattice_client._secrecy import forgetful, redacted_key_id
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
    "current",
    "ready",
    "refuse_without_token",
]


@runtime_checkable
class CredentialsProvider(Protocol):
    """Where credentials come from. Two methods; both may be called from many threads.

    A provider may have a third one, ``async get_async()``: as ``get()``, for asynchronous callers,
    under asyncio and trio. Without it they call ``get()`` in a thread.

    And a fourth, ``refused(credentials)``, is told when a service has refused credentials as
    expired, perhaps wrongly: the provider should give them until it has others. It must not block,
    and returns False where there is nothing else to give, True where ``get()`` gives others, or a
    ``concurrent.futures.Future`` that is done when a fetch has ended. Only where ``peek()`` or
    ``get()`` then gives different credentials is the request sent again; errors of ``get()`` count
    as none. Without this method the refusal stands.
    """

    def peek(self) -> Credentials | None:
        """The credentials that are ready now, or None. Never blocks, does no I/O: it is called for
        every signature. It gives the same object as long as nothing changes, for signing keys are
        kept for as long as that."""
        ...

    def get(self) -> Credentials:
        """The credentials, fetched if need be; may block.

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
                f"the credentials of access key {redacted_key_id(self._credentials.access_key)} expired at "
                f"{self._credentials.expires_at}; pass a provider that can renew them"
            )
        return self._credentials


# These two call the user's own provider, so they are not forgetful: its error keeps its cause and
# traceback. No local of theirs holds what the provider gave.


def current(provider: CredentialsProvider) -> Credentials:
    """The credentials that a provider has ready, else those that it fetches; may block.

    :raises CredentialsError: where they cannot sign, as :func:`checked` says.
    """
    return checked(ready(provider) or provider.get(), provider)


def ready(provider: CredentialsProvider) -> Credentials | None:
    """The credentials that a provider has ready, unless they have expired.

    :raises CredentialsError: for anything but :class:`Credentials`.
    """
    return _unexpired(provider.peek(), provider)


@forgetful
def _unexpired(credentials: object, provider: object) -> Credentials | None:
    if credentials is None:
        return None
    known = _known(credentials, provider)
    return None if known.expired(time.time()) else known


@forgetful
def checked(credentials: object, provider: object, now: float | None = None) -> Credentials:
    """What a provider gave, if one can sign with it.

    :param now: seconds since the epoch; None asks the clock.
    :raises CredentialsError: for anything but :class:`Credentials`.
    :raises ExpiredCredentialsError: for expired ones.
    :raises InvalidCredentialsError: for temporary ones without their token. What somebody wrote
        down as :class:`StaticCredentials` is taken as it is.
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
    """Access keys that begin with ASIA are temporary, and no use without a session token ("IAM
    identifiers", Understanding unique ID prefixes, IAM User Guide).

    :raises InvalidCredentialsError: for such a key without a token.
    """
    if credentials.token is None and credentials.access_key.startswith("ASIA"):
        raise InvalidCredentialsError(
            f"access key {redacted_key_id(credentials.access_key)} is a temporary one, and its "
            "session token is missing"
        )
