"""Checks of the principals, actions and resources in a policy.

Sources: "AWS JSON policy elements: Principal", "IAM JSON policy elements: Action" and "…: Resource"
(IAM User Guide); "Actions, resources, and condition keys for Amazon VPC Lattice Services" (Service
Authorization Reference).
"""

from __future__ import annotations

import re

from lattice_client.testing.policies.request import CONNECT, INVOKE
from lattice_client.testing.policies.variables import PolicyString
from lattice_client.testing.wildcards import wildcard_match

__all__ = [
    "NAME",
    "NAME_WITH_PATH",
    "account_of",
    "check_action",
    "check_principal",
    "check_resource",
    "complete_arn",
]

# Patterns are compiled on first use: most policies need none of them.
# "IAM and AWS STS quotas": "IAM name requirements". A path may hold any printable ASCII; wildcards
# are excluded, because a principal's ARN has none.
NAME = r"[\w+=,.@-]+"
NAME_WITH_PATH = rf"(?:[!-)+-.0->@-~][!-)+->@-~]*/)?{NAME}"
_ACCOUNT = r"[0-9]{12}"
_ROOT = rf"arn:aws[a-z-]*:iam::({_ACCOUNT}):root"
_PRINCIPAL_ARN = (
    rf"arn:aws[a-z-]*:(?:iam::{_ACCOUNT}:(?:root|(?:role|user)/{NAME_WITH_PATH})"
    rf"|sts::{_ACCOUNT}:(?:assumed-role/{NAME}/{NAME}|federated-user/{NAME}))"
)
_SERVICE = r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?"
_VENDOR_ACTION = r"([A-Za-z0-9-]+|\*):([A-Za-z0-9*?]+)"
_ARN_PARTS = 6
_FIXED_PARTS = 5
_PARTITION = r"aws[a-z-]*|\*"


def account_of(principal: str) -> str | None:
    """The account that a principal names by its id or its root ARN; None for other principals."""
    root = re.fullmatch(_ROOT, principal)
    if root is not None:
        return root[1]
    return principal if re.fullmatch(_ACCOUNT, principal) else None


def check_principal(kind: str, principal: str) -> None:
    """Check a principal.

    :raises ValueError: if it is invalid; the message says why.
    """
    if kind == "AWS":
        if principal == "*" or account_of(principal):
            return
        if re.fullmatch(_PRINCIPAL_ARN, principal, re.ASCII):
            return
        hint = (
            "; for wildcards use a condition on aws:PrincipalArn"
            if "*" in principal or "?" in principal
            else ""
        )
        raise ValueError(
            f"{principal!r} is neither '*', an account of 12 digits nor the whole ARN of a role, "
            f"session or user{hint}"
        )
    if kind == "Service":
        if not re.fullmatch(_SERVICE, principal):
            raise ValueError(f"{principal!r} is not a service: its name must end in .amazonaws.com")
    elif kind != "Federated":
        raise ValueError(f"{kind!r} is not a kind of principal; use AWS")


def check_action(action: str, lattice_only: bool) -> None:  # noqa: FBT001 - called by position
    """Check an action.

    :raises ValueError: if it is invalid; the message says why.
    """
    if action == "*":
        return
    found = re.fullmatch(_VENDOR_ACTION, action)
    if found is None:
        raise ValueError(f"{action!r} is not an action; write service:Action, such as {INVOKE}")
    if lattice_only and not any(
        wildcard_match(action.lower(), known.lower()) for known in (INVOKE, CONNECT)
    ):
        raise ValueError(f"{action!r} is not one of Lattice's actions, {INVOKE} and {CONNECT}")


def complete_arn(resource: str) -> str:
    """Complete a resource of an identity policy as AWS does.

    "When you specify an incomplete ARN (fewer than the standard six fields) in an identity-based
    policy, AWS automatically completes the ARN by adding wildcard characters" ("IAM identifiers",
    IAM User Guide).
    """
    fields = resource.count(":") + 1
    if not resource.startswith("arn:") or fields >= _ARN_PARTS:
        return resource
    return resource + ":*" * (_ARN_PARTS - fields)


def check_resource(resource: str, string: PolicyString) -> None:
    """Check a resource.

    :param string: the same, parsed.
    :raises ValueError: if it is invalid; the message says why.
    """
    if resource.startswith("*"):
        return  # such as "*/rates": "Resource format for auth policies"
    parts = string.split(":", _ARN_PARTS - 1)
    if (
        parts[0] != PolicyString(("arn",))
        or len(parts) != _ARN_PARTS
        or parts[-1] == PolicyString(("",))
    ):
        raise ValueError(
            f"{resource!r} is neither '*' nor an ARN; a service's is "
            "arn:aws:vpc-lattice:REGION:ACCOUNT:service/svc-ID/PATH"
        )
    if any(part.variables for part in parts[:_FIXED_PARTS]):
        raise ValueError(f"{resource!r} has a policy variable before its fifth colon")
    partition, service = (str(part.parts[0]) for part in parts[1:3])
    if not re.fullmatch(_PARTITION, partition):
        raise ValueError(f"{resource!r} has no valid partition, such as aws")
    if not re.fullmatch(r"[a-z0-9*?-]+", service):
        raise ValueError(f"{resource!r} has no valid service, such as vpc-lattice")
