"""Service networks: the services that can be reached through one, and by whom.

Source: "Service networks in VPC Lattice" (VPC Lattice User Guide). In VPC Lattice a caller is in a
network through its VPC, or through an endpoint of the network. Here each network is an ASGI
application, and a caller is in the network that it calls.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lattice_client.errors import ConfigurationError
from lattice_client.testing.arns import lattice_arn, resource_id
from lattice_client.testing.asgi import Receive, Scope, Send
from lattice_client.testing.model.auth_layer import AuthLayer, HasAuthPolicy

if TYPE_CHECKING:
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.model.services import Service

__all__ = ["ServiceNetwork"]

_NAME = r"(?=.{3,63}\Z)(?!servicenetwork-)[a-z0-9]+(?:-[a-z0-9]+)*"


class ServiceNetwork(HasAuthPolicy):
    """A service network of a local Lattice, and its ASGI application.

    Made by ``LocalLattice.add_network``; ``auth_type`` and ``policy`` can be changed.

    :raises ConfigurationError: if the name is not valid for a service network.
    """

    def __init__(self, lattice: LocalLattice, name: str, *, auth: AuthLayer) -> None:
        self.name = name
        self.services: tuple[Service, ...] = ()
        if not re.fullmatch(_NAME, name):
            raise ConfigurationError(
                f"{name!r} is not a valid service network name: 3 to 63 of a-z, 0-9 and single "
                "hyphens inside, not beginning with 'servicenetwork-'"
            )
        self.lattice = lattice
        self.id = resource_id("sn", name)
        self.arn = lattice_arn(lattice.region, lattice.account, f"servicenetwork/{self.id}")
        self.auth = auth

    def __repr__(self) -> str:
        names = ", ".join(service.name for service in self.services)
        return f"<ServiceNetwork {self.name!r}, services: {names or 'none'}>"

    def associate(self, service: Service) -> None:
        """Let the service be reached through this network. Do nothing if it already can be."""
        if service not in self.services:
            self.services = (*self.services, service)

    def dissociate(self, service: Service) -> None:
        """Let the service no longer be reached through this network."""
        self.services = tuple(kept for kept in self.services if kept is not service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as an ASGI application."""
        await self.lattice.enter(self, scope, receive, send)
