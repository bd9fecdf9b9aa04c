"""The second level of httpx and httpx2: connections to an address that is not the URL's host.

Their pools hold connections by the URL's host alone. So each name that is spoken to over TLS at
another address has a pool of its own: two names at one address would else share connections, with
the SNI of whichever came first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from lattice_client._wire.httpx import HttpxRequest
from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint

__all__ = ["Attempt", "TransportPool", "maker", "with_context"]

# Extensions of a request: the library's own for SNI and certificate, and ours, which says that it
# was us who set it.
_SNI = "sni_hostname"
_NAME = "lattice_name"

# So many names, and then the pools that are idle are given up.
_MANY = 64
# And so many hosts that the caller's own transport has called.
_MANY_ADDRESSES = 4096


class Attempt(HttpxRequest):
    """A request that nobody else sees, so its URL may be another than the caller's."""

    __slots__ = ()

    def set_connect_address(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        self.set_url_host(address, port)
        name = endpoint.host
        self.request.extensions = {**self.request.extensions, _SNI: name, _NAME: name}


class _Own:
    """A transport of one name, and how many requests are being sent through it."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.sending = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is under way; an answer that is still read keeps its connection busy."""
        pool = getattr(self.transport, "_pool", None)
        connections = getattr(pool, "connections", None)
        return (
            not self.sending
            and connections is not None
            and all(one.is_idle() or one.is_closed() for one in connections)
        )


class TransportPool:
    """The transport that all requests go through, but for those to other addresses than their
    URL's host, over TLS: these have one for each name.

    :param first: the one for all.
    :param make: makes another such. None: ``first`` is the caller's own, or there are no names.
    """

    def __init__(self, first: Any, make: Callable[[], Any] | None) -> None:
        self.first = first
        self._make = make
        self._of_name: dict[str, _Own] = {}
        self._retired: list[Any] = []
        # Whose connections the caller's own transport has at an address.
        self._names: dict[tuple[str, int | None], str] = {}
        self._lock = threading.Lock()

    @contextmanager
    def acquire(self, request: Any) -> Iterator[Any]:
        """The transport for a request, until its answer begins.

        :raises ConfigurationError: where the caller's own would mix up two names, or goes through
            a proxy.
        """
        own = self._own(request)
        if own is None:
            yield self.first
            return
        try:
            yield own.transport
        finally:
            with self._lock:
                own.sending -= 1

    def _own(self, request: Any) -> _Own | None:
        name = request.extensions.get(_NAME)
        if name is None:
            if self._make is None and request.url.scheme == "https":
                # Its connections are its URL's host's, which may be another's address.
                self._claim(request.url.host, request)
            return None
        if "Proxy" in type(getattr(self.first, "_pool", None)).__name__:
            raise ConfigurationError(
                f"{name!r} is to be reached at {request.url.host!r} (connect_to), and through a "
                "proxy: one of them has to go"
            )
        if request.url.scheme != "https":
            return None
        if self._make is None:
            self._claim(name, request)
            return None
        with self._lock:
            own = self._of_name.get(name)
            if own is None:
                if len(self._of_name) >= _MANY:
                    self._retire()
                own = self._of_name[name] = _Own(self._make())
            own.sending += 1
            return own

    def _claim(self, name: str, request: Any) -> None:
        """The first who asks has an address for himself."""
        address = request.url.host, request.url.port
        with self._lock:
            if len(self._names) >= _MANY_ADDRESSES:
                # Most are of hosts by their own names, whose connections have long been closed.
                self._names = {at: by for at, by in self._names.items() if by != at[0]}
            owner = self._names.setdefault(address, name)
        if owner != name:
            raise ConfigurationError(
                f"{name!r} and {owner!r} are to be reached at one address, {address[0]!r} "
                "(connect_to), and would share TLS connections in a transport of your own: leave "
                "transport=… out, so that each has its own"
            )

    def _retire(self) -> None:
        idle = [name for name, own in self._of_name.items() if own.idle]
        self._retired += [self._of_name.pop(name).transport for name in idle]

    def retired(self) -> list[Any]:
        """Those that nobody uses any more, to be closed by whoever asks; nearly always none."""
        if not self._retired:
            return []
        with self._lock:
            retired, self._retired = self._retired, []
            return retired

    def others(self) -> list[Any]:
        """Those that were made here, to be closed."""
        with self._lock:
            return [*self._retired, *(own.transport for own in self._of_name.values())]


# What a client hands on to the transport that it makes.
_OF_A_CLIENT = ("verify", "trust_env", "http1", "http2", "limits")


def with_context(library: ModuleType, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a transport or client, with the TLS context that it would make of them: it
    is shared by all that are made with these, and no event loop has to wait for another one."""
    tls = {name: arguments[name] for name in ("verify", "cert", "trust_env") if name in arguments}
    others = {name: value for name, value in arguments.items() if name != "cert"}
    return {**others, "verify": library.create_ssl_context(**tls)}


def maker(kind: Callable[..., Any], arguments: Mapping[str, Any]) -> Callable[[], Any]:
    """A function that makes more transports of this kind, as a client with these arguments does."""
    return partial(kind, **{name: arguments[name] for name in _OF_A_CLIENT if name in arguments})
