from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from lattice_client.cli import main
from support import canary


class Result(NamedTuple):
    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Run = Callable[..., Result]


@pytest.fixture
def run(capsysbinary, sweep) -> Run:
    """Runs the command in this process, and searches its stderr for secrets."""

    def run(*arguments: object) -> Result:
        capsysbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        stdout, stderr = capsysbinary.readouterr()
        sweep.look("stderr of the command", stderr.decode())
        assert not canary.leaks(stderr.decode())
        return Result(code, stdout, stderr.decode())

    return run


@pytest.fixture
def credentials(monkeypatch):
    """The credentials of the session's caller, in the environment."""
    held = canary.credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", held.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", held.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(held.token))
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    return held
