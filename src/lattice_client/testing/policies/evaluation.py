"""Evaluation: whether a policy allows a request, and by which statement.

Source: "Policy evaluation logic" (IAM User Guide): an explicit deny overrides every allow; without
either, the request is denied implicitly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from lattice_client.testing.policies.document import AuthPolicy, Policy, PolicyDocument
from lattice_client.testing.policies.elements import Mismatch, Statement
from lattice_client.testing.policies.request import PolicyRequest

__all__ = ["Decision", "Effect", "evaluate"]


class Effect(Enum):
    """The result of one policy for one request."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of a policy for a request, and its reasons. ``str()`` explains it.

    :param mismatches: for each statement why it does not apply, or None if it does.
    :param index: the index of the statement that decided, from 0; None for an implicit deny.
    """

    effect: Effect
    policy: Policy
    mismatches: tuple[Mismatch | None, ...]
    index: int | None

    @property
    def allowed(self) -> bool:
        """Whether the policy allows the request."""
        return self.effect is Effect.ALLOW

    @property
    def statement(self) -> Statement | None:
        """The statement that decided; None for an implicit deny."""
        return None if self.index is None else self.policy.statements[self.index]

    @property
    def sid(self) -> str | None:
        """The Sid of the statement that decided, if it has one."""
        return None if self.statement is None else self.statement.sid

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        if self.statement is None:
            none = "none of its statements applies" if self.mismatches else "it has no statements"
            yield f"Denied: {none} to this request."
        else:
            verb = "Allowed" if self.allowed else "Denied explicitly"
            yield f"{verb} by {self.statement}."
        if self.effect is Effect.ALLOW:
            return
        for statement, mismatch in zip(self.policy.statements, self.mismatches, strict=True):
            if mismatch is not None:
                yield f"  {statement} does not apply: {mismatch}"
            elif statement is not self.statement:
                yield f"  {statement} applies, too."


def evaluate(policy: Policy | PolicyDocument, request: PolicyRequest) -> Decision:
    """Evaluate one policy for a request.

    For the decision of several layers see ``authorize``.

    :param policy: an auth policy as JSON text, as a mapping, or as an ``AuthPolicy``; or an
        ``IdentityPolicy``.
    :returns: the effect, the statement that decided, and why the others did not apply.
    :raises PolicyError: if the document is invalid.
    """
    if not isinstance(policy, Policy):
        policy = AuthPolicy.from_document(policy)
    mismatches = tuple([statement.mismatch(request) for statement in policy.statements])
    allowing = None
    for index, statement in enumerate(policy.statements):
        if mismatches[index] is None:
            if not statement.allow:
                return Decision(Effect.EXPLICIT_DENY, policy, mismatches, index)
            if allowing is None:
                allowing = index
    effect = Effect.IMPLICIT_DENY if allowing is None else Effect.ALLOW
    return Decision(effect, policy, mismatches, allowing)
