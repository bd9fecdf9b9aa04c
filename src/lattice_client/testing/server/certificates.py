"""Temporary certificates for the local Lattice's names. The only file that imports trustme."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from weakref import WeakKeyDictionary

import trustme

__all__ = ["Certificates"]

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Certificates:
    """A certificate authority, and a TLS context for a server.

    :param names: returns the host names to certify, besides ``localhost`` and the loopback
        addresses. It is called for each client that connects, so that services can be added at any
        time.
    """

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        self._names = names
        self._authority = trustme.CA()
        self._directory = tempfile.TemporaryDirectory(prefix="lattice-client-")
        self._server_names: WeakKeyDictionary[object, str] = WeakKeyDictionary()
        self._certified_names = self._names_to_certify()
        self.ca_file = str(Path(self._directory.name, "ca.pem"))
        self._authority.cert_pem.write_to_path(self.ca_file)
        self.context = self._issue()
        self._current = self.context

    def server_name(self, connection: object) -> str | None:
        """The server name (SNI) that the client of a TLS connection sent."""
        return self._server_names.get(connection)

    def close(self) -> None:
        """Remove the authority's file."""
        self._directory.cleanup()

    def _names_to_certify(self) -> frozenset[str]:
        return _LOCAL_NAMES.union(self._names())

    def _issue(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self._authority.issue_cert(*sorted(self._certified_names)).configure_cert(context)
        context.sni_callback = self._on_server_name
        return context

    def _on_server_name(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        if name is not None:
            self._server_names[connection] = name
        if self._certified_names != self._names_to_certify():
            self._certified_names = self._names_to_certify()
            self._current = self._issue()
        connection.context = self._current
