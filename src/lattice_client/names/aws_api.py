"""Calls to AWS's control planes, through botocore."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from lattice_client._forking import renewed_after_fork
from lattice_client._regions import check_region
from lattice_client.credentials import Credentials, CredentialsSource, as_provider, current
from lattice_client.credentials.botocore_errors import botocore_errors
from lattice_client.credentials.botocore_session import find_region, make_client, new_session
from lattice_client.errors import CredentialsError, NameSourceError

__all__ = ["AwsApi", "NoPermissionError", "NotAvailableError"]

# Callers wait for a name. botocore repeats throttled calls after a second or two.
_SETTINGS: dict[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}


class NotAvailableError(NameSourceError):
    """The API cannot be asked from here: its endpoint cannot be reached, or botocore does not know
    it."""


class NoPermissionError(NotAvailableError):
    """The caller may not make this call."""


# By the code of the answer, else by the class of botocore's error.
_KINDS: dict[str, type[NameSourceError]] = {
    "AccessDenied": NoPermissionError,  # Route 53
    "AccessDeniedException": NoPermissionError,
    "ConnectTimeoutError": NotAvailableError,
    "EndpointConnectionError": NotAvailableError,
    "UnknownServiceError": NotAvailableError,
}


class AwsApi:
    """One service's API in one region.

    botocore is imported for the first call. The client is kept for as long as the provider gives
    the same credentials, and each process has its own. It pickles as its settings.

    :param service: botocore's name for it.
    :param region: None: AWS_REGION, AWS_DEFAULT_REGION, else the profile's.
    :param credentials: as of the auth objects.
    :param endpoint_url: another place to call, such as an endpoint in a VPC.
    :raises RegionError: for what is no region, such as a zone.
    """

    def __init__(
        self,
        service: str,
        *,
        region: str | None,
        credentials: CredentialsSource | None,
        endpoint_url: str | None,
    ) -> None:
        if region is not None:
            check_region(region)
        self.service = service
        self._region = region
        self._provider = as_provider(credentials)
        self._endpoint_url = endpoint_url
        self._set_up()

    def _set_up(self) -> None:
        self._after_fork()
        renewed_after_fork(self)

    def _after_fork(self) -> None:
        # A child must not use its parent's connections.
        self._lock = threading.Lock()
        self._client: tuple[Credentials, Any, Callable[[], object]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        settings = ("service", "_region", "_provider", "_endpoint_url")
        return {name: getattr(self, name) for name in settings}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        vars(self).update(settings)
        self._set_up()

    def __repr__(self) -> str:
        return f"AwsApi({self.service!r}, region={self._region!r})"

    def call(
        self, operation: str, *, absent: Collection[str] = (), **arguments: Any
    ) -> dict[str, Any] | None:
        """The answer, or None where it is one of the errors ``absent``.

        :param operation: in botocore's spelling, such as ``discover_instances``.
        :raises NotAvailableError: if the API cannot be asked, or not by this caller.
        :raises NameSourceError: for any other failure.
        """
        with _name_source_errors(self.service, absent):
            answer: dict[str, Any] = getattr(self._ready_client(), operation)(**arguments)
            return answer
        return None

    def items(
        self,
        operation: str,
        key: str,
        *,
        absent: Collection[str] = (),
        page_size: int | None = None,
        **arguments: Any,
    ) -> Iterator[dict[str, Any]]:
        """The items below ``key`` of all pages, each fetched when its first item is needed; none
        where the answer is one of the errors ``absent``. As :meth:`call`."""
        with _name_source_errors(self.service, absent):
            pages = self._ready_client().get_paginator(operation)
            for page in pages.paginate(**arguments, PaginationConfig={"PageSize": page_size}):
                yield from page[key]

    def _ready_client(self) -> Any:
        credentials = current(self._provider)
        with self._lock:
            if self._client is None or self._client[0] is not credentials:
                if self._client is not None:
                    self._client[2]()
                client = self._make_client(credentials)
                close = weakref.finalize(self, client.close)
                close.atexit = False
                self._client = credentials, client, close
            return self._client[1]

    def _make_client(self, credentials: Credentials) -> Any:
        session = new_session()
        region = self._region or find_region(session, self._provider)
        if not region:
            raise NameSourceError(
                f"no region whose {self.service} to ask: give region=… or set AWS_REGION"
            )
        return make_client(
            session,
            self.service,
            region,
            credentials,
            endpoint_url=self._endpoint_url,
            # A user's own endpoint is called as it is, without an operation's prefix before it.
            inject_host_prefix=self._endpoint_url is None,
            **_SETTINGS,
        )


@contextmanager
def _name_source_errors(service: str, absent: Collection[str]) -> Iterator[None]:
    """Turn every failure but the errors ``absent`` into a NameSourceError."""
    kind: type[NameSourceError] = NameSourceError
    try:
        with botocore_errors(service):
            try:
                yield
            except Exception as error:
                answered = getattr(error, "response", None) or {}
                code = answered.get("Error", {}).get("Code", type(error).__name__)
                kind = _KINDS.get(code, kind)
                if code not in absent:
                    raise
    except CredentialsError as error:
        raise kind(str(error)) from None
