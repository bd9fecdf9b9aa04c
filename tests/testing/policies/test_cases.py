"""``evaluate`` decides the cases from AWS's pages."""

import json
from collections import Counter
from datetime import datetime

import pytest

from lattice_client.testing import AuthPolicy, Effect, PolicyRequest, evaluate
from support.policy_cases import (
    ANONYMOUS,
    CASES,
    HEADER,
    PATH,
    QUERY,
    VPC_OWNER,
    policy,
    request,
    statement,
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_as_documented(case):
    decision = evaluate(case.policy, case.request)
    assert decision.effect is case.outcome, f"{case}\n{decision}"


def test_every_decision_is_explained():
    for case in CASES:
        decision = evaluate(AuthPolicy.from_document(json.dumps(case.policy)), case.request)
        text = str(decision)
        if decision.statement is not None:
            assert decision.mismatches[decision.index] is None
            assert decision.statement.allow is decision.allowed
            assert decision.statement.place in text
            continue
        # One line for each statement, which names the element that failed.
        first, *lines = text.splitlines()
        assert first.startswith("Denied: none of its statements applies")
        for line, mismatch in zip(lines, decision.mismatches, strict=True):
            assert mismatch.element.partition(".")[0] in json.dumps(case.policy)
            assert mismatch.element in line


def test_there_are_enough_and_each_has_its_page():
    assert len(CASES) >= 200
    assert len({str(case) for case in CASES}) == len(CASES)
    pages = Counter(case.page for case in CASES)
    assert len(pages) >= 12
    assert {case.outcome for case in CASES} == set(Effect)


# Inferred: the pages do not say it.

INFERRED = [
    (
        "wildcards in the value of a variable are none",
        {"StringLike": {PATH: "/${aws:PrincipalTag/Stars}"}},
        {"path": "/abc"},
        False,
    ),
    (
        "the value of a variable matches itself",
        {"StringLike": {PATH: "/${aws:PrincipalTag/Stars}"}},
        {"path": "/a*"},
        True,
    ),
    (
        "several values without a set operator: any matches",
        {"StringEquals": {QUERY + "a": "2"}},
        {"query": "a=1&a=2"},
        True,
    ),
    (
        "several values without a set operator, negated: none may match",
        {"StringNotEquals": {QUERY + "a": "2"}},
        {"query": "a=1&a=2"},
        False,
    ),
    (
        "a variable of several values has none",
        {"StringEquals": {PATH: "/${vpc-lattice-svcs:RequestQueryString/a}"}},
        {"query": "a=parking&a=parking"},
        False,
    ),
    (
        "the query is decoded",
        {"StringEquals": {QUERY + "a b": "c+d"}},
        {"query": "a%20b=c%2Bd"},
        True,
    ),
    (
        "the query is UTF-8",
        {"StringEquals": {QUERY + "a": "ü"}},
        {"query": "a=%C3%BC"},
        True,
    ),
    (
        "one case is that of a letter, and no other spelling",
        {"StringEqualsIgnoreCase": {HEADER + "x": "STRASSE"}},
        {"headers": {"x": "straße"}},
        False,
    ),
    (
        "header lines of one name are joined",
        {"StringEquals": {HEADER + "x": "a,b"}},
        {"headers": [("X", "a"), ("x", "b")]},
        True,
    ),
    ("the path is not decoded", {"StringEquals": {PATH: "/a%20b"}}, {"path": "/a%20b"}, True),
    ("the VPC is the service's account's", {"StringEquals": {VPC_OWNER: "111122223333"}}, {}, True),
    (
        "an empty header is there",
        {"Null": {HEADER + "x": "false"}},
        {"headers": {"x": ""}},
        True,
    ),
    (
        "empty values in the query are none",
        {"Null": {QUERY + "a": "true"}},
        {"query": "a=&a"},
        True,
    ),
    (
        "so the guard of ForAllValues: keeps them out",
        {"ForAllValues:StringEquals": {QUERY + "a": "1"}, "Null": {QUERY + "a": "false"}},
        {"query": "a="},
        False,
    ),
    (
        "a variable without a value comes before a missing key",
        {"StringNotEquals": {"aws:ResourceTag/owner": "${aws:PrincipalTag/missing}"}},
        {},
        False,
    ),
    (
        "also in a set",
        {"ForAllValues:StringNotEquals": {QUERY + "a": "${aws:PrincipalTag/missing}"}},
        {},
        False,
    ),
    (
        "also where the key is empty, and IfExists",
        {"ForAllValues:StringNotEqualsIfExists": {HEADER + "x": "${aws:PrincipalTag/missing}"}},
        {"headers": {"x": ""}},
        False,
    ),
    (
        "but IfExists comes first",
        {"StringNotEqualsIfExists": {"aws:ResourceTag/owner": "${aws:PrincipalTag/missing}"}},
        {},
        True,
    ),
    (
        "a range may be written with any of its addresses",
        {"IpAddress": {"aws:SourceIp": "203.0.113.99/24"}},
        {},
        True,
    ),
    (
        "what is given as context comes first",
        {"StringEquals": {"aws:principaltype": "FederatedUser"}},
        {"context": {"aws:PrincipalType": "FederatedUser"}},
        True,
    ),
    (
        "a connection has no path, no header and no query",
        {"Null": {PATH: "true", HEADER + "x": "true", QUERY + "a": "true"}},
        {"action": "vpc-lattice-svcs:Connect", "headers": {"x": "a"}, "query": "a=b"},
        True,
    ),
]


@pytest.mark.parametrize(("remark", "condition", "changes", "holds"), INFERRED)
def test_as_inferred(remark, condition, changes, holds):
    decision = evaluate(policy(statement(Condition=condition)), request(**changes))
    assert decision.allowed is holds, f"{remark}\n{decision}"


def test_a_request_now():
    soon = {"DateGreaterThan": {"aws:CurrentTime": "2026-01-01"}}
    asked = PolicyRequest(caller=ANONYMOUS)
    assert evaluate(policy(statement(Condition=soon)), asked).allowed


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"path": "/parking?lot=1"}, "have no query"),
        ({"path": "parking"}, "must begin with '/'"),
        ({"service_arn": "arn:aws:vpc-lattice:us-west-2:1:service/svc-1/a"}, "without a path"),
        ({"service_arn": "svc-1"}, "not the ARN of a service"),
        ({"time": datetime(2026, 1, 1)}, "must have a zone"),  # noqa: DTZ001 - that is it
        ({"time": 1e20}, "not a time in seconds"),
        ({"context": {"aws:MultiFactorAuthPresent": True}}, "must be strings"),
        ({"context": {"aws:TagKeys": ["a", 1]}}, "'aws:TagKeys' in context must be strings"),
    ],
)
def test_requests_that_cannot_be(changes, problem):
    with pytest.raises(ValueError, match=problem):
        request(**changes)


def test_a_decision_says_what_decided():
    decided = evaluate(
        policy(statement(Resource="*/rates"), statement(Sid="all"), statement()), request()
    )
    assert (decided.index, decided.sid, decided.allowed) == (1, "all", True)
    assert str(decided) == 'Allowed by Statement[1] "all" (Allow).'
    refused = evaluate(
        policy(statement(), statement("Deny", Sid="no"), statement("Deny")), request()
    )
    assert (refused.index, refused.sid, refused.allowed) == (1, "no", False)
    assert str(refused).splitlines() == [
        'Denied explicitly by Statement[1] "no" (Deny).',
        "  Statement[0] (Allow) applies, too.",
        "  Statement[2] (Deny) applies, too.",
    ]


def test_a_decision_says_why_not():
    only = statement(Principal={"AWS": "444455556666"}, Resource="*/rates")
    first = evaluate(policy(only), request())
    assert str(first).splitlines()[1] == (
        "  Statement[0] (Allow) does not apply: Principal: "
        "arn:aws:sts::111122223333:assumed-role/orders-frontend/task-1 "
        "is not among '444455556666'"
    )
    second = evaluate(
        policy(statement(Condition={"StringEquals": {PATH: ["/a", "/b"]}})), request()
    )
    assert str(second.mismatches[0]) == (
        f"Condition.StringEquals: {PATH} is '/parking', compared with '/a', '/b'"
    )
