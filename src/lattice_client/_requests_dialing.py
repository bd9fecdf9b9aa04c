"""The second level of requests: connections to an address that is not the URL's host.

requests itself is not imported: what is here, the Adapter puts to use.
"""

from __future__ import annotations

from typing import Any

from lattice_client.names import Endpoint
from lattice_client.wire import RequestsRequest

__all__ = ["Attempt", "server_name"]

# An attribute of a copy of a request: the name for SNI and certificate.
_SERVER_NAME = "_lattice_client_server_name"


class Attempt(RequestsRequest):
    """A request that nobody else sees, so its Host header may differ from its URL's."""

    __slots__ = ()

    def connect_to(self, endpoint: Endpoint, address: str, port: int | None) -> None:
        self.request.headers["Host"] = self.host
        self.readdress(address, port)
        setattr(self.request, _SERVER_NAME, endpoint.host)


def server_name(request: Any) -> str | None:
    """The name that a request's TLS connection is for, where its URL's host is another."""
    return getattr(request, _SERVER_NAME, None)
