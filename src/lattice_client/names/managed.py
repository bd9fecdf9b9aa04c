"""What a managed host name says about itself: its region, and what it is the name of."""

from __future__ import annotations

import re
from functools import lru_cache

from lattice_client.names.endpoint import Endpoint

__all__ = ["ManagedNames", "hint_of", "managed_endpoint", "region_of"]

# Names are read from their end, for the ids in front vary in number and length: services
# (NAME-ID.HASH.vpc-lattice-svcs.REGION.on.aws), service-network endpoints (vpce-…, the same end),
# resources (….vpc-lattice-rsc.REGION.on.aws), and the regional endpoints of other AWS services:
# ID.execute-api.REGION.amazonaws.com, with the service behind the region where it is OpenSearch's
# (es, aoss), and vpce-ID.execute-api.REGION.vpce.amazonaws.com for an endpoint in a VPC.
_REGIONAL = (
    r"\.(?:vpc-lattice-(?:svcs|rsc)\.(?P<lattice>[a-z0-9-]+)\.on\.aws"
    r"|(?P<other>[a-z]{2,4}(?:-[a-z]+)+-\d+)\."
    r"(?:(?:(?:es|aoss|vpce)\.)?amazonaws\.com(?:\.cn)?|on\.aws|api\.aws))"
    r"\.?(?::\d*)?$"
)
# Hosts whose answer is remembered, for it is asked for at every signature: 0.2 µs rather than 2 µs.
_REMEMBERED = 256


@lru_cache(maxsize=_REMEMBERED)
def region_of(host: str) -> str | None:
    """The region that a managed host name names, or None for any other name.

    :param host: as in a Host header; a port and a trailing dot do not matter.
    """
    # Compiled for the first who asks (0.3 to 0.6 ms); who gives a region never does.
    found = re.search(_REGIONAL, host.lower())
    return found and (found["lattice"] or found["other"])


# The names of VPC Lattice alone. on.aws is the suffix of AWS's dual-stack names in the partitions
# aws and aws-us-gov; nobody has published Lattice's names in aws-cn. Those of other services there
# end in amazonaws.com.cn, and AWS's newer ones in on.amazonwebservices.com.cn; all three belong to
# AWS alone, so a name that has Lattice's form under one of them is taken for Lattice's.
_LATTICE = (
    r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.vpc-lattice-(?P<kind>svcs|rsc)"
    r"\.(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]+)"
    r"\.(?:on\.aws|on\.amazonwebservices\.com\.cn|amazonaws\.com\.cn)"
)
_CHINESE = ".com.cn"


def managed_endpoint(name: str) -> Endpoint | None:
    """What a normal name says about itself, or None where it is no managed name of VPC Lattice.

    Services (``NAME-ID.HASH.vpc-lattice-svcs.REGION.on.aws``) and service-network endpoints
    (``vpce-ID-snsa-ID.HASH.vpc-lattice-svcs.REGION.on.aws``) are Lattice's. A resource
    (``….vpc-lattice-rsc.REGION.on.aws``) is too, but its bytes go through unread to whoever owns
    it: nobody there verifies a signature, so it gets none. What has another shape, a region of
    another partition included, is unknown: None.
    """
    found = re.fullmatch(_LATTICE, name)
    if found is None or found["region"].startswith("cn-") != name.endswith(_CHINESE):
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
    )


def hint_of(host: str) -> str:
    """What to say, in brackets, of a name that is nearly a managed one; else nothing.

    An old tutorial has names that end in ``.vpc-lattice-svcs.aws``; VPC Lattice gives none such
    ("Services in VPC Lattice", VPC Lattice User Guide).
    """
    if not re.search(r"\.vpc-lattice-svcs\.aws\.?(?::\d*)?$", host.lower()):
        return ""
    return " (VPC Lattice's own names end in .vpc-lattice-svcs.REGION.on.aws: see the console)"


class ManagedNames:
    """The source for Lattice's own names, which tell their region. It asks nobody."""

    def __repr__(self) -> str:
        return "ManagedNames()"

    def find(self, name: str, now: float) -> Endpoint | None:  # noqa: ARG002 a source's
        return managed_endpoint(name)
