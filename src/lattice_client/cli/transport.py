"""The transport below the signing one: it shows each attempt to observers, and connects to another
address if an option says so."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import certifi
import httpx

from lattice_client.cli.failures import READ, TIMEOUT, USAGE, Failure
from lattice_client.cli.proxies import Proxy

__all__ = [
    "PORTS",
    "Deadline",
    "Transport",
    "WireObserver",
    "connect_address",
    "peer_address",
    "tls_context",
]

PORTS = {"http": 80, "https": 443}


class WireObserver(Protocol):
    """Is called for each event on the wire."""

    def connected(self, stream: Any) -> None: ...
    def sent(self, request: httpx.Request) -> None: ...
    def headers_started(self) -> None: ...
    def received(self, response: httpx.Response) -> None: ...


class Deadline:
    """When a command must have ended.

    :param seconds: from now on; None: no limit.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """The seconds that remain; None without a limit.

        :raises Failure: if none remain.
        """
        if self._end is None:
            return None
        remaining = self._end - time.monotonic()
        if remaining <= 0:
            raise Failure(TIMEOUT, f"The call took longer than {self._seconds:g} s (--max-time).")
        return remaining


class Transport(httpx.BaseTransport):
    """:param connect_to: where to connect instead, by host and port, as curl's --connect-to.
    :param proxy: the proxy to go through.
    :param observers: called for each event on the wire.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext,
        connect_to: Mapping[tuple[str, int], tuple[str, int]],
        proxy: Proxy | None = None,
        deadline: Deadline,
        connect_timeout: float | None = None,
        observers: tuple[WireObserver, ...] = (),
    ) -> None:
        try:
            self._inner = httpx.HTTPTransport(
                verify=verify, proxy=proxy.url if proxy else None, trust_env=False
            )
        except (ImportError, ValueError, httpx.InvalidURL):
            raise Failure(
                USAGE, f"{proxy} is not an HTTP proxy of the form http://HOST:PORT."
            ) from None
        self._proxy = proxy
        self._connect_to = connect_to
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._observers = observers
        #: The proxy, until it is connected.
        self.connecting_proxy: Proxy | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for observer in self._observers:
            observer.sent(request)
        self.connecting_proxy = self._proxy
        response = self._inner.handle_request(self._routed(request))
        for observer in self._observers:
            observer.received(response)
        return response

    def _routed(self, request: httpx.Request) -> httpx.Request:
        timeout = self._timeout()
        extensions = {
            **request.extensions,
            "timeout": timeout,
            "trace": partial(self._trace, timeout),
        }
        url = request.url
        host, port = url.host, url.port or PORTS[url.scheme]
        address = connect_address(self._connect_to, host, port)
        if address is not None:
            url = url.copy_with(host=address[0], port=address[1])
            # Host is already in the headers; SNI and the certificate check need the name too.
            extensions["sni_hostname"] = host
        return httpx.Request(
            request.method,
            url,
            headers=request.headers,
            stream=request.stream,
            extensions=extensions,
        )

    def _timeout(self) -> dict[str, float | None]:
        remaining = self._deadline.remaining()
        connect = min(filter(None, (remaining, self._connect_timeout)), default=None)
        return {"connect": connect, "read": remaining, "write": remaining, "pool": remaining}

    def _trace(self, timeout: dict[str, float | None], event: str, details: dict[str, Any]) -> None:
        if event.endswith((".started", ".complete")):
            # httpcore reads them again for each part of a request. A trace function must not raise.
            with suppress(Failure):
                timeout.update(self._timeout())
        if event not in ("connection.connect_tcp.started", "connection.connect_tcp.failed"):
            self.connecting_proxy = None
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            for observer in self._observers:
                observer.connected(details["return_value"])
        if event == "http11.send_request_headers.started":
            for observer in self._observers:
                observer.headers_started()

    def close(self) -> None:
        self._inner.close()


def peer_address(stream: Any) -> tuple[str, int] | None:
    """The host and port of a connection's peer; None if the connection is closed already."""
    try:
        address = stream.get_extra_info("server_addr")
    except OSError:
        return None
    return (address[0], address[1]) if address else None


def connect_address(
    connect_to: Mapping[tuple[str, int], tuple[str, int]], host: str, port: int
) -> tuple[str, int] | None:
    """Where to connect instead of a host and port; None: to that host and port."""
    for key in ((host, port), (host, 0), ("", port), ("", 0)):
        if key in connect_to:
            to_host, to_port = connect_to[key]
            return to_host or host, to_port or port
    return None


def tls_context(
    cacert: str | None, *, insecure: bool = False, needed: bool = True
) -> ssl.SSLContext:
    """A TLS context that trusts the authorities of a file, else the system's and certifi's.

    :param needed: whether the call uses TLS. Without, no authorities are read, which takes 30 ms.
    :raises Failure: if the file cannot be read.
    """
    if cacert is not None:
        try:
            context = ssl.create_default_context(cafile=cacert)
        except OSError as error:
            why = "no certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise Failure(READ, f"{cacert} cannot be read: {why}.") from None
    elif needed and not insecure:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
