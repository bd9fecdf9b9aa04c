"""A description of a local Lattice in plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.model.auth_layer import AuthLayer
from lattice_client.testing.model.rules import Action, Forward, HeaderMatch, Match, Rule
from lattice_client.testing.model.services import Service
from lattice_client.testing.policies import ALLOW_AUTHENTICATED

__all__ = ["describe"]


def describe(lattice: LocalLattice) -> list[str]:
    """The service networks, services, rules and auth policies, line by line."""
    lines = []
    for network in lattice.networks.values():
        names = ", ".join(service.name for service in network.services) or "none"
        lines += [f"service network {network.name}", f"  {network.arn}", f"  services: {names}"]
        lines += _auth(network.auth)
    for service in lattice.services:
        lines += _service(service)
    return lines


def _service(service: Service) -> Iterator[str]:
    yield f"service {service.name}"
    yield f"  {service.arn}"
    yield f"  names: {', '.join(reversed(service.names))}"
    yield from _auth(service.auth)
    tables = {id(listener.rules): listener.rules for listener in service.listeners}
    for rules in tables.values():
        listeners = [found for found in service.listeners if found.rules is rules]
        words = " and ".join(f"{found.protocol}:{found.port}" for found in listeners)
        yield f"  listener {words}"
        for rule in rules:
            yield f"    {_rule(rule)}"


def _rule(rule: Rule) -> str:
    if rule.match is None:
        return f"otherwise: {_action(rule.action)}"
    return f"{rule.priority}: {_match(rule.match)}: {_action(rule.action)}"


def _match(match: Match) -> str:
    words = []
    if match.method is not None:
        words.append(match.method)
    if match.path is not None:
        words.append(match.path)
    if match.prefix is not None:
        words.append(f"{match.prefix}…")
    if match.case_sensitive:
        words.append("(case-sensitive)")
    words += [_header(header) for header in match.headers]
    return " ".join(words)


def _header(header: HeaderMatch) -> str:
    how = "is" if header.exact else "begins with" if header.prefix else "contains"
    value = header.exact or header.prefix or header.contains
    case = " (case-sensitive)" if header.case_sensitive else ""
    return f"where {header.name} {how} {value!r}{case}"


def _action(action: Action) -> str:
    if not isinstance(action, Forward):
        return f"{action.status}"
    if len(action.weights) == 1:
        return _group(action, 0)
    return ", ".join(
        f"{weight} to {_group(action, index)}" for index, (_, weight) in enumerate(action.weights)
    )


def _group(action: Forward, index: int) -> str:
    group = action.weights[index][0]
    targets = ", ".join(repr(target) for target in group.targets) or "no targets"
    return f"{group.name} ({targets})"


def _auth(layer: AuthLayer) -> Iterator[str]:
    if layer.auth_type == "NONE":
        yield "  auth: NONE, every request is allowed"
    elif layer.document is not None:
        document = layer.document
        content = json.loads(document) if isinstance(document, str) else document
        yield f"  auth: AWS_IAM, {json.dumps(content, default=dict)}"
    elif layer.policy is ALLOW_AUTHENTICATED:
        yield "  auth: AWS_IAM, every signed request is allowed"
    elif not layer.policy.statements:
        yield "  auth: AWS_IAM without a policy, every request is denied"
    else:
        yield f"  auth: AWS_IAM, a policy with {len(layer.policy.statements)} statements"
