"""What stands for the target groups of a template: applications that are mapped to them by name."""

from __future__ import annotations

from collections.abc import Mapping

from lattice_client.errors import ConfigurationError
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.nodes import Node, as_text
from lattice_client.testing.references import logical_id
from lattice_client.testing.templates import NO_VALUE, Template

__all__ = ["MappedTargets"]


class MappedTargets:
    """Applications by the logical id of a target group, its name, or the id of one of its targets.

    :param given: the applications.
    """

    def __init__(self, given: Mapping[str, list[ASGIApp]], template: Template) -> None:
        self._given = given
        self._template = template
        self._used: set[str] = set()

    def of_group(self, group: str, name: str, targets: Node | None) -> list[ASGIApp]:
        """What stands for a target group.

        :param group: its logical id.
        :param targets: its list of targets, if it has one.
        """
        for key in (group, name):
            if key in self._given:
                return self._of(key)
        return [
            app
            for item in (targets.items() if targets else ())
            for app in self._of(self._target_id(self._template.chosen(item)))
        ]

    def unused(self) -> list[str]:
        """The names that nothing in the template has."""
        return [key for key in self._given if key not in self._used]

    def _of(self, key: str) -> list[ASGIApp]:
        self._used.add(key)
        return self._given.get(key, [])

    def _target_id(self, target: Node) -> str:
        """The id of a target. Of a resource of another kind it may be an attribute that only AWS
        knows; then it is the resource's logical id. One that is imported has the export's name, and
        one that is made of imports has none: it is no error, for nothing needs it."""
        if target.value is NO_VALUE or "Id" not in target.table():
            return ""
        identifier = self._template.chosen(target.child("Id"))
        if isinstance(identifier.value, Mapping) and len(identifier.value) == 1:
            ((function, argument),) = identifier.value.items()
            name = logical_id(argument)
            if function == "Fn::GetAtt" or (function == "Ref" and name in self._template.resources):
                return name
        try:
            imported = self._template.imported(identifier)
            return imported or as_text(self._template.resolve(identifier))
        except ConfigurationError:
            if "Fn::ImportValue" not in repr(identifier.value):
                raise
            return ""
