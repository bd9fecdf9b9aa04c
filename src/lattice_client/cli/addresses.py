"""The URL, and the options that say where its name leads."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import click
import httpx

from lattice_client.cli.failures import URL, Failure
from lattice_client.cli.sending import PORTS, leads_to
from lattice_client.cli.signing_options import Signing
from lattice_client.names import Endpoint, StaticNames, region_of

__all__ = ["Addresses", "address_options", "destination"]

_HOST = r"(\[[0-9a-fA-F:.]*\]|[^:\[\]/=]*)"
_PLACE = re.compile(rf"{_HOST}(?::(\d*))?")
_CONNECT_TO = re.compile(rf"{_HOST}:(\d*):{_HOST}:(\d*)")
_RESOLVE = re.compile(rf"[+-]?{_HOST}:(\d+|\*):([^,=]+)(?:,.*)?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d+")

# Host and port, "" and 0 standing for any.
_Place = tuple[str, int]


class Addresses(NamedTuple):
    """Where names lead.

    :param connect_to: by host and port, where to connect instead, with Host and SNI kept.
    :param led_by: who said so.
    :param names: those of --resolve, and of the environment.
    """

    connect_to: dict[_Place, _Place]
    led_by: str = "an option"
    names: tuple[StaticNames, ...] = ()

    def endpoint(self, host: str) -> Endpoint | None:
        """What somebody has written down about a host."""
        found = (names.find(host, time.time()) for names in self.names)
        return next((endpoint for endpoint in found if endpoint is not None), None)


def destination(
    text: str, addresses: Addresses, signing: Signing
) -> tuple[httpx.URL, Addresses, Signing]:
    """The URL to call, where it leads, and how to sign for it. A URL without a scheme is HTTPS's.

    :raises Failure: for what is no URL.
    """
    if not _SCHEME.match(text):
        text = f"https://{text}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        # Not what is wrong with it: that may be a password.
        raise Failure(URL, "That is no URL: it has the form https://HOST:PORT/PATH.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Failure(URL, "A URL has the form https://HOST/PATH.")
    if url.userinfo:
        raise Failure(
            URL, "No user and password in the URL, please: Authorization bears the signature."
        )
    endpoint = addresses.endpoint(url.host.lower())
    if endpoint is None:
        return url, addresses, signing
    if endpoint.connect_to and (place := _PLACE.fullmatch(endpoint.connect_to)):
        led = {(endpoint.host, 0): (_bare(place[1]), int(place[2] or 0))}
        # An option for any host comes before what is known of this one.
        if leads_to(addresses.connect_to, endpoint.host, url.port or PORTS[url.scheme]) is None:
            led |= addresses.connect_to
            addresses = addresses._replace(connect_to=led, led_by=endpoint.source)
    if endpoint.region and not signing.region:
        signing = signing._replace(region=endpoint.region, region_by=endpoint.source)
    return url.copy_with(host=endpoint.host), addresses, signing


def address_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets them as ``addresses``."""

    @wraps(command)
    def with_addresses(
        *, resolve: tuple[str, ...], connect_to: tuple[str, ...], **others: Any
    ) -> Any:
        led: dict[_Place, _Place] = {}
        named = dict(filter(None, (_resolve(given, led) for given in resolve)))
        for given in connect_to:
            _connect_to(given, led)
        names = StaticNames(named, source="--resolve"), StaticNames.from_environment()
        return command(addresses=Addresses(led, names=names), **others)

    for option in reversed(_OPTIONS):
        with_addresses = option(with_addresses)
    return with_addresses


_OPTIONS = [
    click.option(
        "--resolve",
        multiple=True,
        metavar="NAME=TARGET",
        help="What a name stands for: a managed name (for Host and SNI too), a region, either "
        "with @ADDRESS behind it, or an address. As curl's: HOST:PORT:ADDRESS.",
    ),
    click.option(
        "--connect-to",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Connect there, with Host and SNI kept. As curl's: HOST1:PORT1:HOST2:PORT2.",
    ),
]


def _resolve(given: str, led: dict[_Place, _Place]) -> tuple[str, str] | None:
    """A name and what it stands for; None where it is of curl's form, and ``led`` has it."""
    name, equals, target = given.partition("=")
    if not equals and (found := _RESOLVE.fullmatch(given)):
        port = 0 if found[2] == "*" else int(found[2])
        led[_bare(found[1]), port] = (_bare(found[3]), 0)
        return None
    if not name or not target:
        raise click.BadParameter(
            f"{given!r} has not the form NAME=TARGET, nor curl's HOST:PORT:ADDRESS",
            param_hint="'--resolve'",
        )
    what = target.partition("@")[0]
    known = "@" in target or region_of(what) or _REGION.fullmatch(what)
    return name, target if known else f"@{target}"


def _connect_to(given: str, led: dict[_Place, _Place]) -> None:
    if found := _CONNECT_TO.fullmatch(given):
        led[_bare(found[1]), int(found[2] or 0)] = (_bare(found[3]), int(found[4] or 0))
    elif given and (found := _PLACE.fullmatch(given)):
        led["", 0] = (_bare(found[1]), int(found[2] or 0))
    else:
        raise click.BadParameter(
            f"{given!r} has not the form HOST[:PORT], nor curl's HOST1:PORT1:HOST2:PORT2",
            param_hint="'--connect-to'",
        )


def _bare(host: str) -> str:
    return host.strip("[]").lower()
