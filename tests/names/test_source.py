"""How the answers of two sources become one."""

from __future__ import annotations

import pytest

from lattice_client.names import Endpoint
from lattice_client.names.source import merge

FIRST = Endpoint(
    "first.example.com",
    region="eu-west-1",
    connect_to="127.0.0.1",
    managed_name="first-0a1b.7d67968.vpc-lattice-svcs.eu-west-1.on.aws",
    service_arn="arn:of-the-first",
    source="first",
    expires_at=10,
)
LATER = Endpoint(
    "later.example.com",
    region="eu-west-2",
    connect_to="127.0.0.2",
    managed_name="later-0a1b.7d67968.vpc-lattice-svcs.eu-west-2.on.aws",
    service_arn="arn:of-the-later",
    source="later",
    expires_at=20,
    is_lattice=False,
)


@pytest.mark.parametrize("field", ["region", "connect_to", "managed_name", "service_arn"])
def test_the_first_answer_counts_and_the_later_fills_its_gaps(field):
    assert getattr(merge(FIRST, LATER), field) == getattr(FIRST, field)
    filled = merge(FIRST._replace(**{field: None}), LATER)
    assert filled == merge(FIRST, LATER)._replace(**{field: getattr(LATER, field)})


def test_the_later_names_the_host_and_the_first_says_whether_it_is_lattices():
    merged = merge(FIRST, LATER)
    assert (merged.host, merged.source, merged.is_lattice) == (LATER.host, "first; later", True)
    assert not merge(LATER, FIRST).is_lattice


@pytest.mark.parametrize(
    ("first", "later", "expires_at"),
    [(10, 20, 10), (20, 10, 10), (None, 20, 20), (10, None, 10), (None, None, None), (0, 5, 0)],
)
def test_the_earlier_expiry_counts(first, later, expires_at):
    merged = merge(FIRST._replace(expires_at=first), LATER._replace(expires_at=later))
    assert merged.expires_at == expires_at
