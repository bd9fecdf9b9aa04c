"""botocore's chain, driven through its own variables and files, against endpoints on loopback."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import sys
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from botocore.credentials import ReadOnlyCredentials

from lattice_client import (
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsError,
    DefaultCredentials,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    NoCredentialsError,
)
from support import canary
from support.endpoints import ROLE, SsoPortal
from support.processes import in_a_child
from support.sources import Clock, landed

HOUR = 3600
MINUTE = 60


def refused(provider, kind=CredentialsError) -> str:
    """The message of a failing fetch, which may hold no secret."""
    with pytest.raises(kind) as caught:
        provider.get()
    assert provider.peek() is None
    everything = "".join(traceback.format_exception(caught.value))
    assert "canary/" not in everything
    return str(caught.value)


class TestInstance:
    def test_credentials_of_its_role(self, instance):
        provider = BotocoreCredentials()
        got = provider.get()
        assert got.access_key == "ASIAGENERATION1"
        assert got.token == f"{canary.TOKEN}1"
        assert got.expires_at is not None
        assert instance.calls == [instance.FOLDER + ROLE]
        assert provider.peek() is got

    def test_its_expiry_is_taken_as_it_is_said(self, instance):
        """botocore would invent a later one."""
        instance.lifetime = 5 * MINUTE
        expires_at = BotocoreCredentials().get().expires_at
        assert expires_at < datetime.now(UTC) + timedelta(minutes=5, seconds=1)
        assert len(instance.calls) == 1

    def test_the_same_ones_until_it_has_newer(self, instance):
        clock = Clock()
        instance.lifetime = 10 * MINUTE
        instance.clock = Clock(clock.now)  # it stands still, and so does the expiry
        provider = BotocoreCredentials(clock=clock)
        first = provider.get()
        instance.issue, issued = lambda _: issued, instance.issue(None)
        issued["AccessKeyId"] = "ASIAGENERATION1"
        issued["SecretAccessKey"] = f"{canary.SECRET}1"
        issued["Token"] = f"{canary.TOKEN}1"
        clock.now += 6 * MINUTE
        provider.peek()
        landed(provider)
        assert provider.peek() is first

    @pytest.mark.parametrize(
        "instead",
        [(200, '{"AccessKeyId": "canary/half'), (200, "[]"), (200, "{}"), (500, "canary/oops")],
        ids=["half", "a list", "nothing", "500"],
    )
    def test_answers_that_are_none(self, instance, instead):
        instance.instead = instead
        assert "botocore's chain" in refused(BotocoreCredentials())

    @pytest.mark.parametrize("field", ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"])
    def test_answers_that_lack_something(self, instance, field):
        instance.without = {field}
        refused(BotocoreCredentials())

    def test_expired_ones(self, instance):
        instance.lifetime = -60
        assert "iam-role" in refused(BotocoreCredentials(), ExpiredCredentialsError)

    def test_without_a_session_there_are_none(self, instance):
        instance.TOKEN = "another"
        instance.put = lambda _: (403, "")
        refused(BotocoreCredentials(), NoCredentialsError)

    def test_an_outage_and_its_end(self, instance):
        clock = Clock()
        instance.clock = clock
        instance.lifetime = HOUR
        provider = BotocoreCredentials(clock=clock)
        first = provider.get()
        instance.instead = (503, "canary/unavailable")
        clock.now += 50 * MINUTE
        assert provider.peek() is first
        landed(provider)
        assert provider.peek() is first
        clock.now += 10 * MINUTE
        said = refused(provider, ExpiredCredentialsError)
        assert "expired at" in said
        assert "'iam-role' gave some before" in said
        instance.instead = None
        clock.now += 10
        assert provider.get().access_key != first.access_key


class TestContainer:
    def test_its_token_is_read_at_each_fetch(self, container, aws):
        clock = Clock()
        container.clock = clock
        provider = BotocoreCredentials(clock=clock)
        first = provider.get()
        assert first.access_key == "ASIAGENERATION1"
        container.authorization = "canary/pod-2"
        (aws / "token").write_text(container.authorization)
        clock.now += container.lifetime - 10 * MINUTE
        assert provider.peek() is first
        landed(provider)
        assert provider.peek().access_key == "ASIAGENERATION2"

    def test_short_lived_ones_are_fetched_once(self, container):
        container.lifetime = 5 * MINUTE
        provider = BotocoreCredentials()
        assert provider.get() is provider.get() is provider.peek()
        assert len(container.calls) == 1

    def test_expired_ones(self, container):
        container.lifetime = -1
        assert "container-role" in refused(BotocoreCredentials(), ExpiredCredentialsError)

    @pytest.mark.parametrize("field", ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"])
    def test_answers_that_lack_something(self, container, field):
        container.without = {field}
        said = refused(BotocoreCredentials(), InvalidCredentialsError)
        assert field in said
        assert "container-role" in said

    def test_what_it_answers_is_not_repeated(self, container, monkeypatch):
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
        container.authorization = "another"
        assert "CredentialRetrievalError" in refused(BotocoreCredentials())
        container.authorization = "canary/pod-1"
        container.instead = (200, '{"SecretAccessKey": "canary/')
        assert "CredentialRetrievalError" in refused(BotocoreCredentials())

    def test_a_host_that_botocore_does_not_ask(self, aws, monkeypatch):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://ecs-local/?canary/uri")
        said = refused(BotocoreCredentials(), NoCredentialsError)
        assert "AWS_CONTAINER_CREDENTIALS_FULL_URI: Unsupported host 'ecs-local'" in said

    def test_no_server_where_it_should_be(self, aws, monkeypatch, nobody_listens):
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
        url = f"http://u:canary/word@127.0.0.1:{nobody_listens}/".replace("canary/", "canary%2F")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url + "?canary/uri")
        said = refused(BotocoreCredentials(), NoCredentialsError)
        assert f"no connection to 127.0.0.1:{nobody_listens} (" in said
        assert "canary" not in said

    def test_a_token_file_that_is_not_there(self, container, aws):
        (aws / "token").unlink()
        said = refused(BotocoreCredentials())
        assert "FileNotFoundError" in said
        assert "token" in said

    def test_fifty_threads_ask_once(self, container):
        container.open.clear()
        provider = BotocoreCredentials()
        got: list[Credentials] = []
        threads = [threading.Thread(target=lambda: got.append(provider.get())) for _ in range(50)]
        for thread in threads:
            thread.start()
        container.open.set()
        for thread in threads:
            thread.join(30)
        assert len(container.calls) == 1
        assert len({id(each) for each in got}) == 1
        assert len(got) == 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_during_a_refresh(container):
    """With all of botocore's locks and connections where a fork finds them."""
    clock = Clock()
    container.clock = clock
    provider = BotocoreCredentials(clock=clock)
    first = provider.get()
    container.open.clear()
    clock.now += container.lifetime - 10 * MINUTE
    assert provider.peek() is first
    while len(container.calls) < 2:
        time.sleep(0.001)

    def child() -> None:
        assert provider.peek() is first
        clock.now += HOUR
        got = provider.get()
        assert got is provider.peek()
        assert got.access_key not in ("ASIAGENERATION1", "ASIAGENERATION2")

    def parent() -> None:
        clock.now += HOUR  # for the endpoint too, which is the parent's
        container.open.set()
        assert provider.get().access_key.startswith("ASIAGENERATION")

    assert in_a_child(child, parent)


def process(folder, expires_in: timedelta | None, **changes: str | None) -> None:
    """A profile whose credentials come from a process, a new generation at each call."""
    answer = {
        "Version": 1,
        "AccessKeyId": "ASIAGENERATION",
        "SecretAccessKey": canary.SECRET,
        "SessionToken": canary.TOKEN,
        "Expiration": expires_in and (datetime.now(UTC) + expires_in).isoformat(),
        **changes,
    }
    answer = {name: value for name, value in answer.items() if value is not None}
    (folder / "process.py").write_text(
        "import pathlib, sys\n"
        f"calls = pathlib.Path({str(folder / 'calls')!r})\n"
        "n = len(calls.read_text()) if calls.exists() else 0\n"
        "calls.write_text('x' * (n + 1))\n"
        f"print({json.dumps(answer)!r}.replace('GENERATION', f'GENERATION{{n}}'))\n"
    )
    (folder / "config").write_text(
        f"[default]\ncredential_process = {json.dumps(sys.executable)} {folder / 'process.py'}\n"
    )


class TestProcess:
    def test_it_is_run_once_for_one_snapshot(self, aws):
        process(aws, timedelta(minutes=5))
        provider = BotocoreCredentials()
        got = provider.get()
        assert got == Credentials("ASIAGENERATION0", canary.SECRET, canary.TOKEN, got.expires_at)
        assert provider.get() is provider.peek() is got
        assert (aws / "calls").read_text() == "x"

    def test_keys_without_expiry_are_kept(self, aws):
        process(aws, None, AccessKeyId="AKIAGENERATION", SessionToken=None)
        provider = BotocoreCredentials()
        assert provider.get() is provider.peek() is provider.get()
        assert provider.get().token is None

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({"SessionToken": None}, InvalidCredentialsError),
            ({"SecretAccessKey": None}, CredentialsError),
            ({"SecretAccessKey": "canary/new\nline"}, InvalidCredentialsError),
            ({"Expiration": "2020-01-01T00:00:00Z"}, ExpiredCredentialsError),
            ({"Expiration": "tomorrow"}, CredentialsError),
            ({"Version": 7}, CredentialsError),
        ],
        ids=lambda each: str(each)[:25],
    )
    def test_answers_that_are_none(self, aws, changes, kind):
        process(aws, timedelta(hours=1), **changes)
        refused(BotocoreCredentials(), kind)

    @pytest.mark.parametrize(
        "program",
        [
            "import sys; sys.exit('canary/on stderr')",
            "print('canary/no json')",
            "print('[1]')",
            "print('')",
        ],
    )
    def test_what_it_says_is_not_repeated(self, aws, program):
        (aws / "process.py").write_text(program)
        (aws / "config").write_text(
            f"[default]\ncredential_process = {sys.executable} {aws / 'process.py'}\n"
        )
        assert "custom-process" in refused(BotocoreCredentials())

    def test_a_program_that_is_not_there(self, aws):
        (aws / "config").write_text(f"[default]\ncredential_process = {aws / 'absent'}\n")
        assert "FileNotFoundError" in refused(BotocoreCredentials())


SOURCE_PROFILE = """
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = canary/base
[profile orders]
role_arn = arn:aws:iam::123456789012:role/orders
source_profile = base
region = eu-west-3
"""


class TestRoles:
    def test_a_profile_with_a_role_and_a_source(self, aws, moto_sts):
        (aws / "config").write_text(SOURCE_PROFILE)
        provider = BotocoreCredentials("orders")
        got = provider.get()
        assert got.access_key.startswith("ASIA")
        assert got.token
        assert got.expires_at > datetime.now(UTC) + timedelta(minutes=59)
        assert provider.region() == "eu-west-3"

    def test_it_asks_sts_once_and_again(self, aws, sts):
        (aws / "config").write_text(SOURCE_PROFILE)
        clock = Clock()
        sts.clock, sts.lifetime = clock, 15 * MINUTE
        provider = BotocoreCredentials("orders", clock=clock)
        provider.get()
        clock.now += 10 * MINUTE
        provider.peek()
        landed(provider)
        assert provider.peek().access_key == "ASIAGENERATION2"
        assert [call["signed by"] for call in sts.calls] == ["AKIABASE"] * 2

    def test_web_identity(self, aws, moto_sts, monkeypatch):
        (aws / "token").write_text("canary/web-identity")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(aws / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
        monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "pod")
        provider = DefaultCredentials()
        got = provider.get()
        assert got.access_key.startswith("ASIA")
        assert got.token
        assert provider.peek() is got
        (aws / "token").unlink()
        said = refused(BotocoreCredentials())
        assert "assume-role-with-web-identity" in said
        assert "FileNotFoundError" in said

    def test_what_sts_refuses(self, aws, sts):
        (aws / "config").write_text(SOURCE_PROFILE)
        text = "not authorized to perform: sts:AssumeRole\n\ncanary/canonical request"
        sts.instead = (403, sts.error("AccessDenied", text))
        said = refused(BotocoreCredentials("orders"), NoCredentialsError)
        assert "'orders'" in said
        assert "AccessDenied: not authorized" in said

    def test_an_mfa_code_is_not_asked_for_in_the_background(self, aws, sts):
        device = "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
        (aws / "config").write_text(SOURCE_PROFILE)
        clock = Clock()
        sts.clock = clock
        provider = BotocoreCredentials("orders", clock=clock)
        provider.get()
        (aws / "config").write_text(SOURCE_PROFILE + device)
        clock.now += sts.lifetime
        assert "MFA code" in refused(provider, ExpiredCredentialsError)
        assert len(sts.calls) == 1


class TestSso:
    URL = "https://example.awsapps.com/start"

    @pytest.fixture
    def portal(self, aws, monkeypatch, run_endpoint):
        endpoint = run_endpoint(SsoPortal())
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", endpoint.url)
        monkeypatch.setattr("botocore.credentials.SSOProvider._SSO_TOKEN_CACHE_DIR", str(aws))
        (aws / "config").write_text(
            f"[profile sso]\nsso_start_url = {self.URL}\nsso_region = eu-west-1\n"
            "sso_account_id = 123456789012\nsso_role_name = orders\n"
        )
        return endpoint

    def log_in(self, aws, token: str, expires_in: timedelta) -> None:
        name = hashlib.sha1(self.URL.encode()).hexdigest()
        expires_at = (datetime.now(UTC) + expires_in).strftime("%Y-%m-%dT%H:%M:%SZ")
        (aws / f"{name}.json").write_text(
            json.dumps({"startUrl": self.URL, "accessToken": token, "expiresAt": expires_at})
        )

    def test_a_cached_token(self, aws, portal):
        self.log_in(aws, "canary/sso", timedelta(hours=8))
        provider = BotocoreCredentials("sso")
        assert provider.get().access_key == "ASIAGENERATION1"
        assert provider.get().token == f"{canary.TOKEN}1"
        assert portal.calls == [{"role_name": ["orders"], "account_id": ["123456789012"]}]

    @pytest.mark.parametrize(
        ("token", "hours"), [("canary/another", 8), ("canary/old", -1)], ids=["refused", "expired"]
    )
    def test_a_token_that_is_none_any_more(self, aws, portal, token, hours):
        self.log_in(aws, token, timedelta(hours=hours))
        assert "aws sso login" in refused(BotocoreCredentials("sso"), ExpiredCredentialsError)

    def test_before_the_first_login(self, aws, portal):
        said = refused(BotocoreCredentials("sso"), ExpiredCredentialsError)
        assert "run aws sso login --profile sso (" in said

    @pytest.fixture
    def session(self, aws, portal, monkeypatch):
        """A profile with an sso-session, whose token botocore could renew."""
        monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(aws))
        (aws / "config").write_text(
            f"[sso-session corp]\nsso_start_url = {self.URL}\nsso_region = eu-west-1\n"
            "[profile 'my orders']\nsso_session = corp\n"
            "sso_account_id = 123456789012\nsso_role_name = orders\n"
        )
        monkeypatch.setenv("AWS_PROFILE", "my orders")

        def log_in(expires_in: timedelta) -> None:
            expires_at = (datetime.now(UTC) + expires_in).strftime("%Y-%m-%dT%H:%M:%SZ")
            (aws / f"{hashlib.sha1(b'corp').hexdigest()}.json").write_text(
                json.dumps(
                    {"startUrl": self.URL, "accessToken": "canary/sso", "expiresAt": expires_at}
                )
            )

        return log_in

    @pytest.mark.parametrize("provider", [BotocoreCredentials, DefaultCredentials])
    def test_a_session_that_is_no_more(self, session, provider):
        session(timedelta(hours=-1))
        said = refused(provider(), ExpiredCredentialsError)
        assert "the login of profile 'my orders' has expired" in said
        assert "run aws sso login --profile 'my orders' (" in said

    @pytest.mark.parametrize("given", [True, False], ids=["by a session", "by name"])
    @pytest.mark.parametrize(
        "login", ["sso_session = corp", f"sso_start_url = {URL}\nsso_region = eu-west-1"]
    )
    def test_the_login_of_a_source_profile(self, aws, session, given, login):
        """A chain of roles: only the last profile has a login."""
        session(timedelta(hours=-1))
        role = "role_arn = arn:aws:iam::123456789012:role/orders\nsource_profile ="
        (aws / "config").write_text(
            f"[sso-session corp]\nsso_start_url = {self.URL}\nsso_region = eu-west-1\n"
            f"[profile dev]\n{login}\nsso_account_id = 123456789012\nsso_role_name = orders\n"
            f"[profile chained]\n{role} dev\n[profile twice]\n{role} chained\n"
        )
        if given:
            provider = BotocoreCredentials(session=botocore.session.Session(profile="twice"))
        else:
            provider = BotocoreCredentials("twice")
        said = refused(provider, ExpiredCredentialsError)
        assert "the login of profile 'dev' has expired" in said
        assert "run aws sso login --profile dev (" in said

    def test_a_session_that_never_was(self, session):
        said = refused(BotocoreCredentials("my orders"), ExpiredCredentialsError)
        assert "run aws sso login --profile 'my orders' (" in said

    def test_a_session_that_holds(self, session):
        session(timedelta(hours=8))
        assert BotocoreCredentials().get().access_key == "ASIAGENERATION1"


class TestFiles:
    def test_a_profile(self, aws):
        (aws / "credentials").write_text(
            "[orders]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = canary\n"
        )
        (aws / "config").write_text("[profile orders]\nregion = eu-west-3\n")
        provider = BotocoreCredentials(profile="orders")
        assert provider.peek() is None
        assert provider.get() == Credentials("AKIDPROFILE", "canary")
        assert provider.peek() is provider.get()
        assert provider.region() == "eu-west-3"

    def test_half_a_profile(self, aws):
        (aws / "credentials").write_text("[default]\naws_access_key_id = AKID\n")
        said = refused(BotocoreCredentials(), InvalidCredentialsError)
        assert "aws_secret_access_key" in said

    def test_nothing_anywhere(self, aws):
        assert "AWS_PROFILE" in refused(BotocoreCredentials(), NoCredentialsError)

    def test_nothing_in_the_profile_that_is_set(self, aws, monkeypatch):
        (aws / "config").write_text("[profile orders]\nregion = eu-west-3\n")
        monkeypatch.setenv("AWS_PROFILE", "orders")
        for provider in (BotocoreCredentials(), BotocoreCredentials("orders")):
            said = refused(provider, NoCredentialsError)
            assert "the profile 'orders'" in said
            assert "Set AWS_PROFILE" not in said

    def test_a_profile_that_is_not_there(self, aws):
        assert "absent" in refused(BotocoreCredentials(profile="absent"), NoCredentialsError)
        with pytest.raises(NoCredentialsError, match="absent"):
            BotocoreCredentials(profile="absent").region()

    def test_a_file_that_is_none(self, aws, monkeypatch):
        (aws / "config").write_text("canary/this is no [ini\n")
        assert "config" in refused(BotocoreCredentials())
        with pytest.raises(CredentialsError, match="config"):
            BotocoreCredentials().region()
        monkeypatch.setenv("AWS_PROFILE", "absent")
        with pytest.raises(CredentialsError):
            DefaultCredentials().region()

    def test_pickled_without_credentials(self, aws):
        (aws / "credentials").write_text(
            "[orders]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = canary/file\n"
        )
        provider = BotocoreCredentials("orders", advisory=60)
        provider.get()
        pickled = pickle.dumps(provider)
        assert b"canary" not in pickled
        assert b"AKID" not in pickled
        again = pickle.loads(pickled)
        assert again._advisory == 60
        assert again.get() == provider.get()


class TestSession:
    def test_keys_set_on_it(self, aws):
        import botocore.session

        session = botocore.session.Session()
        session.set_credentials("AKIDOWN", "secret")
        provider = BotocoreCredentials(session=session)
        assert provider.get().access_key == "AKIDOWN"
        with pytest.raises(TypeError, match="profile"):
            pickle.dumps(provider)
        with pytest.raises(ConfigurationError, match="not both"):
            BotocoreCredentials("orders", session=session)

    def test_its_own_refreshing_goes_on(self, aws, container):
        import botocore.session

        session = botocore.session.Session()
        clock = Clock()
        container.lifetime = 12 * MINUTE  # within botocore's window: each call refreshes
        provider = BotocoreCredentials(session=session, clock=clock)
        first = provider.get()
        calls = len(container.calls)
        clock.now += 8 * MINUTE
        provider.peek()
        landed(provider)
        assert len(container.calls) == calls + 1
        assert provider.peek().access_key == f"ASIAGENERATION{calls + 1}" != first.access_key

    @pytest.mark.parametrize("refreshes", [0, 1, 3])
    def test_keys_and_expiry_are_of_one_set(self, refreshes):
        """It may be refreshed by others between our two reads, again and again."""
        live = Live(refreshes)
        got = BotocoreCredentials(session=live).get()
        assert got.access_key == f"AKIDSET{refreshes}"
        assert got.expires_at == live.expiry_of(refreshes)
        assert live.reads == refreshes + 1

    def test_one_that_is_always_refreshed_is_not_read_for_ever(self):
        live = Live(math.inf)
        BotocoreCredentials(session=live).get()
        assert live.reads == 5


class Live:
    """A session with its credentials, which are refreshed after each of the first reads."""

    def __init__(self, refreshes: float) -> None:
        self.refreshes = refreshes
        self.reads = self.set = 0
        self.start = datetime.now(UTC) + timedelta(hours=1)

    def get_config_variable(self, name: str) -> None:
        return None

    def get_credentials(self) -> Live:
        return self

    def expiry_of(self, number: int) -> datetime:
        return self.start + timedelta(hours=number)

    @property
    def _frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(f"AKIDSET{self.set}", "secret", "token")

    @property
    def _expiry_time(self) -> datetime:
        return self.expiry_of(self.set)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        frozen = self._frozen_credentials
        self.reads += 1
        self.set += self.reads <= self.refreshes
        return frozen
