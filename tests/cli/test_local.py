"""``lattice-client local``: served by a process of its own, as users do."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import shlex
import shutil
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

from lattice_client import DefaultCredentials
from lattice_client.cli import local_command
from lattice_client.cli.access_view import AccessView, line_of
from lattice_client.cli.shell_settings import settings_file, write_settings
from lattice_client.testing import LocalLattice, serve
from lattice_client.testing.templates.default import default_lattice
from support import callers_program, canary

TESTS = Path(__file__).parents[1]
FILE = """
region = "us-west-2"
[services.orders]
domain = "orders.internal.example.com"
[callers.orders-frontend]
[callers.reports]
"""
TWO_NETWORKS = """
[networks.shop]
[networks.partners]
[services.orders]
domain = "orders.internal.example.com"
target = "blue"
[targets]
blue = "support.applications:blue"
[callers.orders-frontend]
"""
URL = "http://orders.internal.example.com/orders?status=open"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lattice.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def start(run, monkeypatch):
    """Runs the command in this process; it ends where it would begin to wait."""
    monkeypatch.setattr(local_command._AccessLogOutput, "wait_for_failure", lambda _: None)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(TESTS)
    return functools.partial(run, "local")


@pytest.fixture
def hears_hangups():
    """A child inherits an ignored SIGHUP, as under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


class Serving:
    """The process, what it printed before it served, and each caller's settings."""

    def __init__(self, process):
        self.process = process
        self.said = ""
        for line in process.stderr:
            self.said += line
            if line.startswith("Serving"):
                break
        assert "Serving" in self.said, self.said

    def file(self, caller):
        """The file to source for this caller."""
        path = re.search(rf"^  \. (\S+/{caller}\.sh)$", self.said, re.MULTILINE)
        assert path is not None
        return path[1]

    def settings(self, caller):
        """What the file for this caller sets."""
        return dict(in_shell(f". {self.file(caller)}").items() - os.environ.items())


def in_shell(script, *, shell="sh", **environment):
    """The variables of a shell after a script."""
    result = subprocess.run(
        [shell, "-euc", f"{script}\nenv -0"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    lines = result.stdout.decode().split("\0")
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    return {name: value for name, value in found.items() if name not in ("_", "SHLVL", "PWD")}


@contextmanager
def serving(file, *arguments, stdout=subprocess.PIPE):
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "lattice_client.cli",
            "local",
            *([str(file)] if file else []),
            *arguments,
        ],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=TESTS,
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


@pytest.mark.usefixtures("hears_hangups")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_network_is_served_until_a_signal(file, number):
    file.write_text(TWO_NETWORKS)
    with serving(file, "--json") as local:
        networks = re.findall(r"^Service network (\w+)\n  \S+:(\d+)$", local.said, re.MULTILINE)
        assert [name for name, _ in networks] == ["shop", "partners"]
        for _, port in networks:
            response = httpx.get(
                f"http://127.0.0.1:{port}", headers={"host": "orders.internal.example.com"}
            )
            assert response.status_code == 403
        local.process.send_signal(number)
        records, errors = local.process.communicate(timeout=20)
        assert local.process.returncode == 130
    assert not errors.strip()
    assert [json.loads(record)["responseCode"] for record in records.splitlines()] == [403] * 2


def test_the_target_of_a_file_is_found_in_the_working_directory(run, file, monkeypatch):
    file.write_text(TWO_NETWORKS)
    with serving(file) as local:
        for name, value in local.settings("orders-frontend").items():
            monkeypatch.setenv(name, value)
        assert run("call", URL).text == "blue"


def test_a_template_with_what_it_leaves_open(start):
    result = start(
        "testing/templates/shop.yaml",
        "--target=OrdersStable=support.applications:blue",
        "--target=OrdersCanary=http://127.0.0.1:8000",
        "--parameter=VpcId=vpc-0123456789abcdef0",
        "--caller=batch",
        "--region=eu-central-1",
        "--account=222233334444",
    )
    assert result.code == 0
    assert "/batch.sh" in result.stderr
    assert "/orders-frontend-test.sh" in result.stderr
    assert result.stderr.startswith(
        "lattice-client: shop.yaml: Resources.OrdersHooks: this target group has no target, "
        "so it gets an echo; map 'OrdersHooks' to a target\n"
    )


def test_without_callers_there_is_one(start, file):
    file.write_text("services.orders = {}")
    assert "/local-caller.sh" in start(file).stderr


def test_what_nothing_reaches_is_said(start, file):
    file.write_text(TWO_NETWORKS + '[[services.books.listeners]]\nprotocol = "HTTPS"\n')
    said = start(file, "--target", "bleu=http://127.0.0.1:1").stderr
    assert "target bleu: no rule forwards to it; rules do to blue" in said
    assert "the service books has no HTTP listener" in said
    said = start(file, "--target", "blue=http://127.0.0.1:1", "--tls").stderr
    assert "forwards" not in said
    assert "listener" not in said


@pytest.mark.parametrize(("port", "named"), [(70000, 70001), (-1, -1), (65535, 65536)])
def test_a_port_out_of_range_is_named(start, file, port, named):
    """The second service network's too, which is the port after the first's."""
    file.write_text(TWO_NETWORKS)
    result = start(file, f"--port={port}")
    assert result.code == 7
    assert f"127.0.0.1:{named}: ports are from 1 to 65535." in result.stderr


def test_an_address_that_others_reach_is_said_once(start, file):
    file.write_text(TWO_NETWORKS)
    for host in ("127.0.0.1", "localhost"):
        assert "listens at" not in start(file, f"--host={host}").stderr
    said = start(file, "--host=0.0.0.0").stderr
    assert said.count("lattice-client: the local Lattice listens at 0.0.0.0, where") == 1
    assert ".py" not in said


def test_a_target_without_a_name_shows_no_password(start, file):
    result = start(file, "--target=http://user:hunter2@127.0.0.1:8000")
    assert result.code == 2
    assert "'127.0.0.1:8000' is not of the form NAME=VALUE" in result.stderr
    assert "hunter2" not in result.stderr


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
        (["FILE", "--port", "TAKEN"], 7, "Cannot listen at 127.0.0.1"),
        (["WRONG"], 2, "wrong.toml: 'service' is not known here"),
        (["FILE", "--account", "12"], 2, "an account has 12 digits"),
        (["FILE", "--region", "Nope"], 2, "'Nope' is not a region"),
        (["--target", "orders=http://127.0.0.1:1"], 2, "--target is about a file"),
        (["--parameter", "a=b"], 2, "--parameter is about a file"),
        (["--account", "12"], 2, "an account has 12 digits"),
    ],
)
def test_what_goes_wrong(start, file, arguments, code, says):
    wrong = file.with_name("wrong.toml")
    wrong.write_text("service.orders = {}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        known = {"FILE": file, "WRONG": wrong, "TAKEN": taken.getsockname()[1]}
        result = start(*(known.get(one, one) for one in arguments))
    assert result.code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


# The files to source


@pytest.mark.parametrize("tls", [True, False])
def test_without_a_file_a_program_calls_what_the_fixture_has(tls):
    """Unchanged, and undone afterwards; by a real shell."""
    scheme = "https" if tls else "http"
    with serving(None, *(["--tls"] if tls else []), "--json") as local:
        assert f"lattice-client call {scheme}://orders.internal.example.com/" in local.said
        ways = "requests" + (" 'httpx, asyncio' aiohttp" if tls else "")
        program = shlex.join([sys.executable, callers_program.__file__])
        script = (
            f". {local.file('orders-frontend')}\n"
            f"{program} {scheme}://orders.internal.example.com/orders {ways} >&2\n"
            f"{shlex.quote(sys.executable)} -m lattice_client.cli call "
            f"{scheme}://orders.internal.example.com/ >&2"
        )
        result = subprocess.run(
            ["sh", "-euc", script], stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    seen = re.findall(
        r'(?:^[a-z, ]+=|"caller": ")arn:\S+orders-frontend/', result.stderr, re.MULTILINE
    )
    assert len(seen) == 2 + 2 * tls


SHELLS = [name for name in ("sh", "dash", "bash", "zsh") if shutil.which(name)]


@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_can_be_undone(tmp_path, shell):
    lattice = default_lattice()
    lattice.add_caller("it's", role="theirs")
    given = {
        "AWS_ACCESS_KEY_ID": "AKIDTHEIRS",
        "AWS_PROFILE": "it's theirs",
        "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
        "no_proxy": "corp.example.com",
        "PYTHONPATH": "/their path",
    }
    with serve(lattice, tls=True) as running:
        write_settings(lattice, [running], tmp_path)
        before = in_shell("true", shell=shell, **given)
        sourcing = f". {shlex.quote(str(tmp_path / 'orders-frontend.sh'))}"
        other = f'. "{tmp_path}/it\'s.sh"'
        then = in_shell(f"{sourcing}; {other}", shell=shell, **given)
        undone = in_shell(f"{sourcing}; {other}; lattice_deactivate", shell=shell, **given)
    assert undone == before
    assert then["AWS_PROFILE"] == "it's"
    assert "AWS_ACCESS_KEY_ID" not in then
    assert then["PYTHONPATH"].endswith(":/their path")
    assert then["no_proxy"].endswith(",corp.example.com")
    assert then["NO_PROXY"].endswith(".on.aws,orders.internal.example.com")
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        assert Path(then[name]).parent == tmp_path


@pytest.mark.parametrize("name", ["shop", "shop/reports", "shop-reports", "shop%2Freports"])
def test_what_the_developer_has_does_not_win_over_the_caller(tmp_path, monkeypatch, name):
    """A profile of the same name, the identity of a pod, or another caller's file."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[{name}]\naws_access_key_id = AKIDTHEIRS\naws_secret_access_key = theirs\n"
    )
    theirs = {
        "HOME": str(tmp_path),
        "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/theirs",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }
    lattice = default_lattice()
    callers = [
        lattice.add_caller(each, role="shop")
        for each in ("shop", "shop/reports", "shop-reports", "shop%2Freports")
    ]
    (caller,) = (each for each in callers if each.name == name)
    with serve(lattice) as running:
        write_settings(lattice, [running], tmp_path)
    sourcing = f". {shlex.quote(str(settings_file(caller, tmp_path)))}"
    then = in_shell(sourcing, **theirs)
    for variable in {*then, *theirs, *os.environ}:
        if variable.startswith("AWS_") or variable == "HOME":
            if variable in then:
                monkeypatch.setenv(variable, then[variable])
            else:
                monkeypatch.delenv(variable, raising=False)
    held = DefaultCredentials().get()
    assert (held.access_key, held.secret_key, held.token) == (
        caller.credentials.access_key,
        caller.credentials.secret_key,
        caller.credentials.token,
    )


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


def test_a_path_cannot_repaint_the_terminal(records):
    line = line_of({**records[0], "requestPath": "/\x1b[2J\r"})
    assert "\x1b" not in line
    assert "\r" not in line


@pytest.mark.parametrize("reader", ["full", "gone"])
def test_a_log_that_cannot_be_written(run, file, monkeypatch, reader):
    """Without the log, the user would not notice the failure."""
    if reader == "full":
        if not Path("/dev/full").exists():
            pytest.skip("no device that is always full")
        stdout = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, stdout = os.pipe()
        os.close(reader)
    try:
        with serving(file, "--json", stdout=stdout) as local:
            for name, value in local.settings("orders-frontend").items():
                monkeypatch.setenv(name, value)
            assert run("call", URL).code == 0
            assert local.process.wait(60) == (23 if reader == "full" else 141)
            said = local.process.stderr.read()
    finally:
        os.close(stdout)
    no_room = "lattice-client: The output could not be written: No space left on device.\n"
    assert said == (no_room if reader == "full" else "")
