"""CloudFormation's functions, parameters and conditions, as far as VPC Lattice's resources need.

Source: "Intrinsic function reference" and "Pseudo parameters reference" (CloudFormation User
Guide). What is not understood is an error that names its place, never a guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from lattice_client.testing.templates.nodes import Node, as_text
from lattice_client.testing.templates.references import logical_id

__all__ = ["NO_VALUE", "Template"]

#: What ``!Ref AWS::NoValue`` is: the key that has it, or the item, is left out.
NO_VALUE: Final = object()

_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


class Template:
    """A template's values.

    :param document: the template.
    :param parameters: values for its parameters, in place of their defaults.
    :param pseudo: values of the pseudo parameters, such as ``AWS::Region``.
    :param attribute: gives an attribute of a resource, by its logical id; the attribute is None for
        what ``Ref`` gives. It raises LookupError where there is none.
    :raises ConfigurationError: if a parameter has no value, or is none of the template's.
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
        self._deciding: set[str] = set()
        declared = tables["Parameters"].table() if "Parameters" in tables else {}
        for name in parameters:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise document.error(f"there is no parameter {name!r}; there are: {known}")
        self._stored: set[str] = set()
        for name, node in declared.items():
            if name not in parameters and _is_stored(node):
                self._stored.add(name)  # Only whoever refers to it needs it.
            else:
                self._parameters[name] = _parameter(name, node, parameters.get(name))

    def resolve(self, node: Node) -> Any:
        """The value of a node with all functions worked out.

        :raises ConfigurationError: for a function that is not known, or cannot be worked out.
        """
        value = node.value
        if isinstance(value, Mapping):
            table = node.table()
            if len(table) == 1:
                name, argument = next(iter(table.items()))
                # A policy's statement may have a Condition, which is a table.
                is_condition = name == "Condition" and isinstance(argument.value, str)
                if name == "Ref" or is_condition or name.startswith("Fn::"):
                    return self._call(name, argument)
            resolved = {key: self.resolve(item) for key, item in table.items()}
            return {key: item for key, item in resolved.items() if item is not NO_VALUE}
        if isinstance(value, list):
            items = [self.resolve(item) for item in node.items()]
            return [item for item in items if item is not NO_VALUE]
        return value

    def kind(self, name: str) -> str:
        """The Type of a resource, by its logical id."""
        table = self.resources[name].table()
        if "Type" not in table:
            raise self.resources[name].error("a resource needs a Type")
        return table["Type"].text()

    def is_there(self, name: str) -> bool:
        """Whether a resource's condition holds, or it has none."""
        condition = self.resources[name].table().get("Condition")
        return condition is None or self.holds(condition.text(), condition)

    def of_kind(self, *kinds: str) -> list[str]:
        """The logical ids of the resources that are there and have one of these Types."""
        return [name for name in self.resources if self.kind(name) in kinds and self.is_there(name)]

    def imply(self, name: str, kind: str, by: str, properties: dict[str, Node]) -> None:
        """Add a resource that another one implies, unless the template has it itself."""
        if name not in self.resources:
            self.resources[name] = Node({"Type": kind}, self.resources[by].place)
            self._implied[name] = properties

    def properties(self, name: str) -> dict[str, Node]:
        """A resource's properties, not worked out."""
        if name in self._implied:
            return self._implied[name]
        table = self.resources[name].table()
        return table["Properties"].table() if "Properties" in table else {}

    def value(self, properties: Mapping[str, Node], key: str, default: Any = None) -> Any:
        """A property worked out, or the default where it is missing or turns out to be nothing."""
        value = self.resolve(properties[key]) if key in properties else NO_VALUE
        return default if value is NO_VALUE else value

    def chosen(self, node: Node) -> Node:
        """What ``Fn::If`` chooses where the node is one, so that the rest is read part by part.

        Its value is ``NO_VALUE`` where that is nothing.
        """
        while isinstance(node.value, Mapping) and tuple(node.value) == ("Fn::If",):
            node = self._branch(node.child("Fn::If"))
        return Node(NO_VALUE, node.place) if node.value == {"Ref": "AWS::NoValue"} else node

    def resources_in(self, node: Node) -> set[str]:
        """The logical ids of the resources that a value is made of."""
        node = self.chosen(node)
        if isinstance(node.value, list):
            return {name for item in node.items() for name in self.resources_in(item)}
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
            found |= self.resources_in(argument)
        return found & self.resources.keys()

    def imported(self, node: Node) -> str | None:
        """The name of the export whose value a node imports, which only AWS knows; None where it
        imports none."""
        node = self.chosen(node)
        if not isinstance(node.value, Mapping) or tuple(node.value) != ("Fn::ImportValue",):
            return None
        name = node.child("Fn::ImportValue")
        return Node(self.resolve(name), name.place).as_text()

    def holds(self, name: str, node: Node) -> bool:
        """Whether a condition of the template holds.

        :param node: where it is named.
        """
        if name not in self._conditions:
            known = ", ".join(self._conditions) or "none"
            raise node.error(f"there is no condition {name!r}; there are: {known}")
        if name in self._deciding:
            raise node.error(f"the condition {name!r} depends on itself")
        self._deciding.add(name)
        try:
            return self._truth(self._conditions[name])
        finally:
            self._deciding.discard(name)

    def _call(self, name: str, node: Node) -> Any:
        functions: dict[str, Callable[[Node], Any]] = {
            "Ref": lambda node: self._ref(node.text(), node),
            "Condition": lambda node: self.holds(node.text(), node),
            "Fn::And": lambda node: all(self._truth(item) for item in node.items()),
            "Fn::Base64": self._unknown("Fn::Base64"),
            "Fn::Equals": self._equals,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": self._get_att,
            "Fn::If": lambda node: self.resolve(self._branch(node)),
            "Fn::Join": self._join,
            "Fn::Not": lambda node: not self._truth(self._some(node, 1)[0]),
            "Fn::Or": lambda node: any(self._truth(item) for item in node.items()),
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
            "Fn::ToJsonString": lambda node: json.dumps(self.resolve(node)),
        }
        return functions.get(name, self._unknown(name))(node)

    def _unknown(self, name: str) -> Callable[[Node], Any]:
        def refuse(node: Node) -> Any:
            hint = ": give its value as a parameter" if name == "Fn::ImportValue" else ""
            raise node.error(f"the local Lattice does not know {name}{hint}")

        return refuse

    def _ref(self, name: str, node: Node) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        if name in self._stored:
            raise node.error(f"the parameter {name!r} has no value: give it one")
        return self._of_resource(name, None, node)

    def _get_att(self, node: Node) -> Any:
        path = node.value
        if not isinstance(path, str):
            path = ".".join(as_text(self.resolve(item)) for item in node.items())
        name, _, attribute = path.partition(".")
        if not attribute:
            raise node.error("Fn::GetAtt needs a resource and an attribute")
        return self._of_resource(name, attribute, node)

    def _of_resource(self, name: str, attribute: str | None, node: Node) -> Any:
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
            text, table = self._some(node, 2)
            variables = {key: self.resolve(item) for key, item in table.table().items()}

        def replacement(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return f"${{{name}}}"
            if name in variables:
                return as_text(variables[name])
            resource, dot, attribute = name.partition(".")
            if dot:
                return as_text(self._of_resource(resource, attribute, text))
            return as_text(self._ref(name, text))

        return _VARIABLE.sub(replacement, text.text())

    def _join(self, node: Node) -> str:
        separator, values = self._some(node, 2)
        resolved = self.resolve(values)
        if not isinstance(resolved, list):
            raise values.error("Fn::Join needs a list")
        return separator.text().join(as_text(value) for value in resolved)

    def _split(self, node: Node) -> list[str]:
        separator, text = self._some(node, 2)
        return as_text(self.resolve(text)).split(separator.text())

    def _select(self, node: Node) -> Any:
        index, values = self._some(node, 2)
        resolved = self.resolve(values)
        try:
            return resolved[int(self.resolve(index))]
        except (IndexError, TypeError, ValueError):
            raise node.error("Fn::Select needs an index, and a list that is long enough") from None

    def _branch(self, node: Node) -> Node:
        name, then, otherwise = self._some(node, 3)
        return then if self.holds(name.text(), name) else otherwise

    def _equals(self, node: Node) -> bool:
        left, right = (self.resolve(item) for item in self._some(node, 2))
        return bool(as_text(left) == as_text(right))

    def _find_in_map(self, node: Node) -> Any:
        if self._mappings is None:
            raise node.error("the template has no Mappings")
        found = self._mappings
        for key in self._some(node, 3):
            name = as_text(self.resolve(key))
            if name not in found.table():
                raise key.error(f"there is no {name!r} in {found.place}")
            found = found.child(name)
        return self.resolve(found)

    def _truth(self, node: Node) -> bool:
        truth = self.resolve(node)
        if not isinstance(truth, bool):
            raise node.error("this must be a condition")
        return truth

    def _some(self, node: Node, count: int) -> list[Node]:
        items = node.items()
        if len(items) != count:
            raise node.error(f"this function has {count} arguments, not {len(items)}")
        return items


def _is_stored(node: Node) -> bool:
    """Whether a parameter's default is a name in the parameter store: every template of the CDK has
    such a one."""
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
        whose = f"{'each item of ' if is_list else ''}the parameter {name!r}"
        for each in values:
            if each not in allowed:
                raise node.error(f"{whose} is one of {', '.join(allowed)}, not {each!r}")
    return values if is_list else text
