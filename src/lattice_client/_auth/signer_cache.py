"""The signers of one auth object: one for each region, with the current credentials.

A signer is kept while the provider returns the same credentials object. So a signature costs one
look-up and no key derivation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import time
from typing import Any, TypeVar

from lattice_client._auth.default_region import default_region, named_region
from lattice_client._wire.request import AnySigner
from lattice_client.credentials import (
    Credentials,
    CredentialsProvider,
    checked,
    current,
    ready,
)
from lattice_client.names import region_of
from lattice_client.signing.canonical import PathEncoding

__all__ = ["SignerCache"]

# Regions, hosts, and hosts with another encoding. Beyond, all are looked up again.
_MAX_SIGNERS = 256

_Key = TypeVar("_Key")


class SignerCache:
    """Finds and makes the signer for a host.

    :param region: the region for all hosts. None: the one in the host's name, else the one that
        :func:`~lattice_client._auth.default_region.default_region` finds.
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
        # Hosts that want another path encoding than the usual one.
        self._encodings: dict[str, PathEncoding] = {}
        # Replaced as a whole, without the signers of older credentials.
        self._of_region: dict[tuple[str | None, PathEncoding | None], AnySigner] = {}
        # A copy for each host would cost too much where there are many: hosts are added in place,
        # and all are forgotten with a new signer.
        self._of_host: dict[str, AnySigner] = {}

    def known(self, host: str) -> AnySigner | None:
        """The signer for a host that has been signed for before, or None."""
        signer = self._of_host.get(host)
        return None if signer is None else self._if_current(signer)

    def cached(self, host: str, found: str | None = None) -> AnySigner | None:
        """The signer for a host in scope if there is one for its region already, or None.

        :param found: the region that a source of names has found, if any. The argument and the
            region in a managed name take precedence.
        """
        if found is None and (signer := self.known(host)) is not None:
            return signer
        region = self._region or region_of(host) or found or self._default_region
        encoding = self._encodings.get(host)
        signer = self._of_region.get((region, encoding))
        if signer is None or self._if_current(signer) is None:
            return None
        if found is None:
            self._remember(host, signer, encoding)
        return signer

    def _if_current(self, signer: AnySigner) -> AnySigner | None:
        """The signer if its credentials are the provider's, or None."""
        credentials = self._provider.peek()
        if credentials is None or signer.credentials is not credentials:
            return None
        # A user's provider may go on returning expired credentials.
        return None if credentials.expired(time()) else signer

    def without_blocking(self, host: str, found: str | None = None) -> AnySigner | None:
        """The signer for a host, made if need be. None where that would block: for credentials, for
        a file that names the region, or for the first signer's imports."""
        credentials = ready(self._provider)
        if credentials is None or not self._of_region:
            return None
        known = self._region or region_of(host) or found or self._default_region
        if not (known or named_region(self._provider)):
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
            self._of_host = {}
        if found is None:
            self._remember(host, signer, encoding)
        return signer

    def _remember(self, host: str, signer: AnySigner, encoding: PathEncoding | None) -> None:
        """Keep a host's signer, where its region does not come from names: that may change."""
        if len(self._of_host) >= _MAX_SIGNERS:
            self._of_host = {}
        self._of_host[host] = signer
        if self._encodings.get(host) != encoding:  # another thread has set it meanwhile
            self._of_host.pop(host, None)

    def set_encoding(self, host: str, encoding: PathEncoding) -> None:
        """Set how a host's paths are encoded from now on."""
        encodings = self._encodings.copy()
        encodings.pop(host, None)
        while len(encodings) >= _MAX_SIGNERS:
            del encodings[next(iter(encodings))]
        encodings[host] = encoding
        self._encodings = encodings
        self._of_host.pop(host, None)

    def encoding_of(self, host: str) -> PathEncoding | None:
        """The encoding that was set for a host; None for the usual one."""
        return self._encodings.get(host)

    def has_signed(self, target: str) -> bool:
        """Whether one of these signers has made the signature in a query. A presigned link to
        another service, such as S3, has another signer's."""
        from urllib.parse import parse_qs  # deferred: few requests have one

        (credential,) = parse_qs(target.partition("?")[2]).get("X-Amz-Credential", [""])[:1]
        access_key, _, scope = credential.partition("/")
        return any(
            signer.credentials.access_key == access_key
            and scope.endswith(f"/{signer.service}/aws4_request")
            for signer in self._of_region.values()
        )

    def renew(self, refused: Credentials, patience: float) -> bool:
        """Replace credentials that a service has refused as expired; may block.

        A provider with a method ``refused()`` is told, and its fetch is waited for. None of its
        errors is raised: the credentials that it has stay in use.

        :param patience: how many seconds to wait for a fetch; 0 to let it finish in the background.
        :returns: whether the provider has others now.
        """
        from concurrent.futures import Future, wait  # these load logging

        answer = self._report_refusal(refused)
        if isinstance(answer, Future):
            wait((answer,), patience)
            return self._is_other(refused, self._held())
        return bool(answer) and self._fetch_other(refused, patience)

    async def renew_async(
        self, refused: Credentials, patience: float, in_thread: Callable[..., Awaitable[bool]]
    ) -> bool:
        """As :meth:`renew`, without blocking the event loop.

        :param in_thread: calls a function in a thread.
        """
        from concurrent.futures import Future

        from lattice_client._async_bridge import settled

        answer = self._report_refusal(refused)
        if isinstance(answer, Future):
            await settled(answer, patience)
            return self._is_other(refused, self._held())
        return bool(answer) and await in_thread(self._fetch_other, refused, patience)

    def _report_refusal(self, refused: Credentials) -> Any:
        """Tell the provider of a refusal (see :class:`CredentialsProvider`); its answer."""
        if self._is_other(refused, self._held()):
            return True
        report = getattr(self._provider, "refused", None)
        with suppress(Exception):
            return report is not None and report(refused)
        return False

    def _held(self) -> Credentials | None:
        """What the provider has without fetching. Its errors are not those of the refused call."""
        with suppress(Exception):
            return ready(self._provider)
        return None

    def _fetch_other(self, refused: Credentials, patience: float) -> bool:
        found = self._held()
        if patience and not self._is_other(refused, found):
            with suppress(Exception):  # the caller gets the refusal
                found = checked(self._provider.get(), self._provider)
        return self._is_other(refused, found)

    @staticmethod
    def _is_other(refused: Credentials, found: Credentials | None) -> bool:
        return found is not None and found != refused

    async def await_credentials(self) -> Credentials | None:
        """The credentials of a provider that has to fetch them and has ``get_async()``. None for
        any other provider: then :meth:`get`, called in a thread, fetches them.

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
        # Any other region depends on the host, or on files.
        if self._region or named_region(self._provider):
            self.get("", credentials)

    def _find_default_region(self, host: str) -> str:
        # The environment's may change, as in tests of several callers. A profile's is read once.
        if region := named_region(self._provider):
            return region
        if self._default_region is None:
            self._default_region = default_region(self._provider, host)
        return self._default_region


def _with(signers: dict[_Key, AnySigner], key: _Key, signer: AnySigner) -> dict[_Key, AnySigner]:
    kept = {at: one for at, one in signers.items() if one.credentials is signer.credentials}
    return {**kept, key: signer} if len(kept) < _MAX_SIGNERS else {key: signer}
