"""Documents are parsed into policies, or an error names the place."""

import json
import pickle
import time
from collections import ChainMap, UserDict
from types import MappingProxyType

import pytest

from lattice_client.errors import LatticeClientError
from lattice_client.testing import AuthPolicy, IdentityPolicy, PolicyError, evaluate
from lattice_client.testing.wildcards import Pattern, Wildcard, wildcard_match
from support.policy_cases import (
    ACCOUNT,
    FRONTEND_ROLE,
    FRONTEND_SESSION,
    NOTHING,
    SERVICE,
    policy,
    request,
    statement,
)


def refusal(document, kind=AuthPolicy):
    with pytest.raises(PolicyError) as caught:
        kind.from_document(document)
    assert isinstance(caught.value, LatticeClientError)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).startswith(caught.value.place)
    return caught.value.place, caught.value.problem


METHOD = "vpc-lattice-svcs:RequestMethod"


def condition(operator, key="vpc-lattice-svcs:RequestMethod", value="GET"):
    return {"Condition": {operator: {key: value}}}


# Grammar of the IAM JSON policy language

DOCUMENTS = [
    ([], "", "a policy must be an object"),
    ("[]", "", "a policy must be an object"),
    ("", "", "not JSON: Expecting value in line 1, column 1"),
    ('{"Statement": [}', "", "not JSON: Expecting value in line 1, column 16"),
    ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "", "'Version' is there twice"),
    ('{"Statement": NaN}', "", "not JSON: NaN"),
    ('{"Statement": ' + "9" * 5000 + "}", "", "not JSON"),
    ("[" * 100_000, "", "nested too deeply"),
    ('{"a":' * 100_000, "", "nested too deeply"),
    ({}, "Statement", "must be a statement or a list"),
    ({"Statement": []}, "Statement", "must be a statement or a list"),
    ({"Statement": "Allow"}, "Statement", "must be a statement or a list"),
    ({"Statement": ["Allow"]}, "Statement[0]", "must be an object"),
    ({"Statement": [statement()], "Rules": 1}, "", "there is no element 'Rules'"),
    ({"statement": [statement()]}, "", "no element 'statement'; did you mean Statement?"),
    ({"Version": "2012-10-18", "Statement": statement()}, "Version", "not '2012-10-18'"),
    ({"Version": 20121017, "Statement": statement()}, "Version", "must be 2008-10-17 or"),
    ({"Id": 1, "Statement": statement()}, "Id", "must be a string"),
    ({"Statement": [statement(Sid="x" * 10240)]}, "", "at most 10 KB; this one has 1"),
    ({"Statement": {"Effect": {1, 2}}}, "", "cannot be written as JSON"),
]


@pytest.mark.parametrize(("document", "place", "problem"), DOCUMENTS)
def test_documents_that_are_refused(document, place, problem):
    refused_at, words = refusal(document)
    assert refused_at == place
    assert problem in words


ROOT = f"arn:aws:iam::{ACCOUNT}:root"

STATEMENTS = [
    # Effect
    ({"Effect": "allow"}, "Effect", "'Allow' or 'Deny', not 'allow'"),
    ({"Effect": None}, "Effect", "not None"),
    # unknown elements
    ({"Conditions": {}}, "", "no element 'Conditions'"),
    ({"effect": "Allow"}, "", "did you mean Effect?"),
    ({"Principals": "*"}, "", "no element 'Principals'"),
    ({"Sid": 1}, "Sid", "must be a string"),
    # both of a pair
    ({"NotPrincipal": "*"}, "", "both Principal and NotPrincipal"),
    ({"NotAction": "*"}, "", "both Action and NotAction"),
    ({"NotResource": "*"}, "", "both Resource and NotResource"),
    # Principal
    ({"Principal": ACCOUNT}, "Principal", 'must be "*" or an object'),
    ({"Principal": ["*"]}, "Principal", 'must be "*" or an object'),
    ({"Principal": {}}, "Principal", 'must be "*" or an object'),
    ({"Principal": None}, "Principal", 'must be "*" or an object'),
    ({"Principal": {"AWS": []}}, "Principal.AWS", "at least one string"),
    ({"Principal": {"AWS": 111122223333}}, "Principal.AWS", "a string or a list"),
    ({"Principal": {"AWS": "1111"}}, "Principal.AWS", "'1111' is neither"),
    ({"Principal": {"AWS": [ROOT, "orders"]}}, "Principal.AWS[1]", "'orders' is neither"),
    ({"Principal": {"AWS": FRONTEND_ROLE + "*"}}, "Principal.AWS", "for wildcards use a condition"),
    ({"Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/a/*"}}, "Principal.AWS", "wild"),
    ({"Principal": {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/a"}}, "Principal.AWS", "neither"),
    ({"Principal": {"AWS": "arn:aws:iam::1:role/a"}}, "Principal.AWS", "neither"),
    ({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:group/a"}}, "Principal.AWS", "neither"),
    ({"Principal": {"AWS": f"arn:aws:iam:us-west-2:{ACCOUNT}:role/a"}}, "Principal.AWS", "neither"),
    ({"Principal": {"aws": "*"}}, "Principal.aws", "'aws' is not a kind of principal"),
    ({"Principal": {"CanonicalUser": "79a5"}}, "Principal.CanonicalUser", "use AWS"),
    ({"Principal": {"Service": "ecs"}}, "Principal.Service", "end in .amazonaws.com"),
    # Action
    ({"Action": None}, "Action", "a string or a list"),
    ({"Action": []}, "Action", "at least one string"),
    ({"Action": ["*", 1]}, "Action", "a string or a list"),
    ({"Action": "Invoke"}, "Action", "'Invoke' is not an action"),
    ({"Action": "vpc-lattice-svcs:"}, "Action", "is not an action"),
    ({"Action": ""}, "Action", "is not an action"),
    ({"Action": "vpc-lattice-svcs:Call"}, "Action", "not one of Lattice's actions"),
    ({"Action": "vpc-lattice-svcs:Invok"}, "Action", "not one of Lattice's actions"),
    ({"Action": ["vpc-lattice-svcs:Invoke", "vpc-lattice:*"]}, "Action[1]", "not one of Lattice's"),
    ({"Action": "s3:GetObject"}, "Action", "not one of Lattice's actions"),
    # Resource
    ({"Resource": None}, "Resource", "a string or a list"),
    ({"Resource": [1]}, "Resource", "a string or a list"),
    ({"Resource": "/parking"}, "Resource", "neither '*' nor an ARN"),
    ({"Resource": ""}, "Resource", "neither '*' nor an ARN"),
    ({"Resource": "arn:aws:vpc-lattice:us-west-2"}, "Resource", "neither '*' nor an ARN"),
    ({"Resource": "arn:aws:vpc-lattice:us-west-2:1:"}, "Resource", "neither '*' nor an ARN"),
    ({"Resource": ["*", SERVICE.replace("aws", "gcp")]}, "Resource[1]", "no valid partition"),
    ({"Resource": SERVICE.replace("vpc-lattice", "")}, "Resource", "has no valid service"),
    (
        {"Resource": "arn:aws:vpc-lattice:us-west-2:${aws:PrincipalAccount}:service/svc-1/*"},
        "Resource",
        "before its fifth colon",
    ),
    ({"Resource": SERVICE + "/${aws:username"}, "Resource", "'${aws:username' is not closed"),
    ({"Resource": SERVICE + "/${}"}, "Resource", "is not a policy variable"),
    ({"Resource": SERVICE + "/${aws:username 'a'}"}, "Resource", "is not a policy variable"),
    ({"Resource": SERVICE + "/${aws:username, a}"}, "Resource", "is not a policy variable"),
    # Condition
    ({"Condition": []}, "Condition", "an object of condition operators"),
    ({"Condition": None}, "Condition", "an object of condition operators"),
    ({"Condition": {"StringEquals": "GET"}}, "Condition.StringEquals", "an object of condition"),
    (condition("StringIs"), "Condition.StringIs", "'StringIs' is not a condition operator"),
    (condition("stringequals"), "Condition.stringequals", "did you mean StringEquals?"),
    (condition("IfExists"), "Condition.IfExists", "not a condition operator"),
    (
        condition("ForSomeValue:StringEquals"),
        "Condition.ForSomeValue:StringEquals",
        "not a condition",
    ),
    (condition("ForAnyValue:"), "Condition.ForAnyValue:", "not a condition operator"),
    (condition("NullIfExists", value="true"), "Condition.NullIfExists", "neither IfExists nor"),
    (condition("ForAnyValue:Null", value="true"), "Condition.ForAnyValue:Null", "set operator"),
    (condition("StringEquals", value=[]), "Condition.StringEquals", "at least one string"),
    (condition("StringEquals", value=[["GET"]]), "Condition.StringEquals", "a string or a list"),
    (condition("StringEquals", value=None), "Condition.StringEquals", "a string or a list"),
    (condition("StringEquals", value={"a": 1}), "Condition.StringEquals", "a string or a list"),
    (
        condition("StringEquals", key="RequestMethod"),
        "Condition.StringEquals",
        "not a condition key",
    ),
    (condition("StringEquals", value="${"), "Condition.StringEquals", "is not closed"),
    (condition("NumericEquals", value="ten"), "Condition.NumericEquals", "'ten' is not a number"),
    (condition("NumericEquals", value="1e9"), "Condition.NumericEquals", "is not a number"),
    (condition("NumericLessThan", value=True), "Condition.NumericLessThan", "is not a number"),
    (condition("DateEquals", value="today"), "Condition.DateEquals", "'today' is not a date"),
    (condition("DateEquals", value="2026-13-01"), "Condition.DateEquals", "is not a date"),
    (condition("DateEquals", value="2026-*"), "Condition.DateEquals", "is not a date"),
    (condition("DateEquals", value="9" * 400), "Condition.DateEquals", "is not a date"),
    (condition("DateEquals", value="2026-11-21x09:30"), "Condition.DateEquals", "is not a date"),
    (condition("DateEquals", value="2026-W47-6"), "Condition.DateEquals", "is not a date"),
    (condition("DateEquals", value="20261121T093000Z"), "Condition.DateEquals", "is not a date"),
    (condition("Bool", value="yes"), "Condition.Bool", "neither 'true' nor 'false'"),
    (condition("Null", value="yes"), "Condition.Null", "neither 'true' nor 'false'"),
    (condition("BinaryEquals", value="a"), "Condition.BinaryEquals", "is not base64"),
    (condition("IpAddress", value="10.0.0.0/33"), "Condition.IpAddress", "CIDR"),
    (condition("IpAddress", value="10.*"), "Condition.IpAddress", "CIDR"),
    (condition("NotIpAddress", value="localhost"), "Condition.NotIpAddress", "CIDR"),
    (condition("IpAddress", value="10.0.0.0/255.0.0.0"), "Condition.IpAddress", "CIDR"),
    (condition("IpAddress", value="10.0.0.0/"), "Condition.IpAddress", "CIDR"),
    (condition("IpAddress", value="fe80::1%eth0"), "Condition.IpAddress", "CIDR"),
    (condition("NumericEquals", value=float("inf")), "Condition.NumericEquals", "a string or"),
    ({"Sid": None}, "Sid", "must be a string"),
    (condition("ArnLike", value="orders"), "Condition.ArnLike", "'orders' is not an ARN"),
    (condition("ArnEquals", value="arn:aws:iam"), "Condition.ArnEquals", "is not an ARN"),
    # One part too few.
    (condition("ArnLike", value="arn:aws:iam::1"), "Condition.ArnLike", "is not an ARN"),
    (condition("ArnLike", value="arn:*:*:*:*"), "Condition.ArnLike", "is not an ARN"),
    (
        condition("NumericEquals", value="${aws:userid}"),
        "Condition.NumericEquals",
        "string and ARN",
    ),
    (condition("IpAddress", value="${aws:userid}"), "Condition.IpAddress", "string and ARN"),
    (condition("Null", value="${aws:userid}"), "Condition.Null", "string and ARN"),
]


@pytest.mark.parametrize(("elements", "place", "problem"), STATEMENTS)
def test_statements_that_are_refused(elements, place, problem):
    changed = {"Principal": "*", "Action": "*", "Resource": "*", "Effect": "Allow"} | elements
    refused_at, words = refusal(policy(statement(), statement(), changed))
    assert refused_at == ("Statement[2]" + (f".{place}" if place else ""))
    assert problem in words


@pytest.mark.parametrize("missing", ["Effect", "Principal", "Action", "Resource"])
def test_elements_that_must_be_there(missing):
    content = statement()
    del content[missing]
    place, problem = refusal({"Statement": content})
    assert place == ("Statement.Effect" if missing == "Effect" else "Statement")
    assert missing in problem or "missing" in problem


def test_two_statements_with_one_sid():
    place, problem = refusal(policy(statement(Sid="a"), statement(Sid="b"), statement(Sid="a")))
    assert place == "Statement[2].Sid"
    assert "the Sid of Statement[0]" in problem


def test_white_space_is_not_counted():
    text = json.dumps(policy(statement()), indent=4000)
    assert len(text) > 10 * 1024
    assert AuthPolicy.from_document(text) == AuthPolicy.from_document(policy(statement()))


def test_the_largest_policy():
    def sized(size):
        empty = json.dumps(policy(statement(Sid="")), separators=(",", ":"))
        return policy(statement(Sid="x" * (size - len(empty))))

    assert AuthPolicy.from_document(sized(10_240))
    assert "10241 bytes" in refusal(sized(10_241))[1]


def test_what_is_read_can_be_looked_at():
    read = AuthPolicy.from_document(
        {"Version": "2012-10-17", "Id": "one"}
        | {"Statement": [statement(Sid="all", Principal={"AWS": [ROOT, FRONTEND_SESSION]})]}
    )
    assert (read.version, read.id) == ("2012-10-17", "one")
    (only,) = read.statements
    assert (only.place, only.sid, only.allow) == ("Statement[0]", "all", True)
    assert only.principal.values == (ACCOUNT, FRONTEND_SESSION)
    assert str(only) == 'Statement[0] "all" (Allow)'


def test_the_error_can_be_pickled():
    error = PolicyError("Statement[1].Effect", "is missing")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.place) == (str(error), error.place)


# Identity policies: "Identity-based policies and resource-based policies"


def test_an_identity_policy_may_be_about_other_services():
    allow = {"Effect": "Allow", "Action": ["s3:Get*", "*:*"], "Resource": "arn:aws:s3:::bucket/*"}
    assert IdentityPolicy.from_document({"Statement": allow})


@pytest.mark.parametrize("resource", ["arn:aws:sqs", "arn:aws:vpc-lattice:*"])
def test_an_identity_policy_may_have_incomplete_arns(resource):
    """ "IAM identifiers": AWS completes them with wildcards."""
    content = {"Effect": "Allow", "Action": "*", "Resource": resource}
    read = IdentityPolicy.from_document({"Statement": content})
    (only,) = read.statements
    assert (only.resource.mismatch(request()) is None) is ("lattice" in resource)


@pytest.mark.parametrize("kind", [MappingProxyType, ChainMap, UserDict])
def test_any_mapping_is_read(kind):
    content = statement(Condition=kind({"StringEquals": kind({METHOD: "GET"})}))
    document = kind({"Version": "2012-10-17", "Statement": [kind(content)]})
    assert AuthPolicy.from_document(document) == AuthPolicy.from_document(
        policy(statement(Condition={"StringEquals": {METHOD: "GET"}}))
    )
    assert "a set" in refusal({"Statement": {"Action": {"a"}}})[1]


@pytest.mark.parametrize(
    ("number", "text"),
    [(1e-05, "0.00001"), (1e16, "10000000000000000"), (2.5, "2.5"), (10**400, "1" + "0" * 400)],
)
def test_numbers_are_read_as_they_are_meant(number, text):
    content = statement(**condition("NumericEquals", value=number))
    (only,) = AuthPolicy.from_document(policy(content)).statements
    assert only.conditions[0].values == (text,)


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (
            {"Statement": {"Sid": "a b", "Effect": "Deny", "Action": "*", "Resource": "*"}},
            "Statement.Sid",
        ),
        ({"Statement": statement()}, "Statement.Principal"),
        (
            {"Statement": {"Effect": "Deny", "NotPrincipal": "*", "Action": "*", "Resource": "*"}},
            "Statement.NotPrincipal",
        ),
        ({"Id": "a", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}, "Id"),
        ({"Statement": {"Effect": "Deny", "Action": "get", "Resource": "*"}}, "Statement.Action"),
    ],
)
def test_identity_policies_that_are_refused(document, place):
    assert refusal(document, IdentityPolicy)[0] == place


# Hostile policies


def quick(work):
    """The work's result. It must not take more than about one step a character."""
    began = time.process_time()
    result = work()
    assert time.process_time() - began < 2
    return result


def test_wildcards_take_no_more_than_linear_time():
    assert not quick(lambda: wildcard_match("*a" * 2000 + "b", "a" * 60_000))
    assert quick(lambda: wildcard_match("*a?" * 2000 + "*", "a" * 60_000))
    assert not quick(lambda: wildcard_match("?" * 5000 + "*" * 4000 + "b", "a" * 60_000))


@pytest.mark.parametrize("pattern", ["*a" * 2000 + "b", "*?" * 2000 + "b", "*a*?" * 1000 + "b"])
def test_a_catastrophic_condition(pattern):
    document = policy(
        statement(Condition={"StringLike": {"vpc-lattice-svcs:RequestPath": pattern}})
    )
    asked = request(path="/" + "a" * 60_000)
    decision = quick(lambda: evaluate(document, asked))
    assert decision.effect is NOTHING
    assert len(str(decision)) < 1000


def test_a_catastrophic_resource_with_variables():
    document = policy(statement(Resource=SERVICE + "/" + "*${aws:PrincipalTag/Path}" * 300 + "b"))
    asked = request(path="/" + "parking" * 5000)
    assert quick(lambda: evaluate(document, asked)).effect is NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "${" * 4000,
        "${" + " " * 8000,
        "${a" + " " * 8000 + ", 'b'",
        "${a, '" + "}" * 8000,
        "$" * 8000,
    ],
)
def test_catastrophic_variables(text):
    def read():
        try:
            AuthPolicy.from_document(policy(statement(Resource=f"{SERVICE}/{text}")))
        except PolicyError:
            return True
        return text[1] == "$"

    assert quick(read)


def test_deep_nesting_where_values_are_wanted():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    for document in (nested, {"Statement": nested}, policy(statement(Action=nested))):
        refusal(document)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("**", "a", True),
        ("?", "", False),
        ("?", "ä", True),
        ("*?", "", False),
        ("*?", "ab", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-b-c-", False),
        ("*ab", "aab", True),
        ("a?c", "a\nc", True),
        ("a.c", "abc", False),
        ("a*", "\x00", False),
    ],
)
def test_wildcards(pattern, text, matches):
    assert wildcard_match(pattern, text) is matches


def test_a_pattern_with_text_that_looks_like_a_wildcard():
    pattern = Pattern(["a*", Wildcard.RUN, "?", Wildcard.ONE])
    assert pattern.matches("a*--?x")
    assert not pattern.matches("aa--?x")
    assert not pattern.matches("a*--xx")
