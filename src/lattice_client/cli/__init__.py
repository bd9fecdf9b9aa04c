"""The command ``lattice-client`` (extra ``cli``).

Each command has its own file, and builds on what any program can import from this package.
"""

from __future__ import annotations

import sys

from lattice_client.errors import MissingExtraError

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments; None: those of the process.

    :returns: the exit code (``lattice_client.cli.failures``).
    """
    try:
        from lattice_client.cli.app import run
    except MissingExtraError as error:
        print(f"lattice-client: {error}", file=sys.stderr)  # noqa: T201 rich may be missing
        return 2
    return run(argv)
