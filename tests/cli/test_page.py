"""The page on the command line names nothing that is not there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from lattice_client.cli.app import app
from lattice_client.cli.doctor.findings import FAULTS
from lattice_client.cli.failures import EXIT_CODES
from lattice_client.cli.unsupported_curl_options import UNSUPPORTED
from lattice_client.cli.write_out import VARIABLES

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^lattice-client (.*)$", PAGE + README, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_have_these_options(line):
    command: click.Command = app
    arguments = shlex.split(line.partition(" | ")[0].partition("  #")[0])
    context = click.Context(app)
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments.pop(0))
        assert found is not None
        command = found
    command.make_context(command.name, arguments, parent=context)


def test_every_fault_is_named():
    section = PAGE.partition("## doctor")[2].partition("## sign")[0]
    named = set(re.findall(r"`([^`\n]+)`", section.partition("| credentials |")[2]))
    assert FAULTS.keys() <= named


def test_every_exit_code_is_named():
    section = PAGE.partition("### Exit codes")[2].partition("## doctor")[0]
    codes = {
        int(code)
        for row in re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE)
        for code in row.split(",")
    }
    assert codes | {1} >= EXIT_CODES.keys()


def test_options_in_the_text_are_there():
    known = {"--header", *UNSUPPORTED}
    for name in app.list_commands(click.Context(app)):
        command = app.get_command(click.Context(app), name)
        for one in command.commands.values() if isinstance(command, click.Group) else [command]:
            for option in one.params:
                known |= set(option.opts)
    for option in re.findall(r"`(--?[a-zA-Z][\w-]*)", PAGE):
        assert option in known


def test_every_variable_of_write_out_is_named():
    section = PAGE.partition("## call")[2].partition("### Exit codes")[0]
    assert VARIABLES.keys() <= set(re.findall(r"`(\w+)`", section))


def test_no_option_is_listed_as_unsupported_and_supported():
    call = app.get_command(click.Context(app), "call")
    assert call is not None
    assert not UNSUPPORTED.keys() & {option for one in call.params for option in one.opts}
