"""Where requests go: what a source of names is asked, and what becomes of a request by its answer.

A request is *led* to an endpoint. Its Host header becomes the endpoint's host, and so does the host
in its URL, for name servers, SNI and the certificate; with ``connect_to`` the URL names that
address instead, and SNI and the certificate check are told the host.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lattice_client.errors import ConfigurationError, NotLatticeError
from lattice_client.names import Endpoint, Resolver
from lattice_client.names.managed import hint_of

__all__ = ["Led", "address_of", "bracketed", "checked", "find", "find_async", "split_port"]


def find(names: Resolver, host: str) -> Endpoint:
    """The endpoint of a Host header; may block.

    :raises NotLatticeError: in strict mode, for a name that is not VPC Lattice's.
    :raises NameSourceError: where it is not known, and nobody could be asked.
    """
    return _allowed(names, host, names.peek(host) or names.resolve(host))


async def find_async(names: Resolver, host: str) -> Endpoint:
    """As :func:`find`, without blocking the event loop."""
    return _allowed(names, host, names.peek(host) or await names.resolve_async(host))


def _allowed(names: Resolver, host: str, endpoint: Endpoint) -> Endpoint:
    if not endpoint.is_lattice and names.strict:
        who = (f" ({endpoint.source})" if endpoint.source else "") + hint_of(host)
        raise NotLatticeError(
            f"{host!r} is not VPC Lattice's{who}, and names are strict: nothing was sent. Call it "
            "with a client of its own, name the hosts to sign for (hosts=[…]), or turn strict off"
        )
    return endpoint


def checked(names: object) -> Resolver:
    """:raises ConfigurationError: for what cannot be asked about names."""
    missing = [
        name for name in ("peek", "resolve", "resolve_async", "strict") if not hasattr(names, name)
    ]
    if missing:
        raise ConfigurationError(
            f"names must be a resolver of names such as Names(…), not a {type(names).__name__}: "
            f"it has no {missing[0]}"
        )
    return names  # type: ignore[return-value]


# --- Hosts and addresses ----------------------------------------------------------------------

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
    r"|(?P<bare_v6>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)"
).fullmatch
_HIGHEST_PORT = 65535


@lru_cache(maxsize=256)
def address_of(connect_to: str) -> tuple[str, int | None]:
    """The name or address (IPv6 without brackets) and the port, if there is one.

    :raises ConfigurationError: for anything else.
    """
    found = _ADDRESS(connect_to)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 1 <= port <= _HIGHEST_PORT):
        raise ConfigurationError(
            f"connect_to={connect_to!r} is no address: give a name or an address, with a port or "
            "without, as '10.0.0.7', '[::1]:8443' or 'vpce-0123.example.com:443'"
        )
    return found["v6"] or found["bare_v6"] or found["name"], port


def split_port(host: str) -> tuple[str, str]:
    """The name in a Host header, without brackets, and its port with the colon."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port
    name, colon, port = host.partition(":")
    return name, colon + port


def bracketed(name: str) -> str:
    """A name or address as it stands in a Host header or URL."""
    return f"[{name}]" if ":" in name else name


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


# --- Requests ---------------------------------------------------------------------------------


class Led:
    """What the outgoing requests of all libraries have in common: how they are led somewhere.

    ``endpoint`` is where it was led to; None for as long as it was not.
    """

    __slots__ = ("endpoint", "host", "request")

    request: Any
    host: str
    endpoint: Endpoint | None

    def go_to(self, endpoint: Endpoint) -> None:
        """Let the request go to an endpoint.

        Where it bears a Host header that is not its URL's, whoever made it has chosen the address:
        then the header may change, and the URL does not.

        :raises ConfigurationError: for a ``connect_to`` that this library's hook cannot follow, or
            that is no address.
        """
        self.endpoint = endpoint
        asked, port = split_port(self.host)
        if endpoint.host == asked and endpoint.connect_to is None:
            return
        by_url = self.goes_by_url()
        if endpoint.host != asked:
            self.host = bracketed(endpoint.host) + port
            if by_url:
                self.readdress(endpoint.host, None)
            self.write_host(self.host)
        if by_url and endpoint.connect_to is not None:
            self.connect_to(endpoint, *address_of(endpoint.connect_to))

    def goes_by_url(self) -> bool:
        """Whether the URL names the host that the Host header names."""
        return _plain(self.url_host()) == _plain(split_port(self.host)[0])

    # What a library does in its own way.

    def url_host(self) -> str:
        """The host in the URL, without brackets."""
        raise NotImplementedError

    def authority(self) -> str:
        """The host and port in the URL, as they would stand in its Host header."""
        raise NotImplementedError

    def readdress(self, name: str, port: int | None) -> None:
        """Put another host into the URL, and another port where one is given."""
        raise NotImplementedError

    def write_host(self, host: str) -> None:
        """Set the Host header."""
        raise NotImplementedError

    def connect_to(self, endpoint: Endpoint, address: str, port: int | None) -> None:  # noqa: ARG002
        """Connect there, while SNI and the certificate check stay the endpoint's host."""
        raise ConfigurationError(
            f"{endpoint.host!r} is to be reached at {address!r} (connect_to), and an auth hook of "
            "this library cannot send a request there: use the Session of lattice_client.requests, "
            "the Client of lattice_client.httpx or httpx2, or their Adapter and Transport"
        )
