"""Services: their names, listeners and target groups.

Source: "Services in VPC Lattice" and "Listeners for your VPC Lattice service" (VPC Lattice User
Guide) for names, ids, ARNs and listeners.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeAlias, Unpack

from lattice_client.errors import ConfigurationError
from lattice_client.testing.arns import lattice_arn, resource_id
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.host_header import host_name, is_loopback
from lattice_client.testing.model.auth_layer import AuthLayer, HasAuthPolicy
from lattice_client.testing.model.rules import Condition, Conditions, Forward, Rule, Rules, Targets
from lattice_client.testing.model.target_groups import Target, TargetGroup

__all__ = ["Listener", "Protocol", "Service", "service_at"]

Protocol: TypeAlias = Literal["HTTP", "HTTPS"]

_PORTS = {"HTTP": 80, "HTTPS": 443}

_NAME = r"(?=.{3,40}\Z)(?!svc-)[a-z0-9]+(?:-[a-z0-9]+)*"


class Listener:
    """A protocol and port at which a service takes requests, with rules.

    ``when`` adds a rule; ``otherwise`` is the default one.
    """

    def __init__(self, service_arn: str, protocol: Protocol, port: int, rules: Rules) -> None:
        self.protocol: Protocol = protocol
        self.port = port
        self.rules = rules
        # At the default port a listener has the same id as the service's default listener.
        name = protocol.lower() if port == _PORTS[protocol] else f"{protocol.lower()}-{port}"
        self.id = resource_id("listener", f"{service_arn}/{name}")
        self.arn = f"{service_arn}/listener/{self.id}"

    def __repr__(self) -> str:
        return f"<Listener {self.protocol}:{self.port}>"

    def when(self, **conditions: Unpack[Conditions]) -> Condition:
        """Begin a rule; the arguments are those of ``Rules.when``."""
        return self.rules.when(**conditions)

    @property
    def otherwise(self) -> Rule:
        """The default rule; it can be changed like any other."""
        return self.rules.otherwise


class Service(HasAuthPolicy):
    """A service of the local Lattice; made by ``LocalLattice.add_service``.

    ``auth_type`` and ``policy`` can be changed. The default rule forwards to ``target_group`` until
    it is changed. Policies see ``tags`` as ``aws:ResourceTag/…``. Until ``add_listener`` is called
    there are an HTTP and an HTTPS listener with the same rules.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str,
        account: str,
        auth: AuthLayer,
        make_group: Callable[[Targets, str | None], TargetGroup],
        target: Targets,
        domain: str | None = None,
    ) -> None:
        self.name = name
        self.id = resource_id("svc", name)
        self.arn = lattice_arn(region, account, f"service/{self.id}")
        self.managed_name = f"{name}-{self.id[4:]}.7d67968.vpc-lattice-svcs.{region}.on.aws"
        self.domain = None if domain is None else domain.lower()
        if not re.fullmatch(_NAME, name):
            raise ValueError(
                f"{name!r} is not a valid service name: 3 to 40 of a-z, 0-9 and single hyphens "
                "inside, not beginning with 'svc-'"
            )
        if domain is not None and (not domain or host_name(domain) != domain.lower()):
            raise ValueError(f"{domain!r} is not a domain name; give it without port and final dot")
        self.auth = auth
        self.tags: dict[str, str] = {}
        self.target_group = make_group(target, name)
        self._make_group = make_group
        self._has_default_listeners = True
        rules = self._new_rules()
        self.listeners: tuple[Listener, ...] = (
            Listener(self.arn, "HTTP", 80, rules),
            Listener(self.arn, "HTTPS", 443, rules),
        )

    def __repr__(self) -> str:
        return f"<Service {self.name!r} at {self.host}>"

    @property
    def host(self) -> str:
        """The custom domain, or the managed name if there is none."""
        return self.domain or self.managed_name

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name the service answers to."""
        return (self.managed_name,) if self.domain is None else (self.managed_name, self.domain)

    # Listeners and rules

    def when(self, **conditions: Unpack[Conditions]) -> Condition:
        """Begin a rule: ``service.when(prefix="/v2").forward_to(new)``. See ``Rules.when``.

        :raises ConfigurationError: if the service has several listeners; use the listener's.
        """
        return self.rules.when(**conditions)

    @property
    def otherwise(self) -> Rule:
        """The default rule: ``service.otherwise.forward_to({blue: 90, green: 10})``.

        :raises ConfigurationError: if the service has several listeners; use the listener's.
        """
        return self.rules.otherwise

    @property
    def rules(self) -> Rules:
        """The rules of the service's listener."""
        rules = {id(listener.rules): listener.rules for listener in self.listeners}
        if len(rules) > 1:
            raise ConfigurationError(
                f"{self.name!r} has {len(rules)} listeners, each with its own rules: "
                "use the listener that add_listener returned"
            )
        return next(iter(rules.values()))

    def add_listener(self, protocol: Protocol, port: int | None = None) -> Listener:
        """Add a listener with its own rules. The first one replaces the two default listeners.

        :param protocol: ``HTTP`` or ``HTTPS``.
        :param port: by default 80 or 443.
        :returns: the listener; its default rule forwards to the service's target group.
        :raises ConfigurationError: if the protocol is neither, the port is not valid or is taken,
            or the service's default listeners already have rules.
        """
        if protocol not in _PORTS:
            raise ConfigurationError(
                f"a listener's protocol must be HTTP or HTTPS, not {protocol!r}: the local Lattice "
                "does not pass TLS through"
            )
        port = _PORTS[protocol] if port is None else port
        if not 1 <= port <= 65535:  # noqa: PLR2004
            raise ConfigurationError(f"a listener's port must be 1 to 65535, not {port!r}")
        if self._has_default_listeners and len(list(self.rules)) > 1:
            raise ConfigurationError("add listeners before rules, and add rules to a listener")
        kept = () if self._has_default_listeners else self.listeners
        if any(listener.port == port for listener in kept):
            raise ConfigurationError(f"{self.name!r} has a listener at port {port} already")
        listener = Listener(self.arn, protocol, port, self._new_rules())
        self._has_default_listeners = False
        self.listeners = (*kept, listener)
        return listener

    def listener(self, scheme: str, port: int | None) -> Listener | None:
        """The listener that a request came in through.

        A local server has one port for all listeners. So the port in ``Host`` decides only if a
        listener has it; otherwise the first listener of the protocol is taken.

        :param scheme: ``http`` or ``https``.
        :param port: the one in ``Host``; None stands for the scheme's default.
        """
        protocol = scheme.upper()
        port = _PORTS.get(protocol) if port is None else port
        first = None
        for listener in self.listeners:
            if listener.protocol == protocol:
                if listener.port == port:
                    return listener
                first = first or listener
        return first

    def _new_rules(self) -> Rules:
        return Rules(self._make_group, Forward(((self.target_group, 1),)))

    # Targets

    @property
    def target(self) -> ASGIApp:
        """The first target of the service's own target group. Setting it removes the others."""
        return self.target_group.targets[0].app

    @target.setter
    def target(self, target: ASGIApp) -> None:
        self.target_group.targets = (Target(target),)

    @property
    def target_group_arn(self) -> str:
        """The ARN of the service's own target group."""
        return self.target_group.arn

    @property
    def listener_ids(self) -> dict[str, str]:
        """The ids of the listeners by scheme; the first one's of several."""
        return {found.protocol.lower(): found.id for found in reversed(self.listeners)}


def service_at(host: str, services: tuple[Service, ...]) -> Service | None:
    """The service with the name in a ``Host``; None if there is none."""
    name = host_name(host)
    for service in services:
        if name in service.names:
            return service
    # Unlike Lattice, accept a loopback address, so that tests need not resolve names.
    return services[0] if services and is_loopback(name) else None
