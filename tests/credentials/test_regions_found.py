"""The region that goes to STS, and the one that the machine's metadata give."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler

import botocore.session
import pytest

from lattice_client import AssumeRole, BotocoreCredentials, LatticeAuth, RegionError
from lattice_client._auth.default_region import default_region
from lattice_client.credentials import Credentials, as_provider, metadata_region
from lattice_client.credentials.botocore_session import new_session, use_regional_sts
from support.endpoints import Endpoint, InstanceMetadata

ROLE = "arn:aws:iam::123456789012:role/orders"
KEYS = Credentials("AKID", "secret")


class TestSts:
    @pytest.fixture(autouse=True)
    def asked(self, aws, monkeypatch):
        """The URLs that botocore's STS is called at, instead of calling them."""
        (aws / "token").write_text("a.web.token")
        (aws / "config").write_text(
            f"[profile orders]\nrole_arn = {ROLE}\nsource_profile = base\n"
            f"[profile irsa]\nrole_arn = {ROLE}\nweb_identity_token_file = {aws / 'token'}\n"
            "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = secret\n"
            "[profile legacy]\nsts_regional_endpoints = legacy\nregion = eu-west-1\n"
        )
        self.urls: list[str] = []

        def send(_: object, request: object) -> None:
            self.urls.append(request.url)
            raise OSError("no network here")

        monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", send)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    @pytest.mark.parametrize("profile", ["orders", "irsa"])
    @pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
    def test_a_role_of_a_profile_asks_the_regional_one(self, profile, variable, monkeypatch):
        monkeypatch.setenv(variable, "eu-central-1")
        with pytest.raises(Exception, match="no credentials from"):
            BotocoreCredentials(profile).get()
        assert self.urls[0].startswith("https://sts.eu-central-1.amazonaws.com/")

    @pytest.mark.parametrize("profile", ["orders", "irsa"])
    @pytest.mark.parametrize("by", ["argument", "variable"])
    def test_of_an_auth_object_whose_region_is_given(self, profile, by, monkeypatch):
        if by == "variable":
            monkeypatch.setenv("AWS_PROFILE", profile)
        named = {"profile": profile} if by == "argument" else {}
        auth = pickle.loads(pickle.dumps(LatticeAuth(region="eu-central-1", **named)))
        with pytest.raises(Exception, match="no credentials from"):
            auth.prefetch_sync()
        assert self.urls[0].startswith("https://sts.eu-central-1.amazonaws.com/")

    def test_the_pods_own_variables(self, aws, monkeypatch):
        """As EKS sets them for a service account with a role, but for the region's old name."""
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(aws / "token"))
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        with pytest.raises(Exception, match="no credentials from"):
            BotocoreCredentials().get()
        assert self.urls[0].startswith("https://sts.eu-central-1.amazonaws.com/")

    @pytest.mark.parametrize(
        ("profile", "variables", "expected"),
        [
            ("orders", {"AWS_REGION": "eu-central-1"}, "regional"),
            ("legacy", {}, "legacy"),
            (
                "orders",
                {"AWS_REGION": "eu-central-1", "AWS_STS_REGIONAL_ENDPOINTS": "legacy"},
                "legacy",
            ),
        ],
    )
    def test_the_users_own_setting_stays(self, profile, variables, expected, monkeypatch):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        session = new_session(profile)
        use_regional_sts(session)
        assert session.get_config_variable("sts_regional_endpoints") == expected

    def test_without_a_region_nothing_is_set(self):
        session = new_session("orders")
        use_regional_sts(session)
        assert "region" not in session.instance_variables()

    def test_a_base_that_is_a_session_has_the_region(self):
        session = botocore.session.Session()
        session.set_credentials("AKID", "secret")
        session.set_config_variable("region", "eu-west-2")
        with pytest.raises(Exception, match="no credentials from"):
            AssumeRole(ROLE, base=session).get()
        assert self.urls[0].startswith("https://sts.eu-west-2.amazonaws.com/")

    def test_where_nothing_else_names_one_the_machine_does(self, monkeypatch):
        module = "lattice_client.credentials.assume_role.metadata_region"
        monkeypatch.setattr(module, lambda: "eu-south-2")
        with pytest.raises(Exception, match="no credentials from"):
            AssumeRole(ROLE, base=KEYS).get()
        assert self.urls[0].startswith("https://sts.eu-south-2.amazonaws.com/")


class Instance(InstanceMetadata):
    def __init__(self) -> None:
        super().__init__()
        self.zones = 0

    def get(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        if request.path != "/latest/meta-data/placement/availability-zone/":
            return super().get(request)
        self.zones += 1
        assert self.open.wait(30)
        return (200, "eu-south-2c") if self.instead is None else self.instead


class Task(Endpoint):
    def get(self, request: BaseHTTPRequestHandler) -> tuple[int, str]:
        self.calls.append(request.path)
        arn = "arn:aws:ecs:eu-south-1:123456789012:task/default/158d1c8083dd49d6b527399fd6414f5c"
        return self.instead or (200, json.dumps({"TaskARN": arn}))


@pytest.fixture
def never_asked() -> None:
    metadata_region._ASKED.forget()
    yield
    metadata_region._ASKED.forget()


@pytest.fixture
def machine(aws, monkeypatch, run_endpoint, never_asked) -> Instance:
    endpoint = run_endpoint(Instance())
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.url)
    return endpoint


@pytest.fixture
def task(aws, monkeypatch, run_endpoint, never_asked) -> Task:
    endpoint = run_endpoint(Task())
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"{endpoint.url}/v4/7f")
    return endpoint


def region_of(provider: object = KEYS) -> str:
    return default_region(as_provider(provider), "orders.example.com")


class TestMachine:
    def test_the_instances_region_is_asked_for_once(self, machine):
        assert [region_of() for _ in range(3)] == ["eu-south-2"] * 3
        assert machine.zones == 1

    def test_many_threads_ask_once(self, machine):
        machine.open.clear()
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(region_of(KEYS))) for _ in range(8)]
        for thread in threads:
            thread.start()
        machine.open.set()
        for thread in threads:
            thread.join()
        assert found == ["eu-south-2"] * 8
        assert machine.zones == 1

    def test_it_comes_last(self, machine, aws, monkeypatch):
        (aws / "config").write_text("[default]\nregion = eu-west-3\n")
        assert region_of() == "eu-west-3"
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        assert region_of() == "eu-west-1"
        assert machine.zones == 0

    def test_it_can_be_switched_off(self, machine, monkeypatch):
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(RegionError, match="neither EC2's nor ECS's metadata"):
            region_of()
        assert machine.zones == 0

    def test_one_that_does_not_know_is_asked_again_later(self, machine, monkeypatch):
        machine.instead = (500, "")
        for _ in range(3):
            with pytest.raises(RegionError):
                region_of()
        asked = machine.zones
        assert asked > 0
        machine.instead = None
        metadata_region._ASKED._asked_at -= 60
        assert region_of() == "eu-south-2"
        assert machine.zones == asked + 1

    def test_the_event_loop_goes_on(self, machine, monkeypatch):
        threads: set[int] = set()
        ask = metadata_region._ask
        monkeypatch.setattr(
            metadata_region, "_ask", lambda: threads.add(threading.get_ident()) or ask()
        )
        auth = LatticeAuth(credentials=KEYS)
        signers = auth._signer._signers
        assert signers.without_blocking("orders.example.com") is None

        async def sign() -> str:
            import httpx

            from lattice_client._wire.detect import wrap_request

            request = httpx.Request("GET", "http://orders.example.com/")
            await auth._signer.sign_async(wrap_request(request))
            return request.headers["authorization"]

        assert "/eu-south-2/" in asyncio.run(sign())
        assert threads
        assert threading.get_ident() not in threads

    def test_a_task(self, task):
        assert region_of() == "eu-south-1"
        assert region_of() == "eu-south-1"
        assert task.calls == ["/v4/7f/task"]

    @pytest.mark.parametrize("answer", [(200, "{}"), (200, "[]"), (200, "no JSON"), (404, "")])
    def test_a_task_that_says_something_else(self, task, answer):
        task.instead = answer
        with pytest.raises(RegionError):
            region_of()

    def test_what_is_no_region(self, task):
        task.instead = (200, json.dumps({"TaskARN": "a:b:c:eu-west-1a:d"}))
        with pytest.raises(RegionError, match="the region in the machine's metadata is"):
            region_of()
