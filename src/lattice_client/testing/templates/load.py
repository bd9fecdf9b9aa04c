"""Loading a local Lattice from a file: TOML, YAML, or a CloudFormation template."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lattice_client.errors import ConfigurationError
from lattice_client.testing.templates.nodes import Node
from lattice_client.testing.templates.reading import read_file

if TYPE_CHECKING:
    from lattice_client.testing.asgi import ASGIApp
    from lattice_client.testing.lattice import LocalLattice

__all__ = ["TemplateWarning", "load"]

_TEMPLATE_KEYS = ("template", "parameters", "targets", "callers", "stack")


class TemplateWarning(UserWarning):
    """Something in a file is not understood, or is probably a mistake."""


def load(
    path: Path | str,
    *,
    targets: Mapping[str, ASGIApp | str] | None = None,
    parameters: Mapping[str, str] | None = None,
    **options: Any,
) -> LocalLattice:
    """Load the local Lattice that a file describes.

    :param path: a TOML or YAML file, or a CloudFormation template (YAML or JSON).
    :param targets: targets by the name of their target group; they replace those in the file. ASGI
        applications, URLs, ``module:app`` or ``lambda:module:handler``.
    :param parameters: values for a template's parameters.
    :param options: arguments of ``LocalLattice``; they replace those in the file.
    :raises ConfigurationError: if the file cannot be read, or something in it is wrong; the message
        names the place.
    :raises MissingExtraError: for YAML, if the extra ``testing`` is not installed.
    """
    path = Path(path)
    notes: list[str] = []
    try:
        lattice = _load(path, targets or {}, parameters or {}, notes.append, options)
    except RecursionError:
        raise ConfigurationError(f"{path.name}: nested too deeply") from None
    for note in [*notes, *_unused_targets(lattice, targets or {})]:
        warnings.warn(note, TemplateWarning, stacklevel=2)
    return lattice


def _unused_targets(lattice: LocalLattice, targets: Iterable[str]) -> Iterator[str]:
    """Notes about given targets whose target group no rule forwards to: probably a typing error."""
    used = {
        group.name
        for service in lattice.services
        for listener in service.listeners
        for rule in listener.rules
        for group, _ in getattr(rule.action, "weights", ())
    }
    groups = set(lattice.target_groups)
    others = ", ".join(sorted(used & groups))
    for name in sorted(groups.intersection(targets) - used):
        yield f"target {name}: no rule forwards to it" + (others and f"; rules do to {others}")


def _load(
    path: Path,
    targets: Mapping[str, ASGIApp | str],
    parameters: Mapping[str, str],
    note: Callable[[str], object],
    options: dict[str, Any],
) -> LocalLattice:
    from lattice_client.testing.targets.loading import named_app
    from lattice_client.testing.templates.document import SETTINGS, from_document

    document = read_file(path)
    apps = {
        name: [named_app(node.value) if isinstance(node.value, str) else node.value]
        for name, node in Node(targets, "targets: ").table().items()
    }
    parameters = _texts(Node(parameters, "parameters: "))
    tables = document.table()
    if "Resources" in tables:
        return _from_template(document, {}, path.parent, apps, parameters, note, options)
    if "template" in tables:
        tables = document.table((*_TEMPLATE_KEYS, *SETTINGS))
        template = _read_template(path.parent, tables["template"])
        return _from_template(template, tables, path.parent, apps, parameters, note, options)
    if parameters:
        raise ConfigurationError(f"{path.name}: only CloudFormation templates have parameters")
    return from_document(document, folder=path.parent, note=note, targets=apps, **options)


def _from_template(
    template: Node,
    tables: dict[str, Node],
    folder: Path,
    targets: dict[str, list[ASGIApp]],
    parameters: Mapping[str, str],
    note: Callable[[str], object],
    options: dict[str, Any],
) -> LocalLattice:
    """Build from a template and the tables of the file that names it, if there is one."""
    from lattice_client.testing.templates.cloudformation import from_template
    from lattice_client.testing.templates.document import add_callers, read_targets, settings

    if "targets" in tables:
        targets = read_targets(tables["targets"]) | targets
    if "parameters" in tables:
        parameters = _texts(tables["parameters"]) | dict(parameters)
    if "stack" in tables:
        options = {"stack": tables["stack"].text()} | options
    lattice = from_template(
        template,
        parameters=parameters,
        targets=targets,
        callers=tables["callers"].table() if "callers" in tables else (),
        note=note,
        **(settings(tables) | options),
    )
    if "callers" in tables:
        add_callers(lattice, tables["callers"], folder=folder)
    return lattice


def _read_template(folder: Path, name: Node) -> Node:
    template = read_file(folder / name.text())
    if not isinstance(template.value, Mapping) or "Resources" not in template.value:
        raise name.error(f"{name.value} is not a CloudFormation template: it has no Resources")
    return template


def _texts(parameters: Node) -> dict[str, str]:
    return {name: node.as_text() for name, node in parameters.table().items()}
