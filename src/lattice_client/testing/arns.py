"""The ARNs of what there is in a local Lattice.

Source: "Identify AWS resources with Amazon Resource Names (ARNs)" (IAM User Guide).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from lattice_client.errors import ConfigurationError

__all__ = [
    "check_account",
    "check_region",
    "dns_suffix_of",
    "lattice_arn",
    "partition_of",
    "resource_id",
]


def check_account(account: object) -> None:
    """Let an account's id pass.

    :raises ConfigurationError: (a ``ValueError``) if it is none.
    """
    if not (isinstance(account, str) and re.fullmatch("[0-9]{12}", account)):
        raise ConfigurationError(f"an account has 12 digits, as text, unlike {account!r}")


def check_region(region: object) -> None:
    """Let a region pass; also one that AWS has not yet.

    :raises ConfigurationError: (a ``ValueError``) if it cannot be one.
    """
    if not (isinstance(region, str) and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", region)):
        raise ConfigurationError(f"{region!r} is no region, such as us-west-2")


def partition_of(region: str) -> str:
    """The partition that a region is in, the second part of every ARN."""
    return _place(region)[0]


def dns_suffix_of(region: str) -> str:
    """What AWS's own names end in there: ``AWS::URLSuffix``."""
    return _place(region)[1]


# Source: botocore's partitions.json.
_PLACES: Final = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
}


def _place(region: str) -> tuple[str, str]:
    for prefix, place in _PLACES.items():
        if region.startswith(prefix):
            return place
    return "aws", "amazonaws.com"


def lattice_arn(region: str, account: str, resource: str) -> str:
    """The ARN of one of Lattice's own resources, such as ``service/svc-…``."""
    return f"arn:{partition_of(region)}:vpc-lattice:{region}:{account}:{resource}"


def resource_id(prefix: str, name: str) -> str:
    """An id in Lattice's form, always the same for the same name."""
    return f"{prefix}-0{hashlib.sha256(f'{prefix}/{name}'.encode()).hexdigest()[:16]}"
