"""Faults on demand: failures that a caller must survive.

>>> from lattice_client.testing import LocalLattice
>>> lattice = LocalLattice()
>>> orders = lattice.add_service("orders")
>>> with lattice.faults.status(503, times=2, service="orders") as fault:
...     ...  # the next two calls of orders get a 503; the third passes
...     fault.struck
0

A fault lasts until its context is left, or ``remove()`` or ``lattice.faults.clear()`` is called.
All but the limits of connections, ``idle`` and ``lifetime``, can be limited:

- ``times``: to that many calls;
- ``fraction``: to a fraction of all calls, drawn by ``lattice.faults.random``, which is seeded;
- ``service``: to an existing service, by name or host name;
- ``path``: to a path without its query, in which ``*`` and ``?`` are wildcards.

An impossible value, such as a negative latency, raises ``ValueError`` at once; an unknown service
raises ``KeyError``.

A call is verified and authorised first. A call that is refused (403, 404) is neither struck nor
counted. Only ``clock_skew`` and ``path_encoding``, which concern the verification, strike and count
every call. Several faults may strike the same call. Each call has its record in the access log.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self, TypedDict

from lattice_client.testing.asgi import Scope
from lattice_client.testing.data_plane.connection import (
    Connection,
    ConnectionCutError,
    ConnectionLimits,
)
from lattice_client.testing.faults.effects import (
    Answer,
    ConnectionLimit,
    Effect,
    Latency,
    Reset,
    SlowBody,
    Stage,
    VerifierOverride,
    until_disconnected,
)
from lattice_client.testing.model.services import service_at
from lattice_client.testing.numbers import is_integer, is_number
from lattice_client.testing.verification.canonical import (
    PathEncoding,
    check_path_encoding,
    header_values,
)
from lattice_client.testing.wildcards import path_pattern, wildcard_match

if TYPE_CHECKING:
    from typing import Unpack

    from lattice_client.testing.data_plane.exchange import Exchange
    from lattice_client.testing.model.services import Service
    from lattice_client.testing.verification.verifier import Verifier

__all__ = ["ActiveFaults", "Fault", "Faults", "Stage", "Which"]

_THROTTLING: Final = (429, 503)
_ERRORS: Final = range(400, 600)
# Over 300 years: a time that far off still has a date, which fits a header.
_MAX_SECONDS: Final = 10**10


class Which(TypedDict, total=False):
    """Which calls a fault strikes; see the module's documentation."""

    times: int
    fraction: float
    service: str
    path: str


class Fault:
    """A fault in force until its context is left, it is removed, or its ``times`` are over.

    ``struck`` is the number of calls it has struck; limits of connections strike none.
    """

    def __init__(self, faults: Faults, effect: Effect, which: Which) -> None:
        unknown = which.keys() - Which.__annotations__.keys()
        if unknown:
            known = ", ".join(Which.__annotations__)
            raise TypeError(f"a fault takes {known}, not {', '.join(unknown)}")
        times, fraction = which.get("times"), which.get("fraction", 1.0)
        service, path = which.get("service"), which.get("path")
        if times is not None and not (is_integer(times) and times >= 1):
            raise ValueError(f"times must be a whole number of at least 1, not {times!r}")
        if not (is_number(fraction) and 0 < fraction <= 1):
            raise ValueError(f"fraction must be more than 0 and at most 1, not {fraction!r}")
        if service is not None and not isinstance(service, str):
            raise ValueError(f"service must be a service's name or host name, not {service!r}")
        self.effect = effect
        self.struck = 0
        self._faults = faults
        self._times = times
        self._fraction = fraction
        # Looked up now: a fault for an unknown name would never strike, unnoticed.
        self._service = None if service is None else faults.service(service)
        self._path = None if path is None else path_pattern(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<Fault {type(self.effect).__name__}, struck {self.struck} times>"

    def remove(self) -> None:
        """End the fault. Do nothing if it has ended."""
        self._faults.remove(self)

    def strikes(self, service: Service | None, path: str, chance: Callable[[], float]) -> bool:
        """Whether a call is struck. If so, count it."""
        if self._times is not None and self.struck >= self._times:
            return False
        if self._service is not None and service is not self._service:
            return False
        if self._path is not None and not wildcard_match(self._path, path):
            return False
        if self._fraction < 1 and chance() >= self._fraction:
            return False
        self.struck += 1
        return True


class Faults:
    """The faults of one local Lattice, ``lattice.faults``.

    :param service: returns the service of a name or host name, or raises ``KeyError``.
    """

    def __init__(self, service: Callable[[str], Service]) -> None:
        self.service = service
        #: Draws for ``fraction``; give it another seed for another order of events.
        self.random = random.Random(0)  # noqa: S311 - must be repeatable
        #: The limits of connections, also without a fault; ``idle()`` and ``lifetime()`` change it.
        self.connections = ConnectionLimits()
        self._lock = threading.Lock()
        self._faults: tuple[Fault, ...] = ()
        # The limits to restore when no fault sets them any more.
        self._default_limits: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Faults {list(self._faults)}>"

    # Faults of calls

    def latency(self, seconds: float, **which: Unpack[Which]) -> Fault:
        """Wait before the target is called."""
        return self._add(Latency(_seconds(seconds, endless=True)), which)

    def status(self, status: int, **which: Unpack[Which]) -> Fault:
        """Answer with an error in the target's place, such as 500, 502, 503 or 504."""
        if not is_integer(status) or status not in _ERRORS:
            raise ValueError(f"status must be an error, 400 to 599, not {status!r}")
        return self._add(Answer(status), which)

    def throttle(
        self, *, status: int = 429, retry_after: float | None = 1, **which: Unpack[Which]
    ) -> Fault:
        """Answer with 429 or 503, and ``Retry-After`` in seconds; None omits that header."""
        if not is_integer(status) or status not in _THROTTLING:
            raise ValueError(f"status must be 429 or 503, not {status!r}")
        if retry_after is not None:
            _seconds(retry_after, "retry_after")
        return self._add(Answer(status, retry_after, failure="ClientRateLimited"), which)

    def reset(self, stage: Stage = "before head", **which: Unpack[Which]) -> Fault:
        """Reset the connection.

        :param stage: ``before head``: before the first byte of the response, without calling the
            target. ``mid head``: after a part of a head. ``mid body``: after half of the target's
            first body part, or after the head if there is no body. In-process, where there is no
            connection, a ``ConnectionResetError`` is raised.
        """
        if stage not in ("before head", "mid head", "mid body"):
            raise ValueError(
                f"stage must be 'before head', 'mid head' or 'mid body', not {stage!r}"
            )
        return self._add(Reset(stage), which)

    def slow_body(self, seconds: float, *, chunk: int = 1024, **which: Unpack[Which]) -> Fault:
        """Send the response's body in parts of ``chunk`` bytes, and wait ``seconds`` after each."""
        if not (is_integer(chunk) and chunk >= 1):
            raise ValueError(f"chunk must be a whole number of at least 1 byte, not {chunk!r}")
        return self._add(SlowBody(_seconds(seconds), chunk), which)

    def clock_skew(self, seconds: float, **which: Unpack[Which]) -> Fault:
        """Verify and date responses by a clock that is ``seconds`` ahead (negative: behind)."""
        return self._add(VerifierOverride(skew=_seconds(seconds, least=-_MAX_SECONDS)), which)

    def path_encoding(self, path_encoding: PathEncoding, **which: Unpack[Which]) -> Fault:
        """Read paths as ``double``, ``double-raw`` or ``single`` when signatures are verified."""
        return self._add(VerifierOverride(path_encoding=check_path_encoding(path_encoding)), which)

    # Limits of connections

    def idle(self, seconds: float) -> Fault:
        """Close connections that are idle for ``seconds``; 60 s by default."""
        return self._add(ConnectionLimit("idle", _seconds(seconds, endless=True)), {})

    def lifetime(self, seconds: float) -> Fault:
        """Close connections made from now on after ``seconds``, also during a request; 600 s by
        default."""
        return self._add(ConnectionLimit("lifetime", _seconds(seconds, endless=True)), {})

    # The faults in force

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._set(())

    def remove(self, fault: Fault) -> None:
        """End one fault. Do nothing if it has ended."""
        with self._lock:
            self._set(tuple(each for each in self._faults if each is not fault))

    def strike(self, scope: Scope, services: tuple[Service, ...]) -> ActiveFaults:
        """The faults that strike a call. Those that strike on arrival are counted.

        :param services: those of the service network that the call came in through.
        """
        if not self._faults:
            return _NONE
        hosts = header_values(scope["headers"], "host")
        service = service_at(hosts[0].decode("latin-1"), services) if hosts else None
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")

        def effects(*, on_arrival: bool) -> list[Effect]:
            with self._lock:
                return [
                    fault.effect
                    for fault in self._faults
                    if fault.effect.on_arrival == on_arrival
                    and fault.strikes(service, path, self.random.random)
                ]

        return ActiveFaults(
            effects(on_arrival=True),
            Connection.of(scope),
            when_admitted=lambda: effects(on_arrival=False),
        )

    def _add(self, effect: Effect, which: Which) -> Fault:
        fault = Fault(self, effect, which)
        with self._lock:
            self._set((*self._faults, fault))
        return fault

    def _set(self, faults: tuple[Fault, ...]) -> None:
        before, self._faults = self._faults, faults
        if not any(isinstance(fault.effect, ConnectionLimit) for fault in {*before} ^ {*faults}):
            return
        limits = [fault.effect for fault in faults if isinstance(fault.effect, ConnectionLimit)]
        for name in ("idle", "lifetime"):
            seconds = [limit.seconds for limit in limits if limit.name == name]
            if seconds:
                self._default_limits.setdefault(name, getattr(self.connections, name))
                setattr(self.connections, name, seconds[-1])
            elif name in self._default_limits:
                setattr(self.connections, name, self._default_limits.pop(name))


class ActiveFaults:
    """The faults that strike one call.

    :param effects: of the faults that struck it on arrival.
    :param when_admitted: returns the effects of those that strike it when it is admitted.
    """

    def __init__(
        self,
        effects: Sequence[Effect],
        connection: Connection,
        when_admitted: Callable[[], Sequence[Effect]] | None = None,
    ) -> None:
        self._connection = connection
        self._when_admitted = when_admitted
        self._is_cut = False
        self._missing: ConnectionCutError | None = None
        # The sum of several may exceed the range of dates.
        self._skew = min(max(-_MAX_SECONDS, sum(effect.skew for effect in effects)), _MAX_SECONDS)
        encodings: list[PathEncoding] = [
            effect.path_encoding for effect in effects if effect.path_encoding
        ]
        self._path_encoding: PathEncoding | None = encodings[-1] if encodings else None

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """The clock to verify the call by."""
        return clock if not self._skew else lambda: clock() + self._skew

    def verifier(self, verifier: Verifier) -> Verifier:
        """The verifier for the call."""
        if not self._skew and self._path_encoding is None:
            return verifier
        return verifier.variant(clock=self.clock, path_encoding=self._path_encoding)

    async def before_target(self, exchange: Exchange) -> bool:
        """Act on an admitted call. Return True if the target must not be called."""
        effects = self._when_admitted() if self._when_admitted is not None else ()
        for effect in effects:
            exchange.fault_send = effect.wrap(exchange.fault_send or exchange.pass_on, self._cut)
        for effect in effects:
            if await effect.before_target(exchange):
                return True
        return False

    async def after_target(self, exchange: Exchange) -> None:
        """Act when the target has returned.

        :raises ConnectionCutError: in-process, if the response was cut.
        """
        if self._missing is not None:
            raise self._missing
        if self._is_cut:
            await until_disconnected(exchange)

    def _cut(self) -> None:
        self._is_cut = True
        try:
            self._connection.reset()
        except ConnectionCutError as missing:
            # Raised here the target would get it, and might swallow it.
            self._missing = missing


_NONE = ActiveFaults((), Connection())


def _seconds(
    value: float, name: str = "seconds", *, least: float = 0, endless: bool = False
) -> float:
    """The value, if it is a number of seconds in the range, or infinity if ``endless``.

    :raises ValueError: if it is not.
    """
    # NaN is outside every range.
    if is_number(value) and (least <= value <= _MAX_SECONDS or (endless and value == math.inf)):
        return value
    raise ValueError(
        f"{name} must be a number of seconds from {least} to {_MAX_SECONDS}, not {value!r}"
    )
