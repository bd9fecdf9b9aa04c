"""What ``Ref`` and ``Fn::GetAtt`` return for a template's resources, and the resources' names.

Source: the "Return values" of each resource type (CloudFormation Template Reference).
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final, TypeAlias

from lattice_client.testing.arns import partition_of
from lattice_client.testing.model.networks import ServiceNetwork
from lattice_client.testing.model.services import Listener, Service
from lattice_client.testing.model.target_groups import TargetGroup

__all__ = [
    "FUNCTION_PROPERTIES",
    "NAME_PROPERTIES",
    "Resource",
    "default_name",
    "foreign_references",
    "in_kebab_case",
    "logical_id",
    "references",
    "shortened",
]

#: A resource of a template as an object; None for a rule, a policy, or one that is left out.
Resource: TypeAlias = ServiceNetwork | Service | TargetGroup | Listener | None

_ALIAS: Final = "AWS::Lambda::Alias"
_MANAGED_POLICY: Final = "AWS::IAM::ManagedPolicy"
#: The name properties of those resources of other services that policies and targets refer to.
NAME_PROPERTIES: Final = {
    _MANAGED_POLICY: "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    _ALIAS: "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Serverless::Function": "FunctionName",
}
#: The properties that name the function that a resource belongs to.
FUNCTION_PROPERTIES: Final = {_ALIAS: "FunctionName"}
_ARNS: Final = {
    _MANAGED_POLICY: "arn:{partition}:iam::{account}:policy{path}{name}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role{path}{name}",
    _ALIAS: "arn:{partition}:lambda:{region}:{account}:function:{function}:{name}",
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "AWS::Serverless::Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
}
_SHORTEST_NAME: Final = 3
# Prefixes of ids: names must not begin with them.
_RESERVED: Final = ("sn-", "svc-", "tg-")
_LONGEST_NAMES: Final = {
    "AWS::VpcLattice::Service": 40,
    "AWS::VpcLattice::ServiceNetwork": 63,
    "AWS::VpcLattice::TargetGroup": 128,
}


def references(resource: Resource) -> dict[str | None, Any]:
    """The known attributes of one of Lattice's resources; the key None is for ``Ref``."""
    if resource is None:
        return {}
    known: dict[str | None, Any] = {
        None: resource.arn,
        "Arn": resource.arn,
        "Id": resource.id,
        "Status": "ACTIVE",
    }
    if isinstance(resource, Listener):
        service_arn = resource.arn.partition("/listener/")[0]
        known |= {"ServiceArn": service_arn, "ServiceId": service_arn.rpartition("/")[2]}
    else:
        known["Name"] = resource.name
    if isinstance(resource, Service):
        known["DnsEntry.DomainName"] = resource.managed_name
        known["DnsEntry.HostedZoneId"] = "Z0000000000000LOCAL"
    return known


def foreign_references(
    resource_type: str, name: str, *, path: str, function: str, region: str, account: str
) -> dict[str | None, Any]:
    """The same for a resource of another service: its name, and its ARN if that is known.

    :param path: the path of a role or a policy; ``/`` if it has none.
    :param function: the name or the ARN of an alias's function.
    """
    if resource_type == "AWS::EC2::VPC":
        return {None: name, "VpcId": name}
    if resource_type not in _ARNS:
        return {None: name}
    arn = _ARNS[resource_type].format(
        name=name,
        path=path,
        function=function.rpartition(":")[2],
        partition=partition_of(region),
        region=region,
        account=account,
    )
    if resource_type == _ALIAS:
        return {None: arn, "AliasArn": arn}
    if resource_type == _MANAGED_POLICY:
        return {None: arn, "PolicyArn": arn}
    return {None: name, "Arn": arn}


def default_name(logical_id: str, resource_type: str, stack: str) -> str:
    """The name of one of Lattice's resources without a ``Name`` property."""
    name = in_kebab_case(logical_id)
    if len(name) < _SHORTEST_NAME or name.startswith(_RESERVED):
        name = f"{stack}-{name}"
    return shortened(name, logical_id, _LONGEST_NAMES[resource_type])


def shortened(name: str, origin: str, longest: int) -> str:
    """A name cut to a length.

    :param origin: what the name was made from. Its digest keeps cut names different.
    """
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(origin.encode()).hexdigest()[:8]
    return f"{name[: longest - len(digest) - 1].rstrip('-')}-{digest}"


def in_kebab_case(name: str) -> str:
    """``OrdersHTTPListener`` as ``orders-http-listener``."""
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3-\2", name)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def logical_id(argument: Any) -> str:
    """The logical id in the argument of a ``Ref`` or a ``Fn::GetAtt``."""
    name = argument[0] if isinstance(argument, list) and argument else argument
    return str(name).partition(".")[0]
