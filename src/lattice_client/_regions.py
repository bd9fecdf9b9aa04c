"""What can be a region."""

from __future__ import annotations

import re
from functools import lru_cache

from lattice_client.errors import RegionError

__all__ = ["check_region"]

# Other vendors' regions may have capital letters, such as OpenStack's "RegionOne".
_AWS_REGION = r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]+"
# Zones of a region ("Regions and Zones", EC2 User Guide): us-west-2a, us-west-2-lax-1a,
# us-east-1-wl1-bos-wlz-1; and the id of one, usw2-az1.
_ZONE = rf"({_AWS_REGION})(?:[a-z]|-[a-z]{{3}}-\d+[a-z]?|-wl\d+-[a-z0-9-]+)"
_ZONE_ID = r"[a-z]{2,6}\d+-az\d+"


@lru_cache(maxsize=64)
def _is_usual(region: str) -> bool:
    """Whether it has the form of AWS's regions, which no zone has."""
    return re.fullmatch(_AWS_REGION, region) is not None


def check_region(region: object, where: str = "region", *, wildcards: bool = False) -> None:
    """Check that a text can be a region. There is no list of regions here: AWS adds some every
    year, and other vendors have their own.

    :param where: what holds it, such as an argument or a variable.
    :param wildcards: whether ``*`` may stand in it.
    :raises RegionError: with a hint, where it cannot.
    """
    if region is None or region == "":
        raise RegionError(f"{where} is empty; give the region of the service, as in 'eu-west-1'")
    if not isinstance(region, str):
        raise RegionError(
            f"{where} must be a str such as 'eu-west-1', not a {type(region).__name__}"
        )
    if _is_usual(region):
        return
    letters = region.replace("-", "").replace("*", "" if wildcards else "*")
    if not region.isascii() or (letters and not letters.isalnum()) or region.strip("-") == "":
        example = "'eu-west-1', 'us-east-*', '*'" if wildcards else "'eu-west-1'"
        raise RegionError(f"{where} is {region!r}, which is no region; they look like {example}")
    lower = region.lower()
    if region != lower and re.fullmatch(_AWS_REGION, lower.replace("*", "1")):
        raise RegionError(f"{where} is {region!r}: write it in lower case, {lower!r}")
    if zone := re.fullmatch(_ZONE, lower):
        raise RegionError(f"{where} is {region!r}, a zone: give its region, {zone[1]!r}")
    if re.fullmatch(_ZONE_ID, lower):
        raise RegionError(
            f"{where} is {region!r}, the id of a zone: give the region that it is in, as in "
            "'eu-west-1'"
        )
