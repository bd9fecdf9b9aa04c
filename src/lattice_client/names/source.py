"""The protocol of a name source, and how the answers of two sources become one."""

from __future__ import annotations

from typing import Literal, Protocol, get_args, runtime_checkable

from lattice_client.errors import ConfigurationError
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.managed import managed_endpoint

__all__ = [
    "AliasHost",
    "Completing",
    "Confirming",
    "Source",
    "alias_endpoint",
    "check_alias_host",
    "earlier",
    "merge",
]

AliasHost = Literal["kept", "managed"]


@runtime_checkable
class Source(Protocol):
    """Where names are looked up. Many threads call ``find`` at once; it may block for a few
    seconds."""

    def find(self, name: str, now: float) -> Endpoint | None:
        """What this source knows about a name.

        :param name: in lower case and IDNA, without port and trailing dot.
        :param now: the time, in seconds since the epoch, as in ``expires_at``.
        :returns: None for an unknown name: the next source is queried. ``is_lattice=False`` for a
            name that is known not to be Lattice's: no other source is queried.
        :raises NameSourceError: if the source cannot be reached.
        """
        ...


@runtime_checkable
class Completing(Protocol):
    """A source that can add to the answer of another."""

    def complete(self, name: str, found: Endpoint, now: float) -> Endpoint:
        """Another source's answer, with what this source adds.

        :raises NameSourceError: if the source cannot be reached.
        """
        ...


@runtime_checkable
class Confirming(Protocol):
    """A source that can check the answer of another."""

    def confirm(self, name: str, found: Endpoint, now: float) -> Endpoint:
        """Another source's answer, with ``is_lattice=False`` if this source disagrees.

        :raises NameSourceError: if the source cannot be reached.
        """
        ...


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two expiry times; None means never."""
    return min((each for each in (one, other) if each is not None), default=None)


def check_alias_host(host: object) -> None:
    """:raises ConfigurationError: if it is not an :data:`AliasHost`."""
    if host not in get_args(AliasHost):
        raise ConfigurationError(f"host must be 'kept' or 'managed', not {host!r}")


def merge(first: Endpoint, later: Endpoint) -> Endpoint:
    """A source's incomplete answer, completed by a later source's."""
    connect_to = first.connect_to or later.connect_to
    return Endpoint(
        later.host,
        region=first.region or later.region,
        connect_to=connect_to,
        managed_name=first.managed_name or later.managed_name,
        service_arn=first.service_arn or later.service_arn,
        source=f"{first.source}; {later.source}",
        expires_at=earlier(first.expires_at, later.expires_at),
        is_lattice=first.is_lattice,
        addresses=() if connect_to else first.addresses or later.addresses,
        reason=first.reason,
    )


def alias_endpoint(
    name: str, managed_name: str, source: str, expires_at: float, host: AliasHost
) -> Endpoint:
    """The answer for a name that leads to a managed name."""
    endpoint = managed_endpoint(managed_name)
    if endpoint is None or not endpoint.is_lattice:
        why = endpoint.source if endpoint else f"{managed_name} is not Lattice's"
        return Endpoint(
            name,
            region=endpoint and endpoint.region,
            source=f"{source}: {why}",
            expires_at=expires_at,
            is_lattice=False,
            reason=endpoint.reason if endpoint else "foreign target",
        )
    return endpoint._replace(
        host=name if host == "kept" else managed_name, source=source, expires_at=expires_at
    )
