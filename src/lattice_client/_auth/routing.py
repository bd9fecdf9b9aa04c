"""Which endpoint a host is routed to, by the resolver of ``names``.

The Host header of a routed request becomes the endpoint's host, and so does the host in its URL,
for name servers, SNI and the certificate. With ``connect_to`` the URL names that address instead,
and SNI and the certificate check use the host (``lattice_client._wire.request``).
"""

from __future__ import annotations

from lattice_client.errors import ConfigurationError, NotLatticeError
from lattice_client.names import Endpoint, Resolver
from lattice_client.names.managed import hint_of

__all__ = ["check_names", "find_endpoint", "find_endpoint_async"]


def find_endpoint(names: Resolver, host: str) -> Endpoint:
    """The endpoint of a Host header; may block.

    :raises NotLatticeError: in strict mode, for a name that is not VPC Lattice's.
    :raises NameSourceError: where no source could be asked and no answer is cached.
    """
    return _refuse_if_strict(names, host, names.peek(host) or names.resolve(host))


async def find_endpoint_async(names: Resolver, host: str) -> Endpoint:
    """As :func:`find_endpoint`, without blocking the event loop."""
    return _refuse_if_strict(names, host, names.peek(host) or await names.resolve_async(host))


def _refuse_if_strict(names: Resolver, host: str, endpoint: Endpoint) -> Endpoint:
    if not endpoint.is_lattice and names.strict:
        who = (f" ({endpoint.source})" if endpoint.source else "") + hint_of(host)
        raise NotLatticeError(
            f"{host!r} is not VPC Lattice's{who}, and names are strict: nothing was sent. Call it "
            "with another client, name the hosts to sign for (hosts=[…]), or turn strict off"
        )
    return endpoint


def check_names(names: object) -> Resolver:
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
