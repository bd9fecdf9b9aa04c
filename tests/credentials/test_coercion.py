"""What credentials= takes, and the way out of what it does not."""

from __future__ import annotations

import asyncio
import pickle
from collections import namedtuple
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType, SimpleNamespace

import boto3
import botocore.session
import pytest
from botocore.credentials import Credentials as PlainCredentials
from botocore.credentials import ReadOnlyCredentials

from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsError,
    DefaultCredentials,
    EnvironmentCredentials,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeAuth,
    RefreshingCredentials,
    SigV4Auth,
    StaticCredentials,
)
from lattice_client.credentials import as_provider
from lattice_client.names import CloudMapNames, LatticeNames, Route53Names
from lattice_client.signing import SigV4Signer
from support import canary
from support.sources import generation

EXPIRY = datetime(2040, 1, 2, 3, 4, 5, tzinfo=UTC)
STS = {
    "AccessKeyId": "ASIACANARYEXAMPLE",
    "SecretAccessKey": canary.SECRET,
    "SessionToken": canary.TOKEN,
    "Expiration": EXPIRY,
}
WHOLE = Credentials("ASIACANARYEXAMPLE", canary.SECRET, canary.TOKEN, EXPIRY)


class TestFromSts:
    @pytest.mark.parametrize(
        "expiration",
        [
            EXPIRY,
            EXPIRY.replace(tzinfo=None),
            EXPIRY.astimezone(timezone(timedelta(hours=5))),
            "2040-01-02T03:04:05Z",
            "2040-01-02T03:04:05+00:00",
            "2040-01-02T08:04:05+05:00",
            "2040-01-02T03:04:05",
            EXPIRY.timestamp(),
        ],
    )
    def test_an_expiry(self, expiration):
        assert Credentials.from_sts({**STS, "Expiration": expiration}) == WHOLE

    def test_without_an_expiry_they_stay(self):
        parts = {name: STS[name] for name in STS if name != "Expiration"}
        assert Credentials.from_sts(parts).expires_at is None

    def test_a_whole_answer_and_any_mapping(self):
        assert Credentials.from_sts({"Credentials": STS, "AssumedRoleUser": {}}) == WHOLE
        assert Credentials.from_sts(MappingProxyType(STS)) == WHOLE

    @pytest.mark.parametrize("key", ["AccessKeyId", "SecretAccessKey", "SessionToken"])
    @pytest.mark.parametrize("change", ["absent", None, ""])
    def test_a_key_that_is_missing(self, key, change):
        parts = {name: value for name, value in STS.items() if name != key}
        if change != "absent":
            parts[key] = change
        with pytest.raises(InvalidCredentialsError, match=f"has no {key}: give") as caught:
            Credentials.from_sts(parts)
        assert not canary.leaks(str(caught.value))

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"Expiration": "tomorrow"}, "Expiration is no ISO 8601 time"),
            ({"Expiration": True}, "expires_at must be"),
            ({"SecretAccessKey": 7}, "SecretAccessKey must be a str, not int"),
            ({"AccessKeyId": canary.SECRET}, "swapped"),
        ],
    )
    def test_a_part_that_cannot_be_one(self, change, says):
        with pytest.raises(InvalidCredentialsError, match=says) as caught:
            Credentials.from_sts({**STS, **change})
        assert not canary.leaks(str(caught.value))

    @pytest.mark.parametrize("given", [None, "ASIA", [("AccessKeyId", "ASIA")]])
    def test_what_is_no_mapping(self, given):
        with pytest.raises(InvalidCredentialsError, match="takes a mapping as STS gives it"):
            Credentials.from_sts(given)


class TestRecognised:
    @pytest.mark.parametrize(
        "provider",
        [
            StaticCredentials(WHOLE),
            EnvironmentCredentials(),
            DefaultCredentials(),
            BotocoreCredentials("orders"),
            RefreshingCredentials(lambda: WHOLE),
            AssumeRole("arn:aws:iam::123456789012:role/orders"),
        ],
        ids=lambda provider: type(provider).__name__,
    )
    def test_our_own_providers_stay_as_they_are(self, provider):
        assert as_provider(provider) is provider

    def test_a_provider_that_looks_like_everything_stays_as_it_is(self):
        class Provider(dict):
            access_key = secret_key = token = "its own"

            def peek(self):
                return WHOLE

            def get(self):
                return WHOLE

            def get_credentials(self):
                raise AssertionError

            get_frozen_credentials = get_credentials

        provider = Provider(AccessKeyId="AKID")
        assert as_provider(provider) is provider

    @pytest.mark.parametrize(
        "frozen",
        [
            ReadOnlyCredentials("AKID", "secret", None),
            namedtuple("Frozen", "access_key secret_key token account_id")("AKID", "secret", "", 1),  # noqa: PYI024
        ],
    )
    def test_a_frozen_set(self, frozen):
        assert as_provider(frozen).get() == Credentials("AKID", "secret")

    def test_an_expired_mapping_is_named_so(self):
        auth = LatticeAuth(credentials={**STS, "Expiration": "2020-01-01T00:00:00Z"})
        with pytest.raises(ExpiredCredentialsError, match="2020-01-01"):
            auth.prefetch_sync()

    def test_a_frozen_set_and_a_mapping_pickle(self):
        for given in (STS, ReadOnlyCredentials("AKID", "secret", None)):
            provider = as_provider(given)
            assert pickle.loads(pickle.dumps(provider)).get() == provider.get()


async def _asynchronous(_: object) -> None: ...


class AioSession:
    get_credentials = _asynchronous


class AioCredentials:
    get_frozen_credentials = _asynchronous


class Forwarding:
    """As aioboto3's session, whose method is no coroutine function."""

    def get_credentials(self):
        return _asynchronous(self)


Forwarding.__module__ = "aioboto3.session"


class Pending:
    """As what a method of aiobotocore's session gives."""

    def __await__(self): ...


class Client:
    """As boto3.client("redshift-serverless")."""

    def get_paginator(self): ...
    def get_credentials(self): ...


REFUSED = {
    "a profile's name": ("orders", "not str. For a profile's name give LatticeAuth(profile=…)"),
    "a text": (canary.SECRET, "for keys Credentials(access_key, secret_key, token)"),
    "an empty text": ("", "For a profile's name"),
    "keys": (("AKID", canary.SECRET), "not tuple. Give Credentials(access_key, secret_key, token)"),
    "a list": (["AKID", canary.SECRET], "not list. Give Credentials("),
    "nothing": ((), "Leave it out, or give None"),
    "an empty mapping": ({}, "Leave it out, or give None"),
    "False": (False, "not bool. Leave it out"),
    "a function": (lambda: WHOLE, "Give RefreshingCredentials(function)"),
    "what was not awaited": (Pending(), "not Pending. Await it, and give"),
    "a class": (boto3.Session, "credentials is the class Session; give an object: Session(…)"),
    "parts": (
        SimpleNamespace(access_key="AKID", secret_key=canary.SECRET, token=None),
        "not SimpleNamespace. Give Credentials(",
    ),
    "a client": (Client(), "not Client, a client. Give the session that made it"),
    "aiobotocore's session": (AioSession(), "AioSession, which is asynchronous. Give boto3"),
    "aiobotocore's credentials": (AioCredentials(), "AioCredentials, which is asynchronous"),
    "aioboto3's session": (Forwarding(), "Forwarding, which is asynchronous. Give boto3"),
    "half a provider": (SimpleNamespace(peek=len), "have the methods peek() and get()"),
}
TAKING = {
    "LatticeAuth": lambda given: LatticeAuth(credentials=given),
    "SigV4Auth": lambda given: SigV4Auth("execute-api", credentials=given),
    "DefaultCredentials": DefaultCredentials,
    "AssumeRole": lambda given: AssumeRole("arn:aws:iam::123456789012:role/a", base=given),
    "Route53Names": lambda given: Route53Names(credentials=given),
}


@pytest.mark.parametrize("taking", TAKING)
@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_names_the_way_out(what, taking):
    given, says = REFUSED[what]
    with pytest.raises(ConfigurationError) as caught:
        TAKING[taking](given)
    assert says in str(caught.value)
    assert not canary.leaks(str(caught.value))


@pytest.mark.parametrize("taking", TAKING)
def test_a_mapping_of_other_names(taking):
    with pytest.raises(InvalidCredentialsError, match="no AccessKeyId and no SecretAccessKey"):
        TAKING[taking]({"access_key": "AKID", "secret_key": canary.SECRET})


class TestProfile:
    def test_it_is_the_one_whose_credentials_are_taken(self, aws, monkeypatch):
        (aws / "credentials").write_text(
            "[orders]\naws_access_key_id = AKIDORDERS\naws_secret_access_key = secret\n"
        )
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
        provider = as_provider(None, "orders")
        assert provider.get().access_key == "AKIDORDERS"

    def test_not_beside_credentials(self):
        with pytest.raises(ConfigurationError, match="credentials or a profile, not both"):
            LatticeAuth(profile="orders", credentials=WHOLE)

    @pytest.mark.parametrize(
        ("profile", "says"),
        [
            ("", "profile is empty"),
            (boto3.Session(), "not a Session: give a session as session=…"),
            (PlainCredentials("AKID", "secret"), "LatticeAuth\\(credentials=…\\)"),
        ],
        ids=["empty", "a session", "credentials"],
    )
    def test_what_is_no_profile(self, profile, says):
        for take in (BotocoreCredentials, lambda given: LatticeAuth(profile=given)):
            with pytest.raises(ConfigurationError, match=says):
                take(profile)

    @pytest.mark.parametrize("session", ["orders", AioSession(), Client()], ids=type)
    def test_what_is_no_session(self, session):
        with pytest.raises(ConfigurationError, match=r"profile=|asynchronous"):
            BotocoreCredentials(session=session)

    def test_an_auth_object_with_a_profile_pickles(self):
        auth = LatticeAuth(profile="orders", region="eu-west-1")
        assert repr(pickle.loads(pickle.dumps(auth))) == repr(auth)


class TestDefaultCredentials:
    @pytest.mark.parametrize("given", [WHOLE, STS, PlainCredentials("AKID", "secret")], ids=type)
    def test_other_credentials_take_the_place_of_the_environment(self, given, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")
        provider = DefaultCredentials(given)
        assert provider.get() == as_provider(given).get()
        assert provider.peek() == provider.get()

    def test_asynchronously(self):
        class TwoMethods:
            def peek(self):
                return None

            def get(self):
                return WHOLE

        for given in (TwoMethods(), RefreshingCredentials(lambda: WHOLE)):
            assert asyncio.run(DefaultCredentials(given).get_async()) is WHOLE

    def test_a_refusal_is_told_to_what_it_was_given(self):
        assert DefaultCredentials(WHOLE).refused(WHOLE) is False
        refreshing = RefreshingCredentials(lambda: WHOLE)
        assert DefaultCredentials(refreshing).refused(generation(1)) is not False

    def test_it_pickles_with_what_it_was_given(self):
        again = pickle.loads(pickle.dumps(DefaultCredentials(WHOLE)))
        assert again.get() == WHOLE
        assert not canary.leaks(repr(again))
        assert pickle.loads(pickle.dumps(DefaultCredentials(patience=7)))._patience == 7

    def test_patience_is_not_for_other_credentials(self):
        with pytest.raises(ConfigurationError, match=r"patience is for the chain"):
            DefaultCredentials(WHOLE, patience=7)


BOTO_NAMES = {
    "profile_name": "orders",
    "region_name": "eu-west-1",
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": canary.SECRET,
    "aws_session_token": canary.TOKEN,
    "session": botocore.session.Session(),
}
CONSTRUCTORS = {
    "LatticeAuth": (LatticeAuth, ()),
    "SigV4Auth": (SigV4Auth, ("execute-api",)),
    "DefaultCredentials": (DefaultCredentials, ()),
    "AssumeRole": (AssumeRole, ("arn:aws:iam::123456789012:role/a",)),
    "BotocoreCredentials": (BotocoreCredentials, ()),
    "Credentials": (Credentials, ()),
    "Route53Names": (Route53Names, ()),
    "LatticeNames": (LatticeNames, ()),
    "CloudMapNames": (CloudMapNames, ()),
}


@pytest.mark.parametrize("name", BOTO_NAMES)
@pytest.mark.parametrize("constructor", CONSTRUCTORS)
def test_boto3s_names_are_answered_with_ours(constructor, name):
    make, positional = CONSTRUCTORS[constructor]
    if (constructor, name) == ("BotocoreCredentials", "session"):
        return  # its own
    with pytest.raises(TypeError, match=rf"{constructor} has no argument {name}: .*=") as caught:
        make(*positional, **{name: BOTO_NAMES[name]})
    trace = caught.value.__traceback__.tb_next
    assert not canary.leaks(f"{caught.value} {trace.tb_frame.f_locals}")
    assert trace.tb_next is None


@pytest.mark.parametrize(
    ("constructor", "name", "ours"),
    [
        ("LatticeAuth", "profile_name", "profile=…"),
        ("LatticeAuth", "region_name", "region=…"),
        ("LatticeAuth", "session", "credentials=…"),
        ("LatticeAuth", "aws_access_key_id", "credentials=Credentials(access_key,"),
        ("AssumeRole", "profile_name", "base=BotocoreCredentials(profile=…)"),
        ("AssumeRole", "session", "base=…"),
        ("BotocoreCredentials", "profile_name", "profile=…"),
        ("Credentials", "aws_secret_access_key", "secret_key=…"),
        ("Credentials", "aws_session_token", "token=…"),
    ],
)
def test_the_one_of_ours_that_fits(constructor, name, ours):
    make, positional = CONSTRUCTORS[constructor]
    with pytest.raises(TypeError) as caught:
        make(*positional, **{name: BOTO_NAMES[name]})
    assert f": give {ours}" in str(caught.value)


def test_a_typo_is_pythons_own_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'profil'"):
        LatticeAuth(profil="orders")


class TestSigner:
    def test_live_credentials_are_frozen_once(self):
        class Live:
            calls = 0

            @property
            def access_key(self):
                raise AssertionError

            secret_key = token = access_key

            def get_frozen_credentials(self):
                self.calls += 1
                return ReadOnlyCredentials("AKIDFROZEN", "secret", None)

        live = Live()
        signer = SigV4Signer(live, "eu-west-1")
        assert "AKIDFROZEN/" in signer.sign("GET", "a.example", "/", now=0)["Authorization"]
        assert live.calls == 1

    @pytest.mark.parametrize("given", [STS, "AKID", boto3.Session(), ("AKID", "s")], ids=type)
    def test_another_form_is_sent_to_the_auth_object(self, given):
        with pytest.raises(CredentialsError, match=r"LatticeAuth\(credentials=…\)") as caught:
            SigV4Signer(given, "eu-west-1")
        assert not canary.leaks(str(caught.value))
