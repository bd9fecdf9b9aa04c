"""Resources that an ``AWS::Serverless::Function`` implies: its role and its alias.

The role has the function's policies. SAM's policy templates do not concern calls of Lattice.

Source: "AWS::Serverless::Function" and "Generated CloudFormation resources" (AWS SAM Developer
Guide).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.templates.intrinsics import NO_VALUE, Template
from lattice_client.testing.templates.nodes import Node
from lattice_client.testing.wildcards import wildcard_match

__all__ = ["add_implied"]

_FUNCTION: Final = "AWS::Serverless::Function"
_AWS_MANAGED: Final = "arn:aws:iam::aws:policy/"
# SAM accepts AWS's policies by name; these have a path in their ARN.
_SERVICE_ROLES: Final = "AWSLambda*Role"
# SAM attaches it to every role that it creates.
_LOGS: Final = f"{_AWS_MANAGED}service-role/AWSLambdaBasicExecutionRole"
# The names of SAM's policy templates end so; none concerns calls ("AWS SAM policy templates").
_POLICY_TEMPLATE_SUFFIX: Final = "Policy"
_EMPTY: Final = Node(None, "")
_NO_VALUE_REF: Final = {"Ref": "AWS::NoValue"}
# Properties of a function that its role gets, and their names there.
_ROLE_PROPERTIES: Final = {"PermissionsBoundary": "PermissionsBoundary", "RolePath": "Path"}


def add_implied(document: Node, template: Template, note: Callable[[str], object]) -> None:
    """Add the resources that a template's functions imply.

    :param document: the template, which may have ``Globals``.
    :param note: called with what is not understood.
    """
    shared: dict[str, Node] = {}
    if document.table().get("Globals", _EMPTY).value:
        of_functions = document.child("Globals").table().get("Function", _EMPTY)
        shared = of_functions.table() if of_functions.value else {}
    for name in template.names_of_type(_FUNCTION):
        properties = shared | template.properties(name)
        if not _has(template, properties, "Role"):
            template.imply(f"{name}Role", "AWS::IAM::Role", name, _role(template, properties, note))
        if _has(template, properties, "AutoPublishAlias"):
            node = properties["AutoPublishAlias"]
            try:
                alias = Node(template.resolve(node), node.place)
            except ConfigurationError:
                continue  # References to it raise an error.
            function = Node({"Ref": name}, node.place)
            implied = {"FunctionName": function, "Name": alias}
            for alias_id in (f"{name}Alias{alias.as_text()}", f"{name}.Alias"):  # Ref takes both.
                template.imply(alias_id, "AWS::Lambda::Alias", name, implied)


def _has(template: Template, properties: Mapping[str, Node], key: str) -> bool:
    return template.resolve_if(properties.get(key, _EMPTY)).value not in (NO_VALUE, None)


def _role(
    template: Template, properties: Mapping[str, Node], note: Callable[[str], object]
) -> dict[str, Node]:
    """The properties of a function's role."""
    role = {
        role_key: properties[key] for key, role_key in _ROLE_PROPERTIES.items() if key in properties
    }
    tags = properties.get("Tags")
    if tags is not None and isinstance(tags.value, Mapping):
        pairs = [{"Key": key, "Value": value} for key, value in tags.value.items()]
        role["Tags"] = Node(pairs, tags.place)
    policies = template.resolve_if(properties.get("Policies", _EMPTY))
    items = policies.items() if isinstance(policies.value, list) else [policies]
    # Each policy keeps its index, so that messages name its place.
    inline: list[Any] = [_NO_VALUE_REF] * len(items)
    managed: list[Any] = [*inline, _LOGS]
    for index, item in enumerate(map(template.resolve_if, items)):
        value = item.value
        if isinstance(value, str):
            managed[index] = _arn(value)
        elif value is NO_VALUE or value is None:
            continue
        elif "Statement" in (keys := item.table()):
            inline[index] = {"PolicyDocument": value}
        elif any(key == "Ref" or key.startswith("Fn::") for key in keys):
            managed[index] = value
        elif not (len(keys) == 1 and next(iter(keys)).endswith(_POLICY_TEMPLATE_SUFFIX)):
            note(f"{item.place}: this policy is not understood")
    return role | {
        "Policies": Node(inline, policies.place),
        "ManagedPolicyArns": Node(managed, policies.place),
    }


def _arn(policy: str) -> str:
    """The ARN of a managed policy, given by its name or its ARN."""
    if policy.startswith("arn:"):
        return policy
    path = "service-role/" if wildcard_match(_SERVICE_ROLES, policy) else ""
    return f"{_AWS_MANAGED}{path}{policy}"
