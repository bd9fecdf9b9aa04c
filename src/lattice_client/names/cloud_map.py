"""AWS Cloud Map: names that a service registry gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lattice_client._secrecy import forgetful
from lattice_client.credentials import Credentials, CredentialsProvider
from lattice_client.errors import ConfigurationError
from lattice_client.names.aws_api import AwsApi
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name
from lattice_client.names.lattice_addresses import stranger_among
from lattice_client.names.source import AliasHost, check_alias_host, led_to

__all__ = ["CloudMapNames"]

# Reserved attributes of an instance ("RegisterInstance", AWS Cloud Map API Reference).
_LEADING = ("AWS_INSTANCE_CNAME", "AWS_ALIAS_DNS_NAME")
_ADDRESSES = ("AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6")


class CloudMapNames:
    """The source that discovers instances in AWS Cloud Map (DiscoverInstances).

    ``payments.internal.example.com`` is the service ``payments`` of the namespace
    ``internal.example.com``. An instance leads to VPC Lattice if its attribute
    ``AWS_INSTANCE_CNAME`` or ``AWS_ALIAS_DNS_NAME``, or the one named here, holds a managed name,
    or if its addresses are Lattice's. The first instance that has one of them counts.

    :param namespace: whose services to look up: names below it alone are asked for. None: whatever
        stands behind the first dot.
    :param suffix: what stands for the namespace in names, where that has no DNS name (namespaces
        of the type HTTP). None: the namespace itself.
    :param attributes: what an instance must have, as ``{"stage": "prod"}``.
    :param attribute: a custom attribute that holds the managed name.
    :param host: what becomes of Host, ``kept`` or ``managed``, as of :class:`Route53Names`.
    :param owner_account: of a namespace that another account shares.
    :param ttl: for how many seconds an answer holds; Cloud Map tells none.
    :param region: None: AWS_REGION, AWS_DEFAULT_REGION, else the profile's.
    :param credentials: as of the auth objects; they need ``servicediscovery:DiscoverInstances``.
    :param endpoint_url: another place to call, such as an endpoint in a VPC.
    :raises ConfigurationError: for an argument that cannot work.
    """

    @forgetful
    def __init__(
        self,
        namespace: str | None = None,
        *,
        suffix: str | None = None,
        attributes: Mapping[str, str] | None = None,
        attribute: str | None = None,
        host: AliasHost = "kept",
        owner_account: str | None = None,
        ttl: float = 30.0,
        region: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        if suffix is not None and namespace is None:
            raise ConfigurationError("suffix goes with a namespace")
        check_alias_host(host)
        if not ttl > 0:
            raise ConfigurationError(f"ttl is in seconds, above 0; not {ttl!r}")
        self._namespace = namespace
        self._suffix = normal_name(suffix or namespace) if namespace else None
        self._leading = ((attribute,) if attribute else ()) + _LEADING
        self._host: AliasHost = host
        self._ttl = ttl
        self._arguments: dict[str, Any] = {"HealthStatus": "HEALTHY_OR_ELSE_ALL"}
        if attributes:
            self._arguments["QueryParameters"] = dict(attributes)
        if owner_account:
            self._arguments["OwnerAccount"] = owner_account
        self._api = AwsApi(
            "servicediscovery", region=region, credentials=credentials, endpoint_url=endpoint_url
        )

    def __repr__(self) -> str:
        return f"CloudMapNames({self._namespace!r})"

    def find(self, name: str, now: float) -> Endpoint | None:
        service, _, parent = name.partition(".")
        if not parent or self._suffix not in (None, parent):
            return None
        answer = self._api.call(
            "discover_instances",
            absent=("NamespaceNotFound", "ServiceNotFound"),
            NamespaceName=self._namespace or parent,
            ServiceName=service,
            **self._arguments,
        )
        instances = answer["Instances"] if answer else []
        for instance in instances:
            found = self._endpoint(name, instance.get("Attributes", {}), now + self._ttl)
            if found is not None:
                return found
        return None

    def _endpoint(
        self, name: str, attributes: Mapping[str, str], expires_at: float
    ) -> Endpoint | None:
        for key in self._leading:
            target = attributes.get(key)
            if target:
                return led_to(
                    name, target.lower().removesuffix("."), "Cloud Map", expires_at, self._host
                )
        addresses = [attributes[key] for key in _ADDRESSES if attributes.get(key)]
        if not addresses:
            return None
        stranger = stranger_among(addresses)
        return Endpoint(
            name,
            source=f"Cloud Map: {stranger} is not an address of Lattice's"
            if stranger
            else "Cloud Map",
            expires_at=expires_at,
            is_lattice=not stranger,
        )
