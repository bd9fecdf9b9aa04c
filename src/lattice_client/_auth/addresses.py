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
        # By name: the address that the last call has reached.
        self._reached: dict[str, str | None] = {}

    def choose(self, found: Endpoint) -> Endpoint:
        """The answer with ``connect_to``, which is the first of its ``addresses``.

        :param found: an answer with ``addresses``.
        """
        chosen = self._chosen.get(found.host)
        if chosen is not None and chosen[0] is found:
            return chosen[1]
        return self._keep(found, chosen and chosen[1].connect_to)

    def _keep(self, found: Endpoint, preferred: str | None) -> Endpoint:
        first = preferred if preferred in found.addresses else found.addresses[0]
        others = (each for each in found.addresses if each != first)
        chosen = found._replace(connect_to=first, addresses=(first, *others))
        if len(self._chosen) >= _MAX_NAMES:
            self._chosen.clear()
        self._chosen[found.host] = found, chosen
        return chosen

    def send_steps(
        self,
        out: SignableRequest,
        endpoint: Endpoint,
        is_unconnected: Callable[[Exception], bool],
        *,
        find_first: bool = False,
    ) -> Generator[tuple[str, SignableRequest], Any, Any]:
        """Steps ``send_once``, one for each address of a request until one can be connected to.

        :param endpoint: the request's, with several addresses.
        :param is_unconnected: whether an error means that no connection was made.
        :param find_first: whether the library tries the addresses of a name at once. Then a step
            ``find_reachable`` comes first, unless the last call has reached the first address: it
            returns the one that answers first, or None.
        """
        name, addresses = endpoint.host, endpoint.addresses
        if find_first and self._reached.get(name) != addresses[0]:
            first = yield "find_reachable", out
            if first is not None and first != addresses[0]:
                addresses = (first, *(each for each in addresses if each != first))
                out.connect_to(addresses)
        reached = None
        try:
            while True:
                try:
                    response = yield "send_once", out
                except Exception as error:
                    addresses = addresses[1:]
                    if not (addresses and is_unconnected(error)):
                        raise
                    out.connect_to(addresses)
                else:
                    reached = addresses[0]
                    return response
        finally:
            self._note_reached(name, reached)

    def _note_reached(self, name: str, address: str | None) -> None:
        """Begin with this address the next time. None: with the same one, which may be dead."""
        if len(self._reached) >= _MAX_NAMES:
            self._reached.clear()
        self._reached[name] = address
        chosen = self._chosen.get(name)
        if address is not None and chosen is not None and chosen[1].connect_to != address:
            self._keep(chosen[0], address)

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
                "httpx, a proxy, a transport of your own and a resolver of your own cannot be sent "
                "to the address that was judged. While it moves, use a client of "
                "lattice_client.requests, httpx, httpx2 or aiohttp. DnsNames(connect='name') "
                "accepts this without a word",
                split_port(host)[0],
                found.source,
            )


def _log() -> logging.Logger:
    from lattice_client._log import get_logger  # deferred: most processes log nothing

    return get_logger("names")
