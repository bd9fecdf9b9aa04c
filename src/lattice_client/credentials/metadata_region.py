"""The region that this machine runs in, from ECS's or EC2's metadata: the last resort."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from lattice_client._forking import importing, renewed_after_fork
from lattice_client._log import get_logger
from lattice_client.credentials.botocore_session import new_session

__all__ = ["metadata_region"]

# Seconds. Where there is no metadata service, an answer takes a second or two, so it is not asked
# for again by each request.
_ASK_AGAIN_AFTER = 60.0
# The region's field in an ARN: arn:aws:ecs:eu-west-1:…
_FIELD = 3


def metadata_region() -> str | None:
    """The region of the task or the instance, asked for once in a process; blocks for it.

    ECS's metadata are asked where ECS_CONTAINER_METADATA_URI_V4 is set ("Amazon ECS task metadata
    endpoint version 4", ECS Developer Guide), else EC2's, unless AWS_EC2_METADATA_DISABLED is true;
    the other settings of botocore for it count too. None where neither knows: they are asked again
    after a minute.
    """
    return _ASKED.get()


class _Asked:
    """One answer for all auth objects; callers at the same time wait for the first."""

    def __init__(self) -> None:
        self._after_fork()
        self.forget()
        renewed_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()

    def forget(self) -> None:
        self._region: str | None = None
        self._asked_at = -_ASK_AGAIN_AFTER

    def get(self) -> str | None:
        with self._lock:
            now = time.monotonic()
            if self._region is None and now >= self._asked_at + _ASK_AGAIN_AFTER:
                self._region = _ask()
                self._asked_at = time.monotonic()
            return self._region


def _ask() -> str | None:
    try:
        region = _region_of_task() or _region_of_instance()
    except Exception as error:  # noqa: BLE001 its callers say that there is no region
        get_logger("auth").debug("no region from the metadata: %s", type(error).__name__)
        return None
    return region


def _region_of_task() -> str | None:
    url = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if not url:
        return None
    with importing:
        from botocore.utils import ContainerMetadataFetcher

    answer: Any = ContainerMetadataFetcher(sleep=lambda _: None).retrieve_full_uri(f"{url}/task")
    fields = str(answer.get("TaskARN")).split(":")
    return fields[_FIELD] if len(fields) > _FIELD else None


def _region_of_instance() -> str | None:
    session = new_session()
    with importing:
        from botocore.utils import IMDSRegionProvider

    region: str | None = IMDSRegionProvider(session).provide()
    return region


_ASKED = _Asked()
