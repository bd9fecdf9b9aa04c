"""``python -m lattice_client.cli``."""

from __future__ import annotations

import sys

from lattice_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
