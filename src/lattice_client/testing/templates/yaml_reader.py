"""YAML with CloudFormation's short forms. Only this file imports PyYAML."""

from __future__ import annotations

import reprlib
from typing import Any

import yaml

from lattice_client.errors import ConfigurationError

__all__ = ["read_yaml"]

# More than any template has: CloudFormation's limit is 1 MB.
_MAX_VALUES = 1_000_000


def read_yaml(text: str, name: str) -> Any:
    """Parse a YAML (or JSON) document, and expand CloudFormation's short forms.

    :param name: the file's name, for errors.
    :raises ConfigurationError: if it is not YAML, has a key twice, or its aliases stand for too
        many values; the message names the line if there is one.
    """
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{name}, line {mark.line + 1}" if mark is not None else name
        problem = getattr(error, "problem", None) or "this is not YAML"
        raise ConfigurationError(f"{place}: {problem}") from error
    if _count_values(content, {}) > _MAX_VALUES:
        raise ConfigurationError(f"{name}: its aliases stand for over {_MAX_VALUES} values")
    return content


def _count_values(value: Any, known: dict[int, int]) -> int:
    """The number of values with every alias expanded."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count_values(item, known) for item in inner)
    return known[id(value)]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 without dates: ``Version: 2012-10-17`` is text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 as in PyYAML
        """A node's value.

        PyYAML does not catch the errors of ``int`` and others for a text that a tag such as
        ``!!int`` does not fit.
        """
        try:
            return super().construct_object(node, deep=deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            value = reprlib.repr(node.value) if isinstance(node.value, str) else "this"
            raise yaml.constructor.ConstructorError(
                problem=f"{value} is not of the type !!{node.tag.rpartition(':')[2]}",
                problem_mark=node.start_mark,
            ) from error


_Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                problem=f"the key {key.value!r} is there twice", problem_mark=key.start_mark
            )
        seen.add(key.value)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    """``!Ref x`` as ``{"Ref": x}``, ``!GetAtt a.b`` as ``{"Fn::GetAtt": …}``."""
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_multi_constructor("!", _short_form)
