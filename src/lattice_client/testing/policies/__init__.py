"""Auth policies: who may invoke what.

Source: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide), which
leaves the policy language to the IAM User Guide; each module names its pages. ``evaluate`` decides
about a request, ``lint`` tells what is legal and surprising.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from lattice_client.testing.policies.document import (
    AuthPolicy,
    IdentityPolicy,
    Policy,
    PolicyDocument,
    PolicyError,
)
from lattice_client.testing.policies.elements import Mismatch, Statement
from lattice_client.testing.policies.evaluation import Decision, Effect, evaluate
from lattice_client.testing.policies.request import (
    CONNECT,
    INVOKE,
    PolicyPrincipal,
    PolicyRequest,
    PrincipalType,
)

if TYPE_CHECKING:
    from lattice_client.testing.policies.findings import Finding, lint

__all__ = [
    "ALLOW_AUTHENTICATED",
    "CONNECT",
    "INVOKE",
    "NO_POLICY",
    "AuthPolicy",
    "Decision",
    "Effect",
    "Finding",
    "IdentityPolicy",
    "Mismatch",
    "Policy",
    "PolicyDocument",
    "PolicyError",
    "PolicyPrincipal",
    "PolicyRequest",
    "PrincipalType",
    "Statement",
    "evaluate",
    "lint",
]

#: Lets in every caller who signed: what the console offers as "Allow only authenticated access".
ALLOW_AUTHENTICATED: Final = AuthPolicy.from_document(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringNotEqualsIgnoreCase": {"aws:PrincipalType": "anonymous"}},
        },
    }
)

#: What Lattice goes by where the auth type is ``AWS_IAM`` and no policy is there: it denies all.
NO_POLICY: Final = AuthPolicy()


def __getattr__(name: str) -> object:
    # No request needs them.
    if name not in ("Finding", "lint"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.findings"), name)
