"""What the sources say of a name, together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lattice_client.errors import ConfigurationError, NameSourceError
from lattice_client.names.dns import DnsNames
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import is_address
from lattice_client.names.managed import ManagedNames
from lattice_client.names.source import Completing, Confirming, Source, combined
from lattice_client.names.static import StaticNames

__all__ = ["Failure", "as_source", "ask", "default_sources"]

Failure = NameSourceError | None


def ask(
    sources: Sequence[Source], name: str, now: float, *, confirmed: bool
) -> tuple[Endpoint, Failure]:
    """What they say, and the failure that kept them from saying all.

    :param confirmed: whether the sources that can have to confirm an answer.
    :raises NameSourceError: where one of them could not be asked, and no other knows the name.
    """
    if is_address(name):  # That is not looked up, but a map may have it.
        sources = [source for source in sources if isinstance(source, StaticNames)]
    found, failure, agreed = _found(sources, name, now)
    if found is None:
        if failure is not None:
            raise failure
        return Endpoint(name, source="no source knows it", expires_at=now, is_lattice=False), None
    for source in sources:
        # A map and a managed name say all there is to say, also where nobody else can be asked.
        final = not found.is_lattice or found.expires_at is None
        if not final and isinstance(source, Completing):
            try:
                found = source.complete(name, found, now)
            except NameSourceError as error:
                failure = failure or error
    for source in sources:
        said_so = source in agreed and found.host == name
        if confirmed and found.is_lattice and not said_so and isinstance(source, Confirming):
            found = source.confirm(name, found, now)
    return found, failure


def _found(
    sources: Sequence[Source], name: str, now: float
) -> tuple[Endpoint | None, Failure, list[Source]]:
    """The first answer; what it leaves open is filled in by later ones, until the region is known.
    A failure counts where a source that failed could have said more. And the sources that call the
    name Lattice's."""
    found: Endpoint | None = None
    failure: Failure = None
    agreed: list[Source] = []
    for source in sources:
        try:
            told = source.find(name, now)
        except NameSourceError as error:
            failure = failure or error
            continue
        if told is None:
            continue
        if found is None and not told.is_lattice:
            return told, failure, agreed
        if told.is_lattice:
            agreed.append(source)
            found = told if found is None else combined(found, told)
            if found.region is not None:
                return found, None, agreed
    return found, failure, agreed


def as_source(given: object) -> Source:
    """What users may give as a source.

    :raises ConfigurationError: for anything else.
    """
    if isinstance(given, Mapping):
        return StaticNames(given)
    # A str has a method of that name too.
    if isinstance(given, Source) and not isinstance(given, type | str | bytes):
        return given
    what = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
    raise ConfigurationError(
        f"a source of names has the method find(name, now), or is a mapping; not {what}"
    )


def default_sources() -> tuple[Source, ...]:
    """The map in the environment, if there is one, managed names, and DNS."""
    written = StaticNames.from_environment()
    return (*((written,) if written else ()), ManagedNames(), DnsNames())
