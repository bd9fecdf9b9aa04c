"""The connection under a request, as far as the local Lattice has a say in it."""

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
    :param lifetime: at most, whatever they do.
    """

    idle: float = 60.0
    lifetime: float = 600.0


class ConnectionCutError(ConnectionResetError):
    """Stands for a reset where there is no connection: in-process."""


def _no_connection(_: bytes) -> None:
    raise ConnectionCutError("the local Lattice was told to reset this connection")


@dataclass
class Connection:
    """A server's connection; by default that of a request in-process, which has none.

    :param reset_after: sends a few last bytes, and resets it.
    :param expired: set when it is closed for having lived too long.
    :param lost: set when it is closed, whoever has closed it.
    """

    reset_after: Callable[[bytes], None] = _no_connection
    expired: bool = False
    lost: bool = False

    @classmethod
    def of(cls, scope: Scope) -> Connection:
        """The connection that a request came over."""
        connection = (scope.get("state") or {}).get(CONNECTION_STATE)
        return connection if isinstance(connection, cls) else cls()

    def reset(self, last: bytes = b"") -> None:
        """Reset the connection, after some last bytes.

        :raises ConnectionCutError: if there is no connection, for the caller to see.
        """
        self.reset_after(last)
