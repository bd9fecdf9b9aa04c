"""The value: one set of credentials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from lattice_client._arguments import explains_boto_names
from lattice_client._secrecy import fault_of_parts, forgetful, redacted_key_id
from lattice_client.errors import InvalidCredentialsError

__all__ = ["Credentials", "utc_time"]

# What STS gives of credentials, all required ("Credentials", STS API Reference).
_STS_KEYS = ("AccessKeyId", "SecretAccessKey", "SessionToken")


class Credentials:
    """One set of AWS credentials, whole and immutable.

    :param access_key: the access key id: letters, digits and ``_``, 128 at most (``AccessKey``, IAM
        API Reference). Fewer than IAM's 16 are accepted, for stand-ins for AWS.
    :param secret_key: the secret access key.
    :param token: the session token of temporary credentials. An empty one counts as none: Lattice
        refuses an empty ``x-amz-security-token``.
    :param expires_at: when they expire: an aware datetime, or seconds since the epoch. None: never.
    :raises InvalidCredentialsError: where a part is missing or cannot be what it stands for (the
        two keys are swapped, quotes are around them), or the expiry is no time. The message names
        the part and never its value.
    """

    # Not a dataclass: importing dataclasses takes longer than importing the whole signing core.
    __slots__ = ("_expiry", "access_key", "expires_at", "secret_key", "token")

    access_key: str
    secret_key: str
    token: str | None
    expires_at: datetime | None
    # expires_at in seconds, computed once: it is compared for every signature.
    _expiry: float

    @explains_boto_names
    def __init__(
        self,
        access_key: str,
        secret_key: str,
        token: str | None = None,
        expires_at: datetime | float | None = None,
    ) -> None:
        expiry = _as_datetime(expires_at)
        fault = fault_of_parts(access_key, secret_key, token)
        if fault is None and isinstance(expiry, str):
            fault = expiry
        if fault is not None:
            # Error reporters show a frame's locals.
            del self, access_key, secret_key, token, expires_at
            raise InvalidCredentialsError(fault)
        set_field = super().__setattr__
        set_field("access_key", access_key)
        set_field("secret_key", secret_key)
        set_field("token", token or None)
        set_field("expires_at", expiry)
        set_field("_expiry", expiry.timestamp() if isinstance(expiry, datetime) else math.inf)

    @classmethod
    @forgetful
    def from_sts(cls, mapping: Mapping[str, Any]) -> Credentials:
        """The credentials in what STS answers, as boto3 and the AWS CLI give it.

        :param mapping: with ``AccessKeyId``, ``SecretAccessKey``, ``SessionToken`` and
            ``Expiration``, or a whole answer that has them below ``Credentials``. The expiry is a
            datetime or an ISO 8601 text, in UTC where it names no zone; without one they never
            expire.
        :raises InvalidCredentialsError: where a key is missing or a part cannot be what it stands
            for. The message names the key and never a value.
        """
        parts: Any = mapping
        if isinstance(parts, Mapping) and isinstance(parts.get("Credentials"), Mapping):
            parts = parts["Credentials"]
        if not isinstance(parts, Mapping):
            raise InvalidCredentialsError(
                f"from_sts() takes a mapping as STS gives it, not {type(parts).__name__}"
            )
        missing = [key for key in _STS_KEYS if not parts.get(key)]
        if missing:
            raise InvalidCredentialsError(
                f"the mapping has no {' and no '.join(missing)}: give what STS answers, with "
                f"{', '.join(_STS_KEYS)} and Expiration, or Credentials(access_key, secret_key, "
                "token)"
            )
        access_key, secret_key, token = (parts[key] for key in _STS_KEYS)
        fault = fault_of_parts(access_key, secret_key, token, _STS_KEYS)
        if fault is not None:
            raise InvalidCredentialsError(fault)
        return cls(access_key, secret_key, token, _sts_expiry(parts.get("Expiration")))

    def expired(self, now: float) -> bool:
        """Whether they have expired at ``now`` (seconds since the epoch)."""
        return now >= self._expiry

    def __repr__(self) -> str:
        token = "None" if self.token is None else "'***'"
        return (
            f"Credentials(access_key={redacted_key_id(self.access_key)!r}, secret_key='***', "
            f"token={token}, expires_at={self.expires_at!r})"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        del value
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


def utc_time(text: str) -> datetime:
    """An ISO 8601 time, in UTC where it names no zone.

    :raises ValueError: for any other text.
    """
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _sts_expiry(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return utc_time(value)
        except ValueError:
            raise InvalidCredentialsError("Expiration is no ISO 8601 time") from None
    if isinstance(value, datetime) and value.utcoffset() is None:
        return value.replace(tzinfo=UTC)
    return value


def _as_datetime(value: object) -> datetime | str | None:
    """A time, or what is wrong with it."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            return "expires_at has no time zone; give an aware datetime"
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (
            "expires_at must be an aware datetime or seconds since the epoch, "
            f"not {type(value).__name__}"
        )
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return f"expires_at is {value}, which is no time in seconds since the epoch"
