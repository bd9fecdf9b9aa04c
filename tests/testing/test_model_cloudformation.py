"""Local Lattices from CloudFormation templates."""

import json
import textwrap
import warnings
from pathlib import Path

import pytest
import yaml
from applications import blue, green
from asgi_driver import Exchange, signed_by
from local_oracles import HOST, NOW

from lattice_client import ConfigurationError
from lattice_client.testing import LambdaTarget, TemplateWarning, load
from lattice_client.testing.describe import describe
from lattice_client.testing.rules import Forward
from lattice_client.testing.yaml_reader import _Loader

SHOP = Path(__file__).parent / "templates" / "shop.yaml"
TARGETS = {
    "OrdersStable": blue,
    "10.0.0.7": green,
    "HooksFunction": "lambda:applications:handler",
}
VPC = {"VpcId": "vpc-0123456789abcdef0"}


@pytest.fixture
def shop():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return load(SHOP, targets=TARGETS, parameters=VPC, clock=lambda: NOW)


def call(lattice, caller, *args, scheme="https", **kwargs):
    exchange = Exchange(lattice, signed_by(caller, *args, **kwargs), scheme=scheme).run()
    return exchange.status, exchange.text


def test_a_template_in_words(shop):
    words = "\n".join(describe(shop))
    assert shop.network.name == "shop-test"
    assert shop.network.auth_type == "AWS_IAM"
    orders = shop.service("orders")
    assert orders.domain == HOST
    assert [repr(listener) for listener in orders.listeners] == [
        "<Listener HTTPS:443>",
        "<Listener HTTP:80>",
    ]
    assert (
        "10: POST /hooks… (in this case) where x-tenant contains 'beta': "
        "orders-hooks (<Target <LambdaTarget handler>>)" in words
    )
    assert (
        "otherwise: 90 to orders-stable (<Target blue>), 10 to orders-canary (<Target green>)"
        in words
    )
    assert "otherwise: 404" in words
    assert "/admin" not in words
    assert list(shop.callers) == ["orders-frontend-test"]


def test_a_template_works(shop):
    frontend = shop.caller("orders-frontend-test")
    assert frontend.identity.role == "shop/orders-frontend-test"
    assert {call(shop, frontend)[1] for _ in range(100)} == {"blue", "green"}
    beta = [("x-tenant", "beta-1")]
    assert call(shop, frontend, "POST", "/hooks/1", beta) == (200, "function POST")
    assert call(shop, frontend, scheme="http")[0] == 404
    partner = shop.add_caller("partner", account="333344445555")
    assert call(shop, partner, "GET", "/public/1")[0] == 200
    status, text = call(shop, partner, "GET", "/private/1")
    assert status == 403
    assert "no service-based policy allows" in text


def test_parameters_decide():
    lattice = load(
        SHOP,
        targets={"orders-stable": blue, "OrdersCanary": green, "OrdersHooks": blue},
        parameters=VPC | {"Stage": "production", "DomainName": "example.org"},
    )
    orders = lattice.service("orders")
    assert lattice.network.name == "shop-production"
    assert orders.domain == "orders.example.org"
    rules = {rule.priority: rule for rule in orders.listeners[0].rules}
    assert set(rules) == {5, 10, None}
    assert isinstance(rules[None].action, Forward)
    assert [group.name for group, _ in rules[None].action.weights] == ["orders-stable"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "Parameters.VpcId: the parameter 'VpcId' has no value"),
        (VPC | {"Stage": "dev"}, "Stage: the parameter 'Stage' is one of test, production, not"),
        (VPC | {"Colour": "red"}, "shop.yaml: there is no parameter 'Colour'; there are: Stage"),
    ],
)
def test_parameters_are_checked(parameters, words):
    with pytest.raises(ConfigurationError) as caught:
        load(SHOP, targets=TARGETS, parameters=parameters)
    assert words in str(caught.value)


def test_a_target_for_nobody_is_an_error():
    with pytest.raises(ConfigurationError, match="mapped to 'Orders', which is no target group"):
        load(SHOP, targets=TARGETS | {"Orders": blue}, parameters=VPC)


def test_a_target_group_that_nothing_stands_for_echoes():
    with pytest.warns(TemplateWarning) as noted:
        lattice = load(SHOP, targets={"OrdersStable": blue, "10.0.0.7": green}, parameters=VPC)
    assert [str(note.message) for note in noted] == [
        (
            "shop.yaml: Resources.OrdersHooks: nothing stands for this target group, so an echo "
            "does; map 'OrdersHooks' to a target"
        )
    ]
    assert lattice.target_group("orders-hooks").targets


def test_json_is_the_same(tmp_path, shop):
    """The long forms, as tools write them."""
    path = tmp_path / "shop.template.json"
    path.write_text(json.dumps(yaml.load(SHOP.read_text(), _Loader)))
    same = load(path, targets=TARGETS, parameters=VPC)
    assert describe(same) == describe(shop)


def test_a_document_says_what_a_template_leaves_open(tmp_path, shop):
    (tmp_path / "shop.yaml").write_text(SHOP.read_text())
    (tmp_path / "local.toml").write_text(
        """
        template = "shop.yaml"
        region = "us-west-2"
        stack = "mine"
        [parameters]
        VpcId = "vpc-0123456789abcdef0"
        CanaryWeight = 25
        [targets]
        OrdersStable = "applications:blue"
        "10.0.0.7" = "applications:green"
        HooksFunction = { lambda = "applications:handler" }
        [callers.batch]
        account = "222233334444"
        """
    )
    lattice = load(tmp_path / "local.toml", parameters={"CanaryWeight": "10"})
    assert describe(lattice) == describe(shop)
    assert list(lattice.callers) == ["orders-frontend-test", "batch"]
    weighted = load(tmp_path / "local.toml")
    assert ", 25 to orders-canary" in "\n".join(describe(weighted))


# Small templates


def from_text(tmp_path, text, **arguments):
    """A local Lattice of a template's resources, and what was noted."""
    path = tmp_path / "t.yaml"
    path.write_text("Resources:\n" + textwrap.indent(textwrap.dedent(text), "  "))
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        lattice = load(path, **arguments)
    return lattice, [str(note.message).removeprefix("t.yaml: Resources.") for note in noted]


SERVICE = """
    Orders: {Type: AWS::VpcLattice::Service}
    Listener:
      Type: AWS::VpcLattice::Listener
      Properties:
        ServiceIdentifier: !Ref Orders
        Protocol: HTTP
        DefaultAction: {FixedResponse: {StatusCode: 404}}
"""


def test_without_a_network_services_are_in_the_default_one(tmp_path):
    lattice, notes = from_text(tmp_path, SERVICE)
    assert notes == []
    assert lattice.network.services == (lattice.service("orders"),)
    assert lattice.service("orders").auth.auth_type == "NONE"


def test_somebody_elses_network_is_taken_for_an_open_one(tmp_path):
    lattice, notes = from_text(
        tmp_path,
        SERVICE
        + """
    Association:
      Type: AWS::VpcLattice::ServiceNetworkServiceAssociation
      Properties:
        ServiceIdentifier: !Ref Orders
        ServiceNetworkIdentifier: sn-0123456789abcdef0
""",
    )
    assert notes == [
        (
            "Association.Properties.ServiceNetworkIdentifier: 'sn-0123456789abcdef0' is no service "
            "network of this template; it is taken for one without an auth policy"
        )
    ]
    assert lattice.network.services == (lattice.service("orders"),)


def test_what_is_not_understood_is_named(tmp_path):
    _, notes = from_text(
        tmp_path,
        """
    Gateway: {Type: AWS::VpcLattice::ResourceGateway}
    Orders:
      Type: AWS::VpcLattice::Service
      Properties: {AuthType: AWS_IAM, Colour: red}
    Network: {Type: AWS::VpcLattice::ServiceNetwork}
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {Type: LAMBDA, Config: {LambdaEventStructureVersion: V1}}
    Passthrough:
      Type: AWS::VpcLattice::Listener
      Properties: {ServiceIdentifier: !Ref Orders, Protocol: TLS_PASSTHROUGH}
    Rule:
      Type: AWS::VpcLattice::Rule
      Properties: {ListenerIdentifier: !Ref Passthrough, Priority: 1}
""",
    )
    assert notes == [
        "Gateway: AWS::VpcLattice::ResourceGateway is not understood",
        "Orders.Properties.Colour: this property is not understood",
        "Group.Properties.Config.LambdaEventStructureVersion: functions get events of version 2",
        "Group: nothing stands for this target group, so an echo does; map 'Group' to a target",
        "Passthrough: no TLS is passed through: it is left out",
        "Orders: this service has no listener, so it cannot be reached",
        "Orders: this service is in no service network",
        "Orders: AWS_IAM without an auth policy lets nobody in",
    ]


BROKEN = [
    ("A: {}", "Resources.A: a resource needs a Type"),
    ("A: {Type: AWS::VpcLattice::Listener}", "A: the property 'ServiceIdentifier' is missing"),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Ref B}}",
        "A.Properties.Name.Ref: there is no parameter or resource 'B'",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !ImportValue x}}",
        "Name.Fn::ImportValue: the local Lattice does not know Fn::ImportValue: give its value",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Cidr [a, 1, 2]}}",
        "the local Lattice does not know Fn::Cidr",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !GetAtt A.Arn}}",
        "this resource depends on itself",
    ),
    (
        (
            "{A: {Type: AWS::S3::Bucket},"
            " B: {Type: AWS::VpcLattice::Service, Properties: {Name: !GetAtt A.Arn}}}"
        ),
        "the local Lattice does not know 'Arn' of AWS::S3::Bucket 'A'",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Join [a]}}",
        "Fn::Join: this function has 2 arguments, not 1",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !If [C, a, b]}}",
        "there is no condition 'C'; there are: none",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Select [2, [a]]}}",
        "Fn::Select needs an index, and a list that is long enough",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !FindInMap [a, b, c]}}",
        "the template has no Mappings",
    ),
    (
        (
            "A: {Type: AWS::VpcLattice::AuthPolicy,"
            " Properties: {ResourceIdentifier: svc-0123, Policy: {}}}"
        ),
        "ResourceIdentifier: 'svc-0123' is no service or service network of this template",
    ),
    (
        (
            "{A: {Type: AWS::VpcLattice::Service}, B: {Type: AWS::VpcLattice::AuthPolicy,"
            " Properties: {ResourceIdentifier: !Ref A, Policy: {Statement: []}}}}"
        ),
        "B.Properties.Policy: ",
    ),
    (
        (
            "{A: {Type: AWS::VpcLattice::Service}, L: {Type: AWS::VpcLattice::Listener, Properties:"
            " {ServiceIdentifier: !Ref A, Protocol: HTTP, DefaultAction: {Redirect: {}}}}}"
        ),
        "L.Properties.DefaultAction: 'Redirect' is not known here",
    ),
    (
        (
            "{A: {Type: AWS::VpcLattice::Service}, L: {Type: AWS::VpcLattice::Listener, Properties:"
            " {ServiceIdentifier: !Ref A, Protocol: HTTP,"
            " DefaultAction: {FixedResponse: {StatusCode: 403}}}}}"
        ),
        "L.Properties.DefaultAction: a fixed response is 404 or 500, not 403",
    ),
]


@pytest.mark.parametrize(("text", "words"), BROKEN)
def test_errors_name_the_place(tmp_path, text, words):
    with pytest.raises(ConfigurationError) as caught:
        from_text(tmp_path, text)
    assert str(caught.value).startswith("t.yaml: ")
    assert words in str(caught.value)


# CloudFormation's functions


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("!Sub 'a-${AWS::Region}'", "a-us-west-2"),
        ("!Sub ['a-${X}-${!X}', {X: !Ref AWS::StackName}]", "a-local-${X}"),
        ("!Join ['-', [a, !Ref AWS::AccountId]]", "a-111122223333"),
        ("!Select [1, !Split ['/', 'first/second']]", "second"),
        ("!Select ['0', [first, second]]", "first"),
        ("!Sub '${Role}'", "Role"),
        ("!GetAtt [Role, Arn]", "arn:aws:iam::111122223333:role/Role"),
        ("{'Fn::GetAtt': [Role, Arn]}", "arn:aws:iam::111122223333:role/Role"),
        ("!Sub '${AWS::URLSuffix} ${AWS::Partition}'", "amazonaws.com aws"),
        ("!ToJsonString {a: !Ref AWS::Region}", '{"a": "us-west-2"}'),
    ],
)
def test_functions(tmp_path, expression, name):
    """Each as a header's value, which may be nearly any text."""
    lattice, _ = from_text(
        tmp_path,
        SERVICE
        + f"""
    Role: {{Type: AWS::IAM::Role}}
    Rule:
      Type: AWS::VpcLattice::Rule
      Properties:
        ListenerIdentifier: !Ref Listener
        Priority: "3"
        Match: {{HttpMatch: {{HeaderMatches: [{{Name: x, Match: {{Exact: {expression}}}}}]}}}}
        Action: {{FixedResponse: {{StatusCode: "500"}}}}
""",
    )
    (rule, _default) = lattice.service("orders").rules
    assert rule.match.headers[0].exact == name
    assert (rule.priority, rule.action.status) == (3, 500)


def test_a_policy_may_name_a_role_of_the_template(tmp_path):
    lattice, notes = from_text(
        tmp_path,
        SERVICE
        + """
    Open:
      Type: AWS::VpcLattice::Service
      Properties: {Name: guarded, AuthType: AWS_IAM}
    OpenListener:
      Type: AWS::VpcLattice::Listener
      Properties:
        ServiceIdentifier: !GetAtt Open.Arn
        Protocol: HTTP
        DefaultAction: {FixedResponse: {StatusCode: 404}}
    Policy:
      Type: AWS::VpcLattice::AuthPolicy
      Properties:
        ResourceIdentifier: !Ref Open
        Policy: !Sub |
          {"Statement": {"Effect": "Allow", "Principal": {"AWS": "${Role.Arn}"},
            "Action": "*", "Resource": "*"}}
    Role: {Type: AWS::IAM::Role, Properties: {Path: /team/}}
    Stranger: {Type: AWS::IAM::Role}
""",
        clock=lambda: NOW,
    )
    assert notes == []
    host = [("host", lattice.service("guarded").managed_name)]
    statuses = {
        name: Exchange(lattice, signed_by(caller, headers=host)).run().status
        for name, caller in lattice.callers.items()
    }
    assert statuses == {"Role": 404, "Stranger": 403}


def test_a_function_of_a_template_may_be_one_target_among_others(tmp_path):
    lattice, notes = from_text(
        tmp_path,
        """
    Service: {Type: AWS::VpcLattice::Service}
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {Type: LAMBDA, Targets: [{Id: !Ref Function}, {Id: !GetAtt [Function, Arn]}]}
    Function: {Type: AWS::Lambda::Function}
""",
        targets={"Function": LambdaTarget(print)},
    )
    assert len(lattice.target_group("group").targets) == 2
    assert len(notes) == 1
