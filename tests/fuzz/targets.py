"""What the fuzzer runs: each function takes any bytes at all, and raises where a promise is broken.

The promises: the canonicaliser accepts a target or raises InvalidHeaderError, and agrees with the
local Lattice's own; the verifier accepts a request that was signed for it or raises RefusedError,
and never accepts one that was not.
"""

from __future__ import annotations

from collections.abc import Callable

from lattice_client import Credentials, InvalidHeaderError
from lattice_client.signing import SigV4Signer, canonical_path, canonical_query
from lattice_client.signing.canonical import canonical_target
from lattice_client.testing import RefusedError, Verifier, WireRequest
from lattice_client.testing.verification.canonical import canonical_path as lattices_path
from lattice_client.testing.verification.canonical import canonical_query as lattices_query

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "token")
NOW = 1_440_938_160
NO_NAME = b"\0"  # of a parameter to leave out
HOST = "orders.example.com"

_lines = canonical_target("double", "rfc3986")
_signer = SigV4Signer(CREDENTIALS, "eu-west-1")
_verifier = Verifier(
    {CREDENTIALS.access_key: CREDENTIALS}.get, region="eu-west-1", clock=lambda: NOW
)


def canonicaliser(data: bytes) -> None:
    """The signer's canonical form of a target, beside the one of the local Lattice."""
    target = data.decode("utf-8", "surrogateescape")
    try:
        lines = _lines(target)
    except InvalidHeaderError:
        # Refused are those that no wire can carry, and nothing else.
        no_text = any("\ud800" <= letter <= "\udfff" for letter in target)
        assert no_text or not target.startswith("/") or set(target) & set("\r\n\0"), "refused"
        return
    path, _, query = target.partition("?")
    assert lines == f"{canonical_path(path)}\n{canonical_query(query)}", "the quick way differs"
    theirs = f"{lattices_path(path.encode())}\n{lattices_query(query.encode(), leave_out=NO_NAME)}"
    assert lines == theirs, "the local Lattice differs"
    canonical = lines.partition("\n")[2]
    assert canonical_query(canonical) == canonical, "canonical twice is not canonical once"


def verifier(data: bytes) -> None:
    """The local Lattice's verifier, given a request as raw as it comes."""
    head, *lines = data.split(b"\n")
    method, _, target = head.partition(b" ")
    path, _, query = target.partition(b"?")
    headers = [(name.lower(), value) for name, _, value in (line.partition(b":") for line in lines)]
    request = WireRequest(method.decode("latin-1"), path, query, headers)
    try:
        _verifier.verify(request)
    except RefusedError as refusal:
        status = refusal.status
    else:
        raise AssertionError("accepted what nobody signed")
    assert status in (400, 403), status


def mutations(data: bytes) -> None:
    """A signed request with some of its bytes changed."""
    if len(data) < 3:
        return
    target = "/orders/7?a=1&b=%20x"
    signed = _signer.sign("POST", HOST, target, now=NOW)
    parts = [b"POST", target.encode(), HOST.encode(), *(v.encode() for v in signed.values())]
    which = data[0] % len(parts)
    place = int.from_bytes(data[1:3], "big") % len(parts[which])
    changed = bytearray(parts[which])
    changed[place : place + 1] = data[3:]
    mutated = parts.copy()
    mutated[which] = bytes(changed)
    path, _, query = mutated[1].partition(b"?")
    names = [b"host", *(name.lower().encode() for name in signed)]
    headers = list(zip(names, mutated[2:], strict=True))
    request = WireRequest(mutated[0].decode("latin-1"), path, query, headers)
    try:
        _verifier.verify(request)
    except RefusedError:
        return
    assert _same_request(parts, mutated), f"accepted with a changed {which}"


def _same_request(signed: list[bytes], mutated: list[bytes]) -> bool:
    """Whether the change is one that the canonical form is meant to level."""
    if signed[0] != mutated[0]:
        return False
    before, after = [part.partition(b"?") for part in (signed[1], mutated[1])]
    return (
        lattices_path(before[0]) == lattices_path(after[0])
        and lattices_query(before[2]) == lattices_query(after[2])
        and [b" ".join(part.split()) for part in signed[2:-1]]
        == [b" ".join(part.split()) for part in mutated[2:-1]]
        and signed[-1].replace(b" ", b"") == mutated[-1].replace(b" ", b"").replace(b"\t", b"")
    )


TARGETS: dict[str, Callable[[bytes], None]] = {
    "canonicaliser": canonicaliser,
    "verifier": verifier,
    "mutations": mutations,
}

# For a path that no mutation will come upon.
_SIGNED = _signer.sign("GET", HOST, "/one-that-is-asked-for-nowhere-else", now=NOW)
_IN_THE_QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20150830T123600Z&X-Amz-Expires=300"
    "&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Feu-west-1%2Fvpc-lattice-svcs%2Faws4_request"
    "&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
)
SEEDS: dict[str, list[bytes]] = {
    "canonicaliser": [
        b"/", b"/a/../b//c/./?b=2&a=1&a", "/é?x=%zz&%41=+".encode(), b"/?a-b=1&a=1&=&&a=b=c",
        b"/a%20b/%2F?q=%2f%7E",
    ],
    "verifier": [
        b"GET /a?b=2\nhost:orders.example.com\n"
        + b"\n".join(f"{name}:{value}".encode() for name, value in _SIGNED.items()),
        b"GET /?" + _IN_THE_QUERY.encode() + b"\nhost:a",
    ],
    "mutations": [b"\x00\x00\x00", b"\x01\x00\x05/", b"\x02\x00\x01\x00", b"\x06\x00\x05 ",
        # Found by the fuzzer: a unit separator for the space after a comma.
        b"\x06\xf5\xaf\x1f",
    ],
}  # fmt: skip
