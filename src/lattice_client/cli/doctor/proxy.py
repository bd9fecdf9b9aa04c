"""The check of the proxy."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.failures import Failure
from lattice_client.cli.proxies import Proxy

if TYPE_CHECKING:
    import httpx

__all__ = ["check_proxy", "name_behind_proxy"]


def check_proxy(
    proxy: Proxy, transport: Callable[[], httpx.BaseTransport], host: str, timeout: float
) -> Finding:
    """Check that a proxy's URL is valid, and that it accepts connections.

    :param transport: makes a transport that goes through it.
    :param host: the host to call through it.
    """
    try:
        transport().close()
        socket.create_connection(proxy.address or ("", 0), timeout).close()
    except Failure as failure:
        why = failure.text
    except socket.gaierror as error:
        why = f"{proxy} does not resolve: {error.strerror}."
    except OSError as error:
        why = f"{proxy} accepts no connection: {error.strerror or 'not in time'}."
    else:
        return Finding.warning("connection", f"It goes through {proxy}.", proxy_by=proxy.by)
    return Finding.of_fault(
        "connection", "unusable proxy", why, proxy.remedy(host), proxy_by=proxy.by
    )


def name_behind_proxy(name: Finding) -> Finding:
    """The finding about a name that a proxy resolves itself: a failure here does not matter."""
    if not name.fault:
        return name
    return Finding.warning("name", f"{name.text} The proxy resolves it itself.")
