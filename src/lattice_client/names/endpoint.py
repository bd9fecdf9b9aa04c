"""What is known about a host name, and the protocol of a resolver."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Endpoint", "Resolver"]


class Endpoint(NamedTuple):
    """Where calls to a host name go.

    :param host: the name for Host, SNI and certificate: the requested name if Lattice knows it (a
        custom domain), the managed name if only DNS does (an alias).
    :param region: the region to sign for; None if unknown.
    :param connect_to: the address or name to connect to instead of ``host``, with or without a
        port; None: ``host`` itself.
    :param managed_name: the name that Lattice gave the service, if known.
    :param service_arn: the service's ARN, if known.
    :param source: where the answer comes from, in words for people.
    :param expires_at: when the answer expires, in seconds since the epoch; None: never.
    :param is_lattice: whether the name is VPC Lattice's; other names get no signature.
    """

    host: str
    region: str | None = None
    connect_to: str | None = None
    managed_name: str | None = None
    service_arn: str | None = None
    source: str = ""
    expires_at: float | None = None
    is_lattice: bool = True


class Resolver(Protocol):
    """Finds the endpoint of a host name: ``Names``, or an object of the user's.

    With ``strict``, a request to a name that is not Lattice's is refused (``NotLatticeError``);
    otherwise it is sent unsigned.
    """

    strict: bool

    def peek(self, host: str) -> Endpoint | None:
        """The endpoint if it is known without I/O; None if it has to be looked up."""
        ...

    def resolve(self, host: str) -> Endpoint:
        """The endpoint of a host name (as in a Host header: a port is ignored); may block.

        :raises NameSourceError: if no source can be reached and nothing is cached.
        """
        ...

    async def resolve_async(self, host: str) -> Endpoint:
        """As :meth:`resolve`, without blocking the event loop."""
        ...
