"""Hypothesis strategies for requests: what clients may send, and worse."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import strategies as st

from lattice_client import Credentials
from support.oracles import Case

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PURGE"])

hosts = st.sampled_from([
    "orders.example.com",
    "orders.example.com:8443",
    "127.0.0.1:9000",
    "[::1]:9000",
    "orders-0a1b2c3d4e5f67890.7d67968.vpc-lattice-svcs.eu-west-1.on.aws",
])  # fmt: skip

# Long enough for tokens over 2,048 bytes, for which hashlib releases the GIL.
tokens = st.none() | st.text(UNRESERVED + "/+=", min_size=1, max_size=40).map(lambda t: t * 70)

credentials = st.builds(
    Credentials,
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=16, max_size=20),
    st.text(UNRESERVED + "/+=", min_size=1, max_size=80),
    tokens,
)

# From 1970 to 2100, so that steps between two draws go both ways.
times = st.integers(0, 4_102_444_800)

regions = st.sampled_from(["eu-west-1", "us-gov-west-1", "cn-north-1", "ap-southeast-4"])

_header_names = st.sampled_from(["x-amz-meta-a", "X-Amz-Meta-B", "x-amz-target", "X-AMZ-FLAG"])
_header_values = st.lists(
    st.sampled_from(["a", "B", "0", " ", "  ", "\t", '"', ",", ";", "=", "/", "'"]), max_size=12
).map("".join)
# The C runtime also joins headers of the same name; botocore takes a dictionary.
headers = st.lists(
    st.tuples(_header_names, _header_values), max_size=4, unique_by=lambda pair: pair[0].lower()
).map(tuple)
repeated_headers = st.lists(st.tuples(_header_names, _header_values), max_size=6).map(tuple)

# --- Canonically encoded targets, for botocore, which signs queries unchanged -----------------

_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_encoded = _words.map(lambda text: quote(text, safe=""))
_canonical_paths = st.lists(_encoded | st.sampled_from([".", "..", ""]), max_size=8).map(
    lambda segments: "/" + "/".join(segments)
)


def _canonical_query(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in pairs)


_few_pairs = st.lists(st.tuples(_encoded, _encoded), max_size=6)
_many_pairs = st.integers(7, 200).flatmap(
    lambda count: st.permutations([(f"n{i % 50}", str(i)) for i in range(count)])
)
_canonical_queries = st.one_of(_few_pairs, _few_pairs, _few_pairs, _many_pairs).map(
    _canonical_query
)

canonical_targets = st.builds(
    lambda path, query: f"{path}?{query}" if query else path, _canonical_paths, _canonical_queries
)

# --- Raw targets, for the C runtime -----------------------------------------------------------

_path_pieces = st.sampled_from([
    "/", "//", ".", "..", "/./", "/../", "a", "B7", "~", "-", "%20", "%2F", "%2f", "%41", "%zz",
    "%", "é", "日", ":", "@", " ", "+", ";", "=", "&", ",", "$", "!", "*", "'", "(", ")", "[", "]",
])  # fmt: skip
_query_pieces = st.sampled_from([
    "&", "&&", "=", "==", "a", "B", "a-b", "a_b", "a1", "~", "%20", "%2B", "%2f", "%2F", "%41",
    "%C3%A9", "é", ":", "/", "?", " ", "+", ";", ",", "@", "[", "]",
])  # fmt: skip
raw_paths = st.lists(_path_pieces, max_size=12).map(lambda pieces: "/" + "".join(pieces))
raw_queries = st.lists(_query_pieces, max_size=30).map("".join)
raw_targets = st.builds(
    lambda path, query: path if query is None else f"{path}?{query}",
    raw_paths,
    st.none() | raw_queries,
    # The C runtime treats what is before "://" as a scheme, and refuses "x:/".
).filter(lambda target: ":/" not in target)

simple_cases = st.builds(
    Case, methods, hosts, canonical_targets, headers, credentials, times, regions
)
raw_cases = st.builds(
    Case, methods, hosts, raw_targets, repeated_headers, credentials, times, regions
)
