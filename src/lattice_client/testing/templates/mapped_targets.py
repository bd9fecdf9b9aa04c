"""Applications mapped to the target groups of a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.templates.intrinsics import NO_VALUE, Template
from lattice_client.testing.templates.nodes import Node, as_text

__all__ = ["MappedTargets"]

_FUNCTION_PARTS: Final = ("AWS::Lambda::Alias", "AWS::Lambda::Version")
_UNRESOLVABLE: Final = ("Fn::GetAtt", "Fn::ImportValue")


class MappedTargets:
    """Applications by a target group's logical id or name, or by the id of one of its targets.

    :param given: the applications.
    """

    def __init__(self, given: Mapping[str, list[ASGIApp]], template: Template) -> None:
        self._given = given
        self._template = template
        self._used: set[str] = set()
        self._spare: set[str] = set()

    def of_group(self, group: str, name: str, targets: Node | None) -> list[ASGIApp]:
        """The applications for a target group.

        :param group: the logical id.
        :param targets: the list of targets, if there is one.
        """
        if group in self._given or name in self._given:
            with suppress(ConfigurationError):  # The targets need not be known.
                for item in targets.items() if targets else ():
                    self._spare.update(self._keys(item))
            return self._first_mapped([group, name])
        items = targets.items() if targets else []
        return [app for item in items for app in self._first_mapped(self._keys(item))]

    def unused(self) -> Iterator[str]:
        """Errors about the applications that no target group uses."""
        for key in self._given:
            if key in self._used:
                continue
            if key in self._spare:
                yield (
                    f"a target is mapped to {key!r}, but its target group is already mapped by "
                    "another name"
                )
            else:
                yield (
                    f"a target is mapped to {key!r}, which is neither the logical id or name of "
                    "a target group nor the id of a target"
                )

    def _first_mapped(self, keys: list[str]) -> list[ASGIApp]:
        """The applications of the first of these keys that has any."""
        mapped = [key for key in keys if key in self._given]
        self._used.update(mapped[:1])
        self._spare.update(mapped[1:])
        return self._given[mapped[0]] if mapped else []

    def _keys(self, target: Node) -> list[str]:
        """The keys that a target can be mapped by.

        They are the logical id of the resource that its id refers to, if it is only one; that of
        the function, if the resource is an alias or a version; and the id, or the export's name if
        the id is imported. An id that only AWS knows is no error, because it need not be known.
        """
        target = self._template.resolve_if(target)
        if target.value is NO_VALUE or "Id" not in target.table():
            return []
        identifier = self._template.resolve_if(target.child("Id"))
        named = self._template.referenced_resources(identifier)
        keys = list(named) if len(named) == 1 else []
        if keys and self._template.resource_type(keys[0]) in _FUNCTION_PARTS:
            function = self._template.properties(keys[0]).get("FunctionName")
            keys += self._template.referenced_resources(function) if function else ()
        try:
            imported = self._template.imported_export(identifier)
            return [*keys, imported or as_text(self._template.resolve(identifier))]
        except ConfigurationError:
            if not keys and not any(name in repr(identifier.value) for name in _UNRESOLVABLE):
                raise
            return keys
