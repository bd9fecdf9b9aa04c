"""What is known about a host name, and the protocol of a resolver."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

__all__ = ["Endpoint", "Reason", "Resolver", "as_called_by_name"]

Reason = Literal[
    "unknown",
    "uncertain",
    "disagreement",
    "foreign address",
    "private address",
    "unlisted network",
    "mixed addresses",
    "foreign target",
    "resource",
]
"""Why a name is not VPC Lattice's, in a word.

``unknown``: no source knows it. ``uncertain``: a source that might know it could not find out.
``disagreement``: one source takes it for Lattice's, and another does not. ``foreign address``: it
has another address than Lattice's; ``private address``: one such as your subnets have;
``unlisted network``: one that is said to be a service-network endpoint's, in none of ``networks``;
``mixed addresses``: some of its addresses are Lattice's, and some are not. ``foreign target``: its
record leads elsewhere. ``resource``: it is a resource's, where no signature is verified.
"""


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
    :param addresses: addresses without a port that all have the answer ``is_lattice``. Connect to
        one of them, and no other. Empty: ``connect_to`` or ``host`` says where to connect.
    :param at_address: the same name for a caller that connects to one of its ``addresses``. None:
        there is no such answer. A caller whose connection is made by name, by an HTTP library that
        resolves it again, uses the answer around it.
    :param reason: why the name is not Lattice's, in a word for programs; None if it is, or if its
        source simply says so. ``mixed addresses`` also stands beside an answer at an address that
        is Lattice's.
    """

    host: str
    region: str | None = None
    connect_to: str | None = None
    managed_name: str | None = None
    service_arn: str | None = None
    source: str = ""
    expires_at: float | None = None
    is_lattice: bool = True
    addresses: tuple[str, ...] = ()
    at_address: Endpoint | None = None
    reason: Reason | None = None


def as_called_by_name(name: str, at_address: Endpoint) -> Endpoint:
    """The endpoint for callers by name, which may get any of the name's addresses: the name is
    Lattice's for them if all of its addresses are.

    :param at_address: the endpoint for callers that connect to one of its ``addresses``. Without
        any it is for all callers.
    """
    if not at_address.addresses:
        return at_address
    found = at_address._replace(addresses=(), at_address=at_address)
    if at_address.reason != "mixed addresses":
        return found
    return Endpoint(
        name,
        source=found.source,
        expires_at=found.expires_at,
        is_lattice=False,
        at_address=at_address,
        reason=found.reason,
    )


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
