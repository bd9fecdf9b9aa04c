"""The normal form of host names, and the error for what is not one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis.strategies import text

from lattice_client import ConfigurationError
from lattice_client.names import DnsNames, ManagedNames, Names
from lattice_client.names.host_name import ends_with, is_address, normal_name
from lattice_client.names.managed import managed_endpoint

SPELLINGS = {
    "orders.example.com": "orders.example.com",
    "ORDERS.Example.COM": "orders.example.com",
    "orders.example.com.": "orders.example.com",
    "orders.example.com:8443": "orders.example.com",
    "orders.example.com.:8443": "orders.example.com",
    "orders.example.com:": "orders.example.com",
    "orders": "orders",
    "_orders._tcp.example.com": "_orders._tcp.example.com",
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.example:443": "xn--bcher-kva.example",
    "straße.example": "xn--strae-oqa.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "orders。example。com": "orders.example.com",
    "127.0.0.1": "127.0.0.1",
    "127.0.0.1:8080": "127.0.0.1",
    "[::1]": "::1",
    "[::1]:8080": "::1",
    "::1": "::1",
    "[FE80::1%eth0]:80": "fe80::1%eth0",
    "a" * 63 + ".example": "a" * 63 + ".example",
}
NO_NAMES = [
    "",
    ".",
    ":443",
    "orders..example.com",
    ".example.com",
    "orders.example.com..",
    "*.example.com",
    "orders.*.com",
    "https://orders.example.com",
    "orders.example.com/path",
    "user@orders.example.com",
    "orders example.com",
    "orders.example.com\r\nx: y",
    "orders.example.com\n",
    "orders\0.example.com",
    "orders.example.com:http",
    "[::1",
    "[orders.example.com]",
    "[::1]x",
    "a" * 64 + ".example",
    ".".join(["a" * 60] * 5),
    "ü" * 70,
    "\u200d.example",
    None,
    7,
    b"orders.example.com",
]


@pytest.mark.parametrize(("host", "name"), SPELLINGS.items())
def test_a_name_has_one_spelling(host, name):
    assert normal_name(host) == name
    assert normal_name(name) == name
    names = Names({name: "eu-west-1"})
    assert names.resolve(host) == names.peek(host) == names.resolve(name)
    assert names.resolve(host).region == "eu-west-1"
    assert names.resolve(host).host == name


@pytest.mark.parametrize("host", NO_NAMES, ids=repr)
def test_what_is_no_name_is_refused(host):
    names = Names({})
    assert names.peek(host) is None
    with pytest.raises(ConfigurationError, match="is not a host name; give one such as"):
        names.resolve(host)


@given(text())
def test_any_text_is_a_name_or_refused(host):
    try:
        name = normal_name(host)
    except ConfigurationError:
        return
    assert name == normal_name(name) == name.lower()
    assert not set(name) & set("/@*[] \r\n\0")
    assert name.isascii()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.171.1", "127.1", "2130706433", "0x7f000001", "a.b.0x1f", "1.2.3"],
)
def test_an_address_is_not_looked_up_and_not_lattices(address, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    assert is_address(address)
    assert not Names(ManagedNames(), DnsNames()).resolve(address).is_lattice
    # But a map may say otherwise.
    assert Names({address: "eu-west-1"}).resolve(address).is_lattice


@pytest.mark.parametrize("name", ["a1", "1a", "1.example", "0x.example.com", "orders-1"])
def test_no_address(name):
    assert not is_address(name)


@pytest.mark.parametrize(
    ("name", "is_below"),
    [
        ("example.com", True),
        ("orders.example.com", True),
        ("a.b.example.com", True),
        ("xexample.com", False),
        ("example.com.net", False),
        ("com", False),
    ],
)
def test_the_names_below_another(name, is_below):
    assert ends_with(name, "example.com") == is_below


def test_idna_without_a_library_for_it():
    code = (
        "import sys; sys.modules['idna'] = None\n"
        "from lattice_client.names.host_name import normal_name\n"
        "print(normal_name('BÜCHER.example'))"
    )
    result = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "xn--bcher-kva.example"


SERVICE = "orders-0a1b.7d67968.vpc-lattice-svcs"
MANAGED = {
    f"{SERVICE}.eu-west-1.on.aws": "eu-west-1",
    f"{SERVICE}.us-gov-west-1.on.aws": "us-gov-west-1",
    f"{SERVICE}.ap-southeast-5.on.aws": "ap-southeast-5",
    f"{SERVICE}.cn-north-1.on.amazonwebservices.com.cn": "cn-north-1",
    f"{SERVICE}.cn-northwest-1.amazonaws.com.cn": "cn-northwest-1",
    "vpce-0a1b-snsa-2c3d.4e5f.vpc-lattice-svcs.eu-west-1.on.aws": "eu-west-1",
    "orders.vpc-lattice-svcs.eu-west-1.on.aws": "eu-west-1",
}
UNKNOWN = [
    "vpc-lattice-svcs.eu-west-1.on.aws",
    f"{SERVICE}.on.aws",
    f"{SERVICE}.europe.on.aws",
    f"{SERVICE}.eu-west-1.on.aws.evil.example",
    f"{SERVICE}.eu-west-1.on.aws.cn",
    f"{SERVICE}.eu-west-1.amazonaws.com",
    # A region of one partition under the suffix of another.
    f"{SERVICE}.cn-north-1.on.aws",
    f"{SERVICE}.eu-west-1.on.amazonwebservices.com.cn",
    "orders.vpc-lattice.eu-west-1.on.aws",
    "orders.vpc-lattice-svcs.evil.example",
    "orders-vpc-lattice-svcs.eu-west-1.on.aws",
]


@pytest.mark.parametrize(("name", "region"), MANAGED.items())
def test_a_managed_name(name, region):
    found = managed_endpoint(name)
    assert found is not None
    assert (found.host, found.managed_name, found.region) == (name, name, region)
    assert found.is_lattice
    assert Names(ManagedNames(), strict=True).resolve(f"{name.upper()}.:443") == found


@pytest.mark.parametrize("name", UNKNOWN)
def test_no_managed_name(name):
    assert managed_endpoint(name) is None
    told = Names(ManagedNames()).resolve(name)
    assert not told.is_lattice
    assert told.source == "no source knows it"


def test_a_resource_gets_no_signature():
    told = Names(ManagedNames()).resolve("rcfg-0a1b.4e5f.vpc-lattice-rsc.eu-west-1.on.aws")
    assert told.region == "eu-west-1"
    assert not told.is_lattice
    assert "resource" in told.source
