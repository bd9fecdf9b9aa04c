"""Three layers of policies, which of them denies, and the answer and access log of a denial."""

import json

import pytest

from lattice_client import ConfigurationError
from lattice_client.testing import (
    ALLOW_AUTHENTICATED,
    NO_POLICY,
    AuthLayer,
    AuthPolicy,
    Effect,
    IdentityPolicy,
    LocalLattice,
    PolicyError,
    PolicyRequest,
    Principal,
    evaluate,
)
from lattice_client.testing.data_plane.authorization import authorize
from support.asgi_driver import Exchange, signed_by
from support.local_oracles import HOST, NOW, wire
from support.policy_cases import (
    ACCOUNT,
    ANONYMOUS,
    BOB,
    FRONTEND,
    FRONTEND_ROLE,
    FRONTEND_SESSION,
    OTHER_ACCOUNT,
    SERVICE,
    policy,
    request,
    statement,
)

INVOKE = "vpc-lattice-svcs:Invoke"
ALLOW = AuthPolicy.from_document(policy(statement()))
DENY = AuthPolicy.from_document(policy(statement("Deny")))


def identity(effect="Allow", **elements):
    document = {"Effect": effect, "Action": INVOKE, "Resource": "*"} | elements
    return IdentityPolicy.from_document(policy(document))


LETS, FORBIDS, OTHER = identity(), identity("Deny"), identity(Action="s3:GetObject")


def layers(network, service):
    return [
        AuthLayer(name, "NONE" if document is None else "AWS_IAM", document)
        for name, document in (("Network", network), ("Service", service))
    ]


NOT_BY_NETWORK = f"because no network-based policy allows the {INVOKE} action"
NOT_BY_SERVICE = f"because no service-based policy allows the {INVOKE} action"
NOT_BY_IDENTITY = f"because no identity-based policy allows the {INVOKE} action"
DENIED_BY_NETWORK = "with an explicit deny in a network-based policy"
DENIED_BY_SERVICE = "with an explicit deny in a service-based policy"
DENIED_BY_IDENTITY = "with an explicit deny in an identity-based policy"


@pytest.mark.parametrize("caller", [FRONTEND, BOB], ids=["same account", "another account"])
@pytest.mark.parametrize(
    ("identity_policies", "network", "service", "layer", "reason"),
    [
        # All must allow.
        ([LETS], ALLOW, ALLOW, None, None),
        ([OTHER, LETS], ALLOW, ALLOW, None, None),
        (None, ALLOW, ALLOW, None, None),
        ([], ALLOW, ALLOW, "Identity", NOT_BY_IDENTITY),
        ([OTHER], ALLOW, ALLOW, "Identity", NOT_BY_IDENTITY),
        ([LETS], NO_POLICY, ALLOW, "Network", NOT_BY_NETWORK),
        ([LETS], ALLOW, NO_POLICY, "Service", NOT_BY_SERVICE),
        # NONE skips a layer. With NONE in both, no policy is evaluated.
        ([LETS], None, ALLOW, None, None),
        ([LETS], ALLOW, None, None, None),
        ([LETS], None, NO_POLICY, "Service", NOT_BY_SERVICE),
        ([LETS], NO_POLICY, None, "Network", NOT_BY_NETWORK),
        ([], None, ALLOW, "Identity", NOT_BY_IDENTITY),
        ([FORBIDS], None, None, None, None),
        # Named in this order: network, service, identity.
        ([], NO_POLICY, NO_POLICY, "Network", NOT_BY_NETWORK),
        (None, NO_POLICY, NO_POLICY, "Network", NOT_BY_NETWORK),
        ([], NO_POLICY, ALLOW, "Network", NOT_BY_NETWORK),
        ([], ALLOW, NO_POLICY, "Service", NOT_BY_SERVICE),
        ([], None, NO_POLICY, "Service", NOT_BY_SERVICE),
        # An explicit deny overrides the order.
        ([LETS, FORBIDS], ALLOW, ALLOW, "Identity", DENIED_BY_IDENTITY),
        ([LETS], DENY, ALLOW, "Network", DENIED_BY_NETWORK),
        ([LETS], ALLOW, DENY, "Service", DENIED_BY_SERVICE),
        ([], NO_POLICY, DENY, "Service", DENIED_BY_SERVICE),
        ([FORBIDS], NO_POLICY, NO_POLICY, "Identity", DENIED_BY_IDENTITY),
        ([FORBIDS], DENY, DENY, "Network", DENIED_BY_NETWORK),
        ([FORBIDS], ALLOW, DENY, "Service", DENIED_BY_SERVICE),
    ],
)
def test_layers(identity_policies, network, service, layer, reason, caller):
    denial = authorize(layers(network, service), request(caller=caller), identity_policies)
    if layer is None:
        assert denial is None
    else:
        assert denial.layer == layer
        assert denial.refusal.status == 403
        assert denial.refusal.text == (
            f"AccessDeniedException: User: {caller.arn} is not authorized to perform: {INVOKE} "
            f"on resource: {SERVICE}/parking {reason}"
        )


def test_an_anonymous_caller_has_no_identity_policies_and_needs_none():
    assert authorize(layers(ALLOW, ALLOW), request(caller=ANONYMOUS), []) is None
    denial = authorize(layers(ALLOW, NO_POLICY), request(caller=ANONYMOUS), [])
    assert denial.refusal.text == (
        f"AccessDeniedException: User: anonymous is not authorized to perform: {INVOKE} "
        f"on resource: {SERVICE}/parking {NOT_BY_SERVICE}"
    )


def test_a_layer_can_be_changed():
    layer = AuthLayer("Service", "AWS_IAM", None)
    assert layer.policy is ALLOW_AUTHENTICATED
    assert not layer.decide(request(caller=ANONYMOUS)).allowed
    assert layer.decide(request()).allowed
    layer.policy = json.dumps(policy(statement()))
    assert layer.decide(request(caller=ANONYMOUS)).allowed
    layer.policy = NO_POLICY
    assert layer.decide(request()).effect is Effect.IMPLICIT_DENY
    assert str(layer.decide(request())).startswith("Denied: it has no statements")
    with pytest.raises(PolicyError, match="Statement"):
        layer.policy = {}
    assert layer.policy is NO_POLICY
    layer.auth_type = "NONE"
    assert layer.decide(request()) is None
    with pytest.raises(ValueError, match="'AWS_IAM' or 'NONE', not 'IAM'"):
        layer.auth_type = "IAM"


# Callers


def test_a_role_session():
    assert FRONTEND.type == "AssumedRole"
    assert FRONTEND.arn == FRONTEND_SESSION
    assert FRONTEND.principal_arn == FRONTEND_ROLE
    assert FRONTEND.user_id.startswith("AROA")
    assert FRONTEND.user_id.endswith(":task-1")
    assert Principal(ACCOUNT, "rates").arn.endswith(":assumed-role/rates/session")


def test_a_user_and_a_root_user():
    assert (BOB.type, BOB.arn) == ("User", f"arn:aws:iam::{OTHER_ACCOUNT}:user/Bob")
    assert BOB.principal_arn == BOB.arn
    assert BOB.user_id.startswith("AIDA")
    root = Principal(ACCOUNT)
    assert (root.type, root.arn) == ("Account", f"arn:aws:iam::{ACCOUNT}:root")
    assert root.user_id == ACCOUNT


@pytest.mark.parametrize(
    "principal",
    [
        Principal(ACCOUNT, "a", "b"),
        Principal(ACCOUNT, user="a/b/Bob"),
        Principal(ACCOUNT),
        Principal(ACCOUNT, "a", "b", partition="aws-us-gov"),
        Principal(ACCOUNT, user="Bob", partition="aws-cn"),
        Principal(ACCOUNT, partition="aws-cn"),
    ],
)
def test_a_principal_by_its_arn(principal):
    assert Principal.from_arn(principal.arn) == principal


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-isob-east-1", "aws-iso-b"),
        ("ap-south-1", "aws"),
        ("test-region", "aws"),
    ],
)
def test_other_partitions(region, partition):
    lattice = LocalLattice(region=region)
    service = lattice.add_service("orders")
    caller = lattice.add_caller("frontend").identity
    arns = (service.arn, lattice.network.arn, lattice.vpc_arn, caller.arn, caller.principal_arn)
    assert {arn.split(":")[1] for arn in arns} == {partition}
    asked = PolicyRequest(caller=caller, service_arn=service.arn)
    role = f"arn:{partition}:iam::{lattice.account}:role/frontend"
    named = statement("Deny", Principal={"AWS": role})
    assert evaluate(policy(statement(), named), asked).effect is Effect.EXPLICIT_DENY
    elsewhere = statement("Deny", Principal={"AWS": role.replace(partition, "aws-other")})
    assert evaluate(policy(statement(), elsewhere), asked).allowed


@pytest.mark.parametrize("region", ["", "-", "eu-", "test_region", "EU-west-1", 5, None])
def test_a_region_is_one_that_a_name_may_hold(region):
    with pytest.raises(ConfigurationError, match="is not a region, such as us-west-2"):
        LocalLattice(region=region)


def test_a_principal_by_what_else_names_it():
    assert Principal.from_arn(FRONTEND_ROLE).principal_arn == FRONTEND_ROLE
    assert Principal.from_arn(ACCOUNT) == Principal(ACCOUNT)
    named = Principal.from_arn(FRONTEND_ROLE, organization="o-1", tags={"Team": "a"})
    assert (named.organization, named.tags) == ("o-1", {"Team": "a"})
    for arn in ("", "orders", "arn:aws:s3:::bucket", f"arn:aws:iam::{ACCOUNT}:group/a"):
        with pytest.raises(ValueError, match="is not the ARN of a role"):
            Principal.from_arn(arn)


@pytest.mark.parametrize("kind", ["role", "user"])
def test_whatever_path_one_may_have_policies_can_name_it(kind):
    principal = Principal(ACCOUNT, **{kind: "team:a/!b//web"})
    assert principal.arn.endswith("/web/session" if kind == "role" else "/team:a/!b//web")
    assert Principal.from_arn(principal.principal_arn) == principal
    policy = AuthPolicy.from_document(
        {"Statement": statement(Principal={"AWS": principal.principal_arn})}
    )
    assert evaluate(policy, request(caller=principal)).allowed


def test_principals_that_cannot_be():
    with pytest.raises(ValueError, match="12 digits"):
        Principal("1234", "role")
    for odd in (
        *({"role": "a b"}, {"role": ""}, {"role": "/team/web"}, {"role": "team/*/web"}),
        *({"role": 5}, {"role": "a", "session": "b/c"}, {"role": "a", "session": 5}),
        *({"user": "ü"}, {"user": "team/"}),
    ):
        with pytest.raises(ValueError, match="is not a name of a role, user or session"):
            Principal(ACCOUNT, **odd)
    with pytest.raises(ValueError, match="'amazon' is not a partition"):
        Principal("111122223333", "role", partition="amazon")
    with pytest.raises(ValueError, match="not both"):
        Principal(ACCOUNT, "role", user="user")
    with pytest.raises(ValueError, match="only a role has sessions"):
        Principal(ACCOUNT, session="task-1", user="user")
    with pytest.raises(PolicyError, match=r"Statement\.Principal: an identity policy has no"):
        Principal(ACCOUNT, "role", identity_policies=[{"Statement": statement()}])


# Through the local Lattice


def send(local, method="GET", target="/parking", headers=(), *, caller="frontend", **scope):
    """Send a request as a caller or anonymously; return the exchange and the log record."""
    if caller is None:
        wired = wire(method, target, [("host", HOST), *headers])
    else:
        wired = signed_by(local.caller(caller), method, target, headers)
    exchange = Exchange(local, wired, **scope).run()
    return exchange, local.access_log[-1]


def denied(user, reason, local, path="/parking"):
    return (
        f"AccessDeniedException: User: {user} is not authorized to perform: {INVOKE} "
        f"on resource: {local.service('orders').arn}{path} {reason}"
    )


TASK = f"arn:aws:sts::{ACCOUNT}:assumed-role/orders-frontend/task-1"


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("Identity", DENIED_BY_IDENTITY),
        ("Identity", NOT_BY_IDENTITY),
        ("Network", DENIED_BY_NETWORK),
        ("Network", NOT_BY_NETWORK),
        ("Service", DENIED_BY_SERVICE),
        ("Service", NOT_BY_SERVICE),
    ],
)
def test_the_caller_and_the_access_log_are_told_who_denied(layer, reason):
    local = LocalLattice(
        clock=lambda: NOW,
        network_auth_type="AWS_IAM",
        network_policy=ALLOW,
    )
    local.add_service("orders", domain=HOST, policy=ALLOW)
    explicit = "explicit" in reason
    local.add_caller(
        "frontend",
        role="orders-frontend",
        session="task-1",
        identity_policies=([FORBIDS] if explicit else []) if layer == "Identity" else [LETS],
    )
    denying = DENY if explicit else NO_POLICY
    if layer == "Network":
        local.network.policy = denying
    elif layer == "Service":
        local.service("orders").policy = denying

    exchange, record = send(local)
    assert exchange.status == 403
    assert exchange.text == denied(TASK, reason, local)
    assert record["authDeniedReason"] == layer
    assert record["resolvedUser"] == record["callerPrincipal"] == TASK
    assert record["failureReason"] == "ClientAccessDenied"


def test_an_allowed_call_has_no_denial_in_the_access_log(local):
    exchange, record = send(local)
    assert exchange.status == 200
    assert record["authDeniedReason"] is None


def test_no_policy_denies_even_those_who_signed(local):
    local.service("orders").policy = NO_POLICY
    exchange, _ = send(local)
    assert exchange.text == denied(TASK, NOT_BY_SERVICE, local)


def test_an_anonymous_caller_gets_no_further_than_policies_let_it(local):
    exchange, record = send(local, caller=None)
    assert exchange.text == denied("anonymous", NOT_BY_SERVICE, local)
    assert record["resolvedUser"] is None
    local.service("orders").policy = policy(statement(Resource="*/health"))
    assert send(local, target="/health", caller=None)[0].status == 200
    assert send(local, target="/parking", caller=None)[0].status == 403


CONDITIONS = {
    "the method": (
        {"StringEquals": {"vpc-lattice-svcs:RequestMethod": "POST"}},
        {"method": "POST"},
    ),
    "the path": (
        {"StringLike": {"vpc-lattice-svcs:RequestPath": "/orders/*"}},
        {"target": "/orders/1?a=b"},
    ),
    "a header": (
        {"StringEquals": {"vpc-lattice-svcs:RequestHeader/X-Team": "payments"}},
        {"headers": [("x-team", "payments")]},
    ),
    "the query": (
        {"ForAnyValue:StringEquals": {"vpc-lattice-svcs:RequestQueryString/tag": "b c"}},
        {"target": "/parking?tag=a&tag=b%20c"},
    ),
    "TLS": ({"Bool": {"aws:SecureTransport": "true"}}, {"scheme": "https"}),
    "the port": ({"NumericEquals": {"vpc-lattice-svcs:Port": 443}}, {"scheme": "https"}),
    "the address": ({"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}}, {"client": ("10.1.2.3", 5)}),
    "the caller's tag": ({"StringEquals": {"aws:PrincipalTag/Team": "a"}}, {"caller": "tagged"}),
    "the account": ({"StringEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}}, {"caller": "bob"}),
    "the kind of caller": ({"StringEquals": {"aws:PrincipalType": "User"}}, {"caller": "bob"}),
    "no signature": ({"StringEquals": {"aws:PrincipalType": "Anonymous"}}, {"caller": None}),
}


@pytest.mark.parametrize(("condition", "request_like"), CONDITIONS.values(), ids=CONDITIONS)
def test_policies_see_the_request(local, condition, request_like):
    local.add_caller("tagged", tags={"Team": "a"})
    local.add_caller("bob", principal=BOB)
    local.service("orders").policy = policy(statement(Condition=condition))
    assert send(local)[0].status == 403
    exchange, _ = send(local, **request_like)
    assert exchange.status == 200, exchange.text


def test_policies_see_where_the_request_goes_and_when(local):
    service = local.service("orders")
    service.tags["Environment"] = "Gamma"
    everything = {
        "StringEquals": {
            "aws:ResourceTag/Environment": "Gamma",
            "aws:ResourceAccount": ACCOUNT,
            "vpc-lattice-svcs:SourceVpc": local.vpc_id,
            "vpc-lattice-svcs:SourceVpcOwnerAccount": ACCOUNT,
            "aws:PrincipalOrgID": local.organization,
        },
        "ArnEquals": {
            "vpc-lattice-svcs:ServiceArn": service.arn,
            "vpc-lattice-svcs:ServiceNetworkArn": local.network_arn,
        },
        "DateEquals": {"aws:CurrentTime": str(int(NOW))},
    }
    service.policy = policy(statement(Condition=everything))
    assert send(local)[0].status == 200
    service.tags.clear()
    assert send(local)[0].status == 403


def test_a_user_signs_without_a_token(local):
    bob = local.add_caller("bob", principal=BOB)
    assert bob.credentials.token is None
    assert local.caller("frontend").credentials.token is not None
    local.service("orders").policy = policy(statement(Principal={"AWS": BOB.arn}))
    _, record = send(local, caller="bob")
    assert record["callerPrincipal"] == BOB.arn
    assert record["responseCode"] == 200


def test_an_explanation_shows_no_token():
    held = {"StringEquals": {"vpc-lattice-svcs:RequestHeader/X-Amz-Security-Token": "other"}}
    asked = request(headers={"x-amz-security-token": "a-secret-token"})
    decision = evaluate(policy(statement(Condition=held)), asked)
    assert "is hidden" in str(decision)
    for text in (str(decision), repr(decision), repr(asked)):
        assert "a-secret-token" not in text


def test_policies_as_text():
    local = LocalLattice(
        network_auth_type="AWS_IAM", network_policy=json.dumps(policy(statement()))
    )
    assert local.network.policy == ALLOW


@pytest.mark.parametrize(
    ("sent", "status"), [("ü".encode(), 403), ("ü".encode("latin-1"), 200), (b"u", 200)]
)
@pytest.mark.parametrize("place", ["RequestHeader/x", "RequestQueryString/x"])
def test_what_is_sent_is_read_as_utf_8(place, sent, status):
    deny = statement("Deny", Condition={"StringEquals": {f"vpc-lattice-svcs:{place}": "ü"}})
    lattice = LocalLattice()
    lattice.add_service("orders", domain=HOST, policy=policy(statement(), deny))
    escaped = "".join(f"%{byte:02X}" for byte in sent)
    target = f"/?x={escaped}" if "Query" in place else "/"
    headers = [(b"host", HOST.encode())] + ([(b"x", sent)] if "Header" in place else [])
    request = wire("GET", target, [])
    assert Exchange(lattice, request, headers=headers).run().status == status
