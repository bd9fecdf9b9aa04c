"""Services: the names they answer to, and what stands behind them.

Source: "Services in VPC Lattice" (VPC Lattice User Guide) for names, ids and ARNs.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re

from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.authorization import AuthLayer
from lattice_client.testing.echo import echo

__all__ = ["Service", "host_name", "is_loopback", "resource_id"]

_NAME = r"(?=.{3,40}\Z)(?!svc-)[a-z0-9]+(?:-[a-z0-9]+)*"


class Service:
    """A service of the local Lattice; made by ``LocalLattice.add_service``.

    ``auth`` is its auth type and policy, ``target`` the ASGI application behind it, ``tags`` are
    what policies see as ``aws:ResourceTag/…``; all can be changed.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str,
        account: str,
        auth: AuthLayer,
        domain: str | None = None,
        target: ASGIApp | None = None,
    ) -> None:
        if not re.fullmatch(_NAME, name):
            raise ValueError(
                f"{name!r} is no name of a service: 3 to 40 of a-z, 0-9 and single hyphens inside, "
                "not beginning with 'svc-'"
            )
        if domain is not None and (not domain or host_name(domain) != domain.lower()):
            raise ValueError(f"{domain!r} is no domain name; give it without port and final dot")
        arns = f"arn:aws:vpc-lattice:{region}:{account}"
        self.name = name
        self.id = resource_id("svc", name)
        self.arn = f"{arns}:service/{self.id}"
        self.managed_name = f"{name}-{self.id[4:]}.7d67968.vpc-lattice-svcs.{region}.on.aws"
        self.domain = None if domain is None else domain.lower()
        self.target: ASGIApp = target or echo
        self.target_group_arn = f"{arns}:targetgroup/{resource_id('tg', name)}"
        self.listener_ids = {
            scheme: resource_id("listener", f"{name}/{scheme}") for scheme in ("http", "https")
        }
        self.auth = auth
        self.tags: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Service {self.name!r} at {self.host}>"

    @property
    def host(self) -> str:
        """The name people use: the custom domain, or the managed name where there is none."""
        return self.domain or self.managed_name

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name the service answers to."""
        return (self.managed_name,) if self.domain is None else (self.managed_name, self.domain)


def resource_id(prefix: str, name: str) -> str:
    """An id in Lattice's form, always the same for the same name."""
    return f"{prefix}-0{hashlib.sha256(f'{prefix}/{name}'.encode()).hexdigest()[:16]}"


def host_name(host: str) -> str:
    """The name in a ``Host``: lower case, without port, brackets and final dot."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def is_loopback(name: str) -> bool:
    """Whether a host name is ``localhost`` or a loopback address."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
