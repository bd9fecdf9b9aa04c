"""Auth policies: who may invoke what.

Source: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide) and
"Policy evaluation logic" (IAM User Guide): an explicit deny wins, an allow lets through, and
without either nobody passes.

The elements known here are Effect, Principal, Action and Resource. A document with any other
element is refused when it is read, and never half understood.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from lattice_client.testing.wildcards import wildcard_match

__all__ = [
    "ALLOW_AUTHENTICATED",
    "INVOKE",
    "AuthPolicy",
    "Decision",
    "PolicyPrincipal",
    "Statement",
]

INVOKE: Final = "vpc-lattice-svcs:Invoke"

_MAX_BYTES = 10 * 1024
_DOCUMENT_ELEMENTS = {"Id", "Statement", "Version"}
_STATEMENT_ELEMENTS = {"Action", "Effect", "Principal", "Resource", "Sid"}


class Decision(Enum):
    """What one policy says to one request."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit deny"
    NO_ALLOW = "no allow"


class PolicyPrincipal(Protocol):
    """What a policy must know of an authenticated caller."""

    @property
    def account(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def role_arn(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy, read.

    :param anonymous: whether a principal of ``*`` takes in those who did not sign, as it does in
        every document.
    """

    allow: bool
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    anonymous: bool = True

    def applies(self, caller: PolicyPrincipal | None, action: str, resource: str) -> bool:
        """Whether it speaks about this request; ``caller`` is None for an anonymous one."""
        return (
            any(self._names(principal, caller) for principal in self.principals)
            # IAM's action names are the same in any case, its resources are not.
            and any(wildcard_match(known.lower(), action.lower()) for known in self.actions)
            and any(wildcard_match(known, resource) for known in self.resources)
        )

    def _names(self, principal: str, caller: PolicyPrincipal | None) -> bool:
        if caller is None:
            return principal == "*" and self.anonymous
        return principal in (
            "*",
            caller.account,
            f"arn:aws:iam::{caller.account}:root",
            caller.arn,
            caller.role_arn,
        )


@dataclass(frozen=True, slots=True)
class AuthPolicy:
    """The auth policy of a service network or of a service."""

    statements: tuple[Statement, ...]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> AuthPolicy:
        """Read an IAM JSON policy document.

        :raises ValueError: if it is over 10 KB, malformed, or has an element that is not
            supported; the message names the element.
        """
        if len(json.dumps(document).encode()) > _MAX_BYTES:
            raise ValueError("an auth policy is at most 10 KB")
        _check_elements(document, _DOCUMENT_ELEMENTS)
        statements = document.get("Statement")
        if isinstance(statements, Mapping):
            statements = [statements]
        if not isinstance(statements, list) or not statements:
            raise ValueError("Statement must be a statement or a list of them")
        return cls(tuple(_read_statement(statement) for statement in statements))

    def evaluate(self, caller: PolicyPrincipal | None, action: str, resource: str) -> Decision:
        """Decide about one request.

        :param caller: who was authenticated; None for an anonymous request.
        :param action: such as ``vpc-lattice-svcs:Invoke``.
        :param resource: the service's ARN with the request's path after it.
        """
        effects = {
            statement.allow
            for statement in self.statements
            if statement.applies(caller, action, resource)
        }
        if False in effects:
            return Decision.EXPLICIT_DENY
        return Decision.ALLOW if True in effects else Decision.NO_ALLOW


#: Lets in every caller who signed. The console offers it as "Allow only authenticated access"; as a
#: document it needs a Condition on ``aws:PrincipalType``.
ALLOW_AUTHENTICATED: Final = AuthPolicy(
    (Statement(allow=True, principals=("*",), actions=("*",), resources=("*",), anonymous=False),)
)


def _read_statement(statement: object) -> Statement:
    if not isinstance(statement, Mapping):
        raise ValueError("a Statement must be an object")  # noqa: TRY004 - of the document
    _check_elements(statement, _STATEMENT_ELEMENTS)
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError("Effect must be 'Allow' or 'Deny'")
    return Statement(
        allow=statement["Effect"] == "Allow",
        principals=_read_principals(statement.get("Principal")),
        actions=_read_strings("Action", statement.get("Action")),
        resources=_read_strings("Resource", statement.get("Resource")),
    )


def _read_principals(principal: object) -> tuple[str, ...]:
    if principal == "*":
        return ("*",)
    if not isinstance(principal, Mapping) or set(principal) != {"AWS"}:
        raise ValueError("""Principal must be "*" or {"AWS": …}""")
    principals = _read_strings("Principal", principal["AWS"])
    for name in principals:
        if name != "*" and not re.fullmatch(r"[0-9]{12}|arn:aws[a-z-]*:(?:iam|sts)::[^*?]+", name):
            # IAM says so of partial wildcards: they are for conditions.
            raise ValueError(f"Principal must be '*', an account or a whole ARN, not {name!r}")
    return principals


def _read_strings(element: str, value: object) -> tuple[str, ...]:
    strings = [value] if isinstance(value, str) else value
    if (
        not isinstance(strings, list)
        or not strings
        or not all(isinstance(item, str) for item in strings)
    ):
        raise ValueError(f"{element} must be a string or a list of strings")
    return tuple(strings)


def _check_elements(document: Mapping[Any, Any], known: Iterable[str]) -> None:
    unknown = sorted(str(element) for element in document if element not in known)
    if unknown:
        raise ValueError(f"the local Lattice does not support the element {', '.join(unknown)}")
