"""The region in a managed host name."""

from __future__ import annotations

import pytest

from lattice_client.names import region_of


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("orders-0a1b.7d67968.vpc-lattice-svcs.eu-west-1.on.aws", "eu-west-1"),
        ("abc123.execute-api.us-east-2.amazonaws.com", "us-east-2"),
        ("abc123.execute-api.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0a1b-2c3d.execute-api.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("vpce-0a1b-2c3d-eu-west-1a.execute-api.eu-west-1.vpce.amazonaws.com:443", "eu-west-1"),
        ("search-orders-4w2x.eu-central-1.es.amazonaws.com", "eu-central-1"),
        ("vpc-orders-4w2x.us-gov-west-1.es.amazonaws.com.", "us-gov-west-1"),
        ("0a1b2c3d.us-east-1.aoss.amazonaws.com", "us-east-1"),
        ("ABC.EU-WEST-1.ES.AMAZONAWS.COM", "eu-west-1"),
        ("es.amazonaws.com", None),
        ("search-orders.es.amazonaws.com", None),
        ("search-orders.eu-west-1.xs.amazonaws.com", None),
        ("search-orders.eu-west-1.es.amazonaws.com.evil.example", None),
        ("search-orders.eu-west-1.esamazonaws.com", None),
        ("eu-west-1.es.amazonaws.com", None),
    ],
)
def test_the_region_of_a_managed_name(host, region):
    assert region_of(host) == region
    assert region_of(host) == region  # also from memory
