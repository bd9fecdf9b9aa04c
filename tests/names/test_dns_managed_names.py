"""What DNS says of a name whose CNAME leads to a managed name: a resource's, or an endpoint's
in a VPC whose subnets are not listed."""

from __future__ import annotations

import logging

import pytest
import requests

from lattice_client import LatticeAuth, NotLatticeError
from lattice_client.names import DnsNames, Names
from support import canary

NAME = "orders.example.com"
RESOURCE = "db-0a1b.7d67968.vpc-lattice-rsc.eu-west-1.on.aws"
ENDPOINT = "vpce-0a1b-snsa-2c3d.4e5f.vpc-lattice-svcs.eu-west-1.on.aws"
REGION = "eu-west-1"


def dns(server, **more):
    return DnsNames(nameservers=[server.address], **more)


@pytest.mark.parametrize("address", ["10.0.16.5", "169.254.171.7"])
@pytest.mark.parametrize("connect", ["auto", "name", "address"])
def test_a_resource_is_not_lattices_whatever_its_address(server, address, connect, clock):
    server.add(NAME, "CNAME", f"{RESOURCE}.")
    server.add(RESOURCE, "A", address)
    source = dns(server, networks=["10.0.16.0/24"], connect=connect)
    names = Names(source, clock=clock)
    for name in (NAME, RESOURCE):
        found = names.resolve(name)
        assert not (found.at_address or found).is_lattice
        assert "a resource" in found.source
    found = Names({NAME: REGION}, source, strict=True, clock=clock).resolve(NAME)
    assert not found.is_lattice
    assert found.source.endswith(
        "; but DNS: a managed name of a resource, where no signature is verified"
    )


def test_an_endpoint_whose_subnets_are_not_listed_is_hinted_at_once(server, caplog):
    server.add(NAME, "CNAME", f"{ENDPOINT}.")
    server.add(ENDPOINT, "A", "10.0.16.5")
    auth = LatticeAuth(credentials=canary.credentials(), names=Names(dns(server)))
    for _ in range(2):
        request = auth(requests.Request("GET", f"https://{NAME}/").prepare())
        assert "Authorization" not in request.headers
    (told,) = (each for each in caplog.records if each.name == "lattice_client.unsigned")
    assert told.levelno == logging.WARNING
    assert "DnsNames(networks=[…])" in told.message
    with pytest.raises(NotLatticeError):
        LatticeAuth(credentials=canary.credentials(), names=Names(dns(server), strict=True))(
            requests.Request("GET", f"https://{NAME}/").prepare()
        )
