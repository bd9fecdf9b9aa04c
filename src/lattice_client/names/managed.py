"""What a managed host name tells: its region, and whether it names a service."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from lattice_client.names.endpoint import Endpoint

__all__ = ["ManagedNames", "hint_of", "managed_endpoint", "region_of"]

# Names are read from their end, because the ids in front vary in number and length: services
# (NAME-ID.HASH.vpc-lattice-svcs.REGION.on.aws), service-network endpoints (vpce-…, the same end),
# resources (….vpc-lattice-rsc.REGION.on.aws), and the regional endpoints of other AWS services:
# ID.execute-api.REGION.amazonaws.com, for OpenSearch with the service after the region (es, aoss),
# and vpce-ID.execute-api.REGION.vpce.amazonaws.com for an endpoint in a VPC.
_REGIONAL = (
    r"\.(?:vpc-lattice-(?:svcs|rsc)\.(?P<lattice>[a-z0-9-]+)\.on\.aws"
    r"|(?P<other>[a-z]{2,4}(?:-[a-z]+)+-\d+)\."
    r"(?:(?:(?:es|aoss|vpce)\.)?amazonaws\.com(?:\.cn)?|on\.aws|api\.aws))"
    r"\.?(?::\d*)?$"
)
# Each signature looks its host up: 0.2 µs from the cache rather than 2 µs.
_CACHE_SIZE = 256


@lru_cache(maxsize=_CACHE_SIZE)
def region_of(host: str) -> str | None:
    """The region in a managed host name, or None for any other name.

    :param host: as in a Host header; a port and a trailing dot are ignored.
    """
    found = _regional().search(host.lower())
    return found and (found["lattice"] or found["other"])


@cache
def _regional() -> re.Pattern[str]:
    # Compiled on first use (0.3 to 0.6 ms), which a signer with a region never reaches.
    return re.compile(_REGIONAL)


# VPC Lattice's names alone. on.aws is the suffix of AWS's dual-stack names in the partitions aws
# and aws-us-gov. AWS has not published Lattice's suffix in aws-cn: other services there use
# amazonaws.com.cn, newer ones on.amazonwebservices.com.cn. All three domains belong to AWS, so a
# name of Lattice's form under any of them is accepted as Lattice's.
_LATTICE = (
    r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.vpc-lattice-(?P<kind>svcs|rsc)"
    r"\.(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+)"
    r"\.(?:on\.aws|on\.amazonwebservices\.com\.cn|amazonaws\.com\.cn)"
)
_SUFFIX_IN_CHINA = ".com.cn"


def managed_endpoint(name: str) -> Endpoint | None:
    """The endpoint of a normal name, or None if it is not a managed name of VPC Lattice.

    Services (``NAME-ID.HASH.vpc-lattice-svcs.REGION.on.aws``) and service-network endpoints
    (``vpce-ID-snsa-ID.HASH.vpc-lattice-svcs.REGION.on.aws``) are Lattice's. A resource
    (``….vpc-lattice-rsc.REGION.on.aws``) is too, but Lattice passes its bytes to the owner unread
    and verifies no signature, so it gets none. Any other form gives None, as does a region under
    another partition's suffix.
    """
    found = re.fullmatch(_LATTICE, name)
    if found is None or found["region"].startswith("cn-") != name.endswith(_SUFFIX_IN_CHINA):
        return None
    is_resource = found["kind"] == "rsc"
    return Endpoint(
        name,
        region=found["region"],
        managed_name=name,
        source="a managed name of a resource, where no signature is verified"
        if is_resource
        else "managed name",
        is_lattice=not is_resource,
        reason="resource" if is_resource else None,
    )


def hint_of(host: str) -> str:
    """A hint in brackets for a name that is nearly a managed one; empty for any other.

    An old tutorial has names that end in ``.vpc-lattice-svcs.aws``, which VPC Lattice does not use
    ("Services in VPC Lattice", VPC Lattice User Guide).
    """
    if not re.search(r"\.vpc-lattice-svcs\.aws\.?(?::\d*)?$", host.lower()):
        return ""
    return " (VPC Lattice's names end in .vpc-lattice-svcs.REGION.on.aws: see the console)"


class ManagedNames:
    """The source for Lattice's managed names, which contain their region. It does no I/O."""

    def __repr__(self) -> str:
        return "ManagedNames()"

    def find(self, name: str, now: float) -> Endpoint | None:  # noqa: ARG002 Source
        return managed_endpoint(name)
