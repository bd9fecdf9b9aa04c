"""Credentials that botocore's own objects hold and refresh."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
from datetime import UTC, datetime, timedelta

import boto3
import botocore.session
import httpx
import pytest
from botocore.credentials import Credentials as PlainCredentials
from botocore.credentials import (
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
    RefreshableCredentials,
)

from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    Credentials,
    CredentialsError,
    LatticeAuth,
    NoCredentialsError,
    RegionError,
)
from lattice_client._auth.default_region import default_region
from lattice_client.credentials import as_provider
from lattice_client.names.aws_api import AwsApi
from lattice_client.signing import SigV4Signer
from support import canary
from support.processes import in_a_child
from support.sources import Clock, landed

HOUR = timedelta(hours=1)


class Wheel:
    """The refresh of botocore's credentials: another generation at each call."""

    def __init__(self, lifetime: timedelta = HOUR) -> None:
        self.lifetime = lifetime
        self.calls = 0
        self.threads: set[int] = set()
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> dict[str, str]:
        self.threads.add(threading.get_ident())
        self.calls += 1
        number = self.calls
        assert self.open.wait(30)
        return {
            "access_key": f"ASIAGENERATION{number}",
            "secret_key": f"{canary.SECRET}{number}",
            "token": f"{canary.TOKEN}{number}",
            "expiry_time": (datetime.now(UTC) + self.lifetime).isoformat(),
        }


def refreshable(wheel: Wheel, **settings: int) -> RefreshableCredentials:
    return RefreshableCredentials.create_from_metadata(wheel(), wheel, "wheel", **settings)


def test_no_signature_is_torn_while_botocore_rotates():
    """Real refreshable credentials, refreshed at each read by another user of the object, with
    threads that take turns every µs."""
    wheel = Wheel()
    live = refreshable(wheel, advisory_timeout=7200)
    auth = LatticeAuth(region="eu-west-1", credentials=live)
    auth.prefetch_sync()
    failures: list[BaseException] = []
    used: set[str] = set()
    done = threading.Event()

    def sign() -> None:
        try:
            request = httpx.Request("GET", "https://a.example/")
            for _ in range(800):
                headers = auth(request).headers
                number = headers["authorization"].partition("GENERATION")[2].partition("/")[0]
                whole = Credentials(
                    f"ASIAGENERATION{number}",
                    f"{canary.SECRET}{number}",
                    f"{canary.TOKEN}{number}",
                )
                now = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                signed = SigV4Signer(whole, "eu-west-1").sign("GET", "a.example", "/", now=now)
                assert headers["x-amz-security-token"] == whole.token
                assert headers["authorization"] == signed["Authorization"]
                used.add(number)
        except BaseException as failure:  # noqa: BLE001 it is raised below
            failures.append(failure)

    def other_user() -> None:
        while not done.is_set():
            live.get_frozen_credentials()
            done.wait(0.0005)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=sign) for _ in range(3)]
    other = threading.Thread(target=other_user)
    try:
        for thread in (*threads, other):
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]
    assert len(used) > 10


class TestLive:
    def test_deferred_ones_are_fetched_off_the_loop_and_once(self):
        wheel = Wheel()
        provider = as_provider(DeferredRefreshableCredentials(wheel, "wheel"))
        assert provider.peek() is None

        async def ask() -> list[Credentials]:
            return await asyncio.gather(*(provider.get_async() for _ in range(20)))

        assert {one.access_key for one in asyncio.run(ask())} == {"ASIAGENERATION1"}
        assert wheel.calls == 1
        assert threading.get_ident() not in wheel.threads
        assert provider.peek() is provider.get()

    def test_their_owner_refreshes_them_in_time_and_the_old_ones_serve(self):
        wheel = Wheel(timedelta(minutes=12))
        live = refreshable(wheel, advisory_timeout=60, mandatory_timeout=30)
        clock = Clock()
        provider = as_provider(live)
        provider._clock = clock
        first = provider.get()
        assert first.expires_at == live._expiry_time
        clock.now += 11 * 60 + 30
        live._time_fetcher = lambda: datetime.fromtimestamp(clock.now, UTC)
        wheel.open.clear()
        assert provider.peek() is first
        wheel.open.set()
        landed(provider)
        assert provider.peek().access_key == "ASIAGENERATION2"
        assert wheel.calls == 2

    def test_a_refresh_by_another_user_is_seen_at_once(self):
        wheel = Wheel()
        live = refreshable(wheel)
        provider = as_provider(live)
        first = provider.get()
        live._advisory_refresh_timeout = 7200
        assert live.get_frozen_credentials().access_key == "ASIAGENERATION2"
        second = provider.peek()
        assert second.access_key == "ASIAGENERATION2" != first.access_key
        assert second.expires_at == live._expiry_time
        assert provider.peek() is second

    def test_while_its_owner_refreshes_the_old_ones_serve_without_waiting(self):
        live = refreshable(Wheel())
        provider = as_provider(live)
        first = provider.get()
        with live._refresh_lock:
            live._frozen_credentials = ReadOnlyCredentials("ASIANEW", "secret", "token")
            assert provider.peek() is first
        assert provider.peek().access_key == "ASIANEW"

    def test_plain_ones_that_are_changed(self):
        live = PlainCredentials("AKIDONE", "secret")
        provider = as_provider(live)
        assert provider.get() is provider.peek()
        live.access_key = "AKIDTWO"
        assert provider.peek().access_key == "AKIDTWO"

    def test_what_they_became_cannot_be_credentials(self):
        live = PlainCredentials("AKIDONE", "secret")
        provider = as_provider(live)
        first = provider.get()
        live.access_key = ""
        assert provider.peek() is first

    def test_their_parts_are_never_read_one_by_one(self):
        class Guarded(RefreshableCredentials):
            access_key = property(lambda _: pytest.fail("read"), lambda *_: None)
            secret_key = token = access_key

        live = Guarded("AKID", "secret", "token", datetime.now(UTC) + HOUR, Wheel(), "wheel")
        provider = as_provider(live)
        assert provider.get().access_key == provider.peek().access_key == "AKID"

    @pytest.mark.parametrize("error", [OSError, RuntimeError, KeyError])
    def test_a_refresh_that_fails(self, error):
        def fail():
            raise error(canary.SECRET)

        provider = as_provider(DeferredRefreshableCredentials(fail, "wheel"))
        with pytest.raises(
            CredentialsError, match="no credentials from the botocore Deferred"
        ) as e:
            provider.get()
        assert not canary.leaks(str(e.value))

    def test_they_do_not_pickle_nor_show(self):
        for given in (PlainCredentials("AKID", canary.SECRET), boto3.Session()):
            auth = LatticeAuth(credentials=given)
            with pytest.raises(TypeError, match=r"cannot be pickled; give profile=…"):
                pickle.dumps(auth)
            provider = as_provider(given)
            assert not canary.leaks(f"{auth!r} {provider!r}")
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(BotocoreCredentials(session=boto3.Session()))


class TestRefused:
    def test_an_owner_that_has_others(self):
        wheel = Wheel()
        live = refreshable(wheel)
        provider = as_provider(live)
        first = provider.get()
        live._frozen_credentials = ReadOnlyCredentials("ASIANEW", "secret", "token")
        assert provider.refused(first) is True
        assert provider.peek().access_key == "ASIANEW"

    def test_an_owner_is_asked_again_however_fresh_they_are(self):
        wheel = Wheel()
        live = refreshable(wheel)
        provider = as_provider(live)
        first = provider.get()
        live._advisory_refresh_timeout = 7200  # the next question refreshes
        provider.refused(first).result(10)
        assert provider.peek().access_key == "ASIAGENERATION2"

    def test_an_owner_that_has_no_others(self):
        provider = as_provider(PlainCredentials("AKID", "secret"))
        first = provider.get()
        provider.refused(first).result(10)
        assert provider.peek() is first


class TestSession:
    @pytest.mark.parametrize("when", ["while it is asked", "before the fetch ends"])
    def test_one_that_is_given_others_during_a_fetch(self, when):
        class Session(botocore.session.Session):
            def get_credentials(self):
                held = super().get_credentials()
                if when == "while it is asked" and held.access_key == "AKIDONE":
                    self.set_credentials("AKIDTWO", "secret")
                return held

        session = Session()
        session.set_credentials("AKIDONE", "secret")
        provider = as_provider(session)
        fetch = provider._fetch

        def fetch_and_replace() -> Credentials:
            found = fetch()
            if found.access_key == "AKIDONE":
                session.set_credentials("AKIDTWO", "secret")
                assert provider.peek() is None
            return found

        provider._fetch = fetch_and_replace
        provider.get()
        assert (provider.peek() or provider.get()).access_key == "AKIDTWO"

    @pytest.mark.parametrize("kind", [boto3.Session, botocore.session.Session])
    @pytest.mark.parametrize("refused", [True, False])
    def test_one_that_is_given_others_signs_with_these(self, kind, refused):
        session = kind()
        core = getattr(session, "_session", session)
        core.set_credentials("AKIDONE", "secret")
        provider = as_provider(session)
        first = provider.get()
        core.set_credentials("AKIDTWO", "secret")
        if refused:
            provider.refused(first).result(10)
        else:
            assert provider.peek() is None
            assert provider.get().access_key == "AKIDTWO"
        assert provider.peek().access_key == "AKIDTWO"
        assert provider.peek() is provider.peek()

    @pytest.mark.parametrize("kind", [boto3.Session, botocore.session.Session])
    def test_one_without_credentials(self, kind, aws):
        auth = LatticeAuth(credentials=kind())
        with pytest.raises(NoCredentialsError, match="Session: it has none"):
            auth.prefetch_sync()

    def test_one_whose_login_has_expired_names_its_profile(self, aws):
        (aws / "config").write_text(
            "[profile orders]\nsso_start_url = https://a.example/\nsso_region = eu-west-1\n"
            "sso_account_id = 123456789012\nsso_role_name = orders\n"
        )
        provider = as_provider(boto3.Session(profile_name="orders"))
        with pytest.raises(CredentialsError, match="aws sso login --profile orders"):
            provider.get()

    def test_an_asynchronous_one_that_nothing_told_apart(self):
        async def later() -> None: ...

        class Session:
            def get_credentials(self):
                return later()

        with pytest.raises(CredentialsError, match="asynchronous"):
            as_provider(Session()).get()

    def test_as_a_base(self, sts):
        session = boto3.Session("AKIDBASE", "secret", region_name="eu-west-2")
        role = AssumeRole("arn:aws:iam::123456789012:role/orders", base=session)
        assert role.get().access_key == "ASIAGENERATION1"
        assert sts.calls[0]["signed by"] == "AKIDBASE"

    def test_where_the_credentials_are_from(self):
        provider = as_provider(boto3.Session("AKID", "secret"))
        assert provider.source is None
        provider.get()
        assert provider.source == "explicit"


def core(**settings: str) -> botocore.session.Session:
    session = botocore.session.Session()
    for name, value in settings.items():
        session.set_config_variable(name, value)
    return session


class TestRegion:
    @pytest.fixture(autouse=True)
    def config(self, aws, monkeypatch):
        (aws / "config").write_text(
            "[default]\nregion = eu-west-3\n[profile orders]\nregion = eu-north-1\n"
            "[profile none]\noutput = json\n"
        )

    @pytest.mark.parametrize(
        ("session", "variables", "region"),
        [
            # The session's own region first, as in botocore; then the environment's.
            (lambda: boto3.Session(region_name="eu-west-1"), {}, "eu-west-1"),
            (lambda: core(region="eu-west-1"), {}, "eu-west-1"),
            (lambda: boto3.Session(region_name="eu-west-1"), {"AWS_REGION": "a-1"}, "eu-west-1"),
            (lambda: core(region="eu-west-1"), {"AWS_DEFAULT_REGION": "a-1"}, "eu-west-1"),
            (lambda: boto3.Session(profile_name="orders"), {}, "eu-north-1"),
            (lambda: core(profile="orders"), {}, "eu-north-1"),
            (lambda: boto3.Session(profile_name="orders"), {"AWS_REGION": "a-1"}, "a-1"),
            (lambda: core(profile="orders"), {"AWS_DEFAULT_REGION": "a-1"}, "a-1"),
            (lambda: core(profile="orders"), {"AWS_DEFAULT_REGION": ""}, "eu-north-1"),
            (boto3.Session, {}, "eu-west-3"),
            (lambda: PlainCredentials("AKID", "secret"), {}, "eu-west-3"),
            (lambda: ReadOnlyCredentials("AKID", "secret", None), {}, "eu-west-3"),
        ],
    )
    def test_of_an_auth_object(self, session, variables, region, monkeypatch):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        given = session()
        for provider in (as_provider(given), AssumeRole("arn:aws:iam::123456789012:role/a")):
            if isinstance(provider, AssumeRole):
                provider._base = as_provider(given)
                if isinstance(given, ReadOnlyCredentials):
                    continue  # the role has no region then, and the profile's counts
            assert default_region(provider, "orders.example.com") == region

    def test_one_without_any(self, aws):
        provider = as_provider(boto3.Session(profile_name="none"))
        with pytest.raises(RegionError, match=r"no profile or session has one.*pass region=…"):
            default_region(provider, "orders.example.com")

    def test_one_that_cannot_be_one(self):
        provider = as_provider(boto3.Session(region_name="eu-west-1a"))
        with pytest.raises(RegionError, match="the session's region is 'eu-west-1a', a zone"):
            default_region(provider, "orders.example.com")

    @pytest.mark.parametrize("named", ["argument", "host", "session"])
    def test_what_comes_first(self, named):
        session = boto3.Session("AKID", "secret", region_name="eu-west-1")
        region = {"argument": "us-east-2"}.get(named)
        host = {"host": "a-0123456789abcdef0.7d67968.vpc-lattice-svcs.us-west-2.on.aws"}.get(
            named, "orders.example.com"
        )
        auth = LatticeAuth(region=region, credentials=session)
        scope = auth(httpx.Request("GET", f"https://{host}/")).headers["authorization"]
        expected = {"argument": "us-east-2", "host": "us-west-2", "session": "eu-west-1"}[named]
        assert f"/{expected}/vpc-lattice-svcs/" in scope

    def test_of_a_source_of_names(self):
        session = boto3.Session("AKID", "secret", region_name="eu-west-1")
        api = AwsApi("servicediscovery", region=None, credentials=session, endpoint_url=None)
        assert api._ready_client().meta.region_name == "eu-west-1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_their_owner_refreshes():
    """Its lock is held by a thread that the child does not have."""
    wheel = Wheel()
    live = refreshable(wheel)
    provider = as_provider(live)
    first = provider.get()
    live._advisory_refresh_timeout = live._mandatory_refresh_timeout = 7200
    wheel.open.clear()
    refreshing = threading.Thread(target=live.get_frozen_credentials)
    refreshing.start()
    while not live._refresh_lock.locked():
        pass

    def child() -> None:
        assert provider.peek() is first
        wheel.open.set()
        provider.refused(first).result(10)
        assert provider.peek().access_key == "ASIAGENERATION3"

    try:
        assert in_a_child(child)
    finally:
        wheel.open.set()
        refreshing.join()
