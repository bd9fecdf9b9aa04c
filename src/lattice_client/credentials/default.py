"""The default credentials, and what users may pass instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lattice_client._arguments import explains_boto_names
from lattice_client._async_bridge import in_thread
from lattice_client._secrecy import forgetful
from lattice_client.credentials.coercion import CredentialsSource, coerce_credentials
from lattice_client.credentials.environment import EnvironmentCredentials
from lattice_client.credentials.provider import (
    CredentialsProvider,
    chosen_region,
    provider_region,
)
from lattice_client.credentials.value import Credentials
from lattice_client.errors import ConfigurationError

if TYPE_CHECKING:
    from concurrent.futures import Future

    from lattice_client.credentials.botocore_chain import BotocoreCredentials

__all__ = ["DefaultCredentials", "as_provider"]


class DefaultCredentials:
    """The default: the environment's keys, else botocore's chain.

    The order is botocore's. Reading the environment first keeps botocore, 200 ms of imports, out of
    processes that do not need it, Lambda functions above all.

    :param credentials: another source in place of these, as ``credentials=`` of the auth objects;
        None: these.
    :param patience: as of :class:`RefreshingCredentials`, for the chain.
    :raises ConfigurationError: for what can be no source of credentials, and for ``patience``
        beside one.
    """

    # Made when the environment has no credentials.
    _chain: BotocoreCredentials | None = None
    # As of the chain.
    _auth_region: str | None = None

    @explains_boto_names
    @forgetful
    def __init__(
        self, credentials: CredentialsSource | None = None, *, patience: float | None = None
    ) -> None:
        if not (credentials is None or patience is None):
            raise ConfigurationError(
                "patience is for the chain, which other credentials take the place of: give it to "
                "their provider, such as RefreshingCredentials(…, patience=…)"
            )
        self._given = None if credentials is None else coerce_credentials(credentials)
        # With other credentials, an environment without any.
        self._environment = EnvironmentCredentials(None if credentials is None else {})
        self._patience = patience

    def __repr__(self) -> str:
        return f"DefaultCredentials({'' if self._given is None else repr(self._given)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            type(self),
            (self._given,),
            {"_patience": self._patience, "_auth_region": self._auth_region},
        )

    def peek(self) -> Credentials | None:
        # As the two peek(), but with one look at the clock: this is called for every signature.
        now = time.time()
        since, until, credentials = self._environment._state  # noqa: SLF001
        if not since <= now < until:
            credentials = self._environment.peek()
        if credentials is not None:
            return credentials
        chain = self._chain
        if chain is None:
            return None if self._given is None else self._given.peek()
        since, until, credentials, _ = chain._state  # noqa: SLF001
        return credentials if since <= now < until else chain.peek()

    def get(self) -> Credentials:
        if self._given is not None:
            return self._given.get()
        return self._environment.find() or self._botocore().get()

    async def get_async(self) -> Credentials:
        if self._given is not None:
            get_async = getattr(self._given, "get_async", None)
            found: Credentials = await (get_async() if get_async else in_thread(self._given.get))
            return found
        return self._environment.find() or await self._botocore().get_async()

    def refused(self, credentials: Credentials) -> bool | Future[Any]:
        """Be told that a service has refused these credentials as expired.

        :returns: as the ``refused()`` of the two.
        """
        if self._given is not None:
            report = getattr(self._given, "refused", None)
            answer: bool | Future[Any] = report is not None and report(credentials)
            return answer
        return self._environment.refused(credentials) or (
            self._chain is not None and self._chain.refused(credentials)
        )

    @property
    def source(self) -> str | None:
        """Where the credentials that are ready come from: ``environment``, or botocore's name for
        one of its sources; None where none are ready."""
        if self._given is not None:
            return getattr(self._given, "source", None)
        if self._environment.peek() is not None:
            return "environment"
        return None if self._chain is None else self._chain.source

    def chosen_region(self) -> str | None:
        """The region that another source's session was given in code, if any."""
        return chosen_region(self._given)

    def region(self) -> str | None:
        """The region of the profile that botocore would use, or of another source that was given.
        Reads files, so it may block.

        :raises CredentialsError: where there is no such profile, or a file cannot be read.
        """
        if callable(getattr(self._given, "region", None)):
            return provider_region(self._given)
        return self._botocore().region()

    def _botocore(self) -> BotocoreCredentials:
        if self._chain is not None:
            return self._chain
        from lattice_client.credentials.botocore_chain import BotocoreCredentials

        made = BotocoreCredentials(patience=self._patience)
        made._auth_region = self._auth_region  # noqa: SLF001
        # One step, so that all threads get the same one.
        chain: BotocoreCredentials = vars(self).setdefault("_chain", made)
        return chain


@forgetful
def as_provider(
    credentials: CredentialsSource | None,
    profile: str | None = None,
    region: str | None = None,
) -> CredentialsProvider:
    """The provider of what users pass as ``credentials=`` or ``profile=``.

    :param credentials: None: the profile's, or without one :class:`DefaultCredentials`.
    :param region: whose STS these two call where nothing else names a region.
    :raises ConfigurationError: for what can be no source of credentials, and for both at once.
    :raises InvalidCredentialsError: for a mapping that lacks a key.
    """
    if profile is not None:
        if credentials is not None:
            raise ConfigurationError("give credentials or a profile, not both")
        from lattice_client.credentials.botocore_chain import BotocoreCredentials

        made: BotocoreCredentials | DefaultCredentials = BotocoreCredentials(profile)
    elif credentials is None:
        made = DefaultCredentials()
    else:
        return coerce_credentials(credentials)
    made._auth_region = region  # noqa: SLF001
    return made
