"""A local Lattice from a CloudFormation template: its ``AWS::VpcLattice::*`` resources.

Source: "Amazon VPC Lattice resource type reference" (CloudFormation Template Reference). What has
no meaning here (tags, certificates, health checks, VPCs) is passed over; what might have one and is
not understood is a note, and what cannot be made sense of an error. Roles become callers: see
``lattice_client.testing.templates.roles``.
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
from lattice_client.testing.templates.foreign_networks import Strangers
from lattice_client.testing.templates.intrinsics import NO_VALUE, Template
from lattice_client.testing.templates.mapped_targets import MappedTargets
from lattice_client.testing.templates.nodes import Node, text_of
from lattice_client.testing.templates.references import (
    FUNCTION_PROPERTIES,
    NAME_PROPERTIES,
    Resource,
    foreign_references,
    in_kebab_case,
    logical_id,
    made_name,
    references,
)
from lattice_client.testing.templates.roles import add_roles
from lattice_client.testing.templates.rule_match import http_match
from lattice_client.testing.templates.sam import add_implied

__all__ = ["associated_vpc", "from_template"]

_PREFIX: Final = "AWS::VpcLattice::"
# Where one of these is, services are in those networks alone that they are associated with.
_NETWORKS: Final = (f"{_PREFIX}ServiceNetwork", f"{_PREFIX}ServiceNetworkServiceAssociation")
_AUTH_POLICY: Final = f"{_PREFIX}AuthPolicy"
#: The properties that are read, and those that mean nothing here.
_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "AuthPolicy": ("Policy", "ResourceIdentifier"),
    "Listener": ("DefaultAction", "Port", "Protocol", "ServiceIdentifier"),
    "Rule": ("Action", "ListenerIdentifier", "Match", "Priority", "ServiceIdentifier"),
    "Service": ("AuthType", "CustomDomainName", "Name", "Tags"),
    "ServiceNetwork": ("AuthType", "Name"),
    "ServiceNetworkServiceAssociation": ("ServiceIdentifier", "ServiceNetworkIdentifier"),
    "TargetGroup": ("Config", "Name", "Targets", "Type"),
}
_IDLE: Final[Mapping[str, tuple[str, ...]]] = {
    "Listener": ("Name", "Tags"),
    "Rule": ("Name", "Tags"),
    "Service": ("CertificateArn", "DnsEntry", "IdleTimeoutSeconds"),
    "ServiceNetwork": ("SharingConfig", "Tags"),
    "ServiceNetworkServiceAssociation": ("DnsEntry", "Tags"),
    "TargetGroup": ("Tags",),
}
# What any resource may have beside its Type and Properties ("Resource attribute reference").
_ATTRIBUTES: Final = (
    "Condition",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
)
# It makes functions, and leaves Lattice's resources as they are.
_IDLE_TRANSFORM: Final = "AWS::Serverless-2016-10-31"
# Parts of these are read, or are not known to be there, and so they are worked out one by one.
_IN_PARTS: Final = ("Config", "ListenerIdentifier", "Targets")
_NETWORK: Final = "ServiceNetworkIdentifier"
# Networks are often another team's, and then imported.
_IMPORTED: Final = (_NETWORK, "ResourceIdentifier")
# Resources without a part in the data plane that is here.
_IDLE_TYPES: Final = ("AccessLogSubscription", "ResourcePolicy", "ServiceNetworkVpcAssociation")


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
    """The local Lattice that a template describes.

    :param parameters: values for the template's parameters.
    :param targets: what stands for target groups: by the group's logical id, its name, or the id of
        one of its targets.
    :param callers: names of callers that somebody else adds: roles of these names become none.
    :param note: called with what was not understood, and what was left out.
    :param stack: ``AWS::StackName``.
    :param options: arguments of ``LocalLattice``.
    :raises ConfigurationError: for what cannot be made sense of; the message names the place.
    """
    builder = _Builder(document, parameters or {}, targets or {}, callers, note, stack, options)
    return builder.build_all()


class _Builder:
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
        with document.error_context():  # They are parts of ARNs before LocalLattice looks at them.
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
        self._found: dict[str, Resource] = {}
        self._building: list[str] = []
        networks = self._template.of_kind(f"{_PREFIX}ServiceNetwork")
        self._first_network = networks[0] if networks else None
        if networks:
            options = options | {"network_name": self._name(networks[0])}
        with document.error_context():
            self.lattice = LocalLattice(**options)
        if not options.get("vpc_id"):
            self.lattice.vpc_id = associated_vpc(self._template, note) or self.lattice.vpc_id
        self._targets = MappedTargets(targets, self._template)
        self._strangers = Strangers(self.lattice, self._template, beside=bool(networks))

    def build_all(self) -> LocalLattice:
        self._note_transforms()
        # A policy may be for somebody else's network, which is known by its associations.
        for name in sorted(self._resources, key=lambda it: self._template.kind(it) == _AUTH_POLICY):
            kind = self._template.kind(name)
            if not kind.startswith(_PREFIX) or not self._template.is_there(name):
                continue
            kind = kind.removeprefix(_PREFIX)
            if kind in _READ:
                self._build(name)
            elif kind not in _IDLE_TYPES:
                self._note(f"{self._resources[name].place}: {_PREFIX}{kind} is not understood")
        for remark in self._strangers.remarks():
            self._note(remark)
        add_roles(self.lattice, self._template, note=self._note, others=self._callers)
        self._check()
        return self.lattice

    def _note_transforms(self) -> None:
        node = self._document.table().get("Transform")
        if node is None:
            return
        for item in node.items() if isinstance(node.value, list) else [node]:
            if item.value != _IDLE_TRANSFORM:
                self._note(f"{item.place}: this transform is not understood: it changes nothing")

    # Finding resources

    def _name(self, name: str) -> str:
        """The resource's name; where it has none, one of its logical id."""
        properties = self._template.properties(name)
        given = self._template.value(properties, "Name")
        if given is None:
            return made_name(name, self._template.kind(name), self._pseudo["AWS::StackName"])
        return Node(given, properties["Name"].place).as_text()

    def _attribute(self, name: str, attribute: str | None) -> Any:
        """What ``Ref`` (None) and ``Fn::GetAtt`` give."""
        kind = self._template.kind(name)
        if not self._template.is_there(name):
            raise LookupError(f"{name!r} is left out by its condition")
        if kind.startswith(_PREFIX):
            if not hasattr(self, "lattice"):  # which is made with its first network
                raise LookupError(f"the first service network's name cannot be made of {name!r}")
            known = references(self._build(name))
        else:
            properties = self._template.properties(name)
            function = self._template.value(properties, FUNCTION_PROPERTIES.get(kind, ""), "")
            known = foreign_references(
                kind,
                self._template.value(properties, NAME_PROPERTIES.get(kind, ""), name),
                path=self._template.value(properties, "Path", "/"),
                function=str(function),
                region=self._pseudo["AWS::Region"],
                account=self._account,
            )
        if attribute not in known:
            wanted = "what its Ref is" if attribute is None else repr(attribute)
            raise LookupError(f"the local Lattice does not know {wanted} of {kind} {name!r}")
        return known[attribute]

    def _find(self, node: Node, *kinds: type) -> Any:
        identifier = self._template.resolve(node)
        found = self._found.get(identifier) if isinstance(identifier, str) else None
        if not isinstance(found, kinds):
            words = " or ".join(in_kebab_case(kind.__name__).replace("-", " ") for kind in kinds)
            raise node.error(f"{identifier!r} is no {words} of this template")
        return found

    # Building them

    def _build(self, name: str) -> Resource:
        if name in self._built:
            return self._built[name]
        if name in self._building:
            raise self._resources[name].error("this resource depends on itself")
        kind = self._template.kind(name).removeprefix(_PREFIX)
        makers: dict[str, Callable[[str, dict[str, Node]], Resource]] = {
            "AuthPolicy": self._auth_policy,
            "Listener": self._listener,
            "Rule": self._rule,
            "Service": self._service,
            "ServiceNetwork": self._network,
            "ServiceNetworkServiceAssociation": self._association,
            "TargetGroup": self._target_group,
        }
        if kind not in makers:
            raise LookupError(f"the local Lattice has no {_PREFIX}{kind}")
        node, properties = self._resources[name], self._template.properties(name)
        for key, value in properties.items():
            if key not in _READ[kind] and key not in _IDLE.get(kind, ()):
                self._note(f"{value.place}: this property is not understood")
        for key, value in node.table().items():
            if key not in _ATTRIBUTES:
                self._note(f"{value.place}: this attribute of a resource is not understood")
        self._building.append(name)
        try:
            with node.error_context():
                resource = makers[kind](name, self._worked_out(kind, properties))
        finally:
            self._building.remove(name)
        self._built[name] = resource
        if resource is not None:
            self._found |= {resource.arn: resource, resource.id: resource}
        return resource

    def _worked_out(self, kind: str, properties: dict[str, Node]) -> dict[str, Node]:
        """The properties that are read; those that turn out to be nothing are left out."""
        read = {key: node for key, node in properties.items() if key in _READ[kind]}
        for key, node in list(read.items()):
            if key in _IMPORTED and self._template.imported(node):
                continue
            if key in _IN_PARTS:
                node = self._template.chosen(node)
                value = node.value
            else:
                value = self._template.resolve(node)
            if value is NO_VALUE:
                del read[key]
            else:
                read[key] = Node(value, node.place)
        return read

    def _need(self, name: str, properties: dict[str, Node], key: str) -> Node:
        if key not in properties:
            raise self._resources[name].error(f"the property {key!r} is missing")
        return properties[key]

    def _network(self, name: str, properties: dict[str, Node]) -> ServiceNetwork:
        # Another of the first one's name is refused, for one would have the auth type of both.
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
            networks=[] if self._template.of_kind(*_NETWORKS) else None,
        )
        for tag in properties["Tags"].items() if "Tags" in properties else ():
            parts = tag.table(("Key", "Value"))
            service.tags[tag.need("Key").as_text()] = text_of(parts, "Value", "")
        return service

    def _target_group(self, name: str, properties: dict[str, Node]) -> TargetGroup:
        given = self._name(name)
        config = properties["Config"].table() if "Config" in properties else {}
        if self._template.value(config, "LambdaEventStructureVersion", "V2") != "V2":
            self._note(
                f"{config['LambdaEventStructureVersion'].place}: functions get events of version 2"
            )
        apps = self._targets.of_group(name, given, properties.get("Targets"))
        if not apps:
            self._note(
                f"{self._resources[name].place}: nothing stands for this target group, so an echo "
                f"does; map {name!r} to a target"
            )
        return self.lattice.add_target_group(given, *(apps or [echo]))

    def _listener(self, name: str, properties: dict[str, Node]) -> Listener | None:
        service = self._find(self._need(name, properties, "ServiceIdentifier"), Service)
        protocol: Any = self._need(name, properties, "Protocol").as_text()
        if protocol == "TLS_PASSTHROUGH":
            self._note(f"{self._resources[name].place}: no TLS is passed through: it is left out")
            return None
        port = properties["Port"].as_number() if "Port" in properties else None
        listener: Listener = service.add_listener(protocol, port)
        self._act(self._need(name, properties, "DefaultAction"), listener.otherwise)
        return listener

    def _rule(self, name: str, properties: dict[str, Node]) -> None:
        node = self._need(name, properties, "ListenerIdentifier")
        if isinstance(node.value, Mapping) and self._is_left_out(node.value):
            return
        listener = self._find(node, Listener)
        match = self._need(name, properties, "Match")
        match.table(("HttpMatch",))
        priority = self._need(name, properties, "Priority").as_number()
        condition = listener.when(**http_match(match.need("HttpMatch")), priority=priority)
        self._act(self._need(name, properties, "Action"), condition)

    def _act(self, node: Node, rule: Rule | Condition) -> None:
        table = node.table(("FixedResponse", "Forward"))
        with node.error_context():
            if "FixedResponse" in table:
                table["FixedResponse"].table(("StatusCode",))
                status: Any = table["FixedResponse"].need("StatusCode").as_number()
                rule.respond(status)
                return
            if "Forward" not in table:
                raise node.error("an action is Forward or FixedResponse")
            table["Forward"].table(("TargetGroups",))
            weights = {}
            for item in table["Forward"].need("TargetGroups").items():
                weighted = item.table(("TargetGroupIdentifier", "Weight"))
                group = self._find(item.need("TargetGroupIdentifier"), TargetGroup)
                weights[group] = weighted["Weight"].as_number() if "Weight" in weighted else 1
            rule.forward_to(weights)

    def _auth_policy(self, name: str, properties: dict[str, Node]) -> None:
        node = self._need(name, properties, "ResourceIdentifier")
        stranger = self._strangers.known(node)
        owner = stranger or self._find(node, Service, ServiceNetwork)
        policy = self._template.resolve(self._need(name, properties, "Policy"))
        with properties["Policy"].error_context():
            owner.auth.policy = policy
        if stranger:  # Its auth type is not in the template, and the policy would mean nothing.
            stranger.auth_type = "AWS_IAM"

    def _association(self, name: str, properties: dict[str, Node]) -> None:
        service = self._find(self._need(name, properties, "ServiceIdentifier"), Service)
        node = self._need(name, properties, _NETWORK)
        is_imported = self._template.imported(node) is not None
        network = None if is_imported else self._found.get(node.as_text())
        if not isinstance(network, ServiceNetwork):
            network = self._strangers.known(node) or self._strangers.add(node)
        network.associate(service)

    def _is_left_out(self, reference: Mapping[str, Any]) -> bool:
        """Whether a rule's listener is one that was left out."""
        ((_, argument),) = reference.items() if len(reference) == 1 else ((None, None),)
        name = logical_id(argument)
        return (
            name in self._resources
            and self._template.kind(name) == f"{_PREFIX}Listener"
            and self._build(name) is None
        )

    # Looking it over

    def _check(self) -> None:
        for remark in self._targets.unused():
            raise self._document.error(remark)
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
                self._note(f"{place}: AWS_IAM without an auth policy lets nobody in")


_ASSOCIATION: Final = "AWS::VpcLattice::ServiceNetworkVpcAssociation"


_VPC: Final = "VpcIdentifier"


def associated_vpc(template: Template, note: Callable[[str], object]) -> str | None:
    """The id of the first VPC that a template associates with a service network, if any is known.

    :param note: called with those that callers do not come from.
    """
    known: list[str] = []
    for name in template.of_kind(_ASSOCIATION):
        properties = template.properties(name)
        try:
            identifier = template.value(properties, _VPC)
        except ConfigurationError:  # Imported, as a rule; only a policy would need it.
            continue
        if identifier is None:
            continue
        node = Node(identifier, properties[_VPC].place)
        vpc = node.as_text()
        if known and vpc not in known:
            note(f"{node.place}: callers come from the VPC {known[0]!r}, and none from {vpc!r}")
        known.append(vpc)
    return known[0] if known else None
