"""The second level of httpx and httpx2: connections to an address that is not the URL's host.

Their pools hold connections by the URL's host alone. So each name that is spoken to over TLS at
another address has a pool of its own: two names at one address would else share connections, with
the SNI of whichever came first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from lattice_client.errors import ConfigurationError
from lattice_client.names import Endpoint
from lattice_client.wire import HttpxRequest

__all__ = ["Attempt", "Transports", "maker"]

# Extensions of a request: the library's own for SNI and certificate, and ours, which says that it
# was us who set it.
_SNI = "sni_hostname"
_NAME = "lattice_name"


class Attempt(HttpxRequest):
    """A request that nobody else sees, so its URL may be another than the caller's."""

    __slots__ = ()

    def connect_to(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        self.readdress(address, port)
        name = endpoint.host
        self.request.extensions = {**self.request.extensions, _SNI: name, _NAME: name}


class Transports:
    """The transport that all requests go through, but for those to other addresses than their
    URL's host, over TLS: these have one for each name.

    :param first: the one for all.
    :param make: makes another such. None: ``first`` is the caller's own, and there is no other.
    """

    def __init__(self, first: Any, make: Callable[[], Any] | None) -> None:
        self.first = first
        self._make = make
        self._of_name: dict[str, Any] = {}
        # Whose connections the caller's own transport has at an address.
        self._names: dict[tuple[str, int | None], str] = {}
        self._lock = threading.Lock()

    def of(self, request: Any) -> Any:
        """The transport for a request.

        :raises ConfigurationError: where the caller's own would mix up two names, or goes through
            a proxy.
        """
        name = request.extensions.get(_NAME)
        if name is None:
            return self.first
        if "Proxy" in type(getattr(self.first, "_pool", None)).__name__:
            raise ConfigurationError(
                f"{name!r} is to be reached at {request.url.host!r} (connect_to), and through a "
                "proxy: one of them has to go"
            )
        if request.url.scheme != "https":
            return self.first
        with self._lock:
            if self._make is None:
                self._claim(name, (request.url.host, request.url.port))
                return self.first
            if name not in self._of_name:
                self._of_name[name] = self._make()
            return self._of_name[name]

    def _claim(self, name: str, address: tuple[str, int | None]) -> None:
        owner = self._names.setdefault(address, name)
        if owner != name:
            raise ConfigurationError(
                f"{name!r} and {owner!r} are to be reached at one address, {address[0]!r} "
                "(connect_to), and would share TLS connections in a transport of your own: leave "
                "transport=… out, so that each has its own"
            )

    def others(self) -> list[Any]:
        """Those that were made here, to be closed."""
        with self._lock:
            return list(self._of_name.values())


# What a client hands on to the transport that it makes.
_OF_A_CLIENT = ("verify", "cert", "trust_env", "http1", "http2", "limits")


def maker(
    library: ModuleType, kind: Callable[..., Any], arguments: Mapping[str, Any], *, client: bool
) -> Callable[[], Any]:
    """A function that makes more transports like the first one; they share one TLS context.

    :param kind: the class of transport.
    :param arguments: those of the first one, or of the ``client`` that made it.
    """
    given = {name: value for name, value in arguments.items() if not client or name in _OF_A_CLIENT}
    tls = {name: given.pop(name) for name in ("verify", "cert", "trust_env") if name in given}
    context: Any = None

    def make() -> Any:
        nonlocal context
        if context is None:
            context = library.create_ssl_context(**tls)
        return kind(verify=context, **given)

    return make
