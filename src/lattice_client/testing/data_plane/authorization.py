"""The decision on one request: three layers of policies, and a denial in Lattice's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lattice_client.testing.model.auth_layer import AuthLayer, LayerName
from lattice_client.testing.policies import Decision, Effect, Policy, PolicyRequest, evaluate
from lattice_client.testing.refusals import RefusedError, access_denied

__all__ = ["PolicyDenial", "authorize"]


_DENIALS = (Effect.EXPLICIT_DENY, Effect.IMPLICIT_DENY)


@dataclass(frozen=True, slots=True)
class PolicyDenial:
    """The layer that denied a request, its decision, and the refusal for the caller."""

    layer: LayerName
    decision: Decision
    refusal: RefusedError


def authorize(
    layers: Sequence[AuthLayer],
    request: PolicyRequest,
    identity_policies: Iterable[Policy] | None = None,
) -> PolicyDenial | None:
    """Evaluate all layers; None if the caller may pass.

    An explicit deny in any layer comes before a missing allow in another, as in IAM's evaluation.
    Of several missing allows the first in this order is named: network, service, identity. That
    service comes before identity was observed with real Lattice; the network's place is inferred,
    and so is the same order among explicit denials. If no layer has the auth type ``AWS_IAM``, no
    policy is evaluated (inferred for the identity policies).

    :param identity_policies: the caller's; None to take them to allow everything. An anonymous
        caller has none and needs none.
    """
    decisions: list[tuple[LayerName, Decision]] = []
    for layer in layers:
        decision = layer.decide(request)
        if decision is not None:
            decisions.append((layer.name, decision))
    if decisions and identity_policies is not None and request.caller is not None:
        decisions.append(("Identity", _combined_decision(identity_policies, request)))
    for effect in _DENIALS:
        for name, decision in decisions:
            if decision.effect is effect:
                return PolicyDenial(name, decision, _refusal(name, decision, request))
    return None


def _combined_decision(policies: Iterable[Policy], request: PolicyRequest) -> Decision:
    """The decision of several identity policies, evaluated as one."""
    statements = tuple(statement for policy in policies for statement in policy.statements)
    return evaluate(Policy(statements), request)


def _refusal(layer: LayerName, decision: Decision, request: PolicyRequest) -> RefusedError:
    kind = f"{layer.lower()}-based policy"
    if decision.effect is Effect.EXPLICIT_DENY:
        article = "an" if layer == "Identity" else "a"
        reason = f"with an explicit deny in {article} {kind}"
    else:
        reason = f"because no {kind} allows the {request.action} action"
    user = "anonymous" if request.caller is None else request.caller.arn
    return access_denied(user, request.action, request.resource, reason)
