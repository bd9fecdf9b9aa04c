"""Callers from a template: its ``AWS::IAM::Role`` resources, and what their policies let them do.

A role's policies are those inside it, the ``AWS::IAM::Policy``, ``RolePolicy`` and
``ManagedPolicy`` resources that name it, and its ``ManagedPolicyArns``. If the template gives it
none, or one that is not known here, it is taken to allow every call, as a caller by itself; the
latter is a note.

Source: the resource types' pages (CloudFormation Template Reference).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.nodes import Node
from lattice_client.testing.policies import IdentityPolicy
from lattice_client.testing.templates import NO_VALUE, Template
from lattice_client.testing.wildcards import wildcard_match

__all__ = ["add_roles"]

_ROLE: Final = "AWS::IAM::Role"
_MANAGED_POLICY: Final = "AWS::IAM::ManagedPolicy"
#: Policies of their own, and the property in which they name their roles.
_POLICIES: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    _MANAGED_POLICY: "Roles",
}
_CALL: Final = "vpc-lattice-svcs:Invoke"
_AWS_MANAGED: Final = ":iam::aws:policy/"
# What AWS's own policies say of calls. Source: AWS Managed Policy Reference Guide. Those that are
# not here are taken to say nothing: that of VPCLatticeFullAccess, for one, is about the control
# plane alone.
_AWS_POLICIES: Final = {
    name: {"Statement": {"Effect": effect, "Action": _CALL, "Resource": "*"}}
    for name, effect in (
        ("AWSDenyAll", "Deny"),
        ("AdministratorAccess", "Allow"),
        ("PowerUserAccess", "Allow"),
        ("VPCLatticeServicesInvokeAccess", "Allow"),
    )
}


def add_roles(
    lattice: LocalLattice,
    template: Template,
    *,
    note: Callable[[str], object],
    others: Collection[str] = (),
) -> None:
    """Add a caller for each role of a template, of the same name.

    :param note: called with what was not understood.
    :param others: the names of callers that somebody else adds.
    :raises ConfigurationError: for what cannot be made sense of; the message names the place.
    """
    policies = _Policies(template, note)
    for name in template.of_kind(_ROLE):
        properties = template.properties(name)
        role = str(template.value(properties, "RoleName", name))
        if role in others:
            continue
        if "PermissionsBoundary" in properties:
            note(f"{properties['PermissionsBoundary'].place}: boundaries are not evaluated")
        path = str(template.value(properties, "Path", "/"))
        with template.resources[name].naming_it():
            lattice.add_caller(
                role,
                role=f"{path}{role}".lstrip("/"),
                tags=_tags(template, properties, note),
                identity_policies=policies.of(role, properties),
            )


def _tags(
    template: Template, properties: Mapping[str, Node], note: Callable[[str], object]
) -> dict[str, str]:
    try:
        tags = [item.table(("Key", "Value")) for item in _items(template, properties, "Tags")]
        return {
            str(template.value(tag, "Key")): str(template.value(tag, "Value", "")) for tag in tags
        }
    except ConfigurationError as error:
        note(f"{error}; so the role's tags are left out")
        return {}


def _items(template: Template, properties: Mapping[str, Node], key: str) -> Iterator[Node]:
    """A property's items, or its one value; what turns out to be nothing is left out."""
    if key not in properties:
        return
    node = template.chosen(properties[key])
    if isinstance(node.value, Mapping) and len(node.value) == 1:  # a function
        node = Node(template.resolve(node), node.place)
    for item in node.items() if isinstance(node.value, list) else [node]:
        chosen = template.chosen(item)
        if chosen.value is not NO_VALUE and chosen.value != {"Ref": "AWS::NoValue"}:
            yield chosen


def _document(policy: Node, properties: Mapping[str, Node]) -> Node:
    if "PolicyDocument" not in properties:
        raise policy.error("the property 'PolicyDocument' is missing")
    return properties["PolicyDocument"]


class _Policies:
    """The policies of a template's roles."""

    def __init__(self, template: Template, note: Callable[[str], object]) -> None:
        self._template = template
        self._note = note
        self._managed: dict[str, Node] = {}
        self._attached: defaultdict[str, list[Node]] = defaultdict(list)
        for name in template.of_kind(*_POLICIES):
            node, properties = template.resources[name], template.properties(name)
            document, kind = _document(node, properties), template.kind(name)
            if kind == _MANAGED_POLICY:
                arn = template.resolve(Node({"Ref": name}, node.place))
                self._managed[arn] = document
            for role in self._roles(properties, _POLICIES[kind]):
                self._attached[role].append(document)

    def of(self, role: str, properties: Mapping[str, Node]) -> list[IdentityPolicy] | None:
        """A role's policies; None if it has none, or one that is not known."""
        inline = _items(self._template, properties, "Policies")
        documents = [*self._attached[role], *(_document(each, each.table()) for each in inline)]
        policies, unknown = [], []
        try:
            arns = _items(self._template, properties, "ManagedPolicyArns")
            documents += [self._by_arn(item) for item in arns]
        except ConfigurationError as error:
            unknown.append(error)
        for document in documents:
            try:
                content = self._worked_out(document)
            except ConfigurationError as error:
                unknown.append(error)
                continue
            if content is not None:
                with document.naming_it():
                    policies.append(IdentityPolicy.from_document(content))
        for what in unknown:
            self._note(f"{what}; so the role {role!r} is taken to allow every call")
        return policies if documents and not unknown else None

    def _roles(self, properties: Mapping[str, Node], key: str) -> list[str]:
        """The names of the roles that a policy is for."""
        try:
            items = _items(self._template, properties, key)
            return [str(self._template.resolve(item)) for item in items]
        except ConfigurationError as error:
            self._note(f"{error}; so the policy is left out")
            return []

    def _by_arn(self, item: Node) -> Node:
        arn = str(self._template.resolve(item))
        if arn in self._managed:
            return self._managed[arn]
        _, of_aws, name = arn.partition(_AWS_MANAGED)
        if of_aws:
            return Node(_AWS_POLICIES.get(name), item.place)
        raise item.error(f"{arn!r} is no policy of this template")

    def _worked_out(self, document: Node) -> Any:
        """A policy's document, or None if it says nothing of calls.

        What stands in statements about other services need not be known.
        """
        try:
            return self._template.resolve(document)
        except ConfigurationError:
            table = self._template.chosen(document).table()
            if "Statement" not in table:
                raise
        statements = _items(self._template, table, "Statement")
        kept = [self._template.resolve(each) for each in statements if self._is_about_calls(each)]
        rest = {key: self._template.resolve(table[key]) for key in table if key != "Statement"}
        return rest | {"Statement": kept} if kept else None

    def _is_about_calls(self, statement: Node) -> bool:
        table = statement.table()
        if "Action" not in table:
            return True
        actions = self._template.resolve(table["Action"])
        return any(
            wildcard_match(str(action).lower(), _CALL.lower())
            for action in (actions if isinstance(actions, list) else [actions])
        )
