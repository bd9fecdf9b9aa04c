"""Auth policies: documents in, decisions out."""

import pytest

from lattice_client.testing import ALLOW_AUTHENTICATED, AuthLayer, AuthPolicy, Decision, Principal
from lattice_client.testing.authorization import authorize
from lattice_client.testing.wildcards import wildcard_match

ACCOUNT = "111122223333"
SERVICE = f"arn:aws:vpc-lattice:us-west-2:{ACCOUNT}:service/svc-0123"
CALLER = Principal(ACCOUNT, "service/orders", "task-1")
INVOKE = "vpc-lattice-svcs:Invoke"


def statement(effect="Allow", **changes):
    return {"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*"} | changes


def decide(*statements, caller=CALLER, resource=f"{SERVICE}/parking"):
    policy = AuthPolicy.from_document({"Version": "2012-10-17", "Statement": list(statements)})
    return policy.evaluate(caller, INVOKE, resource)


def test_principal_arns():
    assert CALLER.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/orders/task-1"
    assert CALLER.role_arn == f"arn:aws:iam::{ACCOUNT}:role/service/orders"


@pytest.mark.parametrize(
    ("principal", "decision"),
    [
        ("*", Decision.ALLOW),
        ({"AWS": "*"}, Decision.ALLOW),
        ({"AWS": ACCOUNT}, Decision.ALLOW),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Decision.ALLOW),
        ({"AWS": CALLER.arn}, Decision.ALLOW),
        ({"AWS": CALLER.role_arn}, Decision.ALLOW),
        ({"AWS": ["999999999999", CALLER.role_arn]}, Decision.ALLOW),
        ({"AWS": "999999999999"}, Decision.NO_ALLOW),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/orders"}, Decision.NO_ALLOW),
        ({"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/orders/task-2"}, Decision.NO_ALLOW),
    ],
)
def test_principals(principal, decision):
    assert decide(statement(Principal=principal)) is decision


def test_anonymous_callers_are_everyone_and_nobody_else():
    assert decide(statement(), caller=None) is Decision.ALLOW
    assert decide(statement(Principal={"AWS": "*"}), caller=None) is Decision.ALLOW
    assert decide(statement(Principal={"AWS": ACCOUNT}), caller=None) is Decision.NO_ALLOW


@pytest.mark.parametrize(
    ("action", "decision"),
    [
        ("vpc-lattice-svcs:Invoke", Decision.ALLOW),
        ("VPC-Lattice-Svcs:invoke", Decision.ALLOW),
        ("vpc-lattice-svcs:*", Decision.ALLOW),
        (["vpc-lattice-svcs:Connect", "vpc-lattice-svcs:Inv?ke"], Decision.ALLOW),
        ("vpc-lattice-svcs:Connect", Decision.NO_ALLOW),
        ("vpc-lattice:*", Decision.NO_ALLOW),
    ],
)
def test_actions(action, decision):
    assert decide(statement(Action=action)) is decision


@pytest.mark.parametrize(
    ("resource", "decision"),
    [
        (f"{SERVICE}/parking", Decision.ALLOW),
        (f"{SERVICE}/*", Decision.ALLOW),
        (f"{SERVICE}/park???", Decision.ALLOW),
        ("arn:aws:vpc-lattice:*:*:service/*", Decision.ALLOW),
        ([f"{SERVICE}/rates", f"{SERVICE}/p*"], Decision.ALLOW),
        (SERVICE, Decision.NO_ALLOW),
        (f"{SERVICE}/Parking", Decision.NO_ALLOW),
        (f"{SERVICE}/par", Decision.NO_ALLOW),
        (f"{SERVICE}/[p]arking", Decision.NO_ALLOW),
    ],
)
def test_resources(resource, decision):
    assert decide(statement(Resource=resource)) is decision


def test_explicit_deny_comes_first():
    deny = statement("Deny", Resource=f"{SERVICE}/parking")
    assert decide(statement(), deny) is Decision.EXPLICIT_DENY
    assert decide(deny, statement()) is Decision.EXPLICIT_DENY
    assert decide(deny, statement(), resource=f"{SERVICE}/rates") is Decision.ALLOW


def test_a_single_statement_needs_no_list():
    policy = AuthPolicy.from_document({"Id": "one", "Statement": statement(Sid="all")})
    assert policy.evaluate(None, INVOKE, SERVICE) is Decision.ALLOW


def test_allow_authenticated():
    assert ALLOW_AUTHENTICATED.evaluate(CALLER, INVOKE, SERVICE) is Decision.ALLOW
    assert ALLOW_AUTHENTICATED.evaluate(None, INVOKE, SERVICE) is Decision.NO_ALLOW


def test_a_policy_without_statements_allows_nobody():
    assert AuthPolicy(()).evaluate(CALLER, INVOKE, SERVICE) is Decision.NO_ALLOW


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Condition": {}}, "does not support the element Condition"),
        ({"NotAction": "*"}, "does not support the element NotAction"),
        ({"NotPrincipal": "*"}, "does not support the element NotPrincipal"),
        ({"NotResource": "*", "Condition": {}}, "elements? Condition, NotResource"),
        ({"Effect": "allow"}, "Effect must be 'Allow' or 'Deny'"),
        ({"Action": None}, "Action must be a string or a list of strings"),
        ({"Action": []}, "Action must be"),
        ({"Resource": [1]}, "Resource must be"),
        ({"Principal": "arn:aws:iam::1:root"}, "Principal must be"),
        ({"Principal": {"Service": "x"}}, "Principal must be"),
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:role/*"}}, "a whole ARN"),
        ({"Principal": {"AWS": "1111"}}, "a whole ARN"),
    ],
)
def test_statements_that_cannot_be_read(changes, words):
    with pytest.raises(ValueError, match=words):
        decide(statement(**changes))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "Statement must be"),
        ({"Statement": []}, "Statement must be"),
        ({"Statement": ["x"]}, "must be an object"),
        ({"Statement": [statement()], "Rules": 1}, "the element Rules"),
        ({"Statement": [statement(Sid="x" * 10240)]}, "at most 10 KB"),
    ],
)
def test_documents_that_cannot_be_read(document, words):
    with pytest.raises(ValueError, match=words):
        AuthPolicy.from_document(document)


# Layers

ALLOW = AuthPolicy.from_document({"Statement": statement()})
DENY = AuthPolicy.from_document({"Statement": statement("Deny")})
NOTHING = AuthPolicy(())


def layers(network, service):
    return [
        AuthLayer(name, "NONE" if policy is None else "AWS_IAM", policy)
        for name, policy in (("Network", network), ("Service", service))
    ]


@pytest.mark.parametrize(
    ("network", "service", "layer", "reason"),
    [
        (None, None, None, None),
        (ALLOW, ALLOW, None, None),
        (None, NOTHING, "Service", f"because no service-based policy allows the {INVOKE} action"),
        (NOTHING, None, "Network", f"because no network-based policy allows the {INVOKE} action"),
        (
            NOTHING,
            NOTHING,
            "Network",
            f"because no network-based policy allows the {INVOKE} action",
        ),
        (ALLOW, DENY, "Service", "with an explicit deny in a service-based policy"),
        (DENY, ALLOW, "Network", "with an explicit deny in a network-based policy"),
        (NOTHING, DENY, "Service", "with an explicit deny in a service-based policy"),
    ],
)
@pytest.mark.parametrize(("caller", "user"), [(CALLER, CALLER.arn), (None, "anonymous")])
def test_layers(network, service, layer, reason, caller, user):
    denial = authorize(layers(network, service), caller, f"{SERVICE}/parking")
    if layer is None:
        assert denial is None
    else:
        assert denial.layer == layer
        assert denial.refusal.text == (
            f"AccessDeniedException: User: {user} is not authorized to perform: {INVOKE} "
            f"on resource: {SERVICE}/parking {reason}"
        )


def test_a_layer_can_be_changed():
    layer = AuthLayer("Service", "AWS_IAM", None)
    assert layer.decide(None, SERVICE) is Decision.NO_ALLOW
    layer.policy = {"Statement": statement()}
    assert layer.decide(None, SERVICE) is Decision.ALLOW
    layer.policy = NOTHING
    assert layer.decide(CALLER, SERVICE) is Decision.NO_ALLOW
    layer.auth_type = "NONE"
    assert layer.decide(None, SERVICE) is Decision.ALLOW
    with pytest.raises(ValueError, match="'AWS_IAM' or 'NONE', not 'IAM'"):
        layer.auth_type = "IAM"


def test_wildcards_take_no_more_than_linear_time():
    assert not wildcard_match("*a" * 2000 + "b", "a" * 4000)
