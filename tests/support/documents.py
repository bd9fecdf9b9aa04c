"""The programs in the documentation, and an environment to run them in."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from threading import Condition
from typing import Any, NamedTuple

import httpx
import pytest

from lattice_client.testing import AccessRecord, LocalLattice, RunningLattice, serve
from support import canary

ROOT = Path(__file__).resolve().parents[2]
API = "a1b2c3d4e5.execute-api.us-west-2.amazonaws.com"
ORDERS = "orders.internal.example.com"
PAYMENTS = "payments.internal.example.com"
# Names that programs may use without defining them: they are the reader's.
READERS_OWN = {
    "read_secret": lambda _: {
        "access_key": "AKIDVAULT",
        "secret_key": "s",
        "token": "t",
        "expires_at": 4102444800,
    }
}

_PARTS = re.compile(
    r"^#+ (?P<heading>.*)$"
    r"|^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>(?:(?!```).*\n)*)```$",
    flags=re.MULTILINE,
)
# Notified of each access-log record: those of unread answers come late.
_RECORDED = Condition()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    heading: str
    number: int
    language: str
    title: str | None
    text: str

    @property
    def is_test(self) -> bool:
        return self.language == "python" and "def test_" in self.text

    @property
    def program(self) -> str:
        """Its Python; of a diff, the changed state. Empty if it is not Python."""
        if self.language == "diff":
            kept = (line[1:] for line in self.text.splitlines() if not line.startswith("-"))
            return "\n".join(kept)
        return self.text if self.language == "python" and not self.is_test else ""

    def __str__(self) -> str:
        return f"{self.page}, {self.heading} ({self.number})"


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found: list[Block] = []
    heading = page.name
    for part in _PARTS.finditer(page.read_text(encoding="utf-8")):
        if part["heading"]:
            heading = part["heading"]
        else:
            language, title, text = part.group("language", "title", "text")
            found.append(Block(page.name, heading, len(found), language, title, text))
    return found


def run_tests(folder: Path) -> str:
    """What pytest says of the tests in a folder, with our plugin. The other plugins that are
    installed here take longer to load than the tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "-p", "lattice_client.testing.plugin", str(folder)],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class Result(NamedTuple):
    """The results of a program: its names, its output, the access log of its calls."""

    names: dict[str, Any]
    output: str
    records: list[AccessRecord]


def run(block: Block, services: list[RunningLattice]) -> Result:
    """Run a program, with the services' hosts replaced by those of the test.

    If it only defines ``async def main()`` or Lambda's ``def handler(event, context)``, run that.
    """
    program = block.program
    for running in services:
        running.lattice.clear()
        for service in running.lattice.services:
            address = f"http://{service.host}:{running.port}"
            program = program.replace(f"https://{service.host}", address)
    names: dict[str, Any] = {"__name__": "__main__", **READERS_OWN}
    # No repr: services here answer with what they were sent, tokens included.
    with redirect_stdout(StringIO()) as output:
        exec(compile(program, str(block), "exec"), names)
        main = names.get("main")
        if inspect.iscoroutinefunction(main) and "asyncio.run" not in program:
            asyncio.run(main())
        if "handler" in names:
            names["handler"]({"order": 7}, None)
    for client in names.values():
        if isinstance(client, httpx.Client):  # The documented program would live longer.
            client.close()
    with _RECORDED:
        _RECORDED.wait_for(
            lambda: all(len(each.access_log) >= len(each.requests) for each in services), timeout=10
        )
    records = [record for running in services for record in running.access_log]
    return Result(names, output.getvalue(), records)


def calls_a_service(block: Block) -> bool:
    """Whether it sends a call, and does not only create a link."""
    hosts = any(f"https://{host}" in block.program for host in (API, ORDERS, PAYMENTS))
    return hosts and "presign_url" not in block.program


def _recorded(_: AccessRecord) -> None:
    with _RECORDED:
        _RECORDED.notify_all()


@pytest.fixture(scope="session")
def documented_services() -> Iterator[list[RunningLattice]]:
    """The services that the documentation calls: a Lattice service, and an API of API Gateway."""
    orders = LocalLattice(on_access=_recorded)
    orders.add_service("orders", domain=ORDERS)
    orders.add_service("payments", domain=PAYMENTS)
    api = LocalLattice(service="execute-api", on_access=_recorded)
    api.add_service("api", domain=API)
    for local in (orders, api):
        local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(orders) as first, serve(api) as second, first.resolving(), second.resolving():
        yield [first, second]


@pytest.fixture
def run_documented(documented_services, monkeypatch) -> Callable[[Block], Result]:
    """Run a block's program as the caller ``orders-frontend``, with its credentials in the
    environment."""
    credentials = canary.credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", credentials.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", credentials.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", credentials.token or "")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setenv("LATTICE_CLIENT_NAMES", f"{PAYMENTS}=us-west-2")
    return lambda block: run(block, documented_services)
