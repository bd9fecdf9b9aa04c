"""The condition keys of requests to Lattice, and their types.

Sources: "Actions, resources, and condition keys for Amazon VPC Lattice Services" (Service
Authorization Reference); "AWS global condition context keys" (IAM User Guide).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["KEYS", "ConditionKey", "KeyType", "find_key"]

KeyType: TypeAlias = Literal["String", "Numeric", "Date", "Bool", "IPAddress", "ARN"]


@dataclass(frozen=True, slots=True)
class ConditionKey:
    """A condition key, as AWS writes it.

    :param named: whether a name follows it, as in ``aws:PrincipalTag/NAME``.
    :param always: whether every request has it, including anonymous ones.
    :param many: whether it can have several values.
    """

    name: str
    type: KeyType = "String"
    named: bool = False
    always: bool = False
    many: bool = False


KEYS: Final = (
    ConditionKey("vpc-lattice-svcs:Port", "Numeric", always=True),
    ConditionKey("vpc-lattice-svcs:RequestHeader", named=True),
    ConditionKey("vpc-lattice-svcs:RequestMethod", always=True),
    ConditionKey("vpc-lattice-svcs:RequestPath", always=True),
    ConditionKey("vpc-lattice-svcs:RequestQueryString", named=True, many=True),
    ConditionKey("vpc-lattice-svcs:ServiceArn", "ARN", always=True),
    ConditionKey("vpc-lattice-svcs:ServiceNetworkArn", "ARN", always=True),
    ConditionKey("vpc-lattice-svcs:SourceVpc", always=True),
    ConditionKey("vpc-lattice-svcs:SourceVpcOwnerAccount", always=True),
    ConditionKey("aws:CurrentTime", "Date", always=True),
    ConditionKey("aws:EpochTime", "Date", always=True),
    ConditionKey("aws:PrincipalAccount", always=True),
    ConditionKey("aws:PrincipalArn", "ARN"),
    ConditionKey("aws:PrincipalIsAWSService", "Bool"),
    ConditionKey("aws:PrincipalOrgID"),
    ConditionKey("aws:PrincipalOrgPaths", many=True),
    ConditionKey("aws:PrincipalTag", named=True),
    ConditionKey("aws:PrincipalType", always=True),
    ConditionKey("aws:referer"),
    ConditionKey("aws:RequestedRegion", always=True),
    ConditionKey("aws:ResourceAccount", always=True),
    ConditionKey("aws:ResourceTag", named=True),
    ConditionKey("aws:SecureTransport", "Bool", always=True),
    ConditionKey("aws:SourceIp", "IPAddress", always=True),
    ConditionKey("aws:TokenIssueTime", "Date"),
    ConditionKey("aws:UserAgent"),
    ConditionKey("aws:userid", always=True),
    ConditionKey("aws:username"),
)

_BY_NAME = {key.name.lower(): key for key in KEYS}


def find_key(written: str) -> ConditionKey | None:
    """The condition key that a policy names, in any case; None if no request has it."""
    name, slash, rest = written.partition("/")
    key = _BY_NAME.get(name.lower())
    return key if key is not None and key.named == bool(slash) == bool(rest) else None
