"""Service networks that a template names and that somebody else owns.

Nothing is known of them but what the template has: an id, an ARN or an export's name, and perhaps
an auth policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.model.networks import ServiceNetwork
from lattice_client.testing.templates.intrinsics import Template
from lattice_client.testing.templates.nodes import Node
from lattice_client.testing.templates.references import in_kebab_case, shortened

__all__ = ["Strangers"]

_LONGEST_NAME: Final = 63  # of a service network


class Strangers:
    """The service networks of others.

    :param beside: whether the template has networks itself; else the first of the others' takes the
        place of the default one.
    """

    def __init__(self, lattice: LocalLattice, template: Template, *, beside: bool) -> None:
        self._lattice = lattice
        self._template = template
        self._beside = beside
        # Each with the words that begin what is to be said of it.
        self._networks: dict[str, tuple[ServiceNetwork, str]] = {}

    def known(self, node: Node) -> ServiceNetwork | None:
        """The one that a node names, if it has been added."""
        network, _ = self._networks.get(self._name(node), (None, ""))
        return network

    def add(self, node: Node) -> ServiceNetwork:
        """A new one."""
        name = self._name(node)
        identifier = self._template.imported(node) or node.as_text()
        network = self._lattice.add_network(name) if self._beside else self._lattice.network
        self._beside = True
        self._networks[name] = (
            network,
            f"{node.place}: {identifier!r} is no service network of this template",
        )
        return network

    def remarks(self) -> Iterator[str]:
        """What is to be said of them when all policies are known."""
        for network, words in self._networks.values():
            has_policy = network.auth_type == "AWS_IAM"
            guard = "with AWS_IAM and only the given" if has_policy else "without an"
            yield f"{words}; it is taken for one {guard} auth policy"

    def _name(self, node: Node) -> str:
        """The same by a network's id and by its ARN."""
        export = self._template.imported(node)
        if export is None:
            return node.as_text().rpartition("/")[2]
        # An export has nearly any name, and perhaps that of one of the template's networks.
        return shortened(f"imported-{in_kebab_case(export)}", export, _LONGEST_NAME)
