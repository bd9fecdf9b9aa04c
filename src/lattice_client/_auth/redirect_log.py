"""The log of redirects that are not signed because they leave TLS."""

from __future__ import annotations

from collections.abc import Iterable

from lattice_client._wire.urls import leaves_tls

__all__ = ["RedirectLog"]

# Hosts. Beyond, all are forgotten, and logged again.
_MAX_HOSTS = 4096


class RedirectLog:
    """Logs redirects from ``https`` to ``http`` on one host at WARNING, once for each host.

    May be used from many threads at once.
    """

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def note(self, allowed_origins: Iterable[str], origin: str) -> None:
        """Log a redirect that leads from https to http.

        :param allowed_origins: the origins that the call was made to.
        :param origin: the one that the redirect leads to.
        """
        if not any(leaves_tls(before, origin) for before in allowed_origins):
            return
        host = origin.partition("://")[2]
        if host in self._seen:
            return
        if len(self._seen) >= _MAX_HOSTS:
            self._seen = {}
        self._seen[host] = None
        import logging  # deferred: most processes log no redirect

        logging.getLogger("lattice_client.redirects").warning(
            "a redirect leads from https:// to http:// on %s, and what follows it is not signed: "
            "TLS ends at VPC Lattice, and the application behind it has to heed X-Forwarded-Proto",
            host,
        )
