"""The value: one set of credentials."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import NoReturn

from lattice_client.errors import InvalidCredentialsError

__all__ = ["Credentials", "shown"]


class Credentials:
    """One set of AWS credentials, whole and immutable.

    :param access_key: the access key id.
    :param secret_key: the secret access key.
    :param token: the session token of temporary credentials. An empty one counts as none: Lattice
        refuses an empty ``x-amz-security-token``.
    :param expires_at: when they expire: an aware datetime, or seconds since the epoch. None: never.
    :raises InvalidCredentialsError: where a part is missing, or has characters that cannot stand in
        a header, or the expiry is no time. The message names the part and never its value.
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
        set_field("token", None if token is None or token == "" else _checked("token", token))
        set_field("expires_at", expiry)
        set_field("_expiry", math.inf if expiry is None else expiry.timestamp())

    def expired(self, now: float) -> bool:
        """Whether they have expired at ``now`` (seconds since the epoch)."""
        return now >= self._expiry

    def __repr__(self) -> str:
        token = "None" if self.token is None else "'***'"
        return (
            f"Credentials(access_key={shown(self.access_key)!r}, secret_key='***', token={token}, "
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


def shown(access_key: str) -> str:
    """An access key id for other eyes; what does not look like one may be a secret that stands in
    the wrong place ("AccessKey", IAM API Reference)."""
    return access_key if _ID.fullmatch(access_key) else "***"


# Secret keys have both cases, and are longer.
_ID = re.compile(r"[A-Z0-9-]{1,32}|[A-Za-z0-9_-]{1,24}")
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


def _as_datetime(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidCredentialsError("expires_at has no time zone; give an aware datetime")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidCredentialsError(
            "expires_at must be an aware datetime or seconds since the epoch, "
            f"not {type(value).__name__}"
        )
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidCredentialsError(
            f"expires_at is {value}, which is no time in seconds since the epoch"
        ) from None
