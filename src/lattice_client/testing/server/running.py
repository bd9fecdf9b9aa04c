"""The local Lattice on a real socket: a server thread, its URLs and its certificates.

trustme is imported only when a server with TLS starts.
"""

from __future__ import annotations

import atexit
import socket
import ssl
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from lattice_client.errors import ConfigurationError, MissingExtraError
from lattice_client.testing.host_header import is_loopback
from lattice_client.testing.model.networks import ServiceNetwork
from lattice_client.testing.server.acting import ActingCaller
from lattice_client.testing.server.diverting import Diversion
from lattice_client.testing.server.resolving import resolving
from lattice_client.testing.server.server_thread import ServerThread

if TYPE_CHECKING:
    from lattice_client.testing.access_log import AccessRecord
    from lattice_client.testing.assertions import Calls
    from lattice_client.testing.data_plane.received import ReceivedRequest
    from lattice_client.testing.lattice import LocalLattice
    from lattice_client.testing.model.callers import Caller
    from lattice_client.testing.model.services import Service
    from lattice_client.testing.server.certificates import Certificates

__all__ = ["ExposedLatticeWarning", "RunningLattice", "serve"]


_LAST_PORT = 65535


class ExposedLatticeWarning(UserWarning):
    """The local Lattice listens where other machines can reach it."""


@contextmanager
def serve(
    lattice: LocalLattice | ServiceNetwork,
    *,
    host: str = "127.0.0.1",
    tls: bool = False,
    port: int = 0,
) -> Iterator[RunningLattice]:
    """Serve a local Lattice from a thread while in the context.

    :param lattice: the local Lattice, which is served as its first service network, or the network
        to serve. Several may be served at the same time.
    :param host: the address to listen at, ``127.0.0.1`` or ``::1``. Any other one causes an
        ``ExposedLatticeWarning``: every machine that can reach it may call the targets.
    :param tls: speak HTTPS, with a certificate for all services' names and the loopback addresses;
        see ``RunningLattice.ca_file``.
    :param port: the port to listen at; 0 for a free one.
    :raises ConfigurationError: if the port is not 0 to 65535.
    :raises OSError: if the address and port cannot be listened at.
    :raises MissingExtraError: if the extra ``testing`` is not installed.
    """
    running = RunningLattice(lattice, host=host, tls=tls, port=port)
    # A context is never left if, for example, its generator is not exhausted.
    atexit.register(running.stop)
    try:
        yield running
    finally:
        atexit.unregister(running.stop)
        running.stop()


class RunningLattice:
    """A local Lattice that is being served; made by ``serve``.

    The most used methods of its ``lattice``, the ``LocalLattice``, are here too: ``add_service``,
    ``add_caller``, ``add_target_group``, ``service``, ``caller``, ``target_group``, ``access_log``,
    ``access``, ``requests`` and ``faults``.
    """

    def __init__(
        self, served: LocalLattice | ServiceNetwork, *, host: str, tls: bool, port: int
    ) -> None:
        if not 0 <= port <= _LAST_PORT:
            raise ConfigurationError(f"port must be 0 to {_LAST_PORT}, not {port!r}")
        lattice = served.lattice if isinstance(served, ServiceNetwork) else served
        self.lattice = lattice
        self.add_service = lattice.add_service
        self.add_caller = lattice.add_caller
        self.add_target_group = lattice.add_target_group
        self.service = lattice.service
        self.target_group = lattice.target_group
        self.caller = lattice.caller
        self.faults = lattice.faults
        self.scheme = "https" if tls else "http"
        self.host, self.port = host, port  # for repr(), if listening fails
        _warn_if_exposed(host)
        listener = _listen(host, port)
        self._certificates: Certificates | None = None
        try:
            self.host, self.port = _address(listener)
            if tls:
                # Imported for TLS only: the import takes as long as everything else.
                self._certificates = _certificates().Certificates(lambda: lattice.names)
            self._thread = ServerThread(
                served, listener, self._certificates, lattice.faults.connections
            )
        except BaseException:
            listener.close()
            self._close_certificates()
            raise

    def __repr__(self) -> str:
        return f"<RunningLattice at {self.url}>"

    def stop(self) -> None:
        """Stop serving: requests in flight get a second to end, then connections are closed."""
        self._thread.stop()
        self._close_certificates()

    # URLs

    @property
    def url(self) -> str:
        """The URL of the listening address. It reaches the service that was added first."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def url_for(self, service: Service | str) -> str:
        """The URL of a service under its own name: the custom domain, or else the managed name.

        The name resolves only within ``resolving``, as in the fixtures, and within ``as_caller``.
        Elsewhere call ``url`` with the name in ``Host``.

        :param service: the service, its name, or the host name to use.
        :raises KeyError: if there is no such service.
        """
        found = self.lattice.service(service) if isinstance(service, str) else service
        host = service if isinstance(service, str) and service in found.names else found.host
        return f"{self.scheme}://{host}:{self.port}"

    @contextmanager
    def resolving(self) -> Iterator[RunningLattice]:
        """Resolve all services' names, also those added later, to this server in this process.

        Ports stay as they are, so this serves URLs of ``url_for``; see also ``as_caller``.
        """
        with resolving(lambda: self.lattice.names, self.host):
            yield self

    def as_caller(self, caller: Caller | str) -> ActingCaller:
        """Make this process, and the Python processes that it starts, a caller of this server.

        In the context, synchronous or asynchronous, a program that knows nothing of the local
        Lattice calls it: ``https://orders.internal.example.com/``, at the ports of the services'
        listeners (80 or 443) and at this server's. Auth objects without ``credentials=`` sign as
        the caller, also those that were made before. It gives the ``Caller``.

        - The environment has the caller's ``AWS_*`` credentials and the region, no profile, the
          names in ``LATTICE_CLIENT_NAMES`` and ``NO_PROXY``, and for TLS the authority in
          ``REQUESTS_CA_BUNDLE`` and ``SSL_CERT_FILE``, with those that were trusted before.
        - The names lead here, and over TLS every ``ssl.SSLContext`` trusts this server for them;
          see ``lattice_client.testing.server.diverting``.
        - A Python process that is started with this environment does the same, by a
          ``sitecustomize`` in ``PYTHONPATH``. It knows the services that were there at its start.

        A port that does not lead here is a ``ConnectionRefusedError`` that says so. The change is
        one of the whole process: contexts may be nested, but must end in the reverse order.

        :param caller: the caller, or its name.
        :raises KeyError: if there is no such caller.
        """
        found = self.caller(caller) if isinstance(caller, str) else caller
        return ActingCaller(found, self.lattice.region, self.diversion(), self._forget)

    def _forget(self) -> None:
        from lattice_client.credentials.environment import read_environment_again

        read_environment_again()
        # A client that lives longer would keep them, and its next calls of these names come here.
        self._thread.close_idle()

    def diversion(self, names: Callable[[], Collection[str]] | None = None) -> Diversion:
        """How the services' names, or these ones, lead to this server."""
        return Diversion(
            names or (lambda: self.lattice.names),
            self.host,
            self.port,
            self._ports,
            self.scheme,
            self.ca_file if self._certificates else None,
        )

    def _ports(self) -> frozenset[int]:
        listeners = (each for service in self.lattice.services for each in service.listeners)
        protocol = self.scheme.upper()
        return frozenset({self.port, *(one.port for one in listeners if one.protocol == protocol)})

    # TLS

    @property
    def ca_file(self) -> str:
        """The path of the certificate authority's PEM file, which is deleted when the server stops.

        :raises RuntimeError: if the server does not speak TLS.
        """
        if self._certificates is None:
            raise RuntimeError("this server does not speak TLS: start it with serve(…, tls=True)")
        return self._certificates.ca_file

    def client_ssl_context(self) -> ssl.SSLContext:
        """A context for clients that trusts only this server.

        :raises RuntimeError: if the server does not speak TLS.
        """
        return ssl.create_default_context(cafile=self.ca_file)

    # What happened

    @property
    def access_log(self) -> list[AccessRecord]:
        """``LocalLattice.access_log``."""
        return self.lattice.access_log

    @property
    def access(self) -> Calls:
        """``LocalLattice.access``."""
        return self.lattice.access

    @property
    def requests(self) -> list[ReceivedRequest]:
        """``LocalLattice.requests``."""
        return self.lattice.requests

    def _close_certificates(self) -> None:
        if self._certificates is not None:
            self._certificates.close()


def _certificates() -> ModuleType:
    """The module ``certificates``, which needs the extra ``testing``.

    :raises MissingExtraError: if it is not installed.
    """
    try:
        return import_module("lattice_client.testing.server.certificates")
    except ImportError as error:
        library = (error.name or "trustme").partition(".")[0]
        raise MissingExtraError("testing", library) from error


def _warn_if_exposed(host: str) -> None:
    if not is_loopback(host):
        warnings.warn(
            f"the local Lattice listens at {host}, where other machines can reach it and its "
            "targets; it is made for tests, at 127.0.0.1 or ::1",
            ExposedLatticeWarning,
            # RunningLattice(), serve(), contextlib, the caller.
            stacklevel=5,
        )


def _address(listener: socket.socket) -> tuple[str, int]:
    host, port, *_ = listener.getsockname()
    return host, port


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only where the socket's protocol says TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # A server can be stopped and started again at the same port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener
