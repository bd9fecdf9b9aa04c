"""Coverage-guided fuzzing of one target: ``python tests/fuzz/run.py TARGET [options]``.

The options are libFuzzer's, as ``-max_total_time=60``. ``scripts/fuzz`` installs atheris for it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["lattice_client"]):
    from fuzz import targets


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in targets.TARGETS:
        sys.exit(f"usage: run.py {{{','.join(targets.TARGETS)}}} [libFuzzer options]")
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(targets.SEEDS[name]):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], targets.TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
