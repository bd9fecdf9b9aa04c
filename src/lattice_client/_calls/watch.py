"""The events of one call for its observers.

Those of attempts are made where an observer listens to them (``Observers.follow_attempts``): then
:meth:`CallObserver.observe` wraps the steps of the call. Of any other call, an observer is made
only for a remedy or a retry.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from lattice_client.events import (
    AttemptEnded,
    AttemptStarted,
    Call,
    CallEnded,
    CallStarted,
    Observers,
    RemedyApplied,
    RetryPlanned,
    Signed,
    error_name,
)
from lattice_client.retry.policy import Decision

if TYPE_CHECKING:
    from lattice_client._auth.recovery import Remedy
    from lattice_client._calls.steps import CallSteps, LibraryOps
    from lattice_client._wire.request import SignableRequest
    from lattice_client.retry.policy import Reason

__all__ = ["CallObserver"]

_numbers = count(1)


class CallObserver:
    """Tells observers about one call.

    :param attempt: its first; a call that fails before has no events.
    """

    def __init__(self, observers: Observers, ops: LibraryOps, attempt: SignableRequest) -> None:
        self._tell = observers.tell
        self._kinds = observers.kinds()
        self._ops = ops
        self._call = _call_of(attempt)
        self._attempt = 0
        self._status: int | None = None
        self._error: str | None = None
        self._gave_up: Reason | None = None

    def observe(self, steps: CallSteps) -> CallSteps:
        """The same steps, observed."""
        began = time.perf_counter()
        if CallStarted in self._kinds:
            self._tell(CallStarted(self._call))
        try:
            response = yield from self._observe(steps)
        except BaseException as error:
            self._status, self._error = None, error_name(error)
            raise
        else:
            return response
        finally:
            steps.close()
            if CallEnded in self._kinds:
                duration = time.perf_counter() - began
                end = (self._attempt, self._status, self._error, duration, self._gave_up)
                self._tell(CallEnded(self._call, *end))

    def _observe(self, steps: CallSteps) -> CallSteps:
        try:
            step, argument = next(steps)
            while True:
                began = time.perf_counter()
                if step == "send":
                    self._attempt += 1
                    if AttemptStarted in self._kinds:
                        self._tell(AttemptStarted(self._call, self._attempt))
                try:
                    result = yield step, argument
                except BaseException as error:  # noqa: BLE001 the loop decides
                    if step == "send":
                        self._ended(None, error_name(error), began)
                    step, argument = steps.throw(error)
                else:
                    if step == "sign":
                        self._signed(argument, began)
                    elif step == "send":
                        self._ended(self._ops.status(result), None, began)
                    step, argument = steps.send(result)
        except StopIteration as end:
            return end.value

    def _signed(self, attempt: SignableRequest, began: float) -> None:
        signer = attempt.signer
        if signer is not None and Signed in self._kinds:
            region = getattr(signer, "region", None) or signer.region_set  # type: ignore[union-attr]
            duration = time.perf_counter() - began
            self._tell(Signed(self._call, self._attempt + 1, signer.service, region, duration))

    def _ended(self, status: int | None, error: str | None, began: float) -> None:
        self._status, self._error = status, error
        if AttemptEnded in self._kinds:
            duration = time.perf_counter() - began
            self._tell(AttemptEnded(self._call, self._attempt, status, error, duration))

    # The retry loop calls these.

    def remedy(self, attempt: int, remedy: Remedy) -> None:
        if RemedyApplied in self._kinds:
            self._tell(RemedyApplied(self._call, attempt, remedy))

    def gave_up(self, decision: Decision) -> None:
        self._gave_up = decision.reason if decision.gave_up else None

    def retry(
        self, attempt: int, decision: Decision, status: int | None, error: str | None
    ) -> None:
        if RetryPlanned in self._kinds:
            delay, reason = decision
            self._tell(RetryPlanned(self._call, attempt, delay or 0.0, reason, status, error))


def _call_of(attempt: SignableRequest) -> Call:
    given = attempt.request.headers.get("x-amzn-requestid")
    request_id = given.decode("latin-1") if isinstance(given, bytes) else str(given)
    return Call(
        attempt.method,
        attempt.scheme,
        attempt.host,
        attempt.target.partition("?")[0],
        # A request id of the caller's is not validated before it is sent. Escape what would break
        # a log line.
        request_id if request_id.isprintable() else ascii(request_id),
        next(_numbers),
    )
