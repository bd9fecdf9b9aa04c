"""The signers of one auth object: for each host, the one of its region with the newest credentials.

A signer is kept for as long as the provider gives the same credentials object, so that a
signature costs one look-up and no key derivation.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import time
from typing import Any, TypeVar

from lattice_client._regions import check_region
from lattice_client._wire.request import AnySigner
from lattice_client.credentials import (
    Credentials,
    CredentialsProvider,
    DefaultCredentials,
    checked,
    current,
    ready,
)
from lattice_client.errors import RegionError
from lattice_client.names import region_of
from lattice_client.names.managed import hint_of
from lattice_client.signing.canonical import PathEncoding

__all__ = ["SignerCache"]

# A service calls few hosts; those of many more are looked up anew now and then.
_MANY = 256


class SignerCache:
    """Finds and makes the signer for a host.

    :param region: the region for all hosts. None: the one in the host's name, else the
        environment's, else the profile's.
    :param make: makes a signer of credentials, a region and a path encoding (None: the usual one).
    """

    def __init__(
        self,
        provider: CredentialsProvider,
        region: str | None,
        make: Callable[[Credentials, str, PathEncoding | None], AnySigner],
    ) -> None:
        self._provider = provider
        self._region = region
        self._make = make
        self._default_region: str | None = None
        # Hosts that were found to want another path encoding than the usual one.
        self._encodings: dict[str, PathEncoding] = {}
        # Both swapped whole; those of older credentials go.
        self._of_region: dict[tuple[str, PathEncoding | None], AnySigner] = {}
        self._of_host: dict[str, AnySigner] = {}

    def cached(self, host: str, found: str | None = None) -> AnySigner | None:
        """The signer for a host if there is one already, or None.

        :param found: the region that a source of names has found, if one has. Neither the argument
            nor a managed name gives way to it.
        """
        if found is None:
            signer = self._of_host.get(host)
        else:
            region = self._region or region_of(host) or found
            signer = self._of_region.get((region, self._encodings.get(host)))
        credentials = self._provider.peek()
        if signer is None or credentials is None or signer.credentials is not credentials:
            return None
        # A provider of somebody else's may go on giving what has expired.
        return None if credentials.expired(time()) else signer

    def without_blocking(self, host: str, found: str | None = None) -> AnySigner | None:
        """The signer for a host, made if need be; None where that takes waiting: for credentials,
        for a file that names the region, or for the first signer's imports."""
        credentials = ready(self._provider)
        if credentials is None or not self._of_region:
            return None
        if not (self._region or region_of(host) or found or self._default_region):
            return None
        return self.get(host, checked(credentials, self._provider), found)

    def get(
        self, host: str, given: Credentials | None = None, found: str | None = None
    ) -> AnySigner:
        """The signer for a host, with credentials fetched and a key derived if need be; may block.

        :param given: the credentials, where they have been fetched already.
        :param found: see :meth:`cached`.
        :raises CredentialsError: where there are no credentials.
        :raises RegionError: where no region is to be found.
        """
        region = self._region or region_of(host) or found or self._find_default_region(host)
        credentials = given or current(self._provider)
        encoding = self._encodings.get(host)
        signer = self._of_region.get((region, encoding))
        if signer is None or signer.credentials is not credentials:
            signer = self._make(credentials, region, encoding)
            self._of_region = _with(self._of_region, (region, encoding), signer)
        if found is None:  # what has been found may change
            self._of_host = _with(self._of_host, host, signer)
        return signer

    def encode(self, host: str, encoding: PathEncoding) -> None:
        """Let a host's paths be encoded in this way from now on."""
        encodings = self._encodings.copy()
        encodings.pop(host, None)
        while len(encodings) >= _MANY:
            del encodings[next(iter(encodings))]
        encodings[host] = encoding
        self._encodings = encodings
        self._of_host = {name: one for name, one in self._of_host.items() if name != host}

    def encoding_of(self, host: str) -> PathEncoding | None:
        """The encoding that was found for a host; None for the usual one."""
        return self._encodings.get(host)

    def made(self, target: str) -> bool:
        """Whether one of these signers has made the signature in a query. A link to somewhere else,
        as to an object in S3, has another's."""
        from urllib.parse import parse_qs  # for the few that have one

        (credential,) = parse_qs(target.partition("?")[2]).get("X-Amz-Credential", [""])[:1]
        access_key, _, scope = credential.partition("/")
        return any(
            signer.credentials.access_key == access_key
            and scope.endswith(f"/{signer.service}/aws4_request")
            for signer in self._of_region.values()
        )

    def renew(self, refused: Credentials, patience: float) -> bool:
        """Look for other credentials than these, which a service has refused as expired; may block.

        A provider with a method ``refused()`` is told, and what it fetches is waited for. None of
        its errors is raised: what it had goes on serving.

        :param patience: how many seconds to wait for a fetch; 0 to let it go on alone.
        :returns: whether there are others now.
        """
        from concurrent.futures import Future, wait  # these load logging

        told = self._tell(refused)
        if isinstance(told, Future):
            wait((told,), patience)
            return self._differ(refused, self._held())
        return bool(told) and self._ask(refused, patience)

    async def renew_async(
        self, refused: Credentials, patience: float, in_thread: Callable[..., Awaitable[bool]]
    ) -> bool:
        """As :meth:`renew`, without blocking the event loop.

        :param in_thread: calls a function in a thread.
        """
        from concurrent.futures import Future

        from lattice_client._async_bridge import settled

        told = self._tell(refused)
        if isinstance(told, Future):
            await settled(told, patience)
            return self._differ(refused, self._held())
        return bool(told) and await in_thread(self._ask, refused, patience)

    def _tell(self, refused: Credentials) -> Any:
        """What the provider says to a refusal: see :class:`CredentialsProvider`."""
        if self._differ(refused, self._held()):
            return True
        tell = getattr(self._provider, "refused", None)
        with suppress(Exception):
            return tell is not None and tell(refused)
        return False

    def _held(self) -> Credentials | None:
        """What the provider has without fetching; an error of its says nothing of a refusal."""
        with suppress(Exception):
            return ready(self._provider)
        return None

    def _ask(self, refused: Credentials, patience: float) -> bool:
        found = self._held()
        if patience and not self._differ(refused, found):
            with suppress(Exception):  # then the refusal is handed out
                found = checked(self._provider.get(), self._provider)
        return self._differ(refused, found)

    @staticmethod
    def _differ(refused: Credentials, found: Credentials | None) -> bool:
        return found is not None and found != refused

    async def await_credentials(self) -> Credentials | None:
        """The credentials of a provider that has to fetch them and has an awaitable form, or None:
        then a call of :meth:`get`, in a thread, gets them.

        :raises CredentialsError: where there are no credentials.
        """
        get_async = getattr(self._provider, "get_async", None)
        if get_async is None or ready(self._provider) is not None:
            return None
        return checked(await get_async(), self._provider)

    def prepare(self, given: Credentials | None = None) -> None:
        """Fetch credentials, and derive the key if the region is the same for all hosts; may block.

        :param given: the credentials, where they have been fetched already.
        :raises CredentialsError: where there are no credentials.
        """
        credentials = given or checked(self._provider.get(), self._provider)
        # Any other region is the host's, or takes files to find.
        if self._region or _region_in_the_environment():
            self.get("", credentials)

    def _find_default_region(self, host: str) -> str:
        region = self._default_region or _region_in_the_environment()
        if not region:
            ask = getattr(self._provider, "region", None)
            region = ask() if callable(ask) else DefaultCredentials().region()
            if region:
                check_region(region, "the profile's region")
        if not region:
            raise RegionError(
                f"no region to sign for: {host!r} does not name one{hint_of(host)}, AWS_REGION and "
                f"AWS_DEFAULT_REGION are not set, nor does a profile say it; pass region=…"
            )
        self._default_region = str(region)
        return self._default_region


def _region_in_the_environment() -> str | None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(name):
            check_region(region, name)
            return region
    return None


_Name = TypeVar("_Name")


def _with(
    signers: dict[_Name, AnySigner], name: _Name, signer: AnySigner
) -> dict[_Name, AnySigner]:
    fresh = {key: one for key, one in signers.items() if one.credentials is signer.credentials}
    return {**fresh, name: signer} if len(fresh) < _MANY else {name: signer}
