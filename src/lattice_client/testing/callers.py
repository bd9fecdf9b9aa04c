"""Callers: whom the local Lattice knows, and by which credentials.

Every caller is a session of an IAM role, as nearly all callers of Lattice are: tasks, functions and
instances act through roles.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lattice_client.credentials import Credentials

__all__ = ["Caller", "CallerRegistry", "Principal"]

_KEY_LETTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated role session.

    :param organization: the id of the organization the account belongs to, if to any.
    """

    account: str
    role: str
    session: str
    organization: str | None = None

    @property
    def arn(self) -> str:
        """The session's ARN. A role's path is no part of it: "IAM identifiers" (IAM User Guide)."""
        name = self.role.rpartition("/")[2]
        return f"arn:aws:sts::{self.account}:assumed-role/{name}/{self.session}"

    @property
    def role_arn(self) -> str:
        """The role's ARN, path included."""
        return f"arn:aws:iam::{self.account}:role/{self.role}"


class Caller:
    """Somebody who calls services, with one or more sets of credentials that count.

    Made by ``LocalLattice.add_caller``. Its repr shows no credentials.
    """

    def __init__(
        self, name: str, principal: Principal, registry: CallerRegistry, credentials: Credentials
    ) -> None:
        self.name = name
        self.identity = principal
        self._registry = registry
        self._credentials = credentials
        registry.enter(self, credentials)

    def __repr__(self) -> str:
        return f"<Caller {self.name!r}, {self.principal}>"

    @property
    def credentials(self) -> Credentials:
        """The newest credentials."""
        return self._credentials

    @property
    def principal(self) -> str:
        """The caller's ARN, as policies, denials and the access log have it."""
        return self.identity.arn

    def rotate(
        self,
        credentials: Credentials | None = None,
        *,
        expires_at: datetime | float | None = None,
    ) -> Credentials:
        """Issue new credentials for the same principal; the old ones stay valid.

        :param credentials: the ones to register; made up if None, with a token if the present ones
            have one.
        :param expires_at: when made-up credentials expire.
        :returns: the new credentials.
        :raises ValueError: if the access key is already registered.
        """
        if credentials is None:
            credentials = issue(token=self._credentials.token is not None, expires_at=expires_at)
        self._registry.enter(self, credentials)
        self._credentials = credentials
        return credentials

    def revoke(self, credentials: Credentials | None = None) -> None:
        """Make credentials unknown (None: the newest): they get ``UnrecognizedClientException``."""
        self._registry.remove(credentials or self._credentials)

    def expire(self, credentials: Credentials | None = None) -> None:
        """Make credentials expire now (None: the newest): they get ``ExpiredTokenException``."""
        self._registry.expire(credentials or self._credentials)


class CallerRegistry:
    """All callers by name, and all credentials that count by access key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._callers: dict[str, Caller] = {}
        self._credentials: dict[str, tuple[Caller, Credentials]] = {}

    def __getitem__(self, name: str) -> Caller:
        try:
            return self._callers[name]
        except KeyError:
            known = ", ".join(sorted(self._callers)) or "none"
            raise KeyError(f"no caller {name!r}; there are: {known}") from None

    @property
    def by_name(self) -> dict[str, Caller]:
        """All callers, in the order they were added."""
        return dict(self._callers)

    def enter(self, caller: Caller, credentials: Credentials) -> None:
        """Let ``credentials`` stand for ``caller``.

        :raises ValueError: if the caller's name or the access key is already taken.
        """
        if self._callers.get(caller.name, caller) is not caller:
            raise ValueError(f"there is a caller {caller.name!r} already; see Caller.rotate()")
        if credentials.access_key in self._credentials:
            raise ValueError(f"access key {credentials.access_key!r} is registered already")
        self._callers[caller.name] = caller
        self._credentials[credentials.access_key] = caller, credentials

    def remove(self, credentials: Credentials) -> None:
        """Forget ``credentials``; nothing happens if they are unknown."""
        self._credentials.pop(credentials.access_key, None)

    def expire(self, credentials: Credentials) -> None:
        """Let ``credentials`` have expired by now.

        :raises ValueError: if they are unknown.
        """
        if credentials.access_key not in self._credentials:
            raise ValueError(f"access key {credentials.access_key!r} is not registered")
        caller, known = self._credentials[credentials.access_key]
        expired = type(known)(known.access_key, known.secret_key, known.token, self._clock())
        self._credentials[credentials.access_key] = caller, expired

    def credentials(self, access_key: str) -> Credentials | None:
        """The credentials with this access key, for the verifier."""
        entry = self._credentials.get(access_key)
        return entry[1] if entry else None

    def principal(self, access_key: str) -> Principal | None:
        """Whose access key this is."""
        entry = self._credentials.get(access_key)
        return entry[0].identity if entry else None


def issue(*, token: bool, expires_at: datetime | float | None = None) -> Credentials:
    """Made-up credentials in the form of real ones: ``ASIA…`` with a token, ``AKIA…`` without."""
    from lattice_client.credentials import Credentials

    letters = "".join(secrets.choice(_KEY_LETTERS) for _ in range(16))
    return Credentials(
        f"{'ASIA' if token else 'AKIA'}{letters}",
        secrets.token_urlsafe(30),
        secrets.token_urlsafe(256) if token else None,
        expires_at,
    )
