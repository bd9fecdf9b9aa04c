"""What is said of requests that go out unsigned: in the log, and on each request.

A request carries its reason for ``explain()`` and for observers. The reason is put together once
for each host, so a client that calls other hosts all day pays for a look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from lattice_client._auth.seen_hosts import SeenHosts
from lattice_client._wire.unsigned_mark import mark_unsigned

if TYPE_CHECKING:
    from lattice_client._wire.request import SignableRequest
    from lattice_client.names.unsigned import Unsigned

__all__ = ["UnsignedRequests"]

# A program calls few hosts. With more, all are forgotten.
_MAX_KEPT = 4096


class UnsignedRequests:
    """Those of one auth object. May be used from many threads at once."""

    def __init__(self) -> None:
        self._logged = SeenHosts()
        # By what was judged: what it was judged by, and the reason.
        self._kept: dict[Hashable, tuple[object, Unsigned]] = {}

    def note(
        self,
        out: SignableRequest,
        judged: Hashable,
        judged_by: object,
        reason: Callable[[], Unsigned],
    ) -> None:
        """Say why a request goes out unsigned.

        :param judged: its host, or hosts.
        :param judged_by: what decided it. As long as this is the same object, so is the reason.
        :param reason: called if it is not known yet.
        """
        kept = self._kept.get(judged)
        if kept is None or kept[0] is not judged_by:
            if len(self._kept) >= _MAX_KEPT:
                self._kept = {}
            kept = self._kept[judged] = judged_by, reason()
            self.log(kept[1])
        mark_unsigned(out.request, kept[1])

    def log(self, unsigned: Unsigned) -> None:
        """Log why requests go out unsigned, once for each host and reason: at INFO what is
        expected, at WARNING the rest."""
        if not self._logged.is_new(f"{unsigned.reason} {unsigned.host.lower()}"):
            return
        from lattice_client._log import get_logger  # deferred: most processes sign all they send

        logger = get_logger("unsigned")
        (logger.info if unsigned.is_expected else logger.warning)("%s", unsigned)
