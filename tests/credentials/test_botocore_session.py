"""The region that botocore's clients are made for."""

from __future__ import annotations

import pytest

from lattice_client.credentials.botocore_session import find_region, new_session

pytest.importorskip("botocore")

NEW, OLD = "AWS_REGION", "AWS_DEFAULT_REGION"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({NEW: "eu-west-1", OLD: "eu-west-2"}, "eu-west-1"),
        ({OLD: "eu-west-2"}, "eu-west-2"),
        ({NEW: "", OLD: "eu-west-2"}, "eu-west-2"),
        ({}, "eu-west-3"),
        ({NEW: ""}, "eu-west-3"),
        ({OLD: ""}, "eu-west-3"),
    ],
)
def test_the_newer_variable_then_the_older_then_the_profile(variables, region, aws, monkeypatch):
    (aws / "config").write_text("[default]\nregion = eu-west-3\n")
    for name in (NEW, OLD):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_region(new_session()) == region


def test_there_may_be_none(aws, monkeypatch):
    for name in (NEW, OLD):
        monkeypatch.delenv(name, raising=False)
    assert find_region(new_session()) is None
