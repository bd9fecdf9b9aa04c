"""Friendly names: a host name's region, whether it is VPC Lattice's, and where to connect.

:class:`Names` queries sources in order and caches their answers. A source is any object with a
method ``find(name, now)``. The sources of this package are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client._lazy import lazy_exports as _lazy_exports
from lattice_client.names.endpoint import Endpoint, Resolver
from lattice_client.names.managed import ManagedNames, region_of

if TYPE_CHECKING:
    from lattice_client.names.cloud_map import CloudMapNames
    from lattice_client.names.dns import DnsNames
    from lattice_client.names.lattice import LatticeNames
    from lattice_client.names.resolver_cache import Names
    from lattice_client.names.route53 import Route53Names
    from lattice_client.names.source import Source
    from lattice_client.names.static import StaticNames
    from lattice_client.names.watch import Watch

__all__ = [
    "CloudMapNames",
    "DnsNames",
    "Endpoint",
    "LatticeNames",
    "ManagedNames",
    "Names",
    "Resolver",
    "Route53Names",
    "Source",
    "StaticNames",
    "Watch",
    "region_of",
]

_MODULE_OF = {
    "CloudMapNames": "cloud_map",
    "DnsNames": "dns",
    "LatticeNames": "lattice",
    "Names": "resolver_cache",
    "Route53Names": "route53",
    "Source": "source",
    "StaticNames": "static",
    "Watch": "watch",
}

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF)
