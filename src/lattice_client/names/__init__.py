"""Friendly names: which region a host name is in, whether it is Lattice's, and where to connect."""

from __future__ import annotations

from lattice_client.names.endpoint import Endpoint, Resolver
from lattice_client.names.managed import region_of

__all__ = ["Endpoint", "Resolver", "region_of"]
