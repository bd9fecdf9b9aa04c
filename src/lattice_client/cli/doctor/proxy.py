"""The proxy on the way."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.failures import Failure
from lattice_client.cli.proxies import Proxy

if TYPE_CHECKING:
    import httpx

__all__ = ["about_proxy", "resolved_by_proxy"]


def about_proxy(
    proxy: Proxy, transport: Callable[[], httpx.BaseTransport], host: str, timeout: float
) -> Finding:
    """Whether a proxy is one, and takes connections.

    :param transport: gives one that goes through it.
    :param host: what is called by way of it.
    """
    try:
        transport().close()
        socket.create_connection(proxy.place or ("", 0), timeout).close()
    except Failure as failure:
        why = failure.text
    except socket.gaierror as error:
        why = f"{proxy} does not resolve: {error.strerror}."
    except OSError as error:
        why = f"{proxy} takes no connection: {error.strerror or 'not in time'}."
    else:
        return Finding.warning("connection", f"It goes through {proxy}.", proxy_by=proxy.by)
    return Finding.of_fault(
        "connection", "unusable proxy", why, proxy.remedy(host), proxy_by=proxy.by
    )


def resolved_by_proxy(name: Finding) -> Finding:
    """What DNS says of the name, where a proxy asks for itself."""
    if not name.fault:
        return name
    return Finding.warning("name", f"{name.text} The proxy asks for itself.")
