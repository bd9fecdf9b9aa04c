"""What a source says of a name besides its answer: why it knows nothing, and what would help.

``find`` returns None for a name that a source does not know, which says nothing of the reason: a
zone that may not be read, or records that lead to Lattice and elsewhere. :class:`Names` collects
these remarks during a look-up, and adds them to the answer that a name is not Lattice's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.names.endpoint import Endpoint

__all__ = ["collect_remarks", "doubted", "remark", "warn"]

_collected: ContextVar[list[str] | None] = ContextVar("lattice_client.names.remarks", default=None)


def remark(text: str) -> None:
    """Add a remark to the look-up in progress; no effect outside of one.

    :param text: a clause for people, which begins with the source's name. It is logged.
    """
    collected = _collected.get()
    if collected is not None and text not in collected:
        collected.append(text)


@contextmanager
def collect_remarks() -> Iterator[list[str]]:
    """The remarks of the look-up in the body of the ``with`` statement."""
    collected: list[str] = []
    token = _collected.set(collected)
    try:
        yield collected
    finally:
        _collected.reset(token)


def doubted(found: Endpoint, remarks: list[str]) -> Endpoint:
    """The answer that a name is not Lattice's, with what sources could not find out."""
    is_certain = found.reason in ("mixed addresses", "resource")
    return found._replace(
        source="; ".join((found.source, *remarks)),
        reason=found.reason if is_certain else "uncertain",
    )


def warn(text: str) -> None:
    """Log what a source cannot do. The caller sees to it that it is said once."""
    from lattice_client._log import get_logger  # deferred: most sources have nothing to say

    get_logger("names").warning("%s", text)
