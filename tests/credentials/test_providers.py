from __future__ import annotations

import json
import pickle
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from lattice_client import (
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsProvider,
    DefaultCredentials,
    EnvironmentCredentials,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    NoCredentialsError,
    StaticCredentials,
)
from lattice_client.credentials import as_provider

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
        ("parts", "field"),
        [
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


class TestProviders:
    def test_what_users_may_pass(self):
        assert isinstance(as_provider(None), DefaultCredentials)
        value = Credentials("AKID", "secret")
        assert as_provider(value).get() is value
        environment = EnvironmentCredentials({})
        assert as_provider(environment) is environment
        with pytest.raises(ConfigurationError, match="peek"):
            as_provider(("AKID", "secret"))  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "provider",
        [
            StaticCredentials(Credentials("A", "s")),
            EnvironmentCredentials(),
            BotocoreCredentials(),
            DefaultCredentials(),
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


class TestEnvironment:
    def test_reads_both_keys_and_the_token(self):
        provider = EnvironmentCredentials(
            {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
        )
        assert provider.peek() is None
        assert provider.get() == Credentials("A", "s", "t")
        assert provider.peek() is provider.peek()

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


@pytest.fixture
def no_aws(monkeypatch, tmp_path):
    """botocore's chain with nothing in it."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


class TestBotocore:
    def test_a_profile(self, no_aws):
        (no_aws / "credentials").write_text(
            "[orders]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = canary\n"
        )
        (no_aws / "config").write_text("[profile orders]\nregion = eu-west-3\n")
        provider = BotocoreCredentials(profile="orders")
        assert provider.peek() is None
        assert provider.get() == Credentials("AKIDPROFILE", "canary")
        assert provider.peek() is provider.get()
        assert provider.region() == "eu-west-3"

    def process(self, folder, lifetime: timedelta) -> None:
        """A profile whose credentials come from a process, a new generation at each call."""
        script = folder / "credentials.py"
        expiry = (datetime.now(UTC) + lifetime).isoformat()
        script.write_text(
            "import json, os\n"
            f"path = {str(folder / 'calls')!r}\n"
            "n = os.path.getsize(path) if os.path.exists(path) else 0\n"
            "open(path, 'a').write('x')\n"
            "print(json.dumps({'Version': 1, 'AccessKeyId': f'AKID{n}', 'SecretAccessKey':"
            f" f'secret{{n}}', 'SessionToken': f'token{{n}}', 'Expiration': {expiry!r}}}))\n"
        )
        (folder / "config").write_text(
            f"[default]\ncredential_process = {json.dumps(sys.executable)} {script}\n"
        )

    def test_a_credential_process_is_one_whole_snapshot(self, no_aws):
        self.process(no_aws, timedelta(hours=1))
        provider = BotocoreCredentials()
        first = provider.get()
        number = first.access_key.removeprefix("AKID")
        assert (first.secret_key, first.token) == (f"secret{number}", f"token{number}")
        assert first.expires_at is not None
        assert provider.peek() is first

    def test_many_threads_fetch_once(self, no_aws):
        self.process(no_aws, timedelta(hours=1))
        provider = BotocoreCredentials()
        got: list[Credentials] = []
        threads = [threading.Thread(target=lambda: got.append(provider.get())) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(value) for value in got}) == 1

    def test_near_their_expiry_botocore_is_asked_again(self, no_aws):
        self.process(no_aws, timedelta(minutes=5))
        provider = BotocoreCredentials()
        first = provider.get()
        assert provider.peek() is None
        assert provider.get() != first

    def test_nothing_anywhere(self, no_aws):
        with pytest.raises(NoCredentialsError, match="AWS_PROFILE"):
            BotocoreCredentials().get()

    def test_a_profile_that_is_not_there(self, no_aws):
        with pytest.raises(NoCredentialsError, match="absent"):
            BotocoreCredentials(profile="absent").get()

    def test_a_process_that_fails(self, no_aws):
        (no_aws / "config").write_text(
            f"[default]\ncredential_process = {sys.executable} -c 'exit(3)'\n"
        )
        with pytest.raises(NoCredentialsError, match="process"):
            BotocoreCredentials().get()

    def test_a_session_of_the_users_own(self, no_aws):
        import botocore.session

        session = botocore.session.Session()
        session.set_credentials("AKIDOWN", "secret")
        provider = BotocoreCredentials(session=session)
        assert provider.get().access_key == "AKIDOWN"
        with pytest.raises(TypeError, match="profile"):
            pickle.dumps(provider)
        with pytest.raises(ConfigurationError, match="not both"):
            BotocoreCredentials("orders", session=session)


class TestDefault:
    def test_the_environment_comes_first(self, no_aws, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert DefaultCredentials().get().access_key == "AKIDENV"

    def test_then_the_chain(self, no_aws):
        (no_aws / "credentials").write_text(
            "[default]\naws_access_key_id = AKIDFILE\naws_secret_access_key = secret\n"
        )
        provider = DefaultCredentials()
        assert provider.get().access_key == "AKIDFILE"
        assert provider.peek() is provider.get()
