"""The URL, and the options that say where its name leads."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import click

from lattice_client.cli.failures import URL, Failure
from lattice_client.errors import MissingExtraError
from lattice_client.names import region_of

try:
    import httpx
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise MissingExtraError("cli", "httpx") from None

__all__ = ["Addresses", "address_options", "url_of"]

_HOST = r"(\[[0-9a-fA-F:.]*\]|[^:\[\]/=]*)"
_PLACE = re.compile(rf"{_HOST}(?::(\d*))?")
_CONNECT_TO = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE = re.compile(rf"[+-]?{_HOST}:(\d+|\*):([^,=]+)(?:,.*)?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

# Host and port, "" and 0 standing for any.
_Place = tuple[str, int]


class Addresses(NamedTuple):
    """Where names lead.

    :param connect_to: by host and port, where to connect instead, with Host and SNI kept.
    :param managed: by name, the name that Lattice knows it by.
    """

    connect_to: dict[_Place, _Place]
    managed: dict[str, str]


def url_of(text: str, addresses: Addresses) -> httpx.URL:
    """The URL to call; one without a scheme is HTTPS's.

    :raises Failure: for what is none.
    """
    if not _SCHEME.match(text):
        text = f"https://{text}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise Failure(URL, f"That is no URL: {error}.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Failure(URL, "A URL has the form https://HOST/PATH.")
    if url.userinfo:
        raise Failure(
            URL, "No user and password in the URL, please: Authorization bears the signature."
        )
    managed = addresses.managed.get(url.host.lower())
    return url.copy_with(host=managed) if managed else url


def address_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets them as ``addresses``."""

    @wraps(command)
    def with_addresses(
        *, resolve: tuple[str, ...], connect_to: tuple[str, ...], **others: Any
    ) -> Any:
        addresses = Addresses({}, {})
        for given in resolve:
            _resolve(given, addresses)
        for given in connect_to:
            _connect_to(given, addresses)
        return command(addresses=addresses, **others)

    for option in reversed(_OPTIONS):
        with_addresses = option(with_addresses)
    return with_addresses


_OPTIONS = [
    click.option(
        "--resolve",
        multiple=True,
        metavar="NAME=TARGET",
        help="Where a name leads: to an address, or to the service's managed name, which then "
        "stands in Host and SNI too. As curl's: HOST:PORT:ADDRESS.",
    ),
    click.option(
        "--connect-to",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Connect there, with Host and SNI kept. As curl's: HOST1:PORT1:HOST2:PORT2.",
    ),
]


def _resolve(given: str, addresses: Addresses) -> None:
    name, equals, target = given.partition("=")
    if not equals and (found := _RESOLVE.fullmatch(given)):
        port = 0 if found[2] == "*" else int(found[2])
        addresses.connect_to[_bare(found[1]), port] = (found[3].strip("[]"), 0)
        return
    place = _PLACE.fullmatch(target)
    if not name or not target or place is None:
        raise click.BadParameter(
            f"{given!r} has not the form NAME=TARGET, nor curl's HOST:PORT:ADDRESS",
            param_hint="'--resolve'",
        )
    host = _bare(place[1])
    if region_of(host):
        addresses.managed[name.lower()] = host
    else:
        addresses.connect_to[name.lower(), 0] = (host, int(place[2] or 0))


def _connect_to(given: str, addresses: Addresses) -> None:
    if found := _CONNECT_TO.fullmatch(given):
        asked = (_bare(found[1]), int(found[2] or 0))
        addresses.connect_to[asked] = (_bare(found[3]), int(found[4] or 0))
    elif given and (found := _PLACE.fullmatch(given)):
        addresses.connect_to["", 0] = (_bare(found[1]), int(found[2] or 0))
    else:
        raise click.BadParameter(
            f"{given!r} has not the form HOST[:PORT], nor curl's HOST1:PORT1:HOST2:PORT2",
            param_hint="'--connect-to'",
        )


def _bare(host: str) -> str:
    return host.strip("[]").lower()
