"""What ``Ref`` and ``Fn::GetAtt`` give of a template's resources, and the names that these have.

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
    "foreign_references",
    "in_kebab_case",
    "logical_id",
    "made_name",
    "references",
    "shortened",
]

#: What a resource of a template is here; None for one that is a rule, a policy or left out.
Resource: TypeAlias = ServiceNetwork | Service | TargetGroup | Listener | None

_ALIAS: Final = "AWS::Lambda::Alias"
_MANAGED_POLICY: Final = "AWS::IAM::ManagedPolicy"
#: The properties that name other services' resources: those that policies and targets refer to.
NAME_PROPERTIES: Final = {
    _MANAGED_POLICY: "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    _ALIAS: "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Serverless::Function": "FunctionName",
}
#: Those that name the function that a resource is a part of.
FUNCTION_PROPERTIES: Final = {_ALIAS: "FunctionName"}
_ARNS: Final = {
    _MANAGED_POLICY: "arn:{partition}:iam::{account}:policy{path}{name}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role{path}{name}",
    _ALIAS: "arn:{partition}:lambda:{region}:{account}:function:{function}:{name}",
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "AWS::Serverless::Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
}
_SHORTEST_NAME: Final = 3
# What ids begin with, and so no name may.
_RESERVED: Final = ("sn-", "svc-", "tg-")
_LONGEST_NAMES: Final = {
    "AWS::VpcLattice::Service": 40,
    "AWS::VpcLattice::ServiceNetwork": 63,
    "AWS::VpcLattice::TargetGroup": 128,
}


def references(resource: Resource) -> dict[str | None, Any]:
    """What is known of one of Lattice's resources, by attribute; None stands for ``Ref``."""
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
    kind: str, name: str, *, path: str, function: str, region: str, account: str
) -> dict[str | None, Any]:
    """The same of a resource of another kind: its name, and the ARN where that is plain.

    :param path: a role's or a policy's, ``/`` for those that have none.
    :param function: the name or the ARN of an alias's function.
    """
    if kind == "AWS::EC2::VPC":
        return {None: name, "VpcId": name}
    if kind not in _ARNS:
        return {None: name}
    arn = _ARNS[kind].format(
        name=name,
        path=path,
        function=function.rpartition(":")[2],
        partition=partition_of(region),
        region=region,
        account=account,
    )
    if kind == _ALIAS:
        return {None: arn, "AliasArn": arn}
    if kind == _MANAGED_POLICY:
        return {None: arn, "PolicyArn": arn}
    return {None: name, "Arn": arn}


def made_name(logical_id: str, kind: str, stack: str) -> str:
    """A name for a resource of Lattice's that its template gives none."""
    name = in_kebab_case(logical_id)
    if len(name) < _SHORTEST_NAME or name.startswith(_RESERVED):
        name = f"{stack}-{name}"
    return shortened(name, logical_id, _LONGEST_NAMES[kind])


def shortened(name: str, origin: str, longest: int) -> str:
    """A name that is not too long.

    :param origin: what it was made of: names of different ones stay different when they are cut.
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
    """The resource that the argument of a ``Ref`` or a ``Fn::GetAtt`` names."""
    name = argument[0] if isinstance(argument, list) and argument else argument
    return str(name).partition(".")[0]
