"""The command as a whole: help, wrong arguments, pipes, interrupts, terminals, completions."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import tomllib
from fcntl import ioctl
from pathlib import Path
from pkgutil import resolve_name

import pytest

from lattice_client import __version__, cli
from lattice_client.cli import terminal
from lattice_client.cli.app import app
from lattice_client.cli.demo import run as demo
from lattice_client.cli.failures import EXIT_CODES
from support import canary
from support.raw_server import raw_server
from support.sink import sink

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-m", "lattice_client.cli"]
COMMANDS = ["call", "demo", "doctor", "policy", "sign"]


def environment(**changes):
    held = canary.credentials()
    own = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    return {
        **own,
        "AWS_ACCESS_KEY_ID": held.access_key,
        "AWS_SECRET_ACCESS_KEY": held.secret_key,
        "AWS_SESSION_TOKEN": str(held.token),
        "AWS_REGION": "us-west-2",
        "PYTHONIOENCODING": "utf-8",
        "TERM": "xterm-256color",
        **changes,
    }


# Help and arguments


def test_version():
    result = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == f"lattice-client {__version__}\n"


def test_the_command_is_installed():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert resolve_name(scripts["project"]["scripts"]["lattice-client"]) is cli.main


@pytest.mark.parametrize("code", [0, 1, 2])
def test_demo_ends_with_the_demos_exit_code(run, monkeypatch, code):
    arguments = []
    monkeypatch.setattr(demo, "main", lambda argv: arguments.append(argv) or code)
    assert run("demo").code == code
    assert arguments == [[]]


def test_help_tells_commands_and_exit_codes(run):
    result = run("--help")
    assert result.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z].*\.$", result.text, re.MULTILINE)
    for code in EXIT_CODES:
        assert re.search(rf"^  {code} ", result.text, re.MULTILINE)


@pytest.mark.parametrize("command", [*COMMANDS, "policy check", "policy lint"])
@pytest.mark.parametrize("columns", [40, 80, 140])
def test_help_of_each_command_fits_the_terminal(run, monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run(*command.split(), "--help")
    assert result.code == 0
    assert result.text.lower().startswith("usage: lattice-client")
    if command != "demo":
        assert max(map(len, result.text.splitlines())) <= columns


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing command."),
        (["frobnicate"], "There is no command 'frobnicate'."),
        (["docter"], "Did you mean 'doctor'?"),
        (["policy"], "Missing command."),
        (["demo", "--frobnicate"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments(run, arguments, says):
    result = run(*arguments)
    assert result.code == 2
    assert result.stdout == b""
    assert says in result.stderr
    assert "usage: lattice-client" in result.stderr.lower()


@pytest.mark.parametrize("library", ["click", "rich", "httpx"])
def test_a_missing_library_is_named_with_its_extra(library):
    code = f"import sys; sys.modules[{library!r}] = None; from lattice_client.cli import main"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(main(['call', 'https://a.example']))"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr == (
        f"lattice-client: {library} is not installed; it comes with the extra 'cli': "
        "pip install 'vpc-lattice-client[cli]'\n"
    )


def test_help_loads_no_http_library():
    code = (
        "import sys; from lattice_client.cli import main; main(['--help'])\n"
        "assert 'click' in sys.modules\n"
        "assert not {'httpx', 'botocore', 'cryptography', 'asyncio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)


# Pipes and interrupts


def test_a_pipe_that_is_closed_is_no_error():
    with (
        raw_server(lambda _: b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (8 << 20)) as server,
        subprocess.Popen(
            [*COMMAND, "call", server.url],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1000) == b"x" * 1000
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


BUFFERED = pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])


@BUFFERED
@pytest.mark.parametrize("arguments", [["policy", "lint", "policy.json"], ["--help"]], ids=" ".join)
def test_a_pipe_that_is_not_read(tmp_path, arguments, buffered):
    policy = tmp_path / "policy.json"
    policy.write_text('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}')
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env=environment(PYTHONUNBUFFERED=buffered),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert (result.returncode, result.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@BUFFERED
@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["call", "--help"], ["sign", "http://127.0.0.1/"], ["demo"]],
    ids=" ".join,
)
def test_a_disk_that_is_full(arguments, buffered):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*COMMAND, *arguments],
            env=environment(PYTHONUNBUFFERED=buffered),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    told = b"lattice-client: The output could not be written: No space left on device.\n"
    assert (result.returncode, result.stderr) == (23, told)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@BUFFERED
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["sign", "http://127.0.0.1/"], 23),
        (["call", "--nope"], 2),
        (["call", "ftp://127.0.0.1/"], 3),
    ],
)
def test_nothing_can_be_said(arguments, code, buffered):
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [*COMMAND, *arguments],
            env=environment(PYTHONUNBUFFERED=buffered),
            stdout=subprocess.DEVNULL,
            stderr=full,
            check=False,
            timeout=60,
        )
    assert result.returncode == code


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["sign", "--curl", "-d", b"\xff", "http://127.0.0.1/"], 0), (["sign"], 2)],
    ids=["help", "bytes", "wrong"],
)
def test_streams_may_be_closed(arguments, code, closed):
    command = shlex.join(os.fsdecode(word) for word in [*COMMAND, *arguments])
    result = subprocess.run(
        ["sh", "-c", f"{command} {closed}"],
        env=environment(PYTHONIOENCODING=""),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == code, result.stderr
    assert b"Traceback" not in result.stderr


def test_ctrl_c_also_ends_the_wait_for_a_full_pipe(tmp_path, monkeypatch):
    class Stuck:
        def __init__(self, file):
            self.fileno = file.fileno

        def flush(self):
            raise KeyboardInterrupt

    with (tmp_path / "output").open("wb") as file:
        monkeypatch.setattr(sys, "stdout", Stuck(file))
        terminal.discard_unwritten()
        assert os.path.samestat(os.fstat(file.fileno()), Path(os.devnull).stat())


def test_no_stdin_is_an_empty_one():
    with raw_server() as server:
        command = shlex.join([*COMMAND, "call", "-d", "@-", server.url])
        result = subprocess.run(["sh", "-c", f"{command} <&-"], env=environment(), check=False)
        assert result.returncode == 0
        assert server.requests[0].header("content-length") == "0"


@pytest.fixture
def interruptible():
    """A child inherits an ignored SIGINT, as in a background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c(interruptible):
    with (
        raw_server(faults=["silence"]) as server,
        subprocess.Popen(
            [*COMMAND, "call", "-v", server.url],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            if line == b">\n":  # the head is printed, so the body is being sent
                break
        process.send_signal(signal.SIGINT)
        try:
            _, rest = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 130
        assert b"Traceback" not in rest


# Terminals


def on_a_terminal(columns, *arguments, **changes):
    """The command's output on a terminal with this many columns, and its exit code."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment(**changes),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    while True:
        select.select([master], [], [], 60)
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux, when the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    code = process.wait(60)
    text = shown.decode()
    assert not canary.leaks(text)
    return code, text


def test_a_progress_bar_on_a_terminal(tmp_path):
    with sink() as server:
        code, shown = on_a_terminal(80, "call", f"{server.url}/{4 << 20}", "-o", tmp_path / "file")
    assert code == 0
    assert "━" in shown
    assert "4.2/4.2 MB" in shown
    assert (tmp_path / "file").stat().st_size == 4 << 20


def test_the_shells_prompt_begins_a_line():
    with raw_server() as server:
        assert on_a_terminal(80, "call", server.url) == (0, "ok\r\n")


def test_no_binary_on_a_terminal():
    body = b"a\0b"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + body
    with raw_server(lambda _: answer) as server:
        code, shown = on_a_terminal(80, "call", server.url)
        assert code == 23
        assert "--output FILE" in " ".join(shown.split())


# As a terminal would show it


ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def screen(run, credentials, monkeypatch):
    def screen(columns, *arguments):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", str(columns))
        result = run(*arguments)
        plain = ESCAPE.sub("", result.text)
        assert max(map(len, plain.splitlines())) <= columns
        return result.text, plain

    return screen


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_the_doctor_on_a_terminal(screen, lattice_http, columns):
    url = f"http://127.0.0.1:{lattice_http.port}/orders"
    shown, plain = screen(columns, "doctor", url, "--region", "eu-west-1")
    assert "\x1b[1;31m✗" in shown
    assert "Fault: wrong region." in plain
    assert "→ Sign for us-west-2" in plain


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_sign_on_a_terminal(screen, columns):
    shown, plain = screen(columns, "sign", "https://orders.internal.example.com/orders")
    assert "\x1b[1m" in shown
    assert "Signature=***" in plain


def test_no_colour_where_none_is_wanted(screen, lattice_http, monkeypatch, run):
    url = f"http://127.0.0.1:{lattice_http.port}/orders"
    assert "\x1b" in screen(80, "doctor", url)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    shown = run("doctor", url).text
    assert "✓" in shown
    assert "\x1b" not in shown


# Completions


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_for_shells(run, monkeypatch, shell):
    monkeypatch.setenv("_LATTICE_CLIENT_COMPLETE", f"{shell}_source")
    result = run()
    if "Bash version" in result.stderr:
        pytest.skip("there is no bash of a version that completes")
    assert result.code == 0
    assert f"_LATTICE_CLIENT_COMPLETE={shell}_complete" in result.text


def test_a_command_and_its_options_are_completed():
    from click.shell_completion import ShellComplete

    completed = ShellComplete(app, {}, "lattice-client", "_LATTICE_CLIENT_COMPLETE")
    assert [one.value for one in completed.get_completions([], "do")] == ["doctor"]
    options = {one.value for one in completed.get_completions(["call"], "--aws")}
    assert options == {"--aws-sigv4"}
