"""Faults on demand: what a caller must survive, made to happen.

>>> from lattice_client.testing import LocalLattice
>>> lattice = LocalLattice()
>>> orders = lattice.add_service("orders")
>>> with lattice.faults.status(503, times=2, service="orders") as fault:
...     ...  # the next two calls of orders get a 503; the third passes
...     fault.struck
0

Each fault lasts until its context is left, or ``remove()`` or ``lattice.faults.clear()`` is called.
All but the limits of connections, ``idle`` and ``lifetime``, may be narrowed:

- ``times``: to the next so many calls that it can strike;
- ``fraction``: to a part of all calls, drawn by ``lattice.faults.random``, which is seeded;
- ``service``: to a service that there is, by name or host name;
- ``path``: to a path, without its query, ``*`` and ``?`` being wildcards.

What makes no sense, such as a negative latency, is a ``ValueError`` at once, and a service that
there is not a ``KeyError``.

A call is verified and authorised first, as any other. One that is refused (403, 404) is refused as
ever: no fault strikes it, and none counts it. ``clock_skew`` and ``path_encoding`` alone are about
the verification itself: they strike, and count, whatever arrives. Several faults may strike the
same call, and each has its record in the access log.
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
    Effect,
    Latency,
    Limit,
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
# Over 300 years: what is that far off has still a date, and a header.
_FAR_OFF: Final = 10**10


class Which(TypedDict, total=False):
    """Which calls a fault strikes; see the module."""

    times: int
    fraction: float
    service: str
    path: str


class Fault:
    """A fault that is in force until its context is left, ``remove()``, or its last call.

    ``struck`` is the number of calls that it has struck; limits of connections strike none.
    """

    def __init__(self, faults: Faults, effect: Effect, which: Which) -> None:
        unknown = which.keys() - Which.__annotations__.keys()
        if unknown:
            known = ", ".join(Which.__annotations__)
            raise TypeError(f"a fault takes {known}, not {', '.join(unknown)}")
        times, fraction = which.get("times"), which.get("fraction", 1.0)
        service, path = which.get("service"), which.get("path")
        if times is not None and not (is_integer(times) and times >= 1):
            raise ValueError(f"times is 1 or more, a whole number, not {times!r}")
        if not (is_number(fraction) and 0 < fraction <= 1):
            raise ValueError(f"fraction is more than 0 and at most 1, not {fraction!r}")
        if service is not None and not isinstance(service, str):
            raise ValueError(f"service is a service's name or host name, not {service!r}")
        self.effect = effect
        self.struck = 0
        self._faults = faults
        self._times = times
        self._fraction = fraction
        # A name that nothing answers to would never strike, and nobody would know.
        self._service = None if service is None else faults.service(service)
        self._path = None if path is None else path_pattern(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return f"<Fault {type(self.effect).__name__}, struck {self.struck} times>"

    def remove(self) -> None:
        """End it; nothing happens if it has ended."""
        self._faults.remove(self)

    def strikes(self, service: Service | None, path: str, chance: Callable[[], float]) -> bool:
        """Whether a call is struck; it is counted if so."""
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

    :param service: gives the service of a name or host name, or raises a ``KeyError``.
    """

    def __init__(self, service: Callable[[str], Service]) -> None:
        self.service = service
        #: Draws for ``fraction``; give it another seed for another order of events.
        self.random = random.Random(0)  # noqa: S311 - it is to be repeatable
        #: What connections are held to, also where no fault is asked for; ``idle()`` and
        #: ``lifetime()`` change it.
        self.connections = ConnectionLimits()
        self._lock = threading.Lock()
        self._faults: tuple[Fault, ...] = ()
        # The limits of connections for the time when no fault sets them.
        self._usual: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Faults {list(self._faults)}>"

    # Faults of calls

    def latency(self, seconds: float, **which: Unpack[Which]) -> Fault:
        """Wait before the target is called."""
        return self._add(Latency(_seconds(seconds, endless=True)), which)

    def status(self, status: int, **which: Unpack[Which]) -> Fault:
        """Answer with an error in the target's place, such as 500, 502, 503 or 504."""
        if not is_integer(status) or status not in _ERRORS:
            raise ValueError(f"status is an error, 400 to 599, not {status!r}")
        return self._add(Answer(status), which)

    def throttle(
        self, *, status: int = 429, retry_after: float | None = 1, **which: Unpack[Which]
    ) -> Fault:
        """Answer with 429, or 503, and ``Retry-After`` in seconds; None sends no such header."""
        if not is_integer(status) or status not in _THROTTLING:
            raise ValueError(f"status is 429 or 503, not {status!r}")
        if retry_after is not None:
            _seconds(retry_after, "retry_after")
        return self._add(Answer(status, retry_after, failure="ClientRateLimited"), which)

    def reset(self, stage: Stage = "before head", **which: Unpack[Which]) -> Fault:
        """Reset the connection.

        :param stage: ``before head``: without a byte of the response, and without the target.
            ``mid head``: after a part of a head. ``mid body``: after half of the target's first
            piece of body, or after the head where there is no body. In-process there is no
            connection: a ``ConnectionResetError`` stands for it.
        """
        if stage not in ("before head", "mid head", "mid body"):
            raise ValueError(f"stage is 'before head', 'mid head' or 'mid body', not {stage!r}")
        return self._add(Reset(stage), which)

    def slow_body(self, seconds: float, *, chunk: int = 1024, **which: Unpack[Which]) -> Fault:
        """Send the response's body in pieces of ``chunk`` bytes, with ``seconds`` after each."""
        if not (is_integer(chunk) and chunk >= 1):
            raise ValueError(f"chunk is 1 byte or more, a whole number, not {chunk!r}")
        return self._add(SlowBody(_seconds(seconds), chunk), which)

    def clock_skew(self, seconds: float, **which: Unpack[Which]) -> Fault:
        """Verify, and date the response, by a clock that is ahead (negative: behind)."""
        return self._add(VerifierOverride(skew=_seconds(seconds, least=-_FAR_OFF)), which)

    def path_encoding(self, path_encoding: PathEncoding, **which: Unpack[Which]) -> Fault:
        """Read paths as ``double``, ``double-raw`` or ``single`` when signatures are verified."""
        return self._add(VerifierOverride(path_encoding=check_path_encoding(path_encoding)), which)

    # Limits of connections

    def idle(self, seconds: float) -> Fault:
        """Close connections that are idle for so long; 60 s by default."""
        return self._add(Limit("idle", _seconds(seconds, endless=True)), {})

    def lifetime(self, seconds: float) -> Fault:
        """Close connections that are made from now on after so long, whatever they do; 600 s by
        default."""
        return self._add(Limit("lifetime", _seconds(seconds, endless=True)), {})

    # What is in force

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._set(())

    def remove(self, fault: Fault) -> None:
        """End one fault; nothing happens if it has ended."""
        with self._lock:
            self._set(tuple(each for each in self._faults if each is not fault))

    def strike(self, scope: Scope, services: tuple[Service, ...]) -> ActiveFaults:
        """What a call has coming; those faults that strike on arrival are counted.

        :param services: those of the service network that it came in through.
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
            later=lambda: effects(on_arrival=False),
        )

    def _add(self, effect: Effect, which: Which) -> Fault:
        fault = Fault(self, effect, which)
        with self._lock:
            self._set((*self._faults, fault))
        return fault

    def _set(self, faults: tuple[Fault, ...]) -> None:
        before, self._faults = self._faults, faults
        if not any(isinstance(fault.effect, Limit) for fault in {*before} ^ {*faults}):
            return
        limits = [fault.effect for fault in faults if isinstance(fault.effect, Limit)]
        for name in ("idle", "lifetime"):
            seconds = [limit.seconds for limit in limits if limit.name == name]
            if seconds:
                self._usual.setdefault(name, getattr(self.connections, name))
                setattr(self.connections, name, seconds[-1])
            elif name in self._usual:
                setattr(self.connections, name, self._usual.pop(name))


class ActiveFaults:
    """What one call has coming.

    :param effects: of the faults that struck it on arrival.
    :param later: gives those of the faults that strike it once it is let through.
    """

    def __init__(
        self,
        effects: Sequence[Effect],
        connection: Connection,
        later: Callable[[], Sequence[Effect]] | None = None,
    ) -> None:
        self._connection = connection
        self._later = later
        self._is_cut = False
        self._missing: ConnectionCutError | None = None
        # Several may add up to a time that no calendar has.
        self._skew = min(max(-_FAR_OFF, sum(effect.skew for effect in effects)), _FAR_OFF)
        encodings: list[PathEncoding] = [
            effect.path_encoding for effect in effects if effect.path_encoding
        ]
        self._path_encoding: PathEncoding | None = encodings[-1] if encodings else None

    def clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """The clock that the call is judged by."""
        return clock if not self._skew else lambda: clock() + self._skew

    def verifier(self, verifier: Verifier) -> Verifier:
        """The verifier that judges the call."""
        if not self._skew and self._path_encoding is None:
            return verifier
        return verifier.variant(clock=self.clock, path_encoding=self._path_encoding)

    async def instead(self, exchange: Exchange) -> bool:
        """Done when the call is let through, before the target is called; whether that is not to
        be called any more."""
        effects = self._later() if self._later is not None else ()
        for effect in effects:
            exchange.altered = effect.wrap(exchange.altered or exchange.pass_on, self._cut)
        for effect in effects:
            if await effect.instead(exchange):
                return True
        return False

    async def settle(self, exchange: Exchange) -> None:
        """Done when the target has returned.

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
    """The value, if it is a number of seconds in the range; if ``endless``, infinity is, too.

    :raises ValueError: if it is none.
    """
    # NaN is in no range.
    if is_number(value) and (least <= value <= _FAR_OFF or (endless and value == math.inf)):
        return value
    raise ValueError(f"{name} is a number of seconds from {least} to {_FAR_OFF}, not {value!r}")
