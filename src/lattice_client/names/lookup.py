"""Querying the sources for a name, and joining their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lattice_client.errors import ConfigurationError, NameSourceError
from lattice_client.names.dns import DnsNames
from lattice_client.names.endpoint import Endpoint
from lattice_client.names.host_name import is_address
from lattice_client.names.managed import ManagedNames
from lattice_client.names.source import Completing, Confirming, Source, merge
from lattice_client.names.static import StaticNames

__all__ = ["as_source", "default_sources", "query_sources"]


def query_sources(
    sources: Sequence[Source], name: str, now: float, *, confirm: bool
) -> tuple[Endpoint, NameSourceError | None]:
    """The sources' joint answer, and the failure that left it incomplete, if any.

    The answer is the one for callers that connect to its ``addresses``, if it has any.

    :param confirm: whether the sources that can confirm an answer have to.
    :raises NameSourceError: if a source cannot be reached and no other knows the name.
    """
    if is_address(name):  # Addresses are not looked up, but a map may contain one.
        sources = [source for source in sources if isinstance(source, StaticNames)]
    found, failure, positive = _find(sources, name, now)
    if found is None:
        if failure is not None:
            raise failure
        unknown = Endpoint(name, source="no source knows it", expires_at=now, is_lattice=False)
        return unknown._replace(reason="unknown"), None
    for source in sources:
        # Maps and managed names are complete, so they work without any control plane.
        final = not found.is_lattice or found.expires_at is None
        if not final and isinstance(source, Completing):
            try:
                found = source.complete(name, found, now)
            except NameSourceError as error:
                failure = failure or error
    for source in sources:
        confirmed = source in positive and found.host == name
        if confirm and found.is_lattice and not confirmed and isinstance(source, Confirming):
            found = source.confirm(name, found, now)
    return found, failure


def _find(
    sources: Sequence[Source], name: str, now: float
) -> tuple[Endpoint | None, NameSourceError | None, list[Source]]:
    """The first answer, filled in by later sources until the region is known.

    Also the first failure, if the failed source could have added to the answer, and the sources
    that call the name Lattice's.
    """
    found: Endpoint | None = None
    failure: NameSourceError | None = None
    positive: list[Source] = []
    for source in sources:
        try:
            answer = source.find(name, now)
        except NameSourceError as error:
            failure = failure or error
            continue
        if answer is None:
            continue
        answer = answer.at_address or answer
        if found is None and not answer.is_lattice:
            return answer, failure, positive
        if answer.is_lattice:
            positive.append(source)
            found = answer if found is None else merge(found, answer)
            if found.region is not None:
                return found, None, positive
    return found, failure, positive


def as_source(given: object) -> Source:
    """A user's argument as a source.

    :raises ConfigurationError: if it is neither a source nor a mapping.
    """
    if isinstance(given, Mapping):
        return StaticNames(given)
    # A str has a method find too.
    if isinstance(given, Source) and not isinstance(given, type | str | bytes):
        return given
    what = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
    raise ConfigurationError(
        f"a source of names has the method find(name, now), or is a mapping; not {what}"
    )


def default_sources() -> tuple[Source, ...]:
    """The map in the environment, if there is one, managed names, and DNS."""
    from_environment = StaticNames.from_environment()
    return (*((from_environment,) if from_environment else ()), ManagedNames(), DnsNames())
