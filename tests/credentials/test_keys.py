"""Which access keys and secrets are refused, everywhere that they can be given."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from lattice_client import (
    BotocoreCredentials,
    Credentials,
    EnvironmentCredentials,
    InvalidCredentialsError,
)
from lattice_client.cli.app import run
from lattice_client.signing import SigV4ASigner, SigV4Signer
from support import canary

KEY = "AKIAIOSFODNN7EXAMPLE"
# All its characters can be in an access key, as with 28 of 100 secret keys.
PLAIN_SECRET = "canary0SecretKEY0of40letters0and0digits0"
SWAPPED = "swapped"
PLAIN = "other than letters, digits and _, which no access key has; its value is not shown"

WRONG = {
    "a slash": ((canary.SECRET, canary.SECRET), "access_key", SWAPPED),
    "a plus": (("canaryWord+WordWord", canary.SECRET), "access_key", PLAIN),
    "an equals sign": (("canaryWord=", canary.SECRET), "access_key", PLAIN),
    "a user's name": (("canary-admin", canary.SECRET), "access_key", PLAIN),
    "of 29 characters": (("canary-" + "x" * 22, canary.SECRET), "access_key", PLAIN),
    "of 30 characters": (("canary-" + "x" * 23, canary.SECRET), "access_key", SWAPPED),
    "swapped": ((canary.SECRET, KEY), "access_key", SWAPPED),
    "swapped, of letters alone": ((PLAIN_SECRET, KEY), "access_key", SWAPPED),
    "a secret twice": ((PLAIN_SECRET, PLAIN_SECRET), "access_key", SWAPPED),
    "an access key twice": ((KEY, KEY), "secret_key", SWAPPED),
    "a token": (("IQoJcanary" * 40, canary.SECRET), "access_key", "128"),
    "not ASCII": (("AKIACANÁRY", canary.SECRET), "access_key", "ASCII"),
    "quotes": ((f'"{KEY}"', canary.SECRET), "access_key", "quotes"),
    "one quote": ((f"{KEY}'", canary.SECRET), "access_key", "quotes"),
    "quotes around the secret": ((KEY, f"'{canary.SECRET}'"), "secret_key", "quotes"),
    "quotes around the token": ((KEY, canary.SECRET, f'"{canary.TOKEN}"'), "token", "quotes"),
    "a newline": ((KEY, canary.SECRET + "\n"), "secret_key", "newline"),
}


class Foreign(NamedTuple):
    access_key: str
    secret_key: str
    token: str | None = None


@pytest.fixture(params=WRONG.values(), ids=WRONG.keys())
def wrong(request):
    return request.param


def said(error: BaseException) -> str:
    """The message, which holds none of the values."""
    text = str(error)
    assert "canary" not in text
    assert KEY not in text
    return text


def test_in_credentials(wrong):
    parts, field, why = wrong
    with pytest.raises(InvalidCredentialsError, match=field) as caught:
        Credentials(*parts)
    assert why in said(caught.value)


@pytest.mark.parametrize("signer", [SigV4Signer, SigV4ASigner])
def test_in_a_signer_of_others(wrong, signer):
    parts, field, why = wrong
    with pytest.raises(InvalidCredentialsError, match=field) as caught:
        signer(Foreign(*parts), "eu-west-1")
    assert why in said(caught.value)


def test_in_the_environment_by_its_names(wrong):
    parts, field, why = wrong
    names = {
        "access_key": "AWS_ACCESS_KEY_ID",
        "secret_key": "AWS_SECRET_ACCESS_KEY",
        "token": "AWS_SESSION_TOKEN",
    }
    environ = dict(zip(names.values(), parts, strict=False))
    with pytest.raises(InvalidCredentialsError, match=names[field]) as caught:
        EnvironmentCredentials(environ).get()
    assert why in said(caught.value)
    assert EnvironmentCredentials(environ).peek() is None


def test_in_a_profile(wrong, aws):
    parts, field, why = wrong
    if why == "newline":
        pytest.skip("a file of this form cannot hold it")
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    lines = [f"{name} = {part}" for name, part in zip(names, parts, strict=False)]
    (aws / "credentials").write_text("\n".join(["[default]", *lines]), encoding="utf-8")
    with pytest.raises(
        InvalidCredentialsError, match=f"shared-credentials-file.*{field}"
    ) as caught:
        BotocoreCredentials().get()
    assert why in said(caught.value)


@pytest.mark.parametrize("command", ["call", "sign", "doctor"])
@pytest.mark.parametrize("how", ["--user", "environment"])
@pytest.mark.parametrize(
    ("access_key", "secret_key"), [(canary.SECRET, KEY), (PLAIN_SECRET, KEY), (f'"{KEY}"', "s")]
)
def test_in_a_command(command, how, access_key, secret_key, monkeypatch, capsys, nobody_listens):
    arguments = [command, f"http://127.0.0.1:{nobody_listens}/", "--region", "eu-west-1"]
    if how == "--user":
        arguments += ["--aws-sigv4", "aws:amz", "--user", f"{access_key}:{secret_key}"]
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)
    assert run([*arguments, *(["-v"] if command == "call" else [])]) != 0
    out = "".join(capsys.readouterr())
    assert "canary" not in out
    assert KEY not in out
    assert ("quotes" if '"' in access_key else SWAPPED) in " ".join(out.split())


@pytest.mark.parametrize(
    "command",
    [
        ("call", "-v"),
        ("call", "-v", "--query"),
        ("doctor",),
        ("doctor", "--json"),
        ("sign",),
        ("sign", "--query"),
        ("sign", "--canonical-request"),
        ("sign", "--query", "--canonical-request"),
    ],
    ids=" ".join,
)
def test_no_command_shows_what_looks_like_a_secret(command, monkeypatch, capsys, lattice_http):
    """Another service's secret, which cannot be told from an access key for certain."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary0Secret0of0another0service")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    run([command[0], lattice_http.url_for("orders"), "--region", "us-west-2", *command[1:]])
    out = "".join(capsys.readouterr())
    assert "orders" in out
    assert "canary" not in out


@pytest.mark.parametrize(
    "access_key",
    [
        KEY,
        "ASIA" + "B" * 16,
        "AKIDEXAMPLE",  # AWS's own test vectors
        "test",  # LocalStack
        "000000000000",  # LocalStack: an account
        "minioadmin",
        "fakeMyKeyId",  # DynamoDB local
        "A",
        "GOOG1E" + "Q7" * 27,  # 61 and more
        "a_b",
        "x" * 128,
        "0123456789abcdef" * 2,  # 32 hexadecimal digits
        "0123456789abcdef0123456789abcdef01234567",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890123",
    ],
)
def test_those_that_can_be_one(access_key):
    assert Credentials(access_key, "s").access_key == access_key
    assert SigV4Signer(Foreign(access_key, "s"), "eu-west-1").access_key == access_key


@pytest.mark.parametrize("secret_key", [canary.SECRET, "test", "minioadmin", "it's", "AKIDEXAMPLE"])
def test_secrets_that_can_be_one(secret_key):
    assert Credentials("test", secret_key).secret_key == secret_key
