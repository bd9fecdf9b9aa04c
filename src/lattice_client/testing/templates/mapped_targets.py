"""What stands for the target groups of a template: applications that are mapped to them by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.templates.intrinsics import NO_VALUE, Template
from lattice_client.testing.templates.nodes import Node, as_text

__all__ = ["MappedTargets"]

_OF_FUNCTIONS: Final = ("AWS::Lambda::Alias", "AWS::Lambda::Version")
_ONLY_AWS_KNOWS: Final = ("Fn::GetAtt", "Fn::ImportValue")


class MappedTargets:
    """Applications by the logical id of a target group, its name, or the id of one of its targets.

    :param given: the applications.
    """

    def __init__(self, given: Mapping[str, list[ASGIApp]], template: Template) -> None:
        self._given = given
        self._template = template
        self._used: set[str] = set()
        self._spare: set[str] = set()

    def of_group(self, group: str, name: str, targets: Node | None) -> list[ASGIApp]:
        """What stands for a target group.

        :param group: its logical id.
        :param targets: its list of targets, if it has one.
        """
        if group in self._given or name in self._given:
            with suppress(ConfigurationError):  # Nothing needs the targets.
                for item in targets.items() if targets else ():
                    self._spare.update(self._keys(item))
            return self._of([group, name])
        items = targets.items() if targets else []
        return [app for item in items for app in self._of(self._keys(item))]

    def unused(self) -> Iterator[str]:
        """What is to be said of the applications that stand for nothing."""
        for key in self._given:
            if key in self._used:
                continue
            if key in self._spare:
                yield (
                    f"a target is mapped to {key!r}, and nothing is left for it to stand for, "
                    "because its target group is mapped already"
                )
            else:
                yield (
                    f"a target is mapped to {key!r}, which is no target group's logical id or "
                    "name, and no target's id"
                )

    def _of(self, keys: list[str]) -> list[ASGIApp]:
        """What is mapped to the first of these that something is mapped to."""
        mapped = [key for key in keys if key in self._given]
        self._used.update(mapped[:1])
        self._spare.update(mapped[1:])
        return self._given[mapped[0]] if mapped else []

    def _keys(self, target: Node) -> list[str]:
        """What a target can be mapped by: the logical id of the one resource of the template that
        its id is made of, that of the function if it is an alias or a version, and the id.

        The id may be made of an attribute that only AWS knows, or of what is imported: it is no
        error, for nothing needs it. One that is imported itself has the export's name.
        """
        target = self._template.chosen(target)
        if target.value is NO_VALUE or "Id" not in target.table():
            return []
        identifier = self._template.chosen(target.child("Id"))
        named = self._template.resources_in(identifier)
        keys = list(named) if len(named) == 1 else []
        if keys and self._template.kind(keys[0]) in _OF_FUNCTIONS:
            function = self._template.properties(keys[0]).get("FunctionName")
            keys += self._template.resources_in(function) if function else ()
        try:
            imported = self._template.imported(identifier)
            return [*keys, imported or as_text(self._template.resolve(identifier))]
        except ConfigurationError:
            if not keys and not any(name in repr(identifier.value) for name in _ONLY_AWS_KNOWS):
                raise
            return keys
