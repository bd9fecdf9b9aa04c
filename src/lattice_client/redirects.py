"""Which origin a call was made to, when aiohttp follows a redirect.

aiohttp makes a new request for each hop of a redirect and calls its middlewares for it; the hook
must not sign one for a stranger that the call's own server has named.
"""

from __future__ import annotations

from typing import Any

from lattice_client.names import Endpoint
from lattice_client.urls import REDIRECTS

__all__ = ["RedirectedCalls"]

# The oldest ones beyond are forgotten.
_REMEMBERED = 4096


class RedirectedCalls:
    """The calls that have been redirected, each with the origins that it was made to: the one that
    was asked for, and with names the one of the same service that it was led to."""

    def __init__(self) -> None:
        # The call itself is kept beside its id, for an id may be had again.
        self._calls: dict[int, tuple[object, frozenset[object] | None]] = {}

    def home_of(self, request: Any) -> frozenset[object] | None:
        """The origins that a request's call was made to; None where no redirect has led to it.

        Ask before it is sent, and tell :meth:`note`: by then others may have made it forgotten.
        """
        return self._calls.get(id(_call_of(request)), (None, None))[1] if self._calls else None

    def note(
        self,
        request: Any,
        url: Any,
        home: frozenset[object] | None,
        response: Any,
        endpoint: Endpoint | None = None,
    ) -> None:
        """Remember a request's call, if this response redirects it.

        It is not forgotten when it is answered, for a middleware may send the request once more.

        :param url: what was asked for.
        :param endpoint: where names have led it to.
        """
        if response.status in REDIRECTS:
            call = _call_of(request)
            self._calls.pop(id(call), None)
            while len(self._calls) >= _REMEMBERED:
                for oldest in list(self._calls)[:1]:
                    self._calls.pop(oldest, None)
            if home is None:
                led = url if endpoint is None else url.with_host(endpoint.host)
                home = frozenset((url.origin(), led.origin()))
            self._calls[id(call)] = (call, home)


def _call_of(request: Any) -> object:
    """What all the requests of one call share, and no other call: its timer.

    Neither the task will do, for other middlewares may run their handler in one of their own, nor
    the URL that a redirect names, for aiohttp writes it anew.
    """
    timer = getattr(request, "_timer", None)
    if timer is not None:
        return timer
    import asyncio

    return asyncio.current_task()
