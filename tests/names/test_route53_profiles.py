"""Route 53 Profiles bring zones to a VPC, and zones of other accounts reach it too. moto's server
has the zones; the Profiles are answered in the shapes of botocore's service model."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from lattice_client import ConfigurationError, NameSourceError
from lattice_client.names import Names, Route53Names
from support.aws_apis import MANAGED, OTHER, REGION, SETTINGS, Profiles, Zones, alias, failure
from support.raw_server import RawRequest, RawServer, raw_server

botocore = pytest.importorskip("botocore")
pytest.importorskip("botocore.session")
pytestmark = pytest.mark.usefixtures("no_pauses")

VPC, OTHER_VPC = "vpc-0a1b", "vpc-2c3d"
PROFILE = "rp-0a1b2c3d4e5f6789"


@pytest.fixture
def zones(clients) -> Zones:
    return Zones(clients("route53"))


@pytest.fixture
def profiles(moto_url) -> Profiles:
    if "route53profiles" not in botocore.session.get_session().get_available_services():
        pytest.skip("botocore before 1.34.89 does not know Route 53 Profiles")
    return Profiles(moto_url)


@pytest.fixture
def server(profiles) -> Iterator[RawServer]:
    with raw_server(profiles.respond) as running:
        yield running


@pytest.fixture
def warned(caplog) -> Any:
    def warned() -> list[str]:
        return [each.message for each in caplog.records if each.levelno == logging.WARNING]

    return warned


def source(server: RawServer, vpc_id: Any = VPC, **more: Any) -> Route53Names:
    return Route53Names(vpc_id=vpc_id, endpoint_url=server.url, **more, **SETTINGS)


def test_zones_that_reach_a_vpc_by_a_profile(zones, profiles, server):
    direct, shared = zones.named("a"), zones.named("b.shared")
    zones.change(zones.add(vpc=VPC), alias(direct, MANAGED))
    by_profile, second = zones.add("shared", vpc="vpc-of-another"), zones.add("more", vpc="vpc-x")
    zones.change(by_profile, alias(shared, OTHER))
    zones.change(second, alias(zones.named("c.more"), MANAGED))
    # Two Profiles, and two zones of one: each list has several pages.
    profiles.associate(VPC, "rp-empty")
    profiles.associate(VPC, PROFILE, by_profile, second)
    found = source(server)
    assert found.find(direct, 0).managed_name == MANAGED
    assert found.find(shared, 0).managed_name == OTHER
    assert found.find(zones.named("c.more"), 0).managed_name == MANAGED
    # A VPC without Profiles does not see them.
    assert source(server, OTHER_VPC).find(shared, 0) is None


def test_profiles_are_listed_as_often_as_the_zones(zones, profiles, server):
    name = zones.named("orders")
    zone = zones.add(vpc="vpc-of-another")
    zones.change(zone, alias(name, MANAGED))
    found = source(server, zones_ttl=100)
    assert found.find(name, 0) is None
    profiles.associate(VPC, PROFILE, zone)
    assert found.find(name, 99) is None
    assert profiles.asked == ["/profileassociations"]
    assert found.find(name, 100).managed_name == MANAGED
    assert pickle.loads(pickle.dumps(found)).find(name, 100).managed_name == MANAGED


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "DELETED", "FAILED"])
def test_associations_that_are_not_in_effect(status, zones, profiles, server):
    name, zone = zones.named("orders"), zones.add(vpc="vpc-of-another")
    zones.change(zone, alias(name, MANAGED))
    profiles.associate(VPC, PROFILE, zone, status=status)
    assert source(server).find(name, 0) is None
    profiles.associate(VPC, PROFILE, zone)
    profiles.of_vpcs[VPC][PROFILE] = status
    assert source(server).find(name, 0) is None


def test_a_zone_of_a_vpc_and_one_of_its_profile_with_one_name(zones, profiles, server):
    """Which of them the VPC's resolver prefers does not matter: both have to lead to Lattice."""
    name, other = zones.named("orders"), zones.named("books")
    direct, by_profile = zones.add(vpc=VPC), zones.add(vpc="vpc-of-another")
    zones.change(direct, alias(name, MANAGED), alias(other, MANAGED))
    zones.change(by_profile, alias(name, OTHER), alias(other, "lb.example.net"))
    profiles.associate(VPC, PROFILE, by_profile, direct)
    found = source(server).find(name, 0)
    assert (found.is_lattice, found.region, found.managed_name) == (True, REGION, None)
    assert source(server).find(other, 0) is None


def test_several_vpcs(zones, profiles, server):
    a, b, both = map(zones.named, ("a", "b", "x.both"))
    first, second = zones.add(vpc=VPC), zones.add(vpc="vpc-of-another")
    zones.change(first, alias(a, MANAGED), alias(both, MANAGED))
    zones.change(second, alias(b, OTHER))
    profiles.associate(OTHER_VPC, PROFILE, second)
    found = source(server, [VPC, OTHER_VPC])
    assert found.find(a, 0).managed_name == MANAGED
    assert found.find(b, 0).managed_name == OTHER
    assert repr(found) == f"Route53Names(vpc_id={[VPC, OTHER_VPC]!r}, host='kept')"
    # A name that leads to Lattice in one VPC and elsewhere in another is not Lattice's for sure,
    # also where the zones have different names.
    deeper = zones.add("both", vpc=OTHER_VPC)
    zones.change(deeper, alias(both, "lb.example.net"))
    assert source(server).find(both, 0).managed_name == MANAGED
    assert source(server, [VPC, OTHER_VPC]).find(both, 0) is None


def test_throttled(zones, profiles, server):
    name, zone = zones.named("orders"), zones.add(vpc="vpc-of-another")
    zones.change(zone, alias(name, MANAGED))
    profiles.associate(VPC, PROFILE, zone)
    limit = failure(429, "ThrottlingException")
    profiles.first = [limit, limit]
    assert source(server).find(name, 0).managed_name == MANAGED
    profiles.always = limit
    found = source(server)
    with pytest.raises(NameSourceError, match="ListProfileAssociations was answered Throttling"):
        found.find(name, 0)
    # It is not asked again at once.
    asked = len(profiles.asked)
    with pytest.raises(NameSourceError, match="Throttling"):
        found.find(name, 0)
    assert len(profiles.asked) == asked


def test_without_permission_the_other_zones_serve(zones, profiles, server, warned):
    name = zones.named("orders")
    zones.change(zones.add(vpc=VPC), alias(name, MANAGED))
    profiles.always = failure(403, "AccessDeniedException")
    found = source(server, zones_ttl=100)
    for now in (0, 100, 200):
        assert found.find(name, now).managed_name == MANAGED
    (told,) = warned()
    assert f"zones that reach {VPC} by a Route 53 Profile stay unknown" in told
    assert "allow route53profiles:ListProfileAssociations" in told
    assert "LatticeNames()" in told


def test_without_permission_to_list_zones_those_of_the_vpc_serve(zones, profiles, warned):
    name = zones.named("orders")
    zones.change(zones.add(vpc=VPC), alias(name, MANAGED))
    profiles.associate(VPC, PROFILE, zones.add("shared", vpc="vpc-of-another"))

    def respond(request: RawRequest) -> bytes:
        if request.target.partition(b"?")[0].endswith(b"/hostedzone"):
            return failure(403, "AccessDenied", xml=True)
        return profiles.respond(request)

    with raw_server(respond) as server:
        found = source(server, zones_ttl=100)
        for now in (0, 100):
            assert found.find(name, now).managed_name == MANAGED
    (told,) = warned()
    assert f"zones that reach {VPC} by a Route 53 Profile stay unknown" in told
    assert "allow route53:ListHostedZones" in told


def test_a_botocore_that_does_not_know_profiles(zones, server, warned, monkeypatch):
    from botocore.exceptions import UnknownServiceError
    from botocore.session import Session

    create = Session.create_client

    def older(self, service, *arguments, **more):
        if service == "route53profiles":
            raise UnknownServiceError(service_name=service, known_service_names="route53, …")
        return create(self, service, *arguments, **more)

    monkeypatch.setattr(Session, "create_client", older)
    name = zones.named("orders")
    zones.change(zones.add(vpc=VPC), alias(name, MANAGED))
    assert source(server).find(name, 0).managed_name == MANAGED
    (told,) = warned()
    assert "they need botocore 1.34.89" in told


def test_an_endpoint_for_profiles_that_is_not_there(zones, server, warned, monkeypatch):
    with raw_server() as gone:
        pass
    name = zones.named("orders")
    zones.change(zones.add(vpc=VPC), alias(name, MANAGED))
    found = source(server)
    found._listing._profiles._endpoint_url = gone.url
    assert found.find(name, 0).managed_name == MANAGED
    (told,) = warned()
    assert "EndpointConnectionError" in told


def test_a_profiles_zone_of_another_account(zones, profiles, server, warned):
    name = zones.named("orders")
    zones.change(zones.add(vpc=VPC), alias(name, MANAGED))
    profiles.associate(VPC, PROFILE, "/hostedzone/Z0ANOTHER")
    found = source(server, zones_ttl=100)
    for now in (0, 100):
        assert found.find(name, now).managed_name == MANAGED
    (told,) = warned()
    assert f"the zone Z0ANOTHER of Profile {PROFILE} is another account's" in told
    assert "Route53Names(credentials=…)" in told


class TestRecordsThatMayNotBeRead:
    """ListHostedZonesByVPC shows zones of other accounts, whose records are denied."""

    @pytest.fixture
    def names(self, zones) -> dict[str, str]:
        self.foreign = zones.add("theirs", vpc=VPC)
        zones.change(
            zones.add(vpc=VPC),
            alias(zones.named("orders"), MANAGED),
            alias(zones.named("chained"), zones.named("books.theirs")),
        )
        zones.change(self.foreign, alias(zones.named("books.theirs"), MANAGED))
        self.asked = 0
        return {each: zones.named(each) for each in ("orders", "books.theirs", "chained")}

    @pytest.fixture
    def server(self, profiles, names) -> Iterator[RawServer]:
        def respond(request: RawRequest) -> bytes:
            path = request.target.partition(b"?")[0]
            if path.endswith(f"{self.foreign}/rrset".encode()):
                self.asked += 1
                return failure(403, "AccessDenied", xml=True)
            return profiles.respond(request)

        with raw_server(respond) as running:
            yield running

    def test_they_are_said_once_and_the_others_serve(self, zones, server, names, warned):
        found = source(server, zones_ttl=100)
        for now in (0, 50, 100):
            assert found.find(names["orders"], now).managed_name == MANAGED
            assert found.find(names["books.theirs"], now) is None
            assert found.find(names["chained"], now) is None
        assert self.asked == 2  # once for each list of zones
        (told,) = warned()
        assert f"the records of zone theirs.{zones.domain}" in told
        assert "may not be read" in told
        assert "LatticeNames()" in told

    def test_the_answer_says_so(self, server, names, clock):
        found = Names(source(server), clock=clock).resolve(names["books.theirs"])
        assert not found.is_lattice
        assert found.source.startswith("no source knows it; Route 53: the records of zone theirs.")

    def test_another_source_knows_the_name(self, server, names, clock):
        known = {names["books.theirs"]: MANAGED}
        found = Names(source(server), known, clock=clock).resolve(names["books.theirs"])
        assert (found.is_lattice, found.region) == (True, REGION)


def test_settings():
    for wrong in ("", [], [""], ["vpc-1", ""]):
        with pytest.raises(ConfigurationError, match="vpc_id is the id of a VPC or a list"):
            Route53Names(vpc_id=wrong, region=REGION)
    with pytest.raises(ConfigurationError, match="needs their region too"):
        Route53Names(vpc_id=["vpc-1"])
