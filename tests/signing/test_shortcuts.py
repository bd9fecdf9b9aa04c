"""Each shortcut of the hot path compared with the general way: lengths, orders, paths, keys."""

from __future__ import annotations

import hashlib
import hmac
from itertools import permutations, product

import pytest

from lattice_client import Credentials
from lattice_client.signing import (
    EMPTY_PAYLOAD,
    SigV4Signer,
    canonical_path,
    canonical_query,
)
from lattice_client.signing.canonical import canonical_target
from support.oracles import Case, botocore_stages

HOST = "orders.example.com"
NOW = 1_440_938_160


def signature_by_hand(signer: SigV4Signer, target: str) -> str:
    """From the signer's two texts only."""
    request = signer.canonical_request("GET", HOST, target, now=NOW)
    head, _ = signer.string_to_sign("GET", HOST, target, now=NOW).rsplit("\n", 1)
    text = f"{head}\n{hashlib.sha256(request.encode('latin-1')).hexdigest()}"
    key = b"AWS4" + signer.credentials.secret_key.encode()
    for part in ("20150830", signer.region, signer.service, "aws4_request", text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


# What is hashed in one piece must be shorter than 2,048 bytes: the head, and the suffix behind it.
@pytest.mark.parametrize("token", [0, 900, *range(1750, 1760), 1800, 2048, 9000])
@pytest.mark.parametrize(
    "options", [{}, {"path_encoding": "double-raw"}, {"path_encoding": "single"}]
)
def test_requests_of_any_length(token, options):
    credentials = Credentials("AKIDEXAMPLE", "secret", "t" * token)
    signer = SigV4Signer(credentials, "eu-west-1", **options)
    for length in (1, 1900, *range(2005, 2025), 2048, 4096, 9000):
        target = "/".ljust(length, "a")
        signed = signer.sign("GET", HOST, target, now=NOW)["Authorization"]
        assert signed.endswith(signature_by_hand(signer, target)), length


def test_text_that_is_not_ascii():
    for encoding in ("double", "double-raw", "single"):
        signer = SigV4Signer(
            Credentials("AKIDEXAMPLE", "secret"), "eu-west-1", path_encoding=encoding
        )
        signed = signer.sign("GET", HOST, "/bücher/日?é=ü", now=NOW)["Authorization"]
        assert signed.endswith(signature_by_hand(signer, "/bücher/日?é=ü"))


def test_every_hash_stays_below_the_length_at_which_hashlib_lets_others_run(monkeypatch):
    """From 2,048 bytes on it releases the GIL, and may wait for milliseconds to get it back."""
    lengths: list[int] = []

    class Recorded:
        def __init__(self, data=b""):
            lengths.append(len(data))
            self.state = hashlib.sha256(data)

        def update(self, data):
            lengths.append(len(data))
            self.state.update(data)

        def copy(self):
            return self

        def hexdigest(self):
            return self.state.hexdigest()

    from lattice_client.signing import signer as module

    monkeypatch.setattr(module, "sha256", Recorded)
    for token in (100, 1700, 1800, 1900, 2047, 2048, 5000):
        signer = SigV4Signer(Credentials("AKIDEXAMPLE", "secret", "t" * token), "eu-west-1")
        for length in (1, 1900, 1990, 2048, 5000):
            monkeypatch.setattr(module, "_EMPTY", Recorded())
            signer.sign("GET", HOST, "/".ljust(length, "a"), now=NOW)
    assert max(lengths) < 2048
    assert max(lengths) > 1900


TEXTS = ["", "a", "a-", "a.", "a1", "aa", "A", "~", "_", "a%20", "a%2F"]
PIECES = [f"{name}={value}" for name in TEXTS for value in ("", "1", "a-")]


@pytest.mark.parametrize(
    "queries",
    [
        [*map("&".join, product(PIECES, repeat=2))],
        [*map("&".join, permutations(PIECES[::2], 3))],
        ["&".join(["b=1", "a-=1"] * 6), "&".join(["b=1"] * 12), "&".join(["b=1"] * 13 + ["a="])],
    ],
    ids=["two", "three", "many"],
)
def test_parameters_in_every_order(queries):
    lines = canonical_target("double", "rfc3986")
    for query in queries:
        assert lines(f"/orders?{query}") == f"/orders\n{canonical_query(query)}"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/", "/"),
        ("/orders/7", "/orders/7"),
        ("/v1.2/~me/a-b_c", "/v1.2/~me/a-b_c"),
        ("/orders/", "/orders/"),
        ("/a//b", "/a/b"),
        ("//", "/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/..", "/"),
        ("/.hidden", "/.hidden"),
        ("/a..b/c.", "/a..b/c."),
        ("/a%20b", "/a%2520b"),
        ("/a:b@c", "/a%3Ab%40c"),
        ("/é", "/%C3%A9"),
        ("/" * 12 + "a", "/a"),
        ("/a" * 30, "/a" * 30),
    ],
)
@pytest.mark.parametrize("query", ["", "a=1", "b=1&a=1", "b=%20&a=1", "a=%zz", "a/b=?"])
def test_paths_with_any_query(path, canonical, query):
    lines = canonical_target("double", "rfc3986")
    assert lines(f"{path}?{query}" if query else path) == f"{canonical}\n{canonical_query(query)}"
    assert canonical_path(path) == canonical


@pytest.mark.parametrize("path", ["", "orders", "a/../b"])
def test_a_path_without_its_slash_gets_one(path):
    assert canonical_path(path) == {"": "/", "orders": "/orders", "a/../b": "/b"}[path]


@pytest.mark.parametrize(
    "form", [("double", "rfc3986"), ("double", "none"), ("single", "rfc3986"), ("single", "none")]
)
def test_an_empty_path_is_the_root_in_each_form(form):
    """As in "Create a signed AWS API request": if the path is empty, use a slash."""
    assert canonical_path("", *form) == "/" == canonical_path("/", *form)


@pytest.mark.parametrize("length", [1, 40, 59, 60, 61, 64, 65, 200])
def test_secrets_about_as_long_as_a_block_of_the_hash_as_botocore(length):
    """A key longer than 64 bytes is hashed first (RFC 2104); "AWS4" is a part of it."""
    credentials = Credentials("AKIDEXAMPLE", "s" * length, "token")
    case = Case("GET", HOST, "/orders", credentials=credentials)
    signed = SigV4Signer(credentials, case.region).sign("GET", HOST, "/orders", now=case.now)
    assert signed["Authorization"] == botocore_stages(case).authorization


def test_the_usual_payload_given_in_so_many_words():
    lattice = SigV4Signer(Credentials("AKIDEXAMPLE", "secret"), "eu-west-1")
    other = SigV4Signer(Credentials("AKIDEXAMPLE", "secret"), "eu-west-1", "execute-api")
    for signer, payload in ((lattice, "UNSIGNED-PAYLOAD"), (other, EMPTY_PAYLOAD)):
        for headers in ((), {"accept": "*/*"}, {"x-amz-meta": "1"}):
            given = signer.sign("GET", HOST, "/", headers, payload_hash=payload, now=NOW)
            assert given == signer.sign("GET", HOST, "/", headers, now=NOW)
