"""Name, connection and TLS."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509

from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.doctor.identity import in_words
from lattice_client.credentials import CredentialsProvider
from lattice_client.errors import LatticeClientError
from lattice_client.names import LatticeNames, Names, Route53Names, region_of
from lattice_client.names.managed import hint_of

__all__ = [
    "Address",
    "Place",
    "about_connection",
    "about_name",
    "about_tls",
    "is_managed",
    "known_to_aws",
]

# "Managed prefix lists" and "VPC Lattice service networks", VPC Lattice User Guide.
_LATTICE = (ipaddress.ip_network("169.254.171.0/24"), ipaddress.ip_network("fd00:ec2:80::/64"))
_FAMILIES: dict[int, str] = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
_ALMOST_EXPIRED = 14 * 86_400
# OpenSSL's X509_V_ERR_… ("X509_STORE_CTX_get_error", its manual).
_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_MISMATCH = 10, 62, 64

Address = tuple[int, str]


class Place(NamedTuple):
    """Where a call goes.

    :param host: in Host, SNI and certificate.
    :param connect: the name or address, and the port, to connect to.
    :param led_by: who says so, if anybody does.
    """

    host: str
    connect: tuple[str, int]
    led_by: str | None

    @property
    def text(self) -> str:
        name, port = self.connect
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def is_managed(host: str) -> bool:
    """Whether a name is one that Lattice itself gives."""
    return bool(region_of(host)) and re.search(r"\.vpc-lattice-(svcs|rsc)\.", host) is not None


# Name


def about_name(place: Place) -> tuple[Finding, list[Address], str | None]:
    """What DNS says, and the managed name where it shows in there."""
    name, port = place.connect
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no host name"
        step = (
            "Lattice's names resolve everywhere: check its spelling, and that the service exists."
            if is_managed(name)
            else "Check the spelling, and whether this VPC is associated with the private hosted "
            "zone that the name is in."
        )
        finding = Finding.of_fault(
            "name", "name does not resolve", f"{name} does not resolve: {why}{hint_of(name)}.", step
        )
        return finding, [], None
    addresses = list(dict.fromkeys((int(entry[0]), str(entry[4][0])) for entry in found))
    canonical = next((entry[3].rstrip(".").lower() for entry in found if entry[3]), name)
    managed = next((one for one in (place.host, canonical) if is_managed(one)), None)
    text = f"{_what(place, canonical, addresses)} at {_listed(one for _, one in addresses)}"
    details = {
        "addresses": [address for _, address in addresses],
        "canonical_name": canonical,
        "managed_name": managed,
        "lattice_addresses": all(_of_lattice(address) for _, address in addresses),
    }
    return Finding.fine("name", f"{text}{_whose(place, addresses)}.", **details), addresses, managed


def _what(place: Place, canonical: str, addresses: list[Address]) -> str:
    host = place.host
    if place.led_by:
        what = f"which is led to {place.text} by {place.led_by}"
    elif is_managed(host):
        endpoint = host.startswith("vpce-")
        what = "the name of a service-network endpoint" if endpoint else "a name that Lattice gives"
    elif canonical != host:
        known = "" if is_managed(canonical) else " (which is none of Lattice's names)"
        what = f"a CNAME of {canonical}{known}"
    elif host == "localhost" or host in (address for _, address in addresses):
        what = "no name of Lattice's"
    else:
        what = "a name of your own (a custom domain of the service, or an alias)"
    return f"{host}, {what},"


def _whose(place: Place, addresses: list[Address]) -> str:
    if place.led_by:
        return ""
    if all(_of_lattice(address) for _, address in addresses):
        return ", which are Lattice's own addresses"
    if all(ipaddress.ip_address(address).is_loopback for _, address in addresses):
        return ", which is this machine"
    return (
        ", which are not Lattice's link-local ones: a service-network endpoint, something in "
        "front, or no Lattice at all"
    )


def _of_lattice(address: str) -> bool:
    return any(ipaddress.ip_address(address.partition("%")[0]) in network for network in _LATTICE)


def _listed(words: Iterator[str]) -> str:
    return ", ".join(words)


def known_to_aws(
    finding: Finding,
    host: str,
    managed: str | None,
    provider: CredentialsProvider,
    region: str | None,
) -> tuple[Finding, str | None]:
    """The finding on a name with what Route 53 and VPC Lattice know of it, which DNS may not show;
    and the managed name."""
    regions = [region] if region else []
    names = Names(
        Route53Names(credentials=provider, region=region),
        LatticeNames(credentials=provider, regions=regions),
        patience=20,
    )
    try:
        endpoint = names.resolve(host)
    except LatticeClientError as error:
        text = f"{finding.text} AWS does not tell more: {error}."
        return finding._replace(text=text), managed
    if not endpoint.is_lattice or endpoint.managed_name is None:
        return finding._replace(text=f"{finding.text} AWS knows it for no service."), managed
    what = "a custom domain of" if endpoint.host == host else "only an alias of"
    if endpoint.managed_name == host:
        what = "the managed name of"
    service = endpoint.service_arn or endpoint.managed_name
    details = {
        **finding.details,
        "managed_name": endpoint.managed_name,
        "service_arn": endpoint.service_arn,
    }
    text = f"{finding.text} By {endpoint.source} it is {what} {service}."
    return finding._replace(text=text, details=details), endpoint.managed_name


# Connection


def about_connection(
    place: Place, addresses: list[Address], timeout: float
) -> tuple[Finding, list[Address]]:
    """A connection to each address; those that take one."""
    said, open_ones = [], []
    for family, address in addresses:
        began = time.perf_counter()
        try:
            with socket.create_connection((address, place.connect[1]), timeout):
                took = (time.perf_counter() - began) * 1e3
        except OSError as error:
            why = "no answer" if isinstance(error, TimeoutError) else error.strerror or "failed"
            said.append((family, address, why.lower()))
        else:
            said.append((family, address, f"connected in {took:.0f} ms"))
            open_ones.append((family, address))
    port = place.connect[1]
    text = "; ".join(f"{_FAMILIES[family]} {address}: {what}" for family, address, what in said)
    text += f" (port {port})."
    details = {"port": port, "addresses": {address: what for _, address, what in said}}
    if not open_ones:
        step = (
            "See that this VPC is associated with the service network, that the association's "
            f"security groups let you in, and that the service has a listener at port {port}."
        )
        return Finding.of_fault("connection", "unreachable", text, step, **details), []
    closed = {family for family, _ in addresses} - {family for family, _ in open_ones}
    if closed:
        families = _listed(_FAMILIES[family] for family in closed)
        step = f"{families} is of no use here: clients that try it first lose time."
        return Finding.warning("connection", text, step, **details), open_ones
    return Finding.fine("connection", text, **details), open_ones


# TLS


def about_tls(
    place: Place, addresses: list[Address], context: ssl.SSLContext, timeout: float
) -> Finding:
    """A handshake with one address of each family."""
    said: dict[str, Finding] = {}
    for family, address in addresses:
        if _FAMILIES[family] not in said:
            finding = _handshake(place, address, context, timeout)
            if finding.status == "fault":
                return finding
            said[_FAMILIES[family]] = finding
    return next(iter(said.values()))._replace(
        details={"families": sorted(said), **next(iter(said.values())).details}
    )


def _handshake(place: Place, address: str, context: ssl.SSLContext, timeout: float) -> Finding:
    host = place.host
    try:
        with (
            socket.create_connection((address, place.connect[1]), timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            version = str(tls.version())
            certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        return _not_accepted(place, address, error, timeout)
    except ssl.SSLError as error:
        reason = (error.reason or "it failed").replace("_", " ").lower()
        return Finding.of_fault(
            "TLS",
            "no TLS",
            f"No TLS at {place.text}: {reason}.",
            "If the listener is an HTTP one, the URL begins with http://.",
        )
    except OSError as error:
        why = error.strerror or "it broke off"
        return Finding.of_fault(
            "TLS",
            "no TLS",
            f"The handshake with {place.text} failed: {why}.",
            "See what stands between; Lattice wants TLS 1.2 or 1.3, and SNI.",
        )
    expires = certificate.not_valid_after_utc
    left = (expires - datetime.now(UTC)).total_seconds()
    text = (
        f"{version}; the certificate is for {_shown(_names(certificate))}, until {expires:%Y-%m-%d}"
    )
    details = {
        "version": version,
        "names": _names(certificate),
        "expires_at": expires.isoformat(),
    }
    if context.verify_mode == ssl.CERT_NONE:
        return Finding.warning("TLS", f"{text}; nobody has checked it.", "Leave -k out.", **details)
    if left < _ALMOST_EXPIRED:
        step = "See that it is renewed."
        return Finding.warning("TLS", f"{text}, {in_words(left)} from now.", step, **details)
    return Finding.fine("TLS", f"{text}.", **details)


def _not_accepted(
    place: Place, address: str, error: ssl.SSLCertVerificationError, timeout: float
) -> Finding:
    host, certificate = place.host, _unverified(place, address, timeout)
    names = _names(certificate) if certificate else []
    details = {"names": names, "why": error.verify_message}
    if error.verify_code in (_HOSTNAME_MISMATCH, _IP_MISMATCH):
        if names and all(map(is_managed, names)) and not is_managed(host):
            return Finding.of_fault(
                "TLS",
                "alias without custom domain",
                f"{host} leads to Lattice, whose certificate is for {_shown(names)}: Lattice does "
                "not know the name as a service's custom domain.",
                "Give the service this custom domain, with a certificate for it in ACM; or call "
                f"the managed name: --resolve {host}=MANAGED-NAME.",
                **details,
            )
        return Finding.of_fault(
            "TLS",
            "TLS name mismatch",
            f"The certificate is for {_shown(names) or 'other names'}, and not for {host}.",
            "A custom domain needs a certificate of its own in ACM, chosen at the service; or the "
            "name leads to something else than it should.",
            **details,
        )
    if error.verify_code == _CERT_HAS_EXPIRED:
        until = f" on {certificate.not_valid_after_utc:%Y-%m-%d}" if certificate else ""
        return Finding.of_fault(
            "TLS",
            "certificate expired",
            f"The certificate of {host} expired{until}.",
            "Renew it in ACM, or see whether this machine's clock is right.",
            **details,
        )
    return Finding.of_fault(
        "TLS",
        "certificate not trusted",
        f"The certificate of {host} is not trusted here: {error.verify_message}.",
        "--cacert FILE names the authority to trust, if it is your own; else something stands "
        "between that opens TLS.",
        **details,
    )


def _unverified(place: Place, address: str, timeout: float) -> x509.Certificate | None:
    """The certificate, whoever made it: to tell what is wrong with it, and for nothing else."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        suppress(OSError, ValueError),
        socket.create_connection((address, place.connect[1]), timeout) as plain,
        context.wrap_socket(plain, server_hostname=place.host) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    return None


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


_MANY = 3


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more
