"""Building a local Lattice from the tables of a TOML or YAML file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.model.rules import Condition, HeaderMatch, Rule, Rules
from lattice_client.testing.model.services import Service
from lattice_client.testing.model.target_groups import TargetGroup
from lattice_client.testing.policies import AuthPolicy
from lattice_client.testing.targets.http_target import HTTPTarget
from lattice_client.testing.targets.lambda_target import LambdaTarget
from lattice_client.testing.targets.loading import imported, named_app
from lattice_client.testing.templates.nodes import Node
from lattice_client.testing.templates.reading import read_text

__all__ = ["SETTINGS", "add_callers", "from_document", "read_targets", "settings"]

#: The top-level keys that are arguments of ``LocalLattice``.
SETTINGS = (
    "account",
    "organization",
    "path_encoding",
    "query_plus",
    "region",
    "seed",
    "vpc_id",
)
_TOP_LEVEL = (*SETTINGS, "networks", "services", "targets", "callers")
_NETWORK = ("auth_type", "policy", "services")
_SERVICE = (
    "domain",
    "tags",
    "auth_type",
    "policy",
    "networks",
    "target",
    "rules",
    "otherwise",
    "listeners",
)
_LISTENER = ("protocol", "port", "rules", "otherwise")
_CONDITIONS = ("path", "prefix", "method", "headers", "case_sensitive", "priority")
_ACTIONS = ("forward", "respond")
_CALLER = ("role", "account", "session", "tags", "identity_policies", "token")
_HEADER = ("name", "exact", "prefix", "contains", "case_sensitive")


def from_document(
    document: Node,
    *,
    folder: Path,
    note: Callable[[str], object],
    targets: dict[str, list[ASGIApp]] | None = None,
    **options: Any,
) -> LocalLattice:
    """Build the local Lattice that a document describes.

    :param folder: the folder of the files that it names.
    :param note: called with what is probably a mistake.
    :param targets: target groups' targets, in place of those in the document.
    :param options: further arguments of ``LocalLattice``, in place of the document's settings.
    :raises ConfigurationError: if anything in it is wrong; the message names the place.
    """
    builder = _DocumentBuilder(document, folder, targets or {}, options)
    for place in builder.unreachable():
        note(f"{place}: this service is in no service network, because all list their services")
    return builder.lattice


def settings(document: dict[str, Node]) -> dict[str, Any]:
    """The arguments of ``LocalLattice`` among a document's top-level keys."""
    return {
        key: node.number() if key == "seed" else node.text()
        for key, node in document.items()
        if key in SETTINGS
    }


def read_targets(node: Node) -> dict[str, list[ASGIApp]]:
    """The targets of each target group, from the table ``[targets]``."""
    return {name: _targets(spec) for name, spec in node.table().items()}


def add_callers(lattice: LocalLattice, node: Node, *, folder: Path) -> None:
    """Add the callers of the table ``[callers]``. Their keys are ``add_caller``'s arguments."""
    for name, caller in node.table().items():
        arguments = {
            key: _argument(key, value, folder) for key, value in caller.table(_CALLER).items()
        }
        with caller.error_context():
            lattice.add_caller(name, **arguments)


def _argument(key: str, node: Node, folder: Path) -> Any:
    if key == "identity_policies":
        policies = _policy(node, folder)
        return policies if isinstance(node.value, list) else [policies]
    if key == "tags":
        return {name: value.text() for name, value in node.table().items()}
    return node.flag() if key == "token" else node.text()


class _DocumentBuilder:
    def __init__(
        self, document: Node, folder: Path, targets: dict[str, list[ASGIApp]], options: Any
    ) -> None:
        tables = document.table(_TOP_LEVEL)
        self._folder = folder
        networks = tables["networks"].table() if "networks" in tables else {}
        first = next(iter(networks), None)
        options = settings(tables) | options
        if first is not None:
            options |= {"network_name": first}
        with document.error_context():
            self.lattice = LocalLattice(**options)
        for name, node in networks.items():
            self._network(name, node)
        # Without a list of services, a network has all services without a list of networks.
        self._open_networks = [
            name
            for name in self.lattice.networks
            if name not in networks or "services" not in networks[name].table()
        ]
        self._target_groups(tables.get("targets"), targets)
        self._services = tables["services"].table() if "services" in tables else {}
        for name, node in self._services.items():
            self._service(name, node)
        for name, node in networks.items():
            self._associations(name, node)
        if "callers" in tables:
            add_callers(self.lattice, tables["callers"], folder=folder)

    def _network(self, name: str, node: Node) -> None:
        table = node.table(_NETWORK)
        with node.error_context():
            network = self.lattice.networks.get(name) or self.lattice.add_network(name)
            if "auth_type" in table:
                network.auth_type = table["auth_type"].text()  # type: ignore[assignment] # checked
        if "policy" in table:
            network.policy = _auth_policy(table["policy"], self._folder)

    def unreachable(self) -> Iterator[str]:
        """The places of services in no network, except those that list their networks."""
        reached = {
            service.name
            for network in self.lattice.networks.values()
            for service in network.services
        }
        for name, node in self._services.items():
            if name not in reached and "networks" not in node.table():
                yield node.place

    def _associations(self, name: str, node: Node) -> None:
        network = self.lattice.networks[name]
        services = node.table(_NETWORK).get("services")
        for item in services.items() if services else ():
            with item.error_context():
                network.associate(self.lattice.service(item.text()))

    def _target_groups(self, node: Node | None, given: dict[str, list[ASGIApp]]) -> None:
        specs = node.table() if node is not None else {}
        for name in {**specs, **given}:
            with (specs[name] if name in specs else Node(None, f"target {name}: ")).error_context():
                apps = given[name] if name in given else _targets(specs[name])
                self.lattice.add_target_group(name, *apps)

    def _service(self, name: str, node: Node) -> None:
        table = node.table(_SERVICE)
        arguments: dict[str, Any] = {
            key: table[key].text() for key in ("domain", "auth_type") if key in table
        }
        if "policy" in table:
            arguments["policy"] = _auth_policy(table["policy"], self._folder)
        if "target" in table:
            arguments["target"] = self._target_group(name, table["target"])
        if "networks" in table:
            arguments["networks"] = [item.text() for item in table["networks"].items()]
        else:
            arguments["networks"] = self._open_networks
        with node.error_context():
            service = self.lattice.add_service(name, **arguments)
        if "tags" in table:
            service.tags = {key: value.text() for key, value in table["tags"].table().items()}
        for listener in table["listeners"].items() if "listeners" in table else ():
            self._listener(service, listener)
        self._rules(lambda: service.rules, table)

    def _listener(self, service: Service, node: Node) -> None:
        table = node.table(_LISTENER)
        if "protocol" not in table:
            raise node.error("a listener needs a protocol: HTTP or HTTPS")
        port = table["port"].number() if "port" in table else None
        with node.error_context():
            listener = service.add_listener(table["protocol"].text(), port)  # type: ignore[arg-type]
        self._rules(lambda: listener.rules, table)

    def _rules(self, rules: Callable[[], Rules], table: dict[str, Node]) -> None:
        for node in table["rules"].items() if "rules" in table else ():
            parts = node.table((*_CONDITIONS, *_ACTIONS))
            conditions = {
                key: _condition(key, value) for key, value in parts.items() if key in _CONDITIONS
            }
            with node.error_context():
                self._set_action(node, parts, rules().when(**conditions))
        if "otherwise" in table:
            node = table["otherwise"]
            with node.error_context():
                self._set_action(node, node.table(_ACTIONS), rules().otherwise)

    def _set_action(self, node: Node, parts: dict[str, Node], rule: Rule | Condition) -> None:
        if len(parts.keys() & set(_ACTIONS)) != 1:
            raise node.error("give either forward or respond")
        action = parts.get("forward") or parts["respond"]
        with action.error_context():
            if "respond" in parts:
                rule.respond(action.number())  # type: ignore[arg-type] # checked
            elif isinstance(action.value, str):
                rule.forward_to(self.lattice.target_group(action.value))
            else:
                weights = {
                    self.lattice.target_group(name): weight.number()
                    for name, weight in action.table().items()
                }
                rule.forward_to(weights)

    def _target_group(self, name: str, node: Node) -> TargetGroup | ASGIApp:
        """The target group of ``[targets]`` that is named, or one of the targets given here."""
        if isinstance(node.value, str) and ":" not in node.value:
            with node.error_context():
                return self.lattice.target_group(node.value)
        apps = _targets(node)
        if len(apps) == 1:
            return apps[0]
        with node.error_context():
            return self.lattice.add_target_group(name, *apps)


def _condition(key: str, node: Node) -> Any:
    if key == "headers":
        if isinstance(node.value, list):
            return [_header(item) for item in node.items()]
        return {name: value.text() for name, value in node.table().items()}
    if key == "priority":
        return node.number()
    return node.flag() if key == "case_sensitive" else node.text()


def _header(node: Node) -> HeaderMatch:
    parts = {
        key: value.flag() if key == "case_sensitive" else value.text()
        for key, value in node.table(_HEADER).items()
    }
    if "name" not in parts:
        raise node.error("a condition on a header needs a name")
    with node.error_context():
        return HeaderMatch(**parts)  # type: ignore[arg-type] # the keys fit


def _targets(node: Node) -> list[ASGIApp]:
    """One target, or a list of them."""
    return [_target(item) for item in (node.items() if isinstance(node.value, list) else [node])]


def _target(node: Node) -> ASGIApp:
    with node.error_context():
        if isinstance(node.value, str):
            return named_app(node.value)
        parts = node.table(("url", "protocol_version", "app", "lambda"))
        kinds = parts.keys() - {"protocol_version"}
        if len(kinds) != 1 or (len(parts) > 1 and "url" not in parts):
            raise node.error(
                "a target has a url (and perhaps a protocol_version), an app or a lambda"
            )
        if "lambda" in parts:
            return LambdaTarget(imported(parts["lambda"].text()))
        if "app" in parts:
            return named_app(parts["app"].text())
        version: Any = parts["protocol_version"].text() if "protocol_version" in parts else "HTTP1"
        return HTTPTarget(parts["url"].text(), protocol_version=version)


def _auth_policy(node: Node, folder: Path) -> Any:
    """The document of an auth policy."""
    document = _policy(node, folder)
    with node.error_context():
        # The lattice reads it again; only here is the place known.
        AuthPolicy.from_document(document)
    return document


def _policy(node: Node, folder: Path) -> Any:
    """A policy, or a list of them: tables, or the names of JSON files."""
    if isinstance(node.value, list):
        return [_policy(item, folder) for item in node.items()]
    if not isinstance(node.value, str):
        return node.value
    with node.error_context():
        path = folder / node.value
        return read_text(path, path.name)
