"""Redirects: which origin a call was made to when aiohttp follows one, and what to say of them.

aiohttp makes a new request for each hop of a redirect and calls its middlewares for it; the hook
must not sign one for a stranger that the call's own server has named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Generic, Literal, TypeVar
from weakref import WeakKeyDictionary

from lattice_client.names import Endpoint
from lattice_client.urls import REDIRECTS, leaves_tls, origin_of

__all__ = [
    "UNSIGNED_TURNS",
    "KeptOfCalls",
    "RedirectLog",
    "RedirectedCalls",
    "Turn",
    "turn_of",
    "way_of",
]

# The oldest ones beyond are forgotten.
_REMEMBERED = 4096


class RedirectLog:
    """Logs redirects from ``https`` to ``http`` on one host at WARNING, once for each host.

    May be used from many threads at once.
    """

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def note(self, home: Iterable[str], origin: str) -> None:
        """Log a redirect that leaves its call's origins, if it is such a one.

        :param home: the origins that the call was made to.
        :param origin: the one that the redirect leads to.
        """
        if not any(leaves_tls(before, origin) for before in home):
            return
        host = origin.partition("://")[2]
        if host in self._seen:
            return
        if len(self._seen) >= _REMEMBERED:
            self._seen = {}
        self._seen[host] = None
        import logging  # loaded for the first that is told

        logging.getLogger("lattice_client.redirects").warning(
            "a redirect leads from https:// to http:// on %s, and what follows it is not signed: "
            "TLS ends at VPC Lattice, and the application behind it has to heed X-Forwarded-Proto",
            host,
        )


_Kept = TypeVar("_Kept")


class KeptOfCalls(Generic[_Kept]):
    """Something that is kept of each of aiohttp's calls, for as long as its session is there.

    A call is known by an object that holds on to its event loop, so an object that outlives loops
    must not hold on to calls.

    :param limit: so many of one session; the oldest go.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # The call itself is kept beside its id, for an id may be had again.
        self._sessions = WeakKeyDictionary[object, dict[int, tuple[object, _Kept]]]()

    def __len__(self) -> int:
        return sum(map(len, list(self._sessions.values())))

    def get(self, request: Any) -> _Kept | None:
        """What is kept of a request's call."""
        if not self._sessions:
            return None
        calls = self._sessions.get(self._session_of(request)) or {}
        return calls.get(id(_call_of(request)), (None, None))[1]

    def keep(self, request: Any, kept: _Kept) -> None:
        """Keep something of a request's call, in place of what has been kept of it."""
        calls, call = self._sessions.setdefault(self._session_of(request), {}), _call_of(request)
        calls.pop(id(call), None)
        while len(calls) >= self._limit:
            for oldest in list(calls)[:1]:
                calls.pop(oldest, None)
        calls[id(call)] = (call, kept)

    def forget(self, request: Any) -> None:
        """Forget a request's call."""
        (self._sessions.get(self._session_of(request)) or {}).pop(id(_call_of(request)), None)

    def clear(self) -> None:
        """Forget all calls."""
        self._sessions.clear()

    def _session_of(self, request: Any) -> object:
        session = getattr(request, "_session", None)
        return self if session is None else session


class RedirectedCalls:
    """The calls that have been redirected, each with the origins that it was made to: the one that
    was asked for, and with names the one of the same service that it was led to."""

    def __init__(self) -> None:
        self._calls = KeptOfCalls[frozenset[object]](_REMEMBERED)

    def home_of(self, request: Any) -> frozenset[object] | None:
        """The origins that a request's call was made to; None where no redirect has led to it.

        Ask before it is sent, and tell :meth:`note`: by then others may have made it forgotten.
        """
        return self._calls.get(request)

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
            if home is None:
                led = url if endpoint is None else url.with_host(endpoint.host)
                home = frozenset((url.origin(), led.origin()))
            self._calls.keep(request, home)


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


# --- For those who explain a refusal ----------------------------------------------------------

Turn = Literal["to http", "to another origin", "on one origin"]

# What to do where a redirect has led to a request that is not signed.
UNSIGNED_TURNS: dict[Turn, str] = {
    "to http": (
        "A redirect led from https:// to http:// on the same host and was followed unsigned, for "
        "TLS ends at VPC Lattice and the application behind it takes its calls for http:// ones: "
        "let the application heed X-Forwarded-Proto, or call the URL that it redirects to, with "
        "https://."
    ),
    "to another origin": (
        "A redirect led to another origin (scheme, host or port) and was followed unsigned: call "
        "the URL that it led to, if that is a service of yours."
    ),
    "on one origin": (
        "A redirect was followed unsigned, as requests does with an auth hook: use "
        "lattice_client.requests.Session, which signs what follows a redirect, or call the URL "
        "that it led to."
    ),
}


def way_of(response: Any) -> list[str]:
    """The URLs of the answers that redirected, and of the response; empty where none did."""
    redirects = [
        str(one.url)
        for one in getattr(response, "history", ())
        # requests' history also holds refusals that had a remedy.
        if getattr(one, "status_code", getattr(one, "status", None)) in REDIRECTS
    ]
    return [*redirects, str(response.url)] if redirects else []


def turn_of(way: Sequence[str]) -> Turn | None:
    """What redirects have done: the first that leaves the origin, if one does, for what follows it
    is not signed."""
    origins = [origin_of(url) for url in way]
    for before, after in pairwise(origins):
        if leaves_tls(before, after):
            return "to http"
        if before != after:
            return "to another origin"
    return "on one origin" if origins else None
