"""Callers from a template: its ``AWS::IAM::Role`` resources, and what their policies let them do.

A role's policies are those inside it, the ``AWS::IAM::Policy``, ``RolePolicy`` and
``ManagedPolicy`` resources that name it, and its ``ManagedPolicyArns``. If the template gives it
none, it may make every call, as a caller by itself. One that is not known here is taken to allow
every call, with a note; what the others deny stays denied.

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
#: Policies of their own, and the property in which they name their roles.
_POLICIES: Final = {
    "AWS::IAM::Policy": "Roles",
    "AWS::IAM::RolePolicy": "RoleName",
    _MANAGED_POLICY: "Roles",
}
_CALL: Final = "vpc-lattice-svcs:Invoke"
_AWS_MANAGED: Final = ":iam::aws:policy/"
# What AWS's own policies say of calls. Source: AWS Managed Policy Reference Guide. Those that are
# not here are taken to say nothing, as nearly all of them do, and a note names them.
_AWS_POLICIES: Final = {
    name: {"Statement": {"Effect": effect, "Action": _CALL, "Resource": "*"}}
    for name, effect in (
        ("AWSDenyAll", "Deny"),
        ("AdministratorAccess", "Allow"),
        ("PowerUserAccess", "Allow"),
        ("VPCLatticeServicesInvokeAccess", "Allow"),
    )
}
# Those that roles often have, and VPC Lattice's own for its control plane: they need no note.
_SILENT: Final = (
    "service-role/*",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
    "AmazonSSMManagedInstanceCore",
    "CloudWatchAgentServerPolicy",
    "CloudWatchLambdaInsightsExecutionRolePolicy",
    "VPCLatticeFullAccess",
    "VPCLatticeReadOnlyAccess",
    # What functions are given, by name, in SAM's templates.
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
        return str(template.value(table, "Key")), str(template.value(table, "Value", ""))

    unknown: list[ConfigurationError] = []
    tags = dict(_known(template, properties, "Tags", tag, unknown))
    for error in unknown:
        note(f"{error}; so the role goes without this tag")
    return tags


def _known(
    template: Template,
    properties: Mapping[str, Node],
    key: str,
    read: Callable[[Node], _T],
    unknown: list[ConfigurationError],
) -> list[_T]:
    """What a property's items are, one by one.

    :param unknown: gets why some cannot be worked out; the others are kept.
    """
    found = []
    try:
        for item in _listed(template, properties, key):
            try:
                if (chosen := _chosen(template, item)) is not None:
                    found.append(read(chosen))
            except ConfigurationError as error:
                unknown.append(error)
    except ConfigurationError as error:  # of the list itself
        unknown.append(error)
    return found


def _items(template: Template, properties: Mapping[str, Node], key: str) -> list[Node]:
    """A property's items; what turns out to be nothing is left out."""
    chosen = [_chosen(template, item) for item in _listed(template, properties, key)]
    return [item for item in chosen if item is not None]


def _listed(template: Template, properties: Mapping[str, Node], key: str) -> list[Node]:
    """A property's items, or its one value, as they stand there."""
    if key not in properties:
        return []
    node = template.chosen(properties[key])
    if isinstance(node.value, Mapping) and len(node.value) == 1:  # a function
        node = Node(template.resolve(node), node.place)
    return node.items() if isinstance(node.value, list) else [node]


def _chosen(template: Template, item: Node) -> Node | None:
    chosen = template.chosen(item)
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
        for name in template.of_kind(*_POLICIES):
            node, properties = template.resources[name], template.properties(name)
            document, kind = _document(node, properties), template.kind(name)
            if kind == _MANAGED_POLICY:
                arn = template.resolve(Node({"Ref": name}, node.place))
                self._managed[arn] = document
            for role in self._roles(properties, _POLICIES[kind]):
                self._attached[role].append(document)

    def of(self, role: str, properties: Mapping[str, Node]) -> list[IdentityPolicy] | None:
        """A role's policies; None if it has none."""
        inline = _items(self._template, properties, "Policies")
        documents = [*self._attached[role], *(_document(each, each.table()) for each in inline)]
        unknown: list[ConfigurationError] = []
        arns = _known(self._template, properties, "ManagedPolicyArns", self._by_arn, unknown)
        policies = []
        for document in [*documents, *arns]:
            try:
                content = self._worked_out(document, unknown)
            except ConfigurationError as error:
                unknown.append(error)
                continue
            with document.error_context():
                policies += _read(content)
        for what in unknown:
            self._note(f"{what}; so the role {role!r} may make every call that is not denied")
        if unknown:
            policies.append(_EVERY_CALL)
        return policies if documents or arns or unknown else None

    def _roles(self, properties: Mapping[str, Node], key: str) -> list[str]:
        """The names of the roles that a policy is for."""
        unknown: list[ConfigurationError] = []
        roles = _known(self._template, properties, key, self._name, unknown)
        for what in unknown:
            self._note(f"{what}; so this role goes without the policy")
        return roles

    def _name(self, item: Node) -> str:
        return str(self._template.resolve(item))

    def _by_arn(self, item: Node) -> Node:
        arn = self._name(item)
        if arn in self._managed:
            return self._managed[arn]
        _, of_aws, name = arn.partition(_AWS_MANAGED)
        if of_aws:
            if not any(wildcard_match(known, name) for known in (*_AWS_POLICIES, *_SILENT)):
                self._note(
                    f"{item.place}: AWS's policy {name!r} is not known here, and is taken to say "
                    "nothing of calls"
                )
            return Node(_AWS_POLICIES.get(name), item.place)
        raise item.error(f"{arn!r} is no policy of this template")

    def _worked_out(self, document: Node, unknown: list[ConfigurationError]) -> Any:
        """A policy's document, or None if it says nothing of calls.

        What stands in statements about other services need not be known.

        :param unknown: gets why statements about calls cannot be worked out.
        """
        try:
            return self._template.resolve(document)
        except ConfigurationError:
            table = self._template.chosen(document).table()
            if "Statement" not in table:
                raise
        statements = _known(self._template, table, "Statement", self._about_calls, unknown)
        kept = [statement for statement in statements if statement is not None]
        rest = {key: self._template.resolve(table[key]) for key in table if key != "Statement"}
        return rest | {"Statement": kept} if kept else None

    def _about_calls(self, statement: Node) -> Any:
        """A statement; None if it is about something else."""
        return self._template.resolve(statement) if self._is_about_calls(statement) else None

    def _is_about_calls(self, statement: Node) -> bool:
        table = statement.table()
        if "Action" not in table:
            return True
        return _has_calls(self._template.resolve(table["Action"]))


def _read(document: Any) -> list[IdentityPolicy]:
    """The policy of a document, if it says something of calls.

    Statements about other services may have for a resource what is an ARN to AWS alone. They are
    left out then, and only then: errors tell the places of statements.
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
