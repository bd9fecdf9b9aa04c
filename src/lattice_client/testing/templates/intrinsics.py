"""CloudFormation's functions, parameters and conditions, as far as Lattice's resources need them.

Source: "Intrinsic function reference" and "Pseudo parameters reference" (CloudFormation User
Guide). What is not supported is an error that names its place, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from lattice_client.testing.templates.nodes import Node, as_text
from lattice_client.testing.templates.references import logical_id

__all__ = ["NO_VALUE", "Template"]

#: The value of ``!Ref AWS::NoValue``: its key or list item is left out.
NO_VALUE: Final = object()

_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


class Template:
    """A template's resources, with functions that resolve their values.

    :param document: the template.
    :param parameters: values for its parameters, in place of their defaults.
    :param pseudo: values of the pseudo parameters, such as ``AWS::Region``.
    :param attribute: returns an attribute of a resource by the logical id, or what ``Ref`` returns
        if the attribute is None. It raises LookupError if there is none.
    :raises ConfigurationError: if a parameter has no value, or the template has no such parameter.
    """

    def __init__(
        self,
        document: Node,
        *,
        parameters: Mapping[str, str],
        pseudo: Mapping[str, str],
        attribute: Callable[[str, str | None], Any],
    ) -> None:
        self.resources = document.child("Resources").table()
        tables = document.table()
        self._conditions = tables["Conditions"].table() if "Conditions" in tables else {}
        self._mappings = tables.get("Mappings")
        self._pseudo = pseudo
        self._attribute = attribute
        self._parameters: dict[str, Any] = {}
        self._implied: dict[str, dict[str, Node]] = {}
        self._evaluating: set[str] = set()
        declared = tables["Parameters"].table() if "Parameters" in tables else {}
        for name in parameters:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise document.error(f"there is no parameter {name!r}; there are: {known}")
        self._in_parameter_store: set[str] = set()
        for name, node in declared.items():
            if name not in parameters and _is_in_parameter_store(node):
                self._in_parameter_store.add(name)  # An error only where it is referred to.
            else:
                self._parameters[name] = _parameter(name, node, parameters.get(name))

    def resolve(self, node: Node) -> Any:
        """The value of a node with all functions evaluated.

        :raises ConfigurationError: for a function that is unknown, or cannot be evaluated.
        """
        value = node.value
        if isinstance(value, Mapping):
            table = node.table()
            if len(table) == 1:
                name, argument = next(iter(table.items()))
                # In a policy's statement, Condition is a table and no function.
                is_condition = name == "Condition" and isinstance(argument.value, str)
                if name == "Ref" or is_condition or name.startswith("Fn::"):
                    return self._call(name, argument)
            resolved = {key: self.resolve(item) for key, item in table.items()}
            return {key: item for key, item in resolved.items() if item is not NO_VALUE}
        if isinstance(value, list):
            items = [self.resolve(item) for item in node.items()]
            return [item for item in items if item is not NO_VALUE]
        return value

    def resource_type(self, name: str) -> str:
        """The Type of a resource, by logical id."""
        table = self.resources[name].table()
        if "Type" not in table:
            raise self.resources[name].error("a resource needs a Type")
        return table["Type"].text()

    def is_included(self, name: str) -> bool:
        """Whether a resource has no condition, or one that holds."""
        condition = self.resources[name].table().get("Condition")
        return condition is None or self.condition_holds(condition.text(), condition)

    def names_of_type(self, *types: str) -> list[str]:
        """The logical ids of the included resources that have one of these Types."""
        return [
            name
            for name in self.resources
            if self.resource_type(name) in types and self.is_included(name)
        ]

    def imply(self, name: str, resource_type: str, by: str, properties: dict[str, Node]) -> None:
        """Add a resource that the resource ``by`` implies, unless the template has it."""
        if name not in self.resources:
            self.resources[name] = Node({"Type": resource_type}, self.resources[by].place)
            self._implied[name] = properties

    def properties(self, name: str) -> dict[str, Node]:
        """A resource's properties, with functions not evaluated."""
        if name in self._implied:
            return self._implied[name]
        table = self.resources[name].table()
        return table["Properties"].table() if "Properties" in table else {}

    def property_value(self, properties: Mapping[str, Node], key: str, default: Any = None) -> Any:
        """A property's resolved value; the default if it is missing or ``AWS::NoValue``."""
        value = self.resolve(properties[key]) if key in properties else NO_VALUE
        return default if value is NO_VALUE else value

    def resolve_if(self, node: Node) -> Node:
        """The branch that ``Fn::If`` chooses, or the node itself; nothing inside is resolved.

        The value is ``NO_VALUE`` for ``AWS::NoValue``.
        """
        while isinstance(node.value, Mapping) and tuple(node.value) == ("Fn::If",):
            node = self._branch(node.child("Fn::If"))
        return Node(NO_VALUE, node.place) if node.value == {"Ref": "AWS::NoValue"} else node

    def referenced_resources(self, node: Node) -> set[str]:
        """The logical ids of the resources that a value refers to."""
        node = self.resolve_if(node)
        if isinstance(node.value, list):
            return {name for item in node.items() for name in self.referenced_resources(item)}
        if not isinstance(node.value, Mapping):
            return set()
        found: set[str] = set()
        for key, argument in node.table().items():
            if key in ("Ref", "Fn::GetAtt"):
                found.add(logical_id(argument.value))
                continue
            if key == "Fn::Sub":
                parts = argument.value if isinstance(argument.value, list) else [argument.value]
                variables = _VARIABLE.findall(str(parts[:1]))
                found |= {logical_id(name) for is_literal, name in variables if not is_literal}
            found |= self.referenced_resources(argument)
        return found & self.resources.keys()

    def imported_export(self, node: Node) -> str | None:
        """The name of the export that a node imports; None if it is no ``Fn::ImportValue``.

        Only AWS knows the value.
        """
        node = self.resolve_if(node)
        if not isinstance(node.value, Mapping) or tuple(node.value) != ("Fn::ImportValue",):
            return None
        name = node.child("Fn::ImportValue")
        return Node(self.resolve(name), name.place).as_text()

    def condition_holds(self, name: str, node: Node) -> bool:
        """Whether a condition of the template holds.

        :param node: the reference to it, for errors.
        """
        if name not in self._conditions:
            known = ", ".join(self._conditions) or "none"
            raise node.error(f"there is no condition {name!r}; there are: {known}")
        if name in self._evaluating:
            raise node.error(f"the condition {name!r} depends on itself")
        self._evaluating.add(name)
        try:
            return self._resolve_condition(self._conditions[name])
        finally:
            self._evaluating.discard(name)

    def _call(self, name: str, node: Node) -> Any:
        functions: dict[str, Callable[[Node], Any]] = {
            "Ref": lambda node: self._ref(node.text(), node),
            "Condition": lambda node: self.condition_holds(node.text(), node),
            "Fn::And": lambda node: all(self._resolve_condition(item) for item in node.items()),
            "Fn::Equals": self._equals,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": lambda node: self.resolve(self._branch(node)),
            "Fn::Join": self._join,
            "Fn::Not": lambda node: not self._resolve_condition(self._arguments(node, 1)[0]),
            "Fn::Or": lambda node: any(self._resolve_condition(item) for item in node.items()),
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
            "Fn::ToJsonString": lambda node: json.dumps(self.resolve(node)),
        }
        if name not in functions:
            hint = ": give its value as a parameter" if name == "Fn::ImportValue" else ""
            raise node.error(f"the local Lattice does not know {name}{hint}")
        return functions[name](node)

    def _ref(self, name: str, node: Node) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        if name in self._in_parameter_store:
            raise node.error(f"the parameter {name!r} has no value: give it one")
        return self._resource_attribute(name, None, node)

    def _get_att(self, node: Node) -> Any:
        path = node.value
        if not isinstance(path, str):
            path = ".".join(as_text(self.resolve(item)) for item in node.items())
        name, _, attribute = path.partition(".")
        if not attribute:
            raise node.error("Fn::GetAtt needs a resource and an attribute")
        return self._resource_attribute(name, attribute, node)

    def _resource_attribute(self, name: str, attribute: str | None, node: Node) -> Any:
        if name not in self.resources:
            raise node.error(f"there is no parameter or resource {name!r}")
        try:
            return self._attribute(name, attribute)
        except LookupError as error:
            raise node.error(str(error.args[0])) from None

    def _sub(self, node: Node) -> str:
        variables: dict[str, Any] = {}
        text = node
        if isinstance(node.value, list):
            text, table = self._arguments(node, 2)
            variables = {key: self.resolve(item) for key, item in table.table().items()}

        def replacement(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return as_text(variables[name])
            resource, dot, attribute = name.partition(".")
            if dot:
                return as_text(self._resource_attribute(resource, attribute, text))
            return as_text(self._ref(name, text))

        return _VARIABLE.sub(replacement, text.text())

    def _join(self, node: Node) -> str:
        separator, values = self._arguments(node, 2)
        resolved = self.resolve(values)
        if not isinstance(resolved, list):
            raise values.error("Fn::Join needs a list")
        return separator.text().join(as_text(value) for value in resolved)

    def _split(self, node: Node) -> list[str]:
        separator, text = self._arguments(node, 2)
        return as_text(self.resolve(text)).split(separator.text())

    def _select(self, node: Node) -> Any:
        index, values = self._arguments(node, 2)
        resolved = self.resolve(values)
        try:
            return resolved[int(self.resolve(index))]
        except (IndexError, TypeError, ValueError):
            raise node.error("Fn::Select needs an index and a list that is long enough") from None

    def _branch(self, node: Node) -> Node:
        name, then, otherwise = self._arguments(node, 3)
        return then if self.condition_holds(name.text(), name) else otherwise

    def _equals(self, node: Node) -> bool:
        left, right = (self.resolve(item) for item in self._arguments(node, 2))
        return bool(as_text(left) == as_text(right))

    def _find_in_map(self, node: Node) -> Any:
        if self._mappings is None:
            raise node.error("the template has no Mappings")
        found = self._mappings
        for key in self._arguments(node, 3):
            name = as_text(self.resolve(key))
            if name not in found.table():
                raise key.error(f"there is no {name!r} in {found.place}")
            found = found.child(name)
        return self.resolve(found)

    def _resolve_condition(self, node: Node) -> bool:
        holds = self.resolve(node)
        if not isinstance(holds, bool):
            raise node.error("this must be a condition")
        return holds

    def _arguments(self, node: Node, count: int) -> list[Node]:
        items = node.items()
        if len(items) != count:
            raise node.error(f"this function takes {count} arguments, not {len(items)}")
        return items


def _is_in_parameter_store(node: Node) -> bool:
    """Whether a parameter's default names an SSM parameter, as the CDK's templates do."""
    table = node.table()
    return "Default" in table and str(table.get("Type", node).value).startswith("AWS::SSM::")


def _parameter(name: str, node: Node, given: str | None) -> Any:
    table = node.table()
    kind = table["Type"].text() if "Type" in table else "String"
    value = given
    if value is None:
        if "Default" not in table:
            raise node.error(f"the parameter {name!r} has no value: give it one")
        value = table["Default"].as_text()
    text = as_text(value)
    is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
    values = [item.strip() for item in text.split(",")] if is_list else [text]
    if "AllowedValues" in table:
        allowed = [item.as_text() for item in table["AllowedValues"].items()]
        what = f"{'each item of ' if is_list else ''}the parameter {name!r}"
        for item in values:
            if item not in allowed:
                raise node.error(f"{what} must be one of {', '.join(allowed)}, not {item!r}")
    return values if is_list else text
