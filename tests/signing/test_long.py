"""The long runs: left out by default, run by CI with ``scripts/test -m long``."""

from __future__ import annotations

import os
import random
from urllib.parse import quote

import pytest

from lattice_client import Credentials
from lattice_client.signing import SigV4Signer
from support.oracles import Case, botocore_stages, crt_authorization

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

# Both are printed with a failure, to reproduce it.
SEED = int(os.environ.get("LATTICE_CLIENT_SEED", "20261121"))
CASES = int(os.environ.get("LATTICE_CLIENT_CASES", "1000000"))

PATH_PIECES = [
    "/", "/", "//", ".", "..", "/./", "/../", "a", "Bc", "7", "~", "-", "_", "%20", "%2F", "%2f",
    "%41", "%zz", "%", "é", "日", ":", "@", " ", "+", ";", "=", "&", ",", "$", "!", "*", "'", "(",
]  # fmt: skip
QUERY_PIECES = [
    "&", "&", "=", "=", "a", "B", "a-b", "a.b", "a_b", "a1", "7", "~", "%20", "%2B", "%2f", "%2F",
    "%41", "%7e", "%C3%A9", "%c3", "é", "日", ":", "/", "?", " ", "+", ";", ",", "@", "[", "]", "'",
]  # fmt: skip
HEADER_PIECES = ["a", "B", "0", " ", "  ", "\t", '"', ",", ";", "=", "/"]
TOKEN_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
HOSTS = ["orders.example.com", "orders.example.com:8443", "127.0.0.1:9000", "[::1]:9000"]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE"]


class Draw:
    """Random requests, and a signer that lives for a while as the clock steps both ways."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 1_440_938_160
        self.renew()

    def renew(self) -> None:
        pick = self.random
        token = "".join(pick.choices(TOKEN_LETTERS, k=pick.choice([1, 40, 900, 3000])))
        self.credentials = Credentials(
            "AKID" + "".join(pick.choices("ABCDEFGH234567", k=16)),
            "".join(pick.choices(TOKEN_LETTERS, k=pick.randint(1, 80))),
            pick.choice([None, token]),
        )
        self.region = pick.choice(["eu-west-1", "us-gov-west-1", "cn-north-1"])
        self.signer = SigV4Signer(self.credentials, self.region)

    def pieces(self, pieces: list[str], most: int) -> str:
        return "".join(self.random.choices(pieces, k=self.random.randint(0, most)))

    def case(self, target: str) -> Case:
        pick = self.random
        if pick.random() < 0.01:
            self.renew()
        self.now += pick.choice([0, 0, 0, 1, -1, 60, -60, 86_400, -86_400])
        headers = tuple(
            (f"x-amz-meta-{name}", self.pieces(HEADER_PIECES, 8))
            for name in pick.sample("abcd", k=pick.choice([0, 0, 1, 3]))
        )
        return Case(
            pick.choice(METHODS),
            pick.choice(HOSTS),
            target,
            headers,
            self.credentials,
            self.now,
            self.region,
        )

    def raw_target(self) -> str:
        while True:
            target = "/" + self.pieces(PATH_PIECES, 12)
            if self.random.random() < 0.8:
                most = 400 if self.random.random() < 0.01 else 20
                target += "?" + self.pieces(QUERY_PIECES, most)
            # The C runtime takes what stands before "://" for a scheme, and refuses "x:/".
            if ":/" not in target:
                return target

    def canonical_target(self) -> str:
        pick = self.random
        path = "/" + quote(self.pieces(PATH_PIECES, 8), safe="/")
        count = pick.choice([0, 1, 2, 2, 3, 10, 200 if pick.random() < 0.05 else 5])
        names = [quote(self.pieces(QUERY_PIECES, 3), safe="") for _ in range(count)]
        values = [quote(self.pieces(QUERY_PIECES, 4), safe="") for _ in range(count)]
        query = "&".join(f"{n}={v}" for n, v in zip(names, values, strict=True))
        return f"{path}?{query}" if query else path


def test_raw_requests_as_the_c_runtime():
    draw, count = Draw(SEED), CASES * 7 // 10
    for number in range(count):
        case = draw.case(draw.raw_target())
        ours = draw.signer.sign(case.method, case.host, case.target, case.headers, now=case.now)[
            "Authorization"
        ]
        assert ours == crt_authorization(case), (SEED, number, case)
    print(f"{count} raw requests signed as awscrt signs them, seed {SEED}")


def test_canonical_requests_as_botocore():
    draw, count = Draw(SEED + 1), CASES * 3 // 10
    for number in range(count):
        case = draw.case(draw.canonical_target())
        arguments = (case.method, case.host, case.target, case.headers)
        theirs = botocore_stages(case)
        where = (SEED, number, case)
        canonical = draw.signer.canonical_request(*arguments, now=case.now)
        assert canonical == theirs.canonical_request, where
        to_sign = draw.signer.string_to_sign(*arguments, now=case.now)
        assert to_sign == theirs.string_to_sign, where
        ours = draw.signer.sign(*arguments, now=case.now)["Authorization"]
        assert ours == theirs.authorization, where
    print(f"{count} canonical requests signed as botocore signs them, seed {SEED}")
