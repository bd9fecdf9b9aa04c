"""Auth policies: who may invoke what.

Source: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide), which
refers to the IAM User Guide for the policy language; each module names its pages. ``evaluate``
decides about a request, ``lint`` finds what is legal but surprising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lattice_client._lazy import lazy_exports as _lazy_exports
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

#: Allows every signed request. The console offers it as "Allow only authenticated access".
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

#: Stands for ``AWS_IAM`` without a policy: Lattice denies every request.
NO_POLICY: Final = AuthPolicy()


# Imported on first use: requests are decided without them.
if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), {"Finding": "findings", "lint": "findings"})
