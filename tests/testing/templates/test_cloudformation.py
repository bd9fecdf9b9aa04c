"""Local Lattices from CloudFormation templates."""

import json
import textwrap
import warnings
from pathlib import Path

import pytest
import yaml

from lattice_client import ConfigurationError
from lattice_client.testing import LambdaTarget, PolicyRequest, TemplateWarning, evaluate, load
from lattice_client.testing.model.rules import Forward
from lattice_client.testing.templates.yaml_reader import _Loader
from support.applications import blue, green
from support.asgi_driver import Exchange, signed_by
from support.describe import describe
from support.local_oracles import HOST, NOW, wire

SHOP = Path(__file__).parent / "shop.yaml"
TARGETS = {
    "OrdersStable": blue,
    "10.0.0.7": green,
    "HooksFunction": "lambda:support.applications:handler",
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
        "10: POST /hooks… (case-sensitive) where x-tenant contains 'beta': "
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
        (
            VPC | {"Stage": "dev"},
            "Stage: the parameter 'Stage' must be one of test, production, not",
        ),
        (VPC | {"Colour": "red"}, "shop.yaml: there is no parameter 'Colour'; there are: Stage"),
    ],
)
def test_parameters_are_checked(parameters, words):
    with pytest.raises(ConfigurationError) as caught:
        load(SHOP, targets=TARGETS, parameters=parameters)
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["CommaDelimitedList", "List<String>"])
def test_each_item_of_a_list_is_checked(tmp_path, kind):
    path = tmp_path / "t.yaml"
    path.write_text(f"""
Parameters:
  Stages: {{Type: "{kind}", Default: "dev, prod", AllowedValues: [dev, test, prod]}}
Resources:
  Net: {{Type: AWS::VpcLattice::ServiceNetwork, Properties: {{Name: !Select [1, !Ref Stages]}}}}
""")
    assert load(path).network.name == "prod"
    with pytest.raises(ConfigurationError) as caught:
        load(path, parameters={"Stages": "dev,live"})
    assert str(caught.value) == (
        "t.yaml: Parameters.Stages: each item of the parameter 'Stages' must be one of dev, test, "
        "prod, not 'live'"
    )


def test_a_target_without_a_group_is_an_error():
    with pytest.raises(
        ConfigurationError,
        match="mapped to 'Orders', which is neither the logical id or name of a target group",
    ):
        load(SHOP, targets=TARGETS | {"Orders": blue}, parameters=VPC)


def test_a_target_group_that_nothing_stands_for_echoes():
    with pytest.warns(TemplateWarning) as noted:
        lattice = load(SHOP, targets={"OrdersStable": blue, "10.0.0.7": green}, parameters=VPC)
    assert [str(note.message) for note in noted] == [
        (
            "shop.yaml: Resources.OrdersHooks: this target group has no target, so it gets an "
            "echo; map 'OrdersHooks' to a target"
        )
    ]
    assert lattice.target_group("orders-hooks").targets


def test_json_is_the_same(tmp_path, shop):
    """The long forms, which tools write."""
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
        OrdersStable = "support.applications:blue"
        "10.0.0.7" = "support.applications:green"
        HooksFunction = { lambda = "support.applications:handler" }
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


def from_text(tmp_path, text, *, after="", **arguments):
    """A local Lattice from a template's resources, and the notes."""
    path = tmp_path / "t.yaml"
    path.write_text("Resources:\n" + textwrap.indent(textwrap.dedent(text), "  ") + after)
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


def test_long_logical_ids_make_different_names(tmp_path):
    """The CDK's templates are like this."""
    path = "PlatformSharedOrdersApplication"
    kinds = {"Network": "ServiceNetwork", "Service": "Service", "Group": "TargetGroup"}
    ids = [f"{path}{end}" for end in ("Public1A2B3C4D", "Private5E6F7A8B")]
    lattice, _ = from_text(
        tmp_path,
        "".join(
            f"\n{kind}{each}: {{Type: AWS::VpcLattice::{kinds[kind]}}}"
            for each in ids
            for kind in kinds
        ),
    )
    begin = "platform-shared-orders-application"
    assert [service.name for service in lattice.services] == [
        "service-platform-shared-orders-cc42a778",
        "service-platform-shared-orders-52c8f45a",
    ]
    assert list(lattice.networks) == [
        f"network-{begin}-public1-a2-b3-c4-d",
        f"network-{begin}-private5-e6-f7-a8-b",
    ]
    assert list(lattice.target_groups) == [
        f"group-{begin}-public1-a2-b3-c4-d",
        f"group-{begin}-private5-e6-f7-a8-b",
    ]


def test_names_are_made_that_do_not_begin_as_ids(tmp_path):
    lattice, _ = from_text(
        tmp_path,
        """
    SnShop: {Type: AWS::VpcLattice::ServiceNetwork}
    SvcOrders: {Type: AWS::VpcLattice::Service}
    TgBlue: {Type: AWS::VpcLattice::TargetGroup}
""",
    )
    assert list(lattice.networks) == ["local-sn-shop"]
    assert [service.name for service in lattice.services] == ["local-svc-orders"]
    assert list(lattice.target_groups) == ["local-tg-blue"]


def test_long_names_of_exports_make_different_networks(tmp_path):
    export = "platform-shared-networking-stack-for-production-orders-network-"
    other = ASSOCIATION.replace("Association:", "Other:") % f"!ImportValue {export}b"
    lattice, _ = from_text(tmp_path, SERVICE + ASSOCIATION % f"!ImportValue {export}a" + other)
    assert len(lattice.networks) == 2


def test_two_networks_of_one_name_are_an_error(tmp_path):
    """They would be one network, with the second's auth type."""
    networks = """
    A: {Type: AWS::VpcLattice::ServiceNetwork, Properties: {Name: net, AuthType: AWS_IAM}}
    B: {Type: AWS::VpcLattice::ServiceNetwork, Properties: {Name: net, AuthType: NONE}}
"""
    with pytest.raises(ConfigurationError) as caught:
        from_text(tmp_path, networks)
    assert str(caught.value) == "t.yaml: Resources.B: the service network 'net' already exists"


def test_a_foreign_network_is_treated_as_an_open_one(tmp_path):
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
            "Association.Properties.ServiceNetworkIdentifier: 'sn-0123456789abcdef0' is not a "
            "service network of this template; it is treated as one without an auth policy"
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
        "Group.Properties.Config.LambdaEventStructureVersion: functions get version 2 events",
        "Group: this target group has no target, so it gets an echo; map 'Group' to a target",
        "Passthrough: TLS passthrough is not supported: left out",
        "Orders: this service has no listener, so it cannot be reached",
        "Orders: this service is in no service network",
        "Orders: AWS_IAM without an auth policy denies every request",
    ]


def test_attributes_that_resources_do_not_have_are_named(tmp_path):
    orders = "{Type: AWS::VpcLattice::Service, Conditon: X, DependsOn: Listener, Foo: bar}"
    _, notes = from_text(tmp_path, SERVICE.replace("{Type: AWS::VpcLattice::Service}", orders))
    assert notes == [
        "Orders.Conditon: this attribute of a resource is not understood",
        "Orders.Foo: this attribute of a resource is not understood",
    ]


@pytest.mark.parametrize(
    ("transform", "place"),
    [
        ("AWS::LanguageExtensions", "Transform"),
        ("[AWS::Serverless-2016-10-31, AWS::LanguageExtensions]", "Transform[1]"),
        ("{Name: AWS::Include, Parameters: {Location: s3://a/b}}", "Transform"),
    ],
)
def test_transforms_are_named(tmp_path, transform, place):
    _, notes = from_text(tmp_path, SERVICE, after=f"\nTransform: {transform}")
    assert notes == [f"t.yaml: {place}: this transform is not understood, and has no effect"]


def test_that_of_serverless_functions_changes_nothing(tmp_path):
    _, notes = from_text(tmp_path, SERVICE, after="\nTransform: AWS::Serverless-2016-10-31")
    assert notes == []


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
            "{A: {Type: AWS::VpcLattice::ServiceNetwork, Properties: {Name: !Sub 'of-${B.Name}'}},"
            " B: {Type: AWS::VpcLattice::Service}}"
        ),
        "A.Properties.Name.Fn::Sub: the first service network's name cannot depend on 'B'",
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
        "Fn::Join: this function takes 2 arguments, not 1",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !If [C, a, b]}}",
        "there is no condition 'C'; there are: none",
    ),
    (
        "A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Select [2, [a]]}}",
        "Fn::Select needs an index and a list that is long enough",
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
        "ResourceIdentifier: 'svc-0123' is not a service or service network of this template",
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


# Values that CloudFormation converts, and others

RULE = """
    Group: {Type: AWS::VpcLattice::TargetGroup}
    Rule:
      Type: AWS::VpcLattice::Rule
      Properties:
        ListenerIdentifier: !Ref Listener
        Priority: 3
        Match: {HttpMatch: {Method: GET}}
        Action: {FixedResponse: {StatusCode: 404}}
"""


def with_property(name, value):
    """A service, a listener and a rule, with another value for a property of one of them."""
    before = {
        "Priority": "Priority: 3",
        "Match": "Match: {HttpMatch: {Method: GET}}",
        "Action": "Action: {FixedResponse: {StatusCode: 404}}",
        "Port": "Protocol: HTTP",
    }[name]
    line = f"{before}\n        {name}: {value}" if name == "Port" else f"{name}: {value}"
    return (SERVICE + RULE).replace(before, line)


@pytest.mark.parametrize(
    ("value", "text"), [("2", "2"), ("true", "true"), ("1.5", "1.5"), ("'true'", "true")]
)
def test_scalars_become_text(tmp_path, value, text):
    header = f"{{Name: {value}, CaseSensitive: 'True', Match: {{Exact: {value}}}}}"
    match = f"{{HttpMatch: {{HeaderMatches: [{header}]}}}}"
    lattice, _ = from_text(tmp_path, with_property("Match", match))
    (rule, _default) = lattice.service("orders").rules
    assert rule.match.headers[0].name == rule.match.headers[0].exact == text
    assert rule.match.headers[0].case_sensitive is True


def test_scalars_become_text_in_functions_and_names(tmp_path):
    name = "!Join ['-', [!Sub ['a${X}', {X: true}], !Ref Flag, false]]"
    lattice, _ = from_text(
        tmp_path,
        f"""
    Named: {{Type: AWS::VpcLattice::Service, Properties: {{Name: {name}}}}}
    Tagged:
      Type: AWS::VpcLattice::Service
      Properties: {{Name: 12345, Tags: [{{Key: 1, Value: true}}]}}
""",
        after="Parameters: {Flag: {Type: String, Default: true, AllowedValues: [true, false]}}",
    )
    assert lattice.service("atrue-true-false")
    assert lattice.service("12345").tags == {"1": "true"}


def test_a_parameter_of_a_document_may_be_true(tmp_path):
    (tmp_path / "t.yaml").write_text(
        """
        Parameters: {Flag: {Type: String, AllowedValues: ["true", "false"]}}
        Resources: {A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Ref Flag}}}
        """
    )
    (tmp_path / "local.toml").write_text("template = 't.yaml'\nparameters.Flag = true")
    with pytest.warns(TemplateWarning):
        assert load(tmp_path / "local.toml").service("true")


@pytest.mark.parametrize("value", ["80", "'80'", "80.0"])
def test_numbers_may_be_text(tmp_path, value):
    lattice, _ = from_text(tmp_path, with_property("Port", value))
    assert lattice.service("orders").listeners[0].port == 80


HEADER = "{HttpMatch: {HeaderMatches: [%s]}}"
WEIGHTED = "{Forward: {TargetGroups: [{TargetGroupIdentifier: !Ref Group, Weight: %s}]}}"
ODD = [
    ("Match", HEADER % "{Match: {Exact: a}}", "HeaderMatches[0]: the property 'Name' is missing"),
    ("Match", HEADER % "{Name: a}", "HeaderMatches[0]: the property 'Match' is missing"),
    ("Match", HEADER % "{Name: a, Match: {}}", "HeaderMatches[0]: give one of exact, prefix"),
    ("Match", HEADER % "{Name: [a], Match: {Exact: a}}", "[0].Name: this must be text, not ['a']"),
    (
        "Match",
        HEADER % "{Name: a, Match: {Exact: a}, CaseSensitive: maybe}",
        "HeaderMatches[0].CaseSensitive: this must be true or false, not 'maybe'",
    ),
    ("Match", "{}", "Rule.Properties.Match: the property 'HttpMatch' is missing"),
    ("Match", "{HttpMatch: {Method: [GET]}}", "Method: this must be text, not ['GET']"),
    ("Match", "{HttpMatch: {PathMatch: {}}}", "PathMatch: the property 'Match' is missing"),
    (
        "Match",
        "{HttpMatch: {Method: GET, PathMatch: {Match: {}}}}",
        "PathMatch.Match: give either Exact or Prefix",
    ),
    ("Match", "{HttpMatch: {PathMatch: {Match: {Prefix: 5}}}}", "'5' is not a path for a rule"),
    ("Priority", "[1]", "Rule.Properties.Priority: this must be a whole number, not [1]"),
    ("Priority", "ten", "Rule.Properties.Priority: this must be a whole number, not 'ten'"),
    ("Priority", "1.5", "Rule.Properties.Priority: this must be a whole number, not 1.5"),
    ("Priority", "'1.5'", "Rule.Properties.Priority: this must be a whole number, not '1.5'"),
    ("Priority", f"'{'9' * 5000}'", "Priority: this must be a whole number, not '999"),
    ("Port", "[80]", "Listener.Properties.Port: this must be a whole number, not [80]"),
    ("Port", "eighty", "Listener.Properties.Port: this must be a whole number, not 'eighty'"),
    ("Port", "80.5", "Listener.Properties.Port: this must be a whole number, not 80.5"),
    ("Port", "true", "Listener.Properties.Port: this must be a whole number, not True"),
    ("Action", "{FixedResponse: {}}", "FixedResponse: the property 'StatusCode' is missing"),
    (
        "Action",
        "{FixedResponse: {StatusCode: !Ref AWS::NoValue}}",
        "Action.FixedResponse: the property 'StatusCode' is missing",
    ),
    ("Action", "{FixedResponse: {StatusCode: [404]}}", "StatusCode: this must be a whole number"),
    ("Action", "{Forward: {}}", "Action.Forward: the property 'TargetGroups' is missing"),
    (
        "Action",
        "{Forward: {TargetGroups: [{Weight: 1}]}}",
        "TargetGroups[0]: the property 'TargetGroupIdentifier' is missing",
    ),
    ("Action", WEIGHTED % "lots", "TargetGroups[0].Weight: this must be a whole number, not 'lo"),
    ("Action", WEIGHTED % "90.7", "TargetGroups[0].Weight: this must be a whole number, not 90.7"),
]


@pytest.mark.parametrize(("name", "value", "words"), ODD)
def test_what_is_odd_in_a_rule_or_a_listener_is_named(tmp_path, name, value, words):
    with pytest.raises(ConfigurationError) as caught:
        from_text(tmp_path, with_property(name, value))
    assert str(caught.value).startswith("t.yaml: Resources.")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ("{CustomDomainName: 5.5.}", "Orders: '5.5.' is not a domain name"),
        ("{CustomDomainName: [a]}", "Orders.Properties.CustomDomainName: this must be text, not"),
        ("{AuthType: [a]}", "Orders.Properties.AuthType: this must be text, not ['a']"),
        ("{Name: {a: b}}", "Orders.Properties.Name: this must be text, not {'a': 'b'}"),
        ("{Tags: [{Value: a}]}", "Orders.Properties.Tags[0]: the property 'Key' is missing"),
        ("{Name: !GetAtt []}", "Fn::GetAtt needs a resource and an attribute"),
    ],
)
def test_what_is_odd_in_a_service_is_named(tmp_path, properties, words):
    resource = f"Orders: {{Type: AWS::VpcLattice::Service, Properties: {properties}}}"
    with pytest.raises(ConfigurationError) as caught:
        from_text(tmp_path, resource)
    assert words in str(caught.value)


def test_a_domain_may_be_a_number(tmp_path):
    service = "Orders: {Type: AWS::VpcLattice::Service, Properties: {CustomDomainName: 5}}"
    lattice, _ = from_text(tmp_path, service)
    assert lattice.service("orders").domain == "5"


ASSOCIATION = """
    Association:
      Type: AWS::VpcLattice::ServiceNetworkServiceAssociation
      Properties:
        ServiceIdentifier: !Ref Orders
        ServiceNetworkIdentifier: %s
"""


def test_the_network_of_an_association_is_text(tmp_path):
    with pytest.raises(ConfigurationError, match=r"Identifier: this must be text, not \['a'\]"):
        from_text(tmp_path, SERVICE + ASSOCIATION % "[a]")


@pytest.mark.parametrize("identifier", ["!GetAtt [Group]", "!GetAtt []", "!GetAtt {a: b}", "5"])
def test_an_odd_id_of_a_target_is_one_that_nothing_is_mapped_to(tmp_path, identifier):
    group = f"""
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {{Targets: [{{Id: {identifier}}}, {{Id: a}}]}}
"""
    lattice, _ = from_text(tmp_path, group, targets={"a": blue})
    assert lattice.target_group("group").targets[0].app is blue


@pytest.mark.parametrize(
    ("identifier", "why"),
    [("!Ref [a]", "must be text"), ("!Ref Typo", "Typo")],
)
def test_a_slip_in_the_id_of_a_target(tmp_path, identifier, why):
    group = f"""
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {{Targets: [{{Id: {identifier}}}]}}
"""
    with pytest.raises(ConfigurationError, match=rf"Targets\[0\]\.Id.*{why}"):
        from_text(tmp_path, group)


# Exports of other stacks


@pytest.mark.parametrize(
    "identifier",
    ["!ImportValue alb", "!If [Always, !ImportValue alb, x]", "!Select [0, [!ImportValue alb]]"],
)
def test_an_imported_target_is_one_that_nothing_is_mapped_to(tmp_path, identifier):
    lattice, notes = from_text(
        tmp_path,
        f"Group: {{Type: AWS::VpcLattice::TargetGroup, Properties: {{Targets: [{{Id: {identifier}}}"
        "]}}",
        after="\nConditions: {Always: !Equals [a, a]}",
    )
    assert notes == [
        "Group: this target group has no target, so it gets an echo; map 'Group' to a target"
    ]
    assert lattice.target_group("group").targets


def test_a_target_can_be_mapped_by_the_name_of_its_export(tmp_path):
    group = "{Type: AWS::VpcLattice::TargetGroup, Properties: {Targets: [{Id: !ImportValue alb}]}}"
    lattice, notes = from_text(tmp_path, f"Group: {group}", targets={"alb": blue})
    assert notes == []
    assert lattice.target_group("group").targets[0].app is blue


@pytest.mark.parametrize(
    "identifier",
    [
        "!ImportValue shared:Net",
        "!ImportValue {'Fn::Sub': 'shared:${X}'}",
        "!If [Always, !ImportValue 'shared:Net', x]",
    ],
)
def test_an_imported_network_is_a_foreign_one(tmp_path, identifier):
    lattice, notes = from_text(
        tmp_path,
        SERVICE + ASSOCIATION % identifier,
        after="\nConditions: {Always: !Equals [a, a]}\nParameters: {X: {Default: Net}}",
    )
    assert notes == [
        (
            "Association.Properties.ServiceNetworkIdentifier: 'shared:Net' is not a service "
            "network of this template; it is treated as one without an auth policy"
        )
    ]
    assert lattice.network.services == (lattice.service("orders"),)


def test_an_imported_network_beside_others(tmp_path):
    own = """
    Net: {Type: AWS::VpcLattice::ServiceNetwork, Properties: {Name: net}}
    Own:
      Type: AWS::VpcLattice::ServiceNetworkServiceAssociation
      Properties: {ServiceIdentifier: !Ref Orders, ServiceNetworkIdentifier: !Ref Net}
"""
    association = ASSOCIATION % "!ImportValue net"
    again = association.replace("Association:", "Again:")
    lattice, notes = from_text(tmp_path, SERVICE + own + association + again)
    assert len(notes) == 1
    assert list(lattice.networks) == ["net", "imported-net"]
    orders = lattice.service("orders")
    assert [network.services for network in lattice.networks.values()] == [(orders,), (orders,)]


def test_a_network_may_be_named_by_its_id_and_its_arn(tmp_path):
    arn = "arn:aws:vpc-lattice:us-west-2:111122223333:servicenetwork/sn-0123456789abcdef0"
    network = "\n    Net: {Type: AWS::VpcLattice::ServiceNetwork, Properties: {Name: net}}"
    again = (ASSOCIATION % arn).replace("Association:", "Again:")
    association = ASSOCIATION % "sn-0123456789abcdef0"
    lattice, _ = from_text(tmp_path, SERVICE + network + association + again)
    assert list(lattice.networks) == ["net", "sn-0123456789abcdef0"]


FOREIGN_ID = "sn-0123456789abcdef0"
FOREIGN_ARN = f"arn:aws:vpc-lattice:us-west-2:444455556666:servicenetwork/{FOREIGN_ID}"


@pytest.mark.parametrize("policy_first", [False, True])
@pytest.mark.parametrize(
    ("associated", "guarded"),
    [
        (FOREIGN_ID, FOREIGN_ID),
        (FOREIGN_ID, FOREIGN_ARN),
        (FOREIGN_ARN, FOREIGN_ID),
        ("!ImportValue x", "!ImportValue x"),
        ("!ImportValue x", "!If [Always, !ImportValue x, y]"),
    ],
)
def test_a_foreign_network_may_have_a_policy(tmp_path, associated, guarded, policy_first):
    """Whichever way the network is named, and in any order."""
    policy = f"""
    Policy:
      Type: AWS::VpcLattice::AuthPolicy
      Properties:
        ResourceIdentifier: {guarded}
        Policy: {{Statement: {{Effect: Deny, Principal: '*', Action: '*', Resource: '*'}}}}
"""
    association = ASSOCIATION % associated
    lattice, notes = from_text(
        tmp_path,
        GUARDED + (policy + association if policy_first else association + policy),
        after="\nConditions: {Always: !Equals [a, a]}",
    )
    unsigned = wire("GET", "/", [("host", lattice.service("orders").managed_name)])
    exchange = Exchange(lattice, unsigned).run()
    assert exchange.status == 403
    assert "explicit deny in a network-based policy" in exchange.text
    (note,) = notes
    assert note.startswith("Association.Properties.ServiceNetworkIdentifier: ")
    assert note.endswith("; it is treated as one with AWS_IAM and only the given auth policy")


@pytest.mark.parametrize(
    ("targets", "there"),
    [
        ("!If [Never, [{Id: a}], [{Id: b}]]", "b"),
        ("[!If [Never, {Id: a}, {Id: b}], {Id: c}]", "b"),
        ("[!If [Never, {Id: a}, !Ref AWS::NoValue], {Id: b}]", "b"),
        ("[!If [Never, {Id: a}, !Ref AWS::NoValue], !Ref AWS::NoValue]", None),
        ("[{Id: !If [Never, a, !GetAtt Balancer.Arn]}]", "Balancer"),
        ("!If [Never, [{Id: a}], !Ref AWS::NoValue]", None),
        ("!Ref AWS::NoValue", None),
    ],
)
def test_targets_by_a_condition(tmp_path, targets, there):
    group = f"""
    Group: {{Type: AWS::VpcLattice::TargetGroup, Properties: {{Targets: {targets}}}}}
    Balancer: {{Type: AWS::ElasticLoadBalancingV2::LoadBalancer}}
"""
    conditions = "Conditions: {Never: !Equals [a, b]}\n"
    given = {there: blue} if there else None
    lattice, _ = from_text(tmp_path, group, after=conditions, targets=given)
    app = lattice.target_group("group").targets[0].app
    assert (app is blue) == (there is not None)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"parameters": 5}, r"^parameters: this must be a table \(a mapping\)$"),
        ({"parameters": {"VpcId": ["a"]}}, r"^parameters: VpcId: this must be text, not \['a'\]$"),
        ({"targets": ["a"]}, r"^targets: this must be a table \(a mapping\)$"),
        ({"region": 5}, r"^shop\.yaml: 5 is not a region, such as us-west-2$"),
        ({"region": None}, r"^shop\.yaml: None is not a region, such as us-west-2$"),
        ({"account": 5}, r"^shop\.yaml: an account has 12 digits, as text, unlike 5$"),
    ],
)
def test_odd_arguments_are_named(arguments, words):
    with pytest.raises(ConfigurationError, match=words):
        load(SHOP, **arguments)


# CloudFormation's functions


def test_another_partition(tmp_path):
    resources = (
        SERVICE
        + """
    Role:
      Type: AWS::IAM::Role
      Properties:
        Tags:
        - {Key: at, Value: !Sub "${AWS::URLSuffix} ${AWS::Partition} ${AWS::StackId}"}
        - {Key: arn, Value: !GetAtt Role.Arn}
"""
    )
    lattice, _ = from_text(tmp_path, resources, region="cn-north-1")
    tags = lattice.caller("Role").identity.tags
    stack = "arn:aws-cn:cloudformation:cn-north-1:111122223333:stack/local/local"
    assert tags["at"] == f"amazonaws.com.cn aws-cn {stack}"
    assert tags["arn"] == lattice.caller("Role").identity.principal_arn
    assert tags["arn"].startswith("arn:aws-cn:iam::")


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
    """Each in a header's value, which may be nearly any text."""
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


@pytest.mark.parametrize(
    "identifier",
    [
        "!GetAtt Function.Arn",
        "!Sub '${Function.Arn}'",
        "!Sub '${Function.Arn}:live'",
        "!Sub ['${Arn}:${Alias}', {Arn: !GetAtt Function.Arn, Alias: !Ref Alias}]",
        "!Sub 'arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:${Function}:${Alias}'",
        "!Join [':', [!GetAtt Function.Arn, !Ref Alias]]",
        "!If [Always, !Sub '${Function.Arn}:live', !Sub '${Other.Arn}:live']",
        "!Sub '${Function.Unknown}-${!Other}'",
        "!Ref Published",
    ],
)
@pytest.mark.parametrize("kind", ["AWS::Lambda::Function", "AWS::Serverless::Function"])
def test_a_function_may_be_anywhere_in_the_id_of_a_target(tmp_path, identifier, kind):
    resources = f"""
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {{Type: LAMBDA, Targets: [{{Id: {identifier}}}]}}
    Function: {{Type: {kind}, Properties: {{Role: "arn:aws:iam::111122223333:role/orders"}}}}
    Published:
      Type: AWS::Lambda::Alias
      Properties: {{FunctionName: !Ref Function, Name: live, FunctionVersion: "1"}}
    Other: {{Type: AWS::Lambda::Function}}
"""
    after = "\nConditions: {Always: !Equals [a, a]}\nParameters: {Alias: {Default: live}}"
    lattice, notes = from_text(tmp_path, resources, targets={"Function": blue}, after=after)
    assert notes == []
    assert [target.app for target in lattice.target_group("group").targets] == [blue]


def test_an_id_that_is_made_of_a_function_maps_too(tmp_path):
    group = """
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {Type: LAMBDA, Targets: [{Id: !Sub '${Function.Arn}:live'}]}
    Function: {Type: AWS::Lambda::Function}
"""
    arn = "arn:aws:lambda:us-west-2:111122223333:function:Function:live"
    _, notes = from_text(tmp_path, group, targets={arn: blue})
    assert notes == []
    with pytest.raises(
        ConfigurationError,
        match="'Function', which is neither the logical id or name of a target group",
    ):
        from_text(
            tmp_path,
            group.replace("${Function", "${Other")
            + """
    Other: {Type: AWS::Lambda::Function}
""",
            targets={"Function": blue},
        )


@pytest.mark.parametrize("key", ["Function", "vertical", "10.0.0.7"])
def test_a_target_of_a_group_that_is_mapped_stands_for_nothing(tmp_path, key):
    group = """
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {Name: vertical, Targets: [{Id: !GetAtt Function.Arn}, {Id: 10.0.0.7}]}
    Function: {Type: AWS::Lambda::Function}
"""
    with pytest.raises(ConfigurationError) as caught:
        from_text(tmp_path, group, targets={"Group": blue, key: green})
    assert str(caught.value) == (
        f"t.yaml: a target is mapped to {key!r}, but its target group is already "
        "mapped by another name"
    )


# Roles and their policies

GUARDED = """
    Orders:
      Type: AWS::VpcLattice::Service
      Properties: {AuthType: AWS_IAM}
    Listener:
      Type: AWS::VpcLattice::Listener
      Properties:
        ServiceIdentifier: !Ref Orders
        Protocol: HTTP
        DefaultAction: {FixedResponse: {StatusCode: 404}}
    Open:
      Type: AWS::VpcLattice::AuthPolicy
      Properties:
        ResourceIdentifier: !Ref Orders
        Policy: {Statement: {Effect: Allow, Principal: "*", Action: "*", Resource: "*"}}
"""


def who_may(folder, resources, path="/", **arguments):
    """The callers of a template that may call the service ``orders``, and the notes."""
    lattice, notes = from_text(folder, GUARDED + resources, clock=lambda: NOW, **arguments)
    host = [("host", lattice.service("orders").managed_name)]
    statuses = {
        name: Exchange(lattice, signed_by(caller, "GET", path, headers=host)).run().status
        for name, caller in lattice.callers.items()
    }
    assert set(statuses.values()) <= {403, 404}
    return {name for name, status in statuses.items() if status == 404}, notes


ALLOWED = "{Effect: Allow, Action: vpc-lattice-svcs:Invoke, Resource: '*'}"
ELSEWHERE = "{Effect: Allow, Action: [s3:*], Resource: !GetAtt Bucket.Arn}"
ROLES = f"""
    Inline:
      Type: AWS::IAM::Role
      Properties:
        Policies:
        - {{PolicyName: a, PolicyDocument: {{Version: 2012-10-17, Statement: [{ALLOWED}]}}}}
    Named: {{Type: AWS::IAM::Role, Properties: {{RoleName: batch, Path: /team/}}}}
    Attached:
      Type: AWS::IAM::Policy
      Properties:
        PolicyDocument: {{Statement: {ALLOWED}}}
        Roles: [!Ref Named]
    RolePolicy:
      Type: AWS::IAM::RolePolicy
      Properties: {{PolicyDocument: {{Statement: {ALLOWED}}}, RoleName: !Ref OfItsOwn}}
    OfItsOwn: {{Type: AWS::IAM::Role}}
    Managed:
      Type: AWS::IAM::ManagedPolicy
      Properties: {{PolicyDocument: {{Statement: {ALLOWED}}}, Roles: [!Ref Given]}}
    Given: {{Type: AWS::IAM::Role}}
    Takes: {{Type: AWS::IAM::Role, Properties: {{ManagedPolicyArns: [!Ref Managed]}}}}
    OfAWS:
      Type: AWS::IAM::Role
      Properties:
        ManagedPolicyArns:
        - !Sub arn:${{AWS::Partition}}:iam::aws:policy/VPCLatticeServicesInvokeAccess
    None: {{Type: AWS::IAM::Role}}
    OtherThings:
      Type: AWS::IAM::Role
      Properties:
        ManagedPolicyArns:
        - arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
        Policies:
        - {{PolicyName: a, PolicyDocument: {{Statement: [{ELSEWHERE}]}}}}
        - {{PolicyName: b, PolicyDocument: {{Statement: {ELSEWHERE}}}}}
    Denied:
      Type: AWS::IAM::Role
      Properties:
        ManagedPolicyArns: [!Ref Managed, "arn:aws:iam::aws:policy/AWSDenyAll"]
    Bucket: {{Type: AWS::S3::Bucket}}
"""


def test_roles_may_do_what_their_policies_say(tmp_path):
    allowed, notes = who_may(tmp_path, ROLES)
    assert allowed == {"Inline", "batch", "OfItsOwn", "Given", "Takes", "OfAWS", "None"}
    assert notes == []


CONDITIONAL = f"""
    Role:
      Type: AWS::IAM::Role
      Properties:
        Policies:
        - PolicyName: calls
          PolicyDocument:
            Version: 2012-10-17
            Statement:
            - {ELSEWHERE}
            - !If [Never, {ALLOWED}, !Ref AWS::NoValue]
            - Effect: Allow
              Action: VPC-Lattice-svcs:*
              Resource: !Sub "${{Orders.Arn}}/public/${{!aws:PrincipalTag/team}}"
        - !If
          - Never
          - {{PolicyName: a, PolicyDocument: {{Statement: {ALLOWED}}}}}
          - !Ref AWS::NoValue
        Tags: [{{Key: team, Value: !Ref AWS::StackName}}]
    Bucket: {{Type: AWS::S3::Bucket}}
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/public/local", {"Role"}), ("/public/other", set()), ("/private", set())],
)
def test_a_statement_about_calls_counts_among_others(tmp_path, path, allowed):
    conditions = "Conditions: {Never: !Equals [a, b]}"
    assert who_may(tmp_path, CONDITIONAL, path, after=conditions) == (allowed, [])


UNKNOWN = [
    (
        "{ManagedPolicyArns: ['arn:aws:iam::111122223333:policy/own']}",
        (
            "Role.Properties.ManagedPolicyArns[0]: 'arn:aws:iam::111122223333:policy/own' is not a "
            "policy of this template; so the role 'Role' may make every call that is not denied"
        ),
    ),
    (
        "{ManagedPolicyArns: !Split [',', !ImportValue policies]}",
        (
            "Role.Properties.ManagedPolicyArns.Fn::Split[1].Fn::ImportValue: the local Lattice "
            "does not know Fn::ImportValue: give its value as a parameter; so the role 'Role' "
            "may make every call that is not denied"
        ),
    ),
    (
        (
            "{Policies: [{PolicyName: a, PolicyDocument: {Statement: {Effect: Allow, "
            "NotAction: 's3:*', Resource: !ImportValue x}}}]}"
        ),
        (
            "Role.Properties.Policies[0].PolicyDocument.Statement.Resource.Fn::ImportValue: the "
            "local Lattice does not know Fn::ImportValue: give its value as a parameter; so the "
            "role 'Role' may make every call that is not denied"
        ),
    ),
    (
        "{PermissionsBoundary: !ImportValue boundary}",
        "Role.Properties.PermissionsBoundary: boundaries are not evaluated",
    ),
    (
        "{Tags: [{Key: team, Value: !ImportValue team}]}",
        (
            "Role.Properties.Tags[0].Value.Fn::ImportValue: the local Lattice does not know "
            "Fn::ImportValue: give its value as a parameter; so the role does not have this tag"
        ),
    ),
]


@pytest.mark.parametrize(("properties", "note"), UNKNOWN)
def test_what_is_not_known_of_a_role_is_named_and_lets_it_call(tmp_path, properties, note):
    role = f"    Role: {{Type: AWS::IAM::Role, Properties: {properties}}}\n"
    assert who_may(tmp_path, role) == ({"Role"}, [note])


def test_a_policy_for_a_role_that_is_not_known_is_named(tmp_path):
    policy = f"""
    Policy:
      Type: AWS::IAM::Policy
      Properties: {{PolicyDocument: {{Statement: {ALLOWED}}}, Roles: [!ImportValue role]}}
"""
    _, notes = who_may(tmp_path, policy)
    assert notes == [
        (
            "Policy.Properties.Roles[0].Fn::ImportValue: the local Lattice does not know "
            "Fn::ImportValue: give its value as a parameter; so this role does not have "
            "the policy"
        )
    ]


DENIED = ALLOWED.replace("Allow", "Deny")
UNKNOWN_ALLOW = ALLOWED.replace("'*'", "!ImportValue x")


@pytest.mark.parametrize(
    "properties",
    [
        (
            "{ManagedPolicyArns: ['arn:aws:iam::111122223333:policy/own', "
            "'arn:aws:iam::aws:policy/AWSDenyAll']}"
        ),
        (
            f"{{Policies: [{{PolicyName: a, PolicyDocument: {{Statement: {DENIED}}}}}], "
            "ManagedPolicyArns: [!ImportValue policy]}"
        ),
        (
            "{Policies: [{PolicyName: a, PolicyDocument: "
            f"{{Statement: [{UNKNOWN_ALLOW}, {DENIED}]}}}}]}}"
        ),
    ],
)
def test_what_is_denied_stays_denied_whatever_is_not_known(tmp_path, properties):
    role = f"    Role: {{Type: AWS::IAM::Role, Properties: {properties}}}\n"
    allowed, (note,) = who_may(tmp_path, role)
    assert allowed == set()
    assert note.endswith("so the role 'Role' may make every call that is not denied")


def test_a_policy_is_for_the_roles_that_are_known(tmp_path):
    resources = f"""
    Role: {{Type: AWS::IAM::Role, Properties: {{}}}}
    Other: {{Type: AWS::IAM::Role, Properties: {{}}}}
    Policy:
      Type: AWS::IAM::Policy
      Properties: {{PolicyDocument: {{Statement: {DENIED}}}, Roles: [!ImportValue x, !Ref Role]}}
"""
    allowed, notes = who_may(tmp_path, resources)
    assert allowed == {"Other"}
    assert len(notes) == 1


def test_a_role_has_the_tags_that_are_known(tmp_path):
    role = CONDITIONAL.replace("Tags: [", "Tags: [{Key: a, Value: !ImportValue a}, ")
    conditions = "Conditions: {Never: !Equals [a, b]}"
    allowed, (note,) = who_may(tmp_path, role, "/public/local", after=conditions)
    assert allowed == {"Role"}
    assert note.startswith("Role.Properties.Tags[0].Value")


def test_a_policy_of_aws_that_is_not_known_is_named(tmp_path):
    arns = "['arn:aws:iam::aws:policy/VPCLatticeServiceInvokeAccess']"
    role = f"    Role: {{Type: AWS::IAM::Role, Properties: {{ManagedPolicyArns: {arns}}}}}\n"
    note = (
        "Role.Properties.ManagedPolicyArns[0]: AWS's policy 'VPCLatticeServiceInvokeAccess' is not "
        "known here; it is treated as one that does not concern calls"
    )
    assert who_may(tmp_path, role) == (set(), [note])


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ("{Type: AWS::IAM::Policy}", "Role: the property 'PolicyDocument' is missing"),
        (
            "{Type: AWS::IAM::Role, Properties: {Policies: [{PolicyName: a}]}}",
            "Role.Properties.Policies[0]: the property 'PolicyDocument' is missing",
        ),
        (
            (
                "{Type: AWS::IAM::Role, Properties: {Policies: "
                "[{PolicyName: a, PolicyDocument: {Statement: {Effect: Allowed}}}]}}"
            ),
            "Role.Properties.Policies[0].PolicyDocument: Statement.Effect",
        ),
    ],
)
def test_policies_that_iam_would_refuse_are_errors(tmp_path, resource, words):
    with pytest.raises(ConfigurationError) as caught:
        who_may(tmp_path, f"    Role: {resource}\n")
    assert words in str(caught.value)


def test_a_caller_of_the_document_takes_the_place_of_a_role(tmp_path):
    (tmp_path / "t.yaml").write_text(
        "Resources:\n" + textwrap.indent(textwrap.dedent(GUARDED + ROLES), "  ")
    )
    (tmp_path / "local.toml").write_text(
        """
        template = "t.yaml"
        [callers.Inline]
        tags = { team = "a" }
        identity_policies = []
        """
    )
    lattice = load(tmp_path / "local.toml")
    inline = lattice.caller("Inline").identity
    assert (inline.tags, inline.policies) == ({"team": "a"}, ())
    assert lattice.caller("OtherThings").identity.policies == ()


# Resources that serverless functions imply

SERVERLESS = """
    Function:
      Type: AWS::Serverless::Function
      Properties: {AutoPublishAlias: live, RolePath: /shop/, Tags: {team: books}, Policies: %s}
"""
CALLS = "Action: 'vpc-lattice-svcs:*', Resource: '*'"


@pytest.mark.parametrize("reference", ["!GetAtt FunctionRole.Arn", "!Sub '${FunctionRole.Arn}'"])
def test_the_role_of_a_serverless_function(tmp_path, reference):
    policies = f"[{{Statement: {{Effect: Allow, {CALLS}}}}}]"
    principal = f"Principal: {{AWS: {reference}}}, Condition: {{}}"
    lattice, notes = from_text(
        tmp_path,
        GUARDED.replace('Principal: "*"', principal) + SERVERLESS % policies,
        clock=lambda: NOW,
    )
    assert notes == []
    assert list(lattice.callers) == ["FunctionRole"]
    caller = lattice.caller("FunctionRole")
    assert caller.identity.role == "shop/FunctionRole"
    assert caller.identity.tags == {"team": "books"}
    host = [("host", lattice.service("orders").managed_name)]
    assert Exchange(lattice, signed_by(caller, headers=host)).run().status == 404


LOGS = "AWSLambdaBasicExecutionRole"
DENY = f"{{Statement: [{{Effect: Deny, {CALLS}}}]}}"
ALLOW = f"{{Version: '2012-10-17', Statement: [{{Effect: Allow, {CALLS}}}]}}"


@pytest.mark.parametrize(
    ("policies", "allowed", "notes"),
    [
        ("[]", False, []),
        (f"[{LOGS}, AWSXRayDaemonWriteAccess]", False, []),
        (LOGS, False, []),
        (f"[{LOGS}, VPCLatticeServicesInvokeAccess]", True, []),
        ("arn:aws:iam::aws:policy/VPCLatticeServicesInvokeAccess", True, []),
        (ALLOW, True, []),
        (f"[{ALLOW}, {DENY}]", False, []),
        (f"!If [Never, {DENY}, {ALLOW}]", True, []),
        (f"[!If [Never, {DENY}, !Ref AWS::NoValue], {ALLOW}]", True, []),
        ("!Ref AWS::NoValue", False, []),
        ("[!Ref Managed]", True, []),
        (
            f"[{ALLOW}, DynamoDBReadPolicy: {{TableName: books}}, Books, {{Books: {{}}}}]",
            True,
            [
                "[3]: this policy is not understood",
                (
                    "[2]: AWS's policy 'Books' is not known here; it is treated as one that does "
                    "not concern calls"
                ),
            ],
        ),
        (
            "[SQSPollerPolicy: {QueueName: books}, AWSLambda_FullAccess, AWSLambdaExecute]",
            False,
            [],
        ),
    ],
)
def test_policies_of_a_serverless_function(tmp_path, policies, allowed, notes):
    managed = f"""
    Managed: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: {ALLOW}}}}}
"""
    lattice, noted = from_text(
        tmp_path,
        GUARDED + SERVERLESS % policies + managed,
        after="\nConditions: {Never: !Equals [a, b]}",
        clock=lambda: NOW,
    )
    assert noted == [f"Function.Properties.Policies{note}" for note in notes]
    caller = lattice.caller("FunctionRole")
    host = [("host", lattice.service("orders").managed_name)]
    status = Exchange(lattice, signed_by(caller, headers=host)).run().status
    assert (status == 404) is allowed


@pytest.mark.parametrize("alias", ["FunctionAliaslive", "Function.Alias"])
def test_the_alias_of_a_serverless_function(tmp_path, alias):
    group = f"""
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {{Type: LAMBDA, Targets: [{{Id: !Ref {alias}}}]}}
"""
    arn = "arn:aws:lambda:us-west-2:111122223333:function:Function:live"
    for key in ("Function", arn):
        lattice, notes = from_text(tmp_path, group + SERVERLESS % "[]", targets={key: blue})
        assert notes == []
        assert [target.app for target in lattice.target_group("group").targets] == [blue]


def test_a_serverless_function_may_have_a_role_and_globals(tmp_path):
    function = """
    Function: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt Own.Arn}}
    Global: {Type: AWS::Serverless::Function}
    GlobalRole: {Type: AWS::IAM::Role, Properties: {RoleName: mine}}
    Own: {Type: AWS::IAM::Role}
    Group:
      Type: AWS::VpcLattice::TargetGroup
      Properties: {Type: LAMBDA, Targets: [{Id: !Ref GlobalAliaslive}]}
"""
    shared = "\nGlobals: {Function: {AutoPublishAlias: live}}"
    lattice, notes = from_text(tmp_path, function, after=shared, targets={"Global": blue})
    assert notes == []
    assert list(lattice.callers) == ["mine", "Own"]


# VPCs

VPCS = """
    Vpc: {Type: AWS::EC2::VPC}
    Net: {Type: AWS::VpcLattice::ServiceNetwork}
    Inside:
      Type: AWS::VpcLattice::ServiceNetworkServiceAssociation
      Properties: {ServiceIdentifier: !Ref Orders, ServiceNetworkIdentifier: !Ref Net}
    Role: {Type: AWS::IAM::Role}
"""
IN_VPC = """
    %s:
      Type: AWS::VpcLattice::ServiceNetworkVpcAssociation
      Properties: {ServiceNetworkIdentifier: !Ref Net, VpcIdentifier: %s}
"""
PARAMETER = "\nParameters: {VpcId: {Type: AWS::EC2::VPC::Id, Default: vpc-0123456789abcdef0}}"


def status_from(vpc, tmp_path, associations):
    """The status of a call under a policy that requires a VPC, and the notes."""
    condition = f"Condition: {{StringEquals: {{'vpc-lattice-svcs:SourceVpc': {vpc}}}}}"
    guarded = GUARDED.replace('Principal: "*"', f'Principal: "*", {condition}')
    lattice, notes = from_text(
        tmp_path, guarded + VPCS + associations, after=PARAMETER, clock=lambda: NOW
    )
    host = [("host", lattice.service("orders").managed_name)]
    return Exchange(lattice, signed_by(lattice.caller("Role"), headers=host)).run().status, notes


@pytest.mark.parametrize(
    ("associated", "demanded"),
    [
        ("!Ref Vpc", "!Ref Vpc"),
        ("!GetAtt Vpc.VpcId", "!Ref Vpc"),
        ("!Ref VpcId", "!Ref VpcId"),
        ("!Ref VpcId", "vpc-0123456789abcdef0"),
        ("vpc-0a", "[vpc-0b, vpc-0a]"),
    ],
)
def test_callers_come_from_the_associated_vpc(tmp_path, associated, demanded):
    association = IN_VPC % ("A", associated)
    assert status_from(demanded, tmp_path, association) == (404, [])
    assert status_from("vpc-0c", tmp_path, association) == (403, [])


def test_a_vpc_that_is_given_takes_the_place_of_the_associated_one(tmp_path):
    for given in ("vpc-0b", None):
        lattice, _ = from_text(tmp_path, GUARDED + VPCS + IN_VPC % ("A", "vpc-0a"), vpc_id=given)
        assert lattice.vpc_id == (given or "vpc-0a")


def test_of_several_vpcs_callers_come_from_the_first(tmp_path):
    vpcs = {"A": "!ImportValue vpc", "B": "vpc-0b", "C": "!Ref Vpc", "D": "vpc-0b", "E": "!Ref Vpc"}
    associations = "".join(IN_VPC % each for each in vpcs.items())
    status, notes = status_from("vpc-0b", tmp_path, associations)
    assert status == 404
    assert notes == [
        "C.Properties.VpcIdentifier: callers come from the VPC 'vpc-0b', none from 'Vpc'"
    ]


# Values that only AWS knows

FUNCTION = """
    Topic: {Type: AWS::SNS::Topic}
    Function:
      Type: AWS::Serverless::Function
      Properties:
"""


def test_what_another_services_resource_is_need_not_be_known(tmp_path):
    """The Ref of many resources is an ARN."""
    policies = """
        Policies:
        - Statement:
          - {Effect: Allow, Action: "sns:Publish", Resource: !Ref Topic}
          - {Effect: Allow, Action: ["vpc-lattice-svcs:Invoke"], Resource: "*"}
        - Statement: {Effect: Allow, Action: "sns:Publish", Resource: !Ref Topic}
"""
    lattice, notes = from_text(tmp_path, FUNCTION + policies)
    assert notes == []
    (caller,) = lattice.callers.values()
    spoken = [policy for policy in caller.identity.policies if policy.statements]
    assert [len(policy.statements) for policy in spoken] == [1]
    call = PolicyRequest("GET", "/", caller.identity)
    assert evaluate(spoken[0], call).allowed


def test_what_nothing_refers_to_may_stay_unknown(tmp_path):
    """The CDK's parameter, an alias's name, empty properties."""
    properties = "        AutoPublishAlias: !ImportValue alias\n        Policies:\n        Role:\n"
    after = (
        "\nGlobals: {Function: }\nParameters: {BootstrapVersion: "
        "{Type: AWS::SSM::Parameter::Value<String>, Default: /cdk-bootstrap/hnb659fds/version}}"
    )
    lattice, notes = from_text(tmp_path, FUNCTION + properties, after=after)
    assert notes == []
    assert list(lattice.callers) == ["FunctionRole"]
    with pytest.raises(ConfigurationError, match="'BootstrapVersion' has no value: give it one"):
        from_text(
            tmp_path,
            "    A: {Type: AWS::VpcLattice::Service, Properties: {Name: !Ref BootstrapVersion}}",
            after=after,
        )
