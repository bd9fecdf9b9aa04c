"""What a host name says about itself: the region that its service is in."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["region_of"]

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
