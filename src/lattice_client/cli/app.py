"""The commands, their help and their exit codes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from lattice_client._version import __version__
from lattice_client.cli.failures import (
    BROKEN_PIPE,
    EXIT_CODES,
    INTERRUPTED,
    failure_of,
    failure_to_write,
)
from lattice_client.errors import MissingExtraError

try:
    import click
    import rich as _rich
except ModuleNotFoundError as error:
    if error.name not in ("click", "rich"):
        raise
    raise MissingExtraError("cli", str(error.name)) from None

from lattice_client.cli.help import Group

del _rich

__all__ = ["app", "run"]

# A command's module is imported when the command runs: completions and the list of commands do not
# need what a call needs.
_COMMANDS = {
    "call": "Send one signed request, as curl would.",
    "demo": "Call a local Lattice with every library.",
    "doctor": "Find out why calls to a URL fail.",
    "local": "Serve a local Lattice and show its access log.",
    "policy": "Ask an auth policy, or look it over.",
    "sign": "Show what a signed request looks like.",
}
_LIBRARIES = ("certifi", "cryptography", "httpx", "rich")
_PROGRAM = "lattice-client"
_QUIET = logging.NullHandler()


class _Commands(Group):
    """Commands that are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = import_module(f"lattice_client.cli.{cmd_name}_command")
        except ModuleNotFoundError as error:
            if error.name not in _LIBRARIES:
                raise
            raise MissingExtraError("cli", error.name) from None
        command: click.Command = module.command
        return command

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _exit_on_broken_pipe():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _exit_on_broken_pipe():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 click
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 click
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), words) for code, words in EXIT_CODES.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from difflib import get_close_matches

        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], _COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def app() -> None:
    """Signed calls to services behind Amazon VPC Lattice."""


def run(argv: list[str] | None = None) -> int:
    """Run the command.

    :returns: the exit code.
    """
    from lattice_client.cli.terminal import discard_unwritten, note, replace_closed_streams

    # The commands print the package's log records themselves.
    logging.getLogger("lattice_client").addHandler(_QUIET)
    replace_closed_streams()
    try:
        code = _code_of(argv)
        sys.stdout.flush()
    except click.ClickException as error:
        with suppress(OSError):  # stderr may be closed
            error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        code = BROKEN_PIPE
    except Exception as error:
        failure = failure_of(error) or failure_to_write(error)
        if failure is None:
            raise
        if failure.text:
            with suppress(OSError):
                note(f"{failure.text} {failure.next_step}".rstrip())
        code = failure.code
    discard_unwritten()
    return code


def _code_of(argv: list[str] | None) -> int:
    try:
        result: Any = app.main(argv, _PROGRAM, standalone_mode=False)
    except SystemExit as end:  # from the demo's argparse, and click's shell completion
        result = end.code
    return result if isinstance(result, int) else 0


@contextmanager
def _exit_on_broken_pipe() -> Iterator[None]:
    """Exit with ``BROKEN_PIPE`` when the output's reader has closed it; click would exit with 1."""
    try:
        yield
    except BrokenPipeError:
        raise click.exceptions.Exit(BROKEN_PIPE) from None
