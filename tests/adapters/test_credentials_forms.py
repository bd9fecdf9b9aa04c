"""Each form in which people hold credentials signs, in every library."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import (
    Credentials as PlainCredentials,
)
from botocore.credentials import (
    DeferredRefreshableCredentials,
    ReadOnlyCredentials,
    RefreshableCredentials,
)

from adapters.drivers import DRIVERS
from support import canary

KEYS = ("ASIACANARYEXAMPLE", canary.SECRET, canary.TOKEN)
ORDERS = "http://orders.internal.example.com:{port}/orders"


def metadata() -> dict[str, str]:
    names = ("access_key", "secret_key", "token")
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return {**dict(zip(names, KEYS, strict=True)), "expiry_time": expiry.isoformat()}


def sts() -> dict[str, Any]:
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    expiry = datetime.now(UTC) + timedelta(hours=1)
    return {**dict(zip(names, KEYS, strict=True)), "Expiration": expiry}


def slowly() -> dict[str, str]:
    """A refresh that must not run where an event loop does."""
    import asyncio

    if asyncio._get_running_loop() is not None:
        raise AssertionError
    return metadata()


# Made once: a session takes 20 ms.
CORE = botocore.session.Session()
CORE.set_credentials(*KEYS)
BOTO3 = boto3.Session(*KEYS)
FORMS: dict[str, Callable[[], dict[str, Any]]] = {
    "boto3's session": lambda: {"credentials": BOTO3},
    "botocore's session": lambda: {"credentials": CORE},
    "plain": lambda: {"credentials": PlainCredentials(*KEYS)},
    "frozen": lambda: {"credentials": ReadOnlyCredentials(*KEYS)},
    "refreshable": lambda: {
        "credentials": RefreshableCredentials.create_from_metadata(
            metadata(), slowly, "sts-assume-role"
        )
    },
    "deferred": lambda: {"credentials": DeferredRefreshableCredentials(slowly, "sts")},
    "STS's": lambda: {"credentials": sts()},
    "STS's whole answer": lambda: {"credentials": {"Credentials": sts(), "PackedPolicySize": 6}},
    "a profile's name": lambda: {"profile": "orders"},
}


@pytest.fixture
def profile(tmp_path, monkeypatch) -> None:
    file = tmp_path / "credentials"
    file.write_text(
        "[orders]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n"
        "[default]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = other\n".format(*KEYS)
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    # Another identity, which would sign if the form did not count.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_it_signs(driver, form, lattice_http, profile):
    auth = driver.auth(region="us-west-2", **FORMS[form]())
    if "library-free" in driver.name and "async" in driver.name:
        # These fetch in the calling thread, as their page says.
        auth.prefetch_sync()
    with driver.client(auth) as call:
        answer = call("GET", ORDERS.format(port=lattice_http.port))
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_the_region_that_a_session_was_given_in_code_signs(driver, lattice_http, monkeypatch):
    """As in botocore, whatever the environment says."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    auth = driver.auth(credentials=boto3.Session(*KEYS, region_name="us-west-2"))
    with driver.client(auth) as call:
        assert call("GET", ORDERS.format(port=lattice_http.port)).status == 200


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_what_its_owner_refreshed_signs_the_next_call(driver, lattice_http):
    live = RefreshableCredentials.create_from_metadata(metadata(), slowly, "sts")
    good = live._frozen_credentials
    live._frozen_credentials = ReadOnlyCredentials("ASIAREPLACED", "secret", "token")
    auth = driver.auth(region="us-west-2", credentials=live)
    auth.prefetch_sync()
    with driver.client(auth) as call:
        assert call("GET", ORDERS.format(port=lattice_http.port)).status == 403
        live._frozen_credentials = good
        assert call("GET", ORDERS.format(port=lattice_http.port)).status == 200


class Rotating:
    """Of a class that we do not know, with another set at each call; its parts must not be read
    one by one."""

    def __init__(self) -> None:
        self.calls = 0
        self.threads: list[int] = []

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.calls += 1
        self.threads.append(threading.get_ident())
        key = KEYS[0] if self.calls == 2 else f"ASIAGENERATION{self.calls}"
        return ReadOnlyCredentials(key, *KEYS[1:])


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_an_unknown_object_is_asked_for_each_signature_in_a_thread(driver, lattice_http):
    live = Rotating()
    auth = driver.auth(region="us-west-2", credentials=live, remedies=())
    with driver.client(auth) as call:
        url = ORDERS.format(port=lattice_http.port)
        assert [call("GET", url).status for _ in range(3)] == [403, 200, 403]
    assert threading.get_ident() not in live.threads
