"""AWS Cloud Map: names in a service registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lattice_client._arguments import explains_boto_names
from lattice_client._secrecy import forgetful
from lattice_client.credentials import CredentialsSource
from lattice_client.errors import ConfigurationError
from lattice_client.names.aws_api import AwsApi
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name
from lattice_client.names.lattice_addresses import foreign_address
from lattice_client.names.source import AliasHost, alias_endpoint, check_alias_host

__all__ = ["CloudMapNames"]

# Reserved attributes of an instance ("RegisterInstance", AWS Cloud Map API Reference).
_NAME_ATTRIBUTES = ("AWS_INSTANCE_CNAME", "AWS_ALIAS_DNS_NAME")
_ADDRESS_ATTRIBUTES = ("AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6")


class CloudMapNames:
    """The source that discovers instances in AWS Cloud Map (DiscoverInstances).

    ``payments.internal.example.com`` is the service ``payments`` of the namespace
    ``internal.example.com``. An instance leads to VPC Lattice if its attribute
    ``AWS_INSTANCE_CNAME`` or ``AWS_ALIAS_DNS_NAME``, or ``attribute``, contains a managed name, or
    if its addresses are Lattice's. The first instance with one of them is used.

    :param namespace: whose services to look up; only names below it are queried. None: the part
        after the first dot.
    :param suffix: the namespace's place in names if it has no DNS name (namespaces of the type
        HTTP). None: the namespace itself.
    :param attributes: what an instance must have, as ``{"stage": "prod"}``.
    :param attribute: a custom attribute that contains the managed name.
    :param host: the Host header, ``kept`` or ``managed``, as in :class:`Route53Names`. The names of
        a namespace of the type HTTP exist in no DNS: ``managed`` calls the managed name instead.
    :param owner_account: the owner of a namespace that another account shares.
    :param ttl: for how many seconds an answer is used; Cloud Map returns no TTL.
    :param region: None: AWS_REGION, AWS_DEFAULT_REGION, else the profile's.
    :param credentials: as in the auth objects; they need ``servicediscovery:DiscoverInstances``.
    :param endpoint_url: another endpoint to call, such as one in a VPC.
    :raises ConfigurationError: if an argument is invalid.
    """

    @explains_boto_names
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
        credentials: CredentialsSource | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        if suffix is not None and namespace is None:
            raise ConfigurationError("suffix needs a namespace")
        check_alias_host(host)
        if not ttl > 0:
            raise ConfigurationError(f"ttl is in seconds, above 0; not {ttl!r}")
        self._namespace = namespace
        self._suffix = normal_name(suffix or namespace) if namespace else None
        self._name_attributes = ((attribute,) if attribute else ()) + _NAME_ATTRIBUTES
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
        for key in self._name_attributes:
            target = attributes.get(key)
            if target:
                return alias_endpoint(
                    name, target.lower().removesuffix("."), "Cloud Map", expires_at, self._host
                )
        addresses = [attributes[key] for key in _ADDRESS_ATTRIBUTES if attributes.get(key)]
        if not addresses:
            return None
        foreign = foreign_address(addresses)
        return Endpoint(
            name,
            source=f"Cloud Map: {foreign} is not an address of Lattice's"
            if foreign
            else "Cloud Map",
            expires_at=expires_at,
            is_lattice=not foreign,
            reason="foreign target" if foreign else None,
        )
