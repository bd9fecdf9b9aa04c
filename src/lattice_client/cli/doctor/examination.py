"""All checks in their order, each as soon as what it needs is known."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from lattice_client.cli.addresses import Addresses
from lattice_client.cli.doctor.calls import Answer, Caller, about_clock, broken_off
from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.doctor.identity import (
    about_credentials,
    about_region,
    region_signed_for,
    who_am_i,
)
from lattice_client.cli.doctor.network import (
    Address,
    Place,
    about_connection,
    about_name,
    about_tls,
    known_to_aws,
)
from lattice_client.cli.doctor.proxy import about_proxy, resolved_by_proxy
from lattice_client.cli.doctor.refusals import Case, about_call
from lattice_client.cli.proxies import proxy_of
from lattice_client.cli.sending import PORTS, Deadline, Sending, leads_to
from lattice_client.cli.signing_options import Signing

if TYPE_CHECKING:
    import httpx

__all__ = ["Question", "examination"]


class Question(NamedTuple):
    """What the doctor is asked."""

    url: httpx.URL
    method: str
    headers: dict[str, str]
    signing: Signing
    addresses: Addresses
    verify: ssl.SSLContext
    timeout: float
    unsigned: bool = False
    whoami: bool = False
    ask_aws: bool = False

    def __repr__(self) -> str:
        # Headers and query are the user's, and may hold secrets.
        return f"Question({self.method!r}, {self.url.host!r})"


def examination(asked: Question) -> Iterator[Finding]:
    """One finding for each check."""
    provider = asked.signing.provider()
    auth = asked.signing.auth(provider)
    place = _place_of(asked)
    credentials = None
    if asked.unsigned:
        yield Finding.skipped("credentials", _UNSIGNED)
    else:
        finding, credentials = about_credentials(provider, asked.signing)
        if credentials and asked.whoami:
            finding = _with_identity(finding, credentials, asked, auth)
        yield finding
    name, addresses, managed = about_name(place)
    if asked.ask_aws and credentials:
        name, managed = known_to_aws(name, place.host, managed, provider, asked.signing.region)
    if asked.unsigned:
        region = Finding.skipped("region", _UNSIGNED)
    else:
        region = about_region(asked.url.host, asked.signing, auth, managed)
    yield region
    if proxy_of(asked.url):
        name = resolved_by_proxy(name)
    yield name
    way = list(_way(asked, place, addresses))
    yield from way
    if any(finding.fault for finding in (name, *way)):
        yield about_clock(None)
        yield Finding.skipped("call", "It would not get there.")
        return
    signs = credentials is not None and region.fault != "no region"
    yield from _called(asked, auth if signs else None, managed)


_UNSIGNED = "Nothing is to be signed."


def _way(asked: Question, place: Place, addresses: list[Address]) -> Iterator[Finding]:
    """Connection and TLS."""
    proxy = proxy_of(asked.url)
    if proxy:
        yield about_proxy(proxy, lambda: _transport(asked, {}), asked.url.host, asked.timeout)
        yield Finding.skipped("TLS", "What is beyond the proxy cannot be seen.")
        return
    if not addresses:
        yield Finding.skipped("connection", "There is no address to connect to.")
        yield Finding.skipped("TLS", "There is no connection.")
        return
    finding, taking = about_connection(place, addresses, asked.timeout)
    yield finding
    if asked.url.scheme != "https":
        yield Finding.skipped("TLS", "The URL begins with http://.")
    elif not taking:
        yield Finding.skipped("TLS", "There is no connection.")
    else:
        yield about_tls(place, taking, asked.verify, asked.timeout)


def _with_identity(finding: Finding, credentials: Any, asked: Question, auth: Any) -> Finding:
    region = region_signed_for(auth, asked.url.host).split(",")[0]
    who = who_am_i(credentials, "us-east-1" if "*" in region else region)
    text = f"{finding.text.rstrip('.')}; {who}."
    return finding._replace(text=text, details={**finding.details, "whoami": who})


def _place_of(asked: Question) -> Place:
    host, port = asked.url.host, asked.url.port or PORTS[asked.url.scheme]
    connect = leads_to(asked.addresses.connect_to, host, port)
    led_by = None if connect is None else asked.addresses.led_by
    return Place(host, connect or (host, port), led_by)


def _called(asked: Question, auth: Any, managed: str | None) -> Iterator[Finding]:
    """The clock and the call; without an auth object, an unsigned call tells the time at least."""
    caller = Caller(
        lambda: _transport(asked, asked.addresses.connect_to),
        asked.method,
        asked.url,
        asked.headers,
    )
    try:
        answer = caller.call(auth)
    except Exception as error:
        finding = broken_off(error, asked.url.host, proxy_of(asked.url))
        if finding is None:
            raise
        yield about_clock(None)
        yield finding
        return
    yield about_clock(answer)
    if auth is None and not asked.unsigned:
        yield Finding.skipped("call", f"There is nothing to sign with (unsigned: {answer.status}).")
        return
    case = Case(
        caller=caller,
        answer=answer,
        auth=lambda **changes: asked.signing.auth(asked.signing.provider(), **changes),
        service=asked.signing.service,
        managed=managed if managed != asked.url.host else None,
        at_managed=_by_managed_name(asked, auth, managed),
    )
    yield about_call(case)


def _by_managed_name(asked: Question, auth: Any, managed: str | None) -> Callable[[], Answer]:
    """The same call by the name that Lattice gave the service, at the same place."""
    place = _place_of(asked)

    def call() -> Answer:
        url = asked.url.copy_with(host=managed)
        led = {("", 0): place.connect}
        caller = Caller(lambda: _transport(asked, led), asked.method, url, asked.headers)
        return caller.call(auth)

    return call


def _transport(asked: Question, connect_to: Any) -> Sending:
    return Sending(
        proxy=proxy_of(asked.url),
        verify=asked.verify,
        connect_to=connect_to,
        deadline=Deadline(asked.timeout),
        connect_timeout=asked.timeout,
    )
