"""The checks of name, connection and TLS."""

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
from lattice_client.cli.doctor.identity import duration
from lattice_client.credentials import CredentialsProvider
from lattice_client.errors import LatticeClientError
from lattice_client.names import LatticeNames, Names, Route53Names, region_of
from lattice_client.names.managed import hint_of
from lattice_client.names.unsigned import is_resource

__all__ = [
    "Address",
    "Peer",
    "check_connection",
    "check_name",
    "check_name_in_aws",
    "check_tls",
    "is_managed",
]

# "Managed prefix lists" and "VPC Lattice service networks", VPC Lattice User Guide.
_LATTICE = (ipaddress.ip_network("169.254.171.0/24"), ipaddress.ip_network("fd00:ec2:80::/64"))
_FAMILIES: dict[int, str] = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
_ALMOST_EXPIRED = 14 * 86_400
# OpenSSL's X509_V_ERR_… ("X509_STORE_CTX_get_error", its manual).
_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_MISMATCH = 10, 62, 64

Address = tuple[int, str]


class Peer(NamedTuple):
    """The server that a call connects to.

    :param host: the name in Host, SNI and certificate.
    :param connect: the name or address, and the port, to connect to.
    :param routed_by: what sets ``connect``, if anything does.
    """

    host: str
    connect: tuple[str, int]
    routed_by: str | None

    @property
    def text(self) -> str:
        name, port = self.connect
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def is_managed(host: str) -> bool:
    """Whether a name is a managed name of Lattice."""
    return bool(region_of(host)) and re.search(r"\.vpc-lattice-(svcs|rsc)\.", host) is not None


# Name


def check_name(peer: Peer) -> tuple[Finding, list[Address], str | None]:
    """Resolve the name. Also returns its addresses, and the managed name if DNS shows it."""
    name, port = peer.connect
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
    except (socket.gaierror, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not a host name"
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
    managed = next((one for one in (peer.host, canonical) if is_managed(one)), None)
    text = f"{_what(peer, canonical, addresses)} at {_listed(one for _, one in addresses)}"
    details = {
        "addresses": [address for _, address in addresses],
        "canonical_name": canonical,
        "managed_name": managed,
        "lattice_addresses": all(_of_lattice(address) for _, address in addresses),
    }
    return Finding.ok("name", f"{text}{_whose(peer, addresses)}.", **details), addresses, managed


def _what(peer: Peer, canonical: str, addresses: list[Address]) -> str:
    host = peer.host
    if peer.routed_by:
        what = f"which connects to {peer.text}, set by {peer.routed_by}"
    elif is_managed(host):
        endpoint = host.startswith("vpce-")
        what = "the name of a service-network endpoint" if endpoint else "a managed name"
        what = "the name of a resource" if is_resource(host) else what
    elif canonical != host:
        known = "" if is_managed(canonical) else " (which is not a managed name)"
        what = f"a CNAME of {canonical}{known}"
    elif host == "localhost" or host in (address for _, address in addresses):
        what = "which is not a name of Lattice's"
    else:
        what = "a name of yours (a custom domain of the service, or an alias)"
    return f"{host}, {what},"


def _whose(peer: Peer, addresses: list[Address]) -> str:
    if peer.routed_by:
        return ""
    if all(_of_lattice(address) for _, address in addresses):
        return ", which are Lattice's addresses"
    if all(ipaddress.ip_address(address).is_loopback for _, address in addresses):
        return ", which is this machine"
    return (
        ", which are not Lattice's link-local ones: a service-network endpoint, something in "
        "front of Lattice, or not Lattice"
    )


def _of_lattice(address: str) -> bool:
    return any(ipaddress.ip_address(address.partition("%")[0]) in network for network in _LATTICE)


def _listed(words: Iterator[str]) -> str:
    return ", ".join(words)


def check_name_in_aws(
    finding: Finding,
    host: str,
    managed: str | None,
    provider: CredentialsProvider,
    region: str | None,
) -> tuple[Finding, str | None]:
    """Add what Route 53 and VPC Lattice know about the name, which DNS may not show. Also returns
    the managed name."""
    regions = [region] if region else []
    names = Names(
        Route53Names(credentials=provider, region=region),
        LatticeNames(credentials=provider, regions=regions),
        patience=20,
    )
    try:
        endpoint = names.resolve(host)
    except LatticeClientError as error:
        text = f"{finding.text} AWS adds nothing: {error}."
        return finding._replace(text=text), managed
    if not endpoint.is_lattice or endpoint.managed_name is None:
        return finding._replace(text=f"{finding.text} AWS knows no service of this name."), managed
    what = "a custom domain of" if endpoint.host == host else "only an alias of"
    if endpoint.managed_name == host:
        what = "the managed name of"
    service = endpoint.service_arn or endpoint.managed_name
    details = {
        **finding.details,
        "managed_name": endpoint.managed_name,
        "service_arn": endpoint.service_arn,
    }
    text = f"{finding.text} According to {endpoint.source}, it is {what} {service}."
    return finding._replace(text=text, details=details), endpoint.managed_name


# Connection


def check_connection(
    peer: Peer, addresses: list[Address], timeout: float
) -> tuple[Finding, list[Address]]:
    """Connect to each address. Also returns the addresses that accept a connection."""
    results, reachable = [], []
    for family, address in addresses:
        began = time.perf_counter()
        try:
            with socket.create_connection((address, peer.connect[1]), timeout):
                took = (time.perf_counter() - began) * 1e3
        except OSError as error:
            why = "no answer" if isinstance(error, TimeoutError) else error.strerror or "failed"
            results.append((family, address, why.lower()))
        else:
            results.append((family, address, f"connected in {took:.0f} ms"))
            reachable.append((family, address))
    port = peer.connect[1]
    text = "; ".join(f"{_FAMILIES[family]} {address}: {what}" for family, address, what in results)
    text += f" (port {port})."
    details = {"port": port, "addresses": {address: what for _, address, what in results}}
    if not reachable:
        step = (
            "Check that this VPC is associated with the service network, that the association's "
            f"security groups let you in, and that the service has a listener at port {port}."
        )
        return Finding.of_fault("connection", "unreachable", text, step, **details), []
    closed = {family for family, _ in addresses} - {family for family, _ in reachable}
    if closed:
        families = _listed(_FAMILIES[family] for family in closed)
        step = f"{families} does not work here: clients that try it first lose time."
        return Finding.warning("connection", text, step, **details), reachable
    return Finding.ok("connection", text, **details), reachable


# TLS


def check_tls(
    peer: Peer, addresses: list[Address], context: ssl.SSLContext, timeout: float
) -> Finding:
    """Make a handshake with one address of each family."""
    by_family: dict[str, Finding] = {}
    for family, address in addresses:
        if _FAMILIES[family] not in by_family:
            finding = _handshake(peer, address, context, timeout)
            if finding.status == "fault":
                return finding
            by_family[_FAMILIES[family]] = finding
    first = next(iter(by_family.values()))
    return first._replace(details={"families": sorted(by_family), **first.details})


def _handshake(peer: Peer, address: str, context: ssl.SSLContext, timeout: float) -> Finding:
    host = peer.host
    try:
        with (
            socket.create_connection((address, peer.connect[1]), timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            version = str(tls.version())
            certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        return _not_accepted(peer, address, error, timeout)
    except ssl.SSLError as error:
        reason = (error.reason or "it failed").replace("_", " ").lower()
        return Finding.of_fault(
            "TLS",
            "no TLS",
            f"No TLS at {peer.text}: {reason}.",
            "For an HTTP listener, the URL begins with http://.",
        )
    except OSError as error:
        why = error.strerror or "it broke off"
        return Finding.of_fault(
            "TLS",
            "no TLS",
            f"The handshake with {peer.text} failed: {why}.",
            "Check what is in between; Lattice requires TLS 1.2 or 1.3, and SNI.",
        )
    expires = certificate.not_valid_after_utc
    left = (expires - datetime.now(UTC)).total_seconds()
    names = _names(certificate)
    text = f"{version}; the certificate is for {_listed_names(names)}, until {expires:%Y-%m-%d}"
    details = {
        "version": version,
        "names": names,
        "expires_at": expires.isoformat(),
    }
    if context.verify_mode == ssl.CERT_NONE:
        return Finding.warning(
            "TLS", f"{text}; it has not been verified.", "Leave out -k.", **details
        )
    if left < _ALMOST_EXPIRED:
        step = "Check that it will be renewed."
        return Finding.warning("TLS", f"{text}, {duration(left)} from now.", step, **details)
    return Finding.ok("TLS", f"{text}.", **details)


def _not_accepted(
    peer: Peer, address: str, error: ssl.SSLCertVerificationError, timeout: float
) -> Finding:
    host, certificate = peer.host, _unverified(peer, address, timeout)
    names = _names(certificate) if certificate else []
    details = {"names": names, "why": error.verify_message}
    if error.verify_code in (_HOSTNAME_MISMATCH, _IP_MISMATCH):
        if names and all(map(is_managed, names)) and not is_managed(host):
            return Finding.of_fault(
                "TLS",
                "alias without custom domain",
                f"{host} leads to Lattice, whose certificate is for {_listed_names(names)}: "
                "Lattice does not know the name as a service's custom domain.",
                "Give the service this custom domain, with a certificate for it in ACM; or call "
                f"the managed name: --resolve {host}=MANAGED-NAME.",
                **details,
            )
        return Finding.of_fault(
            "TLS",
            "TLS name mismatch",
            f"The certificate is for {_listed_names(names) or 'other names'}, and not for {host}.",
            "A custom domain needs its own certificate in ACM, selected at the service. Or the "
            "name leads to the wrong place.",
            **details,
        )
    if error.verify_code == _CERT_HAS_EXPIRED:
        until = f" on {certificate.not_valid_after_utc:%Y-%m-%d}" if certificate else ""
        return Finding.of_fault(
            "TLS",
            "certificate expired",
            f"The certificate of {host} expired{until}.",
            "Renew it in ACM, or check this machine's clock.",
            **details,
        )
    return Finding.of_fault(
        "TLS",
        "certificate not trusted",
        f"The certificate of {host} is not trusted here: {error.verify_message}.",
        "--cacert FILE names the authority to trust, if it is your own; otherwise something in "
        "between intercepts TLS.",
        **details,
    )


def _unverified(peer: Peer, address: str, timeout: float) -> x509.Certificate | None:
    """The certificate without verification, only to explain why it was not accepted."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        suppress(OSError, ValueError),
        socket.create_connection((address, peer.connect[1]), timeout) as plain,
        context.wrap_socket(plain, server_hostname=peer.host) as tls,
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


_MAX_LISTED = 3


def _listed_names(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
