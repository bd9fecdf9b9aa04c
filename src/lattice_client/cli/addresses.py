"""The URL, and the options for where its name leads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import click
import httpx

from lattice_client.cli.failures import URL, USAGE, Failure
from lattice_client.cli.signing_options import Signing
from lattice_client.cli.transport import PORTS, connect_address
from lattice_client.names import Endpoint, StaticNames, region_of
from lattice_client.signing import LATTICE

__all__ = ["Addresses", "address_options", "destination"]

_HOST = r"(\[[0-9a-fA-F:.]*\]|[^:\[\]/=]*)"
_HOST_PORT = re.compile(rf"{_HOST}(?::(\d*))?")
_CONNECT_TO = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE = re.compile(rf"[+-]?{_HOST}:(\d+|\*):([^,=]+)(?:,.*)?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d+")

# Host and port; "" and 0 match any.
_HostPort = tuple[str, int]


class Addresses(NamedTuple):
    """Where names lead.

    :param connect_to: where to connect instead, by host and port; Host and SNI are kept.
    :param routed_by: the option or source that says so, for people.
    :param names: the maps of --resolve and of the environment.
    """

    connect_to: dict[_HostPort, _HostPort]
    routed_by: str = "an option"
    names: tuple[StaticNames, ...] = ()

    def endpoint(self, host: str) -> Endpoint | None:
        """A host's entry in the maps; None if it has none."""
        found = (names.find(host, time.time()) for names in self.names)
        return next((endpoint for endpoint in found if endpoint is not None), None)


def destination(
    text: str, addresses: Addresses, signing: Signing, *, signs: bool = True
) -> tuple[httpx.URL, Addresses, Signing]:
    """The URL to call, where it leads, and how to sign for it. Without a scheme, HTTPS is used.

    :param signs: whether the call is to be signed.
    :raises Failure: if it is not a URL, or a map says that a host to sign for is not VPC Lattice's.
    """
    if not _SCHEME.match(text):
        text = f"https://{text}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        # Without httpx's message, which may contain a password.
        raise Failure(URL, "That is not a URL: it has the form https://HOST:PORT/PATH.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Failure(URL, "A URL has the form https://HOST/PATH.")
    if url.userinfo:
        raise Failure(
            URL, "Give no user and password in the URL: Authorization contains the signature."
        )
    endpoint = addresses.endpoint(url.host.lower())
    if endpoint is None:
        return url, addresses, signing
    if signs and not endpoint.is_lattice and signing.service == LATTICE:
        raise Failure(
            USAGE,
            f"{endpoint.source} says that {url.host} is not VPC Lattice's, so nothing is signed "
            "for it. Use call --unsigned, or correct its entry.",
        )
    if endpoint.connect_to and (place := _HOST_PORT.fullmatch(endpoint.connect_to)):
        connect_to = {(endpoint.host, 0): (_bare(place[1]), int(place[2] or 0))}
        # An option for any host takes precedence over the map's entry for this one.
        if (
            connect_address(addresses.connect_to, endpoint.host, url.port or PORTS[url.scheme])
            is None
        ):
            connect_to |= addresses.connect_to
            addresses = addresses._replace(connect_to=connect_to, routed_by=endpoint.source)
    if endpoint.region and not signing.region:
        signing = signing._replace(region=endpoint.region, region_by=endpoint.source)
    return url.copy_with(host=endpoint.host), addresses, signing


def address_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which receives them as ``addresses``."""

    @wraps(command)
    def with_addresses(
        *, resolve: tuple[str, ...], connect_to: tuple[str, ...], **others: Any
    ) -> Any:
        by_address: dict[_HostPort, _HostPort] = {}
        named = dict(filter(None, (_resolve(given, by_address) for given in resolve)))
        for given in connect_to:
            _connect_to(given, by_address)
        names = StaticNames(named, source="--resolve"), StaticNames.from_environment()
        return command(addresses=Addresses(by_address, names=names), **others)

    for option in reversed(_OPTIONS):
        with_addresses = option(with_addresses)
    return with_addresses


_OPTIONS = [
    click.option(
        "--resolve",
        multiple=True,
        metavar="NAME=TARGET",
        help="What a name stands for: a managed name (for Host and SNI too), a region, either "
        "followed by @ADDRESS, or an address. As curl's: HOST:PORT:ADDRESS.",
    ),
    click.option(
        "--connect-to",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Connect there, with Host and SNI kept. As curl's: HOST1:PORT1:HOST2:PORT2.",
    ),
]


def _resolve(given: str, by_address: dict[_HostPort, _HostPort]) -> tuple[str, str] | None:
    """A name and its target; None for curl's form, which is added to ``by_address``."""
    name, equals, target = given.partition("=")
    if not equals and (found := _RESOLVE.fullmatch(given)):
        port = 0 if found[2] == "*" else int(found[2])
        by_address[_bare(found[1]), port] = (_bare(found[3]), 0)
        return None
    if not name or not target:
        raise click.BadParameter(
            f"{given!r} is neither NAME=TARGET nor curl's HOST:PORT:ADDRESS",
            param_hint="'--resolve'",
        )
    what = target.partition("@")[0]
    known = "@" in target or region_of(what) or _REGION.fullmatch(what)
    return name, target if known else f"@{target}"


def _connect_to(given: str, by_address: dict[_HostPort, _HostPort]) -> None:
    if found := _CONNECT_TO.fullmatch(given):
        by_address[_bare(found[1]), int(found[2] or 0)] = (_bare(found[3]), int(found[4] or 0))
    elif given and (found := _HOST_PORT.fullmatch(given)):
        by_address["", 0] = (_bare(found[1]), int(found[2] or 0))
    else:
        raise click.BadParameter(
            f"{given!r} is neither HOST[:PORT] nor curl's HOST1:PORT1:HOST2:PORT2",
            param_hint="'--connect-to'",
        )


def _bare(host: str) -> str:
    return host.strip("[]").lower()
