"""The access log's records: VPC Lattice's own fields, and where each value comes from.

Source: "Access logs for Amazon VPC Lattice" (VPC Lattice User Guide). Fields that a local Lattice
cannot know (X.509 fields, the target's address) are None; real records have ``-`` there. Bytes
count headers and bodies as they pass through ASGI, without request and status lines. Durations are
in milliseconds.
"""

from __future__ import annotations

import json
import logging
import os
import weakref
from typing import Final, Literal, TypeAlias

__all__ = [
    "FIELDS",
    "AccessLogFile",
    "AccessRecord",
    "FailureReason",
    "as_json_line",
    "new_record",
]

_log = logging.getLogger("lattice_client.testing")

AccessRecord: TypeAlias = dict[str, str | int | None]

FailureReason: TypeAlias = Literal[
    "ClientAccessDenied",
    "ClientConnectionClosed",
    "ClientProtocolError",
    "ClientRateLimited",
    "ConnectionDurationExceeded",
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

_EMPTY: Final[AccessRecord] = dict.fromkeys(FIELDS)


def new_record() -> AccessRecord:
    """A record with every field, all None."""
    return _EMPTY.copy()


def as_json_line(record: AccessRecord) -> str:
    """A record as Lattice writes it: one JSON object, ``-`` for None, and a newline."""
    written = {name: "-" if value is None else value for name, value in record.items()}
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")) + "\n"


class AccessLogFile:
    """A file that records are appended to, line by line. It closes when it is garbage-collected.

    :raises OSError: if it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # One O_APPEND write per line: lines of several processes do not interleave.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        weakref.finalize(self, os.close, self._file)
        self._path = path

    def __repr__(self) -> str:
        return f"<AccessLogFile {os.fspath(self._path)!r}>"

    def write(self, record: AccessRecord) -> None:
        """Append a record. Errors are logged, so that the request does not fail."""
        try:
            os.write(self._file, as_json_line(record).encode("utf-8", "replace"))
        except OSError:
            _log.exception("cannot write the access log %s", os.fspath(self._path))
