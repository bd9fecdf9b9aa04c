"""AWS credentials: an immutable snapshot, and where snapshots come from.

A :class:`Credentials` value is always whole: access key, secret key and token belong together and
are swapped together.  A provider hands out such values through two methods, and everything else in
this package knows only these two, so bringing your own (a vault, a sidecar) means writing them:

``peek()``
    the credentials that are ready now, or None; never blocks, called for every signature.
``get()``
    the credentials, fetched if need be; may block, called when ``peek()`` has none. Asynchronous
    callers run it in a thread.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, runtime_checkable

from lattice_client.errors import (
    ConfigurationError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    NoCredentialsError,
)

if TYPE_CHECKING:
    import botocore.credentials
    import botocore.session

__all__ = [
    "BotocoreCredentials",
    "Credentials",
    "CredentialsProvider",
    "DefaultCredentials",
    "EnvironmentCredentials",
    "StaticCredentials",
    "as_provider",
]

# botocore starts to refresh this long before expiry; from then on it must be asked again.
_REFRESH_BEFORE_EXPIRY = 15 * 60.0


class Credentials:
    """One set of AWS credentials, whole and immutable.

    :param access_key: the access key id.
    :param secret_key: the secret access key.
    :param token: the session token of temporary credentials. An empty one counts as none: Lattice
        refuses an empty ``x-amz-security-token``.
    :param expires_at: when they expire: an aware datetime, or seconds since the epoch. None: never.
    :raises InvalidCredentialsError: where a part is missing, or has characters that cannot stand in
        a header. The message names the part and never its value.
    """

    # By hand and no dataclass: importing dataclasses takes longer than all of the signing core.
    __slots__ = ("_expiry", "access_key", "expires_at", "secret_key", "token")

    access_key: str
    secret_key: str
    token: str | None
    expires_at: datetime | None
    # expires_at in seconds, worked out once: it is compared for every signature.
    _expiry: float

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        token: str | None = None,
        expires_at: datetime | float | None = None,
    ) -> None:
        expiry = _as_datetime(expires_at)
        set_field = super().__setattr__
        set_field("access_key", _checked("access_key", access_key))
        set_field("secret_key", _checked("secret_key", secret_key))
        set_field("token", _checked("token", token) if token else None)
        set_field("expires_at", expiry)
        set_field("_expiry", math.inf if expiry is None else expiry.timestamp())

    def expired(self, now: float) -> bool:
        """Whether they have expired at ``now`` (seconds since the epoch)."""
        return now >= self._expiry

    def __repr__(self) -> str:
        token = "None" if self.token is None else "'***'"
        return (
            f"Credentials(access_key={self.access_key!r}, secret_key='***', token={token}, "
            f"expires_at={self.expires_at!r})"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Credentials are immutable; make new ones instead of setting {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("Credentials are immutable")

    def _parts(self) -> tuple[str, str, str | None, datetime | None]:
        return self.access_key, self.secret_key, self.token, self.expires_at

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credentials) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __reduce__(self) -> tuple[type[Credentials], tuple[str, str, str | None, datetime | None]]:
        return type(self), self._parts()


_VISIBLE_ASCII = re.compile(r"[!-~]+")


def _checked(field: str, value: object) -> str:
    """A part of the credentials, if it can stand in a header; whoever has a line break in there
    has most often read a file and kept its last newline."""
    if not isinstance(value, str):
        raise InvalidCredentialsError(f"{field} must be a str, not {type(value).__name__}")
    if not value:
        raise InvalidCredentialsError(
            f"{field} is empty: give access_key and secret_key together, or neither"
        )
    if not _VISIBLE_ASCII.fullmatch(value):
        raise InvalidCredentialsError(
            f"{field} contains white space, a control character or non-ASCII text "
            "(a newline left over from a file?); its value is not shown"
        )
    return value


def _as_datetime(value: datetime | float | None) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        return datetime.fromtimestamp(value, UTC)
    if value.tzinfo is None:
        raise InvalidCredentialsError("expires_at has no time zone; give an aware datetime")
    return value


@runtime_checkable
class CredentialsProvider(Protocol):
    """Where credentials come from. Two methods; both may be called from many threads."""

    def peek(self) -> Credentials | None:
        """The credentials that are ready now, or None. Never blocks, does no I/O."""
        ...

    def get(self) -> Credentials:
        """The credentials, fetched if need be; may block.

        :raises CredentialsError: where there are none.
        """
        ...


def as_provider(credentials: Credentials | CredentialsProvider | None) -> CredentialsProvider:
    """What users may pass as ``credentials=``: a value, a provider, or None for the usual chain."""
    if credentials is None:
        return DefaultCredentials()
    if isinstance(credentials, Credentials):
        return StaticCredentials(credentials)
    if isinstance(credentials, CredentialsProvider):
        return credentials
    raise ConfigurationError(
        "credentials must be a lattice_client.Credentials or have the methods peek() and get(), "
        f"not {type(credentials).__name__}"
    )


class StaticCredentials:
    """Always the same credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __repr__(self) -> str:
        return f"StaticCredentials({self._credentials!r})"

    def peek(self) -> Credentials | None:
        return None if self._credentials.expired(time.time()) else self._credentials

    def get(self) -> Credentials:
        if self._credentials.expired(time.time()):
            raise ExpiredCredentialsError(
                f"the credentials of access key {self._credentials.access_key} expired at "
                f"{self._credentials.expires_at}; pass a provider that can renew them"
            )
        return self._credentials


class EnvironmentCredentials:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, without importing botocore.

    AWS_CREDENTIAL_EXPIRATION (ISO 8601), where set, says when they expire. The variables are read
    once, and again when what was read has expired.

    :param environ: where to read; the process' environment by default.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._read: Credentials | None = None

    def __repr__(self) -> str:
        return "EnvironmentCredentials()"

    def peek(self) -> Credentials | None:
        read = self._read
        return read if read is not None and not read.expired(time.time()) else None

    def get(self) -> Credentials:
        found = self.find()
        if found is None:
            raise NoCredentialsError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set in the environment"
            )
        return found

    def find(self) -> Credentials | None:
        """The credentials in the environment, or None where neither key is set.

        :raises InvalidCredentialsError: where only one of the two keys is set.
        :raises ExpiredCredentialsError: where AWS_CREDENTIAL_EXPIRATION has passed.
        """
        environ = os.environ if self._environ is None else self._environ
        access_key = environ.get("AWS_ACCESS_KEY_ID", "")
        secret_key = environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not access_key and not secret_key:
            return None
        if not access_key or not secret_key:
            there, missing = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            if secret_key:
                there, missing = missing, there
            raise InvalidCredentialsError(
                f"{there} is set in the environment but {missing} is not: set both or neither"
            )
        # AWS_SECURITY_TOKEN is the old name that botocore still reads.
        token = environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN")
        read = Credentials(access_key, secret_key, token, _expiration(environ))
        if read.expired(time.time()):
            raise ExpiredCredentialsError(
                f"the credentials in the environment expired at {read.expires_at} "
                "(AWS_CREDENTIAL_EXPIRATION)"
            )
        self._read = read
        return read


def _expiration(environ: Mapping[str, str]) -> datetime | None:
    text = environ.get("AWS_CREDENTIAL_EXPIRATION")
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidCredentialsError(
            f"AWS_CREDENTIAL_EXPIRATION is {text!r}, which is no ISO 8601 time"
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


class BotocoreCredentials:
    """botocore's whole chain: environment, profiles and SSO, assume-role, web identity, containers,
    instance metadata, processes. botocore is imported on the first ``get()``.

    :param profile: the profile to use, as in ``~/.aws/config``. None: AWS_PROFILE, else "default".
    :param session: a botocore session to use instead of one of our own.
    """

    def __init__(
        self, profile: str | None = None, *, session: botocore.session.Session | None = None
    ) -> None:
        if profile is not None and session is not None:
            raise ConfigurationError("give a profile or a session, not both")
        self._profile = profile
        self._session = session
        self._source: botocore.credentials.Credentials | None = None
        self._snapshot: Credentials | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"BotocoreCredentials(profile={self._profile!r})"

    def region(self) -> str | None:
        """The region that the profile names, if it does. Reads files, so it may block."""
        region = self._botocore_session().get_config_variable("region")
        return region if isinstance(region, str) else None

    def __reduce__(self) -> tuple[type[BotocoreCredentials], tuple[str | None]]:
        if self._session is not None:
            raise TypeError(
                "BotocoreCredentials over a botocore session cannot be pickled; "
                "give the profile's name instead"
            )
        return type(self), (self._profile,)

    def peek(self) -> Credentials | None:
        snapshot = self._snapshot
        if snapshot is None or snapshot.expired(time.time() + _REFRESH_BEFORE_EXPIRY):
            return None
        return snapshot

    def get(self) -> Credentials:
        # One fetch for all the threads that wait: the first one in leaves the others a snapshot.
        with self._lock:
            ready = self.peek()
            if ready is not None:
                return ready
            self._snapshot = fetched = self._fetch()
            return fetched

    def _botocore_session(self) -> botocore.session.Session:
        import botocore.session

        if self._session is not None:
            return self._session
        return botocore.session.Session(profile=self._profile)

    def _fetch(self) -> Credentials:
        import botocore.exceptions

        if self._source is None:
            try:
                self._source = self._botocore_session().get_credentials()
            except botocore.exceptions.BotoCoreError as error:
                raise NoCredentialsError(
                    f"botocore found no usable credentials: {error}"
                ) from error
        if self._source is None:
            raise NoCredentialsError(
                "no AWS credentials found: botocore's chain (environment, profile, assume-role, "
                "web identity, container, instance metadata) is empty. Set AWS_PROFILE or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass credentials=…"
            )
        try:
            return _snapshot_of(self._source)
        except botocore.exceptions.BotoCoreError as error:
            raise NoCredentialsError(
                f"botocore could not fetch credentials from {self._source.method!r}: {error}"
            ) from error


def _snapshot_of(source: botocore.credentials.Credentials) -> Credentials:
    """One frozen set with its expiry.

    botocore gives the two in separate reads, and whoever shares the session may refresh in between:
    then the set it holds by now is another one. (Asking it for a frozen set again would not do, for
    short-lived credentials are refreshed at each asking.)
    """
    live: Any = source
    while True:
        frozen = live.get_frozen_credentials()
        expires_at = getattr(live, "_expiry_time", None)
        if getattr(live, "_frozen_credentials", frozen) == frozen:
            break
    snapshot = Credentials(frozen.access_key, frozen.secret_key, frozen.token, expires_at)
    if snapshot.expired(time.time()):
        raise ExpiredCredentialsError(
            f"the credentials from {live.method!r} expired at {snapshot.expires_at}"
        )
    return snapshot


class DefaultCredentials:
    """What is used when nothing is said: the environment's keys, else botocore's chain.

    The order is botocore's own. Asking the environment first keeps botocore, 200 ms of imports, out
    of processes that do not need it (Lambda functions above all).
    """

    def __init__(self) -> None:
        self._environment = EnvironmentCredentials()
        self._botocore = BotocoreCredentials()

    def __repr__(self) -> str:
        return "DefaultCredentials()"

    def peek(self) -> Credentials | None:
        return self._environment.peek() or self._botocore.peek()

    def get(self) -> Credentials:
        return self._environment.find() or self._botocore.get()

    def region(self) -> str | None:
        """The region of the profile that botocore would use."""
        return self._botocore.region()
