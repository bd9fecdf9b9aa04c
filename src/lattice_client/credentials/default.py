"""The default credentials, and what users may pass instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lattice_client._secrecy import forgetful
from lattice_client.credentials.environment import EnvironmentCredentials
from lattice_client.credentials.provider import CredentialsProvider, StaticCredentials
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

    :param patience: as of :class:`RefreshingCredentials`, for the chain.
    """

    # Made when the environment has no credentials.
    _chain: BotocoreCredentials | None = None

    def __init__(self, *, patience: float | None = None) -> None:
        self._environment = EnvironmentCredentials()
        self._patience = patience

    def __repr__(self) -> str:
        return "DefaultCredentials()"

    def __reduce__(self) -> tuple[type[DefaultCredentials], tuple[()], dict[str, float | None]]:
        return type(self), (), {"_patience": self._patience}

    def peek(self) -> Credentials | None:
        # As the two peek(), but with one look at the clock: this is called for every signature.
        now = time.time()
        since, until, credentials = self._environment._state  # noqa: SLF001
        if not since <= now < until:
            credentials = self._environment.peek()
        if credentials is not None or self._chain is None:
            return credentials
        since, until, credentials, _ = self._chain._state  # noqa: SLF001
        return credentials if since <= now < until else self._chain.peek()

    def get(self) -> Credentials:
        return self._environment.find() or self._botocore().get()

    async def get_async(self) -> Credentials:
        return self._environment.find() or await self._botocore().get_async()

    def refused(self, credentials: Credentials) -> bool | Future[Any]:
        """Be told that a service has refused these credentials as expired.

        :returns: as the ``refused()`` of the two.
        """
        return self._environment.refused(credentials) or (
            self._chain is not None and self._chain.refused(credentials)
        )

    @property
    def source(self) -> str | None:
        """Where the credentials that are ready come from: ``environment``, or botocore's name for
        one of its sources; None where none are ready."""
        if self._environment.peek() is not None:
            return "environment"
        return None if self._chain is None else self._chain.source

    def region(self) -> str | None:
        """The region of the profile that botocore would use. Reads files, so it may block.

        :raises CredentialsError: where there is no such profile, or a file cannot be read.
        """
        return self._botocore().region()

    def _botocore(self) -> BotocoreCredentials:
        if self._chain is not None:
            return self._chain
        from lattice_client.credentials.botocore_chain import BotocoreCredentials

        # One step, so that all threads get the same one.
        chain: BotocoreCredentials = vars(self).setdefault(
            "_chain", BotocoreCredentials(patience=self._patience)
        )
        return chain


@forgetful
def as_provider(credentials: Credentials | CredentialsProvider | None) -> CredentialsProvider:
    """The provider of what users pass as ``credentials=``: a value, a provider, or None for
    :class:`DefaultCredentials`.

    :raises ConfigurationError: for anything else.
    """
    if credentials is None:
        return DefaultCredentials()
    if isinstance(credentials, Credentials):
        return StaticCredentials(credentials)
    if isinstance(credentials, type):
        name = credentials.__name__
        raise ConfigurationError(f"credentials is the class {name}; give an object: {name}(…)")
    if isinstance(credentials, CredentialsProvider):
        return credentials
    raise ConfigurationError(
        "credentials must be a lattice_client.Credentials or have the methods peek() and get(), "
        f"not {type(credentials).__name__}"
    )
