"""The region to sign for where neither the argument nor the host name gives one."""

from __future__ import annotations

import os

from lattice_client._regions import check_region
from lattice_client.credentials import CredentialsProvider, DefaultCredentials
from lattice_client.errors import RegionError
from lattice_client.names.managed import hint_of

__all__ = ["default_region", "environment_region"]


def default_region(provider: CredentialsProvider, host: str) -> str:
    """The environment's region, else the one of the provider, else the profile's. May read files.

    :param host: for the error.
    :raises RegionError: where there is none, or one that cannot be a region.
    """
    region = environment_region()
    if not region:
        provider_region = getattr(provider, "region", None)
        region = provider_region() if callable(provider_region) else DefaultCredentials().region()
        if region:
            check_region(region, "the profile's region")
    if not region:
        raise RegionError(
            f"no region to sign for: {host!r} does not name one{hint_of(host)}, AWS_REGION and "
            f"AWS_DEFAULT_REGION are not set, and no profile has one; pass region=…"
        )
    return str(region)


def environment_region() -> str | None:
    """AWS_REGION, else AWS_DEFAULT_REGION.

    :raises RegionError: for a value that cannot be a region.
    """
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(name):
            check_region(region, name)
            return region
    return None
