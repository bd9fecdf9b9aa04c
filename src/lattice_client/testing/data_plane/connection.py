"""The connection of a request, as far as the local Lattice controls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lattice_client.testing.asgi import Scope

__all__ = ["CONNECTION_STATE", "Connection", "ConnectionCutError", "ConnectionLimits"]

#: The key in an ASGI scope's ``state`` under which a server leaves its ``Connection``.
CONNECTION_STATE: Final = "lattice_client.testing.data_plane.connection"


@dataclass
class ConnectionLimits:
    """How long connections last, in seconds. Source: "Quotas for Amazon VPC Lattice".

    :param idle: without a request.
    :param lifetime: in all, also with a request in flight.
    """

    idle: float = 60.0
    lifetime: float = 600.0


class ConnectionCutError(ConnectionResetError):
    """Stands for a reset in-process, where there is no connection."""


def _no_connection(_: bytes) -> None:
    raise ConnectionCutError("the local Lattice was told to reset this connection")


@dataclass
class Connection:
    """A server's connection. The default stands for a request in-process, which has none.

    :param reset_after: sends some last bytes, then resets the connection.
    :param expired: set when it is closed because its lifetime is over.
    :param lost: set when it is closed, by either side.
    """

    reset_after: Callable[[bytes], None] = _no_connection
    expired: bool = False
    lost: bool = False

    @classmethod
    def of(cls, scope: Scope) -> Connection:
        """The connection of a request."""
        connection = (scope.get("state") or {}).get(CONNECTION_STATE)
        return connection if isinstance(connection, cls) else cls()

    def reset(self, last: bytes = b"") -> None:
        """Reset the connection, after some last bytes.

        :raises ConnectionCutError: if there is no connection, for the caller to see.
        """
        self.reset_after(last)
