"""The command ``lattice-client``."""

from __future__ import annotations

import argparse
import sys

from lattice_client import demo
from lattice_client._version import __version__

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command with these arguments; by default those of the process.

    :returns: the exit code.
    """
    parser = argparse.ArgumentParser(
        prog="lattice-client", description="Signed calls to services behind Amazon VPC Lattice."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    # Its own parser takes what follows, --help too.
    commands.add_parser("demo", help="call a local Lattice with every library", add_help=False)
    _, rest = parser.parse_known_args(argv)
    return demo.main(rest)


if __name__ == "__main__":
    sys.exit(main())
