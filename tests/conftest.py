from __future__ import annotations

import atexit
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import certifi
import hypothesis
import pytest
import trustme

from lattice_client.testing import LocalLattice, RunningLattice, serve
from support import canary
from support.ipv6 import need_ipv6

# Nothing here may find the credentials of whoever runs the tests, nor ask the network for any.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
# Nor a proxy of theirs.
for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(name, None)
    os.environ.pop(name.lower(), None)
# Commands that tests start write as they do for most: with no colour in a pipe, and buffered.
for name in (
    *("FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("COLUMNS", "LINES", "PYTHONUNBUFFERED"),
):
    os.environ.pop(name, None)

# Whom the world trusts is of no interest here, and httpx takes 50 ms to read it, for each client.
_AUTHORITIES = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115 - as long as the process
atexit.register(_AUTHORITIES.close)
trustme.CA().cert_pem.write_to_path(_AUTHORITIES.name)
os.environ["SSL_CERT_FILE"] = _AUTHORITIES.name
certifi.where = lambda: _AUTHORITIES.name

# How long an example may take is no property of the code, where machines pause.
hypothesis.settings.register_profile(
    "steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

pytest_plugins = ["support.documents"]

SWEEP = canary.Sweep()


def pytest_configure() -> None:
    SWEEP.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The sweep over what all others said comes last.
    items.sort(key=lambda item: "test_secrets" in item.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was said after the last test, and in the other processes of a run with ``-n``."""
    SWEEP.look_at_reprs()
    SWEEP.check_level()
    to_tell = getattr(session.config, "workeroutput", None)
    if to_tell is not None:
        to_tell["leaks"] = SWEEP.leaks
    elif SWEEP.leaks:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    SWEEP.leaks += getattr(node, "workeroutput", {}).get("leaks", [])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for leak in SWEEP.leaks:
        terminalreporter.write_line(f"LEAKED: {leak}", red=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for name, text in report.sections:
        if "stdout" in name or "stderr" in name:
            SWEEP.look(f"{name} of {report.nodeid}", text)


@pytest.fixture
def sweep() -> canary.Sweep:
    return SWEEP


@pytest.fixture
def nobody_listens() -> Iterator[int]:
    """A port that refuses connections, and stays so."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


REGION = "us-west-2"


def _local_lattice(*, tls: bool, host: str = "127.0.0.1") -> Iterator[RunningLattice]:
    local = LocalLattice(region=REGION)
    local.add_service("orders", domain="orders.internal.example.com")
    local.add_service("books", domain="xn--bcher-kva.internal.example.com")
    local.add_caller("orders-frontend", credentials=canary.credentials())
    with serve(local, tls=tls, host=host) as running, ExitStack() as names:
        if host == "127.0.0.1":  # where every name of the session's leads
            names.enter_context(running.resolving())
        yield running


@pytest.fixture(scope="session")
def lattice_http() -> Iterator[RunningLattice]:
    """A local Lattice for the whole run, over HTTP."""
    yield from _local_lattice(tls=False)


@pytest.fixture(scope="session")
def lattice_https() -> Iterator[RunningLattice]:
    """A local Lattice for the whole run, over HTTPS."""
    yield from _local_lattice(tls=True)


@pytest.fixture(scope="session")
def lattice_ipv6() -> Iterator[RunningLattice]:
    """A local Lattice for the whole run, at [::1]."""
    need_ipv6()
    yield from _local_lattice(tls=False, host="::1")
