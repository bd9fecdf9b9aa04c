"""The local Lattice: service networks with services, callers and auth policies, as an ASGI app.

It runs in-process (``httpx.ASGITransport``), in a thread (``lattice_client.testing.serve``), or
under any ASGI server. It sets the Date header itself, so switch off the server's (hypercorn:
``include_date_header``). It answers as VPC Lattice does where that is known; conveniences beyond
that are marked where they are documented.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from lattice_client.errors import ConfigurationError
from lattice_client.testing.access_log import AccessLogFile, AccessRecord
from lattice_client.testing.arns import check_account, check_region, partition_of, resource_id
from lattice_client.testing.asgi import ASGIApp, Receive, Scope, Send
from lattice_client.testing.assertions import Calls
from lattice_client.testing.clock import system_time
from lattice_client.testing.data_plane.admission import Admission
from lattice_client.testing.data_plane.exchange import Exchange
from lattice_client.testing.data_plane.forwarding import Forwarder
from lattice_client.testing.data_plane.received import ReceivedRequest
from lattice_client.testing.faults.faults import ActiveFaults, Faults
from lattice_client.testing.model.auth_layer import AuthLayer, AuthType, PolicyLike
from lattice_client.testing.model.callers import Caller, CallerRegistry, Principal, issue
from lattice_client.testing.model.networks import ServiceNetwork
from lattice_client.testing.model.rules import Targets
from lattice_client.testing.model.services import Service, service_at
from lattice_client.testing.model.target_groups import TargetGroup
from lattice_client.testing.policies import IdentityPolicy, PolicyDocument
from lattice_client.testing.refusals import RefusedError
from lattice_client.testing.targets.echo import echo
from lattice_client.testing.targets.lifespan import Lifespans
from lattice_client.testing.verification.canonical import PathEncoding, QueryPlus
from lattice_client.testing.verification.verifier import LATTICE, Verifier

if TYPE_CHECKING:
    from lattice_client.credentials import Credentials

__all__ = ["LocalLattice"]

_log = logging.getLogger("lattice_client.testing")


class LocalLattice:
    """Service networks and their services; as an ASGI application, the first network's entrance.

    :param region: the region of all resources.
    :param account: the account that owns all resources.
    :param service: the service in the credential scope. Any other than Lattice's stands for another
        IAM evaluation point (``execute-api``): signed payloads are accepted, and the body of a
        signed request is read completely before the target gets it.
    :param path_encoding: how paths are canonicalised: ``double`` (and normalised), ``double-raw``
        (not normalised) or ``single``; see ``Verifier``.
    :param query_plus: how a raw ``+`` in a query must be signed: as ``space`` (``%20``), as
        ``plus`` (``%2B``), or as ``either``.
    :param clock: returns the time, in seconds since the epoch. By default ``time.time``, looked up
        at each call. Tests may set ``lattice.clock`` later.
    :param network_name: the name of the first service network, ``lattice.network``. For more
        networks see ``add_network``.
    :param network_auth_type: its auth type, ``AWS_IAM`` or ``NONE``.
    :param network_policy: its auth policy; see ``AuthLayer``.
    :param organization: the id of the organization that all callers belong to, or None.
    :param vpc_id: the VPC that all calls come from, ``vpc-lattice-svcs:SourceVpc``; by default one
        derived from the region. ``lattice.vpc_id`` may be set later.
    :param history: how many access-log records and received requests are kept; the oldest are
        dropped.
    :param on_access: called with each access-log record. Its exceptions are logged, not raised.
    :param seed: makes the choice between weighted target groups the same in every run.
    :param access_log: a file to append records to, one JSON object a line, as VPC Lattice writes
        them: ``-`` where there is no value. The directory must exist. Several processes may share
        the file.
    :raises ValueError: if a setting or a policy is invalid.
    :raises OSError: if the file cannot be opened.

    ``lattice.faults`` injects failures.
    """

    def __init__(
        self,
        *,
        region: str = "us-west-2",
        account: str = "111122223333",
        service: str = LATTICE,
        path_encoding: PathEncoding = "double",
        query_plus: QueryPlus = "either",
        clock: Callable[[], float] = system_time,
        network_name: str = "local",
        network_auth_type: AuthType = "NONE",
        network_policy: PolicyLike = None,
        organization: str | None = "o-a1b2c3d4e5",
        vpc_id: str | None = None,
        history: int = 10_000,
        on_access: Callable[[AccessRecord], object] | None = None,
        seed: int | None = None,
        access_log: str | os.PathLike[str] | None = None,
    ) -> None:
        check_region(region)
        check_account(account)
        self._services: dict[str, Service] = {}
        self.region = region
        self.account = account
        self.clock = clock
        self.organization = organization
        self._networks: dict[str, ServiceNetwork] = {}
        self.network = self.add_network(
            network_name, auth_type=network_auth_type, policy=network_policy
        )
        self.vpc_id = vpc_id or resource_id("vpc", region)
        self._target_groups: dict[str, TargetGroup] = {}
        self._unnamed = itertools.count(1)
        self._callers = CallerRegistry(self._now)
        self._verifier = Verifier(
            self._callers.credentials,
            region=region,
            service=service,
            path_encoding=path_encoding,
            query_plus=query_plus,
            clock=self._now,
        )
        self._admission = Admission(self._callers, self._now)
        self._lifespans = Lifespans()
        # It chooses between target groups: no cryptography.
        self._forwarder = Forwarder(self._lifespans, random.Random(seed).random)  # noqa: S311
        self.faults = Faults(self.service)
        self._access_file = None if access_log is None else AccessLogFile(access_log)
        self._access_log: deque[AccessRecord] = deque(maxlen=history)
        self._requests: deque[ReceivedRequest] = deque(maxlen=history)
        self._on_access = on_access

    def __repr__(self) -> str:
        return f"<LocalLattice in {self.region}, services: {', '.join(self._services) or 'none'}>"

    @property
    def vpc_arn(self) -> str:
        """The ARN of the VPC that all calls come from."""
        partition = partition_of(self.region)
        return f"arn:{partition}:ec2:{self.region}:{self.account}:vpc/{self.vpc_id}"

    # Services, networks, target groups and callers

    def add_service(
        self,
        name: str,
        *,
        domain: str | None = None,
        target: Targets | None = None,
        auth_type: AuthType = "AWS_IAM",
        policy: PolicyLike = None,
        networks: Iterable[ServiceNetwork | str] | None = None,
    ) -> Service:
        """Add a service. Requests may be in progress.

        :param domain: its custom domain name.
        :param target: where it forwards: an ASGI application, the URL of a server, a
            ``LambdaTarget`` or a target group; by default ``echo``, which describes the request it
            got in JSON. For rules and weights see ``Service.when`` and ``Service.otherwise``.
        :param auth_type: ``AWS_IAM``, or ``NONE`` to skip the service's layer.
        :param policy: its auth policy: an IAM JSON document, or None to allow every signed request;
            see ``AuthLayer``.
        :param networks: the service networks that it is associated with, or their names; by default
            the first one.
        :raises ValueError: if a name is malformed or taken, or the policy is invalid.
        :raises KeyError: if there is no such network.
        """
        if name in self._services:
            raise ConfigurationError(f"the service {name!r} already exists")
        associated = [
            self._network(network) for network in ([self.network] if networks is None else networks)
        ]
        service = Service(
            name,
            region=self.region,
            account=self.account,
            auth=AuthLayer("Service", auth_type, policy),
            make_group=self._as_group,
            domain=domain,
            target=echo if target is None else target,
        )
        taken = self.names.intersection(service.names)
        if taken:
            raise ValueError(f"another service already has the name {', '.join(sorted(taken))}")
        self._services[name] = service
        for network in associated:
            network.associate(service)
        return service

    def add_network(
        self, name: str, *, auth_type: AuthType = "NONE", policy: PolicyLike = None
    ) -> ServiceNetwork:
        """Add a service network: another entrance, for ``serve`` or any ASGI server.

        :param auth_type: ``AWS_IAM``, or ``NONE`` to skip the network's layer.
        :param policy: its auth policy; see ``AuthLayer``.
        :raises ValueError: if the name is malformed or taken, or the policy is invalid.
        """
        if name in self._networks:
            raise ConfigurationError(f"the service network {name!r} already exists")
        network = ServiceNetwork(self, name, auth=AuthLayer("Network", auth_type, policy))
        self._networks[name] = network
        return network

    def add_target_group(self, name: str, *targets: ASGIApp | str) -> TargetGroup:
        """Add a target group that rules can forward to.

        :param targets: ASGI applications, or URLs of servers.
        :raises ValueError: if the name is malformed or taken.
        """
        if name in self._target_groups:
            raise ConfigurationError(f"the target group {name!r} already exists")
        group = self._group(name, *targets)
        self._target_groups[name] = group
        return group

    def add_caller(
        self,
        name: str,
        *,
        role: str | None = None,
        account: str | None = None,
        session: str = "session",
        principal: Principal | None = None,
        tags: Mapping[str, str] | None = None,
        identity_policies: Sequence[IdentityPolicy | PolicyDocument] | None = None,
        credentials: Credentials | None = None,
        token: bool | None = None,
    ) -> Caller:
        """Add a caller, a session of an IAM role, or any other principal.

        :param role: the role's name, with its path if it has one; by default the caller's name.
        :param account: the role's account; by default the service network's.
        :param session: the session's name.
        :param principal: the principal, in place of the role, its session, tags and policies: for
            users, root users, and callers of another organization.
        :param tags: the caller's tags, ``aws:PrincipalTag/…``.
        :param identity_policies: the caller's IAM policies. None allows every call; ``()`` stands
            for a role without policies, as in AWS. See ``Principal``.
        :param credentials: the credentials to register; generated if None. For more than one set,
            see ``Caller.rotate``.
        :param token: whether generated credentials have a session token; by default those of roles
            have one.
        :raises ValueError: if the name or the access key is taken; ``PolicyError`` (a
            ``ValueError``) if IAM would refuse a policy.
        """
        if principal is None:
            principal = Principal(
                account or self.account,
                role or name,
                session,
                self.organization,
                tags=tags or {},
                identity_policies=identity_policies,
                partition=partition_of(self.region),
            )
        if token is None:
            token = principal.type == "AssumedRole"
        return Caller(name, principal, self._callers, credentials or issue(token=token))

    def service(self, name: str) -> Service:
        """The service of that name or host name.

        :raises KeyError: if there is none.
        """
        found = self._services.get(name) or service_at(name, self.services)
        if found is None:
            raise KeyError(f"no service {name!r}; there are: {', '.join(self._services) or 'none'}")
        return found

    def target_group(self, name: str) -> TargetGroup:
        """The target group that ``add_target_group`` added under that name.

        :raises KeyError: if there is none.
        """
        try:
            return self._target_groups[name]
        except KeyError:
            known = ", ".join(self._target_groups) or "none"
            raise KeyError(f"no target group {name!r}; there are: {known}") from None

    def caller(self, name: str) -> Caller:
        """The caller of that name.

        :raises KeyError: if there is none.
        """
        return self._callers[name]

    @property
    def callers(self) -> dict[str, Caller]:
        """All callers by name, in the order they were added."""
        return self._callers.by_name

    @property
    def networks(self) -> dict[str, ServiceNetwork]:
        """All service networks by name, in the order they were added."""
        return dict(self._networks)

    @property
    def target_groups(self) -> dict[str, TargetGroup]:
        """The target groups that ``add_target_group`` added, by name, in that order."""
        return dict(self._target_groups)

    @property
    def network_arn(self) -> str:
        """The ARN of the first service network."""
        return self.network.arn

    @property
    def services(self) -> tuple[Service, ...]:
        """All services, in the order they were added."""
        return tuple(self._services.values())

    @property
    def names(self) -> frozenset[str]:
        """The host names of all services."""
        return frozenset(name for service in self.services for name in service.names)

    # Records of requests

    @property
    def access_log(self) -> list[AccessRecord]:
        """The access-log records, oldest first: a copy of the last ``history`` ones.

        A record is added before the client can see the end of its response.
        """
        return list(self._access_log)

    @property
    def access(self) -> Calls:
        """The calls in the access log, to select from and to assert on:
        ``lattice.access.of("orders").denied_by("Service")``."""
        return Calls(self.access_log, self)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The requests as they arrived, oldest first: a copy of the last ``history`` ones."""
        return list(self._requests)

    def clear(self) -> None:
        """Delete the access log and the received requests."""
        self._access_log.clear()
        self._requests.clear()

    # The ASGI application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application: the entrance of the first service network."""
        await self.enter(self.network, scope, receive, send)

    async def enter(
        self, network: ServiceNetwork, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """The ASGI application of one service network's entrance."""
        if scope["type"] == "lifespan":
            await self._lifespans.run(receive, send)
        elif scope["type"] == "http":
            await self._serve(network, scope, receive, send)
        elif scope["type"] == "websocket":
            # Closing before accepting makes the server answer 403.
            await receive()
            await send({"type": "websocket.close"})
        else:
            raise NotImplementedError(f"ASGI scope {scope['type']!r}")

    async def _serve(
        self, network: ServiceNetwork, scope: Scope, receive: Receive, send: Send
    ) -> None:
        faults = self.faults.strike(scope, network.services)
        exchange = Exchange(scope, receive, send, network, faults.clock(self._now), self._write)
        exchange.record["serviceNetworkArn"] = network.arn
        exchange.record["sourceVpcArn"] = self.vpc_arn
        exchange.record["sourceVpcId"] = exchange.record["destinationVpcId"] = self.vpc_id
        try:
            try:
                await self._admit(exchange, faults)
                if not await faults.before_target(exchange):
                    await self._forwarder.forward(exchange, self.vpc_arn)
                await faults.after_target(exchange)
            except RefusedError as refusal:
                if refusal.failure is not None:
                    exchange.note_failure(refusal.failure)
                close = [(b"connection", b"close")] if refusal.closes else []
                await exchange.answer(refusal.status, refusal.text, close)
                await faults.after_target(exchange)  # A fixed response may be cut as any other.
        except Exception:
            exchange.note_failure("InternalError")
            raise
        except BaseException:
            # Cancelled: servers do so when the client is gone, or when they stop.
            exchange.note_failure("ClientConnectionClosed")
            raise
        finally:
            exchange.incoming.close()
            exchange.finish()

    async def _admit(self, exchange: Exchange, faults: ActiveFaults) -> None:
        """Route, authenticate and authorize a request, and record it in any case.

        :raises RefusedError: if it is refused.
        """
        request, admission, verified = exchange.request, self._admission, None
        try:
            layers = admission.route(exchange)
            verifier = faults.verifier(self._verifier)
            verified = await admission.authenticate(exchange, verifier)
            admission.authorize(
                exchange, layers, source_vpc=self.vpc_id, source_vpc_account=self.account
            )
        except RefusedError as refusal:
            self._requests.append(ReceivedRequest.of(request, exchange.service, verified, refusal))
            raise
        self._requests.append(ReceivedRequest.of(request, exchange.service, verified))

    # Parts

    def _network(self, network: ServiceNetwork | str) -> ServiceNetwork:
        name = network if isinstance(network, str) else network.name
        if name not in self._networks:
            known = ", ".join(self._networks)
            raise KeyError(f"no service network {name!r}; there are: {known}")
        return self._networks[name]

    def _group(self, name: str, *targets: ASGIApp | str) -> TargetGroup:
        return TargetGroup(name, *targets, region=self.region, account=self.account)

    def _as_group(self, target: Targets, name: str | None = None) -> TargetGroup:
        if isinstance(target, TargetGroup):
            return target
        # Ids are derived from names, so a group without a name gets one.
        return self._group(name or f"unnamed-{next(self._unnamed)}", target)

    def _write(self, record: AccessRecord) -> None:
        self._access_log.append(record)
        if self._access_file is not None:
            self._access_file.write(record)
        if self._on_access is not None:
            try:
                self._on_access(record)
            except Exception:  # noqa: BLE001 - the request must not fail
                _log.exception("on_access failed")

    def _now(self) -> float:
        # Looked up at each call, because tests set lattice.clock.
        return self.clock()
