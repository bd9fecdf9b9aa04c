"""The ARNs of what there is in a local Lattice.

Source: "Identify AWS resources with Amazon Resource Names (ARNs)" (IAM User Guide).
"""

from __future__ import annotations

import re

from lattice_client.errors import ConfigurationError

__all__ = ["check_account", "check_region", "lattice_arn", "partition_of"]


def check_account(account: object) -> None:
    """Let an account's id pass.

    :raises ConfigurationError: (a ``ValueError``) if it is none.
    """
    if not (isinstance(account, str) and re.fullmatch("[0-9]{12}", account)):
        raise ConfigurationError(f"an account has 12 digits, as text, unlike {account!r}")


def check_region(region: str) -> None:
    """Let a region pass; also one that AWS has not yet.

    :raises ConfigurationError: (a ``ValueError``) if it cannot be one.
    """
    if not re.fullmatch("[a-z0-9-]+", region):
        raise ConfigurationError(f"{region!r} is no region, such as us-west-2")


def partition_of(region: str) -> str:
    """The partition that a region is in, the second part of every ARN."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def lattice_arn(region: str, account: str, resource: str) -> str:
    """The ARN of one of Lattice's own resources, such as ``service/svc-…``."""
    return f"arn:{partition_of(region)}:vpc-lattice:{region}:{account}:{resource}"
