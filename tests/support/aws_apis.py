"""Route 53 and other control planes in tests: moto's server, also behind one that throttles and
fails; hosted zones there; and Route 53 Profiles, which moto does not know."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support import canary
from support.raw_server import RawRequest

REGION = "eu-west-1"
MANAGED = "orders-0a1b.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
OTHER = "orders-9f8e.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
LATTICES_ZONE = "Z2O1EMRO9K5GLX"
CREDENTIALS = canary.credentials()
SETTINGS: dict[str, Any] = {"region": REGION, "credentials": CREDENTIALS}
COUNT = itertools.count()


def client(service: str, url: str) -> Any:
    import botocore.session
    from botocore.config import Config

    return botocore.session.Session().create_client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="AKIDTEST",
        aws_secret_access_key="secret",
        config=Config(inject_host_prefix=False),
    )


def forwarding(url: str, first: list[bytes]) -> Callable[[RawRequest], bytes]:
    """Gives these answers first, and then those of another server."""
    answers = iter(first)

    def respond(request: RawRequest) -> bytes:
        answer = next(answers, None)
        if answer is not None:
            return answer
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        headers = {name.decode(): value.decode() for name, value in request.headers}
        connection.request(request.method, request.target.decode(), request.body, headers)
        answered = connection.getresponse()
        body = answered.read()
        connection.close()
        kind = answered.headers["Content-Type"]
        head = f"HTTP/1.1 {answered.status} OK\r\nContent-Length: {len(body)}\r\n"
        return f"{head}Content-Type: {kind}\r\n\r\n".encode() + body

    return respond


def failure(status: int, code: str, *, xml: bool = False) -> bytes:
    body = json.dumps({"__type": code, "message": "Rate exceeded"})
    if xml:
        body = (
            '<ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error>'
            f"<Type>Sender</Type><Code>{code}</Code><Message>Rate exceeded</Message></Error>"
            "</ErrorResponse>"
        )
    return (
        f"HTTP/1.1 {status} No\r\nContent-Length: {len(body)}\r\nx-amzn-errortype: {code}\r\n"
        f"\r\n{body}"
    ).encode()


class Zones:
    """Hosted zones of one test, below a name of its own."""

    def __init__(self, route53: Any) -> None:
        self.route53 = route53
        self.domain = f"zone{next(COUNT)}.example.com"

    def add(self, name: str = "", *, private: bool = True, vpc: str = "vpc-0a1b") -> str:
        more: dict[str, Any] = {}
        if private:
            more["VPC"] = {"VPCRegion": REGION, "VPCId": vpc}
        zone: str = self.route53.create_hosted_zone(
            Name=f"{name}.{self.domain}".strip("."),
            CallerReference=str(next(COUNT)),
            HostedZoneConfig={"PrivateZone": private, "Comment": ""},
            **more,
        )["HostedZone"]["Id"]
        return zone

    def change(self, zone: str, *records: dict[str, Any]) -> None:
        for start in range(0, len(records), 1000):
            changes = [
                {"Action": "CREATE", "ResourceRecordSet": record}
                for record in records[start : start + 1000]
            ]
            self.route53.change_resource_record_sets(
                HostedZoneId=zone, ChangeBatch={"Changes": changes}
            )

    def named(self, name: str) -> str:
        return f"{name}.{self.domain}"


def alias(name: str, target: str, kind: str = "A", **more: Any) -> dict[str, Any]:
    to = {"HostedZoneId": LATTICES_ZONE, "DNSName": f"{target}.", "EvaluateTargetHealth": False}
    return {"Name": name, "Type": kind, "AliasTarget": to, **more}


def record(name: str, kind: str, *values: str, ttl: int = 60, **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": kind,
        "TTL": ttl,
        "ResourceRecords": [{"Value": value} for value in values],
        **more,
    }


def checked(service: str, operation: str, answer: dict[str, Any]) -> bytes:
    """A JSON answer of an API, if botocore's service model says that it can be one."""
    from botocore.validate import validate_parameters

    validate_parameters(answer, service_model(service).operation_model(operation).output_shape)
    body = json.dumps(answer)
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@lru_cache
def service_model(service: str) -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model(service)


class Profiles:
    """Route 53 Profiles: the associations of VPCs and of zones with them, one item a page.

    :param url: where all other requests are answered.
    """

    def __init__(self, url: str) -> None:
        # The state of each association, by VPC and Profile, and by Profile and ARN.
        self.of_vpcs: dict[str, dict[str, str]] = {}
        self.resources: dict[str, dict[str, str]] = {}
        # Answered instead of the next requests for Profiles, and of all.
        self.first: list[bytes] = []
        self.always: bytes | None = None
        self.asked: list[str] = []
        self._elsewhere = forwarding(url, [])

    def associate(self, vpc: str, profile: str, *zones: str, status: str = "COMPLETE") -> None:
        self.of_vpcs.setdefault(vpc, {})[profile] = "COMPLETE"
        for zone in zones:
            arn = f"arn:aws:route53:::hostedzone/{zone.rpartition('/')[2]}"
            self.resources.setdefault(profile, {})[arn] = status

    def respond(self, request: RawRequest) -> bytes:
        url = urlsplit(request.target.decode())
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        kind, *rest = url.path.strip("/").split("/")
        if kind not in ("profileassociations", "profileresourceassociations"):
            return self._elsewhere(request)
        self.asked.append(url.path)
        if self.first or self.always:
            return self.first.pop(0) if self.first else self.always or b""
        items: list[dict[str, str]]
        if kind == "profileassociations":
            operation, key, vpc = (
                "ListProfileAssociations",
                "ProfileAssociations",
                query["resourceId"],
            )
            items = [
                {
                    "Id": f"rpassoc-{profile}",
                    "ProfileId": profile,
                    "ResourceId": vpc,
                    "Status": state,
                }
                for profile, state in self.of_vpcs.get(vpc, {}).items()
            ]
        else:
            operation, key = "ListProfileResourceAssociations", "ProfileResourceAssociations"
            assert rest[0] == "profileid"
            if rest[1] not in self.resources:
                return failure(404, "ResourceNotFoundException")
            items = [
                {"Id": f"rpr-{n}", "ProfileId": rest[1], "ResourceArn": arn, "Status": state}
                for n, (arn, state) in enumerate(self.resources[rest[1]].items())
            ]
        start = int(query.get("nextToken", "0"))
        answer: dict[str, Any] = {key: items[start : start + 1]}
        if start + 1 < len(items):
            answer["NextToken"] = str(start + 1)
        return checked("route53profiles", operation, answer)
