"""The layers of policies: the service network's auth policy, the service's, and the caller's
identity policies. All must allow.

Source: "Control access to VPC Lattice services using auth policies", "How authorization works"
(VPC Lattice User Guide).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from lattice_client.testing.policies import (
    ALLOW_AUTHENTICATED,
    AuthPolicy,
    Decision,
    Effect,
    Policy,
    PolicyRequest,
    evaluate,
)
from lattice_client.testing.policies.request import ODD_BYTES
from lattice_client.testing.refusals import RefusedError, access_denied

if TYPE_CHECKING:
    from lattice_client.testing.canonical import Headers
    from lattice_client.testing.exchange import Exchange
    from lattice_client.testing.services import Service

__all__ = [
    "AuthLayer",
    "AuthType",
    "Denial",
    "Guarded",
    "LayerName",
    "PolicyLike",
    "authorize",
    "policy_request",
]

AuthType: TypeAlias = Literal["AWS_IAM", "NONE"]
LayerName: TypeAlias = Literal["Identity", "Network", "Service"]
_DENIALS = (Effect.EXPLICIT_DENY, Effect.IMPLICIT_DENY)
PolicyLike: TypeAlias = AuthPolicy | Mapping[str, Any] | str | None


class AuthLayer:
    """The auth type and the auth policy of a service network or a service. Both can be changed.

    :param name: the layer, as the access log names it.
    :param auth_type: ``AWS_IAM``, or ``NONE`` to skip the layer.
    :param policy: an IAM JSON document, as text or read; or None for ``ALLOW_AUTHENTICATED``, which
        is for convenience. Real Lattice denies everybody where there is no policy: for that give
        ``NO_POLICY``.
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
            raise ValueError(f"auth_type is 'AWS_IAM' or 'NONE', not {auth_type!r}")
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
        """The document that the policy was read from, as it was given; None if from none."""
        return self._document

    def decide(self, request: PolicyRequest) -> Decision | None:
        """What this layer says to a request; None if its auth type is ``NONE``."""
        return None if self._auth_type == "NONE" else evaluate(self._policy, request)


class Guarded:
    """What has an auth layer: a service network, a service."""

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
        """Its auth policy; set it to a document, a policy or None."""
        return self.auth.policy

    @policy.setter
    def policy(self, policy: PolicyLike) -> None:
        self.auth.policy = policy


@dataclass(frozen=True, slots=True)
class Denial:
    """Which layer denied a request, why, and what the caller is told."""

    layer: LayerName
    decision: Decision
    refusal: RefusedError


def authorize(
    layers: Sequence[AuthLayer],
    request: PolicyRequest,
    identity_policies: Iterable[Policy] | None = None,
) -> Denial | None:
    """Ask all layers; None if the caller may pass.

    An explicit deny in any layer comes before a missing allow in another, as in IAM's evaluation.
    Among several missing allows the first in this order is named: network, service, identity. That
    service comes before identity was observed with real Lattice; the network's place is inferred,
    and so is the same order among explicit denials. Where no layer has the auth type ``AWS_IAM``,
    no policy is asked (that this goes for the identity policies is inferred).

    :param identity_policies: the caller's; None if they are taken to allow everything. An anonymous
        caller has none, and needs none.
    """
    decisions: list[tuple[LayerName, Decision]] = []
    for layer in layers:
        decision = layer.decide(request)
        if decision is not None:
            decisions.append((layer.name, decision))
    if decisions and identity_policies is not None and request.caller is not None:
        decisions.append(("Identity", _together(identity_policies, request)))
    for effect in _DENIALS:
        for name, decision in decisions:
            if decision.effect is effect:
                return Denial(name, decision, _refusal(name, decision, request))
    return None


def _together(policies: Iterable[Policy], request: PolicyRequest) -> Decision:
    """What several identity policies say together: as if they were one."""
    statements = tuple(statement for policy in policies for statement in policy.statements)
    return evaluate(Policy(statements), request)


def _refusal(layer: LayerName, decision: Decision, request: PolicyRequest) -> RefusedError:
    kind = f"{layer.lower()}-based policy"
    if decision.effect is Effect.EXPLICIT_DENY:
        article = "an" if layer == "Identity" else "a"
        because = f"with an explicit deny in {article} {kind}"
    else:
        because = f"because no {kind} allows the {request.action} action"
    user = "anonymous" if request.caller is None else request.caller.arn
    return access_denied(user, request.action, request.resource, because)


class _Texts(Sequence[tuple[str, str]]):
    """Headers as text: read when a policy asks for one, and most do not."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def __len__(self) -> int:
        return len(self._headers)

    @overload
    def __getitem__(self, index: int) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[tuple[str, str]]: ...
    def __getitem__(self, index: int | slice) -> tuple[str, str] | Sequence[tuple[str, str]]:
        if isinstance(index, slice):
            return _Texts(self._headers[index])
        name, value = self._headers[index]
        return name.decode("latin-1"), value.decode("utf-8", ODD_BYTES)


def policy_request(
    exchange: Exchange,
    service: Service,
    *,
    network_arn: str,
    source_vpc: str,
    source_vpc_account: str,
    now: float,
    port: int | None = None,
) -> PolicyRequest:
    """What policies see of a request that came in.

    :param port: of the service's listener. By default 443 or 80, as the scheme is: what port the
        local Lattice listens at is of no meaning.
    """
    request, scope = exchange.request, exchange.scope
    client = scope.get("client")
    return PolicyRequest(
        request.method,
        request.path.decode("latin-1"),
        exchange.principal,
        query=request.query.decode("utf-8", ODD_BYTES),
        headers=_Texts(request.headers),
        port=port,
        service_arn=service.arn,
        network_arn=network_arn,
        source_vpc=source_vpc,
        source_vpc_account=source_vpc_account,
        source_ip=client[0] if client else None,
        resource_tags=service.tags,
        time=now,
        secure=scope.get("scheme") == "https",
    )
