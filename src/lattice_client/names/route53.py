"""Route 53: the records behind a name, which DNS does not show where they are aliases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lattice_client._secrecy import forgetful
from lattice_client.credentials import Credentials, CredentialsProvider
from lattice_client.errors import ConfigurationError, NameSourceError
from lattice_client.names.aws_api import AwsApi
from lattice_client.names.cached_list import Listing
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import ends_with
from lattice_client.names.lattice_addresses import stranger_among
from lattice_client.names.managed import managed_endpoint
from lattice_client.names.source import AliasHost, check_alias_host, led_to

__all__ = ["Route53Names"]

_LONGEST_CHAIN = 8
# Records asked for at once. Most names have one or two.
_PAGE = 50


class _Zone(NamedTuple):
    id: str
    name: str
    private: bool


class _Leads(NamedTuple):
    """Where the records of a name lead: to other names, to addresses; and for how many seconds
    that holds (None: it does not say)."""

    names: tuple[str, ...]
    addresses: tuple[str, ...]
    ttl: float | None


class _Ends:
    """Where all the chains of records from a name end."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.managed: set[str] = set()
        self.strangers: list[str] = []
        # Whether some end at addresses of Lattice's.
        self.by_address = False

    def add_addresses(self, leads: _Leads) -> None:
        if leads.ttl is not None:
            self.ttl = min(self.ttl, leads.ttl)
        if leads.addresses:
            stranger = stranger_among(leads.addresses)
            self.strangers += [stranger] * bool(stranger)
            self.by_address = self.by_address or not stranger


class Route53Names:
    """The source that reads hosted zones: alias and CNAME records, through chains of such.

    The zone is the one with the longest name that fits; of several with the same name the private
    ones come first. Wildcard records count as in DNS. Where weighted, latency or failover records
    lead a name to several places, all have to be VPC Lattice, or this source does not know the
    name; a weight of zero counts for nothing. With ``host="managed"`` several are a failure of this
    source: a name that moves by weights goes on to where it led before, until one is left or the
    old answer has had its time (``stale`` of ``Names``).

    :param vpc_id: only the private zones that are associated with this VPC (ListHostedZonesByVPC,
        which tells no public ones; ``region`` is then the VPC's). None: all zones of the account.
    :param host: what becomes of Host. ``kept``: Lattice knows the name, as a custom domain.
        ``managed``: names are aliases alone, and Host and SNI are the managed name. With
        :class:`LatticeNames` among the sources this does not matter: it knows.
    :param ttl: for how many seconds an answer holds that tells no TTL, as aliases do not.
    :param zones_ttl: for how many seconds the list of zones holds.
    :param region: None: AWS_REGION, AWS_DEFAULT_REGION, else the profile's. It decides the
        partition.
    :param credentials: as of the auth objects; they need ``route53:ListHostedZones`` (or
        ``ListHostedZonesByVPC``) and ``route53:ListResourceRecordSets``.
    :param endpoint_url: another place to call.
    :raises ConfigurationError: for an argument that cannot work.

    Route 53 takes five calls a second and account ("Quotas", Route 53 Developer Guide): a name
    costs one or two each time that its answer has run out.
    """

    @forgetful
    def __init__(
        self,
        *,
        vpc_id: str | None = None,
        host: AliasHost = "kept",
        ttl: float = 60.0,
        zones_ttl: float = 300.0,
        region: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        check_alias_host(host)
        if vpc_id is not None and not region:
            raise ConfigurationError("vpc_id wants the VPC's region too: region='eu-west-1'")
        if not (ttl > 0 and zones_ttl > 0):
            raise ConfigurationError(f"ttls are in seconds, above 0; not {ttl!r}, {zones_ttl!r}")
        self._vpc = None if vpc_id is None else {"VPCId": vpc_id, "VPCRegion": region}
        self._host: AliasHost = host
        self._ttl = ttl
        self._zones = Listing[tuple[_Zone, ...]](zones_ttl)
        self._api = AwsApi(
            "route53", region=region, credentials=credentials, endpoint_url=endpoint_url
        )

    def __repr__(self) -> str:
        return f"Route53Names(vpc_id={self._vpc and self._vpc['VPCId']!r}, host={self._host!r})"

    def find(self, name: str, now: float) -> Endpoint | None:
        _, zones = self._zones.get(now, self._all_zones)
        ends = _Ends(self._ttl)
        seen, next_ones = {name}, [name]
        while next_ones:
            leads = self._leads(next_ones.pop(), zones)
            if leads is None:
                return None
            ends.add_addresses(leads)
            for each in leads.names:
                if managed_endpoint(each) is not None:
                    ends.managed.add(each)
                elif not _zones_of(each, zones):
                    ends.strangers.append(each)
                elif each not in seen:
                    seen.add(each)
                    next_ones.append(each)
            if len(seen) > _LONGEST_CHAIN:
                raise NameSourceError(f"Route 53: {name} leads to too many names")
        return self._told(name, ends, now + ends.ttl)

    def _told(self, name: str, ends: _Ends, expires_at: float) -> Endpoint | None:
        if ends.strangers:
            if ends.managed or ends.by_address:
                return None
            return Endpoint(
                name,
                source=f"Route 53: it leads to {ends.strangers[0]}, which is not Lattice's",
                expires_at=expires_at,
                is_lattice=False,
            )
        if len(ends.managed) == 1 and not ends.by_address:
            return led_to(name, ends.managed.pop(), "Route 53", expires_at, self._host)
        told = [led_to(name, each, "Route 53", expires_at, "kept") for each in ends.managed]
        if not (told or ends.by_address):
            return None
        if told and self._host == "managed":
            # Which of them a call is for nobody can say. Whoever called one before goes on.
            several = ", ".join(sorted(ends.managed))
            raise NameSourceError(
                f"Route 53: {name} leads to several places, {several} among them, so none is the "
                "managed name for Host (host='managed')"
            )
        regions = {each.region for each in told}
        return Endpoint(
            name,
            region=regions.pop() if len(regions) == 1 else None,
            source="Route 53",
            expires_at=expires_at,
            is_lattice=all(each.is_lattice for each in told),
        )

    # Zones.

    def _all_zones(self) -> tuple[_Zone, ...]:
        return tuple(self._zones_in_vpc() if self._vpc else self._zones_of_account())

    def _zones_of_account(self) -> Iterator[_Zone]:
        for zone in self._api.items("list_hosted_zones", "HostedZones"):
            private = zone.get("Config", {}).get("PrivateZone", False)
            yield _Zone(zone["Id"].rpartition("/")[2], _spelt(zone["Name"]), private)

    def _zones_in_vpc(self) -> Iterator[_Zone]:
        # botocore has no paginator for it.
        arguments: dict[str, Any] = dict(self._vpc or {})
        while True:
            answer = self._api.call("list_hosted_zones_by_vpc", **arguments) or {}
            for zone in answer.get("HostedZoneSummaries", ()):
                yield _Zone(zone["HostedZoneId"], _spelt(zone["Name"]), private=True)
            if not answer.get("NextToken"):
                return
            arguments["NextToken"] = answer["NextToken"]

    # Records.

    def _leads(self, name: str, zones: tuple[_Zone, ...]) -> _Leads | None:
        """Where the records of a name lead, in the private zones first; None where it has none."""
        of_name = _zones_of(name, zones)
        for private in (True, False):
            records = [
                record
                for zone in of_name
                if zone.private == private
                for record in self._records(name, zone)
            ]
            if records:
                return _leading(records)
        return None

    def _records(self, name: str, zone: _Zone) -> list[dict[str, Any]]:
        """The records of a name; where it does not exist, of the wildcard right below the nearest
        name above that does ("The role of wildcards", RFC 4592 section 2.2.1)."""
        records, next_name = self._records_at(name, zone)
        exists = bool(records) or ends_with(next_name, name)
        current = name
        while not exists and current != zone.name:
            current = current.partition(".")[2]
            records, next_name = self._records_at(f"*.{current}", zone)
            # Whatever else is below comes right behind the wildcard.
            exists = bool(records) or ends_with(next_name, current)
            exists = exists or bool(self._records_at(current, zone)[0])
        return [record for record in records if record["Type"] in ("A", "AAAA", "CNAME")]

    def _records_at(self, name: str, zone: _Zone) -> tuple[list[dict[str, Any]], str]:
        """The records of this very name, and the name that comes next: they are ordered by name,
        with the labels reversed ("ListResourceRecordSets", Route 53 API Reference)."""
        found: list[dict[str, Any]] = []
        for record in self._api.items(
            "list_resource_record_sets",
            "ResourceRecordSets",
            absent=("NoSuchHostedZone",),
            page_size=_PAGE,
            HostedZoneId=zone.id,
            StartRecordName=name,
        ):
            if _spelt(record["Name"]) != name:
                return found, _spelt(record["Name"])
            found.append(record)
        return found, ""


def _leading(records: list[dict[str, Any]]) -> _Leads:
    weighted = [record for record in records if record.get("Weight") != 0]
    names: list[str] = []
    addresses: list[str] = []
    ttls = []
    for record in weighted or records:
        if "AliasTarget" in record:
            names.append(_spelt(record["AliasTarget"]["DNSName"]))
            continue
        values = [value["Value"] for value in record.get("ResourceRecords", ())]
        if record["Type"] == "CNAME":
            names += map(_spelt, values)
        else:
            addresses += values
        ttls.append(float(record.get("TTL", 0)))
    return _Leads(tuple(names), tuple(addresses), min(ttls, default=None))


def _zones_of(name: str, zones: tuple[_Zone, ...]) -> list[_Zone]:
    """Those with the longest name that fits."""
    fitting = [zone for zone in zones if ends_with(name, zone.name)]
    longest = max((len(zone.name) for zone in fitting), default=0)
    return [zone for zone in fitting if len(zone.name) == longest]


def _spelt(name: str) -> str:
    """As in an answer, where the wildcard is written in octal."""
    return name.lower().removesuffix(".").replace("\\052", "*")
