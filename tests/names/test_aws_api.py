"""Route 53, VPC Lattice and Cloud Map, asked over HTTP: moto's server, also behind one that
throttles and fails. moto does not page the lists of VPC Lattice, so for that there are answers in
the shapes of botocore's service model."""

from __future__ import annotations

import itertools
import pickle
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lattice_client import ConfigurationError, Credentials, Endpoint, NameSourceError
from lattice_client.names import (
    CloudMapNames,
    DnsNames,
    LatticeNames,
    Names,
    Route53Names,
    region_of,
)
from lattice_client.names.source import alias_endpoint
from support.aws_apis import (
    CREDENTIALS,
    LATTICES_ZONE,
    MANAGED,
    OTHER,
    REGION,
    SETTINGS,
    Profiles,
    Zones,
    alias,
    checked,
    failure,
    forwarding,
    record,
)
from support.names import landed
from support.raw_server import RawRequest, raw_server

botocore_session = pytest.importorskip("botocore.session")
pytestmark = pytest.mark.usefixtures("no_pauses")


class TestRoute53:
    @pytest.fixture
    def zones(self, clients) -> Zones:
        return Zones(clients("route53"))

    @pytest.fixture
    def source(self, moto_url) -> Route53Names:
        return Route53Names(endpoint_url=moto_url, **SETTINGS)

    def test_an_alias_that_dns_does_not_show(self, zones, source):
        name = zones.named("orders")
        zones.change(zones.add(), alias(name, MANAGED), alias(name, MANAGED, "AAAA"))
        found = source.find(name, 1000)
        assert found[:8] == (name, REGION, None, MANAGED, None, "Route 53", 1060, True)

    def test_names_that_are_aliases_alone(self, zones, moto_url):
        name = zones.named("orders")
        zones.change(zones.add(), alias(name, MANAGED.upper()))
        found = Route53Names(endpoint_url=moto_url, host="managed", **SETTINGS).find(name, 0)
        assert (found.host, found.managed_name) == (MANAGED, MANAGED)

    def test_a_chain_of_records_and_the_shortest_ttl(self, zones, source):
        a, b, c = map(zones.named, "abc")
        zone = zones.add()
        zones.change(
            zone,
            record(a, "CNAME", b, ttl=300),
            record(b, "CNAME", f"{c}.", ttl=15),
            alias(c, MANAGED),
        )
        found = source.find(a, 1000)
        assert (found.managed_name, found.expires_at) == (MANAGED, 1015)

    def test_a_loop_leads_nowhere(self, zones, source):
        a, b = map(zones.named, "ab")
        zones.change(zones.add(), record(a, "CNAME", b), record(b, "CNAME", a))
        assert source.find(a, 0) is None

    def test_a_chain_without_end(self, zones, source):
        names = [zones.named(f"n{n}") for n in range(20)]
        pairs = itertools.pairwise(names)
        zones.change(zones.add(), *(record(one, "CNAME", other) for one, other in pairs))
        with pytest.raises(NameSourceError, match="too many names"):
            source.find(names[0], 0)

    def test_a_host_that_is_not_lattices(self, zones, source):
        name, bucket = zones.named("orders"), "bucket.s3.amazonaws.com"
        zones.change(zones.add(), record(name, "CNAME", bucket))
        found = source.find(name, 0)
        assert not found.is_lattice
        assert bucket in found.source

    @pytest.mark.parametrize(
        ("kind", "address", "is_lattice"),
        [
            ("A", "169.254.171.7", True),
            ("AAAA", "fd00:ec2:80::7", True),
            ("A", "93.184.216.34", False),
        ],
    )
    def test_addresses(self, kind, address, is_lattice, zones, source):
        name = zones.named("orders")
        zones.change(zones.add(), record(name, kind, address))
        found = source.find(name, 0)
        assert (found.is_lattice, found.region) == (is_lattice, None)

    def test_no_record_no_zone_and_records_of_other_types(self, zones, source):
        zones.change(zones.add(), record(zones.named("mail"), "MX", "10 mail.example.com"))
        assert source.find(zones.named("mail"), 0) is None
        assert source.find(zones.named("nothing"), 0) is None
        assert source.find("orders.elsewhere.example", 0) is None

    def test_the_longest_zone_counts(self, zones, source):
        name = zones.named("orders.internal")
        zones.change(zones.add(), record(name, "CNAME", "old.example.net"))
        zones.change(zones.add("internal"), alias(name, MANAGED))
        assert source.find(name, 0).managed_name == MANAGED
        # And a zone that only ends alike does not.
        assert source.find(f"x{zones.domain}", 0) is None

    def test_the_private_ones_of_several_zones_with_one_name(self, zones, source):
        name, public_only = zones.named("orders"), zones.named("public")
        public, empty, private = zones.add(private=False), zones.add(), zones.add()
        zones.change(
            public,
            record(name, "CNAME", "lb.example.net"),
            alias(public_only, MANAGED),
        )
        zones.change(private, alias(name, MANAGED))
        assert empty != private
        assert source.find(name, 0).managed_name == MANAGED
        assert source.find(public_only, 0).managed_name == MANAGED

    def test_only_the_zones_of_a_vpc(self, zones, moto_url):
        name = zones.named("orders")
        zones.change(zones.add(vpc="vpc-1"), alias(name, MANAGED))
        zones.change(zones.add(vpc="vpc-2"), alias(name, OTHER))
        with raw_server(Profiles(moto_url).respond) as server:
            for vpc, managed in (("vpc-1", MANAGED), ("vpc-2", OTHER)):
                source = Route53Names(vpc_id=vpc, endpoint_url=server.url, **SETTINGS)
                assert source.find(name, 0).managed_name == managed
        # Without knowing the VPC, it is one of the two.
        both = Route53Names(endpoint_url=moto_url, **SETTINGS).find(name, 0)
        assert (both.is_lattice, both.region, both.managed_name) == (True, REGION, None)

    def test_wildcards_as_in_dns(self, zones, source):
        zone = zones.add()
        zones.change(
            zone,
            alias(f"*.{zones.domain}", MANAGED),
            alias(zones.named("*.deep"), OTHER),
            record(zones.named("exact"), "CNAME", "lb.example.net"),
            record(zones.named("text"), "TXT", '"hello"'),
            record(zones.named("a.between"), "CNAME", "lb.example.net"),
        )

        def managed(name: str) -> str | None:
            found = source.find(zones.named(name), 0)
            return found and found.managed_name

        assert managed("orders") == MANAGED
        assert managed("a.b.orders") == MANAGED
        assert managed("orders.deep") == OTHER
        assert not source.find(zones.named("exact"), 0).is_lattice
        # Names that exist, also with other types only, or only because there is one below them.
        assert managed("text") is None
        assert managed("orders.text") is None
        assert managed("between") is None
        assert managed("b.between") is None
        assert managed("deep") is None

    def test_weighted_records(self, zones, source):
        def weighted(name: str, *targets: tuple[str, int]) -> list[dict[str, Any]]:
            return [
                record(zones.named(name), "CNAME", target, SetIdentifier=target, Weight=weight)
                for target, weight in targets
            ]

        zones.change(
            zones.add(),
            *weighted("both", (MANAGED, 10), (OTHER, 90)),
            *weighted("moved", (MANAGED, 0), (OTHER, 100)),
            *weighted("moving", ("lb.example.net", 90), (MANAGED, 10)),
        )
        both = source.find(zones.named("both"), 0)
        assert (both.is_lattice, both.region, both.managed_name) == (True, REGION, None)
        assert source.find(zones.named("moved"), 0).managed_name == OTHER
        # Which one a call goes to DNS alone knows.
        assert source.find(zones.named("moving"), 0) is None

    @pytest.mark.parametrize(
        ("one", "other", "said"),
        [
            ({"Weight": 90}, {"Weight": 10}, ("(weight 90)", "(weight 10)")),
            ({"Region": "eu-west-1"}, {"Region": "us-east-1"}, ("(latency in eu-west-1)",)),
            (
                {"GeoLocation": {"ContinentCode": "EU"}},
                {"GeoLocation": {"CountryCode": "*"}},
                ("(location EU)", "(location *)"),
            ),
            ({"Failover": "PRIMARY"}, {"Failover": "SECONDARY"}, ("(failover PRIMARY)",)),
        ],
        ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
    )
    def test_records_that_lead_to_lattice_and_elsewhere(
        self, one, other, said, zones, source, clock
    ):
        """The answer says which they are, and a DNS source after this one decides each call."""
        name = zones.named("orders")
        zones.change(
            zones.add(),
            alias(name, MANAGED, SetIdentifier="one", **one),
            alias(name, "lb.example.net", SetIdentifier="other", **other),
        )
        assert source.find(name, 0) is None
        found = Names(source, clock=clock).resolve(name)
        assert not found.is_lattice
        for each in (f"A {MANAGED}", "A lb.example.net", "DnsNames(connect='address')", *said):
            assert each in found.source

        class Dns:
            """As ``DnsNames(connect="address")`` answers."""

            address = "169.254.171.7"

            def find(self, name, now):
                is_lattice = self.address.startswith("169.254.171.")
                return Endpoint(
                    name, connect_to=self.address, expires_at=now + 1, is_lattice=is_lattice
                )

        dns = Dns()
        names = Names(source, dns, clock=clock)
        assert names.resolve(name)[:3] == (name, None, "169.254.171.7")
        dns.address = "10.0.0.7"
        clock.now += 61
        moved = names.resolve(name)
        assert (moved.is_lattice, moved.connect_to) == (False, "10.0.0.7")

    def test_an_alias_moves_by_weights_and_no_call_is_taken_for_a_strangers(
        self, zones, moto_url, clock
    ):
        name, zone = zones.named("orders"), zones.add()
        aliases = Route53Names(endpoint_url=moto_url, host="managed", **SETTINGS)
        names = Names(aliases, clock=clock)

        def weigh(*weights: int) -> None:
            for target, weight in zip((MANAGED, OTHER), weights, strict=True):
                weighted = alias(name, target, SetIdentifier=target, Weight=weight)
                change = {"Action": "UPSERT", "ResourceRecordSet": weighted}
                zones.route53.change_resource_record_sets(
                    HostedZoneId=zone, ChangeBatch={"Changes": [change]}
                )

        called = []
        for weights in ((100, 0), (90, 10), (10, 90), (0, 100)):
            weigh(*weights)
            names.resolve(name)
            landed(names)  # in the background, while the old answer serves
            found = names.resolve(name)
            called.append((found.is_lattice, found.host))
            clock.now += 61
        assert called == [(True, MANAGED)] * 3 + [(True, OTHER)]
        weigh(50, 50)
        with pytest.raises(NameSourceError, match=f"leads to several targets.*{MANAGED}"):
            Names(aliases, clock=clock).resolve(name)

    def test_thousands_of_records_and_more_zones_than_a_page_holds(self, zones, source, moto_url):
        for n in range(101):
            zones.add(f"sub{n}", private=False)
        zone = zones.add()
        names = [zones.named(f"n{n}") for n in range(2000)]
        zones.change(zone, *(alias(name, MANAGED) for name in names))
        with raw_server(forwarding(moto_url, [])) as counting:
            counted = Route53Names(endpoint_url=counting.url, **SETTINGS)
            for name in names[::400]:
                assert counted.find(name, 0).managed_name == MANAGED
            paths = [request.target.partition(b"?")[0] for request in counting.requests]
            assert paths.count(b"/2013-04-01/hostedzone") >= 2
            # One call for each name, however many there are.
            assert len(paths) - paths.count(b"/2013-04-01/hostedzone") == 5
            assert all(request.signed for request in counting.requests)

    def test_throttled(self, zones, moto_url):
        name = zones.named("orders")
        zones.change(zones.add(), alias(name, MANAGED))
        first = [failure(400, "Throttling", xml=True)] * 2
        with raw_server(forwarding(moto_url, first)) as server:
            source = Route53Names(endpoint_url=server.url, **SETTINGS)
            assert source.find(name, 0).managed_name == MANAGED
        with raw_server(lambda _: failure(400, "Throttling", xml=True)) as server:
            source = Route53Names(endpoint_url=server.url, **SETTINGS)
            with pytest.raises(NameSourceError, match="ListHostedZones was answered Throttling"):
                source.find(name, 0)
            # It is not asked again at once.
            asked = len(server.requests)
            with pytest.raises(NameSourceError, match="Throttling"):
                source.find(name, 0)
            assert len(server.requests) == asked

    def test_settings(self, source):
        for wrong in (
            {"host": "both"},
            {"vpc_id": "vpc-1"},
            {"ttl": 0},
            {"zones_ttl": 0},
            {"region": ""},
        ):
            with pytest.raises(ConfigurationError):
                Route53Names(**wrong)
        copied = pickle.loads(pickle.dumps(source))
        assert copied.find("orders.elsewhere.example", 0) is None
        assert repr(copied) == repr(source) == "Route53Names(vpc_id=None, host='kept')"


class ControlPlane:
    """VPC Lattice's, as far as lists go: two items a page."""

    def __init__(self) -> None:
        self.services: list[dict[str, Any]] = []
        self.networks: dict[str, list[dict[str, Any]]] = {}

    @staticmethod
    def service(number: int, custom: str | None = None, region: str = REGION) -> dict[str, Any]:
        name = f"svc{number}-{number:017x}.7d67968.vpc-lattice-svcs.{region}.on.aws"
        return {
            "arn": f"arn:aws:vpc-lattice:{region}:111122223333:service/svc-{number:017x}",
            "id": f"svc-{number:017x}",
            "name": f"service-{number}",
            "dnsEntry": {"domainName": name, "hostedZoneId": LATTICES_ZONE},
            "status": "ACTIVE",
            **({"customDomainName": custom} if custom else {}),
        }

    @staticmethod
    def association(service: dict[str, Any]) -> dict[str, Any]:
        kept = {name: service[name] for name in ("dnsEntry", "customDomainName") if name in service}
        return {
            "id": service["id"].replace("svc", "snsa"),
            "serviceArn": service["arn"],
            "serviceId": service["id"],
            "status": "ACTIVE",
            **kept,
        }

    def respond(self, request: RawRequest) -> bytes:
        url = urlsplit(request.target.decode())
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        items: list[Any]
        if url.path == "/services":
            operation, items = "ListServices", self.services
        elif url.path == "/servicenetworks":
            operation = "ListServiceNetworks"
            items = [{"arn": arn} for arn in self.networks]
        else:
            operation = "ListServiceNetworkServiceAssociations"
            items = self.networks[query["serviceNetworkIdentifier"]]
        start = int(query.get("nextToken", "0"))
        answer: dict[str, Any] = {"items": items[start : start + 2]}
        if start + 2 < len(items):
            answer["nextToken"] = str(start + 2)
        return checked("vpc-lattice", operation, answer)


SHARED = "arn:aws:vpc-lattice:eu-west-1:444455556666:servicenetwork/sn-0a1b2c3d4e5f67890"


def listing(url: str) -> LatticeNames:
    return LatticeNames(regions=[REGION], credentials=CREDENTIALS, endpoint_url=url)


class TestLattice:
    @pytest.fixture
    def plane(self) -> ControlPlane:
        return ControlPlane()

    @pytest.fixture
    def server(self, plane):
        with raw_server(plane.respond) as running:
            yield running

    @pytest.fixture
    def source(self, server) -> LatticeNames:
        return LatticeNames(regions=[REGION], credentials=CREDENTIALS, endpoint_url=server.url)

    def test_custom_domain_managed_name_and_arn(self, plane, source):
        service = plane.service(1, "Orders.example.com")
        plane.services.append(service)
        managed = service["dnsEntry"]["domainName"]
        found = source.find("orders.example.com", 1000)
        rest = (REGION, None, managed, service["arn"], "VPC Lattice", 1060, True)
        assert found[:8] == ("orders.example.com", *rest)
        assert source.find(managed, 1000)[:8] == (managed, *rest)
        assert source.find("books.example.com", 1000) is None

    def test_services_of_others_through_a_shared_service_network(self, plane, source):
        plane.networks[SHARED] = [
            plane.association(plane.service(n, f"s{n}.example.com")) for n in range(5)
        ]
        for n in range(5):
            assert source.find(f"s{n}.example.com", 0).service_arn.endswith(f"svc-{n:017x}")

    def test_a_service_that_is_listed_twice_is_one(self, plane, source):
        service = plane.service(1, "orders.example.com")
        plane.services.append(service)
        plane.networks[SHARED] = [plane.association(service)]
        assert source.find("orders.example.com", 0).service_arn == service["arn"]

    def test_two_services_with_one_custom_domain(self, plane, source):
        plane.services += [plane.service(n, "orders.example.com") for n in (1, 2)]
        found = source.find("orders.example.com", 0)
        assert (found.is_lattice, found.region) == (True, REGION)
        assert (found.managed_name, found.service_arn) == (None, None)
        plane.services.append(plane.service(3, "orders.example.com", "us-east-1"))
        assert source.find("orders.example.com", 60).region is None

    def test_all_pages_once_for_all_names_until_they_have_run_out(self, plane, source, server):
        plane.services += [plane.service(n, f"s{n}.example.com") for n in range(21)]
        for n in range(21):
            assert source.find(f"s{n}.example.com", 0).region == REGION
        assert source.find("s21.example.com", 59.9) is None
        assert len(server.requests) == 11 + 1
        plane.services.append(plane.service(21, "s21.example.com"))
        assert source.find("s21.example.com", 60).region == REGION

    def test_services_that_come_and_go(self, plane, source):
        for n, status in enumerate(["CREATE_IN_PROGRESS", "CREATE_FAILED", "DELETE_IN_PROGRESS"]):
            plane.services.append({**plane.service(n, f"s{n}.example.com"), "status": status})
            assert source.find(f"s{n}.example.com", n * 60) is None
        plane.services.append({**plane.service(7, "s7.example.com"), "status": "DELETE_FAILED"})
        del plane.services[-1]["dnsEntry"]
        assert source.find("s7.example.com", 600).managed_name is None

    def test_it_completes_what_dns_tells(self, plane, source, server, clock):
        """Aliases become the managed name, custom domains stay."""
        from support.name_server import name_server

        pytest.importorskip("dns")
        named, nameless = plane.service(1, "orders.example.com"), plane.service(2)
        plane.services += [named, nameless]
        with name_server() as dns:
            for name, service in {
                "orders.example.com": named,
                "alias.example.com": named,
                "books.example.com": nameless,
            }.items():
                managed = service["dnsEntry"]["domainName"]
                dns.add(name, "CNAME", f"{managed}.")
                dns.add(managed, "A", "169.254.171.7")
            dns.add("shadow.example.com", "A", "169.254.171.7")
            first = DnsNames(nameservers=[dns.address])
            for sources in ((first, source), (source, first)):
                names = Names(*sources, strict=True, clock=clock)
                found = names.resolve("orders.example.com")
                assert (found.host, found.service_arn) == ("orders.example.com", named["arn"])
                found = names.resolve("alias.example.com")
                assert (found.host, found.service_arn) == (found.managed_name, named["arn"])
                found = names.resolve("books.example.com")
                assert (found.host, found.service_arn) == (found.managed_name, nameless["arn"])
                found = names.resolve("shadow.example.com")
                assert (found.host, found.region) == ("shadow.example.com", None)

    def test_what_it_knows_counts_for_more_than_where_a_name_leads(self, plane, source, clock):
        """A false answer about a custom domain decides neither Host nor region."""
        orders = plane.service(1, "orders.example.com")
        plane.services.append(orders)
        other = plane.service(2, region="eu-west-3")["dnsEntry"]["domainName"]

        class Liar:
            def find(self, name, now):
                return alias_endpoint(name, other, "a liar", now + 60, "managed")

        found = Names(Liar(), source, clock=clock).resolve("orders.example.com")
        assert (found.host, found.service_arn) == ("orders.example.com", orders["arn"])
        assert found.managed_name == orders["dnsEntry"]["domainName"]
        assert found.region == region_of(found.managed_name) != region_of(other)

    def test_what_is_written_down_needs_no_completing(self):
        """Where the control plane cannot be reached, a map still serves."""
        with raw_server() as gone:
            pass
        names = Names({"orders.example.com": "eu-west-1"}, listing(gone.url))
        assert names.resolve("orders.example.com").expires_at is None

    def test_what_has_its_services_arn_is_not_asked_about(self, source, server):
        found = Endpoint("orders.example.com", service_arn="arn:of-another", expires_at=60)
        assert source.complete("orders.example.com", found, 0) is found
        assert not server.requests

    def test_a_name_that_cannot_be_called_does_not_break_the_list(self, plane, source):
        plane.services += [plane.service(1, "*.example.com"), plane.service(2, "b.example.com")]
        assert source.find("b.example.com", 0) is not None

    def test_throttled_and_failing(self, plane):
        plane.services.append(plane.service(1, "orders.example.com"))
        answers = iter([failure(429, "ThrottlingException"), failure(500, "Internal")])
        with raw_server(lambda r: next(answers, None) or plane.respond(r)) as server:
            source = LatticeNames(
                endpoint_url=server.url, regions=[REGION], credentials=CREDENTIALS
            )
            assert source.find("orders.example.com", 0) is not None

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (failure(403, "AccessDeniedException"), "ListServices was answered AccessDenied"),
            (failure(500, "InternalServerException"), "was answered InternalServerException"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{",
                "vpc-lattice: what it gave is malformed",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                "vpc-lattice: what it gave is malformed",
            ),
        ],
    )
    def test_no_answer_stale_ones_serve(self, answer, said, plane, clock):
        plane.services.append(plane.service(1, "orders.example.com"))
        failing = False
        with raw_server(lambda r: answer if failing else plane.respond(r)) as server:
            source = LatticeNames(
                endpoint_url=server.url, regions=[REGION], credentials=CREDENTIALS
            )
            names = Names(source, clock=clock)
            found = names.resolve("orders.example.com")
            failing = True
            clock.now += 61
            assert names.resolve("orders.example.com") == found
            with pytest.raises(NameSourceError, match=said) as caught:
                names.resolve("books.example.com")
            assert "canary" not in str(caught.value)

    def test_without_credentials_or_region(self, monkeypatch):
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(NameSourceError, match="no region whose vpc-lattice to ask"):
            LatticeNames(credentials=CREDENTIALS).find("orders.example.com", 0)
        with pytest.raises(NameSourceError, match="no credentials"):
            LatticeNames(regions=[REGION]).find("orders.example.com", 0)

    def test_settings(self, plane, source):
        for wrong in ({"regions": REGION}, {"ttl": 0}, {"regions": [""]}):
            with pytest.raises(ConfigurationError):
                LatticeNames(**wrong)
        plane.services.append(plane.service(1, "orders.example.com"))
        copied = pickle.loads(pickle.dumps(source))
        assert copied.find("orders.example.com", 0).region == REGION
        assert "vpc-lattice" in repr(copied)

    def test_new_credentials_make_a_new_client(self, plane, server):
        class Provider:
            credentials = Credentials("AKIDFIRST", "secret")

            def peek(self) -> Credentials:
                return self.credentials

            get = peek

        provider = Provider()
        source = LatticeNames(regions=[REGION], credentials=provider, endpoint_url=server.url)
        source.find("orders.example.com", 0)
        source.find("orders.example.com", 60)
        provider.credentials = Credentials("AKIDSECOND", "secret")
        source.find("orders.example.com", 120)
        keys = [request.header("authorization") for request in server.requests]
        assert ["AKIDFIRST" in key for key in keys] == [True] * 4 + [False] * 2

    def test_motos_services(self, clients, moto_url):
        """It gives a custom domain where a managed name belongs, and other names than AWS's."""
        lattice = clients("vpc-lattice")
        made = lattice.create_service(name="orders", customDomainName="orders.moto.example.com")
        plain = lattice.create_service(name="books")
        network = lattice.create_service_network(name="network")
        lattice.create_service_network_service_association(
            serviceIdentifier=made["id"], serviceNetworkIdentifier=network["id"]
        )
        source = listing(moto_url)
        found = source.find("orders.moto.example.com", 0)
        assert (found.region, found.managed_name) == (REGION, None)
        assert found.service_arn == made["arn"]
        named = source.find(plain["dnsEntry"]["domainName"].lower(), 0)
        assert (named.region, named.service_arn) == (REGION, plain["arn"])


@pytest.fixture(scope="module")
def namespace(clients) -> str:
    cloud_map = clients("servicediscovery")
    name = "registry.example.com"
    begun = cloud_map.create_http_namespace(Name=name)["OperationId"]
    namespace = cloud_map.get_operation(OperationId=begun)["Operation"]["Targets"]["NAMESPACE"]
    for service, instances in {
        "orders": [
            {"AWS_INSTANCE_CNAME": OTHER, "stage": "test"},
            {"AWS_INSTANCE_CNAME": f"{MANAGED}.", "stage": "prod"},
        ],
        "alias": [{"AWS_ALIAS_DNS_NAME": MANAGED}],
        "custom": [{"lattice": MANAGED, "AWS_INSTANCE_CNAME": "lb.example.net"}],
        "addresses": [{"AWS_INSTANCE_IPV4": "169.254.171.7"}],
        "elsewhere": [{"AWS_INSTANCE_IPV4": "10.0.0.7"}],
        "odd": [{"AWS_INSTANCE_IPV4": "no address"}],
        "bare": [{"stage": "prod"}],
        "empty": [],
    }.items():
        made = cloud_map.create_service(Name=service, NamespaceId=namespace)["Service"]
        for number, attributes in enumerate(instances):
            cloud_map.register_instance(
                ServiceId=made["Id"], InstanceId=f"i{number}", Attributes=attributes
            )
    return name


class TestCloudMap:
    @pytest.fixture
    def find(self, namespace, moto_url):
        def find(service: str, *arguments: Any, **settings: Any) -> Any:
            source = CloudMapNames(*arguments, endpoint_url=moto_url, **settings, **SETTINGS)
            return source.find(f"{service}.{namespace}", 1000)

        return find

    def test_attributes_choose_the_instance(self, find):
        name = "orders.registry.example.com"
        found = find("orders", attributes={"stage": "prod"})
        assert found[:8] == (name, REGION, None, MANAGED, None, "Cloud Map", 1030, True)
        assert find("orders", attributes={"stage": "test"}).managed_name == OTHER
        assert find("orders", attributes={"stage": "dev"}) is None

    def test_where_an_instance_leads(self, find):
        assert find("alias").managed_name == MANAGED
        assert find("alias", host="managed").host == MANAGED
        assert not find("custom").is_lattice
        assert find("custom", attribute="lattice").managed_name == MANAGED
        name = "addresses.registry.example.com"
        assert find("addresses") == Endpoint(name, source="Cloud Map", expires_at=1030)
        elsewhere = find("elsewhere")
        assert not elsewhere.is_lattice
        assert elsewhere.source.startswith("Cloud Map: ")
        assert elsewhere.source.endswith(" is not an address of Lattice's")
        assert not find("odd").is_lattice
        assert find("bare") is None
        assert find("empty") is None

    def test_what_is_not_there(self, find, moto_url):
        assert find("nothing") is None
        assert find("orders", "another.example.com") is None
        source = CloudMapNames(endpoint_url=moto_url, **SETTINGS)
        assert source.find("orders.another.example.com", 0) is None
        assert source.find("orders", 0) is None

    def test_a_namespace_under_another_name(self, namespace, moto_url):
        source = CloudMapNames(
            namespace, suffix="Internal.Example.com.", endpoint_url=moto_url, **SETTINGS
        )
        assert source.find("alias.internal.example.com", 0).managed_name == MANAGED
        assert source.find(f"alias.{namespace}", 0) is None

    def test_throttled(self, namespace, moto_url):
        limit = failure(400, "RequestLimitExceeded")
        with raw_server(forwarding(moto_url, [limit])) as server:
            source = CloudMapNames(endpoint_url=server.url, **SETTINGS)
            assert source.find(f"alias.{namespace}", 0).managed_name == MANAGED
        with raw_server(lambda _: limit) as server:
            source = CloudMapNames(endpoint_url=server.url, **SETTINGS)
            with pytest.raises(NameSourceError, match="answered RequestLimitExceeded"):
                source.find(f"alias.{namespace}", 0)

    def test_no_server(self):
        with raw_server() as gone:
            pass
        source = CloudMapNames(endpoint_url=gone.url, **SETTINGS)
        with pytest.raises(NameSourceError, match="EndpointConnectionError"):
            source.find("orders.example.com", 0)

    def test_settings(self):
        for wrong in ({"suffix": "a.example"}, {"host": "both"}, {"ttl": 0}):
            with pytest.raises(ConfigurationError):
                CloudMapNames(**wrong)
        copied = pickle.loads(pickle.dumps(CloudMapNames("a.example")))
        assert repr(copied) == "CloudMapNames('a.example')"
