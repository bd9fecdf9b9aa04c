"""Which addresses are VPC Lattice's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.names.endpoint import Reason

__all__ = ["LATTICE_NETWORKS", "Network", "foreign_address", "foreign_addresses", "foreign_reason"]

Network = IPv4Network | IPv6Network

# Link-local and unique-local: "Security groups in VPC Lattice", VPC Lattice User Guide, and the
# prefix lists com.amazonaws.REGION.vpc-lattice and com.amazonaws.REGION.ipv6.vpc-lattice.
LATTICE_NETWORKS: tuple[Network, ...] = (
    ip_network("169.254.171.0/24"),
    ip_network("fd00:ec2:80::/64"),
)


def foreign_address(
    addresses: Iterable[str], networks: tuple[Network, ...] = LATTICE_NETWORKS
) -> str:
    """The first address that is in none of the networks; empty if there is none."""
    return next(foreign_addresses(addresses, networks), "")


def foreign_addresses(
    addresses: Iterable[str], networks: tuple[Network, ...] = LATTICE_NETWORKS
) -> Iterator[str]:
    """The addresses that are in none of the networks."""
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            yield text
        else:
            if not any(address in network for network in networks):
                yield text


def foreign_reason(address: str) -> Reason:
    """Why a name with this address is not Lattice's: a private one may be a service-network
    endpoint's."""
    try:
        found = ip_address(address)
    except ValueError:
        return "foreign address"
    is_inner = found.is_private and not (found.is_loopback or found.is_link_local)
    return "private address" if is_inner else "foreign address"
