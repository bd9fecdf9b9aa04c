"""Maps in code, files and the environment."""

from __future__ import annotations

import json
import pickle

import pytest

from lattice_client import ConfigurationError
from lattice_client.names import Endpoint, Names, StaticNames
from lattice_client.names.static import VARIABLE

MANAGED = "orders-0a1b.7d67968.vpc-lattice-svcs.eu-west-1.on.aws"
ARN = "arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-0a1b"
NAME = "orders.example.com"

TARGETS = [
    (MANAGED, Endpoint(MANAGED, "eu-west-1", None, MANAGED)),
    (MANAGED.upper() + ".", Endpoint(MANAGED, "eu-west-1", None, MANAGED)),
    ("eu-west-1", Endpoint(NAME, "eu-west-1")),
    ("@127.0.0.1:8080", Endpoint(NAME, None, "127.0.0.1:8080")),
    ("@[::1]:8080", Endpoint(NAME, None, "[::1]:8080")),
    ("@[::1]", Endpoint(NAME, None, "[::1]")),
    ("eu-west-1@127.0.0.1", Endpoint(NAME, "eu-west-1", "127.0.0.1")),
    (f"{MANAGED}@lattice.local:80", Endpoint(MANAGED, "eu-west-1", "lattice.local:80", MANAGED)),
    ({"region": "eu-west-1"}, Endpoint(NAME, "eu-west-1")),
    ({"managed_name": MANAGED, "custom_domain": True}, Endpoint(NAME, "eu-west-1", None, MANAGED)),
    (
        {"managed_name": MANAGED, "region": "eu-west-1", "service_arn": ARN},
        Endpoint(MANAGED, "eu-west-1", None, MANAGED, ARN),
    ),
    ({"is_lattice": False}, Endpoint(NAME, is_lattice=False)),
]
BAD_TARGETS = [
    "",
    "europe",
    "@",
    "eu-west-1@",
    "eu-west-1@a b",
    "@http://127.0.0.1:80",
    "@127.0.0.1:port",
    "@127.0.0.1:0",
    "@127.0.0.1:65536",
    "@[:::]:80",
    "@[127.0.0.1]",
    "orders.example.net",
    "rcfg-0a1b.4e5f.vpc-lattice-rsc.eu-west-1.on.aws",
    f"https://{MANAGED}",
    None,
    7,
    ["eu-west-1"],
    {},
    {"regions": "eu-west-1"},
    {"region": "europe"},
    {"region": 7},
    {"is_lattice": "no"},
    {"region": "eu-west-2", "managed_name": MANAGED},
]


@pytest.mark.parametrize(("target", "endpoint"), TARGETS)
def test_a_target(target, endpoint):
    found = Names({NAME: target}).resolve(NAME)
    assert found._replace(expires_at=None, source="") == endpoint
    assert found.source == "static map"


@pytest.mark.parametrize("target", BAD_TARGETS, ids=repr)
def test_a_bad_target_is_refused_by_its_name(target):
    with pytest.raises(ConfigurationError, match=r"static map: .*orders"):
        StaticNames({NAME: target})


@pytest.mark.parametrize("key", ["", "*", "*.", "a.*.b", "https://a.example", 7, "a b"])
def test_a_bad_key_is_refused(key):
    with pytest.raises(ConfigurationError, match=r"static map: .* is not a host name"):
        StaticNames({key: "eu-west-1"})


def test_twice_the_same_name():
    with pytest.raises(ConfigurationError, match=r"'a\.example' is there twice"):
        StaticNames({"a.example": "eu-west-1", "A.example.": "eu-west-2"})


def test_wildcards_stand_for_every_name_below_and_the_longest_counts():
    names = Names(
        {
            "*.example.com": "eu-west-1",
            "*.internal.example.com": MANAGED,
            "orders.internal.example.com": "eu-west-3",
        }
    )
    assert names.resolve("a.example.com").region == "eu-west-1"
    assert names.resolve("a.b.example.com").host == "a.b.example.com"
    assert names.resolve("a.internal.example.com").host == MANAGED
    assert names.resolve("orders.internal.example.com").region == "eu-west-3"
    assert names.resolve("internal.example.com").region == "eu-west-1"
    assert not names.resolve("example.com").is_lattice
    assert not names.resolve("myexample.com").is_lattice


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("kind", ["toml", "json"])
def test_a_file(kind, nested, tmp_path):
    path = tmp_path / f"names.{kind}"
    written = {"orders.example.com": "eu-west-1", "books.example.com": {"region": "eu-west-2"}}
    if kind == "json":
        path.write_text(json.dumps({"names": written} if nested else written))
    else:
        path.write_text(
            "[names]\n" * nested
            + '"orders.example.com" = "eu-west-1"\n"books.example.com" = { region = "eu-west-2" }\n'
        )
    names = Names(StaticNames.from_file(path))
    assert names.resolve("orders.example.com").region == "eu-west-1"
    assert names.resolve("books.example.com").region == "eu-west-2"
    assert names.resolve("books.example.com").source == str(path)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("names.toml", None, "No such file"),
        ("names.toml", b"\xff", "cannot be read"),
        ("names.toml", b"a = ", "is not TOML"),
        ("names.json", b"{", "is not JSON"),
        ("names.json", b"[]", "must map names"),
        ("names.json", b'{"a.example": "nowhere"}', "'nowhere' cannot be the target"),
    ],
)
def test_a_bad_file_is_named(name, text, said, tmp_path):
    if text is not None:
        (tmp_path / name).write_bytes(text)
    with pytest.raises(ConfigurationError, match=f"{name}.*{said}"):
        StaticNames.from_file(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        f"orders.example.com=eu-west-1,books.example.com={MANAGED}@127.0.0.1:8080",
        f"\n  orders.example.com=eu-west-1\n  books.example.com={MANAGED}@127.0.0.1:8080\n",
        json.dumps(
            {"orders.example.com": "eu-west-1", "books.example.com": f"{MANAGED}@127.0.0.1:8080"}
        ),
    ],
)
def test_the_environment(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    names = Names()
    assert names.resolve("orders.example.com").region == "eu-west-1"
    assert names.resolve("books.example.com").connect_to == "127.0.0.1:8080"
    assert names.resolve("books.example.com").source == VARIABLE


def test_the_environment_names_a_file(monkeypatch, tmp_path):
    path = tmp_path / "names.toml"
    path.write_text('"orders.example.com" = "eu-west-1"')
    monkeypatch.setenv(VARIABLE, f"@{path}")
    assert Names().resolve("orders.example.com").region == "eu-west-1"


@pytest.mark.parametrize(
    "text", ["orders.example.com", "a.example=eu-west-1 a.example=eu-west-1", "{", "a.example=x"]
)
def test_a_bad_variable_is_named(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match=VARIABLE):
        Names()


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_none(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    assert repr(Names()).startswith("Names(ManagedNames(), DnsNames(")


def test_a_map_pickles():
    source = pickle.loads(pickle.dumps(StaticNames({NAME: "eu-west-1"})))
    assert source.find(NAME, 0).region == "eu-west-1"


def test_no_map():
    with pytest.raises(ConfigurationError, match="must map names"):
        StaticNames("orders.example.com")
