"""Reading files into plain values."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lattice_client.errors import ConfigurationError, MissingExtraError
from lattice_client.testing.templates.nodes import Node

__all__ = ["read_file", "read_text"]

_YAML_SUFFIXES = (".json", ".template", ".yaml", ".yml")


def read_file(path: Path) -> Node:
    """Read a TOML file, or any other file as YAML (JSON is YAML).

    :raises ConfigurationError: if the file cannot be read, or is empty.
    """
    text = read_text(path, path)
    content = _toml(text, path) if path.suffix == ".toml" else _yaml(text, path)
    if content is None or content == {}:
        raise ConfigurationError(
            f"{path.name}: this file is empty; give it services, or the Resources of a "
            "CloudFormation template"
        )
    return Node(content, f"{path.name}: ")


def read_text(path: Path, name: object) -> str:
    """The text of a file.

    :param name: its name in errors.
    :raises ConfigurationError: if it cannot be read.
    """
    try:
        # Editors on Windows put a byte order mark first.
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"{name} cannot be read: {problem}") from error


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or int() for a number with too many digits
        raise ConfigurationError(f"{path.name}: {error}") from error
    except RecursionError:
        raise ConfigurationError(f"{path.name}: nested too deeply") from None


def _yaml(text: str, path: Path) -> Any:
    try:
        from lattice_client.testing.templates.yaml_reader import read_yaml
    except ImportError as error:
        raise MissingExtraError("testing", "PyYAML") from error
    hint = (
        ""
        if path.suffix in _YAML_SUFFIXES
        else "; it was read as YAML: the name of a TOML file must end in .toml"
    )
    try:
        content = read_yaml(text, path.name)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}{hint}") from error
    if hint and content is not None and not isinstance(content, dict):
        raise ConfigurationError(f"{path.name}: this must be a table (a mapping){hint}")
    return content
