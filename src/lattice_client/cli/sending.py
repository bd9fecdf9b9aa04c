"""The transport below the signing one: it sees each attempt as it goes out, and may lead it to
another address."""

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

__all__ = ["PORTS", "Deadline", "Sending", "Watcher", "address_of", "leads_to", "trust"]

PORTS = {"http": 80, "https": 443}


class Watcher(Protocol):
    """Who is told of what goes over the wire."""

    def connected(self, stream: Any) -> None: ...
    def sent(self, request: httpx.Request) -> None: ...
    def begun(self) -> None: ...
    def received(self, response: httpx.Response) -> None: ...


class Deadline:
    """When a command has to be done.

    :param seconds: from now on; None: whenever it is.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """How many seconds there are.

        :raises Failure: where there are none.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise Failure(TIMEOUT, f"It is not done within {self._seconds:g} s (--max-time).")
        return left


class Sending(httpx.BaseTransport):
    """:param connect_to: where to go instead, by host and port, as curl's --connect-to.
    :param proxy: what to go through.
    :param watchers: who is told.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext,
        connect_to: Mapping[tuple[str, int], tuple[str, int]],
        proxy: Proxy | None = None,
        deadline: Deadline,
        connect_timeout: float | None = None,
        watchers: tuple[Watcher, ...] = (),
    ) -> None:
        try:
            self._inner = httpx.HTTPTransport(
                verify=verify, proxy=proxy.url if proxy else None, trust_env=False
            )
        except (ImportError, ValueError, httpx.InvalidURL):
            raise Failure(
                USAGE, f"{proxy} is no HTTP proxy, of the form http://HOST:PORT."
            ) from None
        self._proxy = proxy
        self._connect_to = connect_to
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._watchers = watchers
        #: The proxy, while there is no connection to it.
        self.at_proxy: Proxy | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for watcher in self._watchers:
            watcher.sent(request)
        self.at_proxy = self._proxy
        response = self._inner.handle_request(self._led(request))
        for watcher in self._watchers:
            watcher.received(response)
        return response

    def _led(self, request: httpx.Request) -> httpx.Request:
        timeout = self._timeout()
        extensions = {
            **request.extensions,
            "timeout": timeout,
            "trace": partial(self._trace, timeout),
        }
        url = request.url
        host, port = url.host, url.port or PORTS[url.scheme]
        place = leads_to(self._connect_to, host, port)
        if place is not None:
            url = url.copy_with(host=place[0], port=place[1])
            # Host stands in the headers already; SNI and the certificate's name go with it.
            extensions["sni_hostname"] = host
        return httpx.Request(
            request.method,
            url,
            headers=request.headers,
            stream=request.stream,
            extensions=extensions,
        )

    def _timeout(self) -> dict[str, float | None]:
        left = self._deadline.left()
        connect = min(filter(None, (left, self._connect_timeout)), default=None)
        return {"connect": connect, "read": left, "write": left, "pool": left}

    def _trace(self, timeout: dict[str, float | None], event: str, details: dict[str, Any]) -> None:
        if event.endswith((".started", ".complete")):
            # httpcore looks at them anew for each part of a request. It is not to be raised in.
            with suppress(Failure):
                timeout.update(self._timeout())
        if event not in ("connection.connect_tcp.started", "connection.connect_tcp.failed"):
            self.at_proxy = None
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            for watcher in self._watchers:
                watcher.connected(details["return_value"])
        if event == "http11.send_request_headers.started":
            for watcher in self._watchers:
                watcher.begun()

    def close(self) -> None:
        self._inner.close()


def address_of(stream: Any) -> tuple[str, int] | None:
    """Host and port that a new connection leads to; None where it has ended already."""
    try:
        address = stream.get_extra_info("server_addr")
    except OSError:
        return None
    return (address[0], address[1]) if address else None


def leads_to(
    connect_to: Mapping[tuple[str, int], tuple[str, int]], host: str, port: int
) -> tuple[str, int] | None:
    """Where to connect instead of a host and port; None: to these themselves."""
    for asked in ((host, port), (host, 0), ("", port), ("", 0)):
        if asked in connect_to:
            to_host, to_port = connect_to[asked]
            return to_host or host, to_port or port
    return None


def trust(cacert: str | None, *, insecure: bool = False, needed: bool = True) -> ssl.SSLContext:
    """Whom to believe: the authorities of a file, else the system's and certifi's.

    :param needed: whether there will be TLS at all. Reading them takes 30 ms; without, nobody is
        believed.
    :raises Failure: for a file that cannot be read.
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
