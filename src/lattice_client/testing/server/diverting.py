"""Diverts the connections of some host names to a local server, in a whole process.

Real clients then reach the local Lattice over a real socket under the services' own names and
ports, with the Host, SNI and certificate check of production.

What is replaced, while any diversion is active:

- ``socket.getaddrinfo``, ``gethostbyname`` and ``gethostbyname_ex``, which requests, asyncio (and
  so httpx and aiohttp) and trio use; uvloop's and aiodns' own, where they are installed. They
  resolve a name to a stand-in, a loopback address that nothing listens at.
- ``socket.socket.connect`` and uvloop's ``create_connection``: a connection to the stand-in leads
  to the server. anyio takes the address from ``getaddrinfo`` and the port from the URL, so another
  port in the answer of ``getaddrinfo`` would not do.
- ``ssl.SSLContext.wrap_socket`` and ``wrap_bio``: a name that is diverted to a server with TLS is
  checked against that server's authority. The program's contexts are not changed: an authority that
  is added to one cannot be removed.

Not diverted: libraries that resolve in C (gRPC, pycurl), and functions that a program has kept from
before (``from socket import getaddrinfo``). Asyncio on Windows connects in C by default, and is
refused at the stand-in. The module needs only the standard library, of Python 3.8 or later, because
``startup/sitecustomize.py`` loads it by its path into Python programs that may not have this
package.
"""

from __future__ import annotations

import errno
import functools
import importlib
import inspect
import json
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, Union

__all__ = ["VARIABLE", "Diversion", "active", "as_text", "divert_for_good", "diverting"]

#: The environment variable that holds the diversions for child processes.
VARIABLE: Final = "LATTICE_CLIENT_DIVERT"

_PORTS: Final = {80: "http", 443: "https"}
_Host = Union[bytes, str, None]  # noqa: UP007 - Python 3.8
_Port = Union[bytes, str, int, None]  # noqa: UP007


class Diversion(NamedTuple):
    """Where the connections of some names lead.

    :param names: the names, lower case, called at each look-up.
    :param address: the server's address.
    :param port: the server's port. None: the names resolve to the address, and ports stay as they
        are.
    :param ports: the ports that lead there, called at each connection; any other is refused.
    :param scheme: what the server speaks.
    :param ca_file: the server's authority.
    """

    names: Callable[[], Collection[str]]
    address: str
    port: int | None = None
    ports: Callable[[], Collection[int]] = tuple
    scheme: str = "http"
    ca_file: str | None = None

    def check(self, name: str, port: int) -> None:
        """Refuse a port that does not lead to the server.

        :raises ConnectionRefusedError: for one.
        """
        if self.port is None or not port or port in (ports := self.ports()):
            return
        known = ", ".join(map(str, sorted(ports)))
        advice = ""
        if (asked := _PORTS.get(port)) not in (None, self.scheme):
            how = (
                "lattice_tls, or serve(…, tls=True)," if asked == "https" else "lattice, or serve()"
            )
            advice = f"; call {self.scheme}://, or use {how} for {asked}://"
        raise ConnectionRefusedError(
            errno.ECONNREFUSED,
            f"port {port} of {name} does not lead to the local Lattice, which speaks "
            f"{self.scheme.upper()} at its ports {known}{advice}",
        )


_lock = threading.Lock()
# The innermost comes last. Replaced as a whole.
_active: tuple[Diversion, ...] = ()
# Names by their stand-ins. A name keeps its own as long as the process: aiohttp remembers addresses
# for ten seconds, in which the next test may divert the name to another server.
_name_of: dict[str, str] = {}
_installed: list[_Replacement] = []


def active() -> tuple[Diversion, ...]:
    """The diversions of this process; the innermost comes last."""
    return _active


@contextmanager
def diverting(diversion: Diversion) -> Iterator[None]:
    """Divert connections while in the context.

    Contexts may be nested and may overlap between threads; of two with the same name, the one
    entered last wins. All other names are left alone. What was replaced is restored when the last
    context ends.
    """
    _begin(diversion)
    try:
        yield
    finally:
        _end(diversion)


def as_text(diversions: Collection[Diversion]) -> str:
    """Diversions with the names that they have now, for ``divert_for_good`` in a child process."""
    told = [
        {**each._asdict(), "names": sorted(each.names()), "ports": sorted(each.ports())}
        for each in diversions
    ]
    return json.dumps(told, separators=(",", ":"))


def divert_for_good(text: str) -> None:
    """Divert connections until the process ends.

    :param text: what ``as_text`` returned.
    """
    for told in json.loads(text):
        for name in ("names", "ports"):  # those of that time
            told[name] = functools.partial(frozenset, told[name])
        _begin(Diversion(**told))


def _begin(diversion: Diversion) -> None:
    global _active  # noqa: PLW0603 - what is replaced is the process', too
    with _lock:
        if not _active:
            _uninstall()  # what an interrupt has left
            replacements = [_Replacement(*each) for each in _replacements()]
            try:
                for each in replacements:
                    _installed.append(each)
                    each.install()
            except BaseException:
                _uninstall()
                raise
        _active = (*_active, diversion)


def _end(diversion: Diversion) -> None:
    global _active  # noqa: PLW0603
    with _lock:
        _active = tuple(each for each in _active if each is not diversion)
        if not _active:
            _uninstall()


def _uninstall() -> None:
    while _installed:
        _installed[-1].remove()
        _installed.pop()


# Looking up


def _diversion_of(host: object) -> Diversion | None:
    """The diversion of a name, or of the stand-in that it was resolved to."""
    name = _normal(host)
    return next((each for each in reversed(_active) if name in each.names()), None)


def _stand_in(name: str, *, ipv6: bool) -> str:
    """The name's stand-in, of the server's family. A connection to it that is not diverted stays on
    this machine, and is refused."""
    prefix = "::ffff:127.83." if ipv6 else "127.83."
    with _lock:
        known = (at for at, each in _name_of.items() if each == name and at.startswith(prefix))
        if (found := next(known, None)) is None:
            high, low = divmod(len(_name_of) + 1, 256)
            found = f"{prefix}{high % 256}.{low}"
            _name_of[found] = name
    return found


def _normal(host: object) -> str:
    """A host, or what a stand-in stands for, as names are written; empty if it is no name."""
    if isinstance(host, (bytes, bytearray)):  # trio passes bytes
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        return ""
    if not host.isascii():
        with suppress(UnicodeError):
            host = host.encode("idna").decode("ascii")
    name = host.lower().rstrip(".")
    return _name_of.get(name, name)


def _number(port: object) -> int:
    """A port as ``getaddrinfo`` takes it; 0 for none."""
    if isinstance(port, int):
        return port
    text = port.decode("ascii", "replace") if isinstance(port, bytes) else port
    if not isinstance(text, str) or not text:
        return 0
    with suppress(OSError):
        return int(text) if text.isdigit() else socket.getservbyname(text)
    return 0


def _resolved(host: Any, port: object = 0) -> Any:
    """What to resolve in place of a host.

    :raises ConnectionRefusedError: if the port does not lead to the server.
    """
    found = _diversion_of(host)
    if found is None:
        return host
    name = _normal(host)
    found.check(name, _number(port))
    return found.address if found.port is None else _stand_in(name, ipv6=":" in found.address)


def _connected(address: Any) -> Any:
    """Where to connect in place of an address.

    :raises ConnectionRefusedError: if the port does not lead to the server.
    """
    if not isinstance(address, tuple) or len(address) < 2:  # noqa: PLR2004 - a Unix socket's path
        return address
    host, port, *rest = address
    found = _diversion_of(host)
    if found is None:
        return address
    found.check(_normal(host), _number(port))
    return (found.address, found.port or port, *rest)


def _trusting(context: ssl.SSLContext, name: object, *, server_side: bool) -> ssl.SSLContext:
    """The context to check a name's certificate with: the given one, or one like it that trusts the
    authority of the server that the name is diverted to."""
    found = None if server_side else _diversion_of(name)
    if found is None or found.ca_file is None or context.verify_mode == ssl.CERT_NONE:
        return context
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    other.check_hostname = context.check_hostname
    other.verify_mode = context.verify_mode
    other.minimum_version = context.minimum_version
    other.maximum_version = context.maximum_version
    other.load_verify_locations(found.ca_file)
    return other


# What is replaced


class _Replacement:
    """An attribute that is replaced from ``install`` until ``remove``."""

    def __init__(
        self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self._owner, self._name = owner, name
        self._original = getattr(owner, name)
        self._inherited = name not in vars(owner)
        self._replacement = functools.wraps(self._original)(make(self._original))
        if inspect.ismodule(owner):
            # Programs pickle socket.gethostbyname, which says that it is of _socket.
            self._replacement.__module__ = owner.__name__

    def install(self) -> None:
        setattr(self._owner, self._name, self._replacement)

    def remove(self) -> None:
        """Restore the original. A replacement that other code has wrapped stays, and does nothing
        while nothing is diverted."""
        if vars(self._owner).get(self._name) is not self._replacement:
            return
        if self._inherited:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._original)


def _replacements() -> Iterator[tuple[Any, str, Callable[[Callable[..., Any]], Any]]]:
    yield socket, "getaddrinfo", _getaddrinfo
    yield socket, "gethostbyname", _gethostbyname
    yield socket, "gethostbyname_ex", _gethostbyname
    yield socket.socket, "connect", _connect
    yield socket.socket, "connect_ex", _connect
    yield ssl.SSLContext, "wrap_socket", _wrap
    yield ssl.SSLContext, "wrap_bio", _wrap
    uvloop, aiodns = _installed_module("uvloop"), _installed_module("aiodns")
    if uvloop is not None:
        yield uvloop.Loop, "getaddrinfo", _getaddrinfo_of_loop
        yield uvloop.Loop, "create_connection", _create_connection
    if aiodns is not None:
        for name in ("getaddrinfo", "gethostbyname"):
            if hasattr(aiodns.DNSResolver, name):
                yield aiodns.DNSResolver, name, _resolve_in_c


def _installed_module(name: str) -> Any:
    # The program may import it later, when its own references could not be replaced.
    with suppress(ImportError):
        return importlib.import_module(name)
    return None


def _getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(
        host: _Host,
        port: _Port,
        family: int = 0,
        type: int = 0,  # noqa: A002 - socket's own name, and callers pass it by name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        found = _resolved(host, port)
        if found is not host:
            # ADDRCONFIG would hide loopback addresses on a machine without other addresses.
            flags &= ~socket.AI_ADDRCONFIG
        return original(found, port, family, type, proto, flags)

    return getaddrinfo


def _gethostbyname(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda hostname: original(_resolved(hostname))


def _connect(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, address: original(self, _connected(address))


def _wrap(original: Callable[..., Any]) -> Callable[..., Any]:
    parameters = inspect.signature(original)

    def wrap(self: ssl.SSLContext, *arguments: Any, **options: Any) -> Any:
        given = parameters.bind(self, *arguments, **options).arguments
        server_side = bool(given.get("server_side"))
        context = _trusting(self, given.get("server_hostname"), server_side=server_side)
        if context is not self:
            given.update(self=context, session=None)  # a session belongs to its context
        return original(**given)

    return wrap


def _getaddrinfo_of_loop(original: Callable[..., Any]) -> Callable[..., Any]:
    def getaddrinfo(self: Any, host: _Host, port: _Port, **options: Any) -> Any:
        found = _resolved(host, port)
        if found is not host:
            options["flags"] = options.get("flags", 0) & ~socket.AI_ADDRCONFIG
        return original(self, found, port, **options)

    return getaddrinfo


def _create_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    def create_connection(
        self: Any, protocol_factory: Any, host: _Host = None, port: _Port = None, **options: Any
    ) -> Any:
        found, number = (host, port) if host is None else _connected((host, port))
        if found is not host and options.get("ssl"):
            options.setdefault("server_hostname", host)
        return original(self, protocol_factory, found, number, **options)

    return create_connection


def _resolve_in_c(original: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(self: Any, host: str, *arguments: Any, **options: Any) -> Any:
        return original(self, _resolved(host, options.get("port")), *arguments, **options)

    return resolve
