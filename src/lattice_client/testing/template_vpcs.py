"""The VPC that a template's callers come from: one that it associates with a service network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.nodes import Node
from lattice_client.testing.templates import Template

__all__ = ["associated_vpc"]

_ASSOCIATION: Final = "AWS::VpcLattice::ServiceNetworkVpcAssociation"
_VPC: Final = "VpcIdentifier"


def associated_vpc(template: Template, note: Callable[[str], object]) -> str | None:
    """The id of the first VPC that a template associates with a service network, if any is known.

    :param note: called with those that callers do not come from.
    """
    known: list[str] = []
    for name in template.of_kind(_ASSOCIATION):
        properties = template.properties(name)
        try:
            identifier = template.value(properties, _VPC)
        except ConfigurationError:  # Imported, as a rule; only a policy would need it.
            continue
        if identifier is None:
            continue
        node = Node(identifier, properties[_VPC].place)
        vpc = node.as_text()
        if known and vpc not in known:
            note(f"{node.place}: callers come from the VPC {known[0]!r}, and none from {vpc!r}")
        known.append(vpc)
    return known[0] if known else None
