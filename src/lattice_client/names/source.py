"""What a source of names is, and how the answers of two become one."""

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
    "check_alias_host",
    "combined",
    "earlier",
    "led_to",
]

AliasHost = Literal["kept", "managed"]


@runtime_checkable
class Source(Protocol):
    """Where names are looked up. One method, called by many threads at once; it may block, for some
    seconds at most."""

    def find(self, name: str, now: float) -> Endpoint | None:
        """What is known of a name.

        :param name: in lower case and IDNA, without port and without a dot at its end.
        :param now: the time, in seconds since the epoch; ``expires_at`` counts by it.
        :returns: None for a name of which nothing is known: the next source is asked. With
            ``is_lattice=False`` the name is known to be somebody else's, and no other is asked.
        :raises NameSourceError: where the source could not be asked.
        """
        ...


@runtime_checkable
class Completing(Protocol):
    """A source that can add to the answer of another."""

    def complete(self, name: str, found: Endpoint, now: float) -> Endpoint:
        """What another source found, with what this one knows.

        :raises NameSourceError: where the source could not be asked.
        """
        ...


@runtime_checkable
class Confirming(Protocol):
    """A source that can check the answer of another."""

    def confirm(self, name: str, found: Endpoint, now: float) -> Endpoint:
        """What another source found; with ``is_lattice=False`` where that is not so.

        :raises NameSourceError: where the source could not be asked.
        """
        ...


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two ends; None is for ever."""
    return min((each for each in (one, other) if each is not None), default=None)


def check_alias_host(host: object) -> None:
    """:raises ConfigurationError: for what is no :data:`AliasHost`."""
    if host not in get_args(AliasHost):
        raise ConfigurationError(f"host must be 'kept' or 'managed', not {host!r}")


def combined(first: Endpoint, later: Endpoint) -> Endpoint:
    """The answer of a source that does not know all, completed by a later one's."""
    return Endpoint(
        later.host,
        region=first.region or later.region,
        connect_to=first.connect_to or later.connect_to,
        managed_name=first.managed_name or later.managed_name,
        service_arn=first.service_arn or later.service_arn,
        source=f"{first.source}; {later.source}",
        expires_at=earlier(first.expires_at, later.expires_at),
        is_lattice=first.is_lattice,
    )


def led_to(name: str, managed: str, source: str, expires_at: float, host: AliasHost) -> Endpoint:
    """The answer for a name that leads to a managed one."""
    told = managed_endpoint(managed)
    if told is None or not told.is_lattice:
        why = told.source if told else f"{managed} is not Lattice's"
        return Endpoint(
            name,
            region=told and told.region,
            source=f"{source}: {why}",
            expires_at=expires_at,
            is_lattice=False,
        )
    return told._replace(
        host=name if host == "kept" else managed, source=source, expires_at=expires_at
    )
