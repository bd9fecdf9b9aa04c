"""``lattice-client local``: serve the local Lattice of a file, and show its access log."""

from __future__ import annotations

import itertools
import json
import shlex
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.text import Text

from lattice_client.cli.access_view import AccessView, line_of
from lattice_client.cli.failures import CONNECT, Failure
from lattice_client.cli.help import Command
from lattice_client.cli.serving import (
    interruptible,
    load_lattice,
    parse_pair,
    serve_networks,
)
from lattice_client.cli.shell_settings import UNDO, settings_file, write_settings
from lattice_client.cli.terminal import console, note, say
from lattice_client.testing import LocalLattice, RunningLattice

__all__ = ["command"]


@click.command("local", cls=Command)
@click.argument("file", type=click.Path(), required=False)
@click.option(
    "--target",
    multiple=True,
    metavar="NAME=TARGET",
    help="What stands for a target group: a URL, module:app or lambda:module:handler.",
)
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="One of the template's.")
@click.option("--caller", multiple=True, metavar="NAME", help="Add a caller.")
@click.option("--region", metavar="REGION", help="Instead of the file's.")
@click.option("--account", metavar="ID", help="Instead of the file's.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=int, default=0, help="Of the first service network. [default: a free one]"
)
@click.option("--tls", is_flag=True, help="Speak HTTPS.")
@click.option("--json", "as_json", is_flag=True, help="Show the access log's own records.")
def command(*, file: str | None, as_json: bool, **given: Any) -> None:
    """Serve a local Lattice and show its access log.

    FILE is TOML, YAML, or a CloudFormation template; without it, there are the service orders and
    the caller orders-frontend. Callers become profiles of a separate AWS configuration file; no
    credentials are shown.
    """
    out = console()
    live = out.is_terminal and not as_json
    show = _AccessLogOutput(None if live else (json.dumps if as_json else line_of))
    with ExitStack() as stack:
        stack.enter_context(interruptible())
        lattice = load_lattice(
            file,
            targets=_pairs("--target", given["target"]),
            parameters=_pairs("--parameter", given["parameter"]),
            callers=given["caller"],
            account=given["account"],
            region=given["region"],
            on_access=show,
            note=note,
        )
        at = {name: given[name] for name in ("host", "port", "tls")}
        try:
            running = stack.enter_context(serve_networks(lattice, **at, note=note))
        except OSError as error:
            raise Failure(
                CONNECT, f"Cannot listen at {error.filename}: {error.strerror}."
            ) from None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lattice-client-")))
        write_settings(lattice, running, folder)
        heading = _heading(lattice, running, folder)
        if live:
            show.view = view = AccessView(heading)
            stack.enter_context(Live(view, console=out, refresh_per_second=8))
        else:
            for line in heading:
                say(line)
            say("Serving; Ctrl-C ends it.")
        show.wait_for_failure()


class _AccessLogOutput:
    """Writes the access log, into a live view or line by line to stdout."""

    def __init__(self, form: Callable[[dict[str, Any]], str] | None) -> None:
        self.view: AccessView | None = None
        self._form = form
        self._lock = threading.Lock()
        self._failed: Future[None] = Future()

    def __call__(self, record: dict[str, Any]) -> None:
        if self.view is not None:
            self.view.add(record)
        elif self._form is not None:
            with self._lock, suppress(InvalidStateError):  # only the first failure is kept
                try:
                    print(self._form(record), flush=True)  # noqa: T201 rich would wrap JSON
                except OSError as error:
                    self._failed.set_exception(error)

    def wait_for_failure(self) -> None:
        """Wait until stdout cannot be written.

        :raises OSError: the failure to write.
        """
        self._failed.result()


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    try:
        return dict(map(parse_pair, given))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _heading(lattice: LocalLattice, running: list[RunningLattice], folder: Path) -> list[Text]:
    """The services' URLs, and how to call them."""
    lines = []
    for network, served in zip(lattice.networks.values(), running, strict=True):
        lines.append(Text.assemble("Service network ", (network.name, "bold")))
        for service in network.services:
            line = Text.assemble("  ", (served.url_for(service), "cyan"), overflow="fold")
            lines.append(line)
    lines.append(Text("To call them from another shell, as one of the callers:"))
    for caller in lattice.callers.values():
        path = shlex.quote(str(settings_file(caller, folder)))
        lines.append(Text.assemble("  ", (f". {path}", "green"), overflow="fold"))
    services = (each for network in lattice.networks.values() for each in network.services)
    for service in itertools.islice(services, 1):
        calling = f"lattice-client call {running[0].scheme}://{service.host}/"
        lines.append(Text("There the names lead here, for your Python programs and for:"))
        lines.append(Text.assemble("  ", (calling, "green"), overflow="fold"))
    lines.append(Text.assemble("To undo it there: ", (UNDO, "green")))
    return lines
