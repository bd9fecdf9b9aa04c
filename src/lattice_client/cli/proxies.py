"""The proxy that a call goes through, and the option or variable that sets it."""

from __future__ import annotations

import os
import re
import urllib.request
from typing import NamedTuple

import httpx

__all__ = ["Proxy", "proxy_of"]

_WITHOUT_PASSWORD = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*://))?(?:.*@)?(\[[^\]]*\]|[^:/@]+)(:\d+)?(?=/|$)"
)
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Proxy(NamedTuple):
    """:param url: may contain a password.
    :param by: what sets it: an option or an environment variable.
    """

    url: str
    by: str

    def __repr__(self) -> str:
        return f"Proxy({str(self)!r})"

    def __str__(self) -> str:
        """For people, without user and password."""
        found = _WITHOUT_PASSWORD.match(self.url)
        what = "".join(filter(None, found.groups())) if found else "the given value"
        return f"{what.removeprefix('http://')} (the proxy of {self.by})"

    @property
    def address(self) -> tuple[str, int] | None:
        """Its host and port; None if the URL is not a proxy's."""
        try:
            url = httpx.URL(self.url)
        except httpx.InvalidURL:
            return None
        return (url.host, url.port or _PORTS[url.scheme]) if url.scheme in _PORTS else None

    def remedy(self, host: str, *, status: str = "") -> str:
        """What to do if calls to a host fail at this proxy.

        :param status: the status of its answer, if there was one.
        """
        if status == "407":
            return (
                f"It wants a user and a password: set {self.by} to http://USER:PASSWORD@HOST:PORT."
            )
        if self.by.startswith("-"):
            return f"Give {self.by} as http://HOST:PORT, or leave it out."
        return f"Set {self.by} to http://HOST:PORT, or go without it: no_proxy={host}."


def proxy_of(url: httpx.URL, option: str | None = None) -> Proxy | None:
    """The proxy for a URL: from the option, else from the environment."""
    if option:
        return Proxy(_with_scheme(option), "--proxy")
    if urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    for scheme in (url.scheme, "all"):
        if proxies.get(scheme):
            variables = f"{scheme}_proxy", f"{scheme}_proxy".upper()
            by = next((one for one in variables if os.environ.get(one)), "the system's settings")
            return Proxy(_with_scheme(proxies[scheme]), by)
    return None


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"  # as curl does
