"""Cases from AWS's pages about policies: each table is one page, its title first.

A case is a remark, the policy, the request, and the outcome. By default, statements apply to every
principal, action and resource; requests are GETs of /parking by a session of the role
orders-frontend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lattice_client.testing import Effect, PolicyRequest, Principal

ALLOW, DENY, NOTHING = Effect.ALLOW, Effect.EXPLICIT_DENY, Effect.IMPLICIT_DENY

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
SERVICE = f"arn:aws:vpc-lattice:us-west-2:{ACCOUNT}:service/svc-0123456789abcdef0"
NETWORK = f"arn:aws:vpc-lattice:us-west-2:{ACCOUNT}:servicenetwork/sn-0123456789abcdef0"

FRONTEND = Principal(
    ACCOUNT,
    "services/orders-frontend",
    "task-1",
    "o-a1b2c3d4e5",
    tags={"Team": "Payments", "Path": "parking", "Stars": "a*"},
    organization_paths=["o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"],
)
BOB = Principal(OTHER_ACCOUNT, user="Bob")
ROOT = Principal(ACCOUNT)
ANONYMOUS = None

FRONTEND_ROLE = f"arn:aws:iam::{ACCOUNT}:role/services/orders-frontend"
FRONTEND_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/orders-frontend/task-1"
BOB_ARN = f"arn:aws:iam::{OTHER_ACCOUNT}:user/Bob"


@dataclass(frozen=True)
class Case:
    page: str
    remark: str
    policy: dict[str, Any]
    request: PolicyRequest
    outcome: Effect

    def __str__(self) -> str:
        return f"{self.page}: {self.remark}"


def request(**changes: Any) -> PolicyRequest:
    return PolicyRequest(
        **{
            "method": "GET",
            "path": "/parking",
            "caller": FRONTEND,
            "service_arn": SERVICE,
            "network_arn": NETWORK,
            "source_vpc": "vpc-1a2b3c4d",
            "source_ip": "203.0.113.7",
            "time": datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        }
        | changes
    )


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    whole = {"Effect": effect, **elements}
    for element in ("Principal", "Action", "Resource"):
        if f"Not{element}" not in whole:
            whole.setdefault(element, "*")
    return whole


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def conditions(
    page: str, *rows: tuple[str, dict[str, Any], dict[str, Any], bool]
) -> Iterator[Case]:
    """Cases of an Allow with a condition, which holds or not."""
    for remark, condition, changes, holds in rows:
        yield Case(
            page,
            remark,
            policy(statement(Condition=condition)),
            request(**changes),
            ALLOW if holds else NOTHING,
        )


def statements(page: str, *rows: tuple[str, Any, dict[str, Any], Effect]) -> Iterator[Case]:
    """Cases of one statement, or of a list of them."""
    for remark, content, changes, outcome in rows:
        content = [content] if isinstance(content, dict) else content
        yield Case(page, remark, policy(*content), request(**changes), outcome)


PORT = "vpc-lattice-svcs:Port"
METHOD = "vpc-lattice-svcs:RequestMethod"
PATH = "vpc-lattice-svcs:RequestPath"
HEADER = "vpc-lattice-svcs:RequestHeader/"
QUERY = "vpc-lattice-svcs:RequestQueryString/"
VPC_OWNER = "vpc-lattice-svcs:SourceVpcOwnerAccount"
TAG = "aws:PrincipalTag/"
NOW = "aws:CurrentTime"

LATTICE = "Control access to VPC Lattice services using auth policies"
OPERATORS = "IAM JSON policy elements: Condition operators"
CONDITION = "IAM JSON policy elements: Condition"
SETS = "Set operators for multivalued context keys"
SEVERAL = "Conditions with multiple context keys or values"
VARIABLES = "IAM policy elements: Variables and tags"
KEYS = "AWS global condition context keys"
PRINCIPAL = "AWS JSON policy elements: Principal"
NOT_PRINCIPAL = "AWS JSON policy elements: NotPrincipal"
ACTION = "IAM JSON policy elements: Action"
NOT_ACTION = "IAM JSON policy elements: NotAction"
RESOURCE = "IAM JSON policy elements: Resource"
NOT_RESOURCE = "IAM JSON policy elements: NotResource"
EVALUATION = "Policy evaluation logic"
GRAMMAR = "Grammar of the IAM JSON policy language"
VERSION = "IAM JSON policy elements: Version"

YES, NO = True, False


def _string_operators() -> Iterator[Case]:
    missing = HEADER + "x-missing"
    yield from conditions(
        OPERATORS,
        ("StringEquals is exact", {"StringEquals": {METHOD: "GET"}}, {}, YES),
        ("StringEquals of another value", {"StringEquals": {METHOD: "POST"}}, {}, NO),
        ("StringEquals minds case", {"StringEquals": {METHOD: "get"}}, {}, NO),
        ("StringEquals of a part", {"StringEquals": {PATH: "/park"}}, {}, NO),
        ("StringEquals takes * as it stands", {"StringEquals": {PATH: "/park*"}}, {}, NO),
        ("StringEquals finds a *", {"StringEquals": {PATH: "/p*"}}, {"path": "/p*"}, YES),
        ("StringEquals of several values", {"StringEquals": {METHOD: ["PUT", "GET"]}}, {}, YES),
        ("StringEquals where the key is missing", {"StringEquals": {missing: "a"}}, {}, NO),
        ("StringNotEquals of another value", {"StringNotEquals": {METHOD: "POST"}}, {}, YES),
        ("StringNotEquals of the value", {"StringNotEquals": {METHOD: "GET"}}, {}, NO),
        ("StringNotEquals minds case", {"StringNotEquals": {METHOD: "get"}}, {}, YES),
        ("StringNotEquals where the key is missing", {"StringNotEquals": {missing: "a"}}, {}, YES),
        ("StringEqualsIgnoreCase", {"StringEqualsIgnoreCase": {METHOD: "gEt"}}, {}, YES),
        ("StringEqualsIgnoreCase of another", {"StringEqualsIgnoreCase": {METHOD: "PUT"}}, {}, NO),
        (
            "StringEqualsIgnoreCase takes * as it stands",
            {"StringEqualsIgnoreCase": {METHOD: "g*"}},
            {},
            NO,
        ),
        (
            "StringEqualsIgnoreCase where the key is missing",
            {"StringEqualsIgnoreCase": {missing: "a"}},
            {},
            NO,
        ),
        ("StringNotEqualsIgnoreCase", {"StringNotEqualsIgnoreCase": {METHOD: "gEt"}}, {}, NO),
        ("StringNotEqualsIgnoreCase, else", {"StringNotEqualsIgnoreCase": {METHOD: "a"}}, {}, YES),
        (
            "StringNotEqualsIgnoreCase where the key is missing",
            {"StringNotEqualsIgnoreCase": {missing: "a"}},
            {},
            YES,
        ),
        ("StringLike with *", {"StringLike": {PATH: "/par*"}}, {}, YES),
        ("StringLike with * for nothing", {"StringLike": {PATH: "/parking*"}}, {}, YES),
        ("StringLike with * in the middle", {"StringLike": {PATH: "/*g"}}, {}, YES),
        (
            "StringLike with * over slashes",
            {"StringLike": {PATH: "/a*d"}},
            {"path": "/a/b/c/d"},
            YES,
        ),
        ("StringLike with ?", {"StringLike": {PATH: "/park???"}}, {}, YES),
        ("StringLike with one ? too few", {"StringLike": {PATH: "/park??"}}, {}, NO),
        ("StringLike with one ? too many", {"StringLike": {PATH: "/parking?"}}, {}, NO),
        ("StringLike without wildcards is exact", {"StringLike": {PATH: "/park"}}, {}, NO),
        ("StringLike minds case", {"StringLike": {PATH: "/PAR*"}}, {}, NO),
        ("StringLike has no character classes", {"StringLike": {PATH: "/[p]arking"}}, {}, NO),
        ("StringLike where the key is missing", {"StringLike": {missing: "*"}}, {}, NO),
        ("StringNotLike of the value", {"StringNotLike": {PATH: "/par*"}}, {}, NO),
        ("StringNotLike of another value", {"StringNotLike": {PATH: "/rates*"}}, {}, YES),
        ("StringNotLike where the key is missing", {"StringNotLike": {missing: "*"}}, {}, YES),
    )


def _other_operators() -> Iterator[Case]:
    number = {"context": {"s3:max-keys": "10"}}
    key, missing = "s3:max-keys", HEADER + "x-missing"
    yield from conditions(
        OPERATORS,
        ("NumericEquals", {"NumericEquals": {key: "10"}}, number, YES),
        ("NumericEquals of a JSON number", {"NumericEquals": {key: 10}}, number, YES),
        (
            "NumericEquals compares numbers, not texts",
            {"NumericEquals": {key: "10.0"}},
            number,
            YES,
        ),
        ("NumericEquals of another number", {"NumericEquals": {key: "1"}}, number, NO),
        ("NumericEquals of no number", {"NumericEquals": {METHOD: "1"}}, {}, NO),
        ("NumericEquals where the key is missing", {"NumericEquals": {missing: "1"}}, {}, NO),
        ("NumericNotEquals", {"NumericNotEquals": {key: "10"}}, number, NO),
        ("NumericNotEquals of another number", {"NumericNotEquals": {key: "9"}}, number, YES),
        ("NumericNotEquals where the key is missing", {"NumericNotEquals": {missing: 1}}, {}, YES),
        ("NumericLessThan", {"NumericLessThan": {key: "10.5"}}, number, YES),
        ("NumericLessThan of the same", {"NumericLessThan": {key: "10"}}, number, NO),
        ("NumericLessThan compares numbers", {"NumericLessThan": {key: "9"}}, number, NO),
        ("NumericLessThanEquals of the same", {"NumericLessThanEquals": {key: "10"}}, number, YES),
        ("NumericLessThanEquals", {"NumericLessThanEquals": {key: "9"}}, number, NO),
        ("NumericGreaterThan", {"NumericGreaterThan": {key: "-3"}}, number, YES),
        ("NumericGreaterThan of the same", {"NumericGreaterThan": {key: "10"}}, number, NO),
        ("NumericGreaterThanEquals, same", {"NumericGreaterThanEquals": {key: "10"}}, number, YES),
        ("NumericGreaterThanEquals", {"NumericGreaterThanEquals": {key: "11"}}, number, NO),
        ("NumericLessThan where the key is missing", {"NumericLessThan": {missing: 9}}, {}, NO),
        ("DateEquals", {"DateEquals": {NOW: "2026-11-21T09:30:00Z"}}, {}, YES),
        ("DateEquals in another zone", {"DateEquals": {NOW: "2026-11-21T10:30:00+01:00"}}, {}, YES),
        ("DateEquals in epoch time", {"DateEquals": {NOW: "1795253400"}}, {}, YES),
        ("DateEquals of another time", {"DateEquals": {NOW: "2026-11-21T09:30:01Z"}}, {}, NO),
        ("DateEquals of epoch times", {"DateEquals": {"aws:EpochTime": "1795253400"}}, {}, YES),
        ("DateEquals where the key is missing", {"DateEquals": {missing: "2026-11-21"}}, {}, NO),
        ("DateNotEquals", {"DateNotEquals": {NOW: "2026-11-21T09:30:00Z"}}, {}, NO),
        ("DateNotEquals of another time", {"DateNotEquals": {NOW: "2026-11-21"}}, {}, YES),
        ("DateNotEquals, missing", {"DateNotEquals": {missing: "2026-11-21"}}, {}, YES),
        ("DateLessThan", {"DateLessThan": {NOW: "2026-12"}}, {}, YES),
        ("DateLessThan of the same", {"DateLessThan": {NOW: "2026-11-21T09:30Z"}}, {}, NO),
        ("DateLessThanEquals", {"DateLessThanEquals": {NOW: "2026-11-21T09:30:00Z"}}, {}, YES),
        ("DateLessThanEquals of an earlier time", {"DateLessThanEquals": {NOW: "2026"}}, {}, NO),
        ("DateGreaterThan of a day", {"DateGreaterThan": {NOW: "2026-11-21"}}, {}, YES),
        ("DateGreaterThan of a year", {"DateGreaterThan": {NOW: "2027"}}, {}, NO),
        (
            "DateGreaterThanEquals",
            {"DateGreaterThanEquals": {NOW: "2026-11-21T09:30:00Z"}},
            {},
            YES,
        ),
        ("DateGreaterThanEquals of a later time", {"DateGreaterThanEquals": {NOW: "2027"}}, {}, NO),
        ("Bool true", {"Bool": {"aws:SecureTransport": "true"}}, {}, YES),
        ("Bool as JSON", {"Bool": {"aws:SecureTransport": True}}, {}, YES),
        ("Bool over plain HTTP", {"Bool": {"aws:SecureTransport": "true"}}, {"secure": False}, NO),
        ("Bool false", {"Bool": {"aws:SecureTransport": "false"}}, {"secure": False}, YES),
        ("Bool where the key is missing", {"Bool": {missing: "false"}}, {}, NO),
        (
            "BinaryEquals",
            {"BinaryEquals": {HEADER + "x": "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}},
            {"headers": {"x": "BinaryValueInBase64"}},
            YES,
        ),
        (
            "BinaryEquals does not compare the base64",
            {"BinaryEquals": {HEADER + "x": "YQ=="}},
            {"headers": {"x": "YQ=="}},
            NO,
        ),
        ("BinaryEquals where the key is missing", {"BinaryEquals": {missing: "YQ=="}}, {}, NO),
        ("IpAddress in a range", {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {}, YES),
        ("IpAddress, the address itself", {"IpAddress": {"aws:SourceIp": "203.0.113.7"}}, {}, YES),
        ("IpAddress without prefix is /32", {"IpAddress": {"aws:SourceIp": "203.0.113.0"}}, {}, NO),
        ("IpAddress outside", {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, {}, NO),
        (
            "IpAddress mixes IPv4 and IPv6",
            {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]}},
            {"source_ip": "2001:db8:1234:5678::9"},
            YES,
        ),
        ("IpAddress of the other family", {"IpAddress": {"aws:SourceIp": "::/0"}}, {}, NO),
        (
            "IpAddress where the key is missing",
            {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
            {"source_ip": None},
            NO,
        ),
        ("NotIpAddress in the range", {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {}, NO),
        ("NotIpAddress outside", {"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, {}, YES),
        (
            "NotIpAddress of several ranges",
            {"NotIpAddress": {"aws:SourceIp": ["198.51.100.0/24", "203.0.113.0/24"]}},
            {},
            NO,
        ),
        (
            "NotIpAddress where the key is missing",
            {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
            {"source_ip": None},
            YES,
        ),
    )
    # That IAM does the same is inferred.
    yield from conditions(
        "IP Version 6 Addressing Architecture (RFC 4291), IPv4-Mapped IPv6 Address",
        (
            "IpAddress, an IPv4-mapped address in the range",
            {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
            {"source_ip": "::ffff:203.0.113.7"},
            YES,
        ),
        (
            "IpAddress, an IPv4-mapped address outside",
            {"IpAddress": {"aws:SourceIp": ["198.51.100.0/24", "::/0"]}},
            {"source_ip": "::ffff:cb00:7107"},
            NO,
        ),
        (
            "IpAddress, an IPv4-mapped range",
            {"IpAddress": {"aws:SourceIp": "::ffff:203.0.113.0/120"}},
            {},
            YES,
        ),
        (
            "IpAddress, a range that goes beyond mapped addresses is IPv6's",
            {"IpAddress": {"aws:SourceIp": "::ffff:0:0/95"}},
            {},
            NO,
        ),
        (
            "NotIpAddress, an IPv4-mapped address in the range",
            {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
            {"source_ip": "::ffff:203.0.113.7"},
            NO,
        ),
    )


def _arn_operators() -> Iterator[Case]:
    arn, key = "aws:PrincipalArn", "aws:SourceArn"
    far = {
        "context": {
            key: "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:"
            "finance/document.txt"
        }
    }
    wide = "arn:aws:someservice:*:111122223333:finance/*"
    five_parts = {"context": {key: "arn:aws:someservice:us-east-2:999999999999"}}
    yield from conditions(
        OPERATORS,
        ("ArnEquals", {"ArnEquals": {arn: FRONTEND_ROLE}}, {}, YES),
        ("ArnEquals takes wildcards", {"ArnEquals": {arn: "arn:aws:iam::*:role/*"}}, {}, YES),
        (
            "ArnEquals minds case",
            {"ArnEquals": {arn: FRONTEND_ROLE.replace("orders", "Orders")}},
            {},
            NO,
        ),
        ("ArnEquals of another role", {"ArnEquals": {arn: FRONTEND_ROLE + "s"}}, {}, NO),
        ("ArnLike with ?", {"ArnLike": {arn: FRONTEND_ROLE[:-1] + "?"}}, {}, YES),
        (
            "ArnLike of another account",
            {"ArnLike": {arn: f"arn:aws:iam::{OTHER_ACCOUNT}:*"}},
            {},
            NO,
        ),
        ("StringLike lets * cross colons", {"StringLike": {key: wide}}, far, YES),
        ("ArnLike keeps * between colons", {"ArnLike": {key: wide}}, far, NO),
        ("ArnLike keeps * in the account", {"ArnLike": {key: "arn:*:*:*:*:finance/*"}}, far, NO),
        ("ArnLike of five parts", {"ArnLike": {key: "arn:*:*:*:*:*"}}, five_parts, NO),
        ("ArnLike of what is no ARN", {"ArnLike": {METHOD: "arn:*:*:*:*:*"}}, {}, NO),
        ("ArnLike where the key is missing", {"ArnLike": {key: "arn:*:*:*:*:*"}}, {}, NO),
        ("ArnNotEquals of the role", {"ArnNotEquals": {arn: FRONTEND_ROLE}}, {}, NO),
        ("ArnNotEquals of another", {"ArnNotEquals": {arn: BOB_ARN}}, {}, YES),
        ("ArnNotEquals where the key is missing", {"ArnNotEquals": {key: BOB_ARN}}, {}, YES),
        ("ArnNotLike of the role", {"ArnNotLike": {arn: "arn:aws:iam::*:role/services/*"}}, {}, NO),
        ("ArnNotLike of another", {"ArnNotLike": {arn: "arn:aws:iam::*:user/*"}}, {}, YES),
    )


def _existence() -> Iterator[Case]:
    missing, there = HEADER + "x-missing", HEADER + "x-there"
    sent = {"headers": {"x-there": "a"}}
    yield from conditions(
        OPERATORS,
        ("Null true where the key is missing", {"Null": {missing: "true"}}, {}, YES),
        ("Null true where it is there", {"Null": {there: "true"}}, sent, NO),
        ("Null false where it is there", {"Null": {there: "false"}}, sent, YES),
        ("Null false where it is missing", {"Null": {missing: False}}, {}, NO),
        ("Null of temporary credentials", {"Null": {"aws:TokenIssueTime": "true"}}, {}, NO),
        (
            "Null of a user's own credentials",
            {"Null": {"aws:TokenIssueTime": "true"}},
            {"caller": BOB},
            YES,
        ),
        *(
            (
                f"{name}IfExists where the key is missing",
                {f"{name}IfExists": {missing: value}},
                {},
                YES,
            )
            for name, value in (
                ("StringEquals", "a"),
                ("StringNotEquals", "a"),
                ("StringEqualsIgnoreCase", "a"),
                ("StringNotEqualsIgnoreCase", "a"),
                ("StringLike", "a*"),
                ("StringNotLike", "a*"),
                ("NumericEquals", "1"),
                ("NumericLessThan", "1"),
                ("DateGreaterThan", "2026-01-01"),
                ("Bool", "true"),
                ("BinaryEquals", "YQ=="),
                ("IpAddress", "10.0.0.0/8"),
                ("NotIpAddress", "10.0.0.0/8"),
                ("ArnLike", "arn:aws:iam::*:role/a"),
                ("ArnNotEquals", "arn:aws:iam::*:role/a"),
            )
        ),
        ("IfExists compares what is there", {"StringEqualsIfExists": {there: "b"}}, sent, NO),
        ("IfExists and a match", {"StringLikeIfExists": {there: "?"}}, sent, YES),
        ("IfExists negated", {"StringNotEqualsIfExists": {there: "a"}}, sent, NO),
        (
            "IfExists of one key, and another key that fails",
            {"StringEqualsIfExists": {missing: "a"}, "StringEquals": {METHOD: "PUT"}},
            {},
            NO,
        ),
    )
    yield from statements(
        OPERATORS,
        (
            "a Deny with a negated IfExists denies where the key is missing",
            [
                statement(),
                statement("Deny", Condition={"StringNotEqualsIfExists": {missing: "a"}}),
            ],
            {},
            DENY,
        ),
        (
            "a Deny with StringNotLike denies where the key is missing",
            [statement(), statement("Deny", Condition={"StringNotLike": {missing: "a*"}})],
            {},
            DENY,
        ),
    )


def _several_values() -> Iterator[Case]:
    tags = "aws:TagKeys"

    def sent(*values: str) -> dict[str, Any]:
        return {"context": {tags: values}}

    asked = ["PostDateTime", "Message", "Tags"]
    yield from conditions(
        SETS,
        (
            "ForAllValues: all are listed",
            {"ForAllValues:StringEquals": {tags: asked}},
            sent("Tags"),
            YES,
        ),
        (
            "ForAllValues: one is not listed",
            {"ForAllValues:StringLike": {tags: asked}},
            sent("PostDateTime", "UserName"),
            NO,
        ),
        (
            "ForAllValues: several, all listed",
            {"ForAllValues:StringLike": {tags: asked}},
            sent("PostDateTime", "Message"),
            YES,
        ),
        ("ForAllValues: the key is missing", {"ForAllValues:StringEquals": {tags: asked}}, {}, YES),
        (
            "ForAllValues: an empty value",
            {"ForAllValues:StringEquals": {tags: asked}},
            sent(""),
            YES,
        ),
        (
            "ForAllValues: and Null keep out where the key is missing",
            {"ForAllValues:StringEquals": {tags: asked}, "Null": {tags: "false"}},
            {},
            NO,
        ),
        (
            "ForAnyValue: one of several",
            {"ForAnyValue:StringEquals": {tags: ["ID", "PostDateTime"]}},
            sent("UserName", "Message", "PostDateTime"),
            YES,
        ),
        (
            "ForAnyValue: none",
            {"ForAnyValue:StringLike": {tags: ["ID", "PostDateTime"]}},
            sent("UserName"),
            NO,
        ),
        ("ForAnyValue: the key is missing", {"ForAnyValue:StringEquals": {tags: "ID"}}, {}, NO),
        ("ForAnyValue: an empty value", {"ForAnyValue:StringLike": {tags: "*"}}, sent(""), NO),
        (
            "ForAnyValue: with IfExists where the key is missing",
            {"ForAnyValue:StringEqualsIfExists": {tags: "ID"}},
            {},
            YES,
        ),
        (
            "ForAllValues: negated, none is listed",
            {"ForAllValues:StringNotEquals": {tags: ["a", "b"]}},
            sent("c", "d"),
            YES,
        ),
        (
            "ForAllValues: negated, one is listed",
            {"ForAllValues:StringNotEquals": {tags: ["a", "b"]}},
            sent("a", "d"),
            NO,
        ),
        (
            "ForAnyValue: negated, one is not listed",
            {"ForAnyValue:StringNotEquals": {tags: ["a", "b"]}},
            sent("a", "d"),
            YES,
        ),
        (
            "ForAnyValue: negated, all are listed",
            {"ForAnyValue:StringNotEquals": {tags: ["a", "b"]}},
            sent("a", "b"),
            NO,
        ),
        ("ForAnyValue: negated, missing", {"ForAnyValue:StringNotEquals": {tags: "a"}}, {}, NO),
        (
            "ForAnyValue:NumericLessThan",
            {"ForAnyValue:NumericLessThan": {tags: 5}},
            sent("9", "3"),
            YES,
        ),
        (
            "ForAllValues:NumericLessThan",
            {"ForAllValues:NumericLessThan": {tags: 5}},
            sent("9", "3"),
            NO,
        ),
    )
    both = {"StringEquals": {METHOD: "GET", PATH: "/parking"}}
    yield from conditions(
        SEVERAL,
        ("keys of one operator are joined by AND", both, {}, YES),
        ("keys of one operator, the second fails", both, {"path": "/rates"}, NO),
        ("keys of one operator, the first fails", both, {"method": "PUT"}, NO),
        (
            "operators are joined by AND",
            {"StringEquals": {METHOD: "GET"}, "Bool": {"aws:SecureTransport": "false"}},
            {},
            NO,
        ),
        (
            "operators that all hold",
            {"StringEquals": {METHOD: "GET"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
            {},
            YES,
        ),
        ("values are joined by OR", {"StringLike": {PATH: ["/rates", "/p*"]}}, {}, YES),
        ("no value matches", {"StringLike": {PATH: ["/rates", "/q*"]}}, {}, NO),
        (
            "values of a negated operator: NOR",
            {"StringNotEquals": {METHOD: ["PUT", "GET"]}},
            {},
            NO,
        ),
        ("NOR where none matches", {"StringNotEquals": {METHOD: ["PUT", "POST"]}}, {}, YES),
        ("numbers are joined by OR", {"NumericEquals": {PORT: [80, 443]}}, {}, YES),
    )


def _variables() -> Iterator[Case]:
    missing = TAG + "Missing"
    team = {"headers": {"x-team": "Payments"}}
    yield from conditions(
        VARIABLES,
        (
            "in StringEquals",
            {"StringEquals": {HEADER + "x-team": "${aws:PrincipalTag/Team}"}},
            team,
            YES,
        ),
        (
            "in StringEquals, another value",
            {"StringEquals": {HEADER + "x-team": "${aws:PrincipalTag/Path}"}},
            team,
            NO,
        ),
        ("in StringLike, with text", {"StringLike": {PATH: "/${aws:PrincipalTag/Path}*"}}, {}, YES),
        (
            "key names are the same in any case",
            {"StringLike": {PATH: "/${AWS:principaltag/path}"}},
            {},
            YES,
        ),
        (
            "in ArnLike",
            {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:*"}},
            {},
            YES,
        ),
        (
            "two of them",
            {"StringEquals": {PATH: "/${aws:PrincipalTag/Path}${aws:PrincipalTag/Path}"}},
            {},
            NO,
        ),
        ("without a value", {"StringLike": {PATH: f"/${{{missing}}}*"}}, {}, NO),
        (
            "without a value, beside one that matches",
            {"StringLike": {PATH: [f"${{{missing}}}", "/p*"]}},
            {},
            YES,
        ),
        ("negated without a value", {"StringNotEquals": {PATH: f"/${{{missing}}}"}}, {}, NO),
        ("with a default", {"StringEquals": {PATH: f"/${{{missing}, 'parking'}}"}}, {}, YES),
        ("with another default", {"StringEquals": {PATH: f"/${{{missing}, 'rates'}}"}}, {}, NO),
        (
            "a value before the default",
            {"StringEquals": {PATH: "/${aws:PrincipalTag/Path, 'x'}"}},
            {},
            YES,
        ),
        ("an empty default", {"StringEquals": {PATH: f"/parking${{{missing}, ''}}"}}, {}, YES),
        ("${*} is an asterisk", {"StringLike": {PATH: "/${*}"}}, {"path": "/*"}, YES),
        ("${*} is no wildcard", {"StringLike": {PATH: "/${*}"}}, {}, NO),
        (
            "${?} is a question mark",
            {"StringLike": {HEADER + "x": "${?}"}},
            {"headers": {"x": "?"}},
            YES,
        ),
        (
            "${?} is no wildcard",
            {"StringLike": {HEADER + "x": "${?}"}},
            {"headers": {"x": "a"}},
            NO,
        ),
        ("${$} is a dollar", {"StringLike": {PATH: "/${$}{a}"}}, {"path": "/${a}"}, YES),
        ("${*} in StringEquals", {"StringEquals": {PATH: "/${*}"}}, {"path": "/*"}, YES),
        (
            "a user's name",
            {"StringEquals": {"aws:username": "Bob", PATH: "/${aws:username}"}},
            {"caller": BOB, "path": "/Bob"},
            YES,
        ),
        (
            "the id of an anonymous caller",
            {"StringEquals": {PATH: "/${aws:username, 'anonymous'}"}},
            {"caller": ANONYMOUS, "path": "/anonymous"},
            YES,
        ),
    )
    yield from statements(
        VARIABLES,
        ("in Resource", statement(Resource=SERVICE + "/${aws:PrincipalTag/Path}"), {}, ALLOW),
        (
            "in Resource, with a wildcard after it",
            statement(Resource=SERVICE + "/${aws:PrincipalTag/Path}/*"),
            {"path": "/parking/1"},
            ALLOW,
        ),
        (
            "in Resource, another path",
            statement(Resource=SERVICE + "/${aws:PrincipalTag/Team}"),
            {},
            NOTHING,
        ),
        (
            "in Resource without a value",
            statement(Resource=SERVICE + "/${aws:username}"),
            {},
            NOTHING,
        ),
        (
            "in Resource, of an anonymous caller",
            statement(Resource=SERVICE + "/${aws:PrincipalTag/Path}"),
            {"caller": ANONYMOUS},
            NOTHING,
        ),
        (
            "a statement without a value denies nothing",
            [statement(), statement("Deny", Resource=SERVICE + "/${aws:username}")],
            {},
            ALLOW,
        ),
        (
            "in NotResource without a value",
            [statement(), statement("Deny", NotResource=SERVICE + "/${aws:username}")],
            {},
            ALLOW,
        ),
    )
    old = "2008-10-17"
    literal = statement(Condition={"StringEquals": {PATH: "/${aws:PrincipalTag/Path}"}})
    yield Case(
        VERSION, "no variables in 2008-10-17", policy(literal, version=old), request(), NOTHING
    )
    yield Case(
        VERSION,
        "${…} stands for itself in 2008-10-17",
        policy(literal, version=old),
        request(path="/${aws:PrincipalTag/Path}"),
        ALLOW,
    )
    yield Case(
        VERSION,
        "without Version it is 2008-10-17",
        {"Statement": literal},
        request(path="/${aws:PrincipalTag/Path}"),
        ALLOW,
    )


def _keys() -> Iterator[Case]:
    signed, anonymous = {}, {"caller": ANONYMOUS}
    yield from conditions(
        CONDITION,
        ("key names are the same in any case", {"StringEquals": {METHOD.upper(): "GET"}}, {}, YES),
        ("AWS:SourceIp", {"IpAddress": {"AWS:SourceIp": "203.0.113.7"}}, {}, YES),
        ("an empty Condition", {}, {}, YES),
        ("values mind case", {"StringEquals": {"aws:username": "bob"}}, {"caller": BOB}, NO),
    )
    yield from conditions(
        KEYS,
        (
            "PrincipalArn of a session is its role's",
            {"StringEquals": {"aws:PrincipalArn": FRONTEND_ROLE}},
            {},
            YES,
        ),
        (
            "PrincipalArn is not the session's",
            {"StringEquals": {"aws:PrincipalArn": FRONTEND_SESSION}},
            {},
            NO,
        ),
        (
            "PrincipalArn of a user",
            {"StringEquals": {"aws:PrincipalArn": BOB_ARN}},
            {"caller": BOB},
            YES,
        ),
        (
            "PrincipalArn of a root user",
            {"StringEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:root"}},
            {"caller": ROOT},
            YES,
        ),
        (
            "PrincipalArn is not there for anonymous",
            {"Null": {"aws:PrincipalArn": "true"}},
            anonymous,
            YES,
        ),
        ("PrincipalAccount", {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}, signed, YES),
        (
            "PrincipalAccount, another",
            {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
            {"caller": BOB},
            NO,
        ),
        (
            "PrincipalAccount, anonymous",
            {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
            anonymous,
            NO,
        ),
        (
            "PrincipalAccount is 'anonymous' for anonymous",
            {"StringEquals": {"aws:PrincipalAccount": "anonymous"}},
            anonymous,
            YES,
        ),
        (
            "PrincipalAccount is always there",
            {"StringEqualsIfExists": {"aws:PrincipalAccount": ACCOUNT}},
            anonymous,
            NO,
        ),
        ("PrincipalOrgID", {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, signed, YES),
        (
            "PrincipalOrgID outside every organization",
            {"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}},
            {"caller": BOB},
            YES,
        ),
        (
            "PrincipalOrgPaths",
            {
                "ForAnyValue:StringLike": {
                    "aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*/ou-ab12-11111111/*"
                }
            },
            signed,
            YES,
        ),
        (
            "PrincipalType of a session",
            {"StringEquals": {"aws:PrincipalType": "AssumedRole"}},
            signed,
            YES,
        ),
        (
            "PrincipalType of a user",
            {"StringEquals": {"aws:PrincipalType": "User"}},
            {"caller": BOB},
            YES,
        ),
        (
            "PrincipalType of a root user",
            {"StringEquals": {"aws:PrincipalType": "Account"}},
            {"caller": ROOT},
            YES,
        ),
        (
            "PrincipalType of an anonymous caller",
            {"StringEquals": {"aws:PrincipalType": "Anonymous"}},
            anonymous,
            YES,
        ),
        ("PrincipalIsAWSService", {"Bool": {"aws:PrincipalIsAWSService": "false"}}, signed, YES),
        ("username of a session is not there", {"Null": {"aws:username": "true"}}, signed, YES),
        (
            "userid of a root user is the account",
            {"StringEquals": {"aws:userid": ACCOUNT}},
            {"caller": ROOT},
            YES,
        ),
        (
            "userid of a session ends with its name",
            {"StringLike": {"aws:userid": "AROA*:task-1"}},
            signed,
            YES,
        ),
        ("SourceIp", {"IpAddress": {"aws:SourceIp": "203.0.113.7/32"}}, signed, YES),
        ("SecureTransport", {"Bool": {"aws:SecureTransport": "true"}}, signed, YES),
        ("RequestedRegion", {"StringEquals": {"aws:RequestedRegion": "us-west-2"}}, signed, YES),
        ("ResourceAccount", {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}, signed, YES),
        (
            "UserAgent",
            {"StringLike": {"aws:UserAgent": "curl/*"}},
            {"headers": {"User-Agent": "curl/8"}},
            YES,
        ),
        (
            "TokenIssueTime of a session",
            {"DateLessThanEquals": {"aws:TokenIssueTime": "2027"}},
            signed,
            YES,
        ),
    )


def _lattice() -> Iterator[Case]:
    authenticated = {"StringNotEquals": {"aws:PrincipalType": "Anonymous"}}
    corge = {"query": "quux=corge&quux=grault"}
    yield from conditions(
        LATTICE,
        ("Port", {"NumericEquals": {PORT: "443"}}, {}, YES),
        ("Port of an HTTP listener", {"NumericEquals": {PORT: "80"}}, {"secure": False}, YES),
        ("Port of another listener", {"NumericEquals": {PORT: "8443"}}, {"port": 8443}, YES),
        ("Port for anonymous", {"StringEquals": {PORT: "443"}}, {"caller": ANONYMOUS}, YES),
        (
            "RequestMethod of gRPC is POST",
            {"StringEquals": {METHOD: "POST"}},
            {"method": "POST"},
            YES,
        ),
        (
            "RequestHeader",
            {"StringEquals": {HEADER + "content-type": "application/json"}},
            {"headers": {"content-type": "application/json"}},
            YES,
        ),
        (
            "RequestHeader, the name in another case",
            {"StringEquals": {HEADER + "Content-Type": "application/json"}},
            {"headers": [("content-type", "application/json")]},
            YES,
        ),
        (
            "RequestHeader, another value",
            {"StringEquals": {HEADER + "content-type": "application/json"}},
            {"headers": {"content-type": "text/plain"}},
            NO,
        ),
        ("RequestHeader, not sent", {"StringEquals": {HEADER + "content-type": "a"}}, {}, NO),
        (
            "RequestQueryString of several values",
            {"ForAllValues:StringEquals": {QUERY + "quux": ["corge", "grault"]}},
            corge,
            YES,
        ),
        (
            "RequestQueryString, any",
            {"ForAnyValue:StringEquals": {QUERY + "quux": "grault"}},
            corge,
            YES,
        ),
        (
            "RequestQueryString, not all",
            {"ForAllValues:StringEquals": {QUERY + "quux": "grault"}},
            corge,
            NO,
        ),
        ("RequestQueryString, not sent", {"StringEquals": {QUERY + "quux": "corge"}}, {}, NO),
        (
            "RequestQueryString of one value",
            {"StringEquals": {QUERY + "quux": "corge"}},
            {"query": {"quux": "corge"}},
            YES,
        ),
        ("RequestPath", {"StringEquals": {PATH: "/parking"}}, {"query": "a=b"}, YES),
        (
            "ServiceNetworkArn",
            {"ArnEquals": {"vpc-lattice-svcs:ServiceNetworkArn": NETWORK}},
            {},
            YES,
        ),
        ("ServiceArn", {"ArnLike": {"vpc-lattice-svcs:ServiceArn": SERVICE}}, {}, YES),
        (
            "ServiceArn has no path",
            {"StringLike": {"vpc-lattice-svcs:ServiceArn": "*/parking"}},
            {},
            NO,
        ),
        ("SourceVpc", {"StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-1a2b3c4d"}}, {}, YES),
        ("SourceVpc, another", {"StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-2"}}, {}, NO),
        (
            "SourceVpcOwnerAccount",
            {"StringEquals": {VPC_OWNER: OTHER_ACCOUNT}},
            {"source_vpc_account": OTHER_ACCOUNT},
            YES,
        ),
        (
            "ResourceTag",
            {"StringEquals": {"aws:ResourceTag/Environment": "Gamma"}},
            {"resource_tags": {"Environment": "Gamma"}},
            YES,
        ),
        (
            "ResourceTag, values mind case",
            {"StringEquals": {"aws:ResourceTag/Environment": "gamma"}},
            {"resource_tags": {"Environment": "Gamma"}},
            NO,
        ),
        ("PrincipalTag", {"StringEquals": {TAG + "Team": "Payments"}}, {}, YES),
        (
            "PrincipalTag of one without",
            {"StringEquals": {TAG + "Team": "Payments"}},
            {"caller": BOB},
            NO,
        ),
        (
            "Example 1: an organization",
            {"StringEquals": {"aws:PrincipalOrgID": ["o-a1b2c3d4e5"]}},
            {},
            YES,
        ),
        (
            "Example 1: anonymous callers have no organization",
            {"StringEquals": {"aws:PrincipalOrgID": ["o-a1b2c3d4e5"]}},
            {"caller": ANONYMOUS},
            NO,
        ),
        (
            "Example 3: authenticated callers of a VPC",
            authenticated | {"StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-1a2b3c4d"}},
            {},
            YES,
        ),
        (
            "Example 3: an anonymous caller of that VPC",
            authenticated | {"StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-1a2b3c4d"}},
            {"caller": ANONYMOUS},
            NO,
        ),
        (
            "Example 3: a caller of another VPC",
            authenticated | {"StringEquals": {"vpc-lattice-svcs:SourceVpc": "vpc-1a2b3c4d"}},
            {"source_vpc": "vpc-2"},
            NO,
        ),
    )
    example = statement(
        Principal={"AWS": [FRONTEND_ROLE]},
        Action="vpc-lattice-svcs:Invoke",
        Resource=[SERVICE + "/*"],
        Condition={"StringEquals": {METHOD: "GET"}},
    )
    yield from statements(
        LATTICE,
        ("Example 2: GET by the role", example, {}, ALLOW),
        ("Example 2: POST by the role", example, {"method": "POST"}, NOTHING),
        ("Example 2: another caller", example, {"caller": BOB}, NOTHING),
        ("Example 2: an anonymous caller", example, {"caller": ANONYMOUS}, NOTHING),
        ("a resource with its path", statement(Resource=SERVICE + "/parking"), {}, ALLOW),
        ("a resource with another path", statement(Resource=SERVICE + "/rates"), {}, NOTHING),
        ("*/rates", statement(Resource="*/rates"), {"path": "/rates"}, ALLOW),
        ("*/rates, another path", statement(Resource="*/rates"), {}, NOTHING),
        ("*/*", statement(Resource="*/*"), {}, ALLOW),
        (
            "a gRPC method",
            statement(Resource=SERVICE + "/api.parking/GetRates"),
            {"path": "/api.parking/GetRates", "method": "POST"},
            ALLOW,
        ),
        (
            "all methods of a gRPC service",
            statement(Resource=SERVICE + "/api.parking/*"),
            {"path": "/api.parking/GetRates", "method": "POST"},
            ALLOW,
        ),
        (
            "another gRPC service",
            statement(Resource=SERVICE + "/api.parking/*"),
            {"path": "/api.rates/GetRates", "method": "POST"},
            NOTHING,
        ),
        ("an anonymous caller, if a policy allows it", statement(), {"caller": ANONYMOUS}, ALLOW),
    )


def _principals() -> Iterator[Case]:
    def aws(*principals: str) -> dict[str, Any]:
        return statement(Principal={"AWS": list(principals)})

    root = f"arn:aws:iam::{ACCOUNT}:root"
    anonymous = {"caller": ANONYMOUS}
    yield from statements(
        PRINCIPAL,
        ("* is every principal", statement(), {}, ALLOW),
        ("* is an anonymous caller, too", statement(), anonymous, ALLOW),
        ('{"AWS": "*"} is the same', statement(Principal={"AWS": "*"}), anonymous, ALLOW),
        ("an account by its id", aws(ACCOUNT), {}, ALLOW),
        ("an account by its root ARN", aws(root), {}, ALLOW),
        (
            "a root ARN is not only the root user",
            aws(root),
            {"caller": Principal(ACCOUNT, user="Ann")},
            ALLOW,
        ),
        ("the root user by the account", aws(ACCOUNT), {"caller": ROOT}, ALLOW),
        ("another account", aws(OTHER_ACCOUNT), {}, NOTHING),
        ("an account is no anonymous caller", aws(ACCOUNT), anonymous, NOTHING),
        ("a list is joined by OR", aws(OTHER_ACCOUNT, ACCOUNT), {}, ALLOW),
        ("a role", aws(FRONTEND_ROLE), {}, ALLOW),
        (
            "a role without its path",
            aws(f"arn:aws:iam::{ACCOUNT}:role/orders-frontend"),
            {},
            NOTHING,
        ),
        ("another role", aws(f"arn:aws:iam::{ACCOUNT}:role/rates"), {}, NOTHING),
        ("a session", aws(FRONTEND_SESSION), {}, ALLOW),
        ("another session", aws(FRONTEND_SESSION[:-1] + "2"), {}, NOTHING),
        ("a user", aws(BOB_ARN), {"caller": BOB}, ALLOW),
        ("a user's name minds case", aws(BOB_ARN.replace("Bob", "bob")), {"caller": BOB}, NOTHING),
        ("a role is no user", aws(BOB_ARN), {}, NOTHING),
        ("a service", statement(Principal={"Service": "ecs.amazonaws.com"}), {}, NOTHING),
        (
            "a service or a role",
            statement(Principal={"Service": "ecs.amazonaws.com", "AWS": FRONTEND_ROLE}),
            {},
            ALLOW,
        ),
        ("federated callers", statement(Principal={"Federated": "www.amazon.com"}), {}, NOTHING),
        ("federated callers, all of them", statement(Principal={"Federated": "*"}), {}, NOTHING),
        (
            "a federation called as an account",
            statement(Principal={"Federated": ACCOUNT}),
            {},
            NOTHING,
        ),
        (
            "federated callers are not anonymous ones",
            statement(Principal={"Federated": "*"}),
            {"caller": ANONYMOUS},
            NOTHING,
        ),
        (
            "no exception for federated callers from a denial",
            statement("Deny", NotPrincipal={"Federated": "*"}),
            {},
            DENY,
        ),
        (
            "Deny * but for one, by aws:PrincipalArn: the one",
            [
                statement(),
                statement("Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": BOB_ARN}}),
            ],
            {"caller": BOB},
            ALLOW,
        ),
        (
            "Deny * but for one, by aws:PrincipalArn: another",
            [
                statement(),
                statement("Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": BOB_ARN}}),
            ],
            {},
            DENY,
        ),
        (
            "Deny * but for one, by aws:PrincipalArn: anonymous",
            [
                statement(),
                statement("Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": BOB_ARN}}),
            ],
            anonymous,
            DENY,
        ),
    )

    def but(effect: str, *principals: str) -> list[dict[str, Any]]:
        return [
            *([statement()] if effect == "Deny" else []),
            statement(effect, NotPrincipal={"AWS": list(principals)}),
        ]

    bob_root = f"arn:aws:iam::{OTHER_ACCOUNT}:root"
    yield from statements(
        NOT_PRINCIPAL,
        ("Deny all but Bob: Bob", but("Deny", BOB_ARN, bob_root), {"caller": BOB}, ALLOW),
        ("Deny all but Bob: another", but("Deny", BOB_ARN, bob_root), {}, DENY),
        ("Deny all but Bob: anonymous", but("Deny", BOB_ARN, bob_root), anonymous, DENY),
        ("Deny all but Bob, his account missing", but("Deny", BOB_ARN), {"caller": BOB}, DENY),
        (
            "Deny all but Bob: another of his account",
            but("Deny", BOB_ARN, bob_root),
            {"caller": Principal(OTHER_ACCOUNT, user="Ann")},
            DENY,
        ),
        (
            "Deny all but a session, its role and its account",
            but("Deny", FRONTEND_SESSION, FRONTEND_ROLE, root),
            {},
            ALLOW,
        ),
        ("Deny all but a session, the role missing", but("Deny", FRONTEND_SESSION, root), {}, DENY),
        (
            "Deny all but a session, the account missing",
            but("Deny", FRONTEND_SESSION, FRONTEND_ROLE),
            {},
            DENY,
        ),
        (
            "Deny all but a session: another session of the role",
            but("Deny", FRONTEND_SESSION, FRONTEND_ROLE, root),
            {"caller": Principal(ACCOUNT, "services/orders-frontend", "task-2")},
            DENY,
        ),
        ("Allow all but Bob: Bob", but("Allow", BOB_ARN), {"caller": BOB}, NOTHING),
        ("Allow all but Bob: another", but("Allow", BOB_ARN), {}, ALLOW),
        ("Allow all but Bob: anonymous", but("Allow", BOB_ARN), anonymous, ALLOW),
        ("Allow all but an account", but("Allow", ACCOUNT), {}, NOTHING),
        ("Allow all but every principal", but("Allow", "*"), {}, NOTHING),
        ("Deny all but every principal", but("Deny", "*"), {}, ALLOW),
    )


def _actions_and_resources() -> Iterator[Case]:
    connect = {"action": "vpc-lattice-svcs:Connect"}
    yield from statements(
        ACTION,
        ("the action", statement(Action="vpc-lattice-svcs:Invoke"), {}, ALLOW),
        ("in any case", statement(Action="VPC-Lattice-Svcs:iNVOKE"), {}, ALLOW),
        ("all actions of the service", statement(Action="vpc-lattice-svcs:*"), {}, ALLOW),
        ("every action", statement(Action="*"), {}, ALLOW),
        ("wildcards in the name", statement(Action="vpc-lattice-svcs:In*k?"), {}, ALLOW),
        ("wildcards in any case", statement(Action="vpc-lattice-svcs:iNV*"), {}, ALLOW),
        ("another action", statement(Action="vpc-lattice-svcs:Connect"), {}, NOTHING),
        (
            "a list is joined by OR",
            statement(Action=["vpc-lattice-svcs:Connect", "vpc-lattice-svcs:Invoke"]),
            {},
            ALLOW,
        ),
        ("Connect", statement(Action="vpc-lattice-svcs:Connect"), connect, ALLOW),
        ("Invoke is not Connect", statement(Action="vpc-lattice-svcs:Invoke"), connect, NOTHING),
        ("Connect has no path", statement(Resource=SERVICE), connect, ALLOW),
    )
    yield from statements(
        NOT_ACTION,
        ("of another", statement(NotAction="vpc-lattice-svcs:Connect"), {}, ALLOW),
        ("of this one", statement(NotAction="vpc-lattice-svcs:Invoke"), {}, NOTHING),
        ("of this one by wildcard", statement(NotAction="vpc-lattice-svcs:*"), {}, NOTHING),
        ("of this one in any case", statement(NotAction="vpc-lattice-svcs:invoke"), {}, NOTHING),
        (
            "of a list",
            statement(NotAction=["vpc-lattice-svcs:Connect", "vpc-lattice-svcs:Invoke"]),
            {},
            NOTHING,
        ),
        (
            "with Deny",
            [statement(), statement("Deny", NotAction="vpc-lattice-svcs:Connect")],
            {},
            DENY,
        ),
    )
    yield from statements(
        RESOURCE,
        ("*", statement(Resource="*"), {}, ALLOW),
        ("a wildcard in the path", statement(Resource=SERVICE + "/p*"), {}, ALLOW),
        ("* for nothing", statement(Resource=SERVICE + "/parking*"), {}, ALLOW),
        ("* over slashes", statement(Resource=SERVICE + "/a/*"), {"path": "/a/b/c"}, ALLOW),
        ("? is one character", statement(Resource=SERVICE + "/park???"), {}, ALLOW),
        ("? is not none", statement(Resource=SERVICE + "/parking?"), {}, NOTHING),
        (
            "a wildcard in a segment",
            statement(Resource="arn:aws:vpc-lattice:*:*:service/*"),
            {},
            ALLOW,
        ),
        (
            "another region",
            statement(Resource="arn:aws:vpc-lattice:eu-*:*:service/*"),
            {},
            NOTHING,
        ),
        (
            "another service",
            statement(Resource=SERVICE.replace("svc-0", "svc-1") + "/*"),
            {},
            NOTHING,
        ),
        ("it minds case", statement(Resource=SERVICE + "/Parking"), {}, NOTHING),
        ("a prefix alone", statement(Resource=SERVICE + "/park"), {}, NOTHING),
        ("no character classes", statement(Resource=SERVICE + "/[p]arking"), {}, NOTHING),
        (
            "a list is joined by OR",
            statement(Resource=[SERVICE + "/a", SERVICE + "/p*"]),
            {},
            ALLOW,
        ),
        ("a colon in the path", statement(Resource=SERVICE + "/*/x"), {"path": "/a:b/x"}, ALLOW),
    )
    yield from statements(
        NOT_RESOURCE,
        ("of another", statement(NotResource=SERVICE + "/rates"), {}, ALLOW),
        ("of this one", statement(NotResource=SERVICE + "/parking"), {}, NOTHING),
        ("of a list with this one", statement(NotResource=["*/rates", "*/parking"]), {}, NOTHING),
        (
            "with Deny: one that is listed",
            [statement(), statement("Deny", NotResource=SERVICE + "/p*")],
            {},
            ALLOW,
        ),
        (
            "with Deny: one that is not",
            [statement(), statement("Deny", NotResource=SERVICE + "/r*")],
            {},
            DENY,
        ),
    )


def _evaluation() -> Iterator[Case]:
    deny, other = statement("Deny"), statement("Deny", Resource="*/rates")
    yield from statements(
        EVALUATION,
        ("an Allow", statement(), {}, ALLOW),
        ("a Deny alone", deny, {}, DENY),
        ("a Deny after an Allow", [statement(), deny], {}, DENY),
        ("a Deny before an Allow", [deny, statement()], {}, DENY),
        ("a Deny between Allows", [statement(), deny, statement()], {}, DENY),
        ("a Deny that does not apply", [statement(), other], {}, ALLOW),
        ("a Deny that does not apply, alone", other, {}, NOTHING),
        ("the second of two Allows", [statement(Resource="*/rates"), statement()], {}, ALLOW),
        (
            "no Allow applies",
            [statement(Resource="*/rates"), statement(Resource="*/a")],
            {},
            NOTHING,
        ),
    )
    yield Case(GRAMMAR, "one statement needs no list", {"Statement": statement()}, request(), ALLOW)
    yield Case(
        GRAMMAR,
        "elements in any order",
        {"Statement": dict(reversed(statement().items())), "Id": "a", "Version": "2012-10-17"},
        request(),
        ALLOW,
    )
    yield Case(
        GRAMMAR,
        "one value needs no brackets",
        policy(statement(Action="vpc-lattice-svcs:Invoke", Resource="*/parking")),
        request(),
        ALLOW,
    )


CASES = [
    *_string_operators(),
    *_other_operators(),
    *_arn_operators(),
    *_existence(),
    *_several_values(),
    *_variables(),
    *_keys(),
    *_lattice(),
    *_principals(),
    *_actions_and_resources(),
    *_evaluation(),
]
