"""One call as its observers see it."""

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
    """Goes along with the course of one call, and tells observers what happens in it."""

    def __init__(self, observers: Observers, ops: LibraryOps) -> None:
        self._tell = observers.tell
        self._ops = ops
        self._attempt = 0
        self._status: int | None = None
        self._error: str | None = None
        self._gave_up: Reason | None = None

    def along(self, course: CallSteps) -> CallSteps:
        """The same course, observed."""
        began = time.perf_counter()
        # Nothing is to be told of a call that does not come to its first attempt.
        step, argument = next(course)
        self._call = _call_of(argument)
        self._tell(CallStarted(self._call))
        try:
            response = yield from self._steps(course, step, argument)
        except BaseException as error:
            self._status, self._error = None, error_name(error)
            raise
        else:
            return response
        finally:
            course.close()
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

    def _steps(self, course: CallSteps, step: Any, argument: Any) -> CallSteps:
        try:
            while True:
                began = time.perf_counter()
                if step == "send":
                    self._attempt += 1
                    self._tell(AttemptStarted(self._call, self._attempt))
                try:
                    result = yield step, argument
                except BaseException as error:  # noqa: BLE001 the course decides
                    if step == "send":
                        self._ended(None, error_name(error), began)
                    step, argument = course.throw(error)
                else:
                    if step == "sign":
                        self._signed(argument, began)
                    elif step == "send":
                        self._ended(self._ops.status(result), None, began)
                    step, argument = course.send(result)
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

    # What only the course itself knows.

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
    """Where there is nobody to tell: nothing is made, and nothing stands in between."""

    def along(self, course: CallSteps) -> CallSteps:
        return course

    def remedy(self, remedy: Remedy) -> None: ...

    def gave_up(self, decision: Decision) -> None: ...

    def retry(self, decision: Decision) -> None: ...


NO_OBSERVER = _NoObserver()


AnyCallObserver = CallObserver | _NoObserver


def watch(observers: Observers, ops: LibraryOps) -> AnyCallObserver:
    """What tells the observers of a call; nothing where none would hear it."""
    return CallObserver(observers, ops) if observers.are_listening() else NO_OBSERVER


def _call_of(attempt: SignableRequest) -> Call:
    given = attempt.request.headers.get("x-amzn-requestid")
    request_id = given.decode("latin-1") if isinstance(given, bytes) else str(given)
    return Call(
        attempt.method,
        attempt.scheme,
        attempt.host,
        attempt.target.partition("?")[0],
        # The caller's own is not looked at before the library sends it, and a log has lines.
        request_id if request_id.isprintable() else ascii(request_id),
        next(_numbers),
    )
