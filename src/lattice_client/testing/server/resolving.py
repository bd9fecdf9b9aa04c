"""Makes this process resolve some host names to a loopback address.

Real clients then reach the local Lattice over a real socket under the services' own names, with the
Host, SNI and certificate check of production.

It wraps ``socket.getaddrinfo``, which requests, httpx, asyncio (and so aiohttp) and trio use.
Resolvers that bypass it are not covered: uvloop, aiodns, c-ares.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["resolving"]

_lock = threading.Lock()


@contextmanager
def resolving(names: Callable[[], Collection[str]], address: str) -> Iterator[None]:
    """Resolve ``names`` (lower case, called at each look-up) to ``address`` while in the context.

    Contexts may be nested and may overlap between threads; the one entered last wins. All other
    names go to the original resolver, which is restored when the last context ends.
    """
    with _lock:
        wrapper = _Wrapper(socket.getaddrinfo, names, address)
        socket.getaddrinfo = wrapper
    try:
        yield
    finally:
        with _lock:
            wrapper.active = False
            # Contexts may end in any order: a wrapper below another stays, inactive, until that
            # one is removed. A wrapper that other code has wrapped stays inactive, too.
            while isinstance(socket.getaddrinfo, _Wrapper) and not socket.getaddrinfo.active:
                socket.getaddrinfo = socket.getaddrinfo.original


class _Wrapper:
    """``socket.getaddrinfo`` with another address for some names."""

    def __init__(
        self, original: Callable[..., Any], names: Callable[[], Collection[str]], address: str
    ) -> None:
        self.original = original
        self.active = True
        self._names = names
        self._address = address

    def __call__(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,  # noqa: A002 - socket's own name, and callers pass it by name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        if self.active and host is not None and self._is_redirected(host):
            # ADDRCONFIG would hide loopback addresses on a machine without other addresses.
            host, flags = self._address, flags & ~socket.AI_ADDRCONFIG
        return self.original(host, port, family, type, proto, flags)

    def _is_redirected(self, host: bytes | str) -> bool:
        # trio passes bytes.
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        return name.lower().removesuffix(".") in self._names()
