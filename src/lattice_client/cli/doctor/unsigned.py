"""Whether an auth object would sign for the name at all."""

from __future__ import annotations

import ipaddress

from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.doctor.network import Address, Peer
from lattice_client.errors import LatticeClientError
from lattice_client.names import Names
from lattice_client.names.unsigned import Unsigned, by_names, by_spelling, unsignable

__all__ = ["with_reason_for_no_signature"]


def with_reason_for_no_signature(
    finding: Finding, peer: Peer, addresses: list[Address], timeout: float
) -> Finding:
    """The finding on a name, with why no request to it is signed, or none with ``names=Names()``.

    :param timeout: seconds to wait for names.
    """
    kind = unsignable(peer.host)
    if kind:
        unsigned = by_spelling(peer.host, kind)
        text = f"{finding.text} LatticeAuth() does not sign for it: {unsigned.why}."
        details = {**finding.details, "unsigned": unsigned.reason}
        step = f"{unsigned.advice[0].upper()}{unsigned.advice[1:]}."
        return Finding.warning("name", text, step, **details)
    barred = _barred_by_names(peer, addresses, timeout)
    if barred is None:
        return finding
    text = f"{finding.text} With names=Names(), {barred}."
    return finding._replace(text=text, details={**finding.details, "unsigned": barred.reason})


def _barred_by_names(peer: Peer, addresses: list[Address], timeout: float) -> Unsigned | None:
    """Why the usual names bar a name from being signed for; None if they do not, or if an option or
    this machine is in their place."""
    if peer.routed_by or not addresses or all(map(_is_this_machine, addresses)):
        return None
    try:
        endpoint = Names(patience=timeout).resolve(peer.host)
    except LatticeClientError:
        return None  # the check of the name has looked it up too
    return None if endpoint.is_lattice else by_names(peer.host, endpoint)


def _is_this_machine(address: Address) -> bool:
    return ipaddress.ip_address(address[1].partition("%")[0]).is_loopback
