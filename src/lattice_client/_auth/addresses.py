"""Which of a name's judged addresses a call connects to, and the next one if that fails.

A call that chooses its address is signed if that very address is VPC Lattice's. A call whose
connection is made by name may get any of the name's addresses: once a name is seen to move, that is
said.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from lattice_client._auth.seen_hosts import SeenHosts
from lattice_client._wire.request import SignableRequest
from lattice_client._wire.urls import split_port
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
        # By name: the last answer for calls by name.
        self._by_name: dict[str, Endpoint] = {}
        self._told = SeenHosts()

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

    def note_by_name(self, host: str, found: Endpoint) -> None:
        """Note the answer for a call whose connection is made by name, and say it once for each
        name that moves: the library may be given another address than those that were judged.

        :param host: the name that is called, with its port.
        :param found: an answer for callers by name.
        """
        before = self._by_name.get(host)
        if before is found:
            return
        if len(self._by_name) >= _MAX_NAMES:
            self._by_name.clear()
        self._by_name[host] = found
        if found.reason == "mixed addresses":
            self._told.is_new(host)  # the log of unsigned requests says it
        elif before and before.is_lattice != found.is_lattice and self._told.is_new(host):
            _log().warning(
                "%s moves to or from VPC Lattice, and calls to it are judged by %s; but this call "
                "connects by name and may reach another address: an auth hook of requests or "
                "httpx, a proxy and a transport of your own cannot be sent to the address that was "
                "judged. While it moves, use a client of lattice_client.requests, httpx, httpx2 or "
                "aiohttp. DnsNames(connect='name') accepts this without a word",
                split_port(host)[0],
                found.source,
            )


def _log() -> logging.Logger:
    from lattice_client._log import get_logger  # deferred: most processes log nothing

    return get_logger("names")
