"""``lattice-client policy``."""

from __future__ import annotations

import io
import json
import sys

import pytest

FRONTEND = {
    "Sid": "frontend",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/orders-frontend"},
    "Action": "vpc-lattice-svcs:Invoke",
    "Resource": "*",
    "Condition": {"StringEquals": {"vpc-lattice-svcs:RequestMethod": "GET"}},
}
NO_ADMIN = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "*",
    "Resource": "*/admin/*",
}


@pytest.fixture
def policy(tmp_path):
    def policy(*statements, name="policy.json"):
        path = tmp_path / name
        path.write_text(json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2))
        return path

    return policy


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--as", "orders-frontend"], 0, 'Allowed by Statement[0] "frontend" (Allow).'),
        (["--as", "arn:aws:iam::111122223333:role/orders-frontend"], 0, "Allowed by"),
        (["--as", "arn:aws:sts::111122223333:assumed-role/orders-frontend/x"], 0, "Allowed by"),
        (["--as", "orders-frontend", "--method", "POST"], 1, "RequestMethod is 'POST'"),
        (["--as", "orders-frontend", "--path", "/admin/x?y=z"], 1, "Denied explicitly by"),
        (["--as", "reports"], 1, "Denied: none of its statements applies"),
        (["--as", "anonymous"], 1, "an anonymous caller is not among"),
    ],
)
def test_check(run, policy, arguments, code, says):
    result = run("policy", "check", policy(FRONTEND, NO_ADMIN), *arguments)
    assert result.code == code
    assert says in result.text
    assert result.stderr == ""


def test_what_a_policy_may_ask_for(run, policy):
    asking = {
        **NO_ADMIN,
        "Effect": "Allow",
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "vpc-lattice-svcs:RequestHeader/x-stage": "test",
                "vpc-lattice-svcs:RequestQueryString/v": "2",
                "vpc-lattice-svcs:SourceVpc": "vpc-1",
                "aws:PrincipalOrgID": "o-1",
                "aws:PrincipalTag/team": "orders",
                "aws:ResourceTag/tier": "gold",
            },
            "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
        },
    }
    given = [
        *("--as", "reports", "--path", "/?v=2", "-H", "X-Stage: test", "--source-vpc", "vpc-1"),
        *("--org", "o-1", "--tag", "team=orders", "--context", "aws:ResourceTag/tier=gold"),
        *("--source-ip", "10.1.2.3"),
    ]
    path = policy(asking)
    assert run("policy", "check", path, *given).code == 0
    assert run("policy", "check", path, *given[:-1], "11.1.2.3").code == 1


def test_all_layers_have_to_allow(run, policy):
    service = policy(FRONTEND)
    network = policy(NO_ADMIN, {**NO_ADMIN, "Effect": "Allow", "Resource": "*"}, name="network")
    own = policy(
        {"Effect": "Allow", "Action": "vpc-lattice-svcs:Invoke", "Resource": "*/orders"},
        name="identity",
    )
    asked = [
        *("policy", "check", service, "--as", "orders-frontend"),
        *("--network-policy", network, "--identity-policy", own),
    ]
    allowed = run(*asked, "--path", "/orders")
    assert (allowed.code, allowed.text.splitlines()[-1]) == (0, "Allowed.")
    denied = run(*asked, "--path", "/carts")
    assert (denied.code, denied.text.splitlines()[-1]) == (1, "Denied.")
    assert "Service policy" in denied.text
    told = run(*asked, "--path", "/admin/x", "--json").json
    assert told["allowed"] is False
    assert [layer["effect"] for layer in told["layers"]] == [
        "explicit deny",
        "allow",
        "implicit deny",
    ]


def test_lint(run, policy):
    assert run("policy", "lint", policy(FRONTEND)).code == 0
    everybody = policy({**NO_ADMIN, "Effect": "Allow"}, name="everybody.json")
    result = run("policy", "lint", policy(FRONTEND), everybody)
    assert result.code == 1
    assert f"{everybody} Statement[0]" in result.text
    told = run("policy", "lint", everybody, "--json").json
    assert told
    assert {"file", "code", "place", "text"} == told[0].keys()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"Statement": []}', "Statement"),
        ('{"Statement": {"Effect": "Maybe"}}', "Effect"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_document_that_aws_would_refuse(run, monkeypatch, text, says):
    content = text if isinstance(text, bytes) else text.encode()
    for arguments, code in ((["check", "-", "--as", "x"], 2), (["lint", "-"], 1)):
        stdin = io.TextIOWrapper(io.BytesIO(content))
        monkeypatch.setattr(sys, "stdin", stdin)
        result = run("policy", *arguments)
        assert result.code in (code, 26)
        assert says in result.text + result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["/no/such/file", "--as", "x"], 26, "/no/such/file cannot be read"),
        (["FILE"], 2, "--as"),
        (["FILE", "--as", "arn:aws:s3:::x"], 2, "is not the ARN of a role"),
        (["FILE", "--as", "x", "--path", "orders"], 2, "path must begin with '/'"),
        (["FILE", "--as", "x", "--service", "orders"], 2, "not the ARN of a service"),
        (["FILE", "--as", "x", "--tag", "a"], 2, "KEY=VALUE"),
        (["FILE", "--as", "x", "--source-ip", "10.0"], 2, "'10.0' does not appear to be an IP"),
        (["FILE", "--as", "x", "--port", "65536"], 2, "65536 is not in the range"),
        (["FILE", "--as", ""], 2, "no caller is named"),
    ],
)
def test_what_goes_wrong(run, policy, arguments, code, says):
    path = str(policy(FRONTEND))
    result = run("policy", "check", *(path if one == "FILE" else one for one in arguments))
    assert result.code == code
    assert says in result.stderr
