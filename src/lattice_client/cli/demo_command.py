"""``lattice-client demo``."""

from __future__ import annotations

import click

from lattice_client.cli.demo import run as demo
from lattice_client.cli.help import Command

__all__ = ["command"]


@click.command(
    "demo", cls=Command, context_settings={"ignore_unknown_options": True}, add_help_option=False
)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def command(rest: tuple[str, ...]) -> int:
    """Call a local Lattice with every library."""
    return demo.main(list(rest))
