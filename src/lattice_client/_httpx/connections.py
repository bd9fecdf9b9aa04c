"""The clients of httpx and httpx2: connections to an address that is not the URL's host.

Their pools keep connections by the URL's host alone. So each name that is reached at addresses has
a separate pool, which connects to these, and its calls keep their URL. A name that moves has two
pools: one for the addresses that are VPC Lattice's, and one for others.

Through a transport of the caller's, the URL names the address, and its connections are SNI's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from lattice_client._httpx.network import AsyncNetwork, Network
from lattice_client._wire.httpx import HttpxRequest
from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint

__all__ = ["HttpxAttempt", "TransportPool", "maker", "with_context"]

# Extensions of a request: the library's, for SNI and certificate, and ours, a _Destination.
_SNI = "sni_hostname"
_DESTINATION = "lattice_destination"

# With this many names, idle pools are closed.
_MAX_NAMES = 64
# With this many addresses called through a transport of the caller's, entries are dropped.
_MAX_ADDRESSES = 4096


class _Destination(NamedTuple):
    """Where the connection of a request goes.

    :param pool: what tells the pools of one name apart: whether its addresses are Lattice's, or
        the only address and its port.
    """

    name: str
    pool: object
    addresses: tuple[str, ...]
    port: int | None


class HttpxAttempt(HttpxRequest):
    """A private copy of a request, so its URL may differ from the caller's.

    :param can_connect_to_address: see :attr:`TransportPool.connects_to_addresses`.
    """

    __slots__ = ("_can_connect_to_address",)

    def __init__(self, request: Any, *, can_connect_to_address: bool) -> None:
        super().__init__(request)
        self._can_connect_to_address = can_connect_to_address

    def can_connect_to_address(self) -> bool:
        return self._can_connect_to_address

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        name, judged = endpoint.host, endpoint.addresses
        there = (
            _Destination(name, endpoint.is_lattice, judged, port)
            if judged
            else _Destination(name, (address, port), (address,), port)
        )
        if not self._can_connect_to_address:
            self.set_url_host(address, port)
        self.request.extensions = {
            **self.request.extensions,
            _SNI: name,
            _DESTINATION: there,
        }


class _NamedTransport:
    """The transport of one name, and the number of requests that are being sent through it.

    As a context manager it stands for one of these requests.
    """

    def __init__(self, transport: Any, there: _Destination, lock: threading.Lock) -> None:
        self.transport = transport
        self.sending = 0
        self._lock = lock
        kind = AsyncNetwork if hasattr(transport, "handle_async_request") else Network
        pool = transport._pool  # noqa: SLF001 a transport takes no network backend
        network = kind(pool._network_backend, there.addresses, there.port)  # noqa: SLF001
        pool._network_backend = network  # noqa: SLF001
        self.lead_to = network.lead_to

    def __enter__(self) -> Any:
        return self.transport

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.sending -= 1

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress; a response that is being read keeps a connection busy."""
        pool = getattr(self.transport, "_pool", None)
        connections = getattr(pool, "connections", None)
        return (
            not self.sending
            and connections is not None
            and all(one.is_idle() or one.is_closed() for one in connections)
        )


class TransportPool:
    """One transport for all requests, and others for each name that is reached at addresses.

    :param first: the transport for all other requests.
    :param make: makes another transport like it. None: ``first`` is the caller's, or no names are
        resolved.
    """

    def __init__(self, first: Any, make: Callable[[], Any] | None) -> None:
        self.first = first
        self._use_first = nullcontext(first)
        self._make = make
        pool = getattr(first, "_pool", None)
        self._has_proxy = "Proxy" in type(pool).__name__
        # Whether requests may be sent to another address than their name's: not through a proxy,
        # and not through a transport of the caller's, which would mix up the names at one address.
        by_network = not self._has_proxy and hasattr(pool, "_network_backend")
        self._make_named = make if by_network else None
        self.connects_to_addresses = self._make_named is not None
        self._of_name: dict[tuple[str, object], _NamedTransport] = {}
        # Those whose name has moved to other addresses, until they are idle.
        self._former: list[_NamedTransport] = []
        self._retired: list[Any] = []
        # The name that the caller's transport has connections for at an address.
        self._names: dict[tuple[str, int | None], str] = {}
        self._lock = threading.Lock()

    def acquire(self, request: Any) -> AbstractContextManager[Any]:
        """The transport for a request, until the response begins.

        :raises ConfigurationError: if the caller's transport would mix up two names, or uses a
            proxy.
        """
        there: _Destination | None = request.extensions.get(_DESTINATION)
        if there is None:
            if self._make is None and request.url.scheme == "https":
                # The URL's host may be the address of another name.
                self._reserve(request.url.host, request)
            return self._use_first
        if self._has_proxy:
            raise ConfigurationError(
                f"{there.name!r} has an address to connect to, {there.addresses[0]!r} "
                "(connect_to), and a proxy: one of them has to go"
            )
        if self._make_named is None:
            if request.url.scheme == "https":
                self._reserve(there.name, request)
            return self._use_first
        with self._lock:
            if self._former:
                self._retire_former()
            key = there.name, there.pool
            named = self._of_name.get(key)
            if named is not None and not named.lead_to(there.addresses):
                self._former.append(named)
                named = None
            if named is None:
                if len(self._of_name) >= _MAX_NAMES:
                    self._retire()
                named = _NamedTransport(self._make_named(), there, self._lock)
                self._of_name[key] = named
            named.sending += 1
            return named

    def _reserve(self, name: str, request: Any) -> None:
        """Reserve the address for the first name; raise for any other."""
        address = request.url.host, request.url.port
        with self._lock:
            if len(self._names) >= _MAX_ADDRESSES:
                # Drop hosts that are called by their own names: most have no connection left.
                self._names = {at: owner for at, owner in self._names.items() if owner != at[0]}
            owner = self._names.setdefault(address, name)
        if owner != name:
            raise ConfigurationError(
                f"{name!r} and {owner!r} have one address to connect to, {address[0]!r} "
                "(connect_to), and would share TLS connections in your own transport: leave "
                "transport=… out, so that each name gets its own"
            )

    def _retire(self) -> None:
        idle = [key for key, named in self._of_name.items() if named.idle]
        self._retired += [self._of_name.pop(key).transport for key in idle]

    def _retire_former(self) -> None:
        self._retired += [named.transport for named in self._former if named.idle]
        self._former = [named for named in self._former if not named.idle]

    def retired(self) -> list[Any]:
        """The transports that are no longer used, for the caller to close; nearly always none."""
        if not self._retired:
            return []
        with self._lock:
            retired, self._retired = self._retired, []
            return retired

    def others(self) -> list[Any]:
        """The transports that were made here, for the caller to close."""
        with self._lock:
            named = (*self._former, *self._of_name.values())
            return [*self._retired, *(each.transport for each in named)]


# The arguments that a client passes to the transport that it makes.
_TRANSPORT_ARGUMENTS = ("verify", "trust_env", "http1", "http2", "limits")


def with_context(library: ModuleType, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a transport or client, with the TLS context that it would make of them. All
    transports share this context, so that an event loop never waits for another to be made."""
    tls = {name: arguments[name] for name in ("verify", "cert", "trust_env") if name in arguments}
    others = {name: value for name, value in arguments.items() if name != "cert"}
    return {**others, "verify": library.create_ssl_context(**tls)}


def maker(kind: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[], Any]:
    """A function that makes transports of this kind, as a client with these arguments does."""
    return partial(
        kind, **{name: arguments[name] for name in _TRANSPORT_ARGUMENTS if name in arguments}
    )
