"""Route 53: the records behind a name, including the aliases that DNS does not show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from lattice_client._arguments import explains_boto_names
from lattice_client._secrecy import forgetful
from lattice_client.credentials import CredentialsSource
from lattice_client.errors import ConfigurationError, NameSourceError
from lattice_client.names.aws_api import AwsApi, NoPermissionError
from lattice_client.names.aws_listing import CachedList
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import ends_with
from lattice_client.names.lattice_addresses import foreign_address
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.remarks import remark, warn
from lattice_client.names.route53_zones import (
    OTHER_ACCOUNTS,
    Zone,
    Zones,
    ZonesOfAccount,
    ZonesOfVpcs,
    normalized,
    zones_of,
)
from lattice_client.names.source import AliasHost, alias_endpoint, check_alias_host

__all__ = ["Route53Names"]

_MAX_CHAIN = 8
# Records in one response. Most names have one or two.
_PAGE_SIZE = 50


class _UnreadableZoneError(Exception):
    def __init__(self, zone: Zone) -> None:
        self.zone = zone


class _Targets(NamedTuple):
    """The names and addresses that a name's records lead to, their TTL in seconds (None: unknown),
    and the records in words."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    ttl: float | None
    records: tuple[str, ...]


class _ChainEnds:
    """Where the chains of records from a name end."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.managed: set[str] = set()
        self.foreign: list[str] = []
        # Whether a chain ends at addresses of Lattice's.
        self.by_address = False
        self.records: list[str] = []

    def add_addresses(self, targets: _Targets) -> None:
        self.records += targets.records
        if targets.ttl is not None:
            self.ttl = min(self.ttl, targets.ttl)
        if targets.addresses:
            foreign = foreign_address(targets.addresses)
            self.foreign += [foreign] * bool(foreign)
            self.by_address = self.by_address or not foreign


class Route53Names:
    """The source that reads hosted zones: alias and CNAME records, and chains of them.

    The zone with the longest matching name is used; of several with the same name, private ones
    come first. Wildcard records work as in DNS. If weighted, latency, geolocation or failover
    records lead a name to several targets, all must be VPC Lattice's, or this source does not know
    the name: which of them a call reaches, DNS alone decides. A weight of zero is ignored. With
    ``host="managed"``, several targets are a failure of this source: a name that moves by weights
    keeps its old target until only one is left or the old answer has run out (``stale`` of
    ``Names``).

    :param vpc_id: use only the private zones that reach this VPC, or these VPCs of one region,
        ``region``: the zones associated with it, and those of its Route 53 Profiles. None: all
        zones of the account, public ones too.
    :param host: the Host header. ``kept``: the requested name, which Lattice knows as a custom
        domain. ``managed``: names are only aliases, so Host and SNI become the managed name. With
        :class:`LatticeNames` among the sources this has no effect: it knows custom domains.
    :param ttl: for how many seconds an answer without a TTL is used; aliases have none.
    :param zones_ttl: for how many seconds the list of zones is used, and for how many a zone whose
        records may not be read is not asked again.
    :param region: None: AWS_REGION, AWS_DEFAULT_REGION, else the profile's. It decides the
        partition.
    :param credentials: as in the auth objects; they need ``route53:ListHostedZones`` and
        ``route53:ListResourceRecordSets``; with ``vpc_id`` also ``route53:ListHostedZonesByVPC``
        and ``ec2:DescribeVpcs``, which it asks for, and for Profiles
        ``route53profiles:ListProfileAssociations`` and ``ListProfileResourceAssociations``.
    :param endpoint_url: another endpoint to call.
    :raises ConfigurationError: if an argument is invalid.

    The records of a zone are shown to the account that owns it alone. Names in a zone of another
    account stay unknown to this source, which is logged once.

    Route 53 allows an account five calls a second ("Quotas", Route 53 Developer Guide): a name
    costs one or two each time its answer expires.
    """

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        *,
        vpc_id: str | Iterable[str] | None = None,
        host: AliasHost = "kept",
        ttl: float = 60.0,
        zones_ttl: float = 300.0,
        region: str | None = None,
        credentials: CredentialsSource | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        check_alias_host(host)
        vpc_ids = (vpc_id,) if isinstance(vpc_id, str) else tuple(vpc_id or ())
        if vpc_id is not None and not (region and vpc_ids and all(vpc_ids)):
            raise ConfigurationError(
                "vpc_id is the id of a VPC or a list of such, and needs their region too: "
                f"vpc_id='vpc-0a1b2c3d', region='eu-west-1'; not {vpc_id!r}, {region!r}"
            )
        if not (ttl > 0 and zones_ttl > 0):
            raise ConfigurationError(f"ttls are in seconds, above 0; not {ttl!r}, {zones_ttl!r}")
        self._host: AliasHost = host
        self._ttl = ttl
        self._api = AwsApi(
            "route53", region=region, credentials=credentials, endpoint_url=endpoint_url
        )
        self._vpc_ids = vpc_ids
        self._listing = (
            ZonesOfVpcs(
                self._api,
                vpc_ids,
                region=region,
                credentials=credentials,
                endpoint_url=endpoint_url,
            )
            if region and vpc_ids
            else ZonesOfAccount(self._api)
        )
        self._zones = CachedList[Zones](zones_ttl)
        # Until when the zones that may not be read are not asked again, by their ids.
        self._unreadable: dict[str, float] = {}

    def __repr__(self) -> str:
        vpcs = self._vpc_ids
        vpc_id = list(vpcs) if len(vpcs) > 1 else next(iter(vpcs), None)
        return f"Route53Names(vpc_id={vpc_id!r}, host={self._host!r})"

    def find(self, name: str, now: float) -> Endpoint | None:
        listed_until, zones = self._zones.get(now, self._listing.fetch)
        try:
            ends = self._follow(name, zones, now)
        except _UnreadableZoneError as error:
            self._note_unreadable(error.zone, listed_until)
            return None
        return None if ends is None else self._endpoint(name, ends, now + ends.ttl)

    def _follow(self, name: str, zones: Zones, now: float) -> _ChainEnds | None:
        """Where the chains of records from a name end; None if one of them breaks off."""
        ends = _ChainEnds(self._ttl)
        seen, pending = {name}, [name]
        while pending:
            targets = self._targets_of(pending.pop(), zones, now)
            if targets is None:
                return None
            ends.add_addresses(targets)
            for each in targets.names:
                if managed_endpoint(each) is not None:
                    ends.managed.add(each)
                elif not zones_of(each, zones):
                    ends.foreign.append(each)
                elif each not in seen:
                    seen.add(each)
                    pending.append(each)
            if len(seen) > _MAX_CHAIN:
                raise NameSourceError(f"Route 53: {name} leads to too many names")
        return ends

    def _note_unreadable(self, zone: Zone, until: float) -> None:
        owner = f" of {zone.owner}" if zone.owner else ""
        text = f"Route 53: the records of zone {zone.name} ({zone.id}{owner}) may not be read"
        if zone.id not in self._unreadable:
            warn(f"{text}, so its names stay unknown: {OTHER_ACCOUNTS}")
        self._unreadable[zone.id] = until
        remark(text)

    def _endpoint(self, name: str, ends: _ChainEnds, expires_at: float) -> Endpoint | None:
        if ends.foreign:
            if ends.managed or ends.by_address:
                remark(
                    f"Route 53: its records lead to VPC Lattice and elsewhere: "
                    f"{'; '.join(ends.records)}. DNS alone decides which one a call reaches: put "
                    "DnsNames(connect='address') after Route53Names"
                )
                return None
            return Endpoint(
                name,
                source=f"Route 53: it leads to {ends.foreign[0]}, which is not Lattice's",
                expires_at=expires_at,
                is_lattice=False,
                reason="foreign target",
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
        barred = next((each for each in aliases if not each.is_lattice), None)
        return Endpoint(
            name,
            region=regions.pop() if len(regions) == 1 else None,
            source=barred.source if barred else "Route 53",
            expires_at=expires_at,
            is_lattice=barred is None,
            reason=barred.reason if barred else None,
        )

    # Records.

    def _targets_of(self, name: str, zones: Zones, now: float) -> _Targets | None:
        """The targets of a name's records, from private zones first; None if it has no records.

        :raises _UnreadableZoneError: for a zone that may not be read.
        """
        matching = zones_of(name, zones)
        for private in (True, False):
            records = [
                record
                for zone in matching
                if zone.private == private
                for record in self._readable_records(name, zone, now)
            ]
            if records:
                return _targets(records)
        return None

    def _readable_records(self, name: str, zone: Zone, now: float) -> list[dict[str, Any]]:
        if now < self._unreadable.get(zone.id, now):
            raise _UnreadableZoneError(zone)
        try:
            return self._records(name, zone)
        except NoPermissionError:
            raise _UnreadableZoneError(zone) from None

    def _records(self, name: str, zone: Zone) -> list[dict[str, Any]]:
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

    def _records_at(self, name: str, zone: Zone) -> tuple[list[dict[str, Any]], str]:
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
            if normalized(record["Name"]) != name:
                return found, normalized(record["Name"])
            found.append(record)
        return found, ""


def _targets(records: list[dict[str, Any]]) -> _Targets:
    weighted = [record for record in records if record.get("Weight") != 0]
    names: list[str] = []
    addresses: list[str] = []
    ttls = []
    in_words = []
    for record in weighted or records:
        values = [value["Value"] for value in record.get("ResourceRecords", ())]
        if "AliasTarget" in record:
            found = [normalized(record["AliasTarget"]["DNSName"])]
            names += found
        else:
            found = list(map(normalized, values)) if record["Type"] == "CNAME" else values
            (names if record["Type"] == "CNAME" else addresses).extend(found)
            ttls.append(float(record.get("TTL", 0)))
        in_words.append(_in_words(record, found))
    return _Targets(tuple(names), tuple(addresses), min(ttls, default=None), tuple(in_words))


def _in_words(record: dict[str, Any], targets: list[str]) -> str:
    """The record's targets, and by what a name server chooses it among others."""
    chosen_by = [
        text.format(record[key] if not isinstance(record[key], dict) else _flat(record[key]))
        for key, text in _CHOSEN_BY.items()
        if key in record
    ]
    how = f" ({', '.join(chosen_by)})" if chosen_by else ""
    return f"{record['Type']} {', '.join(targets)}{how}"


# "ResourceRecordSet", Route 53 API Reference.
_CHOSEN_BY = {
    "Weight": "weight {}",
    "Region": "latency in {}",
    "GeoLocation": "location {}",
    "GeoProximityLocation": "proximity {}",
    "CidrRoutingConfig": "CIDR {}",
    "Failover": "failover {}",
    "MultiValueAnswer": "multivalue",
}


def _flat(value: dict[str, Any]) -> str:
    return " ".join(str(each) for each in value.values())
