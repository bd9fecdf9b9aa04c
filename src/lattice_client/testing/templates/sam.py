"""What an ``AWS::Serverless::Function`` implies: its role, and the alias it is published under.

The role's policies are those of the function. SAM's policy templates say nothing of calls.

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
# SAM takes AWS's policies by their names, and these have a path.
_SERVICE_ROLES: Final = "AWSLambda*Role"
# SAM gives it to every role that it makes.
_LOGS: Final = f"{_AWS_MANAGED}service-role/AWSLambdaBasicExecutionRole"
# All of SAM's policy templates end so, and none is about calls ("AWS SAM policy templates").
_TEMPLATE: Final = "Policy"
_EMPTY: Final = Node(None, "")
_NOTHING: Final = {"Ref": "AWS::NoValue"}
# What a role has of its function's properties, and how they are called there.
_OF_ROLE: Final = {"PermissionsBoundary": "PermissionsBoundary", "RolePath": "Path"}


def add_implied(document: Node, template: Template, note: Callable[[str], object]) -> None:
    """Add to a template the resources that its functions imply.

    :param document: the template, which may have ``Globals``.
    :param note: called with what was not understood.
    """
    shared: dict[str, Node] = {}
    if document.table().get("Globals", _EMPTY).value:
        of_functions = document.child("Globals").table().get("Function", _EMPTY)
        shared = of_functions.table() if of_functions.value else {}
    for name in template.of_kind(_FUNCTION):
        properties = shared | template.properties(name)
        if not _is_there(template, properties, "Role"):
            template.imply(f"{name}Role", "AWS::IAM::Role", name, _role(template, properties, note))
        if _is_there(template, properties, "AutoPublishAlias"):
            node = properties["AutoPublishAlias"]
            try:
                alias = Node(template.resolve(node), node.place)
            except ConfigurationError:
                continue  # Whoever refers to it is told that it is not there.
            function = Node({"Ref": name}, node.place)
            implied = {"FunctionName": function, "Name": alias}
            for each in (f"{name}Alias{alias.as_text()}", f"{name}.Alias"):  # Ref may name both.
                template.imply(each, "AWS::Lambda::Alias", name, implied)


def _is_there(template: Template, properties: Mapping[str, Node], key: str) -> bool:
    return template.chosen(properties.get(key, _EMPTY)).value not in (NO_VALUE, None)


def _role(
    template: Template, properties: Mapping[str, Node], note: Callable[[str], object]
) -> dict[str, Node]:
    """The properties of a function's role."""
    role = {key: properties[its] for its, key in _OF_ROLE.items() if its in properties}
    tags = properties.get("Tags")
    if tags is not None and isinstance(tags.value, Mapping):
        pairs = [{"Key": key, "Value": value} for key, value in tags.value.items()]
        role["Tags"] = Node(pairs, tags.place)
    policies = template.chosen(properties.get("Policies", _EMPTY))
    items = policies.items() if isinstance(policies.value, list) else [policies]
    # Each keeps its index, so that what is said of it names its place.
    inline: list[Any] = [_NOTHING] * len(items)
    managed: list[Any] = [*inline, _LOGS]
    for index, item in enumerate(map(template.chosen, items)):
        value = item.value
        if isinstance(value, str):
            managed[index] = _arn(value)
        elif value is NO_VALUE or value is None:
            continue
        elif "Statement" in (keys := item.table()):
            inline[index] = {"PolicyDocument": value}
        elif any(key == "Ref" or key.startswith("Fn::") for key in keys):
            managed[index] = value
        elif not (len(keys) == 1 and next(iter(keys)).endswith(_TEMPLATE)):
            note(f"{item.place}: this is no policy that is known here")
    return role | {
        "Policies": Node(inline, policies.place),
        "ManagedPolicyArns": Node(managed, policies.place),
    }


def _arn(policy: str) -> str:
    """The ARN of a managed policy, which may be named by it."""
    if policy.startswith("arn:"):
        return policy
    path = "service-role/" if wildcard_match(_SERVICE_ROLES, policy) else ""
    return f"{_AWS_MANAGED}{path}{policy}"
