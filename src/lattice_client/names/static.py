"""Names in a map: from code, a file or the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from lattice_client.errors import ConfigurationError
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import normal_name
from lattice_client.names.managed import managed_endpoint

__all__ = ["VARIABLE", "StaticNames"]

VARIABLE = "LATTICE_CLIENT_NAMES"

Target = str | Mapping[str, Any]

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]+")
_ADDRESS = re.compile(r"(?:\[([0-9a-f:.]+)\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_HIGHEST_PORT = 65535
_TEXTS = ("managed_name", "region", "connect_to", "service_arn")
_SWITCHES = ("custom_domain", "is_lattice")
_ALTERNATIVES = (
    "a managed name ('orders-….vpc-lattice-svcs.eu-west-1.on.aws'), a region ('eu-west-1'), either "
    "with an address to connect to ('eu-west-1@127.0.0.1:8080'), or the address alone "
    "('@127.0.0.1:8080')"
)


class StaticNames:
    """A map from friendly names to what they stand for.

    :param names: keys are names, or wildcards such as ``*.internal.example.com``, which match
        every name below; the longest match is used. A value is a string:

        - a managed name: the key is an alias for it, so Host and SNI become the managed name;
        - a region, as ``eu-west-1``: the key is a service's custom domain, so Host is kept;
        - either one followed by ``@ADDRESS`` or ``@ADDRESS:PORT``, or this alone: connect there.

        Or a mapping with any of ``managed_name``, ``region``, ``connect_to`` and ``service_arn``;
        ``custom_domain = true`` keeps Host with a managed name, and ``is_lattice = false`` says
        that the name is not Lattice's.
    :param source: the map's name in answers and errors.
    :raises ConfigurationError: if the map is invalid; the message names the entry.
    """

    def __init__(self, names: Mapping[str, Target], *, source: str = "static map") -> None:
        if not isinstance(names, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"{source}: it must map names to what they stand for, and is a "
                f"{type(names).__name__}"
            )
        self._source = source
        self._names: dict[str, Endpoint] = {}
        for key, target in names.items():
            wildcard, name = _key(key, source)
            endpoint = _endpoint(name, key, target, source)
            if wildcard + name in self._names:
                raise ConfigurationError(f"{source}: {wildcard + name!r} is there twice")
            self._names[wildcard + name] = endpoint

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> StaticNames:
        """The map in a TOML or JSON file: its table ``names``, or else all of it. It is read once.

        :raises ConfigurationError: if the file cannot be read or contains anything else.
        """
        source = os.fspath(path)
        text = _read(source)
        parsed = _parsed_json(text, source) if source.endswith(".json") else _toml(text, source)
        nested = parsed.get("names") if isinstance(parsed, dict) else None
        return cls(nested if isinstance(nested, dict) else parsed, source=source)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> StaticNames:
        """The map in the environment variable ``LATTICE_CLIENT_NAMES``; empty if it is not set.

        It contains entries ``NAME=TARGET``, separated by commas or white space; or JSON, which
        begins with ``{``; or ``@`` and the path of a file.

        :raises ConfigurationError: if it contains anything else.
        """
        text = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
        if text.startswith("@"):
            return cls.from_file(text[1:])
        if text.startswith("{"):
            return cls(_parsed_json(text, VARIABLE), source=VARIABLE)
        names: dict[str, str] = {}
        for entry in filter(None, re.split(r"[,\s]+", text)):
            name, equals, target = entry.partition("=")
            if not equals or name in names:
                why = "is there twice" if equals else "is not of the form NAME=TARGET"
                raise ConfigurationError(f"{VARIABLE}: {entry!r} {why}")
            names[name] = target
        return cls(names, source=VARIABLE)

    def __repr__(self) -> str:
        return f"StaticNames({len(self._names)} from {self._source!r})"

    def __bool__(self) -> bool:
        return bool(self._names)

    def find(self, name: str, now: float) -> Endpoint | None:  # noqa: ARG002 Source
        found = self._names.get(name)
        parent = name
        while found is None and "." in parent:
            parent = parent.partition(".")[2]
            found = self._names.get("*." + parent)
        if found is None or found.host == found.managed_name:
            return found
        return found._replace(host=name)


def _key(key: object, source: str) -> tuple[str, str]:
    """The wildcard prefix, or an empty string, and the name."""
    text = key if isinstance(key, str) else ""
    wildcard = "*." if text.startswith("*.") else ""
    try:
        return wildcard, normal_name(text.removeprefix(wildcard))
    except ConfigurationError as error:
        raise ConfigurationError(f"{source}: {error}") from None


def _endpoint(name: str, key: str, target: object, source: str) -> Endpoint:
    given: Any = _split(target) if isinstance(target, str) else target
    if not isinstance(given, Mapping) or not _is_valid(given):
        raise ConfigurationError(
            f"{source}: {target!r} cannot be the target of {key!r}; give {_ALTERNATIVES}, "
            f"or a table with {', '.join(_TEXTS + _SWITCHES)}"
        )
    region, managed = given.get("region"), given.get("managed_name")
    service = _managed(managed) if managed else None
    if managed and (service is None or not service.is_lattice):
        raise ConfigurationError(
            f"{source}: {managed!r}, for {key!r}, is not the managed name of a service, "
            "such as orders-….vpc-lattice-svcs.eu-west-1.on.aws"
        )
    if service and region not in (None, service.region):
        raise ConfigurationError(
            f"{source}: {key!r} has region {region!r}, and a managed name in {service.region!r}"
        )
    is_alias = service is not None and not given.get("custom_domain", False)
    return Endpoint(
        service.host if service and is_alias else name,
        region=service.region if service else region,
        connect_to=given.get("connect_to"),
        managed_name=service and service.host,
        service_arn=given.get("service_arn"),
        source=source,
        is_lattice=given.get("is_lattice", True),
    )


def _managed(name: str) -> Endpoint | None:
    try:
        return managed_endpoint(normal_name(name))
    except ConfigurationError:
        return None


def _split(target: str) -> dict[str, str] | None:
    """A string as a mapping; None if it is not a target."""
    what, at, address = target.strip().partition("@")
    given = {}
    if at:
        given["connect_to"] = address
    if _REGION.fullmatch(what):
        given["region"] = what
    elif "." in what:
        given["managed_name"] = what
    elif what:
        return None
    return given


def _is_valid(given: Mapping[str, Any]) -> bool:
    return (
        bool(given)
        and set(given) <= {*_TEXTS, *_SWITCHES}
        and all(isinstance(given[key], str) for key in _TEXTS if key in given)
        and all(isinstance(given[key], bool) for key in _SWITCHES if key in given)
        and ("region" not in given or bool(_REGION.fullmatch(given["region"])))
        and ("connect_to" not in given or _is_address(given["connect_to"]))
    )


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found[2] or 1) <= _HIGHEST_PORT:
        return False
    try:
        return found[1] is None or bool(IPv6Address(found[1]))
    except ValueError:
        return False


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be read: {why}") from None


def _parsed_json(text: str, source: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{source} is not JSON: {error}") from None


def _toml(text: str, source: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{source} is not TOML: {error}") from None
