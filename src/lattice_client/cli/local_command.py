"""``lattice-client local``: the local Lattice that a file describes, and its access log, live."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
from rich.live import Live
from rich.text import Text

from lattice_client.cli.access_view import AccessView, line_of
from lattice_client.cli.failures import CONNECT, Failure
from lattice_client.cli.help import Command
from lattice_client.cli.terminal import console, note, say
from lattice_client.testing import (
    Caller,
    ExposedLatticeWarning,
    LocalLattice,
    RunningLattice,
    TemplateWarning,
    lint,
    load,
    serve,
)

__all__ = ["command"]


@click.command("local", cls=Command)
@click.argument("file", type=click.Path())
@click.option(
    "--target",
    multiple=True,
    metavar="NAME=TARGET",
    help="What stands for a target group: a URL, module:app or lambda:module:handler.",
)
@click.option("--parameter", multiple=True, metavar="NAME=VALUE", help="One of the template's.")
@click.option("--caller", multiple=True, metavar="NAME", help="Add a caller.")
@click.option("--region", metavar="REGION", help="In place of the file's.")
@click.option("--account", metavar="ID", help="In place of the file's.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=int, default=0, help="Of the first service network. [default: a free one]"
)
@click.option("--tls", is_flag=True, help="Speak HTTPS.")
@click.option("--json", "as_json", is_flag=True, help="Show the access log's own records.")
def command(*, file: str, as_json: bool, **given: Any) -> None:
    """Serve a local Lattice and show its access log.

    FILE is TOML, YAML, or a CloudFormation template. Its callers are put into an AWS configuration
    file of their own, as profiles; no credentials are shown.
    """
    # Applications that the file names are those of the folder one stands in, as with any server.
    sys.path.insert(0, str(Path.cwd()))
    out = console()
    live = out.is_terminal and not as_json
    show = _Shown(None if live else (json.dumps if as_json else line_of))
    with ExitStack() as stack:
        lattice = _loaded(file, show, given)
        running = list(_served(stack, lattice, given))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lattice-client-")))
        _write_settings(lattice, running, folder)
        told = _told(lattice, running, folder)
        stack.enter_context(_interruptible())
        if live:
            show.view = view = AccessView(told)
            stack.enter_context(Live(view, console=out, refresh_per_second=8))
        else:
            for line in told:
                say(line)
            say("Serving; Ctrl-C ends it.")
        threading.Event().wait()


class _Shown:
    """Where the access log goes: into a view, or line by line to stdout."""

    def __init__(self, form: Callable[[dict[str, Any]], str] | None) -> None:
        self.view: AccessView | None = None
        self._form = form
        self._lock = threading.Lock()

    def __call__(self, record: dict[str, Any]) -> None:
        if self.view is not None:
            self.view.add(record)
        elif self._form is not None:
            with self._lock:
                print(self._form(record), flush=True)  # noqa: T201 it may be JSON


def _loaded(file: str, show: _Shown, given: dict[str, Any]) -> LocalLattice:
    settings = {name: given[name] for name in ("account", "region") if given[name]}
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", TemplateWarning)
        lattice = load(
            file,
            targets=_pairs("--target", given["target"]),
            parameters=_pairs("--parameter", given["parameter"]),
            on_access=show,
            **settings,
        )
    for remark in [*(str(each.message) for each in remarks), *_surprises(lattice)]:
        note(remark)
    for name in given["caller"] or ([] if lattice.callers else ["local-caller"]):
        if name not in lattice.callers:
            lattice.add_caller(name)
    return lattice


def _surprises(lattice: LocalLattice) -> Iterator[str]:
    """What is legal in the auth policies, and does something else than it seems to."""
    layers = {f"service network {name}": one.auth for name, one in lattice.networks.items()}
    layers |= {f"service {service.name}": service.auth for service in lattice.services}
    for owner, layer in layers.items():
        if layer.document is not None:
            yield from (f"the policy of {owner}, {finding}" for finding in lint(layer.policy))


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{one!r} has not the form NAME=VALUE", param_hint=option)
        pairs[name] = value
    return pairs


def _served(
    stack: ExitStack, lattice: LocalLattice, given: dict[str, Any]
) -> Iterator[RunningLattice]:
    for index, network in enumerate(lattice.networks.values()):
        port = given["port"] + index if given["port"] else 0
        serving = serve(network, host=given["host"], port=port, tls=given["tls"])
        try:
            with warnings.catch_warnings(record=True) as remarks:
                warnings.simplefilter("always", ExposedLatticeWarning)
                entered = stack.enter_context(serving)
        except OSError as error:
            raise Failure(
                CONNECT, f"There is no listening at {given['host']}:{port}: {error.strerror}."
            ) from None
        for remark in remarks:
            note(f"{remark.message}")
        yield entered


def _write_settings(lattice: LocalLattice, running: list[RunningLattice], folder: Path) -> None:
    """An AWS configuration with a profile for each caller, and for each a file to source. Both are
    in a folder that is private to its owner."""
    config = folder / "config"
    config.write_text("".join(_profile(caller, lattice) for caller in lattice.callers.values()))
    names = [
        f"{service.host}={lattice.region}@{entrance.url.partition('://')[2]}"
        for network, entrance in zip(lattice.networks.values(), running, strict=True)
        for service in network.services
    ]
    for caller in lattice.callers.values():
        settings = {
            "AWS_CONFIG_FILE": str(config),
            "AWS_PROFILE": caller.name,
            "LATTICE_CLIENT_NAMES": ",".join(names),
        }
        if running[0].scheme == "https":
            settings["SSL_CERT_FILE"] = running[0].ca_file
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
        # Keys in the environment would come before the profile's.
        _settings_of(caller, folder).write_text(f"unset {_KEYS}\n{''.join(lines)}")


_KEYS = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"


def _settings_of(caller: Caller, folder: Path) -> Path:
    return folder / f"{caller.name.replace('/', '-')}.sh"


def _profile(caller: Caller, lattice: LocalLattice) -> str:
    held = caller.credentials
    token = f"aws_session_token = {held.token}\n" if held.token else ""
    return (
        f"[profile {caller.name}]\nregion = {lattice.region}\n"
        f"aws_access_key_id = {held.access_key}\naws_secret_access_key = {held.secret_key}\n{token}"
    )


def _told(lattice: LocalLattice, running: list[RunningLattice], folder: Path) -> list[Text]:
    """What there is, and how to call it."""
    lines = []
    for network, entrance in zip(lattice.networks.values(), running, strict=True):
        lines.append(Text.assemble("Service network ", (network.name, "bold")))
        for service in network.services:
            line = Text.assemble("  ", (entrance.url_for(service), "cyan"), overflow="fold")
            lines.append(line)
    lines.append(Text("To call them from another shell, as one of the callers:"))
    for caller in lattice.callers.values():
        path = shlex.quote(str(_settings_of(caller, folder)))
        lines.append(Text.assemble("  ", (f". {path}", "green"), overflow="fold"))
    return lines


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ends as by Ctrl-C also where it is told to terminate, or where a shell has started it in the
    background and made it ignore Ctrl-C."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
