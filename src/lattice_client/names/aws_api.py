"""Calls to AWS's control planes, through botocore."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from lattice_client._forking import importing, renewed_after_fork
from lattice_client.credentials import Credentials, CredentialsProvider, as_provider, current
from lattice_client.credentials.botocore_errors import botocore_errors
from lattice_client.errors import CredentialsError, NameSourceError
from lattice_client.signing.validation import check_region

__all__ = ["AwsApi"]

# Whoever waits for a name can wait no minute. Throttled calls are repeated by botocore, after a
# second or two.
_SETTINGS: dict[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}


class AwsApi:
    """One service's API in one region.

    botocore is imported for the first call. The client is kept for as long as the provider gives
    the same credentials, and after a fork each process has its own. It pickles as its settings.

    :param service: as botocore calls it.
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
        credentials: Credentials | CredentialsProvider | None,
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
        # The parent's connections are not ours.
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
        """An answer, or None where it is one of the errors ``absent``.

        :param operation: in botocore's spelling, as ``discover_instances``.
        :raises NameSourceError: for any other failure.
        """
        with _told(self.service, absent):
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
        """The items below ``key`` of all pages, each page fetched when it is asked for; none where
        the answer is one of the errors ``absent``. As :meth:`call`."""
        with _told(self.service, absent):
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
        with importing:
            import botocore.session
            from botocore.config import Config

        session: Any = botocore.session.Session()
        session.register_component("data_loader", _shared(session))
        # Where the endpoint is one of the user's, it is that one, without a prefix of the
        # operation's before it.
        prefixed = self._endpoint_url is None
        return session.create_client(
            self.service,
            region_name=self._find_region(session),
            endpoint_url=self._endpoint_url,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
            config=Config(**_SETTINGS, inject_host_prefix=prefixed),
        )

    def _find_region(self, session: Any) -> str:
        region = (
            self._region
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or session.get_config_variable("region")
        )
        if not region:
            raise NameSourceError(
                f"no region whose {self.service} to ask: give region=… or set AWS_REGION"
            )
        return str(region)


# botocore's, of the first session: parsing AWS's data takes 50 ms and more for each service.
_LOADER: list[Any] = []


def _shared(session: Any) -> Any:
    if not _LOADER:
        _LOADER.append(session.get_component("data_loader"))
    return _LOADER[0]


@contextmanager
def _told(service: str, absent: Collection[str]) -> Iterator[None]:
    """Turns every failure into a NameSourceError; the errors ``absent`` are none."""
    try:
        with botocore_errors(service):
            try:
                yield
            except Exception as error:
                answered = getattr(error, "response", None) or {}
                if answered.get("Error", {}).get("Code") not in absent:
                    raise
    except CredentialsError as error:
        raise NameSourceError(str(error)) from None
