"""All checks in order."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from lattice_client.cli.addresses import Addresses
from lattice_client.cli.doctor.calls import Answer, Prober, check_clock, no_answer
from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.doctor.identity import (
    check_credentials,
    check_region,
    region_signed_for,
    who_am_i,
)
from lattice_client.cli.doctor.network import (
    Address,
    Peer,
    check_connection,
    check_name,
    check_name_in_aws,
    check_tls,
)
from lattice_client.cli.doctor.proxy import check_proxy, name_behind_proxy
from lattice_client.cli.doctor.refusals import Evidence, check_call
from lattice_client.cli.doctor.unsigned import with_reason_for_no_signature
from lattice_client.cli.proxies import proxy_of
from lattice_client.cli.signing_options import Signing
from lattice_client.cli.transport import PORTS, Deadline, Transport, connect_address

if TYPE_CHECKING:
    import httpx

__all__ = ["CheckOptions", "run_checks"]


class CheckOptions(NamedTuple):
    """The options of ``lattice-client doctor``."""

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
        # The user's headers and query may contain secrets.
        return f"CheckOptions({self.method!r}, {self.url.host!r})"


def run_checks(options: CheckOptions) -> Iterator[Finding]:
    """Run the checks, and yield one finding for each."""
    provider = options.signing.provider()
    auth = options.signing.auth(provider)
    peer = _peer_of(options)
    credentials = None
    if options.unsigned:
        yield Finding.skipped("credentials", _UNSIGNED)
    else:
        finding, credentials = check_credentials(provider, options.signing)
        if credentials and options.whoami:
            finding = _with_identity(finding, credentials, options, auth)
        yield finding
    name, addresses, managed = check_name(peer)
    if options.ask_aws and credentials:
        name, managed = check_name_in_aws(
            name, peer.host, managed, provider, options.signing.region
        )
    if options.unsigned:
        region = Finding.skipped("region", _UNSIGNED)
    else:
        region = check_region(options.url.host, options.signing, auth, managed)
    yield region
    if proxy_of(options.url):
        name = name_behind_proxy(name)
    elif not (options.unsigned or name.fault):
        name = with_reason_for_no_signature(name, peer, addresses, options.timeout)
    yield name
    on_the_way = list(_check_connection(options, peer, addresses))
    yield from on_the_way
    if any(finding.fault for finding in (name, *on_the_way)):
        yield check_clock(None)
        yield Finding.skipped("call", "It would not reach the service.")
        return
    can_sign = credentials is not None and region.fault != "no region"
    yield from _check_clock_and_call(options, auth if can_sign else None, managed)


_UNSIGNED = "The call is not signed (--unsigned)."


def _check_connection(
    options: CheckOptions, peer: Peer, addresses: list[Address]
) -> Iterator[Finding]:
    """Check connection and TLS."""
    proxy = proxy_of(options.url)
    if proxy:
        yield check_proxy(proxy, lambda: _transport(options, {}), options.url.host, options.timeout)
        yield Finding.skipped("TLS", "It cannot be checked through a proxy.")
        return
    if not addresses:
        yield Finding.skipped("connection", "There is no address to connect to.")
        yield Finding.skipped("TLS", "There is no connection.")
        return
    finding, taking = check_connection(peer, addresses, options.timeout)
    yield finding
    if options.url.scheme != "https":
        yield Finding.skipped("TLS", "The URL begins with http://.")
    elif not taking:
        yield Finding.skipped("TLS", "There is no connection.")
    else:
        yield check_tls(peer, taking, options.verify, options.timeout)


def _with_identity(finding: Finding, credentials: Any, options: CheckOptions, auth: Any) -> Finding:
    region = region_signed_for(auth, options.url.host).split(",")[0]
    who = who_am_i(credentials, "us-east-1" if not region or "*" in region else region)
    text = f"{finding.text.rstrip('.')}; {who}."
    return finding._replace(text=text, details={**finding.details, "whoami": who})


def _peer_of(options: CheckOptions) -> Peer:
    host, port = options.url.host, options.url.port or PORTS[options.url.scheme]
    connect = connect_address(options.addresses.connect_to, host, port)
    routed_by = None if connect is None else options.addresses.routed_by
    return Peer(host, connect or (host, port), routed_by)


def _check_clock_and_call(
    options: CheckOptions, auth: Any, managed: str | None
) -> Iterator[Finding]:
    """Check the clock and the call. Without an auth object, an unsigned call checks the clock."""
    prober = Prober(
        lambda: _transport(options, options.addresses.connect_to),
        options.method,
        options.url,
        options.headers,
    )
    try:
        answer = prober.call(auth)
    except Exception as error:
        finding = no_answer(error, options.url.host, proxy_of(options.url))
        if finding is None:
            raise
        yield check_clock(None)
        yield finding
        return
    yield check_clock(answer)
    if auth is None and not options.unsigned:
        yield Finding.skipped("call", f"There is nothing to sign with (unsigned: {answer.status}).")
        return
    evidence = Evidence(
        prober=prober,
        answer=answer,
        auth=lambda **changes: options.signing.auth(options.signing.provider(), **changes),
        service=options.signing.service,
        managed=managed if managed != options.url.host else None,
        at_managed=_by_managed_name(options, auth, managed),
    )
    yield check_call(evidence)


def _by_managed_name(options: CheckOptions, auth: Any, managed: str | None) -> Callable[[], Answer]:
    """A function that makes the same call by the managed name, at the same address."""
    peer = _peer_of(options)

    def call() -> Answer:
        url = options.url.copy_with(host=managed)
        connect_to = {("", 0): peer.connect}
        prober = Prober(
            lambda: _transport(options, connect_to), options.method, url, options.headers
        )
        return prober.call(auth)

    return call


def _transport(options: CheckOptions, connect_to: Any) -> Transport:
    return Transport(
        proxy=proxy_of(options.url),
        verify=options.verify,
        connect_to=connect_to,
        deadline=Deadline(options.timeout),
        connect_timeout=options.timeout,
    )
