"""The events of one call for its observers."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any

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

__all__ = ["AnyCallObserver", "watch"]

_numbers = count(1)


class CallObserver:
    """Passes the steps of one call through, and tells observers about them."""

    def __init__(self, observers: Observers, ops: LibraryOps) -> None:
        self._tell = observers.tell
        self._ops = ops
        self._attempt = 0
        self._status: int | None = None
        self._error: str | None = None
        self._gave_up: Reason | None = None

    def observe(self, steps: CallSteps) -> CallSteps:
        """The same steps, observed."""
        began = time.perf_counter()
        # A call that fails before its first attempt has no events.
        step, argument = next(steps)
        self._call = _call_of(argument)
        self._tell(CallStarted(self._call))
        try:
            response = yield from self._observe(steps, step, argument)
        except BaseException as error:
            self._status, self._error = None, error_name(error)
            raise
        else:
            return response
        finally:
            steps.close()
            self._tell(
                CallEnded(
                    self._call,
                    self._attempt,
                    self._status,
                    self._error,
                    time.perf_counter() - began,
                    self._gave_up,
                )
            )

    def _observe(self, steps: CallSteps, step: Any, argument: Any) -> CallSteps:
        try:
            while True:
                began = time.perf_counter()
                if step == "send":
                    self._attempt += 1
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
        if signer is not None:
            region = getattr(signer, "region", None) or signer.region_set  # type: ignore[union-attr]
            duration = time.perf_counter() - began
            self._tell(Signed(self._call, self._attempt + 1, signer.service, region, duration))

    def _ended(self, status: int | None, error: str | None, began: float) -> None:
        self._status, self._error = status, error
        duration = time.perf_counter() - began
        self._tell(AttemptEnded(self._call, self._attempt, status, error, duration))

    # The retry loop calls these.

    def remedy(self, remedy: Remedy) -> None:
        self._tell(RemedyApplied(self._call, self._attempt, remedy))

    def gave_up(self, decision: Decision) -> None:
        self._gave_up = decision.reason if decision.gave_up else None

    def retry(self, decision: Decision) -> None:
        delay, reason = decision
        self._tell(
            RetryPlanned(self._call, self._attempt, delay or 0.0, reason, self._status, self._error)
        )


class _NoObserver:
    """For a call without observers: makes no events and adds no layer."""

    def observe(self, steps: CallSteps) -> CallSteps:
        return steps

    def remedy(self, remedy: Remedy) -> None: ...

    def gave_up(self, decision: Decision) -> None: ...

    def retry(self, decision: Decision) -> None: ...


NO_OBSERVER = _NoObserver()

AnyCallObserver = CallObserver | _NoObserver


def watch(observers: Observers, ops: LibraryOps) -> AnyCallObserver:
    """The observer of one call; one that does nothing if no observer listens."""
    return CallObserver(observers, ops) if observers.are_listening() else NO_OBSERVER


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
