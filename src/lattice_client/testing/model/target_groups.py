"""Target groups: what rules forward to, and the choice of a target for a request.

Source: "Target groups in VPC Lattice" and "Health checks for your VPC Lattice target groups" (VPC
Lattice User Guide): healthy targets get requests in turn; if all are unhealthy, all of them do (it
fails open). The local Lattice makes no health checks: a test sets ``Target.healthy``.
"""

from __future__ import annotations

import itertools
import re

from lattice_client.errors import ConfigurationError
from lattice_client.testing.arns import lattice_arn, resource_id
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.display import own_name
from lattice_client.testing.targets.coercion import as_app

__all__ = ["Target", "TargetGroup"]

_NAME = r"(?=.{3,128}\Z)(?!tg-)[a-z0-9]+(?:-[a-z0-9]+)*"


class Target:
    """One target of a group.

    :param target: its ASGI application, or the URL of a server.
    :param healthy: if False, other targets of the group get the requests.
    :raises ConfigurationError: if it is neither.
    """

    def __init__(self, target: ASGIApp | str, *, healthy: bool = True) -> None:
        self.app = as_app(target)
        self.healthy = healthy

    def __repr__(self) -> str:
        name = own_name(self.app) or repr(self.app)
        return f"<Target {name}{'' if self.healthy else ', unhealthy'}>"


class TargetGroup:
    """Interchangeable targets; made by ``LocalLattice.add_target_group``.

    :raises ConfigurationError: if the name is not valid for a target group, or a target is neither
        an ASGI application nor a URL.
    """

    def __init__(self, name: str, *targets: ASGIApp | str, region: str, account: str) -> None:
        self.name = name
        self.targets = tuple(map(Target, targets))
        if not re.fullmatch(_NAME, name):
            raise ConfigurationError(
                f"{name!r} is not a valid target group name: 3 to 128 of a-z, 0-9 and single "
                "hyphens inside, not beginning with 'tg-'"
            )
        self.id = resource_id("tg", name)
        self.arn = lattice_arn(region, account, f"targetgroup/{self.id}")
        self._request_numbers = itertools.count()

    def __repr__(self) -> str:
        return f"<TargetGroup {self.name!r}, {len(self.targets)} targets>"

    def register(self, target: ASGIApp | str) -> Target:
        """Add a target. It gets requests from the next one on.

        :param target: an ASGI application, or the URL of a server.
        :raises ConfigurationError: if it is neither.
        """
        registered = Target(target)
        self.targets = (*self.targets, registered)
        return registered

    def deregister(self, target: Target) -> None:
        """Remove a target. Its requests in flight go on."""
        self.targets = tuple(kept for kept in self.targets if kept is not target)

    def choose(self) -> Target | None:
        """The target for the next request; None if there are none."""
        targets = self.targets
        eligible = [target for target in targets if target.healthy] or targets
        return eligible[next(self._request_numbers) % len(eligible)] if eligible else None
