"""Route 53: the records behind a name, including the aliases that DNS does not show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lattice_client._arguments import explains_boto_names
from lattice_client._secrecy import forgetful
from lattice_client.credentials import CredentialsSource
from lattice_client.errors import ConfigurationError, NameSourceError
from lattice_client.names.aws_api import AwsApi
from lattice_client.names.aws_listing import CachedList
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import ends_with
from lattice_client.names.lattice_addresses import foreign_address
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.source import AliasHost, alias_endpoint, check_alias_host

__all__ = ["Route53Names"]

_MAX_CHAIN = 8
# Records in one response. Most names have one or two.
_PAGE_SIZE = 50


class _Zone(NamedTuple):
    id: str
    name: str
    private: bool


class _Targets(NamedTuple):
    """The names and addresses that a name's records lead to, and their TTL in seconds (None:
    unknown)."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    ttl: float | None


class _ChainEnds:
    """Where the chains of records from a name end."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.managed: set[str] = set()
        self.foreign: list[str] = []
        # Whether a chain ends at addresses of Lattice's.
        self.by_address = False

    def add_addresses(self, targets: _Targets) -> None:
        if targets.ttl is not None:
            self.ttl = min(self.ttl, targets.ttl)
        if targets.addresses:
            foreign = foreign_address(targets.addresses)
            self.foreign += [foreign] * bool(foreign)
            self.by_address = self.by_address or not foreign


class Route53Names:
    """The source that reads hosted zones: alias and CNAME records, and chains of them.

    The zone with the longest matching name is used; of several with the same name, private ones
    come first. Wildcard records work as in DNS. If weighted, latency or failover records lead a
    name to several targets, all must be VPC Lattice's, or this source does not know the name; a
    weight of zero is ignored. With ``host="managed"``, several targets are a failure of this
    source: a name that moves by weights keeps its old target until only one is left or the old
    answer has run out (``stale`` of ``Names``).

    :param vpc_id: use only the private zones associated with this VPC (ListHostedZonesByVPC, which
        lists no public ones; ``region`` is then the VPC's). None: all zones of the account.
    :param host: the Host header. ``kept``: the requested name, which Lattice knows as a custom
        domain. ``managed``: names are only aliases, so Host and SNI become the managed name. With
        :class:`LatticeNames` among the sources this has no effect: it knows custom domains.
    :param ttl: for how many seconds an answer without a TTL is used; aliases have none.
    :param zones_ttl: for how many seconds the list of zones is used.
    :param region: None: AWS_REGION, AWS_DEFAULT_REGION, else the profile's. It decides the
        partition.
    :param credentials: as in the auth objects; they need ``route53:ListHostedZones`` (or
        ``ListHostedZonesByVPC``) and ``route53:ListResourceRecordSets``.
    :param endpoint_url: another endpoint to call.
    :raises ConfigurationError: if an argument is invalid.

    Route 53 allows an account five calls a second ("Quotas", Route 53 Developer Guide): a name
    costs one or two each time its answer expires.
    """

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        *,
        vpc_id: str | None = None,
        host: AliasHost = "kept",
        ttl: float = 60.0,
        zones_ttl: float = 300.0,
        region: str | None = None,
        credentials: CredentialsSource | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        check_alias_host(host)
        if vpc_id is not None and not region:
            raise ConfigurationError("vpc_id needs the VPC's region too: region='eu-west-1'")
        if not (ttl > 0 and zones_ttl > 0):
            raise ConfigurationError(f"ttls are in seconds, above 0; not {ttl!r}, {zones_ttl!r}")
        self._vpc = None if vpc_id is None else {"VPCId": vpc_id, "VPCRegion": region}
        self._host: AliasHost = host
        self._ttl = ttl
        self._zones = CachedList[tuple[_Zone, ...]](zones_ttl)
        self._api = AwsApi(
            "route53", region=region, credentials=credentials, endpoint_url=endpoint_url
        )

    def __repr__(self) -> str:
        return f"Route53Names(vpc_id={self._vpc and self._vpc['VPCId']!r}, host={self._host!r})"

    def find(self, name: str, now: float) -> Endpoint | None:
        _, zones = self._zones.get(now, self._all_zones)
        ends = _ChainEnds(self._ttl)
        seen, pending = {name}, [name]
        while pending:
            targets = self._targets_of(pending.pop(), zones)
            if targets is None:
                return None
            ends.add_addresses(targets)
            for each in targets.names:
                if managed_endpoint(each) is not None:
                    ends.managed.add(each)
                elif not _zones_of(each, zones):
                    ends.foreign.append(each)
                elif each not in seen:
                    seen.add(each)
                    pending.append(each)
            if len(seen) > _MAX_CHAIN:
                raise NameSourceError(f"Route 53: {name} leads to too many names")
        return self._endpoint(name, ends, now + ends.ttl)

    def _endpoint(self, name: str, ends: _ChainEnds, expires_at: float) -> Endpoint | None:
        if ends.foreign:
            if ends.managed or ends.by_address:
                return None
            return Endpoint(
                name,
                source=f"Route 53: it leads to {ends.foreign[0]}, which is not Lattice's",
                expires_at=expires_at,
                is_lattice=False,
            )
        if len(ends.managed) == 1 and not ends.by_address:
            return alias_endpoint(name, ends.managed.pop(), "Route 53", expires_at, self._host)
        aliases = [
            alias_endpoint(name, each, "Route 53", expires_at, "kept") for each in ends.managed
        ]
        if not (aliases or ends.by_address):
            return None
        if aliases and self._host == "managed":
            # Ambiguous. Raising keeps a cached answer in use.
            several = ", ".join(sorted(ends.managed))
            raise NameSourceError(
                f"Route 53: {name} leads to several targets, {several} among them, so there is no "
                "single managed name for Host (host='managed')"
            )
        regions = {each.region for each in aliases}
        return Endpoint(
            name,
            region=regions.pop() if len(regions) == 1 else None,
            source="Route 53",
            expires_at=expires_at,
            is_lattice=all(each.is_lattice for each in aliases),
        )

    # Zones.

    def _all_zones(self) -> tuple[_Zone, ...]:
        return tuple(self._zones_in_vpc() if self._vpc else self._zones_of_account())

    def _zones_of_account(self) -> Iterator[_Zone]:
        for zone in self._api.items("list_hosted_zones", "HostedZones"):
            private = zone.get("Config", {}).get("PrivateZone", False)
            yield _Zone(zone["Id"].rpartition("/")[2], _normalized(zone["Name"]), private)

    def _zones_in_vpc(self) -> Iterator[_Zone]:
        # botocore has no paginator for this operation.
        arguments: dict[str, Any] = dict(self._vpc or {})
        while True:
            answer = self._api.call("list_hosted_zones_by_vpc", **arguments) or {}
            for zone in answer.get("HostedZoneSummaries", ()):
                yield _Zone(zone["HostedZoneId"], _normalized(zone["Name"]), private=True)
            if not answer.get("NextToken"):
                return
            arguments["NextToken"] = answer["NextToken"]

    # Records.

    def _targets_of(self, name: str, zones: tuple[_Zone, ...]) -> _Targets | None:
        """The targets of a name's records, from private zones first; None if it has no records."""
        matching = _zones_of(name, zones)
        for private in (True, False):
            records = [
                record
                for zone in matching
                if zone.private == private
                for record in self._records(name, zone)
            ]
            if records:
                return _targets(records)
        return None

    def _records(self, name: str, zone: _Zone) -> list[dict[str, Any]]:
        """The records of a name. If it does not exist, those of the wildcard directly below its
        closest ancestor that exists ("The role of wildcards", RFC 4592 section 2.2.1)."""
        records, next_name = self._records_at(name, zone)
        exists = bool(records) or ends_with(next_name, name)
        current = name
        while not exists and current != zone.name:
            current = current.partition(".")[2]
            records, next_name = self._records_at(f"*.{current}", zone)
            # Any other name below the ancestor comes right after the wildcard.
            exists = bool(records) or ends_with(next_name, current)
            exists = exists or bool(self._records_at(current, zone)[0])
        return [record for record in records if record["Type"] in ("A", "AAAA", "CNAME")]

    def _records_at(self, name: str, zone: _Zone) -> tuple[list[dict[str, Any]], str]:
        """The records of exactly this name, and the name that follows it. Records are ordered by
        name, with the labels reversed ("ListResourceRecordSets", Route 53 API Reference)."""
        found: list[dict[str, Any]] = []
        for record in self._api.items(
            "list_resource_record_sets",
            "ResourceRecordSets",
            absent=("NoSuchHostedZone",),
            page_size=_PAGE_SIZE,
            HostedZoneId=zone.id,
            StartRecordName=name,
        ):
            if _normalized(record["Name"]) != name:
                return found, _normalized(record["Name"])
            found.append(record)
        return found, ""


def _targets(records: list[dict[str, Any]]) -> _Targets:
    weighted = [record for record in records if record.get("Weight") != 0]
    names: list[str] = []
    addresses: list[str] = []
    ttls = []
    for record in weighted or records:
        if "AliasTarget" in record:
            names.append(_normalized(record["AliasTarget"]["DNSName"]))
            continue
        values = [value["Value"] for value in record.get("ResourceRecords", ())]
        if record["Type"] == "CNAME":
            names += map(_normalized, values)
        else:
            addresses += values
        ttls.append(float(record.get("TTL", 0)))
    return _Targets(tuple(names), tuple(addresses), min(ttls, default=None))


def _zones_of(name: str, zones: tuple[_Zone, ...]) -> list[_Zone]:
    """The zones with the longest matching name."""
    matching = [zone for zone in zones if ends_with(name, zone.name)]
    longest = max((len(zone.name) for zone in matching), default=0)
    return [zone for zone in matching if len(zone.name) == longest]


def _normalized(name: str) -> str:
    """In lower case, without trailing dot; Route 53 writes the wildcard in octal."""
    return name.lower().removesuffix(".").replace("\\052", "*")
