"""The canonical forms beside slow ones, written byte by byte from the rules alone."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lattice_client.errors import InvalidHeaderError
from lattice_client.signing import SigV4Signer, canonical_path, canonical_query
from lattice_client.signing.canonical import canonical_target, collapsed, joined_headers
from support import canary

thorough = settings(max_examples=300)

UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
HEX = b"0123456789ABCDEFabcdef"


# --- The slow forms ---------------------------------------------------------------------------


def slow_encoding(data: bytes, kept: bytes = b"") -> str:
    return "".join(chr(byte) if byte in UNRESERVED + kept else f"%{byte:02X}" for byte in data)


def slow_decoding(text: str) -> bytes:
    data, decoded = text.encode(), bytearray()
    while data:
        if data[:1] == b"%" and len(data) > 2 and data[1] in HEX and data[2] in HEX:
            decoded.append(int(data[1:3], 16))
            data = data[3:]
        else:
            decoded.append(data[0])
            data = data[1:]
    return bytes(decoded)


def slow_query(query: str) -> str:
    pairs = []
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if piece:
            pairs.append(tuple(slow_encoding(slow_decoding(part)) for part in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def slow_path(path: str, *, normalized: bool) -> str:
    if normalized:
        kept: list[str] = []
        for segment in path.split("/"):
            if segment == "..":
                kept = kept[:-1]
            elif segment not in ("", "."):
                kept.append(segment)
        path = "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
    return slow_encoding(path.encode(), kept=b"/") or "/"


def slow_headers(pairs: list[tuple[str, str]]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        words = [word for word in re.split("[ \t\n\v\f\r]", value) if word]
        values.setdefault(name.lower(), []).append(" ".join(words))
    return {name: ",".join(joined) for name, joined in values.items()}


# --- What is drawn ----------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=8)
PIECES = st.sampled_from([
    "/", "//", "/./", "/../", ".", "a", "Bc", "7", "~", "-", "_", " ", "+", ":", "@", ",", ";",
    "!", "*", "(", "'", "$", "|", '"', "%", "%%", "%4", "%zz", "%20", "%2F", "%2f", "%41", "%7e",
    "%2d", "%2D", "%5f", "%3D", "%3d", "%26", "%25", "%C3%A9", "%c3", "é", "日", "\xff", "\x7f",
    "\uff14", "%\uff14\uff11", "&", "&&", "=", "==", "a=1&b=2", "a=", "?", "a%20b=%2F",
])  # fmt: skip
TARGETS = st.lists(PIECES | TEXT, max_size=30).map("".join)


@thorough
@given(TARGETS)
@example("/a%20b:c@d,e")
@example("/%/%25/%2520")
@example("/" + "/".join(["segment%20"] * 60))
def test_paths(path):
    assert canonical_path(path) == slow_path(path, normalized=True)
    assert canonical_path(path, "double", "none") == slow_path(path, normalized=False)
    assert canonical_path(path, "double-raw") == slow_path(path, normalized=False)
    assert canonical_path(path, "single") == (path or "/")


@thorough
@given(TARGETS)
@example("of=arn:aws:iam::123456789012:role/a&at=12:30:00Z")
@example("&".join(f"p{i * 7 % 20}={i}" for i in range(20)))
@example("a=%20&a-=%7e&a=b=c&&d")
@example("=&=&")
def test_queries(query):
    assert canonical_query(query) == slow_query(query)


@thorough
@given(TARGETS, TARGETS)
def test_targets(path, query):
    path, normalized = f"/{path}".replace("?", ""), {"rfc3986": True, "none": False}
    for normalization, resolved in normalized.items():
        lines = canonical_target("double", normalization)(f"{path}?{query}")
        assert lines == f"{slow_path(path, normalized=resolved)}\n{slow_query(query)}"


def test_every_escape_in_every_case():
    for high, low in product(HEX.decode(), repeat=2):
        query = f"a=%{high}{low}"
        assert canonical_query(query) == slow_query(query)


VALUES = st.text('aB0 \t,;="/\xe9\xa0', max_size=12)
NAMES = st.sampled_from(["x-amz-a", "X-Amz-A", "x-amz-b", "X-AMZ-!#$%&'*+.^_`|~"])


@thorough
@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
@example([("x-amz-a", "")])
@example([("x-amz-a", " a"), ("X-Amz-A", "b "), ("x-amz-b", "c  d")])
@example([("x-amz-a", "a"), ("x-amz-b", "b"), ("X-Amz-A", "c")])
def test_headers(pairs):
    expected = slow_headers(pairs)
    names, values = [name.lower() for name, _ in pairs], [value for _, value in pairs]
    assert joined_headers(names, values) == expected
    assert SigV4Signer(canary.credentials(), "eu-west-1").selected(pairs) == expected
    assert all(collapsed(value) == value for value in expected.values())


@pytest.mark.parametrize(
    "pair",
    [
        ("x-amz-\N{KELVIN SIGN}", "a"),  # its lower case is "k"
        ("x-amz-a b", "a"),
        ("x-amz-é", "a"),
        ("x-amz-a:", "a"),
        ("x-amz-a", "a\rb"),
        ("x-amz-a", "a\nb"),
        ("x-amz-a", "a\0b"),
        ("x-amz-a", "日"),
        ("x-amz-a", "\ud800"),
        ("x-amz-a", b"a"),
        ("x-amz-a", None),
        (b"x-amz-a", "a"),
        (b"accept", "a"),
        (["x-amz-a"], "a"),
        (bytearray(b"accept"), "a"),
        (None, "a"),
    ],
)
@pytest.mark.parametrize("others", [0, 1, 20])
def test_one_header_that_cannot_be_sent_is_refused_among_any_number(pair, others):
    signer = SigV4Signer(canary.credentials(), "eu-west-1")
    good = [(f"x-amz-meta-{i}", "a value") for i in range(others)]
    for pairs in ([*good, pair], [pair, *good]):
        with pytest.raises(InvalidHeaderError):
            signer.sign("GET", "orders.example.com", "/", pairs)
