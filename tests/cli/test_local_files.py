"""``python -m lattice_client.testing FILE``."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from lattice_client.credentials import Credentials
from lattice_client.testing.__main__ import _parser, main
from support.asgi_driver import signed_by
from support.local_oracles import HOST, as_pairs

HERE = Path(__file__).parent
FILE = """
region = "eu-west-1"
[networks.shop]
[networks.partners]
[services.orders]
domain = "orders.internal.example.com"
target = "blue"
[targets]
blue = "support.applications:blue"
[callers.orders-frontend]
[callers.batch]
"""


@contextlib.contextmanager
def command(tmp_path, *arguments):
    """The running command, and what it has said until it serves."""
    path = tmp_path / "lattice.toml"
    path.write_text(FILE)
    process = subprocess.Popen(
        [sys.executable, "-m", "lattice_client.testing", str(path), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE,
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("serving"):
                break
        yield process, "".join(said)
    finally:
        process.kill()
        process.communicate()


class Caller:
    """A caller with the credentials that were printed for a shell."""

    def __init__(self, said, name):
        block = said.partition(f"# {name}: ")[2].partition("\n\n")[0]
        values = dict(re.findall(r"^export (\w+)=(\S+)$", block, flags=re.MULTILINE))
        self.region = values["AWS_REGION"]
        self.credentials = Credentials(
            values["AWS_ACCESS_KEY_ID"],
            values["AWS_SECRET_ACCESS_KEY"],
            values["AWS_SESSION_TOKEN"],
        )


@pytest.fixture
def heard():
    """Children ignore what their parent does: with nohup, that is a hang-up."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_interrupted(tmp_path, number):
    with command(tmp_path) as (process, said):
        urls = re.findall(r"service network (\w+) is entered at (\S+)", said)
        assert [name for name, _ in urls] == ["shop", "partners"]
        assert "  names: orders.internal.example.com, orders-0" in said
        assert "every caller who signs may pass" in said
        assert "access log: standard output" in said
        caller = Caller(said, "orders-frontend")
        assert caller.credentials.access_key.startswith("ASIALOCAL")
        assert caller.credentials.secret_key.startswith("local-lattice-")
        assert caller.region == "eu-west-1"
        for _, url in urls:
            request = signed_by(
                caller, headers=[("host", HOST)], now=time.time(), region=caller.region
            )
            response = httpx.get(url, headers=as_pairs(request))
            assert (response.status_code, response.text) == (200, "blue")
            assert httpx.get(url, headers={"host": HOST}).status_code == 403
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert errors == ""
        *records, last = rest.splitlines()
        assert last == "stopped"
        assert [json.loads(record)["responseCode"] for record in records] == [200, 403] * 2


def test_tls_and_a_log_in_a_file(tmp_path):
    log = tmp_path / "access.jsonl"
    with command(tmp_path, "--tls", "--access-log", str(log)) as (_, said):
        url = re.search(r"shop is entered at (https://\S+)", said).group(1)
        ca_file = re.search(r"certificate authority: (\S+)", said).group(1)
        context = ssl.create_default_context(cafile=ca_file)
        assert httpx.get(url, verify=context).status_code == 403
        assert f"access log: {log}" in said
        assert json.loads(log.read_text())["listenerType"] == "HTTPS"


@pytest.fixture
def served(monkeypatch):
    """``main`` in this process, that stops when it would begin to wait."""
    monkeypatch.setattr("lattice_client.testing.__main__.until_interrupted", lambda: None)
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_a_template_with_what_it_leaves_open(served, capsys):
    status = main(
        [
            "templates/shop.yaml",
            "--target=OrdersStable=support.applications:blue",
            "--target=OrdersCanary=http://127.0.0.1:8000",
            "--parameter=VpcId=vpc-0123456789abcdef0",
            "--caller=batch",
            "--region=eu-central-1",
            "--account=222233334444",
        ]
    )
    said = capsys.readouterr()
    assert status == 0
    assert "arn:aws:vpc-lattice:eu-central-1:222233334444:service/" in said.out
    assert "auth: AWS_IAM, {" in said.out
    assert "10 to orders-canary (<Target <HTTPTarget http://127.0.0.1:8000>>)" in said.out
    assert "# orders-frontend-test: arn:aws:sts::222233334444:assumed-role/" in said.out
    assert "# batch: " in said.out
    assert said.err.startswith(
        "note: shop.yaml: Resources.OrdersHooks: this target group has no target, so it gets an "
        "echo; map 'OrdersHooks' to a target\n"
    )


def test_without_callers_there_is_one(served, tmp_path, capsys):
    (tmp_path / "a.toml").write_text("services.orders = {}")
    assert main([str(tmp_path / "a.toml")]) == 0
    assert "# local-caller: " in capsys.readouterr().out


def test_what_surprises_in_a_policy_is_said(served, tmp_path, capsys):
    (tmp_path / "a.toml").write_text(
        """
        [services.orders.policy.Statement]
        Effect = "Allow"
        Principal = "*"
        Action = "vpc-lattice-svcs:Invoke"
        Resource = "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-0123"
        """
    )
    assert main([str(tmp_path / "a.toml")]) == 0
    assert "note: the policy of service orders, Statement" in capsys.readouterr().err


def test_what_nothing_reaches_is_said(served, tmp_path, capsys):
    path = tmp_path / "lattice.toml"
    path.write_text(FILE + '[[services.books.listeners]]\nprotocol = "HTTPS"\n')
    assert main([str(path), "--target", "bleu=http://127.0.0.1:1"]) == 0
    told = capsys.readouterr().err
    assert "target bleu: no rule forwards to it; rules do to blue" in told
    assert "the service books has no HTTP listener" in told
    assert main([str(path), "--target", "blue=http://127.0.0.1:1", "--tls"]) == 0
    told = capsys.readouterr().err
    assert "forwards" not in told
    assert "listener" not in told


def test_errors_are_short(served, tmp_path, capsys):
    (tmp_path / "a.toml").write_text("service.orders = {}")
    assert main([str(tmp_path / "a.toml")]) == 2
    assert capsys.readouterr().err.startswith("error: a.toml: 'service' is not known here")
    assert main([str(tmp_path / "none.toml")]) == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "a.toml").write_text("services.orders = {}")
        port = taken.getsockname()[1]
        assert main([str(tmp_path / "a.toml"), f"--port={port}"]) == 2
    assert f"127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(("port", "named"), [(70000, 70001), (-1, -1), (65535, 65536)])
def test_ports_that_are_none_are_named(served, tmp_path, capsys, port, named):
    """Also behind the last one, where a further service network would be entered."""
    (tmp_path / "a.toml").write_text("networks.shop = {}\nnetworks.partners = {}")
    assert main([str(tmp_path / "a.toml"), f"--port={port}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert f"ports are from 1 to 65535: '127.0.0.1:{named}'" in said


def test_an_address_that_others_reach_is_said_so(served, tmp_path, capsys):
    (tmp_path / "a.toml").write_text("networks.shop = {}\nnetworks.partners = {}")
    for host in ("127.0.0.1", "localhost"):
        assert main([str(tmp_path / "a.toml"), f"--host={host}"]) == 0
        assert capsys.readouterr().err == ""
    assert main([str(tmp_path / "a.toml"), "--host=0.0.0.0"]) == 0
    assert capsys.readouterr().err.count("note: the local Lattice listens at 0.0.0.0, where") == 1


def test_pairs_have_two_sides(capsys):
    with pytest.raises(SystemExit):
        _parser().parse_args(["a.toml", "--target=blue"])
    assert "'blue' has not the form NAME=VALUE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        _parser().parse_args(["a.toml", "--target=http://user:hunter2@127.0.0.1:8000"])
    said = capsys.readouterr().err
    assert "'127.0.0.1:8000' has not the form NAME=VALUE" in said
    assert "hunter2" not in said


def test_help_needs_no_server():
    out = subprocess.run(
        [sys.executable, "-m", "lattice_client.testing", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "80"},
    ).stdout
    assert out.startswith("usage: python -m lattice_client.testing")
