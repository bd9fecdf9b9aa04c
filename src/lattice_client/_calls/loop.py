"""The sans-I/O retry loop of one call: signed attempts, remedies, and pauses between them.

Nearly every call ends with its first attempt, which is made directly. All that may follow is a
generator that yields steps, so that synchronous and asynchronous libraries share it. :func:`run`
and :func:`run_async` execute each step with the operations of a library.
"""

from __future__ import annotations

import os
import time
from collections.abc import Coroutine, Generator, Iterable
from contextlib import suppress
from typing import Any

from lattice_client._auth.recovery import FORBIDDEN, Remedy, Tried
from lattice_client._auth.request_signer import PATIENCE, RequestSigner
from lattice_client._auth.seen_hosts import SeenHosts
from lattice_client._calls.steps import CallSteps, LibraryOps, Step
from lattice_client._calls.watch import CallObserver
from lattice_client._run_steps import run, run_async
from lattice_client._wire.response_body import patience
from lattice_client._wire.unsigned_mark import unsigned_mark
from lattice_client.auth import LatticeAuth, SigV4Auth, request_signer
from lattice_client.errors import ConfigurationError
from lattice_client.events import NotSigned, Observer, Observers, error_name
from lattice_client.names import Resolver
from lattice_client.retry.policy import NO_RETRIES, Attempts, Decision, Outcome, RetryPolicy
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
        # What observers were told of requests that are not signed.
        self._told = SeenHosts()

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

    def note_unsigned(self, request: Any) -> None:
        """Tell observers, once for each host and reason, why a request goes out unsigned.

        :param request: the library's own.
        """
        if not self.observers.given:
            return  # the log says it
        unsigned = unsigned_mark(request)
        if unsigned is None or unsigned.reason == "said by the call":
            return  # no news
        if self._told.is_new(f"{unsigned.reason} {unsigned.host.lower()}"):
            self.observers.tell(NotSigned(*unsigned))

    def call(self, ops: LibraryOps, retry: object = None) -> Any:
        """Make one call.

        :param retry: a policy for this call alone. None: that of the client.
        :returns: the response.
        """
        return _Call(self, ops, self._policy(retry)).make()

    def call_async(self, ops: LibraryOps, retry: object = None) -> Coroutine[Any, Any, Any]:
        """As :meth:`call`, for a library whose operations are awaited."""
        return _Call(self, ops, self._policy(retry)).make_async()

    def _policy(self, retry: object) -> RetryPolicy:
        return self.retry if retry is None else _check_policy(retry)


class _Call:
    """One call: its attempts, and what comes between them. If an observer listens to attempts, the
    first one consists of steps too, which the observer follows."""

    # The number of the attempt that is ready.
    _number = 1
    # These are made when they are needed first.
    _attempts: Attempts | None = None
    _tried: Tried | None = None
    _observer: CallObserver | None = None

    def __init__(self, settings: CallSettings, ops: LibraryOps, policy: RetryPolicy) -> None:
        self._settings = settings
        self._ops = ops
        self._policy = policy
        self._began = time.monotonic()
        self._request_id = os.urandom(16).hex()
        self._attempt = ops.attempt(self._request_id)

    def make(self) -> Any:
        ops, attempt, delay = self._ops, self._attempt, None
        if self._settings.observers.follow_attempts():
            return run(self._observed_steps(), ops)
        ops.sign(attempt)
        try:
            response = ops.send(attempt)
        except Exception as error:
            response, delay = None, self._delay_after(error)
            if delay is None:
                raise
        else:
            if self._is_final(response):
                return response
        return run(self._other_steps(response, delay), ops)

    async def make_async(self) -> Any:
        """As :meth:`make`."""
        ops, attempt, delay = self._ops, self._attempt, None
        if self._settings.observers.follow_attempts():
            return await run_async(self._observed_steps(), ops)
        await ops.sign(attempt)
        try:
            response = await ops.send(attempt)
        except Exception as error:
            response, delay = None, self._delay_after(error)
            if delay is None:
                raise
        else:
            if self._is_final(response):
                return response
        return await run_async(self._other_steps(response, delay), ops)

    def _observed_steps(self) -> CallSteps:
        self._observer = self._observe()
        return self._observer.observe(self._steps())

    def _steps(self) -> CallSteps:
        """The attempt that is ready, and those that follow it."""
        while True:
            yield "sign", self._attempt
            delay = None
            try:
                response = yield "send", self._attempt
            except Exception as error:
                delay = self._delay_after(error)
                if delay is None:
                    raise
            else:
                if self._is_final(response) or not (yield from self._is_to_repeat(response)):
                    return response
            if delay is not None:
                yield "pause", delay
            self._begin_another()

    def _other_steps(self, response: Any, delay: float | None) -> CallSteps:
        """What follows a first attempt that may not be the last.

        :param response: its response, or None.
        :param delay: the seconds to wait where it failed.
        """
        if delay is not None:
            yield "pause", delay
        elif not (yield from self._is_to_repeat(response)):
            return response
        self._begin_another()
        return (yield from self._steps())

    def _begin_another(self) -> None:
        self._number += 1
        self._attempt = self._ops.attempt(self._request_id)

    def _is_final(self, response: Any) -> bool:
        """Whether a response is neither a refusal nor to be retried, as nearly every one."""
        status: int = self._ops.status(response)
        if status == FORBIDDEN or status in self._policy.statuses:
            return False
        self._settings.quotas.note_answer(self._attempt.host, status)
        return True

    def _is_to_repeat(self, response: Any) -> Generator[tuple[Step, Any], Any, bool]:
        """Whether another attempt follows a response, which then is discarded."""
        policy, status = self._policy, self._ops.status(response)
        if status == FORBIDDEN:
            remedy = yield from self._find_remedy(response)
            if remedy is not None:
                if observer := self._listening():
                    observer.remedy(self._number, remedy)
                return True
        if status not in policy.statuses:
            self._settings.quotas.note_answer(self._attempt.host, status)
            return False
        # Rewind first: if that fails, the response must still be there to return.
        replayable = self._attempt.rewind()
        decided = time.monotonic()
        decision = self._after(_answered(status, response, replayable), decided, status=status)
        if decision.delay is None:
            return False
        with suppress(Exception):
            yield "discard", (response, patience(policy.deadline, self._began))
        yield "pause", _remaining_pause(decision.delay, decided)
        return True

    def _delay_after(self, error: Exception) -> float | None:
        """The seconds to wait after a failure; None where it ends the call."""
        outcome = self._ops.outcome(error, self._attempt.rewind())
        if outcome is None:
            return None
        return self._after(outcome, time.monotonic(), error=error_name(error)).delay

    def _after(
        self, outcome: Outcome, now: float, *, status: int | None = None, error: str | None = None
    ) -> Decision:
        """What the retry policy says; observers are told."""
        attempt, attempts = self._attempt, self._attempts
        if attempts is None:
            self._attempts = attempts = self._policy.start(
                attempt.method,
                attempt.host,
                self._began,
                headers=attempt.request.headers,
                quotas=self._settings.quotas,
            )
        decision = attempts.after(outcome, now)
        if observer := self._listening():
            if decision.delay is None:
                observer.gave_up(decision)
            else:
                observer.retry(self._number, decision, status, error)
        return decision

    def _find_remedy(self, response: Any) -> Generator[tuple[Step, Any], Any, Remedy | None]:
        """The remedy for a 403, or None. With a remedy, the response is discarded."""
        deadline, began = self._policy.deadline, self._began
        self._tried = self._tried or Tried()
        body = yield "read", (response, patience(deadline, began))
        wait_at_most = patience(deadline, began, longest=PATIENCE)
        refusal = (self._attempt, response.headers, body, self._tried, wait_at_most)
        try:
            remedy: Remedy | None = yield "remedy", refusal
        except BaseException:  # a cancelled caller gets no response that it could close
            with suppress(Exception):
                yield "discard", (response, 0.0)
            raise
        if remedy is not None:
            with suppress(Exception):  # the response is of no use, closed or not
                yield "discard", (response, patience(deadline, began))
        return remedy

    def _listening(self) -> CallObserver | None:
        """The observer of this call; None where none listens to what comes between attempts."""
        if self._observer is None and self._settings.observers.kinds():
            self._observer = self._observe()
        return self._observer

    def _observe(self) -> CallObserver:
        return CallObserver(self._settings.observers, self._ops, self._attempt)


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
