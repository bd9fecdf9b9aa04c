"""Another role's credentials, from STS."""

from __future__ import annotations

import pickle
import traceback
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeAuth,
    NoCredentialsError,
    RegionError,
    StaticCredentials,
)
from support import canary
from support.sources import Clock, landed

ROLE = "arn:aws:iam::123456789012:role/orders"
KEYS = Credentials("AKIABASE", "canary/base")
VERSION = {"Action": "AssumeRole", "Version": "2011-06-15"}


def test_it_asks_for_what_it_was_told_to(sts):
    provider = AssumeRole(
        ROLE,
        session_name="nightly",
        base=KEYS,
        duration=900,
        external_id="their-id",
        tags={"team": "orders", "stage": "prod"},
        transitive_tags=["team"],
        source_identity="alice",
        policy="{}",
    )
    got = provider.get()
    assert got.access_key == "ASIAGENERATION1"
    assert got.token == f"{canary.TOKEN}1"
    assert got.expires_at is not None
    assert sts.calls == [
        VERSION
        | {
            "RoleArn": ROLE,
            "RoleSessionName": "nightly",
            "DurationSeconds": "900",
            "ExternalId": "their-id",
            "Tags.member.1.Key": "team",
            "Tags.member.1.Value": "orders",
            "Tags.member.2.Key": "stage",
            "Tags.member.2.Value": "prod",
            "TransitiveTagKeys.member.1": "team",
            "SourceIdentity": "alice",
            "Policy": "{}",
            "signed by": "AKIABASE",
        }
    ]


def test_it_asks_for_nothing_more(sts):
    AssumeRole(ROLE, base=KEYS).get()
    expected = {"RoleArn": ROLE, "RoleSessionName": "lattice-client", "signed by": "AKIABASE"}
    assert sts.calls == [VERSION | expected]


def test_with_motos_sts_and_the_default_base(moto_sts, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary/env")
    provider = AssumeRole(ROLE, tags={"team": "orders"}, duration=900)
    got = provider.get()
    assert got.access_key.startswith("ASIA")
    assert got.token
    left = got.expires_at - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert provider.peek() is got


class Base:
    """A base that rotates, as any provider may."""

    number = 0

    def peek(self):
        return None

    def get(self):
        self.number += 1
        return Credentials(f"AKIABASE{self.number}", "canary/base")


def test_the_base_is_read_at_each_call_and_the_refresh_is_the_usual_one(sts):
    clock = Clock()
    sts.clock, sts.lifetime = clock, 3600
    provider = AssumeRole(ROLE, base=Base(), clock=clock)
    first = provider.get()
    clock.now += 3000
    assert provider.peek() is first
    landed(provider)
    assert provider.peek().access_key == "ASIAGENERATION2"
    assert [call["signed by"] for call in sts.calls] == ["AKIABASE1", "AKIABASE2"]


def test_a_role_through_a_role(sts):
    middle = AssumeRole(ROLE, base=KEYS)
    last = AssumeRole("arn:aws-cn:iam::123456789012:role/path/to/last", base=middle)
    assert last.get().access_key == "ASIAGENERATION2"
    assert [call["signed by"] for call in sts.calls] == ["AKIABASE", "ASIAGENERATION1"]


def refused(provider, kind=CredentialsError) -> str:
    with pytest.raises(kind) as caught:
        provider.get()
    assert "canary/" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def test_what_sts_refuses(sts):
    text = "User: alice is not authorized\ncanary/canonical-request"
    sts.instead = (403, sts.error("AccessDenied", text))
    said = refused(AssumeRole(ROLE, base=KEYS), NoCredentialsError)
    assert ROLE in said
    assert "AssumeRole was answered AccessDenied: User: alice is not authorized" in said


@pytest.mark.parametrize("field", ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"])
def test_half_an_answer(sts, field):
    sts.without = {field}
    refused(AssumeRole(ROLE, base=KEYS), InvalidCredentialsError)


@pytest.mark.parametrize("answer", ["", "{}", "<canary/xml", "<a/>"])
def test_an_answer_that_is_none(sts, answer):
    sts.instead = (200, answer)
    refused(AssumeRole(ROLE, base=KEYS))


def test_an_expired_answer(sts):
    sts.lifetime = -1
    refused(AssumeRole(ROLE, base=KEYS), ExpiredCredentialsError)


def test_a_base_that_fails_is_named(sts, aws):
    said = refused(AssumeRole(ROLE), NoCredentialsError)
    assert ROLE in said
    assert "botocore's chain" in said
    expired = StaticCredentials(Credentials("AKIAOLD", "canary/old", None, 1))
    assert "AKIAOLD" in refused(AssumeRole(ROLE, base=expired), ExpiredCredentialsError)
    assert sts.calls == []


def test_no_server_there(monkeypatch, aws):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    said = refused(AssumeRole(ROLE, base=KEYS, region="eu-west-1"), NoCredentialsError)
    assert "EndpointConnectionError" in said


class TestRegion:
    def test_the_endpoint_is_the_regions_own(self, aws, monkeypatch):
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        seen = self.host_asked(monkeypatch)
        refused(AssumeRole(ROLE, base=KEYS))
        refused(AssumeRole(ROLE, base=KEYS, region="eu-central-1"))
        (aws / "config").write_text("[default]\nregion = eu-south-1\n")
        monkeypatch.delenv("AWS_REGION")
        refused(AssumeRole(ROLE, base=KEYS))
        regions = ("eu-west-1", "eu-central-1", "eu-south-1")
        assert seen == [f"https://sts.{region}.amazonaws.com/" for region in regions]

    def host_asked(self, monkeypatch) -> list[str]:
        seen: list[str] = []

        def send(_, request):
            seen.append(request.url)
            raise ValueError("no network here")

        monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", send)
        return seen

    def test_a_signature_is_for_the_role_s_region(self, aws, sts, monkeypatch):
        """Where neither the auth object nor the host nor the environment names one."""
        monkeypatch.delenv("AWS_REGION")

        def signed_for(provider) -> str:
            request = LatticeAuth(credentials=provider)(httpx.Request("GET", "https://a.example/"))
            return request.headers["authorization"].partition("Credential=")[2].split("/")[2]

        assert signed_for(AssumeRole(ROLE, base=KEYS, region="eu-south-1")) == "eu-south-1"
        (aws / "config").write_text("[profile orders]\nregion = eu-west-3\n")
        (aws / "credentials").write_text(
            "[orders]\naws_access_key_id = AKIAFILE\naws_secret_access_key = canary/file\n"
        )
        base = BotocoreCredentials("orders")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
        provider = AssumeRole(ROLE, base=base)
        provider.get()
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        assert signed_for(provider) == "eu-west-3"
        assert signed_for(AssumeRole(ROLE, base=base, region="eu-south-1")) == "eu-south-1"

    def test_a_base_that_knows_none(self):
        assert AssumeRole(ROLE, base=KEYS).region() is None
        assert AssumeRole(ROLE, base=AssumeRole(ROLE, base=KEYS, region="eu-south-1")).region() == (
            "eu-south-1"
        )

    def test_there_is_none(self, aws):
        assert "AWS_REGION" in refused(AssumeRole(ROLE, base=KEYS))


@pytest.mark.parametrize(
    "wrong",
    [
        {"role_arn": "orders"},
        {"role_arn": "arn:aws:iam::123456789012:user/orders"},
        {"session_name": "a"},
        {"session_name": "two words"},
        {"duration": 60},
        {"duration": 50_000},
        {"duration": 900.0},
        {"tags": ["orders"]},
        {"transitive_tags": "orders"},
        {"base": AssumeRole},
    ],
)
def test_arguments_that_cannot_work(wrong):
    with pytest.raises(ConfigurationError, match=r"orders|session_name|duration|AssumeRole"):
        AssumeRole(**{"role_arn": ROLE, **wrong})


@pytest.mark.parametrize("region", ["eu-west-1a", "EU-WEST-1", "eu west 1", "", 1])
def test_what_is_no_region(region):
    with pytest.raises(RegionError, match=r"^region "):
        AssumeRole(ROLE, base=KEYS, region=region)


def test_it_pickles_if_its_base_does(sts, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary/env")
    provider = AssumeRole(ROLE, tags={"team": "orders"}, duration=900)
    provider.get()
    pickled = pickle.dumps(provider)
    assert b"canary" not in pickled
    assert b"botocore" not in pickled  # nor AWS's data, which the first call has loaded
    again = pickle.loads(pickled)
    assert repr(again) == repr(provider)
    again.get()
    assert sts.calls[0] == sts.calls[1]
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(AssumeRole(ROLE, base=type("Local", (Base,), {})()))
