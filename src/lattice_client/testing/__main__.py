"""``python -m lattice_client.testing FILE``: serves the local Lattice that a file describes."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import shlex
import string
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lattice_client.errors import LatticeClientError
from lattice_client.testing.access_log import as_json_line
from lattice_client.testing.serving import (
    entered,
    interruptible,
    loaded,
    pair,
    until_interrupted,
)

if TYPE_CHECKING:
    from lattice_client.credentials import Credentials
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.server.running import RunningLattice

__all__ = ["main"]

_KEY_LETTERS = string.ascii_uppercase + "234567"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Returns the exit status: 2 for a file or an argument that is wrong.

    :param arguments: those of the command line; None for the process's own.
    """
    options = _parser().parse_args(arguments)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(interruptible())
            lattice = loaded(
                options.file,
                targets=dict(options.target),
                parameters=dict(options.parameter),
                callers=options.caller,
                account=options.account,
                region=options.region,
                on_access=_Log(stack.enter_context(_opened(options.access_log))),
                note=_note,
            )
            for caller in lattice.callers.values():
                caller.rotate(_credentials())
            entrances = entered(
                lattice, host=options.host, port=options.port, tls=options.tls, note=_note
            )
            _tell(lattice, stack.enter_context(entrances), options)
            until_interrupted()
    except (LatticeClientError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", flush=True)
    return 0


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lattice_client.testing",
        description="Serve the local Lattice that a file describes.",
    )
    parser.add_argument("file", help="TOML, YAML, or a CloudFormation template (YAML or JSON)")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME=TARGET",
        type=_pair,
        help="what stands for a target group: a URL, module:app or lambda:module:handler",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=_pair,
        help="a value for a parameter of the template",
    )
    parser.add_argument("--caller", action="append", default=[], help="a caller to add", type=str)
    parser.add_argument("--region", help="in place of the file's")
    parser.add_argument("--account", help="in place of the file's")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument(
        "--port", type=int, default=0, help="of the first service network; the others' follow"
    )
    parser.add_argument("--tls", action="store_true", help="speak HTTPS")
    parser.add_argument(
        "--access-log", default="-", metavar="FILE", help="JSON lines; - for standard output"
    )
    return parser


def _pair(text: str) -> tuple[str, str]:
    try:
        return pair(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    if name == "-":
        yield sys.stdout
    else:
        with Path(name).open("a", encoding="utf-8") as file:
            yield file


class _Log:
    """Writes access-log records as JSON lines, each as soon as it is there."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = threading.Lock()

    def __call__(self, record: dict[str, Any]) -> None:
        with self._lock:
            print(as_json_line(record), end="", file=self._file, flush=True)


def _credentials() -> Credentials:
    """Made up, and nobody can take them for real ones."""
    from lattice_client.credentials import Credentials

    letters = "".join(secrets.choice(_KEY_LETTERS) for _ in range(11))
    return Credentials(
        f"ASIALOCAL{letters}",
        f"local-lattice-{secrets.token_urlsafe(20)}",
        f"local-lattice-{secrets.token_urlsafe(20)}",
    )


def _tell(
    lattice: LocalLattice, running: list[RunningLattice], options: argparse.Namespace
) -> None:
    from lattice_client.testing.describe import describe

    lines = describe(lattice)
    lines.append("")
    for network, entrance in zip(lattice.networks.values(), running, strict=True):
        lines.append(f"service network {network.name} is entered at {entrance.url}")
        if options.tls:
            lines.append(f"  its certificate authority: {entrance.ca_file}")
        for service in network.services:
            url = entrance.url_for(service)
            at = f"{service.host}:{entrance.port}:{entrance.host}:{entrance.port}"
            lines.append(f"  {url}    curl --connect-to {at} {url}/")
    for name, caller in lattice.callers.items():
        lines += ["", f"# {name}: {caller.principal}"]
        lines += [
            f"export {key}={shlex.quote(value)}"
            for key, value in {
                "AWS_ACCESS_KEY_ID": caller.credentials.access_key,
                "AWS_SECRET_ACCESS_KEY": caller.credentials.secret_key,
                "AWS_SESSION_TOKEN": caller.credentials.token or "",
                "AWS_REGION": lattice.region,
            }.items()
        ]
    where = "standard output" if options.access_log == "-" else options.access_log
    lines += ["", f"access log: {where}", "serving; Ctrl-C ends it"]
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
