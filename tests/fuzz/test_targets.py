"""The fuzz targets hold for their seeds and for random bytes; ``scripts/fuzz`` looks further."""

from __future__ import annotations

import random

import pytest

from fuzz.targets import SEEDS, TARGETS

PIECES = [b"", b"%", b"/", b"..", b"&", b"="]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_random_changes_of_them(name):
    pick = random.Random(7)
    for seed in SEEDS[name]:
        TARGETS[name](seed)
        for _ in range(1500):
            changed = bytearray(seed)
            for _ in range(pick.randint(1, 4)):
                place = pick.randint(0, len(changed))
                piece = pick.choice(
                    [b"", b"%", b"/", b"..", b"&", b"=", bytes([pick.getrandbits(8)])]
                )
                changed[place : place + pick.randint(0, 2)] = piece
            TARGETS[name](bytes(changed))
