"""The course of one call: attempts, each of them signed, and pauses between them.

A course is a generator that says what to do next, so that synchronous and asynchronous libraries
share it; :func:`run` and :func:`run_async` do what it says, with the hands of a library.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any

from lattice_client._auth.recovery import FORBIDDEN, Remedy, Tried
from lattice_client._auth.request_signer import PATIENCE
from lattice_client._calls.steps import CallSteps, LibraryOps, Step
from lattice_client._calls.watch import AnyCallObserver, watch
from lattice_client._run_steps import run, run_async
from lattice_client._wire.request import SignableRequest
from lattice_client._wire.response_body import patience
from lattice_client.auth import LatticeAuth, SigV4Auth, request_signer
from lattice_client.errors import ConfigurationError
from lattice_client.events import Observer, Observers
from lattice_client.names import Resolver
from lattice_client.retry.policy import NO_RETRIES, Attempts, Outcome, RetryPolicy
from lattice_client.retry.quota import RetryQuotas

__all__ = ["REQUEST_ID", "CallSettings", "refuse_retries", "run", "run_async", "wait"]

# Lattice takes the caller's, hands it to the target, sends it back and logs it ("Access logs for
# Amazon VPC Lattice", VPC Lattice User Guide).
REQUEST_ID = "x-amzn-requestid"


class CallSettings:
    """What all calls of one client share: whom they are signed for, and when they are repeated.

    :param auth: None: a :class:`LatticeAuth` of no arguments.
    :param retry: None: a :class:`RetryPolicy` of no arguments.
    :param observers: who is told of calls (``lattice_client.events``). None: ``events.log`` alone.
    :param names: who is asked of each host. None: whom ``auth`` asks.
    :raises ConfigurationError: for anything else.
    """

    def __init__(
        self,
        auth: SigV4Auth | None = None,
        retry: RetryPolicy | None = None,
        observers: Iterable[Observer] | None = None,
        names: Resolver | None = None,
    ) -> None:
        if auth is not None and not isinstance(auth, SigV4Auth):
            raise ConfigurationError(
                f"auth must be a LatticeAuth or SigV4Auth, not a {type(auth).__name__}"
            )
        signer = request_signer(LatticeAuth() if auth is None else auth)
        self.signer = signer if names is None else signer.with_names(names)
        self.retry = _checked(retry) if retry is not None else RetryPolicy()
        self.quotas = RetryQuotas()
        self.observers = Observers(observers)

    def steps(self, ops: LibraryOps, retry: object = None) -> CallSteps:
        """The course of one call.

        :param retry: a policy for this call alone.
        """
        policy = self.retry if retry is None else _checked(retry)
        observer = watch(self.observers, ops)
        return observer.along(self._steps(ops, policy, observer))

    def _steps(self, ops: LibraryOps, policy: RetryPolicy, observer: AnyCallObserver) -> CallSteps:
        began = time.monotonic()
        request_id = os.urandom(16).hex()
        attempts: Attempts | None = None
        tried = Tried()
        while True:
            attempt = ops.attempt(request_id)
            yield "sign", attempt
            try:
                response = yield "send", attempt
            except Exception as error:
                failed = ops.failed(error, attempt.rewind())
                if failed is None:
                    raise
                attempts = attempts or self._attempts(policy, attempt, began)
                decision = attempts.after(failed, time.monotonic())
                if decision.delay is None:
                    observer.gave_up(decision)
                    raise
            else:
                status = ops.status(response)
                if status == FORBIDDEN:
                    remedy = yield from _remedy(policy, began, attempt, response, tried)
                    if remedy is not None:
                        observer.remedy(remedy)
                        continue
                # Nearly every call ends here, with nothing made for those that do not.
                if status not in policy.statuses and not self.quotas:
                    return response
                attempts = attempts or self._attempts(policy, attempt, began)
                # Rewound while the answer is there to be handed out, should that fail.
                again = status in policy.statuses and attempt.rewind()
                decided = time.monotonic()
                decision = attempts.after(_answered(status, response, again), decided)
                if decision.delay is None:
                    observer.gave_up(decision)
                    return response
                observer.retry(decision)
                with suppress(Exception):
                    yield "discard", (response, patience(policy.deadline, began))
                yield "pause", _rest_of(decision.delay, decided)
                continue
            observer.retry(decision)
            yield "pause", decision.delay

    def _attempts(self, policy: RetryPolicy, attempt: SignableRequest, began: float) -> Attempts:
        names = attempt.request.headers
        return policy.start(attempt.method, attempt.host, began, headers=names, quotas=self.quotas)


def _remedy(
    policy: RetryPolicy, began: float, refused: Any, response: Any, tried: Tried
) -> Generator[tuple[Step, Any], Any, Remedy | None]:
    """What to sign with now, after a 403; None where that is of no use. Where there is something,
    the response is let go of."""
    body = yield "read", (response, patience(policy.deadline, began))
    waits = patience(policy.deadline, began, longest=PATIENCE)
    try:
        remedy: Remedy | None = yield "remedy", (refused, response.headers, body, tried, waits)
    except BaseException:  # a caller that is cancelled gets no response to close
        with suppress(Exception):
            yield "discard", (response, 0.0)
        raise
    if remedy is not None:
        with suppress(Exception):  # it is let go of all the same
            yield "discard", (response, patience(policy.deadline, began))
    return remedy


# Seconds. A body that has come already takes less to read, and leaves the pause as it is.
_AT_ONCE = 0.01


def _rest_of(delay: float, decided: float) -> float:
    """What is left of a pause after a response was read to its end: the deadline was reckoned from
    before that."""
    spent = time.monotonic() - decided
    return delay if spent < _AT_ONCE else max(0.0, delay - spent)


def _answered(status: int, response: Any, replayable: bool) -> Outcome:  # noqa: FBT001
    return Outcome.answered(
        status,
        replayable=replayable,
        retry_after=response.headers.get("Retry-After"),
        date=response.headers.get("Date"),
        received_at=time.time(),
    )


def wait(seconds: float) -> None:
    """The pause of the synchronous libraries."""
    time.sleep(seconds)


def _checked(retry: object) -> RetryPolicy:
    if isinstance(retry, RetryPolicy):
        return retry
    raise ConfigurationError(
        f"retry must be a RetryPolicy, not a {type(retry).__name__}; "
        f"for no retries, RetryPolicy(attempts={NO_RETRIES.attempts})"
    )


def refuse_retries(name: str, given: object) -> None:
    """A library's own retries lie below ours.

    :raises ConfigurationError: where there are to be any. They would send an attempt's signature
        again, and no policy would know.
    """
    # urllib3's Retry has them in one field.
    if getattr(given, "total", given) not in (0, False):
        raise ConfigurationError(
            f"{name} would send one signature several times: leave it at 0, and say how often a "
            "request is sent with retry=RetryPolicy(attempts=…)"
        )
