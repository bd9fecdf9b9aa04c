"""The layers of policies: the service network's auth policy, the service's, and the caller's
identity policies. All must allow.

Source: "Control access to VPC Lattice services using auth policies", "How authorization works"
(VPC Lattice User Guide).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from lattice_client.testing.policies import (
    ALLOW_AUTHENTICATED,
    AuthPolicy,
    Decision,
    PolicyRequest,
    evaluate,
)

__all__ = ["AuthLayer", "AuthType", "HasAuthPolicy", "LayerName", "PolicyLike"]

AuthType: TypeAlias = Literal["AWS_IAM", "NONE"]
LayerName: TypeAlias = Literal["Identity", "Network", "Service"]
PolicyLike: TypeAlias = AuthPolicy | Mapping[str, Any] | str | None


class AuthLayer:
    """The auth type and the auth policy of a service network or a service. Both can be changed.

    :param name: the layer, as the access log names it.
    :param auth_type: ``AWS_IAM``, or ``NONE`` to skip the layer.
    :param policy: an IAM JSON document, as text or parsed; None stands for ``ALLOW_AUTHENTICATED``,
        for convenience. Real Lattice denies everything without a policy: pass ``NO_POLICY`` for
        that.
    :raises ValueError: if the auth type is neither; ``PolicyError`` (a ``ValueError``) if Lattice
        would refuse the policy.
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
            raise ValueError(f"auth_type must be 'AWS_IAM' or 'NONE', not {auth_type!r}")
        self._auth_type: AuthType = auth_type

    @property
    def policy(self) -> AuthPolicy:
        """The auth policy; set it to a document, a policy or None."""
        return self._policy

    @policy.setter
    def policy(self, policy: PolicyLike) -> None:
        self._document = None if isinstance(policy, AuthPolicy) else policy
        if policy is None:
            self._policy = ALLOW_AUTHENTICATED
        elif isinstance(policy, AuthPolicy):
            self._policy = policy
        else:
            self._policy = AuthPolicy.from_document(policy)

    @property
    def document(self) -> Mapping[str, Any] | str | None:
        """The document that the policy was parsed from, as given; None without one."""
        return self._document

    def decide(self, request: PolicyRequest) -> Decision | None:
        """The layer's decision on a request; None if its auth type is ``NONE``."""
        return None if self._auth_type == "NONE" else evaluate(self._policy, request)


class HasAuthPolicy:
    """Something with an auth layer: a service network or a service."""

    auth: AuthLayer

    @property
    def auth_type(self) -> AuthType:
        """``AWS_IAM`` or ``NONE``."""
        return self.auth.auth_type

    @auth_type.setter
    def auth_type(self, auth_type: AuthType) -> None:
        self.auth.auth_type = auth_type

    @property
    def policy(self) -> AuthPolicy:
        """The auth policy; set it to a document, a policy or None."""
        return self.auth.policy

    @policy.setter
    def policy(self, policy: PolicyLike) -> None:
        self.auth.policy = policy
