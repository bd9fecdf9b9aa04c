"""Which of a template's resources, properties and attributes are read, and which are ignored.

Source: "Amazon VPC Lattice resource type reference" (CloudFormation Template Reference). What is
neither read nor ignored is noted as not understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = [
    "IGNORED_PROPERTIES",
    "IGNORED_TRANSFORM",
    "IGNORED_TYPES",
    "KNOWN_ATTRIBUTES",
    "LATTICE",
    "READ_PROPERTIES",
]

#: What the types of VPC Lattice's resources begin with; the tables leave it out.
LATTICE: Final = "AWS::VpcLattice::"
READ_PROPERTIES: Final[Mapping[str, tuple[str, ...]]] = {
    "AuthPolicy": ("Policy", "ResourceIdentifier"),
    "Listener": ("DefaultAction", "Port", "Protocol", "ServiceIdentifier"),
    "Rule": ("Action", "ListenerIdentifier", "Match", "Priority", "ServiceIdentifier"),
    "Service": ("AuthType", "CustomDomainName", "Name", "Tags"),
    "ServiceNetwork": ("AuthType", "Name"),
    "ServiceNetworkServiceAssociation": ("ServiceIdentifier", "ServiceNetworkIdentifier"),
    "TargetGroup": ("Config", "Name", "Targets", "Type"),
}
IGNORED_PROPERTIES: Final[Mapping[str, tuple[str, ...]]] = {
    "Listener": ("Name", "Tags"),
    "Rule": ("Name", "Tags"),
    "Service": ("CertificateArn", "DnsEntry", "IdleTimeoutSeconds"),
    "ServiceNetwork": ("SharingConfig", "Tags"),
    "ServiceNetworkServiceAssociation": ("DnsEntry", "Tags"),
    "TargetGroup": ("Tags",),
}
#: Types without a part in the local data plane.
IGNORED_TYPES: Final = ("AccessLogSubscription", "ResourcePolicy", "ServiceNetworkVpcAssociation")
#: What any resource may have ("Resource attribute reference").
KNOWN_ATTRIBUTES: Final = (
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
#: SAM's transform creates functions, and leaves Lattice's resources unchanged.
IGNORED_TRANSFORM: Final = "AWS::Serverless-2016-10-31"
