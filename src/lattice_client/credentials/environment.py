"""The process' environment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime
from weakref import WeakValueDictionary

from lattice_client._secrecy import fault_of_parts
from lattice_client.credentials.provider import refuse_without_token
from lattice_client.credentials.value import Credentials, utc_time
from lattice_client.errors import (
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    NoCredentialsError,
)

__all__ = ["EnvironmentCredentials", "read_environment_again"]

_NAMES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",  # the old name of the token, which botocore still reads
    "AWS_CREDENTIAL_EXPIRATION",
)
_Variables = tuple[str | None, ...]

# Seconds. Reading takes some microseconds, so peek() reads the variables only this often.
_LOOK_EVERY = 1.0
# Seconds. How soon peek() reads again after a change, which may still be under way: variables are
# set one after the other, and a new key with an old secret signs nothing.
_LOOK_AGAIN = 0.02


class EnvironmentCredentials:
    """AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, without importing botocore.

    AWS_CREDENTIAL_EXPIRATION (ISO 8601), where set, is their expiry. ``peek()`` reads the variables
    at most once a second, and takes changed ones when it has read them twice; ``get()`` takes them
    as they are.

    :param environ: where to read; the process' environment by default.

    It pickles without the variables, to read those of the process that unpickles it.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        _all[id(self)] = self
        # Swapped whole: (since, until, credentials), the time for which peek() need not read.
        self._state: tuple[float, float, Credentials | None] = (0.0, 0.0, None)
        self._taken: _Variables | None = None
        # What was last read that differs from what is taken, and when; swapped whole.
        self._seen: tuple[_Variables | None, float] = (None, 0.0)

    def __repr__(self) -> str:
        return "EnvironmentCredentials()"

    def __reduce__(self) -> tuple[type[EnvironmentCredentials], tuple[()]]:
        if self._environ is not None:
            raise TypeError(
                "EnvironmentCredentials over a mapping cannot be pickled, as that holds secrets; "
                "read the process' environment instead"
            )
        return type(self), ()

    def peek(self) -> Credentials | None:
        since, until, credentials = self._state
        if since <= (now := time.time()) < until:
            return credentials
        variables = self._read()
        seen, seen_at = self._seen
        seen_before = variables == seen and not seen_at <= now < seen_at + _LOOK_AGAIN
        if self._taken in (variables, None) or seen_before:
            self._take(variables, now)
        else:
            if variables != seen:
                self._seen = (variables, now)
            valid = credentials if credentials and not credentials.expired(now) else None
            self._state = (now, now + _LOOK_AGAIN, valid)
        return self._state[2]

    def get(self) -> Credentials:
        found = self.find()
        if found is None:
            raise NoCredentialsError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set in the environment"
            )
        return found

    def refused(self, credentials: Credentials) -> bool:
        """Be told that a service has refused these credentials as expired: read again now.

        :returns: whether the variables hold others. Where they hold nothing usable, the known ones
            go on serving.
        """
        variables, now = self._read(), time.time()
        try:
            found = _parsed(variables, now)
        except CredentialsError:
            return False
        if found is None or found == credentials:
            return False
        self._take(variables, now)
        return True

    def read_again(self) -> None:
        """Read the variables at the next use, and take them as they are then."""
        self._taken = None
        self._seen = (None, 0.0)
        self._state = (0.0, 0.0, None)

    def find(self) -> Credentials | None:
        """The credentials in the environment, or None where neither key is set.

        :raises InvalidCredentialsError: where only one of the two keys is set, or the token of a
            temporary key is not.
        :raises ExpiredCredentialsError: where AWS_CREDENTIAL_EXPIRATION has passed.
        """
        taken = self._take(self._read(), time.time())
        if isinstance(taken, CredentialsError):
            raise taken
        return taken

    def _read(self) -> _Variables:
        get = (os.environ if self._environ is None else self._environ).get
        return tuple([get(name) for name in _NAMES])

    def _take(self, variables: _Variables, now: float) -> Credentials | CredentialsError | None:
        """Make these the ones to give: the same object for the same credentials."""
        found: Credentials | CredentialsError | None
        try:
            found = _parsed(variables, now)
        except CredentialsError as error:
            # Without its traceback, whose frames hold the variables.
            found = type(error)(str(error))
        credentials = found if isinstance(found, Credentials) else None
        old = self._state[2]
        if old is not None and old == credentials:
            credentials = found = old
        until = now + _LOOK_EVERY
        if credentials is not None and credentials.expires_at is not None:
            until = min(until, credentials.expires_at.timestamp())
        self._taken = variables
        self._state = (now, until, credentials)
        return found


_all: WeakValueDictionary[int, EnvironmentCredentials] = WeakValueDictionary()


def read_environment_again() -> None:
    """Make every ``EnvironmentCredentials`` of this process read the variables at its next use.

    For tests that change the variables, and whose next call is to be signed with the new ones.
    """
    for reference in _all.valuerefs():
        if (each := reference()) is not None:
            each.read_again()


def _parsed(variables: _Variables, now: float) -> Credentials | None:
    access_key, secret_key, token, old_token, expiration = variables
    if not access_key and not secret_key:
        return None
    if not access_key or not secret_key:
        there, missing = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        if secret_key:
            there, missing = missing, there
        raise InvalidCredentialsError(
            f"{there} is set in the environment but {missing} is not: set both or neither"
        )
    token_name = "AWS_SESSION_TOKEN" if token or not old_token else "AWS_SECURITY_TOKEN"
    token = token or old_token
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", token_name)
    fault = fault_of_parts(access_key, secret_key, token, names)
    if fault is not None:
        raise InvalidCredentialsError(f"in the environment, {fault}")
    expires_at = _as_time(expiration) if expiration else None
    read = Credentials(access_key, secret_key, token, expires_at)
    if read.expired(now):
        raise ExpiredCredentialsError(
            f"the credentials in the environment expired at {read.expires_at} "
            "(AWS_CREDENTIAL_EXPIRATION)"
        )
    try:
        refuse_without_token(read)
    except InvalidCredentialsError as error:
        raise InvalidCredentialsError(f"{error}: set AWS_SESSION_TOKEN too") from None
    return read


def _as_time(text: str) -> datetime:
    try:
        return utc_time(text)
    except ValueError:
        raise InvalidCredentialsError(
            f"AWS_CREDENTIAL_EXPIRATION is {text!r}, which is no ISO 8601 time"
        ) from None
