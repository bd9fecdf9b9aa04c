"""Assertions on the access log.

>>> from lattice_client.testing import LocalLattice
>>> lattice = LocalLattice()
>>> orders = lattice.add_service("orders")
>>> lattice.access.of("orders").never()

``of``, ``by`` and ``to`` select calls. The other methods assert that there are any, and something
of each of them. A failed assertion lists the calls that there were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args, overload

from lattice_client.testing.access_log import AccessRecord, FailureReason
from lattice_client.testing.model.callers import Caller
from lattice_client.testing.numbers import is_integer
from lattice_client.testing.wildcards import path_pattern, wildcard_match

if TYPE_CHECKING:
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.model.services import Service

__all__ = ["Calls", "DeniedBy"]

DeniedBy: TypeAlias = Literal["Service", "Network", "Identity"]

_MAX_LISTED = 20


class Calls(Sequence[AccessRecord]):
    """Calls in the access log, oldest first: a copy.

    :param words: how they were selected, for messages.
    :param among: the calls they were selected from, listed in messages if none is left.
    """

    def __init__(
        self,
        records: Sequence[AccessRecord],
        lattice: LocalLattice,
        words: str = "",
        among: Sequence[AccessRecord] | None = None,
    ) -> None:
        self._records = list(records)
        self._lattice = lattice
        self._words = words
        self._among = self._records if among is None else among

    @overload
    def __getitem__(self, index: int) -> AccessRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[AccessRecord]: ...
    def __getitem__(self, index: int | slice) -> AccessRecord | Sequence[AccessRecord]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[AccessRecord]:
        return iter(self._records)

    def __repr__(self) -> str:
        return f"<{len(self)} calls{self._words}:{_lines(self._records)}>"

    # Selecting

    def of(self, service: Service | str) -> Calls:
        """The calls of a service, given as a ``Service``, a name or a host name.

        :raises KeyError: if there is no such service.
        """
        found = self._lattice.service(service) if isinstance(service, str) else service
        return self._select(lambda record: record["serviceArn"] == found.arn, f"of {found.name}")

    def by(self, caller: Caller | str | None) -> Calls:
        """The calls of a caller, given as a ``Caller`` or a name; None for anonymous calls.

        :raises KeyError: if there is no such caller.
        """
        found = self._lattice.caller(caller) if isinstance(caller, str) else caller
        principal = found.principal if found else None
        return self._select(
            lambda record: record["callerPrincipal"] == principal,
            f"by {found.name if found else 'anonymous callers'}",
        )

    def to(self, path: str, *, method: str | None = None) -> Calls:
        """The calls to a path, in which ``*`` and ``?`` are wildcards.

        :param method: only those with this method.
        :raises ValueError: if the path has a query or begins with neither ``/`` nor a wildcard, or
            the method is not in capitals.
        """
        pattern = path_pattern(path)
        if method is not None and method != method.upper():
            raise ValueError(f"methods are in capitals: {method.upper()}, not {method!r}")
        return self._select(
            lambda record: (
                wildcard_match(pattern, str(record["requestPath"]))
                and method in (None, record["requestMethod"])
            ),
            f"to {path}" if method is None else f"to {method} {path}",
        )

    # Asserting

    def allowed(self) -> Calls:
        """Assert that each call was forwarded to a target."""
        __tracebackhide__ = True
        return self._check_each(lambda record: record["targetGroupArn"] is not None, "was allowed")

    def denied_by(self, layer: DeniedBy) -> Calls:
        """Assert that the policy of the ``Service``, ``Network`` or ``Identity`` denied each call.

        :raises ValueError: for another layer.
        """
        __tracebackhide__ = True
        _check_choice("layer", layer, get_args(DeniedBy))
        return self._check_each(
            lambda record: record["authDeniedReason"] == layer, f"was denied by {layer}"
        )

    def answered(self, status: int) -> Calls:
        """Assert that each call got this status.

        :raises ValueError: if it is not an int.
        """
        __tracebackhide__ = True
        if not is_integer(status):
            raise ValueError(f"a status is a number, not {status!r}")
        return self._check_each(lambda record: record["responseCode"] == status, f"got {status}")

    def failed(self, reason: FailureReason) -> Calls:
        """Assert that each call failed for this reason.

        :raises ValueError: for a reason that the access log does not have.
        """
        __tracebackhide__ = True
        _check_choice("reason", reason, get_args(FailureReason))
        return self._check_each(
            lambda record: record["failureReason"] == reason, f"failed by {reason}"
        )

    def once(self) -> Calls:
        """Assert that there is exactly one call."""
        __tracebackhide__ = True
        return self.times(1)

    def times(self, count: int) -> Calls:
        """Assert that there are ``count`` calls.

        :raises ValueError: if it is not an int.
        """
        __tracebackhide__ = True
        if not is_integer(count):
            raise ValueError(f"a count is a number, not {count!r}")
        if len(self) != count:
            shown = _lines(self._records or self._among)
            there_were = "" if self._records else "; there were"
            raise AssertionError(
                f"expected {_counted(count)}{self._words}, not {len(self)}{there_were}:{shown}"
            )
        return self

    def never(self) -> None:
        """Assert that there is no call."""
        __tracebackhide__ = True
        self.times(0)

    def _select(self, chosen: Callable[[AccessRecord], bool], words: str) -> Calls:
        records = [record for record in self._records if chosen(record)]
        return Calls(records, self._lattice, f"{self._words} {words}", self._among)

    def _check_each(self, holds: Callable[[AccessRecord], bool], words: str) -> Calls:
        __tracebackhide__ = True
        if not self._records:
            raise AssertionError(
                f"no call{self._words}: nothing {words}; there were:{_lines(self._among)}"
            )
        others = [record for record in self._records if not holds(record)]
        if others:
            raise AssertionError(
                f"expected that every call{self._words} {words}; of {len(self)}, "
                f"{len(others)} did not:{_lines(others)}"
            )
        return self


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise for a value that no record can have: a failed assertion would not say so."""
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, not {value!r}")


def _counted(count: int) -> str:
    return "no call" if not count else "1 call" if count == 1 else f"{count} calls"


def _lines(records: Sequence[AccessRecord]) -> str:
    lines = [_line(record) for record in records[:_MAX_LISTED]]
    if len(records) > _MAX_LISTED:
        lines.append(f"… and {len(records) - _MAX_LISTED} more")
    return "".join(f"\n  {line}" for line in lines) or " none"


def _line(record: AccessRecord) -> str:
    """A record in one line, without fields that may be secret."""
    who = record["callerPrincipal"] or record["resolvedUser"] or "Anonymous"
    denied = record["authDeniedReason"]
    reasons = [f"denied by {denied}" if denied else None, record["failureReason"]]
    why = ", ".join(str(reason) for reason in reasons if reason)
    return (
        f"{record['requestMethod']} {record['hostHeader']}{record['requestPath']} by {who}: "
        f"{record['responseCode'] or 'no answer'}{f' ({why})' if why else ''}"
    )
