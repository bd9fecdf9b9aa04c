"""``lint`` finds what is legal but surprising, and nothing else."""

import json

import pytest

from lattice_client.testing import ALLOW_AUTHENTICATED, NO_POLICY, AuthPolicy, PolicyError, lint
from support.policy_cases import (
    ACCOUNT,
    BOB_ARN,
    FRONTEND_ROLE,
    FRONTEND_SESSION,
    SERVICE,
    policy,
    statement,
)

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
METHOD = "vpc-lattice-svcs:RequestMethod"
PATH = "vpc-lattice-svcs:RequestPath"
HEADER = "vpc-lattice-svcs:RequestHeader/x-team"
QUERY = "vpc-lattice-svcs:RequestQueryString/team"


def fine(effect="Allow", **elements):
    """A statement without findings but those of the changes."""
    content = {"Resource": SERVICE + "/*"} | elements
    if "NotPrincipal" not in content:
        content = {"Principal": {"AWS": FRONTEND_ROLE}} | content
    if "NotResource" in content:
        del content["Resource"]
    return statement(effect, **content)


def when(operator, key, *values, effect="Allow", **also):
    return fine(effect, Condition={operator: {key: list(values)}} | also)


SURPRISING = [
    ("allow-everyone", "Principal", fine(Principal="*")),
    ("allow-everyone", "Principal", fine(Principal={"AWS": ["*", ACCOUNT]})),
    ("allow-not-principal", "NotPrincipal", fine(NotPrincipal={"AWS": ACCOUNT})),
    ("deny-not-principal", "NotPrincipal", fine("Deny", NotPrincipal={"AWS": BOB_ARN})),
    (
        "deny-not-principal",
        "NotPrincipal",
        fine("Deny", NotPrincipal={"AWS": [FRONTEND_ROLE, ROOT]}),
    ),
    (
        "deny-not-principal",
        "NotPrincipal",
        fine("Deny", NotPrincipal={"AWS": [FRONTEND_SESSION, ACCOUNT]}),
    ),
    ("allow-not-action", "NotAction", fine(NotAction="vpc-lattice-svcs:Connect")),
    ("allow-not-resource", "NotResource", fine(NotResource="*/private/*")),
    ("no-such-caller", "Principal", fine(Principal={"Service": "ecs.amazonaws.com"})),
    ("no-such-caller", "Principal", fine(Principal={"Federated": "www.amazon.com"})),
    ("no-path", "Resource", fine(Resource=SERVICE)),
    (
        "no-path",
        "Resource",
        fine(Resource=f"arn:aws:vpc-lattice:us-west-2:{ACCOUNT}:servicenetwork/sn-0123"),
    ),
    ("query-in-path", "Resource", fine(Resource=SERVICE + "/parking?lot=1")),
    ("other-service", "Resource", fine(Resource="arn:aws:s3:::bucket/*")),
    ("other-service", "Resource", fine(Resource=SERVICE.replace("lattice", "lattice-svcs") + "/*")),
    ("no-account", "Resource", fine(Resource=SERVICE.replace(ACCOUNT, "1234567890") + "/*")),
    (
        "unknown-key",
        "Condition.StringEquals",
        when("StringEquals", "vpc-lattice-svcs:Method", "GET"),
    ),
    ("unknown-key", "Condition.StringEquals", when("StringEquals", "aws:SourceVpc", "vpc-1")),
    ("unknown-key", "Condition.StringEquals", when("StringEquals", "s3:prefix", "a")),
    (
        "unknown-key",
        "Condition.StringEquals",
        when("StringEquals", "vpc-lattice-svcs:RequestHeader", "a"),
    ),
    ("unknown-key", "Condition.StringEquals", when("StringEquals", METHOD + "/a", "GET")),
    ("key-case", "Condition.IpAddress", when("IpAddress", "aws:SourceIP", "10.0.0.0/8")),
    ("set-operator-missing", "Condition.StringEquals", when("StringEquals", QUERY, "a")),
    (
        "set-operator",
        "Condition.ForAnyValue:StringEquals",
        when("ForAnyValue:StringEquals", METHOD, "GET"),
    ),
    (
        "allow-for-all-values",
        "Condition.ForAllValues:StringEquals",
        when("ForAllValues:StringEquals", QUERY, "a"),
    ),
    ("allow-where-missing", "Condition.StringNotEquals", when("StringNotEquals", HEADER, "a")),
    (
        "allow-where-missing",
        "Condition.StringEqualsIfExists",
        when("StringEqualsIfExists", "aws:PrincipalOrgID", "o-1"),
    ),
    (
        "deny-where-missing",
        "Condition.StringEquals",
        when("StringEquals", "aws:PrincipalOrgID", "o-1", effect="Deny"),
    ),
    (
        "path-of-connection",
        "Resource",
        fine(Action="vpc-lattice-svcs:Connect", Resource=SERVICE + "/*"),
    ),
    ("operator-type", "Condition.NumericEquals", when("NumericEquals", METHOD, "1")),
    ("operator-type", "Condition.ArnLike", when("ArnLike", "vpc-lattice-svcs:SourceVpc", ROOT)),
    ("literal-wildcard", "Condition.StringEquals", when("StringEquals", PATH, "/orders/*")),
    ("query-in-path", "Condition.StringEquals", when("StringEquals", PATH, "/orders?a=b")),
    ("path-without-slash", "Condition.StringLike", when("StringLike", PATH, "orders/*")),
    ("method-case", "Condition.StringEquals", when("StringEquals", METHOD, "get")),
    (
        "principal-type",
        "Condition.StringNotEquals",
        when("StringNotEquals", "aws:PrincipalType", "anonymous"),
    ),
    (
        "session-arn",
        "Condition.ArnLike",
        when("ArnLike", "aws:PrincipalArn", f"arn:aws:sts::{ACCOUNT}:assumed-role/orders/*"),
    ),
]


@pytest.mark.parametrize(("code", "place", "content"), SURPRISING)
def test_surprises(code, place, content):
    findings = lint(policy(fine(), content))
    assert (code, f"Statement[1].{place}") in {(one.code, one.place) for one in findings}
    for finding in findings:
        assert str(finding).startswith(finding.place)


@pytest.mark.parametrize(
    "content",
    [
        fine(),
        fine("Deny", Principal="*"),
        fine("Deny", NotPrincipal={"AWS": [BOB_ARN, BOB_ARN.replace("user/Bob", "root")]}),
        fine("Deny", NotPrincipal={"AWS": [FRONTEND_SESSION, FRONTEND_ROLE, ROOT]}),
        fine(Resource="*"),
        fine(Resource="*/rates"),
        fine(Resource=SERVICE + "/${aws:PrincipalTag/Team}/*"),
        when("StringEquals", METHOD, "GET", "POST"),
        when("StringLike", PATH, "/orders/*", "*"),
        when("StringNotEquals", HEADER, "a", Null={HEADER: "false"}),
        when("ForAnyValue:StringEquals", QUERY, "a"),
        when("ForAllValues:StringEquals", QUERY, "a", Null={QUERY: "false"}),
        when("StringNotEquals", "aws:PrincipalOrgID", "o-1", effect="Deny"),
        when("StringEqualsIgnoreCase", METHOD, "get"),
        when("NumericEquals", HEADER, "1"),
        when("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/*"),
        when("Bool", "aws:SecureTransport", "false", effect="Deny"),
        fine(Action="vpc-lattice-svcs:Connect", Resource=SERVICE),
        fine(Action="vpc-lattice-svcs:Connect", Resource=SERVICE + "*"),
        fine(Action="vpc-lattice-svcs:*", Resource=SERVICE + "/*"),
        when("StringEquals", "aws:PrincipalAccount", ACCOUNT, effect="Deny"),
        when("StringNotLike", "aws:userid", "AIDA*"),
        when("NumericLessThan", "aws:EpochTime", 1800000000),
        when("StringEquals", "aws:referer", "https://example.com/"),
    ],
)
def test_what_is_fine(content):
    assert lint(policy(fine(), content)) == ()


def test_findings_of_a_whole_policy():
    assert lint(ALLOW_AUTHENTICATED) == ()
    assert [finding.code for finding in lint(NO_POLICY)] == ["allows-nothing"]
    assert [finding.code for finding in lint(policy(fine("Deny")))] == ["allows-nothing"]
    text = json.dumps(policy(fine()), indent=2)
    assert [finding.code for finding in lint(text)] == ["newlines"]
    assert lint(AuthPolicy.from_document(text)) == ()


def test_variables_before_their_time():
    content = when("StringEquals", HEADER, "${aws:PrincipalTag/Team}")
    (finding,) = lint(policy(content, version="2008-10-17"))
    assert (finding.code, finding.place) == ("old-version", "Statement[0].Condition.StringEquals")
    assert lint(policy(content)) == ()


def test_a_policy_that_cannot_be_read_has_no_findings():
    with pytest.raises(PolicyError):
        lint("{")
