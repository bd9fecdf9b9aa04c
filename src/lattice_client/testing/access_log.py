"""The access log's records: VPC Lattice's own fields, and where each value comes from.

Source: "Access logs for Amazon VPC Lattice" (VPC Lattice User Guide). What a local stand-in cannot
know (X.509 fields, the target's address) is None; real records write ``-`` for it. Bytes are those
of headers and bodies as they pass through ASGI, without request and status lines; durations are
milliseconds.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

__all__ = ["FIELDS", "AccessRecord", "FailureReason", "new_record"]

AccessRecord: TypeAlias = dict[str, str | int | None]

FailureReason: TypeAlias = Literal[
    "ClientAccessDenied",
    "ClientConnectionClosed",
    "ClientProtocolError",
    "InternalError",
    "TargetConnectionClosed",
    "TargetConnectionError",
    "TargetDataTimeout",
    "TargetProtocolError",
]

FIELDS: Final = (
    "serviceNetworkArn",
    "serviceArn",
    "resolvedUser",
    "authDeniedReason",
    "hostHeader",
    "requestMethod",
    "requestPath",
    "protocol",
    "responseCode",
    "userAgent",
    "startTime",
    "duration",
    "requestToTargetDuration",
    "responseFromTargetDuration",
    "bytesReceived",
    "bytesSent",
    "requestId",
    "callerPrincipal",
    "callerPrincipalOrgID",
    "callerPrincipalTags",
    "callerX509IssuerOU",
    "callerX509SANDNS",
    "callerX509SANNameCN",
    "callerX509SANURI",
    "callerX509SubjectCN",
    "sourceVpcArn",
    "sourceVpcId",
    "sourceIpPort",
    "destinationVpcId",
    "targetGroupArn",
    "targetIpPort",
    "listenerId",
    "listenerType",
    "tlsVersion",
    "sslCipher",
    "serverNameIndication",
    "grpcResponseCode",
    "failureReason",
)


def new_record() -> AccessRecord:
    """A record with every field there, and nothing known yet."""
    return dict.fromkeys(FIELDS)
