"""Which of a name's judged addresses a call connects to, and the next one if that fails.

A call that chooses its address is signed if that very address is VPC Lattice's. A call whose
connection is made by name may get any of the name's addresses: that is said once for each name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from lattice_client._wire.request import SignableRequest
from lattice_client.names import Endpoint

if TYPE_CHECKING:
    import logging

__all__ = ["AddressChoice"]

# A program calls few names. With more, all are forgotten.
_MAX_NAMES = 4096


class AddressChoice:
    """The addresses that the calls of one auth object or client connect to.

    A name keeps its address for as long as that is among its answers, and so its connections.
    """

    def __init__(self) -> None:
        # By name: the answer, and the same at the address that was chosen.
        self._chosen: dict[str, tuple[Endpoint, Endpoint]] = {}
        self._warned: set[str] = set()

    def choose(self, found: Endpoint) -> Endpoint:
        """The answer with ``connect_to``; its ``addresses`` are those to try after that.

        :param found: an answer with ``addresses``.
        """
        chosen = self._chosen.get(found.host)
        if chosen is not None and chosen[0] is found:
            return chosen[1]
        return self._keep(found, chosen and chosen[1].connect_to)

    def _keep(self, found: Endpoint, preferred: str | None) -> Endpoint:
        first = preferred if preferred in found.addresses else found.addresses[0]
        others = tuple(each for each in found.addresses if each != first)
        chosen = found._replace(connect_to=first, addresses=others)
        if len(self._chosen) >= _MAX_NAMES:
            self._chosen.clear()
        self._chosen[found.host] = found, chosen
        return chosen

    def send_steps(
        self, out: SignableRequest, is_unconnected: Callable[[Exception], bool]
    ) -> Generator[tuple[str, SignableRequest], Any, Any]:
        """Steps ``send_once``, one for each address of a request until one can be connected to.

        :param is_unconnected: whether an error means that no connection was made.
        """
        while True:
            try:
                response = yield "send_once", out
            except Exception as error:
                if not (is_unconnected(error) and out.connect_to_next()):
                    raise
            else:
                self._prefer(out.endpoint)
                return response

    def _prefer(self, reached: Endpoint | None) -> None:
        """Begin with this address the next time."""
        chosen = self._chosen.get(reached.host) if reached else None
        if reached and chosen and chosen[1].connect_to != reached.connect_to:
            self._keep(chosen[0], reached.connect_to)

    def warn_of_names(self, found: Endpoint) -> None:
        """Say once for each name that its calls are judged by all its addresses.

        :param found: an answer for callers by name.
        """
        name = found.host
        if name in self._warned or len(self._warned) >= _MAX_NAMES:
            return
        mixed = found.reason == "mixed addresses"
        if not (found.is_lattice or mixed):
            return
        self._warned.add(name)
        _log().warning(
            "%s %s, but this call connects by name and may reach another address: an auth hook of "
            "requests or httpx, a proxy and a transport of your own cannot be sent to the address "
            "that was judged. While the name moves to or from VPC Lattice, use a client of "
            "lattice_client.requests, httpx, httpx2 or aiohttp. "
            "DnsNames(connect='name') accepts this without a word",
            name,
            f"is not signed for ({found.source})" if mixed else "is signed for",
        )


def _log() -> logging.Logger:
    from lattice_client._log import get_logger  # deferred: most processes log nothing

    return get_logger("names")
