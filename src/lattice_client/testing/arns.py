"""The ARNs of what there is in a local Lattice.

Source: "Identify AWS resources with Amazon Resource Names (ARNs)" (IAM User Guide).
"""

from __future__ import annotations

__all__ = ["lattice_arn", "partition_of"]


def partition_of(region: str) -> str:
    """The partition that a region is in, the second part of every ARN."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def lattice_arn(region: str, account: str, resource: str) -> str:
    """The ARN of one of Lattice's own resources, such as ``service/svc-…``."""
    return f"arn:{partition_of(region)}:vpc-lattice:{region}:{account}:{resource}"
