"""Building a local Lattice from a CloudFormation template's ``AWS::VpcLattice::*`` resources.

Source: "Amazon VPC Lattice resource type reference" (CloudFormation Template Reference). What has
no meaning here (tags, certificates, health checks) is ignored; what is not understood is a note;
what is invalid is an error. Roles become callers: see ``lattice_client.testing.templates.roles``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from lattice_client.errors import ConfigurationError
from lattice_client.testing.arns import check_account, check_region, dns_suffix_of, partition_of
from lattice_client.testing.asgi import ASGIApp
from lattice_client.testing.lattice import LocalLattice
from lattice_client.testing.model.networks import ServiceNetwork
from lattice_client.testing.model.rules import Condition, Rule
from lattice_client.testing.model.services import Listener, Service
from lattice_client.testing.model.target_groups import TargetGroup
from lattice_client.testing.policies import NO_POLICY
from lattice_client.testing.targets.echo import echo
from lattice_client.testing.templates.foreign_networks import ForeignNetworks
from lattice_client.testing.templates.intrinsics import NO_VALUE, Template
from lattice_client.testing.templates.mapped_targets import MappedTargets
from lattice_client.testing.templates.nodes import Node, text_of
from lattice_client.testing.templates.references import (
    FUNCTION_PROPERTIES,
    NAME_PROPERTIES,
    Resource,
    default_name,
    foreign_references,
    in_kebab_case,
    logical_id,
    references,
)
from lattice_client.testing.templates.resource_types import (
    IGNORED_PROPERTIES,
    IGNORED_TRANSFORM,
    IGNORED_TYPES,
    KNOWN_ATTRIBUTES,
    LATTICE,
    READ_PROPERTIES,
)
from lattice_client.testing.templates.roles import add_roles
from lattice_client.testing.templates.rule_match import http_match
from lattice_client.testing.templates.sam import add_implied

__all__ = ["from_template"]

# If a template has either, its services are only in the networks that it associates them with.
_NETWORK_TYPES: Final = (f"{LATTICE}ServiceNetwork", f"{LATTICE}ServiceNetworkServiceAssociation")
_AUTH_POLICY: Final = f"{LATTICE}AuthPolicy"
_VPC_ASSOCIATION: Final = f"{LATTICE}ServiceNetworkVpcAssociation"
_NETWORK: Final = "ServiceNetworkIdentifier"
_VPC: Final = "VpcIdentifier"
# Properties that are resolved part by part: not all parts are read or can be resolved.
_RESOLVED_IN_PARTS: Final = ("Config", "ListenerIdentifier", "Targets")
# Networks often belong to another team, and are imported.
_IMPORTABLE: Final = (_NETWORK, "ResourceIdentifier")


def from_template(
    document: Node,
    *,
    parameters: Mapping[str, str] | None = None,
    targets: Mapping[str, list[ASGIApp]] | None = None,
    callers: Collection[str] = (),
    note: Callable[[str], object],
    stack: str = "local",
    **options: Any,
) -> LocalLattice:
    """Build the local Lattice that a template describes.

    :param parameters: values for the template's parameters.
    :param targets: applications for target groups, by the group's logical id, its name, or the id
        of one of its targets.
    :param callers: names of callers that are added elsewhere: roles of these names are skipped.
    :param note: called with what is not understood, and what is left out.
    :param stack: ``AWS::StackName``.
    :param options: arguments of ``LocalLattice``.
    :raises ConfigurationError: for what is invalid; the message names the place.
    """
    builder = _TemplateBuilder(
        document, parameters or {}, targets or {}, callers, note, stack, options
    )
    return builder.build_all()


class _TemplateBuilder:
    def __init__(
        self,
        document: Node,
        parameters: Mapping[str, str],
        targets: Mapping[str, list[ASGIApp]],
        callers: Collection[str],
        note: Callable[[str], object],
        stack: str,
        options: dict[str, Any],
    ) -> None:
        region = options.get("region", "us-west-2")
        account = options.get("account", "111122223333")
        with document.error_context():  # Checked here, because ARNs need them before LocalLattice.
            check_region(region)
            check_account(account)
        partition = partition_of(region)
        stacks = f"arn:{partition}:cloudformation:{region}:{account}:stack"
        self._document = document
        self._account = account
        self._callers = callers
        self._note = note
        self._pseudo = {
            "AWS::AccountId": account,
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::StackId": f"{stacks}/{stack}/local",
            "AWS::StackName": stack,
            "AWS::URLSuffix": dns_suffix_of(region),
        }
        self._template = Template(
            document, parameters=parameters, pseudo=self._pseudo, attribute=self._attribute
        )
        add_implied(document, self._template, note)
        self._resources = self._template.resources
        self._built: dict[str, Resource] = {}
        self._by_identifier: dict[str, Resource] = {}
        self._building: list[str] = []
        networks = self._template.names_of_type(f"{LATTICE}ServiceNetwork")
        self._first_network = networks[0] if networks else None
        if networks:
            options = options | {"network_name": self._name(networks[0])}
        with document.error_context():
            self.lattice = LocalLattice(**options)
        if not options.get("vpc_id"):
            self.lattice.vpc_id = _associated_vpc(self._template, note) or self.lattice.vpc_id
        self._targets = MappedTargets(targets, self._template)
        self._foreign_networks = ForeignNetworks(
            self.lattice, self._template, has_own=bool(networks)
        )

    def build_all(self) -> LocalLattice:
        self._note_transforms()
        types = {name: self._template.resource_type(name) for name in self._resources}
        # Policies come last: those of foreign networks need the associations, which add these.
        for name in sorted(types, key=lambda name: types[name] == _AUTH_POLICY):
            if not types[name].startswith(LATTICE) or not self._template.is_included(name):
                continue
            kind = types[name].removeprefix(LATTICE)
            if kind in READ_PROPERTIES:
                self._build(name)
            elif kind not in IGNORED_TYPES:
                self._note(f"{self._resources[name].place}: {types[name]} is not understood")
        for text in self._foreign_networks.notes():
            self._note(text)
        add_roles(self.lattice, self._template, note=self._note, others=self._callers)
        self._refuse_unused_targets()
        self._note_unreachable()
        return self.lattice

    def _note_transforms(self) -> None:
        node = self._document.table().get("Transform")
        if node is None:
            return
        for item in node.items() if isinstance(node.value, list) else [node]:
            if item.value != IGNORED_TRANSFORM:
                self._note(f"{item.place}: this transform is not understood, and has no effect")

    # References

    def _name(self, name: str) -> str:
        """The resource's name, or one derived from the logical id."""
        properties = self._template.properties(name)
        given = self._template.property_value(properties, "Name")
        if given is None:
            return default_name(
                name, self._template.resource_type(name), self._pseudo["AWS::StackName"]
            )
        return Node(given, properties["Name"].place).as_text()

    def _attribute(self, name: str, attribute: str | None) -> Any:
        """What ``Fn::GetAtt`` returns, or ``Ref`` if the attribute is None."""
        kind = self._template.resource_type(name)
        if not self._template.is_included(name):
            raise LookupError(f"{name!r} is left out by its condition")
        if kind.startswith(LATTICE):
            if not hasattr(self, "lattice"):  # It is created with the name of its first network.
                raise LookupError(f"the first service network's name cannot depend on {name!r}")
            known = references(self._build(name))
        else:
            properties = self._template.properties(name)
            function = self._template.property_value(
                properties, FUNCTION_PROPERTIES.get(kind, ""), ""
            )
            known = foreign_references(
                kind,
                self._template.property_value(properties, NAME_PROPERTIES.get(kind, ""), name),
                path=self._template.property_value(properties, "Path", "/"),
                function=str(function),
                region=self._pseudo["AWS::Region"],
                account=self._account,
            )
        if attribute not in known:
            what = "the Ref" if attribute is None else repr(attribute)
            raise LookupError(f"the local Lattice does not know {what} of {kind} {name!r}")
        return known[attribute]

    def _referenced(self, node: Node, *classes: type) -> Any:
        """The object of one of these classes that a node names by its ARN or id."""
        identifier = self._template.resolve(node)
        found = self._by_identifier.get(identifier) if isinstance(identifier, str) else None
        if not isinstance(found, classes):
            words = " or ".join(in_kebab_case(it.__name__).replace("-", " ") for it in classes)
            raise node.error(f"{identifier!r} is not a {words} of this template")
        return found

    # Resources

    def _build(self, name: str) -> Resource:
        if name in self._built:
            return self._built[name]
        if name in self._building:
            raise self._resources[name].error("this resource depends on itself")
        kind = self._template.resource_type(name).removeprefix(LATTICE)
        builders: dict[str, Callable[[str, dict[str, Node]], Resource]] = {
            "AuthPolicy": self._auth_policy,
            "Listener": self._listener,
            "Rule": self._rule,
            "Service": self._service,
            "ServiceNetwork": self._network,
            "ServiceNetworkServiceAssociation": self._association,
            "TargetGroup": self._target_group,
        }
        if kind not in builders:
            raise LookupError(f"the local Lattice has no {LATTICE}{kind}")
        node, properties = self._resources[name], self._template.properties(name)
        for key, value in properties.items():
            if key not in READ_PROPERTIES[kind] and key not in IGNORED_PROPERTIES.get(kind, ()):
                self._note(f"{value.place}: this property is not understood")
        for key, value in node.table().items():
            if key not in KNOWN_ATTRIBUTES:
                self._note(f"{value.place}: this attribute of a resource is not understood")
        self._building.append(name)
        try:
            with node.error_context():
                resource = builders[kind](name, self._resolved(kind, properties))
        finally:
            self._building.remove(name)
        self._built[name] = resource
        if resource is not None:
            self._by_identifier |= {resource.arn: resource, resource.id: resource}
        return resource

    def _resolved(self, kind: str, properties: dict[str, Node]) -> dict[str, Node]:
        """The properties that are read, without those that are ``AWS::NoValue``."""
        read = {key: node for key, node in properties.items() if key in READ_PROPERTIES[kind]}
        for key, node in list(read.items()):
            if key in _IMPORTABLE and self._template.imported_export(node):
                continue
            if key in _RESOLVED_IN_PARTS:
                node = self._template.resolve_if(node)
                value = node.value
            else:
                value = self._template.resolve(node)
            if value is NO_VALUE:
                del read[key]
            else:
                read[key] = Node(value, node.place)
        return read

    def _required(self, name: str, properties: dict[str, Node], key: str) -> Node:
        if key not in properties:
            raise self._resources[name].error(f"the property {key!r} is missing")
        return properties[key]

    def _network(self, name: str, properties: dict[str, Node]) -> ServiceNetwork:
        # add_network refuses a second network of the first one's name.
        is_first = name == self._first_network
        network = self.lattice.network if is_first else self.lattice.add_network(self._name(name))
        network.auth_type = text_of(properties, "AuthType", "NONE")
        network.policy = NO_POLICY
        return network

    def _service(self, name: str, properties: dict[str, Node]) -> Service:
        service = self.lattice.add_service(
            self._name(name),
            domain=text_of(properties, "CustomDomainName"),
            auth_type=text_of(properties, "AuthType", "NONE"),
            policy=NO_POLICY,
            networks=[] if self._template.names_of_type(*_NETWORK_TYPES) else None,
        )
        for tag in properties["Tags"].items() if "Tags" in properties else ():
            parts = tag.table(("Key", "Value"))
            service.tags[tag.need("Key").as_text()] = text_of(parts, "Value", "")
        return service

    def _target_group(self, name: str, properties: dict[str, Node]) -> TargetGroup:
        given = self._name(name)
        config = properties["Config"].table() if "Config" in properties else {}
        if self._template.property_value(config, "LambdaEventStructureVersion", "V2") != "V2":
            self._note(
                f"{config['LambdaEventStructureVersion'].place}: functions get version 2 events"
            )
        apps = self._targets.of_group(name, given, properties.get("Targets"))
        if not apps:
            self._note(
                f"{self._resources[name].place}: this target group has no target, so it gets an "
                f"echo; map {name!r} to a target"
            )
        return self.lattice.add_target_group(given, *(apps or [echo]))

    def _listener(self, name: str, properties: dict[str, Node]) -> Listener | None:
        service = self._referenced(self._required(name, properties, "ServiceIdentifier"), Service)
        protocol: Any = self._required(name, properties, "Protocol").as_text()
        if protocol == "TLS_PASSTHROUGH":
            self._note(f"{self._resources[name].place}: TLS passthrough is not supported: left out")
            return None
        port = properties["Port"].as_number() if "Port" in properties else None
        listener: Listener = service.add_listener(protocol, port)
        self._set_action(self._required(name, properties, "DefaultAction"), listener.otherwise)
        return listener

    def _rule(self, name: str, properties: dict[str, Node]) -> None:
        node = self._required(name, properties, "ListenerIdentifier")
        if isinstance(node.value, Mapping) and self._is_listener_left_out(node.value):
            return
        listener = self._referenced(node, Listener)
        match = self._required(name, properties, "Match")
        match.table(("HttpMatch",))
        priority = self._required(name, properties, "Priority").as_number()
        condition = listener.when(**http_match(match.need("HttpMatch")), priority=priority)
        self._set_action(self._required(name, properties, "Action"), condition)

    def _set_action(self, node: Node, rule: Rule | Condition) -> None:
        table = node.table(("FixedResponse", "Forward"))
        with node.error_context():
            if "FixedResponse" in table:
                table["FixedResponse"].table(("StatusCode",))
                status: Any = table["FixedResponse"].need("StatusCode").as_number()
                rule.respond(status)
                return
            if "Forward" not in table:
                raise node.error("give either Forward or FixedResponse")
            table["Forward"].table(("TargetGroups",))
            weights = {}
            for item in table["Forward"].need("TargetGroups").items():
                weighted = item.table(("TargetGroupIdentifier", "Weight"))
                group = self._referenced(item.need("TargetGroupIdentifier"), TargetGroup)
                weights[group] = weighted["Weight"].as_number() if "Weight" in weighted else 1
            rule.forward_to(weights)

    def _auth_policy(self, name: str, properties: dict[str, Node]) -> None:
        node = self._required(name, properties, "ResourceIdentifier")
        foreign_network = self._foreign_networks.get(node)
        owner = foreign_network or self._referenced(node, Service, ServiceNetwork)
        policy = self._template.resolve(self._required(name, properties, "Policy"))
        with properties["Policy"].error_context():
            owner.auth.policy = policy
        if foreign_network:  # The template does not have its auth type; NONE would skip the policy.
            foreign_network.auth_type = "AWS_IAM"

    def _association(self, name: str, properties: dict[str, Node]) -> None:
        service = self._referenced(self._required(name, properties, "ServiceIdentifier"), Service)
        node = self._required(name, properties, _NETWORK)
        is_imported = self._template.imported_export(node) is not None
        network = None if is_imported else self._by_identifier.get(node.as_text())
        if not isinstance(network, ServiceNetwork):
            network = self._foreign_networks.get(node) or self._foreign_networks.add(node)
        network.associate(service)

    def _is_listener_left_out(self, reference: Mapping[str, Any]) -> bool:
        """Whether a rule refers to a listener that was left out."""
        ((_, argument),) = reference.items() if len(reference) == 1 else ((None, None),)
        name = logical_id(argument)
        return (
            name in self._resources
            and self._template.resource_type(name) == f"{LATTICE}Listener"
            and self._build(name) is None
        )

    # The result

    def _refuse_unused_targets(self) -> None:
        for problem in self._targets.unused():
            raise self._document.error(problem)

    def _note_unreachable(self) -> None:
        reached = {
            service for network in self.lattice.networks.values() for service in network.services
        }
        for name, resource in self._built.items():
            place = self._resources[name].place
            if isinstance(resource, Service):
                if not any(
                    isinstance(self._built.get(other), Listener)
                    and self._built[other] in resource.listeners
                    for other in self._built
                ):
                    resource.listeners = ()
                    self._note(f"{place}: this service has no listener, so it cannot be reached")
                if resource not in reached:
                    self._note(f"{place}: this service is in no service network")
            if (
                isinstance(resource, (Service, ServiceNetwork))
                and resource.auth.auth_type == "AWS_IAM"
                and resource.auth.policy is NO_POLICY
            ):
                self._note(f"{place}: AWS_IAM without an auth policy denies every request")


def _associated_vpc(template: Template, note: Callable[[str], object]) -> str | None:
    """The id of the first VPC that a template associates with a service network; None if unknown.

    :param note: called with the others: no callers come from them.
    """
    known: list[str] = []
    for name in template.names_of_type(_VPC_ASSOCIATION):
        properties = template.properties(name)
        try:
            identifier = template.property_value(properties, _VPC)
        except ConfigurationError:  # Mostly an imported one; only policies need it.
            continue
        if identifier is None:
            continue
        node = Node(identifier, properties[_VPC].place)
        vpc = node.as_text()
        if known and vpc not in known:
            note(f"{node.place}: callers come from the VPC {known[0]!r}, none from {vpc!r}")
        known.append(vpc)
    return known[0] if known else None
