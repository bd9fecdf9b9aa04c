"""The demo, run as users run it, and its verdict when an outcome is not the expected one."""

from __future__ import annotations

import asyncio
import io
import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from lattice_client.cli.demo import clients as _demo_clients
from lattice_client.cli.demo import run as demo
from lattice_client.cli.terminal import console as make_console
from lattice_client.testing import ALLOW_AUTHENTICATED

CLIENTS = [
    "requests",
    "httpx.Client",
    "httpx.AsyncClient",
    "httpx2.Client",
    "httpx2.AsyncClient",
    "aiohttp",
]
CALLS = ["GET awkward query", "POST JSON", "PUT streamed upload"]
# A user's settings, which the demo must ignore.
HOSTILE = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHEUSER",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-user",
    "AWS_REGION": "eu-central-1",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "REQUESTS_CA_BUNDLE": os.devnull,
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE")
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env={**inherited, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def piped() -> str:
    result = run("-m", "lattice_client.cli", "demo", **HOSTILE)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("call", CALLS)
def test_every_client_makes_every_call(piped, client, call):
    row = rf"^{re.escape(client)} +{call} +200 +orders-frontend/demo +(\d+) µs *$"
    (microseconds,) = re.findall(row, piped, flags=re.MULTILINE)
    assert 1 <= int(microseconds) < 100_000


@pytest.mark.parametrize(
    "row",
    [
        r"unsigned +403 +AccessDeniedException: User: anonymous is not",
        r"tampered: query +403 +InvalidSignatureException: The request signature",
        r"denied: signed by +403 +AccessDeniedException: User:",
    ],
)
def test_the_others_are_refused(piped, row):
    assert re.search(f"^{row}", piped, re.MULTILINE)


def test_a_pipe_gets_plain_text_of_80_columns(piped):
    assert "\x1b" not in piped
    assert max(map(len, piped.splitlines())) <= 80


def test_nothing_that_looks_like_a_secret_is_shown(piped):
    assert not re.search(r"[\w/+-]{36,}", piped)
    assert not re.search(r"signature=|aws_secret|secret-of-the-user", piped, re.IGNORECASE)


def test_it_runs_in_colour_where_told_to():
    result = run("-m", "lattice_client.cli", "demo", FORCE_COLOR="1", TERM="xterm-256color")
    assert result.returncode == 0, result.stdout
    assert "\x1b[32m200" in result.stdout


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colour_where_the_terminal_has_it(monkeypatch, environment, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    console = make_console()
    with console.capture() as capture:
        console.print("x", style="bold green")
    assert ("\x1b[" in capture.get()) is coloured


@pytest.mark.parametrize("library", ["requests", "httpx2", "rich"])
def test_a_missing_library_is_named_with_its_extra(library):
    code = (
        f"import sys; sys.modules[{library!r}] = None; from lattice_client.cli.demo.run import main"
    )
    result = run("-c", f"{code}; sys.exit(main([]))")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"lattice-client demo: {library} is not installed; it comes with the extra 'demo': "
        "pip install 'vpc-lattice-client[demo]'\n"
    )


# In this process, to look at what went wrong, or to make it go wrong.


@pytest.fixture
def console():
    from rich.console import Console

    return Console(file=io.StringIO(), width=300)


@pytest.fixture
def local(monkeypatch):
    """What the demo serves, with one client alone: to save time."""
    monkeypatch.setattr(demo, "CLIENTS", {"httpx.Client": demo.CLIENTS["httpx.Client"]})
    return demo.local_lattice()


def shown(console) -> str:
    return console.file.getvalue()


def test_the_denied_caller_is_named(local, console):
    assert demo.run(local, console) == 0
    assert "User: arn:aws:sts::111122223333:assumed-role/reports/demo is not" in shown(console)


def test_it_leaves_the_process_as_it_was(local, console):
    environment, getaddrinfo = dict(os.environ), socket.getaddrinfo
    demo.run(local, console)
    assert dict(os.environ) == environment
    assert socket.getaddrinfo is getaddrinfo


def test_no_credentials_are_shown_whatever_happens(local, console):
    callers = [local.caller("orders-frontend"), local.caller("reports")]
    demo.run(local, console)
    callers[0].revoke()
    demo.run(local, console)
    for caller in callers:
        assert caller.credentials.secret_key not in shown(console)
        assert str(caller.credentials.token) not in shown(console)


def test_revoked_credentials_fail_it(local, console):
    local.caller("orders-frontend").revoke()
    assert demo.run(local, console) == 1
    assert "httpx.Client, POST JSON: 403, UnrecognizedClientException" in shown(console)
    # What was tampered with is refused, but not for that reason.
    assert "4 of 6 calls did not end as they should." in shown(console)


def test_a_policy_that_lets_everybody_in_fails_it(local, console):
    local.service("orders").policy = ALLOW_AUTHENTICATED
    assert demo.run(local, console) == 1
    assert "requests, denied: signed by reports: 200" in shown(console)
    assert "1 of 6 calls" in shown(console)


def test_a_service_without_authentication_fails_it(local, console):
    local.service("orders").auth_type = "NONE"
    assert demo.run(local, console) == 1
    assert "requests, unsigned: 200" in shown(console)


def test_a_client_that_signs_nothing_fails_it(local, console, monkeypatch):
    """Also where the service lets it in: the service must have seen the caller."""
    make = demo.CLIENTS["httpx.Client"]
    monkeypatch.setitem(demo.CLIENTS, "httpx.Client", lambda _, ca_file: make(None, ca_file))
    local.service("orders").auth_type = "NONE"
    assert demo.run(local, console) == 1
    assert re.search(r"httpx.Client +GET awkward query +200 +anonymous", shown(console))
    assert "httpx.Client, GET awkward query: 200" in shown(console)


def test_a_call_that_arrives_changed_fails_it(local, console, monkeypatch):
    make = demo.CLIENTS["httpx.Client"]

    @contextmanager
    def losing(auth, ca_file):
        with make(auth, ca_file) as send:
            yield lambda call: send(
                demo.DemoCall(call.name, call.method, call.url.replace("&gift", ""), call.json)
            )

    monkeypatch.setitem(demo.CLIENTS, "httpx.Client", losing)
    assert demo.run(local, console) == 1
    assert "2 of 6 calls" in shown(console)  # a query parameter is gone, and a body


def test_a_client_that_raises_fails_it(local, console, monkeypatch):
    @contextmanager
    def broken(auth, ca_file):
        yield lambda call: {}["[no markup]"]

    monkeypatch.setitem(demo.CLIENTS, "httpx.Client", broken)
    assert demo.run(local, console) == 1
    assert "httpx.Client, POST JSON: error, KeyError: '[no markup]'" in shown(console)


def test_signing_is_timed_without_the_handler(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_demo_clients, "perf_counter", lambda: now[0])

    def takes(seconds):
        now[0] += seconds

    class Auth:
        def __call__(self, request, handler=None):
            if handler is None:
                takes(2)
                return request
            return self.middleware(request, handler)

        async def middleware(self, request, handler):
            takes(3)
            response = await handler(request)
            takes(4)
            return response

    async def handler(request):
        takes(100)
        return "response"

    stopwatch = _demo_clients.Stopwatch(Auth())
    assert stopwatch("request") == "request"
    assert asyncio.run(stopwatch("request", handler)) == "response"
    assert stopwatch.times == [2, 7]
