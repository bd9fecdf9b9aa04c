"""The sans-I/O retry loop of one call: signed attempts, remedies, and pauses between them.

The loop is a generator that yields steps, so that synchronous and asynchronous libraries share it.
:func:`run` and :func:`run_async` execute each step with the operations of a library.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any

from lattice_client._auth.recovery import FORBIDDEN, Remedy, Tried
from lattice_client._auth.request_signer import PATIENCE, RequestSigner
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

__all__ = [
    "REQUEST_ID",
    "CallSettings",
    "not_ours",
    "refuse_retries",
    "run",
    "run_async",
    "wait",
]

# Lattice keeps the caller's value, forwards it to the target, returns it and logs it ("Access logs
# for Amazon VPC Lattice", VPC Lattice User Guide).
REQUEST_ID = "x-amzn-requestid"


class CallSettings:
    """The settings that all calls of one client share.

    :param auth: signs each attempt. None: ``LatticeAuth()``.
    :param retry: None: ``RetryPolicy()``.
    :param observers: receive the events of each call (``lattice_client.events``). None:
        ``events.log`` alone.
    :param names: resolves each host. None: the resolver of ``auth``.
    :raises ConfigurationError: for an argument of another type.
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
                f"auth must be a LatticeAuth or SigV4Auth, not {_kind_of(auth)}"
            )
        signer = request_signer(LatticeAuth() if auth is None else auth)
        self.signer = signer if names is None else signer.with_names(names)
        self._names = names
        self._unsigned: RequestSigner | None = None
        self.retry = _check_policy(retry) if retry is not None else RetryPolicy()
        self.quotas = RetryQuotas()
        self.observers = Observers(observers)

    def signer_of(self, auth: object) -> RequestSigner:
        """The signer of a call with its own auth object.

        :param auth: None: the call goes out unsigned.
        :raises ConfigurationError: for any other object.
        """
        if auth is None:
            if self._unsigned is None:
                self._unsigned = self.signer.unsigned()
            return self._unsigned
        if not isinstance(auth, SigV4Auth):
            raise not_ours(auth)
        return self.adopt(request_signer(auth))

    def adopt(self, signer: RequestSigner) -> RequestSigner:
        """The signer of another auth object, for a call through this client."""
        return signer.routed_by(self._names)

    def steps(self, ops: LibraryOps, retry: object = None) -> CallSteps:
        """The steps of one call.

        :param retry: a policy for this call alone. None: that of the client.
        """
        policy = self.retry if retry is None else _check_policy(retry)
        observer = watch(self.observers, ops)
        return observer.observe(self._steps(ops, policy, observer))

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
                outcome = ops.outcome(error, attempt.rewind())
                if outcome is None:
                    raise
                attempts = attempts or self._attempts(policy, attempt, began)
                decision = attempts.after(outcome, time.monotonic())
                if decision.delay is None:
                    observer.gave_up(decision)
                    raise
            else:
                status = ops.status(response)
                if status == FORBIDDEN:
                    remedy = yield from _find_remedy(policy, began, attempt, response, tried)
                    if remedy is not None:
                        observer.remedy(remedy)
                        continue
                # Nearly every call ends here, so nothing is allocated before this line.
                if status not in policy.statuses and not self.quotas:
                    return response
                attempts = attempts or self._attempts(policy, attempt, began)
                # Rewind first: if that fails, the response must still be there to return.
                replayable = status in policy.statuses and attempt.rewind()
                decided = time.monotonic()
                decision = attempts.after(_answered(status, response, replayable), decided)
                if decision.delay is None:
                    observer.gave_up(decision)
                    return response
                observer.retry(decision)
                with suppress(Exception):
                    yield "discard", (response, patience(policy.deadline, began))
                yield "pause", _remaining_pause(decision.delay, decided)
                continue
            observer.retry(decision)
            yield "pause", decision.delay

    def _attempts(self, policy: RetryPolicy, attempt: SignableRequest, began: float) -> Attempts:
        headers = attempt.request.headers
        return policy.start(
            attempt.method, attempt.host, began, headers=headers, quotas=self.quotas
        )


def _find_remedy(
    policy: RetryPolicy, began: float, attempt: Any, response: Any, tried: Tried
) -> Generator[tuple[Step, Any], Any, Remedy | None]:
    """The remedy for a 403, or None. With a remedy, the response is discarded."""
    body = yield "read", (response, patience(policy.deadline, began))
    wait_at_most = patience(policy.deadline, began, longest=PATIENCE)
    refusal = (attempt, response.headers, body, tried, wait_at_most)
    try:
        remedy: Remedy | None = yield "remedy", refusal
    except BaseException:  # a cancelled caller gets no response that it could close
        with suppress(Exception):
            yield "discard", (response, 0.0)
        raise
    if remedy is not None:
        with suppress(Exception):  # the response is of no use, whether or not it can be closed
            yield "discard", (response, patience(policy.deadline, began))
    return remedy


# Seconds. Reading a body that has already arrived takes less, and does not shorten the pause.
_NEGLIGIBLE = 0.01


def _remaining_pause(delay: float, decided: float) -> float:
    """The pause minus the time that discarding the response took: the deadline was computed before
    that."""
    spent = time.monotonic() - decided
    return delay if spent < _NEGLIGIBLE else max(0.0, delay - spent)


def _answered(status: int, response: Any, replayable: bool) -> Outcome:  # noqa: FBT001
    return Outcome.answered(
        status,
        replayable=replayable,
        retry_after=response.headers.get("Retry-After"),
        date=response.headers.get("Date"),
        received_at=time.time(),
    )


def wait(seconds: float) -> None:
    """Pause a synchronous call."""
    time.sleep(seconds)


def _check_policy(retry: object) -> RetryPolicy:
    if isinstance(retry, RetryPolicy):
        return retry
    raise ConfigurationError(
        f"retry must be a RetryPolicy, not a {type(retry).__name__}; "
        f"for no retries, use RetryPolicy(attempts={NO_RETRIES.attempts})"
    )


def not_ours(auth: object) -> ConfigurationError:
    """The error for authentication of one call with which this client cannot sign.

    :param auth: what was given; only its type is shown, as it may hold a password. None: the user
        and password of the URL.
    """
    given = "the user and password of the URL" if auth is None else _kind_of(auth)
    return ConfigurationError(
        f"the auth of a call must be a LatticeAuth or SigV4Auth, not {given}: this "
        "client signs requests to this host, and sends no other credentials in place of the "
        "signature. Leave it out, call the host with a plain client of the library, or leave the "
        "host out of hosts=[…]"
    )


def _kind_of(auth: object) -> str:
    if isinstance(auth, type):
        return f"the class {auth.__name__} (give an object, {auth.__name__}(…))"
    return f"a {type(auth).__name__}"


def refuse_retries(name: str, given: object) -> None:
    """Refuse retries by the library itself: they would send the signature of one attempt again, and
    outside our retry policy.

    :raises ConfigurationError: if any retry is allowed.
    """
    # urllib3's Retry keeps its number in ``total``.
    if getattr(given, "total", given) not in (0, False):
        raise ConfigurationError(
            f"{name} would send one signature several times: leave it at 0, and set the number of "
            "attempts with retry=RetryPolicy(attempts=…)"
        )
