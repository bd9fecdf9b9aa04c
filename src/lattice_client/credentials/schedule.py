"""When to fetch: the times of a snapshot, and the pauses after failures. No threads, no clock."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

from lattice_client.credentials.value import Credentials
from lattice_client.errors import (
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeClientError,
    NoCredentialsError,
)

__all__ = ["NOTHING", "FetchFailure", "State", "next_failure", "next_state"]

# Seconds. Failed fetches: the first pause, the longest while the old credentials serve, and the
# longest after that, when every request fails.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LONGEST_PAUSE_EXPIRED = 10.0
# A clock that is set back by more than this, to before a fetch, makes its times worthless.
_STEP_BACK = 60.0


# What peek() goes by, swapped whole: (since, refresh_at, credentials, wait_at), the times in
# seconds since the epoch. Outside of since … refresh_at it is time to fetch; from wait_at on, get()
# waits for that. A plain tuple, the quickest to take apart.
State = tuple[float, float, Credentials | None, float]
NOTHING: State = (0.0, 0.0, None, 0.0)


class FetchFailure(NamedTuple):
    """Why the last fetch failed. Not an exception: one that is raised again and again collects
    tracebacks, and these hold on to what was in their frames."""

    kind: type[CredentialsError]
    why: str
    # How many in a row, and the back-off: no fetch from since … retry_at.
    in_a_row: int = 0
    since: float = 0.0
    retry_at: float = 0.0


def next_state(
    credentials: Credentials,
    now: float,
    *,
    changed: bool,
    advisory: float,
    mandatory: float,
    jitter: float,
) -> State:
    """The times of credentials that have been fetched ``now``.

    :param changed: whether they differ from those before.
    """
    expiry = credentials._expiry  # noqa: SLF001 its package's
    if expiry == math.inf:
        return -math.inf, math.inf, credentials, math.inf
    window = max(0.0, min(advisory, (expiry - now) / 2))
    refresh_at = expiry - window * (1 - jitter * _random())
    if not changed:
        # The source has no newer ones yet. It is asked again, at ever shorter intervals.
        refresh_at = min(max(refresh_at, now + _FIRST_PAUSE), expiry)
    wait_at = expiry - min(mandatory, window)
    return now - _STEP_BACK, refresh_at, credentials, wait_at


def next_failure(
    error: BaseException, before: FetchFailure | None, held: Credentials | None, now: float
) -> FetchFailure:
    """A failure ``now``, after the one ``before``, with the credentials that are held."""
    count = before.in_a_row + 1 if before else 1
    longest, last = _LONGEST_PAUSE_EXPIRED, math.inf
    if held is not None and not held.expired(now):
        # One more try at the expiry, before a caller is refused.
        longest, last = _LONGEST_PAUSE, held._expiry  # noqa: SLF001 its package's
    pause = min(longest, _FIRST_PAUSE * 2 ** min(count - 1, 10)) * (1 - _random() / 2)
    return FetchFailure(_kind(error), _why(error), count, now, min(now + pause, last))


def _kind(error: BaseException) -> type[CredentialsError]:
    kinds = (InvalidCredentialsError, ExpiredCredentialsError, NoCredentialsError)
    return next((kind for kind in kinds if isinstance(error, kind)), CredentialsError)


def _why(error: BaseException) -> str:
    """Our own messages; of others the type and where it was raised, for they may hold anything."""
    if isinstance(error, LatticeClientError):
        return str(error)
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" at {os.path.basename(code.co_filename)}:{trace.tb_lineno}"  # noqa: PTH119
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"


def _random() -> float:
    """From 0 to 1. Not of the module random, whose state forked children share until it reseeds."""
    return int.from_bytes(os.urandom(4), "big") / 0xFFFF_FFFF
