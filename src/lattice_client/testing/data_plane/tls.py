"""The TLS details of a connection, for the access log."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TLS_STATE", "TLSDetails"]


#: The key in an ASGI scope's ``state`` under which a server leaves its ``TLSDetails``.
TLS_STATE = "lattice_client.testing.tls"


@dataclass(frozen=True, slots=True)
class TLSDetails:
    """The access log's fields of a TLS connection."""

    version: str | None
    cipher: str | None
    server_name: str | None
