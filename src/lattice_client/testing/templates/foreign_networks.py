"""Service networks that a template refers to, but does not define: another stack owns them.

Only what the template has is known: an id, an ARN or an export's name, and perhaps an auth policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.model.networks import ServiceNetwork
from lattice_client.testing.templates.intrinsics import Template
from lattice_client.testing.templates.nodes import Node
from lattice_client.testing.templates.references import in_kebab_case, shortened

__all__ = ["ForeignNetworks"]

_LONGEST_NAME: Final = 63  # of a service network


class ForeignNetworks:
    """The service networks of other stacks.

    :param has_own: whether the template defines networks. If not, the first foreign network takes
        the place of the default one.
    """

    def __init__(self, lattice: LocalLattice, template: Template, *, has_own: bool) -> None:
        self._lattice = lattice
        self._template = template
        self._default_is_taken = has_own
        # Each with the beginning of its note.
        self._networks: dict[str, tuple[ServiceNetwork, str]] = {}

    def get(self, node: Node) -> ServiceNetwork | None:
        """The network that a node names, if it has been added."""
        network, _ = self._networks.get(self._name(node), (None, ""))
        return network

    def add(self, node: Node) -> ServiceNetwork:
        """Add the network that a node names."""
        name = self._name(node)
        identifier = self._template.imported_export(node) or node.as_text()
        network = (
            self._lattice.add_network(name) if self._default_is_taken else self._lattice.network
        )
        self._default_is_taken = True
        self._networks[name] = (
            network,
            f"{node.place}: {identifier!r} is not a service network of this template",
        )
        return network

    def notes(self) -> Iterator[str]:
        """A note for each network, to be made after all policies have been read."""
        for network, words in self._networks.values():
            has_policy = network.auth_type == "AWS_IAM"
            guard = "with AWS_IAM and only the given" if has_policy else "without an"
            yield f"{words}; it is treated as one {guard} auth policy"

    def _name(self, node: Node) -> str:
        """A name for the network, the same for its id and its ARN."""
        export = self._template.imported_export(node)
        if export is None:
            return node.as_text().rpartition("/")[2]
        # The prefix keeps an export's name apart from the names of the template's networks.
        return shortened(f"imported-{in_kebab_case(export)}", export, _LONGEST_NAME)
