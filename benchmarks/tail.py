"""Single signatures with a long token while another thread computes.

hashlib lets go of the GIL for inputs of 2,048 bytes and more, and a thread that computes then keeps
it for a whole switch interval (5 ms): each signature may wait that long. "Before" is the same
signature with the canonical request hashed in one piece.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from time import perf_counter_ns

from benchmarks.contenders import HOST, METHOD, REGION, credentials
from lattice_client.signing import SigV4Signer
from lattice_client.signing.canonical import canonical_target

__all__ = ["IN_ONE_PIECE", "NOW", "TOKEN_LENGTH", "Tail", "run"]

NOW = "lattice_client"
IN_ONE_PIECE = "hashed in one piece"
TOKEN_LENGTH = 3000


@dataclass(frozen=True, slots=True)
class Tail:
    """In seconds."""

    p50: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, taken: list[float]) -> Tail:
        ordered = sorted(taken)
        p50, p99, p999 = (
            ordered[min(len(ordered) - 1, int(len(ordered) * share))]
            for share in (0.5, 0.99, 0.999)
        )
        return cls(p50, p99, p999, ordered[-1])


def in_one_piece() -> Callable[[str], object]:
    """The signer's own steps, but for one: the canonical request is hashed in one go."""
    given = credentials(token_length=TOKEN_LENGTH)
    signer = SigV4Signer(given, REGION)
    target_lines = canonical_target("double", "rfc3986")
    prefix = signer.string_to_sign(METHOD, HOST, "/")[:-64].encode()
    tail = signer.canonical_request(METHOD, HOST, "/").partition(HOST)[2]
    headers = signer.sign(METHOD, HOST, "/")
    authorization = headers["Authorization"][:-64]
    # Any key will do.
    inner, outer = sha256(b"6" * 64), sha256(b"\\" * 64)
    inner.update(prefix)

    def sign(target: str) -> dict[str, str]:
        request = f"{METHOD}\n{target_lines(target)}\nhost:{HOST}{tail}"
        mac = inner.copy()
        mac.update(sha256(request.encode()).hexdigest().encode())
        signature = outer.copy()
        signature.update(mac.digest())
        return {**headers, "Authorization": authorization + signature.hexdigest()}

    return sign


def run(signatures: int) -> dict[str, Tail]:
    """Sign as many requests each way, by turns in random order, beside a thread that computes."""
    ours = SigV4Signer(credentials(token_length=TOKEN_LENGTH), REGION)
    ways: dict[str, Callable[[str], object]] = {
        NOW: lambda target: ours.sign(METHOD, HOST, target),
        IN_ONE_PIECE: in_one_piece(),
    }
    turns = [name for name in ways for _ in range(signatures)]
    random.Random(1).shuffle(turns)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    done = threading.Event()
    busy = threading.Thread(target=_compute, args=(done,))
    for sign in ways.values():
        sign("/orders/0?page=0")
    busy.start()
    try:
        for number, name in enumerate(turns):
            target = f"/orders/{number}?page={number % 50}"
            # As a client does between two signatures, wait for something: whoever comes back from
            # that has a switch interval of its own, and what it waits for then is its own doing.
            time.sleep(0)
            start = perf_counter_ns()
            ways[name](target)
            taken[name].append((perf_counter_ns() - start) / 1e9)
    finally:
        done.set()
        busy.join()
    return {name: Tail.of(times) for name, times in taken.items()}


def _compute(done: threading.Event) -> None:
    while not done.is_set():
        sum(number * number for number in range(1000))
