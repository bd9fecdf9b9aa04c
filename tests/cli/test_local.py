"""``lattice-client local``: served by a process of its own, as users do."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from rich.text import Text

from lattice_client.cli.access_view import AccessView, line_of
from lattice_client.testing import LocalLattice, serve
from support import canary

FILE = """
region = "us-west-2"
[services.orders]
domain = "orders.internal.example.com"
[callers.orders-frontend]
[callers.reports]
"""
URL = "http://orders.internal.example.com/orders?status=open"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lattice.toml"
    path.write_text(FILE)
    return path


class Serving:
    """What it said until it served, and what is to be known for calls."""

    def __init__(self, process):
        self.process = process
        self.said = ""
        for line in process.stderr:
            self.said += line
            if line.startswith("Serving"):
                break
        assert "Serving" in self.said, self.said

    def settings(self, caller):
        """What the file for this caller exports."""
        path = re.search(rf"^  \. (\S+/{caller}\.sh)$", self.said, re.MULTILINE)
        assert path is not None
        lines = [shlex.split(line) for line in Path(path[1]).read_text().splitlines()]
        assert lines[0][0] == "unset"
        return dict(words[1].split("=", 1) for words in lines[1:])


@contextmanager
def serving(file, *arguments, stdout=subprocess.PIPE):
    with subprocess.Popen(
        [sys.executable, "-m", "lattice_client.cli", "local", str(file), *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Serving(process)
        finally:
            process.terminate()  # it tidies up then


def test_it_is_called_and_shows_its_log(run, file, monkeypatch):
    with serving(file) as local:
        settings = local.settings("orders-frontend")
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        seen = run("call", URL).json
        assert seen["caller"].endswith("assumed-role/orders-frontend/session")
        line = local.process.stdout.readline()
        assert "  200  GET orders.internal.example.com" in line
        assert "orders-frontend/session" in line
        assert run("call", "--unsigned", URL).code == 0
        assert "  403  " in (line := local.process.stdout.readline())
        assert "denied by the service policy" in line
        monkeypatch.setenv("AWS_PROFILE", "reports")
        assert run("doctor", URL).code == 0
        local.process.send_signal(signal.SIGINT)
        stdout, stderr = local.process.communicate(timeout=60)
        assert local.process.returncode == 130
    assert "Traceback" not in stderr
    assert "\x1b" not in local.said + stdout
    assert not canary.leaks(local.said + stdout)
    # The credentials are gone with it, and stood nowhere but in their file.
    assert not Path(settings["AWS_CONFIG_FILE"]).exists()
    assert "aws_secret" not in local.said


def test_an_address_that_others_reach_is_told_in_a_line(file):
    with serving(file, "--host", "0.0.0.0") as local:
        assert "lattice-client: the local Lattice listens at 0.0.0.0" in local.said
        assert ".py" not in local.said


def test_a_service_of_two_networks_is_called_through_the_first(run, file, monkeypatch):
    file.write_text(f"[networks.partners]\n[networks.shop]\n{FILE.replace('region', '#')}")
    with serving(file, "--json", "--region", "us-west-2") as local:
        for name, value in local.settings("orders-frontend").items():
            monkeypatch.setenv(name, value)
        assert run("call", URL).code == 0
        record = json.loads(local.process.stdout.readline())
        assert "partners" in local.said.splitlines()[0]
    assert record["serviceNetworkArn"] == LocalLattice(network_name="partners").network.arn


def test_records_for_machines_over_tls(run, file, monkeypatch):
    with serving(file, "--json", "--tls", "--caller", "jobs") as local:
        for name, value in local.settings("jobs").items():
            monkeypatch.setenv(name, value)
        assert run("call", URL.replace("http:", "https:")).code == 0
        record = json.loads(local.process.stdout.readline())
        assert (record["responseCode"], record["listenerType"]) == (200, "HTTPS")
        local.process.terminate()
        assert local.process.wait(60) == 130


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["/no/such/file.toml"], 2, "/no/such/file.toml cannot be read"),
        (["FILE", "--target", "orders"], 2, "NAME=VALUE"),
        (["FILE", "--parameter", "a=b"], 2, "only CloudFormation templates"),
        (["FILE", "--port", "TAKEN"], 7, "There is no listening at 127.0.0.1"),
        (["FILE", "--port", "70000"], 7, "127.0.0.1:70000: ports are from 1 to 65535."),
        (["FILE", "--account", "12"], 2, "an account has 12 digits"),
        (["FILE", "--region", "Nope"], 2, "'Nope' is not a region"),
        ([], 2, "Missing argument 'FILE'"),
    ],
)
def test_what_goes_wrong(run, file, monkeypatch, arguments, code, says):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"FILE": str(file), "TAKEN": str(taken.getsockname()[1])}
        result = run("local", *(known.get(one, one) for one in arguments))
    assert result.code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_what_surprises_in_a_policy_is_said(tmp_path):
    path = tmp_path / "lattice.toml"
    path.write_text(
        '[services.orders.policy]\nVersion = "2012-10-17"\n'
        '[services.orders.policy.Statement]\nEffect = "Allow"\nPrincipal = "*"\nAction = "*"\n'
        'Resource = "*"\n'
    )
    with serving(path) as local:
        assert "lattice-client: the policy of service orders, Statement.Principal" in local.said


# The view


@pytest.fixture(scope="module")
def records():
    local = LocalLattice()
    local.add_service("orders", domain="orders.internal.example.com")
    with serve(local) as running, httpx.Client(base_url=running.url) as client:
        for number in range(40):
            client.get(f"/orders/{number}/and/a/path/that/is/long/enough")
    return local.access_log


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["Status", "Request"]),
        (60, ["Time", "Status", "Request"]),
        (80, ["Time", "Status", "Request", "Caller"]),
        (140, ["Time", "Status", "Request", "Caller", "Took", "Why not"]),
    ],
)
def test_the_view_fits_the_terminal(records, width, columns):
    view = AccessView([Text("Service network local")])
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True)
    console.print(view)
    assert "Waiting for requests" in console.file.getvalue()
    for record in records:
        view.add(record)
    with console.capture() as capture:
        console.print(view)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capture.get())
    lines = plain.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= width
    assert lines[0].rstrip() == "Service network local"
    assert re.split(r"\s{2,}|(?<=s) (?=[A-Z])", lines[1].strip()) == columns
    assert "/orders/39" in lines[-1]  # the newest
    assert ("denied by" in plain) == (width == 140)


def test_nobody_repaints_the_terminal_by_a_path(records):
    line = line_of({**records[0], "requestPath": "/\x1b[2J\r"})
    assert "\x1b" not in line
    assert "\r" not in line


@pytest.mark.parametrize("reader", ["full", "gone"])
def test_a_log_that_cannot_be_written(run, file, monkeypatch, reader):
    """Who serves without one would not notice."""
    if reader == "full":
        if not Path("/dev/full").exists():
            pytest.skip("no device that is always full")
        stdout = os.open("/dev/full", os.O_WRONLY)
    else:
        nobody, stdout = os.pipe()
        os.close(nobody)
    try:
        with serving(file, "--json", stdout=stdout) as local:
            for name, value in local.settings("orders-frontend").items():
                monkeypatch.setenv(name, value)
            assert run("call", URL).code == 0
            assert local.process.wait(60) == (23 if reader == "full" else 141)
            said = local.process.stderr.read()
    finally:
        os.close(stdout)
    no_room = "lattice-client: Not all could be written: No space left on device.\n"
    assert said == (no_room if reader == "full" else "")
