"""Credentials that an object of botocore's or boto3's holds and refreshes."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from typing import Any

from lattice_client._secrecy import forgetful
from lattice_client.credentials.botocore_errors import botocore_errors
from lattice_client.credentials.botocore_session import core_of, new_session, session_region
from lattice_client.credentials.refreshing import RefreshingCredentials
from lattice_client.credentials.schedule import NOTHING
from lattice_client.credentials.value import Credentials
from lattice_client.errors import CredentialsError, InvalidCredentialsError, NoCredentialsError

__all__ = ["OwnedCredentials", "snapshot_of"]

# A set, or a session's object, changes more than once in a row only where a class keeps none.
_TRIES = 5


class OwnedCredentials(RefreshingCredentials):
    """What another library's object holds, taken as one frozen set at a time.

    Its owner refreshes it: in this class's thread when that is due, or when another user of the
    object asks; then the new set is taken at once.

    :param owner: a session, or a credentials object with ``get_frozen_credentials()``. One of an
        unknown class is asked for each signature, in a thread, as it may block. None: a subclass
        fetches by itself.
    :param fetch: as of :class:`RefreshingCredentials`; None: asks the owner.

    The other parameters are those of :class:`RefreshingCredentials`. It does not pickle.
    """

    def __init__(
        self,
        owner: Any,
        *,
        fetch: Callable[[], Credentials] | None = None,
        name: str | None = None,
        **settings: Any,
    ) -> None:
        self._owner = owner
        # The credentials object, from the first fetch on.
        self._live: Any = None
        self._is_known = True
        # The same, if a session holds it.
        self._in_session: Any = None
        super().__init__(
            fetch or self._load_from_owner,
            name=name or f"the {_kind_of(owner)} {type(owner).__name__}",
            **settings,
        )

    def __repr__(self) -> str:
        return f"OwnedCredentials({self._name!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self._owner is not None:
            raise TypeError(
                f"credentials over {self._name} cannot be pickled; "
                "give profile=… or BotocoreCredentials(profile=…) instead"
            )
        return super().__getstate__()

    def peek(self) -> Credentials | None:
        live = self._live
        if live is not None and not self._is_known:
            return None
        if self._in_session is not None and self._in_session is not _in_session(self._owner):
            self._forget()
        elif live is not None:
            self._take_if_changed(live)
        return super().peek()

    def refused(self, credentials: Credentials) -> bool | Future[Any]:
        """Be told that a service has refused these credentials as expired: their owner is asked
        again, however fresh they are.

        :returns: as :meth:`RefreshingCredentials.refused`.
        """
        live = self._live
        if live is not None:
            if not self._is_known:
                return True
            self._take_if_changed(live)
            self._fetched_at = -math.inf
        return super().refused(credentials)

    @property
    def source(self) -> str | None:
        """Where its owner has the credentials from, by botocore's name (``sso``, ``iam-role``, …);
        None before the first fetch."""
        return getattr(self._live, "method", None)

    def chosen_region(self) -> str | None:
        """The region that the session was given in code, if any."""
        core = core_of(self._owner)
        region = core.instance_variables().get("region") if _has_variables(core) else None
        return region if isinstance(region, str) else None

    @forgetful
    def region(self) -> str | None:
        """The region of the session or the profile, if it has one. Reads files, so it may block.

        :raises CredentialsError: where there is no such profile, or a file cannot be read.
        """
        with botocore_errors("the profile's region"):
            region = session_region(self._session_for_region())
        return region if isinstance(region, str) else None

    def _session_for_region(self) -> Any:
        return self._owner if _is_session(self._owner) else new_session()

    def _load_from_owner(self) -> Credentials:
        owner = self._owner
        is_session = _is_session(owner)
        with botocore_errors(
            "the session" if is_session else "its refresh", owner if is_session else None
        ):
            live, is_held = _of_session(owner) if is_session else (owner, False)
            if live is None:
                raise NoCredentialsError(
                    "it has none: give its constructor a profile or keys, or pass credentials=…"
                )
            if hasattr(live, "__await__"):
                getattr(live, "close", bool)()
                raise CredentialsError("it is asynchronous; give a session of boto3's")
            found = snapshot_of(live)
        self._is_known = _is_known(live)
        self._in_session = live if is_held else None
        self._live = live
        return found

    def _forget(self) -> None:
        """Have the session asked again, as it was given other credentials."""
        with self._lock:
            self._live, self._state = None, NOTHING

    def _take_if_changed(self, live: Any) -> None:
        """Take a set that its owner has replaced, without waiting."""
        frozen = _held_by(live)
        kept = self._state[2]
        if frozen is None or (
            kept is not None
            and frozen.access_key == kept.access_key
            and frozen.secret_key == kept.secret_key
            and (frozen.token or None) == kept.token
        ):
            return
        lock = getattr(live, "_refresh_lock", None)
        if lock is not None and not lock.acquire(blocking=False):
            return  # being refreshed: the old set serves
        try:
            frozen = _held_by(live)
            expires_at = getattr(live, "_expiry_time", None)
        finally:
            if lock is not None:
                lock.release()
        with suppress(InvalidCredentialsError):
            changed = _credentials_of(frozen, expires_at)
            with self._lock:
                if self._live is live:  # not forgotten meanwhile
                    self._keep(changed, self._clock())

    def _scheduled(self, credentials: Credentials, now: float, *, changed: bool) -> Any:
        if self._is_known:
            return super()._scheduled(credentials, now, changed=changed)
        return now, now, credentials, now  # each get() asks

    def _after_fork(self) -> None:
        super()._after_fork()
        # Its holder, if any, is a thread that the child does not have.
        if getattr(getattr(self._live, "_refresh_lock", None), "locked", bool)():
            self._live._refresh_lock = threading.Lock()  # noqa: SLF001 botocore renews none itself


def snapshot_of(live: Any) -> Credentials:
    """One frozen set with its expiry; may block.

    botocore gives the two in separate reads, and another user may refresh in between: then the set
    that it holds is a different one. (Asking for a frozen set again is no check: short-lived
    credentials are refreshed at each call.) During a refresh the two are replaced one after the
    other, under its lock.
    """
    tries = 0
    while True:
        frozen = live.get_frozen_credentials()
        with getattr(live, "_refresh_lock", None) or nullcontext():
            held = getattr(live, "_frozen_credentials", frozen)
            expires_at = getattr(live, "_expiry_time", None)
        tries += 1
        if held == frozen or tries == _TRIES:
            return _credentials_of(frozen, expires_at)


def _credentials_of(frozen: Any, expires_at: Any) -> Credentials:
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token, expires_at)


def _is_session(owner: object) -> bool:
    return callable(getattr(owner, "get_credentials", None))


def _of_session(session: Any) -> tuple[Any, bool]:
    """A session's credentials object, and whether it is one that the session goes on holding;
    may block. Another thread may replace it meanwhile."""
    tries = 0
    while True:
        live = session.get_credentials()
        held = _in_session(session)
        tries += 1
        if held is live or held is None or tries == _TRIES:
            return live, held is live


def _in_session(session: object) -> object:
    """The credentials object that a session of botocore's holds, which ``set_credentials()``
    replaces."""
    return getattr(core_of(session), "_credentials", None)


def _has_variables(core: Any) -> bool:
    return callable(getattr(core, "instance_variables", None))


def _kind_of(owner: object) -> str:
    return type(owner).__module__.partition(".")[0]


def _is_known(live: object) -> bool:
    """Whether :func:`_held_by` can tell what these hold."""
    return hasattr(live, "_frozen_credentials") or _is_plain(live)


def _is_plain(live: object) -> bool:
    module = sys.modules.get("botocore.credentials")
    return module is not None and type(live) is module.Credentials


def _held_by(live: Any) -> Any:
    """The frozen set that they hold now, without asking its source; None before the first."""
    if _is_plain(live):
        return live.get_frozen_credentials()  # it only copies
    return live._frozen_credentials  # noqa: SLF001 botocore has no public way that never blocks
