from __future__ import annotations

import asyncio
import math
import pickle
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsError,
    CredentialsProvider,
    DefaultCredentials,
    EnvironmentCredentials,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeAuth,
    NoCredentialsError,
    StaticCredentials,
)
from lattice_client.auth import request_signer
from lattice_client.credentials import as_provider, current
from support import canary
from support.sources import Clock

SOON = datetime.now(UTC) + timedelta(hours=6)


class TestValue:
    def test_has_four_parts_and_shows_one(self):
        value = Credentials("AKID", "canary-secret", "canary-token", SOON)
        assert "canary" not in repr(value)
        assert "canary" not in str([value])
        assert "AKID" in repr(value)
        assert value.secret_key == "canary-secret"
        assert value.expires_at == SOON

    def test_is_immutable(self):
        value = Credentials("AKID", "secret")
        with pytest.raises(AttributeError):
            value.token = "other"  # type: ignore[misc]
        with pytest.raises(AttributeError):
            del value.token
        assert value.token is None

    def test_compares_hashes_and_pickles_by_its_parts(self):
        value = Credentials("AKID", "secret", "token", SOON)
        assert pickle.loads(pickle.dumps(value)) == value
        assert {value, Credentials("AKID", "secret", "token", SOON)} == {value}
        assert value != Credentials("AKID", "secret", "other", SOON)

    def test_expiry_in_seconds_or_with_a_time_zone(self):
        assert Credentials("A", "s", expires_at=0).expires_at == datetime(1970, 1, 1, tzinfo=UTC)
        assert Credentials("A", "s", expires_at=10).expired(10)
        assert not Credentials("A", "s", expires_at=10).expired(9.9)
        with pytest.raises(InvalidCredentialsError, match="time zone"):
            Credentials("A", "s", expires_at=datetime(2026, 1, 1))  # noqa: DTZ001

    @pytest.mark.parametrize(
        "expires_at",
        ["2026-11-21", math.nan, math.inf, -math.inf, 1e20, True, b"1", [], date(2026, 11, 21)],
        ids=repr,
    )
    def test_an_expiry_that_is_no_time(self, expires_at):
        with pytest.raises(InvalidCredentialsError, match="expires_at"):
            Credentials("AKID", "secret", "token", expires_at)

    @pytest.mark.parametrize("token", [None, ""])
    def test_no_token(self, token):
        assert Credentials("AKID", "secret", token).token is None

    @pytest.mark.parametrize(
        ("parts", "field"),
        [
            (("AKID", "secret", 0), "token"),
            (("AKID", "secret", b""), "token"),
            (("AKID", "secret", False), "token"),
            (("AKID", ""), "secret_key"),
            (("", "secret"), "access_key"),
            (("AKID", None), "secret_key"),
            (("AK ID", "secret"), "access_key"),
            (("AKID", "secret", "tök"), "token"),
        ],
    )
    def test_half_of_them_is_refused(self, parts, field):
        with pytest.raises(InvalidCredentialsError, match=field):
            Credentials(*parts)

    def test_what_looks_like_no_access_key_is_not_shown(self):
        """Another service's secret may have other lengths than AWS's."""
        swapped = Credentials("canary0Secret0of0another0service", "AKIDEXAMPLE", expires_at=1)
        assert "canary" not in repr(swapped)
        assert "'AKIDEXAMPLE'" in repr(Credentials("AKIDEXAMPLE", canary.SECRET))
        provider = StaticCredentials(swapped)
        with pytest.raises(ExpiredCredentialsError) as raised:
            provider.get()
        assert "canary" not in str(raised.value)


class TestProviders:
    def test_what_users_may_pass(self):
        assert isinstance(as_provider(None), DefaultCredentials)
        value = Credentials("AKID", "secret")
        assert as_provider(value).get() is value
        environment = EnvironmentCredentials({})
        assert as_provider(environment) is environment
        with pytest.raises(ConfigurationError, match="peek"):
            as_provider(("AKID", "secret"))  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", [DefaultCredentials, BotocoreCredentials, Credentials])
    def test_a_class_instead_of_an_object(self, kind):
        with pytest.raises(ConfigurationError, match=f"give an object: {kind.__name__}"):
            as_provider(kind)

    @pytest.mark.parametrize(
        "provider",
        [
            StaticCredentials(Credentials("A", "s")),
            EnvironmentCredentials(),
            BotocoreCredentials(),
            DefaultCredentials(),
            AssumeRole("arn:aws:iam::123456789012:role/orders"),
        ],
    )
    def test_all_are_providers_and_pickle(self, provider):
        assert isinstance(provider, CredentialsProvider)
        assert repr(pickle.loads(pickle.dumps(provider))) == repr(provider)

    def test_static_ones_expire(self):
        provider = StaticCredentials(Credentials("AKID", "s", "t", time.time() - 1))
        assert provider.peek() is None
        with pytest.raises(ExpiredCredentialsError, match="AKID"):
            provider.get()


class Users:
    """A provider as users write it, right or wrong."""

    def __init__(self, peeked: object, got: object = None) -> None:
        self.peek = lambda: peeked
        self.get = lambda: got


class TestNotBelieved:
    """What a user's provider gives is checked before anything is signed with it."""

    good = Credentials("AKIDGOOD", "s")
    expired = Credentials("AKIDOLD", "s", "t", 1)

    def test_ready_ones_are_taken(self):
        assert current(Users(self.good)) is self.good
        assert current(Users(None, self.good)) is self.good

    def test_expired_ready_ones_are_fetched_again(self):
        assert current(Users(self.expired, self.good)) is self.good

    @pytest.mark.parametrize(
        ("provider", "kind", "said"),
        [
            (Users({"AccessKeyId": "canary"}), CredentialsError, "Users gave a dict"),
            (Users(None, None), CredentialsError, "Users gave a NoneType"),
            (Users(None, ("AKID", "canary")), CredentialsError, "Users gave a tuple"),
            (Users(None, expired), ExpiredCredentialsError, "AKIDOLD"),
            (Users(Credentials("ASIAHALF", "canary")), InvalidCredentialsError, "ASIAHALF"),
        ],
    )
    def test_nothing_to_sign_with(self, provider, kind, said):
        with pytest.raises(kind, match=said) as caught:
            current(provider)
        assert "canary" not in str(caught.value)
        auth = LatticeAuth(region="eu-west-1", credentials=provider)
        with pytest.raises(kind, match=said):
            auth(httpx.Request("GET", "https://a.example/"))
        if provider.peek() is None:
            with pytest.raises(kind, match=said):
                auth.prefetch_sync()

    @pytest.mark.parametrize("how", ["argument", "environment", "nowhere"])
    def test_prefetching_makes_the_signer_if_the_region_is_known(self, monkeypatch, how):
        if how == "environment":
            monkeypatch.setenv("AWS_REGION", "eu-west-1")
        provider = Users(self.good, self.good)
        auth = LatticeAuth(region="eu-west-1" if how == "argument" else None, credentials=provider)
        auth.prefetch_sync()
        made = []
        monkeypatch.setattr(
            request_signer(auth)._signers, "_make", lambda *_: made.append(1) or first
        )
        first = request_signer(auth)._make_signer(self.good, "eu-west-1", None)
        auth(httpx.Request("GET", "https://a.vpc-lattice-svcs.eu-west-1.on.aws/"))
        assert made == ([1] if how == "nowhere" else [])

    def test_what_is_written_down_is_taken_as_it_is(self):
        written = Credentials("ASIAHALF", "s")
        assert current(StaticCredentials(written)) is written


TOKENS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}


class TestEnvironment:
    def test_reads_both_keys_and_the_token(self):
        provider = EnvironmentCredentials(TOKENS)
        assert provider.get() == Credentials("A", "s", "t")
        assert provider.peek() is provider.peek() is provider.get()

    def test_reading_takes_no_fetching(self):
        assert EnvironmentCredentials(TOKENS).peek() == Credentials("A", "s", "t")

    @pytest.fixture
    def now(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr("time.time", clock)
        return clock

    def test_changed_variables_are_taken_within_a_second_or_two(self, now):
        environ = dict(TOKENS)
        provider = EnvironmentCredentials(environ)
        first = provider.peek()
        environ["AWS_SESSION_TOKEN"] = "t2"
        assert provider.peek() is first
        now.now += 1
        assert provider.peek() is first
        now.now += 0.02
        assert provider.peek() == Credentials("A", "s", "t2")

    def test_get_takes_them_at_once(self, now):
        environ = dict(TOKENS)
        provider = EnvironmentCredentials(environ)
        first = provider.get()
        assert provider.get() is first
        environ["AWS_SESSION_TOKEN"] = "t2"
        assert provider.get() == Credentials("A", "s", "t2") == provider.peek()

    def test_a_change_that_is_under_way_is_not_taken(self, now):
        """Variables are set one by one; the new key with the old secret signs nothing."""
        environ = dict(TOKENS)
        provider = EnvironmentCredentials(environ)
        first = provider.peek()
        environ["AWS_ACCESS_KEY_ID"] = "A2"
        now.now += 1
        assert provider.peek() is first
        environ["AWS_SECRET_ACCESS_KEY"] = "s2"
        now.now += 0.02
        assert provider.peek() is first
        now.now += 0.02
        assert provider.peek() == Credentials("A2", "s2", "t")

    def test_a_change_that_is_under_way_does_not_prolong_expired_ones(self, now):
        environ = {**TOKENS, "AWS_CREDENTIAL_EXPIRATION": "2100-01-01T00:00:00Z"}
        provider = EnvironmentCredentials(environ)
        first = provider.get()
        now.now = first.expires_at.timestamp() - 0.5
        environ["AWS_ACCESS_KEY_ID"] = "A2"
        assert provider.peek() is first
        now.now += 0.5
        environ["AWS_SECRET_ACCESS_KEY"] = "s2"
        assert provider.peek() is None
        environ["AWS_CREDENTIAL_EXPIRATION"] = "2101-01-01T00:00:00Z"
        assert provider.peek() is None
        assert provider.get().access_key == "A2"

    def test_unset_again(self, now):
        environ = dict(TOKENS)
        provider = EnvironmentCredentials(environ)
        assert provider.peek() is not None
        environ.clear()
        now.now += 1
        provider.peek()
        now.now += 1
        assert provider.peek() is None
        with pytest.raises(NoCredentialsError):
            provider.get()

    def test_looking_is_rare_and_equal_ones_stay_the_same_object(self, now):
        class Counting(dict):
            looks = 0

            def get(self, name, default=None):
                Counting.looks += name == "AWS_ACCESS_KEY_ID"
                return super().get(name, default)

        provider = EnvironmentCredentials(Counting(TOKENS))
        first = provider.peek()
        for _ in range(1000):
            assert provider.peek() is first
        assert Counting.looks == 1
        for _ in range(5):
            now.now += 1
            assert provider.peek() is first
        now.now -= 3600  # and a clock that steps back does not stop it
        assert provider.peek() is first
        assert Counting.looks == 7

    def test_nothing_there_is_found_out_as_rarely(self, now):
        environ: dict[str, str] = {}
        provider = EnvironmentCredentials(environ)
        assert provider.peek() is None
        environ.update(TOKENS)
        assert provider.peek() is None
        now.now += 1
        provider.peek()
        now.now += 1
        assert provider.peek() == Credentials("A", "s", "t")

    def test_expired_while_at_work(self, now):
        environ = {**TOKENS, "AWS_CREDENTIAL_EXPIRATION": "2100-01-01T00:00:00Z"}
        provider = EnvironmentCredentials(environ)
        expires_at = provider.get().expires_at.timestamp()
        now.now = expires_at - 0.5
        assert provider.peek() is not None
        now.now = expires_at
        assert provider.peek() is None
        with pytest.raises(ExpiredCredentialsError, match="AWS_CREDENTIAL_EXPIRATION"):
            provider.get()

    def test_the_old_name_of_the_token(self):
        environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}
        assert EnvironmentCredentials({**environ, "AWS_SECURITY_TOKEN": "old"}).get().token == "old"

    def test_a_temporary_key_without_its_token(self):
        environ = {"AWS_ACCESS_KEY_ID": "ASIAENV", "AWS_SECRET_ACCESS_KEY": "canary"}
        with pytest.raises(InvalidCredentialsError, match="AWS_SESSION_TOKEN") as caught:
            EnvironmentCredentials(environ).get()
        assert "canary" not in str(caught.value)
        assert EnvironmentCredentials(environ).peek() is None

    def test_they_need_none_of_what_the_others_need(self):
        code = (
            "import os, sys\n"
            f"os.environ.update({TOKENS!r})\n"
            "from lattice_client import LatticeAuth\n"
            "LatticeAuth(region='eu-west-1').prefetch_sync()\n"
            "print(*sys.modules)"
        )
        loaded = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        ).stdout.split()
        assert "lattice_client.credentials.environment" in loaded
        fetching = {"lattice_client.credentials.refreshing", "botocore", "logging", "asyncio"}
        assert not fetching & {*loaded}

    @pytest.mark.parametrize("kind", [EnvironmentCredentials, DefaultCredentials])
    def test_pickled_without_its_secrets(self, kind, monkeypatch):
        for name, value in TOKENS.items():
            monkeypatch.setenv(name, f"canary{value}")
        auth = LatticeAuth(credentials=kind())
        auth.prefetch_sync()
        for each in (auth, request_signer(auth)._signers._provider):
            pickled = pickle.dumps(each)
            assert b"canary" not in pickled
            assert type(pickle.loads(pickled)) is type(each)
        with pytest.raises(TypeError, match="mapping"):
            pickle.dumps(EnvironmentCredentials(TOKENS))

    def test_an_empty_token_is_none(self):
        environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": ""}
        assert EnvironmentCredentials(environ).get().token is None

    def test_nothing_there(self):
        with pytest.raises(NoCredentialsError, match="AWS_ACCESS_KEY_ID"):
            EnvironmentCredentials({}).get()

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_half_configured(self, name):
        with pytest.raises(InvalidCredentialsError, match=f"{name} is set") as caught:
            EnvironmentCredentials({name: "canary"}).get()
        assert "canary" not in str(caught.value)

    def test_expiration(self):
        environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}
        environ["AWS_CREDENTIAL_EXPIRATION"] = SOON.isoformat()
        assert EnvironmentCredentials(environ).get().expires_at == SOON
        environ["AWS_CREDENTIAL_EXPIRATION"] = "2020-01-01T00:00:00Z"
        with pytest.raises(ExpiredCredentialsError, match="2020"):
            EnvironmentCredentials(environ).get()
        environ["AWS_CREDENTIAL_EXPIRATION"] = "tomorrow"
        with pytest.raises(InvalidCredentialsError, match="tomorrow"):
            EnvironmentCredentials(environ).get()


class TestDefault:
    def test_the_environment_comes_first(self, aws, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert DefaultCredentials().get().access_key == "AKIDENV"

    def test_it_says_where_they_come_from_once_there_are_any(self, aws, monkeypatch):
        (aws / "credentials").write_text(
            "[default]\naws_access_key_id = AKIDFILEAKIDFILE\naws_secret_access_key = secret\n"
        )
        provider = DefaultCredentials()
        assert provider.source is None
        provider.get()
        assert provider.source == "shared-credentials-file"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVAKIDENVAKID")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert DefaultCredentials().source == "environment"

    def test_then_the_chain(self, aws):
        (aws / "credentials").write_text(
            "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = secret\n"
        )
        provider = DefaultCredentials()
        assert provider.get().access_key == "AKIDFILE"
        assert provider.peek() is provider.get()

    def test_a_warm_start_with_other_variables(self, aws, monkeypatch):
        """As in a Lambda function that was frozen, and is thawed with new credentials."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIAFIRST")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
        auth = LatticeAuth(region="eu-west-1")

        def key() -> str:
            request = auth(httpx.Request("GET", "https://a.example/"))
            return request.headers["authorization"].partition("Credential=")[2].partition("/")[0]

        assert key() == "ASIAFIRST"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIASECOND")
        auth.prefetch_sync()
        assert key() == "ASIASECOND"

    def test_threads_share_one_chain(self, aws):
        provider = DefaultCredentials()
        chains = []
        threads = [
            threading.Thread(target=lambda: chains.append(provider._botocore())) for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(chain) for chain in chains}) == 1

    def test_asked_asynchronously(self, aws, monkeypatch):
        (aws / "credentials").write_text(
            "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = secret\n"
        )
        provider = DefaultCredentials()
        assert asyncio.run(provider.get_async()).access_key == "AKIDFILE"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert asyncio.run(provider.get_async()).access_key == "AKIDENV"


def test_many_threads_do_not_take_half_a_change():
    """The variables are set one after the other; two reads in the meantime are no confirmation."""
    environ = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "s1"}
    provider = EnvironmentCredentials(environ)
    first = provider.get()
    environ["AWS_ACCESS_KEY_ID"] = "AKIA2"
    for _ in range(3):
        since, _, credentials = provider._state
        provider._state = (since, 0.0, credentials)  # as a thread that has read them already
        assert provider.peek() is first
    environ["AWS_SECRET_ACCESS_KEY"] = "s2"
    assert provider.get() == Credentials("AKIA2", "s2")
