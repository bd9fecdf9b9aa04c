"""Signed requests with one byte changed: the verifier refuses every one of them.

The canonical form levels no change of one byte of these requests: they have no empty parts, no
escapes that could be in lower case, no white space at an end. So an accepted change is a hole.
"""

import random
import string
from collections import Counter

import pytest

from lattice_client import Credentials
from lattice_client.signing import SigV4Signer, presign
from lattice_client.testing import RefusedError, Verifier, WireRequest

NOW = 1_767_225_600
CREDENTIALS = Credentials("ASIAMUTATED", "a-secret/of+mutations", "a/token+of==mutations" * 9)
LETTERS = string.ascii_letters + string.digits + "-._~"
WHITE = b" \t\n\r\x0b\x0c"

signer = SigV4Signer(CREDENTIALS, "eu-west-1")
verifier = Verifier(
    {CREDENTIALS.access_key: CREDENTIALS}.get, region="eu-west-1", clock=lambda: NOW
)


class Signed:
    """A signed request as parts of bytes, each of which may be changed."""

    def __init__(self, pick: random.Random, placement: str) -> None:
        def word(most: int = 8) -> str:
            # No segment of dots only, which would be resolved.
            return pick.choice(string.ascii_letters) + "".join(
                pick.choices(LETTERS, k=pick.randint(0, most))
            )

        self.placement = placement
        path = "".join(f"/{word()}" for _ in range(pick.randint(1, 4)))
        query = "&".join(f"{word()}={word()}" for _ in range(pick.randint(1, 4)))
        host = f"{word(20).strip('.').lower()}.example.com"
        method = pick.choice(["GET", "POST", "DELETE", "PROPFIND"])
        extra = [("x-amz-meta-note", " ".join(word() for _ in range(3))), ("x-amz-tag", word(20))]
        sent = {name.lower(): value for name, value in extra}
        target = f"{path}?{query}"
        if placement == "query":
            presigned = presign(signer, method, host, target, extra, now=NOW)
            target = presigned.target
            sent |= {name.lower(): value for name, value in presigned.headers.items()}
        else:
            signature = signer.sign(method, host, target, extra, now=NOW)
            sent |= {name.lower(): value for name, value in signature.items()}
        self.parts = {"method": method.encode(), "target": target.encode(), "host": host.encode()}
        self.parts |= {name: value.encode() for name, value in sent.items()}

    def accepted(self, part: str = "method", changed: bytes | None = None) -> bool:
        parts = self.parts if changed is None else self.parts | {part: changed}
        path, _, query = parts["target"].partition(b"?")
        headers = [
            (name.encode(), value)
            for name, value in parts.items()
            if name not in ("method", "target")
        ]
        request = WireRequest(parts["method"].decode("latin-1"), path, query, headers)
        try:
            verifier.verify(request)
        except RefusedError:
            return False
        return True

    def mutated(self, pick: random.Random) -> tuple[str, bytes, bytes]:
        """A part's name, and the part with one byte changed; and the byte's surroundings."""
        while True:
            part = pick.choice(list(self.parts))
            value = self.parts[part]
            place, new = pick.randrange(len(value)), pick.getrandbits(8)
            old = value[place]
            if new == old or (old in WHITE and new in WHITE):
                continue
            # In an escape, upper and lower case are the same.
            if part == "target" and b"%" in value[max(0, place - 2) : place]:
                continue
            # White space between the parts of Authorization means nothing.
            if part == "authorization" and (old in WHITE or new in WHITE):
                continue
            return part, value[:place] + bytes([new]) + value[place + 1 :], value


def refused(count: int, seed: int) -> Counter[str]:
    """How many changed requests were refused, by what was changed."""
    pick, refusals = random.Random(seed), Counter()
    while refusals.total() < count:
        signed = Signed(pick, pick.choice(["header", "query"]))
        assert signed.accepted(), signed.parts
        for _ in range(50):
            part, changed, before = signed.mutated(pick)
            assert not signed.accepted(part, changed), (
                f"accepted with a changed {part}, {before!r} became {changed!r}, seed {seed}"
            )
            if part == "target":
                part = "path" if before.find(b"?") > _difference(before, changed) else "query"
            elif part == "authorization" and _difference(before, changed) > before.find(b"re="):
                part = "signature"
            refusals[part] += 1
    return refusals


def _difference(one: bytes, other: bytes) -> int:
    return next(
        place for place, pair in enumerate(zip(one, other, strict=True)) if len({*pair}) > 1
    )


PARTS = {
    "authorization",
    "host",
    "method",
    "path",
    "query",
    "signature",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-meta-note",
    "x-amz-security-token",
    "x-amz-tag",
}


def test_a_changed_byte_is_refused():
    assert set(refused(4000, seed=20261121)) == PARTS


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_changed_bytes_are_refused():
    seed = random.SystemRandom().getrandbits(32)
    counted = refused(1_000_000, seed)
    print(f"\nseed {seed}: refused {counted.total()} of {counted.total()}: {dict(counted)}")
    assert counted.total() >= 1_000_000
    assert set(counted) == PARTS
