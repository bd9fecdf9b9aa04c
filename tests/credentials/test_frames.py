"""What error reporters show of an error: each frame's locals, as Sentry, rich and pytest -l do."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import httpx
import pytest

import lattice_client.aiohttp
import lattice_client.httpx
import lattice_client.httpx2
import lattice_client.names as names_of
import lattice_client.requests
from adapters.drivers import CLIENTS, DRIVERS
from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    ConfigurationError,
    Credentials,
    CredentialsError,
    DefaultCredentials,
    EnvironmentCredentials,
    ExpiredCredentialsError,
    LatticeAuth,
    LatticeClientError,
    RefreshingCredentials,
    SigV4Auth,
    StaticCredentials,
)
from lattice_client.credentials import checked, current
from lattice_client.signing import SigV4ASigner, SigV4Signer
from support import canary
from support.processes import run_script

KEY = "AKIAIOSFODNN7EXAMPLE"
TEMPORARY = "ASIAIOSFODNN7EXAMPLE"
ROLE = "arn:aws:iam::123456789012:role/orders"
PAST = "2020-01-01T00:00:00Z"
# A piece of a secret that is this long counts as a leak.
PIECE = 12


class Telling(NamedTuple):
    """A user's own class of credentials, whose repr shows them."""

    access_key: str = KEY
    secret_key: str = canary.SECRET
    token: str | None = canary.TOKEN


PAIR = (KEY, canary.SECRET)
PIECES = {
    secret[start : start + PIECE]
    for secret in (canary.SECRET, canary.TOKEN)
    for start in range(len(secret) - PIECE)
}


def errors_of(error: BaseException) -> Iterator[BaseException]:
    """The error with all its causes and contexts, shown or not."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [other for other in (one.__cause__, one.__context__) if other]


def seen_in(error: BaseException) -> list[str]:
    """Where a reporter would show a piece of a secret."""
    found = []
    for one in errors_of(error):
        if holds_a_piece(f"{one} {one.args!r}"):
            found.append(f"the text of a {type(one).__name__}")
        trace = one.__traceback__
        while trace is not None:
            frame, trace = trace.tb_frame, trace.tb_next
            if str(frame.f_globals.get("__name__")).startswith("lattice_client"):
                found += [
                    f"{name} in {frame.f_code.co_qualname}"
                    for name, value in frame.f_locals.items()
                    if holds_a_piece(said_by(value))
                ]
    return found


def holds_a_piece(text: str) -> bool:
    return any(piece in text for piece in PIECES)


def said_by(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:  # of an object that is only half made
        return ""


class Gives:
    """A provider that gives something other than credentials."""

    def __init__(self, peeked: object = None, got: object = None) -> None:
        self._peeked, self._got = peeked, got

    def peek(self) -> object:
        return self._peeked

    def get(self) -> object:
        return self._got

    async def get_async(self) -> object:
        return self._got


def environment(**variables: str) -> EnvironmentCredentials:
    return EnvironmentCredentials({f"AWS_{name}": value for name, value in variables.items()})


def hook(credentials: object) -> None:
    LatticeAuth(region="eu-west-1", credentials=credentials)(
        httpx.Request("GET", "https://a.example/")
    )


def fail() -> Credentials:
    raise ValueError(canary.SECRET)


HALF = {"SECRET_ACCESS_KEY": canary.SECRET, "SESSION_TOKEN": canary.TOKEN}
WHOLE = {**HALF, "ACCESS_KEY_ID": KEY}
OLD = Credentials(KEY, canary.SECRET, canary.TOKEN, 1)

FAILING: dict[str, Callable[[], object]] = {
    "a newline in the secret": lambda: Credentials(KEY, canary.SECRET + "\n", canary.TOKEN),
    "a bad token": lambda: Credentials(KEY, canary.SECRET, canary.TOKEN + " "),
    "swapped keys": lambda: Credentials(canary.SECRET, KEY, canary.TOKEN),
    "an expiry without a zone": lambda: Credentials(*Telling(), datetime(2026, 1, 1)),  # noqa: DTZ001
    "the token as the expiry": lambda: Credentials(KEY, canary.SECRET, None, canary.TOKEN),
    "setting a part": lambda: setattr(OLD, "token", canary.TOKEN),
    "half an environment": lambda: environment(**HALF).get(),
    "an expired environment": lambda: environment(**WHOLE, CREDENTIAL_EXPIRATION=PAST).get(),
    "a bad expiration": lambda: environment(**WHOLE, CREDENTIAL_EXPIRATION="soon").get(),
    "a temporary key alone": lambda: environment(
        ACCESS_KEY_ID=TEMPORARY, SECRET_ACCESS_KEY=canary.SECRET
    ).get(),
    "a newline in the environment": lambda: environment(
        **{**WHOLE, "SECRET_ACCESS_KEY": canary.SECRET + "\n"}
    ).find(),
    "expired ones": lambda: StaticCredentials(OLD).get(),
    "a pair to an auth object": lambda: LatticeAuth(credentials=PAIR),
    "a pair to another service's": lambda: SigV4Auth("s3", credentials=PAIR),
    "a pair and a wrong argument": lambda: LatticeAuth(credentials=PAIR, placement="nowhere"),
    "a pair to a role": lambda: AssumeRole(ROLE, base=PAIR),
    "a pair to names": lambda: names_of.LatticeNames(credentials=PAIR),
    "a pair to Cloud Map": lambda: names_of.CloudMapNames(credentials=PAIR),
    "a pair to Route 53": lambda: names_of.Route53Names(credentials=PAIR),
    "no region": lambda: SigV4Signer(Telling(), ""),
    "no service": lambda: SigV4Signer(Telling(), "eu-west-1", ""),
    "no region set": lambda: SigV4ASigner(Telling(), ""),
    "a signer's bad token": lambda: SigV4Signer(Telling(token=canary.TOKEN + "\n"), "eu-west-1"),
    "a 4A signer's bad secret": lambda: SigV4ASigner(Telling(secret_key=canary.SECRET + " "), "*"),
    "a dict that is ready": lambda: current(Gives({"secret": canary.SECRET})),
    "a dict that is fetched": lambda: current(Gives(None, {"secret": canary.SECRET})),
    "checking a pair": lambda: checked(PAIR, None),
    "a hook, ready": lambda: hook(Gives({"secret": canary.SECRET})),
    "a hook, fetched": lambda: hook(Gives(None, PAIR)),
    "a hook, expired": lambda: hook(Gives(None, OLD)),
    "a hook, half": lambda: hook(Gives(Credentials(TEMPORARY, canary.SECRET))),
    "prefetching": lambda: LatticeAuth(credentials=Gives(None, PAIR)).prefetch_sync(),
    "prefetching, async": lambda: asyncio.run(
        LatticeAuth(credentials=Gives(None, PAIR)).prefetch()
    ),
    "a link": lambda: LatticeAuth(region="eu-west-1", credentials=Gives(PAIR)).presign_url(
        "GET", "https://a.example/"
    ),
    "a fetch that fails": lambda: RefreshingCredentials(fail).get(),
    "a fetch that fails, async": lambda: asyncio.run(RefreshingCredentials(fail).get_async()),
    "a fetch of a pair": lambda: RefreshingCredentials(lambda: PAIR).get(),
    "a fetch of expired ones": lambda: RefreshingCredentials(lambda: OLD).get(),
    "a role through expired ones": lambda: AssumeRole(ROLE, base=OLD).get(),
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=FAILING.keys())
def test_no_frame_of_ours_holds_a_secret(failing):
    with pytest.raises((LatticeClientError, AttributeError)) as caught:
        failing()
    assert seen_in(caught.value) == []


class Absent:
    """A finder for which cryptography is not installed."""

    def find_spec(self, name, path=None, target=None):
        if name == "cryptography":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_without_cryptography(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    with pytest.raises(ImportError) as caught:
        SigV4ASigner(Telling(), "*")
    assert seen_in(caught.value) == []


@pytest.mark.parametrize("driver", CLIENTS, ids=lambda driver: driver.name)
def test_a_pair_to_a_client(driver):
    with pytest.raises(ConfigurationError) as caught, driver.client(PAIR):
        pass
    assert seen_in(caught.value) == []


@pytest.mark.parametrize(
    "kind",
    [
        lattice_client.requests.Adapter,
        lattice_client.httpx.Transport,
        lattice_client.httpx.AsyncTransport,
        lattice_client.httpx2.Transport,
        lattice_client.httpx2.AsyncTransport,
        lattice_client.aiohttp.middleware,
    ],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_a_pair_below_a_client(kind):
    with pytest.raises(ConfigurationError) as caught:
        kind(PAIR)
    assert seen_in(caught.value) == []


@pytest.mark.parametrize("variables", [HALF, {**WHOLE, "CREDENTIAL_EXPIRATION": PAST}])
@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_a_call_of_each_library(driver, variables, monkeypatch, nobody_listens):
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with (
        driver.client(driver.auth(region="eu-west-1")) as client,
        pytest.raises(CredentialsError) as caught,
    ):
        client("GET", f"http://127.0.0.1:{nobody_listens}/")
    assert seen_in(caught.value) == []


class TestOfBotocore:
    def test_half_a_profile(self, aws):
        (aws / "credentials").write_text(f"[default]\naws_secret_access_key = {canary.SECRET}\n")
        for ask in (BotocoreCredentials().get, DefaultCredentials().get):
            with pytest.raises(CredentialsError) as caught:
                ask()
            assert seen_in(caught.value) == []

    def test_the_region_of_a_file_that_is_none(self, aws):
        (aws / "config").write_text(f"{canary.SECRET} this is no [ini\n")
        for ask in (BotocoreCredentials().region, DefaultCredentials().region):
            with pytest.raises(CredentialsError) as caught:
                ask()
            assert seen_in(caught.value) == []

    def test_what_the_user_handles_stays_the_context(self, aws):
        handled = ExpiredCredentialsError("of the user")
        try:
            raise handled
        except ExpiredCredentialsError:
            with pytest.raises(CredentialsError) as caught:
                BotocoreCredentials("absent").region()
        assert caught.value.__context__ is handled


class Failing:
    """A provider that raises one and the same error each time, as of a cached future."""

    def __init__(self, error: CredentialsError) -> None:
        self._error = error

    def peek(self) -> None:
        return None

    def get(self) -> Credentials:
        raise self._error


class TestErrorsOfTheUser:
    def test_an_error_that_is_raised_again_while_it_is_handled(self):
        """A circle of contexts would keep ExitStack from ending."""
        out = run_script(HANDLED_AGAIN, timeout=30)
        assert out.split() == ["CredentialsError", "None"]

    def test_the_error_that_the_user_handles_is_shown(self):
        try:
            {}["LATTICE_HOSTS"]
        except KeyError:
            with pytest.raises(ConfigurationError) as caught:
                LatticeAuth(hosts=[])
        assert "LATTICE_HOSTS" in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
    @pytest.mark.parametrize("method", ["peek", "get"])
    def test_a_provider_keeps_its_cause(self, driver, method, nobody_listens):
        error = CredentialsError("no keys")
        error.__cause__ = OSError("vault: refused")
        provider = Failing(error)
        if method == "peek":
            provider.peek = provider.get
        auth = driver.auth(region="eu-west-1", credentials=provider)
        with driver.client(auth) as client, pytest.raises(CredentialsError) as caught:
            client("GET", f"http://127.0.0.1:{nobody_listens}/")
        text = "".join(traceback.format_exception(caught.value))
        assert "OSError: vault: refused" in text
        assert "raise self._error" in text


HANDLED_AGAIN = """
import contextlib
from lattice_client import CredentialsError, LatticeAuth
from lattice_client._secrecy import forgetful

error = CredentialsError("cached")

@forgetful
def ask():
    raise error

def ask_twice():
    try:
        ask()
    except CredentialsError:
        ask()

try:
    with contextlib.ExitStack() as stack:
        stack.callback(ask_twice)
        raise ValueError("of the body")
except CredentialsError as raised:
    print(type(raised).__name__, raised.__context__)
"""


def test_the_walk_would_see_one():
    def ours(secret: object) -> None:
        raise ValueError(str(UTC))

    leaking = type(ours)(ours.__code__, {**globals(), "__name__": "lattice_client.made_up"})
    with pytest.raises(ValueError, match="UTC") as caught:
        leaking(canary.TOKEN[20:40])
    assert [place.partition(" in ")[0] for place in seen_in(caught.value)] == ["secret"]
    assert seen_in(CredentialsError(canary.SECRET[5:]))
