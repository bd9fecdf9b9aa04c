"""The region to sign for where neither the argument nor the host name gives one."""

from __future__ import annotations

import os

from lattice_client._regions import check_region
from lattice_client.credentials import CredentialsProvider, DefaultCredentials
from lattice_client.credentials.provider import chosen_region, provider_region
from lattice_client.errors import RegionError
from lattice_client.names.managed import hint_of

__all__ = ["default_region", "named_region"]


def default_region(provider: CredentialsProvider, host: str) -> str:
    """The region that the provider's session was given in code, else the environment's, the
    provider's or the profile's, else the one that this machine runs in. May read files, and once
    ask the machine's metadata.

    :param host: for the error.
    :raises RegionError: where there is none, or one that cannot be a region.
    """
    region = named_region(provider)
    if region:
        return region
    has_region = callable(getattr(provider, "region", None))
    region = provider_region(provider if has_region else DefaultCredentials())
    if region:
        check_region(region, "the profile's region")
        return str(region)
    # Deferred: it loads logging.
    from lattice_client.credentials.metadata_region import metadata_region

    region = metadata_region()
    if region:
        check_region(region, "the region in the machine's metadata")
        return region
    raise RegionError(
        f"no region to sign for: {host!r} does not name one{hint_of(host)}, AWS_REGION and "
        f"AWS_DEFAULT_REGION are not set, no profile or session has one, and neither EC2's nor "
        "ECS's metadata gave one; pass region=…"
    )


def named_region(provider: CredentialsProvider) -> str | None:
    """The region that the provider's session was given in code, else AWS_REGION, else
    AWS_DEFAULT_REGION. Never blocks.

    :raises RegionError: for a value that cannot be a region.
    """
    if region := chosen_region(provider):
        check_region(region, "the session's region")
        return region
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if region := os.environ.get(name):
            check_region(region, name)
            return region
    return None
