"""The hosted zones of Route 53 that a program sees: an account's, or those that reach its VPCs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lattice_client.credentials import CredentialsSource
from lattice_client.names.aws_api import AwsApi, NoPermissionError, NotAvailableError
from lattice_client.names.host_name import ends_with
from lattice_client.names.remarks import warn

__all__ = [
    "OTHER_ACCOUNTS",
    "Zone",
    "Zones",
    "ZonesOfAccount",
    "ZonesOfVpcs",
    "normalized",
    "zones_of",
]

# What to do about a zone of another account, whose records Route 53 shows to no one else.
OTHER_ACCOUNTS = (
    "put LatticeNames() after this source, or another Route53Names(credentials=…) with a role of "
    "the account that owns the zone"
)
# An association in any other state has no effect yet, or no longer.
_IN_EFFECT = ("COMPLETE", "UPDATING")


class Zone(NamedTuple):
    """A hosted zone. ``owner`` is the account or the service that owns it, where it is known."""

    id: str
    name: str
    private: bool
    owner: str = ""


# The zones that one resolver answers from, for each resolver: the account's, or each VPC's.
Zones = tuple[tuple[Zone, ...], ...]


def zones_of(name: str, zones: Zones) -> list[Zone]:
    """For each resolver, the zones with the longest matching name, without doubles."""
    found: list[Zone] = []
    for of_one in zones:
        matching = [zone for zone in of_one if ends_with(name, zone.name)]
        longest = max((len(zone.name) for zone in matching), default=0)
        found += (zone for zone in matching if len(zone.name) == longest)
    return list(dict.fromkeys(found))


def normalized(name: str) -> str:
    """In lower case, without trailing dot; Route 53 writes the wildcard in octal."""
    return name.lower().removesuffix(".").replace("\\052", "*")


class ZonesOfAccount:
    """All zones of the account, public and private (ListHostedZones)."""

    def __init__(self, api: AwsApi) -> None:
        self._api = api

    def fetch(self) -> Zones:
        """:raises NameSourceError: if they cannot be listed."""
        return (tuple(self._zones()),)

    def _zones(self) -> Iterator[Zone]:
        for zone in self._api.items("list_hosted_zones", "HostedZones"):
            private = zone.get("Config", {}).get("PrivateZone", False)
            yield Zone(_id(zone["Id"]), normalized(zone["Name"]), private)


class ZonesOfVpcs:
    """The private zones that reach some VPCs of one region: those that are associated with a VPC
    (ListHostedZonesByVPC), and those of the Route 53 Profiles that are (ListProfileAssociations,
    ListProfileResourceAssociations).

    A Profile names its zones by their ids. ListHostedZones gives the names of the account's own;
    those of other accounts are unknown, and logged once, as is the lack of a permission.
    """

    def __init__(
        self,
        api: AwsApi,
        vpc_ids: Sequence[str],
        *,
        region: str,
        credentials: CredentialsSource | None,
        endpoint_url: str | None,
    ) -> None:
        self.vpc_ids = tuple(vpc_ids)
        self._api = api
        self._region = region
        self._profiles = AwsApi(
            "route53profiles", region=region, credentials=credentials, endpoint_url=endpoint_url
        )
        # What was logged.
        self._told: set[str] = set()

    def fetch(self) -> Zones:
        """:raises NameSourceError: if they cannot be listed."""
        associated = [tuple(self._zones_in(each)) for each in self.vpc_ids]
        of_profiles = [self._zones_of_profiles(each) for each in self.vpc_ids]
        if not any(of_profiles):
            return tuple(associated)
        try:
            (account,) = ZonesOfAccount(self._api).fetch()
        except NoPermissionError as error:
            vpcs = ", ".join(self.vpc_ids)
            self._tell_unknown(vpcs, error, "allow route53:ListHostedZones, which names them")
            return tuple(associated)
        own = {zone.id: zone for zone in account}
        return tuple(
            tuple(dict.fromkeys((*zones, *self._known(ids, own, {zone.id for zone in zones}))))
            for zones, ids in zip(associated, of_profiles, strict=True)
        )

    def _known(
        self, ids: dict[str, str], own: dict[str, Zone], associated: set[str]
    ) -> Iterator[Zone]:
        """The zones of Profiles that this account owns.

        :param ids: the Profile of each zone.
        """
        for zone_id, profile in ids.items():
            if zone_id in associated:
                continue
            if zone_id in own:
                yield own[zone_id]
            else:
                self._tell_once(
                    zone_id,
                    f"Route 53: the zone {zone_id} of Profile {profile} is another account's, so "
                    f"its names stay unknown: {OTHER_ACCOUNTS}",
                )

    def _zones_in(self, vpc_id: str) -> Iterator[Zone]:
        # botocore has no paginator for this operation.
        arguments: dict[str, Any] = {"VPCId": vpc_id, "VPCRegion": self._region}
        while True:
            answer = self._api.call("list_hosted_zones_by_vpc", **arguments) or {}
            for zone in answer.get("HostedZoneSummaries", ()):
                owner = zone.get("Owner", {})
                yield Zone(
                    zone["HostedZoneId"],
                    normalized(zone["Name"]),
                    private=True,
                    owner=owner.get("OwningAccount") or owner.get("OwningService", ""),
                )
            if not answer.get("NextToken"):
                return
            arguments["NextToken"] = answer["NextToken"]

    def _zones_of_profiles(self, vpc_id: str) -> dict[str, str]:
        """The ids of the zones that Profiles bring to a VPC, with the Profile's."""
        try:
            return {
                _id(item["ResourceArn"]): profile
                for profile in self._profiles_of(vpc_id)
                for item in self._profiles.items(
                    "list_profile_resource_associations",
                    "ProfileResourceAssociations",
                    absent=("ResourceNotFoundException",),
                    ProfileId=profile,
                )
                if ":hostedzone/" in item.get("ResourceArn", "") and _is_in_effect(item)
            }
        except NotAvailableError as error:
            needs = (
                "allow route53profiles:ListProfileAssociations and ListProfileResourceAssociations"
                if isinstance(error, NoPermissionError)
                else "they need botocore 1.34.89 and the API's endpoint"
            )
            self._tell_unknown(vpc_id, error, needs)
            return {}

    def _profiles_of(self, vpc_id: str) -> list[str]:
        items = self._profiles.items(
            "list_profile_associations", "ProfileAssociations", ResourceId=vpc_id
        )
        return [item["ProfileId"] for item in items if "ProfileId" in item and _is_in_effect(item)]

    def _tell_unknown(self, vpcs: str, error: NotAvailableError, needs: str) -> None:
        self._tell_once(
            vpcs,
            f"zones that reach {vpcs} by a Route 53 Profile stay unknown ({error}): {needs}, "
            "or put LatticeNames() after this source",
        )

    def _tell_once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            warn(text)


def _id(text: str) -> str:
    """The id of a zone: of ``/hostedzone/Z0A1B``, or of its ARN."""
    return text.rpartition("/")[2]


def _is_in_effect(association: dict[str, Any]) -> bool:
    return association.get("Status", _IN_EFFECT[0]) in _IN_EFFECT
