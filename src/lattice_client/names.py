"""What a host name says about itself: the region that its service is in."""

from __future__ import annotations

import re

__all__ = ["region_of"]

# Names are read from their end, for the ids in front vary in number and length: services
# (NAME-ID.HASH.vpc-lattice-svcs.REGION.on.aws), service-network endpoints (vpce-…, the same end),
# resources (….vpc-lattice-rsc.REGION.on.aws), and the regional endpoints of other AWS services
# (ID.execute-api.REGION.amazonaws.com).
_REGIONAL = re.compile(
    r"\.(?:vpc-lattice-(?:svcs|rsc)\.(?P<lattice>[a-z0-9-]+)\.on\.aws"
    r"|(?P<other>[a-z]{2,4}(?:-[a-z]+)+-\d+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws|api\.aws))"
    r"\.?(?::\d*)?$"
)


def region_of(host: str) -> str | None:
    """The region that a managed host name names, or None for any other name.

    :param host: as in a Host header; a port and a trailing dot do not matter.
    """
    found = _REGIONAL.search(host.lower())
    return found and (found["lattice"] or found["other"])
