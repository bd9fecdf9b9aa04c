"""VPC Lattice's API: its services, and the names by which it knows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lattice_client._arguments import explains_boto_names
from lattice_client._secrecy import forgetful
from lattice_client.credentials import CredentialsSource
from lattice_client.errors import ConfigurationError
from lattice_client.names.aws_api import AwsApi
from lattice_client.names.aws_listing import CachedList
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.source import earlier

__all__ = ["LatticeNames"]


class _Service(NamedTuple):
    arn: str
    managed_name: str | None
    custom_domain: str | None
    region: str | None


# Services by managed name and by custom domain. Services in different service networks may have the
# same custom domain.
_Index = dict[str, tuple[_Service, ...]]


class LatticeNames:
    """The source that lists the services of VPC Lattice: those of the account and those shared with
    it (ListServices), and those in service networks of the account or shared with it
    (ListServiceNetworks, ListServiceNetworkServiceAssociations).

    Only this source knows custom domains, so it also completes the answers of others: a name that
    leads to the managed name of a service with another custom domain, or none, is an alias, and
    Host becomes the managed name.

    The caller needs ``vpc-lattice:ListServices``, ``ListServiceNetworks`` and
    ``ListServiceNetworkServiceAssociations``. The list is fetched as a whole, every ``ttl`` seconds
    while names are looked up.

    :param regions: where to list. Empty: AWS_REGION, AWS_DEFAULT_REGION, else the profile's.
    :param credentials: as in the auth objects.
    :param ttl: for how many seconds a list is used.
    :param endpoint_url: another endpoint to call, such as one in a VPC.
    :raises ConfigurationError: if an argument is invalid.
    """

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        *,
        regions: Iterable[str] = (),
        credentials: CredentialsSource | None = None,
        ttl: float = 60.0,
        endpoint_url: str | None = None,
    ) -> None:
        if isinstance(regions, str):
            raise ConfigurationError(f"regions is a list: regions=[{regions!r}]")
        if not ttl > 0:
            raise ConfigurationError(f"ttl is in seconds, above 0; not {ttl!r}")
        self._apis = tuple(
            AwsApi("vpc-lattice", region=each, credentials=credentials, endpoint_url=endpoint_url)
            for each in tuple(regions) or (None,)
        )
        self._cached_index = CachedList[_Index](ttl)

    def __repr__(self) -> str:
        return f"LatticeNames({', '.join(map(repr, self._apis))})"

    def find(self, name: str, now: float) -> Endpoint | None:
        expires_at, index = self._cached_index.get(now, self._index)
        services = index.get(name)
        if not services:
            return None
        regions = {service.region for service in services}
        # Custom domains need not be unique: the caller's service network decides which of the
        # services it is.
        only = services[0] if len(services) == 1 else None
        return Endpoint(
            name,
            region=regions.pop() if len(regions) == 1 else None,
            managed_name=only and only.managed_name,
            service_arn=only and only.arn,
            source="VPC Lattice",
            expires_at=expires_at,
        )

    def complete(self, name: str, found: Endpoint, now: float) -> Endpoint:
        """Add the service's ARN, and the Host that Lattice knows."""
        if found.service_arn is not None:
            return found
        expires_at, index = self._cached_index.get(now, self._index)
        managed = found.managed_name
        known = index.get(name) or (index.get(managed) if managed else None)
        if not known:
            return found
        service = next((each for each in known if each.managed_name == managed), known[0])
        if len(known) > 1 and service.managed_name != managed:
            return found
        knows_name = name in (service.custom_domain, service.managed_name)
        # Lattice's answer takes precedence over the source that found the name.
        return found._replace(
            host=name if knows_name else service.managed_name or found.host,
            region=service.region or found.region,
            managed_name=service.managed_name or managed,
            service_arn=service.arn,
            source=f"{found.source}; VPC Lattice",
            expires_at=earlier(found.expires_at, expires_at),
        )

    def _index(self) -> _Index:
        return _indexed(self._services())

    def _services(self) -> Iterator[_Service]:
        for api in self._apis:
            for item in api.items("list_services", "items"):
                yield from _service(item, item["arn"])
            for network in list(api.items("list_service_networks", "items")):
                for item in api.items(
                    "list_service_network_service_associations",
                    "items",
                    absent=("ResourceNotFoundException",),
                    serviceNetworkIdentifier=network["arn"],
                ):
                    yield from _service(item, item.get("serviceArn", ""))


def _service(item: dict[str, Any], arn: str) -> Iterator[_Service]:
    """The service, or nothing if it has no name yet or is being deleted."""
    if str(item.get("status", "")).startswith(("CREATE_", "DELETE_IN")):
        return
    managed = _name(item.get("dnsEntry", {}).get("domainName"))
    custom = _name(item.get("customDomainName"))
    endpoint = managed_endpoint(managed) if managed else None
    # arn:aws:vpc-lattice:REGION:ACCOUNT:service/svc-ID
    region = endpoint.region if endpoint else (arn.split(":") + [""] * 4)[3]
    yield _Service(arn, None if managed == custom else managed, custom, region or None)


def _name(text: str | None) -> str | None:
    """The normal name; None if it cannot be called, such as a wildcard."""
    try:
        return normal_name(text) if text else None
    except ConfigurationError:
        return None


def _indexed(services: Iterable[_Service]) -> _Index:
    index: _Index = {}
    for service in dict.fromkeys(services):
        for name in filter(None, (service.managed_name, service.custom_domain)):
            index[name] = (*index.get(name, ()), service)
    return index
