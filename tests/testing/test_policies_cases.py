"""The table of what AWS's pages say, and what ``evaluate`` says to it."""

import json
from collections import Counter

import pytest
from policy_cases import CASES

from lattice_client.testing import AuthPolicy, Effect, evaluate


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
