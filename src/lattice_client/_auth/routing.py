"""Where requests go: what a source of names is asked, and what becomes of a request by its answer.

A request is *led* to an endpoint. Its Host header becomes the endpoint's host, and so does the host
in its URL, for name servers, SNI and the certificate; with ``connect_to`` the URL names that
address instead, and SNI and the certificate check are told the host.
"""

from __future__ import annotations

from lattice_client.errors import ConfigurationError, NotLatticeError
from lattice_client.names import Endpoint, Resolver
from lattice_client.names.managed import hint_of

__all__ = ["checked", "find", "find_async"]


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


# --- Requests ---------------------------------------------------------------------------------
