"""The caller's identity, read by the service: what Lattice writes, and what is malformed."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
from collections.abc import Mapping
from wsgiref.util import setup_testing_defaults

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lattice_client.identity import (
    SCOPE_KEY,
    CallerIdentity,
    IdentityMiddleware,
    WSGIIdentityMiddleware,
)
from lattice_client.testing.data_plane.target_headers import identity
from lattice_client.testing.lattice_headers import identity_tags, is_lattices_own
from lattice_client.testing.model.callers import Principal

ARN = "arn:aws:sts::123456789012:assumed-role/shop/task-1"
ORG_PATH = "o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"
IDENTITY = (
    f"Principal={ARN}; PrincipalOrgID=o-a1b2c3d4e5; PrincipalOrgPath={ORG_PATH}; "
    "SessionName=task-1; Type=AWS_IAM"
)
LATTICES_OWN = f"principal={ARN};principalorgid=o-a1b2c3d4e5;principalorgpath={ORG_PATH}"
VPC = "arn:aws:ec2:us-west-2:123456789012:vpc/vpc-0a1b"
SERVICE = "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-0a1b"
HEADERS = {
    "x-amzn-lattice-identity": IDENTITY,
    "x-amzn-lattice-identity-tags": rf"{LATTICES_OWN};team=web; note=a\;b=c",
    "x-amzn-lattice-network": f"SourceVpcArn={VPC}",
    "x-amzn-lattice-target": f"ServiceArn={SERVICE};ServiceNetworkArn=arn:n;TargetGroupArn=arn:tg",
    "x-amzn-requestid": "one",
    "x-other": "not ours",
}


def read(identity_header: str) -> CallerIdentity:
    return CallerIdentity.from_headers({"x-amzn-lattice-identity": identity_header})


def test_all_that_lattice_says():
    caller = CallerIdentity.from_headers(HEADERS)
    assert caller == CallerIdentity(
        status="authenticated",
        principal=ARN,
        account="123456789012",
        role="shop",
        session="task-1",
        organization="o-a1b2c3d4e5",
        organization_path=ORG_PATH,
        type="AWS_IAM",
        tags=caller.tags,
        fields=caller.fields,
        source_vpc=VPC,
        service=SERVICE,
        service_network="arn:n",
        target_group="arn:tg",
        request_id="one",
    )
    assert caller.authenticated
    assert dict(caller.tags) == {"team": "web", "note": "a;b=c"}
    assert set(caller.fields) == {
        "Principal",
        "PrincipalOrgID",
        "PrincipalOrgPath",
        "SessionName",
        "Type",
    }


@pytest.mark.parametrize(
    "headers",
    [
        HEADERS.items(),
        {name.upper(): value for name, value in HEADERS.items()},
        [(name.encode(), value.encode()) for name, value in HEADERS.items()],
        {name.encode(): value.encode() for name, value in HEADERS.items()},
        httpx.Headers(HEADERS),
        httpx.Headers(HEADERS).raw,
    ],
)
def test_headers_come_in_many_forms(headers):
    assert CallerIdentity.from_headers(headers) == CallerIdentity.from_headers(HEADERS)


@pytest.mark.parametrize(
    "sent",
    [
        f"Type=AWS_IAM;SessionName=task-1;PrincipalOrgID=o-a1b2c3d4e5;Principal={ARN}",
        f"  Principal={ARN} ;\tPrincipalOrgID=o-a1b2c3d4e5;;  Type=AWS_IAM; ",
        f"principal={ARN}; PRINCIPALORGID=o-a1b2c3d4e5; type=AWS_IAM; Vibe=new; =; lonely",
    ],
)
def test_order_space_case_and_novelties_do_not_matter(sent):
    caller = read(sent)
    assert (caller.principal, caller.session, caller.type) == (ARN, "task-1", "AWS_IAM")
    assert caller.organization == "o-a1b2c3d4e5"


def test_what_is_new_is_kept():
    assert read(f"{IDENTITY}; Vibe=good=better").fields["Vibe"] == "good=better"


def test_a_certificates_fields():
    caller = read(rf"{IDENTITY}; X509SubjectCN=a\;b; X509SANURI=spiffe://x; X509IssuerOU=")
    assert dict(caller.x509) == {
        "X509SubjectCN": "a;b",
        "X509SANURI": "spiffe://x",
        "X509IssuerOU": "",
    }


def test_empty_is_none():
    caller = read(f"Principal={ARN}; PrincipalOrgID=; SessionName=; Type=")
    assert (caller.organization, caller.type, caller.session) == (None, None, "task-1")


@pytest.mark.parametrize(
    ("arn", "account", "role", "session"),
    [
        ("arn:aws:iam::123456789012:role/path/to/shop", "123456789012", "shop", None),
        ("arn:aws-cn:sts::123456789012:assumed-role/shop/me@x", "123456789012", "shop", "me@x"),
        ("arn:aws:sts::123456789012:assumed-role/shop", "123456789012", "shop", None),
        ("arn:aws:iam::123456789012:user/ann", "123456789012", None, None),
        ("arn:aws:iam::123456789012:root", "123456789012", None, None),
        ("arn:aws:sts::123456789012:federated-user/ann", "123456789012", None, None),
    ],
)
def test_principals_of_all_kinds(arn, account, role, session):
    caller = read(f"Principal={arn}; Type=AWS_IAM")
    assert (caller.principal, caller.account) == (arn, account)
    assert (caller.role, caller.session) == (role, session)


@pytest.mark.parametrize(
    ("sent", "tags"),
    [
        (LATTICES_OWN, {}),
        ("team=web", {"team": "web"}),
        (f"team=web;{LATTICES_OWN}", {"team": "web"}),
        (f"Principal={ARN}; PrincipalOrgID=; principalOrgPath=;team=web", {"team": "web"}),
        # Tags that a caller calls so.
        (f"{LATTICES_OWN};principal=p;principalorgpath=o", {"principal": "p"}),
        (f"{LATTICES_OWN};Principal=p", {"Principal": "p"}),
    ],
)
def test_lattices_own_fields_are_no_tags(sent, tags):
    pairs = {"x-amzn-lattice-identity": IDENTITY, "x-amzn-lattice-identity-tags": sent}
    caller = CallerIdentity.from_headers(pairs)
    assert caller.authenticated
    assert dict(caller.tags).items() >= tags.items()
    assert "principalorgid" not in caller.tags
    assert (caller.principal, caller.organization_path) == (ARN, ORG_PATH)


def test_no_tag_passes_for_the_place_in_an_organization():
    tags = "principalorgpath=o-forged/r-1/ou-1/;principalorgid=o-forged"
    pairs = {
        "x-amzn-lattice-identity": f"Principal={ARN}; Type=AWS_IAM",
        "x-amzn-lattice-identity-tags": f"{tags};{tags}",
    }
    caller = CallerIdentity.from_headers(pairs)
    assert (caller.organization, caller.organization_path) == (None, None)


def test_a_tag_that_comes_twice_is_unknown():
    for sent in ("team=a;team=b", f"{LATTICES_OWN};principal=a;principal=b"):
        pairs = {"x-amzn-lattice-identity": IDENTITY, "x-amzn-lattice-identity-tags": sent}
        assert CallerIdentity.from_headers(pairs).status == "unknown"


def test_nobody_is_anonymous():
    caller = CallerIdentity.from_headers({"x-amzn-lattice-identity-tags": "admin=yes"})
    assert (caller.status, caller.principal, dict(caller.tags)) == ("anonymous", None, {})
    assert not caller.authenticated


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Principal=",
        "Principal=shop",
        "Principal=arn:aws:iam::12:role/shop",
        f"Principal={ARN}\r\nX-Evil: 1",
        f"Principal={ARN}\\; Type=AWS_IAM",
        f"Principal={ARN}; Principal=arn:aws:iam::123456789012:role/admin",
        f"Principal={ARN}; principal={ARN}",
        f"Principal={ARN}; Type=AWS_IAM,Principal=arn:aws:iam::123456789012:role/admin",
        f"Principal={ARN}; Type=AWS_IAM, Principal={ARN}; PrincipalOrgID=o",
        f"Principal={ARN}; Type=AWS_IAM,x; X509SubjectCN=admin",
        f"Type=AWS_IAM; Principal={ARN}; SessionName=a, X509SubjectCN=admin",
        # In any case.
        f"Principal={ARN}; SessionName=a,principal=arn:aws:iam::123456789012:role/admin",
        f"Principal={ARN}; SessionName=a, x509subjectcn=admin",
        f"Principal={ARN}; SessionName=a,PRINCIPALORGPATH=o-forged/",
        f"Principal={ARN}; type=AWS_IAM,x; X509SubjectCN=admin",
        f"x,Type=AWS_IAM; Principal={ARN}",
        "Principal=arn:aws:sts::123456789012:assumed-role/sh\u00f6p/x",
        "Principal=arn:aws:sts::\u0661\u0662\u0663456789012:assumed-role/shop/x",
        "\x00\ud800",
        ";" * 60_000,
        "Principal=" + "arn:aws:iam::" * 5000,
    ],
)
def test_what_cannot_be_read_is_unknown(sent):
    caller = read(sent)
    assert caller.status == "unknown"
    assert (caller.principal, caller.role, caller.session) == (None, None, None)


@pytest.mark.parametrize("write", [str.lower, str.upper, str.swapcase])
@pytest.mark.parametrize(
    "joined",
    [
        "Type=AWS_IAM,{Principal}=arn:aws:iam::123456789012:role/admin",
        "Type=AWS_IAM, {PrincipalOrgID}=o",
        "Type=AWS_IAM,\t{SessionName}=a",
        "SessionName=a,{Type}=AWS_IAM",
        "SessionName=a,{X509SubjectCN}=admin",
        "{Type}=AWS_IAM,x",
    ],
)
def test_joined_fields_in_another_case_are_unknown(write, joined):
    """Lattice's own header and a forged one, in any case."""
    others = re.sub(r"\{(\w+)\}", lambda name: write(name[1]), joined)
    caller = read(f"Principal={ARN}; {others}")
    assert (caller.status, caller.principal, caller.role) == ("unknown", None, None)


@pytest.mark.parametrize("name", ["x-amzn-lattice-identity", "x-amzn-lattice-identity-tags"])
def test_a_header_that_comes_twice_is_unknown(name):
    pairs = [*HEADERS.items(), (name.upper(), HEADERS[name])]
    caller = CallerIdentity.from_headers(pairs)
    assert (caller.status, caller.principal, dict(caller.tags)) == ("unknown", None, {})


def test_letters_that_only_look_like_ascii_name_no_header():
    caller = CallerIdentity.from_headers({"x-amzn-lattice-networ\u212a": f"SourceVpcArn={VPC}"})
    assert caller.source_vpc is None


def test_text_is_utf_8_where_it_is():
    tags = "x-amzn-lattice-identity-tags"
    for sent in ("name=Zoë".encode(), "name=Zoë".encode().decode("latin-1"), "name=Zoë"):
        pairs = [("x-amzn-lattice-identity", IDENTITY), (tags, sent)]
        assert CallerIdentity.from_headers(pairs).tags["name"] == "Zoë"


def test_it_is_a_value():
    caller = CallerIdentity.from_headers(HEADERS)
    assert len({caller, CallerIdentity.from_headers(HEADERS)}) == 1
    assert copy.deepcopy(caller) == pickle.loads(pickle.dumps(caller)) == caller
    assert isinstance(caller.tags, Mapping)
    with pytest.raises(AttributeError):
        caller.role = "admin"


@given(st.binary(max_size=200), st.sampled_from(sorted(HEADERS)), st.binary(max_size=200))
def test_nothing_in_a_header_raises(name, known, value):
    headers = [(name, value), (known.encode(), value), (known, value.decode("latin-1"))]
    assert CallerIdentity.from_headers(headers[:2]).status in ("anonymous", "unknown")
    assert CallerIdentity.from_headers(headers[2:]).status in ("anonymous", "unknown")


# What the local Lattice writes, read back


WORD = st.text("azAZ09_+=,.@-", min_size=1, max_size=20)
# IAM allows tags neither a backslash nor a semicolon; the latter has its escape nevertheless.
KEY = st.text("aZ0;:,.@/+-_é€𐍈", min_size=1, max_size=10)
TAG = st.text("aZ0;:,.@/+-_é€𐍈=", max_size=10)


@given(WORD, WORD, st.none() | WORD, st.none() | WORD, st.dictionaries(KEY, TAG))
def test_the_local_lattice_is_understood(role, session, organization, path, tags):
    principal = Principal(
        "111122223333",
        f"path/{role}",
        session,
        organization,
        tags=tags,
        organization_paths=[] if path is None else [path],
    )
    caller = CallerIdentity.from_headers(
        {
            "x-amzn-lattice-identity": identity(principal).encode().decode("latin-1"),
            "x-amzn-lattice-identity-tags": identity_tags(principal).encode().decode("latin-1"),
        }
    )
    assert caller.principal == principal.arn
    assert (caller.account, caller.role, caller.session) == ("111122223333", role, session)
    assert (caller.organization, caller.organization_path) == (organization, path)
    assert dict(caller.tags) == tags


@pytest.mark.parametrize(
    "name",
    [
        b"x-amzn-lattice-identity",
        b"X-AMZN-Lattice-Identity-Tags",
        b"x_amzn_lattice_identity",
        b"X-Amzn_Lattice-target",
        b"x-amzn-lattice-of-tomorrow",
        b"x-forwarded-for",
        b"X_Forwarded_Proto",
        b"x-forwarded-port",
        b"x-amzn-requestid",
        b"x_amzn_requestid",
    ],
)
def test_no_spelling_of_lattices_headers_gets_past(name):
    assert is_lattices_own(name)


@pytest.mark.parametrize(
    "name", [b"x-amzn-trace-id", b"x-forwarded-host", b"x-amz-date", b"host", b"x-amzn-lattic", b""]
)
def test_other_headers_pass(name):
    assert not is_lattices_own(name)


# Middlewares


def test_in_an_asgi_application():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope.get(SCOPE_KEY))

    async def calls():
        pairs = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        for kind in ("http", "websocket", "lifespan"):
            scope = {"type": kind} | ({"headers": pairs} if kind != "lifespan" else {})
            await IdentityMiddleware(app)(scope, None, None)

    asyncio.run(calls())
    assert [caller and caller.role for caller in seen] == ["shop", "shop", None]


@pytest.mark.parametrize("tags", ["team=Zoë", "team=Zo\\;ë"])
def test_in_a_wsgi_application(tags):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ[SCOPE_KEY]]

    environ = {
        "HTTP_X_AMZN_LATTICE_IDENTITY": IDENTITY,
        "HTTP_X_AMZN_LATTICE_IDENTITY_TAGS": tags.encode().decode("latin-1"),
    }
    setup_testing_defaults(environ)
    (caller,) = WSGIIdentityMiddleware(app)(environ, lambda *_: None)
    assert caller.role == "shop"
    assert caller.tags["team"].replace(";", "") == "Zoë"


def test_two_spellings_joined_by_a_wsgi_server_are_unknown():
    forged = "Principal=arn:aws:iam::123456789012:role/admin; X=1"
    for joined in (f"{forged},{IDENTITY}", f"{IDENTITY},{forged}"):
        environ = {"HTTP_X_AMZN_LATTICE_IDENTITY": joined}
        WSGIIdentityMiddleware(lambda *_: [])(environ, None)
        assert environ[SCOPE_KEY].status == "unknown"
