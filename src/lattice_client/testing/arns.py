"""ARNs, and their parts: accounts, regions, partitions and ids.

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

# Partition and DNS suffix. Source: botocore's partitions.json.
_BY_REGION_PREFIX: Final = {
    "cn-": ("aws-cn", "amazonaws.com.cn"),
    "eu-isoe-": ("aws-iso-e", "cloud.adc-e.uk"),
    "eusc-": ("aws-eusc", "amazonaws.eu"),
    "us-gov-": ("aws-us-gov", "amazonaws.com"),
    "us-iso-": ("aws-iso", "c2s.ic.gov"),
    "us-isob-": ("aws-iso-b", "sc2s.sgov.gov"),
    "us-isof-": ("aws-iso-f", "csp.hci.ic.gov"),
}


def check_account(account: object) -> None:
    """Check an account's id.

    :raises ConfigurationError: (a ``ValueError``) if it is not one.
    """
    if not (isinstance(account, str) and re.fullmatch("[0-9]{12}", account)):
        raise ConfigurationError(f"an account has 12 digits, as text, unlike {account!r}")


def check_region(region: object) -> None:
    """Check the form of a region's name. AWS need not have the region.

    :raises ConfigurationError: (a ``ValueError``) if the form is wrong.
    """
    if not (isinstance(region, str) and re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", region)):
        raise ConfigurationError(f"{region!r} is not a region, such as us-west-2")


def partition_of(region: str) -> str:
    """The partition of a region, the second field of every ARN."""
    return _partition_and_suffix(region)[0]


def dns_suffix_of(region: str) -> str:
    """The DNS suffix of AWS's endpoints in a region: ``AWS::URLSuffix``."""
    return _partition_and_suffix(region)[1]


def _partition_and_suffix(region: str) -> tuple[str, str]:
    for prefix, found in _BY_REGION_PREFIX.items():
        if region.startswith(prefix):
            return found
    return "aws", "amazonaws.com"


def lattice_arn(region: str, account: str, resource: str) -> str:
    """The ARN of one of Lattice's own resources, such as ``service/svc-…``."""
    return f"arn:{partition_of(region)}:vpc-lattice:{region}:{account}:{resource}"


def resource_id(prefix: str, name: str) -> str:
    """An id in Lattice's form, derived from a name: the same name gives the same id."""
    return f"{prefix}-0{hashlib.sha256(f'{prefix}/{name}'.encode()).hexdigest()[:16]}"
