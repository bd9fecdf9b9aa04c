"""Properties of all policies and requests."""

import copy
import json
import random
import re
from contextlib import suppress
from fnmatch import translate

from hypothesis import given, settings
from hypothesis import strategies as st

from lattice_client.testing import AuthPolicy, Effect, PolicyError, evaluate, lint
from lattice_client.testing.wildcards import wildcard_match
from support.policy_cases import (
    ACCOUNT,
    ANONYMOUS,
    BOB,
    FRONTEND,
    FRONTEND_ROLE,
    ROOT,
    SERVICE,
    request,
)

PATHS = ["/", "/parking", "/parking/1", "/rates", "/p*", "/a:b"]
VALUES = ["GET", "POST", "a", "*", "/p*", "?", "1", "2.5", "true", "${aws:PrincipalTag/Path}"]
METHOD = "vpc-lattice-svcs:RequestMethod"
KEYS = [
    METHOD,
    "vpc-lattice-svcs:RequestPath",
    "vpc-lattice-svcs:RequestHeader/x-a",
    "vpc-lattice-svcs:RequestQueryString/q",
    "aws:PrincipalTag/Team",
    "aws:PrincipalType",
    "aws:username",
    "AWS:principalOrgId",
]

strings = st.sampled_from(VALUES)
#: Operators that accept any text, by the name of their negation.
OPPOSITES = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
}
TYPED = {
    "NumericEquals": ("NumericNotEquals", ["1", "2.5", "-3"]),
    "DateEquals": ("DateNotEquals", ["2026-11-21T09:30:00Z", "2026", "0"]),
    "IpAddress": ("NotIpAddress", ["203.0.113.0/24", "::1", "10.0.0.1"]),
    "ArnEquals": ("ArnNotEquals", [FRONTEND_ROLE, "arn:*:*:*:*:*"]),
    "ArnLike": ("ArnNotLike", [FRONTEND_ROLE, "arn:aws:iam::*:user/*"]),
}


@st.composite
def conditions(draw):
    operator = draw(st.sampled_from([*OPPOSITES, *OPPOSITES.values()]))
    prefix = draw(st.sampled_from(["", "", "ForAnyValue:", "ForAllValues:"]))
    suffix = draw(st.sampled_from(["", "", "IfExists"]))
    values = draw(st.lists(strings, min_size=1, max_size=3))
    return {f"{prefix}{operator}{suffix}": {draw(st.sampled_from(KEYS)): values}}


def either(draw, name, values):
    return {draw(st.sampled_from([name, name, f"Not{name}"])): draw(values)}


principals = st.one_of(
    st.just("*"),
    st.lists(
        st.sampled_from([ACCOUNT, FRONTEND.arn, FRONTEND_ROLE, BOB.arn, BOB.account]),
        min_size=1,
        max_size=3,
    ).map(lambda names: {"AWS": names}),
)
actions = st.sampled_from(["*", "vpc-lattice-svcs:Invoke", "vpc-lattice-svcs:Connect"])
resources = st.lists(
    st.sampled_from(
        ["*", "*/rates", f"{SERVICE}/*", f"{SERVICE}/p*", f"{SERVICE}/${{aws:PrincipalTag/Path}}"]
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def statements(draw, effects=("Allow", "Deny")):
    content = {
        "Effect": draw(st.sampled_from(effects)),
        **either(draw, "Principal", principals),
        **either(draw, "Action", actions),
        **either(draw, "Resource", resources),
    }
    if draw(st.booleans()):
        content["Condition"] = draw(conditions())
    return content


@st.composite
def requests(draw):
    return request(
        method=draw(st.sampled_from(["GET", "POST"])),
        path=draw(st.sampled_from(PATHS)),
        caller=draw(st.sampled_from([FRONTEND, BOB, ROOT, ANONYMOUS])),
        headers=draw(st.sampled_from([{}, {"x-a": "a"}, {"x-a": ""}, {"x-a": "*"}])),
        query=draw(st.sampled_from(["", "q=a", "q=a&q=*", "q="])),
        source_ip=draw(st.sampled_from([None, "203.0.113.7", "::1"])),
    )


many = st.lists(statements(), max_size=4)


def effect(content, asked):
    return evaluate(
        AuthPolicy() if not content else {"Version": "2012-10-17", "Statement": content}, asked
    ).effect


def holds(condition, asked):
    everything = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    return effect([everything | {"Condition": condition}], asked) is Effect.ALLOW


fewer = settings(max_examples=25)


@fewer
@given(many, statements(effects=["Deny"]), requests())
def test_another_deny_never_allows(content, deny, asked):
    before, after = effect(content, asked), effect([*content, deny], asked)
    assert after is before or after is Effect.EXPLICIT_DENY


@fewer
@given(many, statements(effects=["Allow"]), requests())
def test_another_allow_never_denies_and_lifts_no_deny(content, allow, asked):
    before, after = effect(content, asked), effect([*content, allow], asked)
    assert after is before or (before, after) == (Effect.IMPLICIT_DENY, Effect.ALLOW)


@fewer
@given(many, requests(), st.randoms(use_true_random=False))
def test_the_order_of_statements_never_matters(content, asked, chance: random.Random):
    shuffled = content[:]
    chance.shuffle(shuffled)
    assert effect(shuffled, asked) is effect(content, asked)


@fewer
@given(many, requests(), st.randoms(use_true_random=False))
def test_the_order_of_values_and_elements_never_matters(content, asked, chance: random.Random):
    shuffled = copy.deepcopy(content)
    for index, statement in enumerate(shuffled):
        for values in (statement.get("Resource"), statement.get("NotResource")):
            chance.shuffle(values or [])
        for keys in statement.get("Condition", {}).values():
            for values in keys.values():
                chance.shuffle(values)
        shuffled[index] = dict(chance.sample(list(statement.items()), len(statement)))
    assert effect(shuffled, asked) is effect(content, asked)


@fewer
@given(many, requests())
def test_a_policy_reads_the_same_from_text(content, asked):
    if content:
        document = {"Version": "2012-10-17", "Statement": content}
        assert AuthPolicy.from_document(json.dumps(document)) == AuthPolicy.from_document(document)
        assert lint(json.dumps(document)) == lint(document)


@fewer
@given(many, requests())
def test_a_condition_more_makes_a_statement_apply_no_oftener(content, asked):
    for statement in content:
        bare = {key: value for key, value in statement.items() if key != "Condition"}
        if effect([bare], asked) is Effect.IMPLICIT_DENY:
            assert effect([statement], asked) is Effect.IMPLICIT_DENY


@fewer
@given(
    st.sampled_from([*OPPOSITES, *OPPOSITES.values()]),
    st.sampled_from(["", "ForAnyValue:", "ForAllValues:"]),
    st.sampled_from(KEYS),
    st.lists(strings, min_size=1, max_size=3),
    requests(),
)
def test_if_exists_is_the_operator_or_a_missing_key(operator, prefix, key, values, asked):
    plain = holds({f"{prefix}{operator}": {key: values}}, asked)
    tolerant = holds({f"{prefix}{operator}IfExists": {key: values}}, asked)
    # Null differs: it treats several empty values as none.
    assert tolerant is (plain or asked.values(key) is None)


@fewer
@given(
    st.one_of(
        st.tuples(
            st.sampled_from(list(OPPOSITES.items())), st.lists(strings, min_size=1, max_size=3)
        ),
        st.sampled_from(list(TYPED.items())).flatmap(
            lambda typed: st.tuples(
                st.just((typed[0], typed[1][0])),
                st.lists(st.sampled_from(typed[1][1]), min_size=1, max_size=3),
            )
        ),
    ),
    st.sampled_from([*KEYS, "aws:SourceIp", "aws:PrincipalArn", "aws:CurrentTime"]),
    requests(),
)
def test_a_negated_operator_is_the_opposite(operators_and_values, key, asked):
    (operator, opposite), values = operators_and_values
    if asked.caller is not FRONTEND and any("${" in value for value in values):
        return  # Neither holds if a variable has no value.
    assert holds({operator: {key: values}}, asked) is not holds({opposite: {key: values}}, asked)


@fewer
@given(st.sampled_from(KEYS), requests())
def test_null_is_true_or_false(key, asked):
    assert holds({"Null": {key: "true"}}, asked) is not holds({"Null": {key: "false"}}, asked)
    assert holds({"Null": {key: ["true", "false"]}}, asked)


@fewer
@given(
    st.sampled_from(["StringEquals", "StringLike", "StringEqualsIgnoreCase"]),
    st.lists(strings, min_size=1, max_size=3),
    requests(),
)
def test_every_value_is_any_value_where_there_is_one(operator, values, asked):
    key = METHOD
    plain = holds({operator: {key: values}}, asked)
    for quantifier in ("ForAnyValue:", "ForAllValues:"):
        assert holds({quantifier + operator: {key: values}}, asked) is plain


@fewer
@given(st.text("ab*?.[\n", max_size=12), st.text("ab.[\n", max_size=12))
def test_wildcards_are_those_of_a_plain_translation(pattern, text):
    expected = re.match(translate(pattern.replace("[", "[[]")), text) is not None
    assert wildcard_match(pattern, text) is expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("aA*:$${}1", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Statement", "Effect", "Principal", "AWS", "Action", "Resource", "Condition", "a"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@fewer
@given(json_values)
def test_whatever_is_no_policy_is_refused_in_words(document):
    for content in (document, {"Statement": document}, json.dumps(document)):
        # Any other error fails the test.
        with suppress(PolicyError):
            assert AuthPolicy.from_document(content).statements


@fewer
@given(many)
def test_findings_name_a_place(content):
    if content:
        for finding in lint({"Version": "2012-10-17", "Statement": content}):
            assert finding.text
            assert finding.code in str(finding)
            index = re.match(r"Statement\[([0-9]+)\]\.", finding.place)
            assert finding.place == "" or int(index[1]) < len(content)
