"""The layers of auth policies: the service network's and the service's. All must allow.

Source: "Control access to VPC Lattice services using auth policies" (VPC Lattice User Guide).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lattice_client.testing.policies import (
    ALLOW_AUTHENTICATED,
    INVOKE,
    AuthPolicy,
    Decision,
    PolicyPrincipal,
)
from lattice_client.testing.refusals import RefusedError, access_denied

__all__ = ["AuthLayer", "AuthType", "Denial", "LayerName", "PolicyLike", "authorize"]

AuthType: TypeAlias = Literal["AWS_IAM", "NONE"]
LayerName: TypeAlias = Literal["Network", "Service"]
PolicyLike: TypeAlias = AuthPolicy | Mapping[str, Any] | None


class AuthLayer:
    """The auth type and the auth policy of a service network or a service. Both can be changed.

    :param name: the layer, as the access log names it.
    :param auth_type: ``AWS_IAM``, or ``NONE`` to skip the layer.
    :param policy: an IAM JSON document, or None for ``ALLOW_AUTHENTICATED``. Real Lattice denies
        everybody where there is no policy: for that, give ``AuthPolicy(())``.
    :raises ValueError: if the auth type is neither, or the document cannot be read.
    """

    def __init__(self, name: LayerName, auth_type: AuthType, policy: PolicyLike) -> None:
        self.name: LayerName = name
        self.auth_type = auth_type
        self.policy = policy

    def __repr__(self) -> str:
        return f"<AuthLayer {self.name}, {self.auth_type}>"

    @property
    def auth_type(self) -> AuthType:
        """``AWS_IAM`` or ``NONE``."""
        return self._auth_type

    @auth_type.setter
    def auth_type(self, auth_type: AuthType) -> None:
        if auth_type not in ("AWS_IAM", "NONE"):
            raise ValueError(f"auth_type is 'AWS_IAM' or 'NONE', not {auth_type!r}")
        self._auth_type: AuthType = auth_type

    @property
    def policy(self) -> AuthPolicy:
        """The auth policy; set it to a document, a policy or None."""
        return self._policy

    @policy.setter
    def policy(self, policy: PolicyLike) -> None:
        self._document = policy if isinstance(policy, Mapping) else None
        if policy is None:
            self._policy = ALLOW_AUTHENTICATED
        elif isinstance(policy, AuthPolicy):
            self._policy = policy
        else:
            self._policy = AuthPolicy.from_document(policy)

    @property
    def document(self) -> Mapping[str, Any] | None:
        """The document that the policy was read from; None where it came from none."""
        return self._document

    def decide(self, caller: PolicyPrincipal | None, resource: str) -> Decision:
        """What this layer says to a request; ``caller`` is None for an anonymous one."""
        if self.auth_type == "NONE":
            return Decision.ALLOW
        return self.policy.evaluate(caller, INVOKE, resource)


@dataclass(frozen=True, slots=True)
class Denial:
    """Which layer denied a request, and what the caller is told."""

    layer: LayerName
    refusal: RefusedError


def authorize(
    layers: Sequence[AuthLayer], caller: PolicyPrincipal | None, resource: str
) -> Denial | None:
    """Ask all layers; None if the caller may pass.

    An explicit deny in any layer comes before a missing allow in another, as in IAM's evaluation.
    """
    decisions = [(layer, layer.decide(caller, resource)) for layer in layers]
    because = {
        Decision.EXPLICIT_DENY: "with an explicit deny in a {}-based policy",
        Decision.NO_ALLOW: f"because no {{}}-based policy allows the {INVOKE} action",
    }
    for decision, words in because.items():
        for layer, decided in decisions:
            if decided is decision:
                user = "anonymous" if caller is None else caller.arn
                reason = words.format(layer.name.lower())
                return Denial(layer.name, access_denied(user, INVOKE, resource, reason))
    return None
