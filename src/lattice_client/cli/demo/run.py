"""Calls a local Lattice with every HTTP library, and shows what passes and what is refused.

Nothing leaves this machine. The credentials are made up and valid only at the local Lattice; they
are found like real ones: in an AWS profile, by botocore's chain.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from lattice_client.auth import LatticeAuth
from lattice_client.cli.demo.clients import (
    CLIENTS,
    Client,
    DemoCall,
    Send,
    Stopwatch,
    requests_client,
)
from lattice_client.cli.demo.report import (
    DemoOutcome,
    calls_table,
    refusals_table,
    signing_summary,
    verdict,
)
from lattice_client.credentials import BotocoreCredentials
from lattice_client.errors import MissingExtraError
from lattice_client.testing import Caller, LocalLattice, RunningLattice, serve

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["local_lattice", "main", "need_libraries", "run"]

# The libraries that the demo uses. All come with the extra "demo".
_LIBRARIES = ("requests", "httpx", "httpx2", "aiohttp", "rich", "trustme")
# Calls per row: the time of a single call varies too much.
_REPETITIONS = 5
_OK, _FORBIDDEN = 200, 403


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

    :returns: 0; 1 if a call did not pass or was not refused as expected; 2 if the arguments are
        wrong (argparse) or a library is missing.
    """
    parser = argparse.ArgumentParser(prog="lattice-client demo", description=__doc__)
    parser.parse_args(argv)
    try:
        need_libraries()
        from lattice_client.cli.terminal import console

        return run(local_lattice(), console())
    except MissingExtraError as error:
        print(f"lattice-client demo: {error}", file=sys.stderr)  # noqa: T201 rich may be missing
        return 2


def need_libraries() -> None:
    """Check that the libraries of the demo are installed.

    :raises MissingExtraError: if one is not.
    """
    for library in _LIBRARIES:
        try:
            importlib.import_module(library)
        except ModuleNotFoundError as error:
            if error.name != library:
                raise
            raise MissingExtraError("demo", library) from None


def local_lattice() -> LocalLattice:
    """A local Lattice with the service ``orders``, whose auth policy allows one of two callers."""
    local = LocalLattice()
    allowed = local.add_caller("orders-frontend", session="demo")
    local.add_caller("reports", session="demo")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": allowed.identity.principal_arn},
        "Action": "vpc-lattice-svcs:Invoke",
        "Resource": "*",
    }
    local.add_service(
        "orders", domain="orders.internal.example.com", policy={"Statement": statement}
    )
    return local


def run(local: LocalLattice, console: Console) -> int:
    """Serve a local Lattice, call it, and show the outcomes.

    :param local: as :func:`local_lattice` makes it.
    :returns: the exit code, 0 or 1.
    """
    # The package logs each refusal; here they are expected, and shown in a table.
    logging.getLogger("lattice_client").addHandler(logging.NullHandler())
    allowed, denied = local.caller("orders-frontend"), local.caller("reports")
    with (
        serve(local, tls=True) as running,
        running.resolving(),
        _profiles(local.region, allowed, denied),
    ):
        console.print(
            f"Local Lattice  {running.url_for('orders')}\n"
            f"Caller         {allowed.principal}\n"
            f"Credentials    AWS profile {allowed.name}, found by botocore's chain\n"
        )
        stopwatch = Stopwatch(LatticeAuth())
        calls: list[DemoOutcome] = []
        for name, client in CLIENTS.items():
            calls += _signed_calls(name, client, stopwatch, running, allowed)
        console.print(calls_table(calls))
        console.print(f"\n{signing_summary(calls)}\n")
        refusals = list(_refused_calls(running, denied))
        console.print(refusals_table(refusals))
    outcomes = [*calls, *refusals]
    console.print()
    console.print(verdict(outcomes))
    return 0 if all(outcome.expected for outcome in outcomes) else 1


@contextmanager
def _profiles(region: str, *callers: Caller) -> Iterator[None]:
    """Replace the process's AWS configuration by one with a profile for each caller. The first is
    selected."""
    inherited = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    with tempfile.TemporaryDirectory(prefix="lattice-client-") as folder:  # private to its owner
        config = Path(folder, "config")
        config.write_text(
            "".join(
                f"[profile {caller.name}]\n"
                f"region = {region}\n"
                f"aws_access_key_id = {caller.credentials.access_key}\n"
                f"aws_secret_access_key = {caller.credentials.secret_key}\n"
                f"aws_session_token = {caller.credentials.token}\n"
                for caller in callers
            )
        )
        for name in inherited:
            del os.environ[name]
        demo = {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_PROFILE": callers[0].name,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        os.environ.update(demo)
        try:
            yield
        finally:
            for name in demo:
                os.environ.pop(name, None)
            os.environ.update(inherited)


# The calls and their outcomes


def _calls(base: str) -> list[DemoCall]:
    awkward = "tag=b&tag=a&page2=2&page=1&gift&q=caf%c3%a9+au+lait%3D/:"
    order = {"item": "espresso", "quantity": 2}
    chunks = tuple(b"%d,espresso\n" % number * 500 for number in range(10))
    return [
        DemoCall("GET awkward query", "GET", f"{base}/orders?{awkward}"),
        DemoCall("POST JSON", "POST", f"{base}/orders", json=order),
        DemoCall("PUT streamed upload", "PUT", f"{base}/orders/upload", chunks=chunks),
    ]


def _signed_calls(
    name: str, client: Client, stopwatch: Stopwatch, running: RunningLattice, caller: Caller
) -> Iterator[DemoOutcome]:
    with client(stopwatch, running.ca_file) as send:
        for call in _calls(running.url_for("orders")):
            before = len(stopwatch.times)
            answers = [_answer(send, call) for _ in range(_REPETITIONS)]
            wrong = [answer for answer in answers if not _as_sent(call, caller, *answer)]
            status, text = wrong[0] if wrong else answers[-1]
            seen = "" if status != _OK else json.loads(text)["caller"] or "anonymous"
            times = tuple(stopwatch.times[before:])
            yield DemoOutcome(name, call.name, status, text, not wrong, seen, times)


def _as_sent(call: DemoCall, caller: Caller, status: int | None, text: str) -> bool:
    """Whether the service's echo shows the caller, and the call as it was sent."""
    if status != _OK:
        return False
    seen = json.loads(text)
    query = call.url.partition("?")[2]
    return (
        seen["caller"] == caller.principal
        and seen["method"] == call.method
        # A space that was written as "+" may arrive as "%20".
        and parse_qsl(seen["query"], keep_blank_values=True)
        == parse_qsl(query, keep_blank_values=True)
        and (
            call.chunks is None
            or seen["body_sha256"] == hashlib.sha256(b"".join(call.chunks)).hexdigest()
        )
    )


def _refused_calls(running: RunningLattice, denied: Caller) -> Iterator[DemoOutcome]:
    auth = LatticeAuth()
    denied_auth = LatticeAuth(credentials=BotocoreCredentials(profile=denied.name))

    def tampering(request: Any) -> Any:
        auth(request).url += "&limit=1000"
        return request

    call = _calls(running.url_for("orders"))[0]
    for name, hook, expected in (
        ("unsigned", None, "AccessDeniedException: User: anonymous "),
        ("tampered: query changed after signing", tampering, "InvalidSignatureException: "),
        (
            f"denied: signed by {denied.name}",
            denied_auth,
            f"AccessDeniedException: User: {denied.principal} ",
        ),
    ):
        with requests_client(hook, running.ca_file) as send:
            status, text = _answer(send, call)
        expected_refusal = status == _FORBIDDEN and text.startswith(expected)
        yield DemoOutcome("requests", name, status, text, expected_refusal)


def _answer(send: Send, call: DemoCall) -> tuple[int | None, str]:
    try:
        return send(call)
    except Exception as error:  # noqa: BLE001 any exception means that the call did not pass
        return None, f"{type(error).__name__}: {error}"
