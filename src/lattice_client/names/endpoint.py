"""What is known of a host name, and who can be asked."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["Endpoint", "Resolver"]


class Endpoint(NamedTuple):
    """Where calls to a host name go.

    :param host: the name for Host, SNI and certificate: the one that was asked for where Lattice
        knows it (a custom domain), the managed name where only DNS does (an alias).
    :param region: the region to sign for; None where that is not known.
    :param connect_to: the address or name to connect to instead of ``host``, with a port or
        without; None: ``host`` itself.
    :param managed_name: the service's own name, where it is known.
    :param service_arn: the service's ARN, where it is known.
    :param source: who said so, in words for people.
    :param expires_at: until when this holds, in seconds since the epoch; None: for ever.
    :param is_lattice: whether this is VPC Lattice; what is not gets no signature.
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
    """Who tells the endpoint of a host name: ``Names``, or something of a user's own.

    ``strict`` says what becomes of a request to a name that is not Lattice's: refused
    (``NotLatticeError``) where it is true, else sent unsigned.
    """

    strict: bool

    def peek(self, host: str) -> Endpoint | None:
        """What is known at once, without I/O: None where it has to be looked up."""
        ...

    def resolve(self, host: str) -> Endpoint:
        """The endpoint of a host name (as in a Host header: a port does not matter); may block.

        :raises NameSourceError: where no source could be asked, and nothing is remembered.
        """
        ...

    async def resolve_async(self, host: str) -> Endpoint:
        """As :meth:`resolve`, without ever blocking the event loop."""
        ...
