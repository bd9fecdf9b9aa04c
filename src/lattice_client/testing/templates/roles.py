"""Callers from a template: its ``AWS::IAM::Role`` resources, with their policies.

A role's policies are its inline ones, the ``AWS::IAM::Policy``, ``RolePolicy`` and
``ManagedPolicy`` resources that name it, and its ``ManagedPolicyArns``. A role without any may make
every call, like other callers. A policy that is not known here counts as one that allows every
call, with a note; what other policies deny stays denied.

Source: the resource types' pages (CloudFormation Template Reference).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from lattice_client.errors import ConfigurationError
from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.policies import IdentityPolicy, PolicyError
from lattice_client.testing.templates.intrinsics import NO_VALUE, Template
from lattice_client.testing.templates.nodes import Node
from lattice_client.testing.wildcards import wildcard_match

__all__ = ["add_roles"]

_T = TypeVar("_T")

_ROLE: Final = "AWS::IAM::Role"
_MANAGED_POLICY: Final = "AWS::IAM::ManagedPolicy"
#: The types of policies outside roles, and the property that names the roles.
_POLICY_TYPES: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    _MANAGED_POLICY: "Roles",
}
_CALL: Final = "vpc-lattice-svcs:Invoke"
_AWS_MANAGED: Final = ":iam::aws:policy/"
# The AWS managed policies that concern calls. Source: AWS Managed Policy Reference Guide. Nearly
# all others do not: they count as empty, with a note.
_AWS_POLICIES: Final = {
    name: {"Statement": {"Effect": effect, "Action": _CALL, "Resource": "*"}}
    for name, effect in (
        ("AWSDenyAll", "Deny"),
        ("AdministratorAccess", "Allow"),
        ("PowerUserAccess", "Allow"),
        ("VPCLatticeServicesInvokeAccess", "Allow"),
    )
}
# AWS managed policies that do not concern calls, and that roles often have: no note.
_KNOWN_EMPTY: Final = (
    "service-role/*",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "CloudWatchAgentServerPolicy",
    "CloudWatchLambdaInsightsExecutionRolePolicy",
    "VPCLatticeFullAccess",
    "VPCLatticeReadOnlyAccess",
    # Those that SAM's templates name.
    "AWSLambda*",
    "CloudWatch*",
    "AmazonDynamoDB*",
    "AmazonS3*",
    "AmazonSNS*",
    "AmazonSQS*",
)
_EVERY_CALL: Final = IdentityPolicy.from_document(
    {"Statement": {"Effect": "Allow", "Action": _CALL, "Resource": "*"}}
)


def add_roles(
    lattice: LocalLattice,
    template: Template,
    *,
    note: Callable[[str], object],
    others: Collection[str] = (),
) -> None:
    """Add a caller for each role of a template, under the role's name.

    :param note: called with what is not understood.
    :param others: names of callers that are added elsewhere: their roles are skipped.
    :raises ConfigurationError: for what is invalid; the message names the place.
    """
    policies = _Policies(template, note)
    for name in template.names_of_type(_ROLE):
        properties = template.properties(name)
        role = str(template.property_value(properties, "RoleName", name))
        if role in others:
            continue
        if "PermissionsBoundary" in properties:
            note(f"{properties['PermissionsBoundary'].place}: boundaries are not evaluated")
        path = str(template.property_value(properties, "Path", "/"))
        with template.resources[name].error_context():
            lattice.add_caller(
                role,
                role=f"{path}{role}".lstrip("/"),
                tags=_tags(template, properties, note),
                identity_policies=policies.of(role, properties),
            )


def _tags(
    template: Template, properties: Mapping[str, Node], note: Callable[[str], object]
) -> dict[str, str]:
    def tag(item: Node) -> tuple[str, str]:
        table = item.table(("Key", "Value"))
        return str(template.property_value(table, "Key")), str(
            template.property_value(table, "Value", "")
        )

    unknown: list[ConfigurationError] = []
    tags = dict(_resolvable(template, properties, "Tags", tag, unknown))
    for problem in unknown:
        note(f"{problem}; so the role does not have this tag")
    return tags


def _resolvable(
    template: Template,
    properties: Mapping[str, Node],
    key: str,
    read: Callable[[Node], _T],
    unknown: list[ConfigurationError],
) -> list[_T]:
    """The items of a property that can be resolved.

    :param unknown: gets the errors of the others.
    """
    found = []
    try:
        for item in _raw_items(template, properties, key):
            try:
                if (chosen := _unless_no_value(template, item)) is not None:
                    found.append(read(chosen))
            except ConfigurationError as error:
                unknown.append(error)
    except ConfigurationError as error:  # of the list itself
        unknown.append(error)
    return found


def _items(template: Template, properties: Mapping[str, Node], key: str) -> list[Node]:
    """A property's items without those that are ``AWS::NoValue``."""
    chosen = [_unless_no_value(template, item) for item in _raw_items(template, properties, key)]
    return [item for item in chosen if item is not None]


def _raw_items(template: Template, properties: Mapping[str, Node], key: str) -> list[Node]:
    """A property's unresolved items, or its single value."""
    if key not in properties:
        return []
    node = template.resolve_if(properties[key])
    if isinstance(node.value, Mapping) and len(node.value) == 1:  # a function
        node = Node(template.resolve(node), node.place)
    return node.items() if isinstance(node.value, list) else [node]


def _unless_no_value(template: Template, item: Node) -> Node | None:
    chosen = template.resolve_if(item)
    return None if chosen.value is NO_VALUE else chosen


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
        for name in template.names_of_type(*_POLICY_TYPES):
            node, properties = template.resources[name], template.properties(name)
            document, policy_type = _document(node, properties), template.resource_type(name)
            if policy_type == _MANAGED_POLICY:
                arn = template.resolve(Node({"Ref": name}, node.place))
                self._managed[arn] = document
            for role in self._roles(properties, _POLICY_TYPES[policy_type]):
                self._attached[role].append(document)

    def of(self, role: str, properties: Mapping[str, Node]) -> list[IdentityPolicy] | None:
        """A role's policies; None if it has none."""
        inline = _items(self._template, properties, "Policies")
        documents = [*self._attached[role], *(_document(item, item.table()) for item in inline)]
        unknown: list[ConfigurationError] = []
        arns = _resolvable(self._template, properties, "ManagedPolicyArns", self._by_arn, unknown)
        policies = []
        for document in [*documents, *arns]:
            try:
                content = self._resolve_document(document, unknown)
            except ConfigurationError as error:
                unknown.append(error)
                continue
            with document.error_context():
                policies += _read_policy(content)
        for problem in unknown:
            self._note(f"{problem}; so the role {role!r} may make every call that is not denied")
        if unknown:
            policies.append(_EVERY_CALL)
        return policies if documents or arns or unknown else None

    def _roles(self, properties: Mapping[str, Node], key: str) -> list[str]:
        """The names of the roles that have a policy."""
        unknown: list[ConfigurationError] = []
        roles = _resolvable(self._template, properties, key, self._name, unknown)
        for problem in unknown:
            self._note(f"{problem}; so this role does not have the policy")
        return roles

    def _name(self, item: Node) -> str:
        return str(self._template.resolve(item))

    def _by_arn(self, item: Node) -> Node:
        arn = self._name(item)
        if arn in self._managed:
            return self._managed[arn]
        _, of_aws, name = arn.partition(_AWS_MANAGED)
        if of_aws:
            if not any(wildcard_match(known, name) for known in (*_AWS_POLICIES, *_KNOWN_EMPTY)):
                self._note(
                    f"{item.place}: AWS's policy {name!r} is not known here; it is treated as one "
                    "that does not concern calls"
                )
            return Node(_AWS_POLICIES.get(name), item.place)
        raise item.error(f"{arn!r} is not a policy of this template")

    def _resolve_document(self, document: Node, unknown: list[ConfigurationError]) -> Any:
        """A policy's document, or None if no statement concerns calls.

        Values in statements about other services need not be known.

        :param unknown: gets the errors of statements about calls.
        """
        try:
            return self._template.resolve(document)
        except ConfigurationError:
            table = self._template.resolve_if(document).table()
            if "Statement" not in table:
                raise
        statements = _resolvable(self._template, table, "Statement", self._about_calls, unknown)
        kept = [statement for statement in statements if statement is not None]
        rest = {key: self._template.resolve(table[key]) for key in table if key != "Statement"}
        return rest | {"Statement": kept} if kept else None

    def _about_calls(self, statement: Node) -> Any:
        """A resolved statement; None if it does not concern calls."""
        return self._template.resolve(statement) if self._is_about_calls(statement) else None

    def _is_about_calls(self, statement: Node) -> bool:
        table = statement.table()
        if "Action" not in table:
            return True
        return _has_calls(self._template.resolve(table["Action"]))


def _read_policy(document: Any) -> list[IdentityPolicy]:
    """The policy of a document, if it concerns calls.

    A document with an error is read again without the statements about other services: their
    resources may be ARNs only for AWS. Otherwise they stay, so that errors count statements right.
    """
    if document is None:
        return []
    try:
        return [IdentityPolicy.from_document(document)]
    except PolicyError:
        statements = document.get("Statement") if isinstance(document, Mapping) else None
        listed = statements if isinstance(statements, list) else [statements]
        kept = [statement for statement in listed if not _is_about_others(statement)]
        if len(kept) == len(listed):
            raise
        with suppress(PolicyError):
            return [IdentityPolicy.from_document({**document, "Statement": kept})] if kept else []
        raise


def _is_about_others(statement: Any) -> bool:
    actions = statement.get("Action") if isinstance(statement, Mapping) else None
    return actions is not None and not _has_calls(actions)


def _has_calls(actions: Any) -> bool:
    return any(
        wildcard_match(str(action).lower(), _CALL.lower())
        for action in (actions if isinstance(actions, list) else [actions])
    )
