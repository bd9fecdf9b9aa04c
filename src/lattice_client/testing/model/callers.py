"""Callers known to the local Lattice, and their credentials.

Nearly all callers of Lattice are sessions of IAM roles: tasks, functions and instances act through
roles. Users and root users can sign, too.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from lattice_client.errors import ConfigurationError
from lattice_client.testing.arns import check_account
from lattice_client.testing.policies import IdentityPolicy, PolicyDocument, PrincipalType
from lattice_client.testing.policies.values import NAME, NAME_WITH_PATH

if TYPE_CHECKING:
    from lattice_client.credentials import Credentials

__all__ = ["Caller", "CallerRegistry", "Principal"]

_KEY_LETTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: a role's session, a user (``user``), or an account's root user.

    :param account: the account's id, 12 digits.
    :param role: the role's name, with its path if it has one.
    :param session: the session's name.
    :param organization: the id of the account's organization, or None.
    :param partition: of the account, such as ``aws-cn``.
    :param user: an IAM user's name, with its path if it has one; excludes ``role``.
    :param tags: of the role and the session, or of the user: ``aws:PrincipalTag/…``. A session's
        tags override the role's: merge them so.
    :param organization_paths: ``aws:PrincipalOrgPaths``.
    :param identity_policies: the caller's IAM policies, as documents or parsed. None, for
        convenience, allows everything. ``()`` is what Lattice sees of a role without policies: it
        may call nothing.
    :raises ValueError: if the account or the partition is not valid, or there are a role and a
        user; ``PolicyError`` (a ``ValueError``) if IAM would refuse a policy.
    """

    account: str
    role: str | None = None
    session: str = ""
    organization: str | None = None
    partition: str = field(default="aws", kw_only=True)
    user: str | None = field(default=None, kw_only=True)
    tags: Mapping[str, str] = field(default_factory=dict, kw_only=True, hash=False)
    organization_paths: Sequence[str] = field(default=(), kw_only=True, hash=False)
    identity_policies: Sequence[IdentityPolicy | PolicyDocument] | None = field(
        default=None, kw_only=True, hash=False, repr=False
    )

    def __post_init__(self) -> None:
        check_account(self.account)
        if not re.fullmatch("aws[a-z-]*", self.partition):
            raise ValueError(f"{self.partition!r} is not a partition, such as aws and aws-cn")
        if self.role is not None and self.user is not None:
            raise ValueError("a principal is a role's session or a user, not both")
        if self.role is not None and not self.session:
            object.__setattr__(self, "session", "session")
        if self.role is None and self.session:
            raise ValueError("only a role has sessions")
        object.__setattr__(self, "tags", dict(self.tags))
        self._check()
        if self.identity_policies is not None:
            object.__setattr__(self, "identity_policies", _read_policies(self.identity_policies))

    def _check(self) -> None:
        named: tuple[tuple[object, str], ...] = (
            (self.role, NAME_WITH_PATH),
            (self.user, NAME_WITH_PATH),
            (self.session or None, NAME),
        )
        for name, form in named:
            if name is None:
                continue
            if not (isinstance(name, str) and re.fullmatch(form, name, re.ASCII)):
                raise ConfigurationError(
                    f"{name!r} is not a name of a role, user or session: letters, digits and "
                    "+=,.@_- only, for a role or user perhaps after its path, as in team/web (set "
                    "role=… if a caller's role has another name)"
                )
        for tag, value in self.tags.items():
            if not isinstance(value, str):
                raise ConfigurationError(f"the tag {tag!r} must be a string, not {value!r}")

    @classmethod
    def from_arn(
        cls,
        arn: str,
        *,
        organization: str | None = None,
        tags: Mapping[str, str] | None = None,
        organization_paths: Sequence[str] = (),
        identity_policies: Sequence[IdentityPolicy | PolicyDocument] | None = None,
    ) -> Principal:
        """The principal of an ARN: of a role (its session is then called ``session``), a session, a
        user or an account's root user. For the last an account's id is enough.

        :raises ValueError: if it is not one of these.
        """
        found = re.fullmatch(_ARN, arn)
        if found is None:
            raise ValueError(f"{arn!r} is not the ARN of a role, a session, a user or an account")
        return cls(
            found["account"],
            found["role"] or found["assumed"],
            found["session"] or "",
            organization,
            partition=found["partition"] or "aws",
            user=found["user"],
            tags=tags or {},
            organization_paths=organization_paths,
            identity_policies=identity_policies,
        )

    @property
    def type(self) -> PrincipalType:
        """``aws:PrincipalType``."""
        if self.user is not None:
            return "User"
        return "Account" if self.role is None else "AssumedRole"

    @property
    def arn(self) -> str:
        """The caller's ARN; for a role the session's. It omits the role's path: "IAM identifiers"
        (IAM User Guide)."""
        if self.role is None:
            return self.principal_arn
        name = self.role.rpartition("/")[2]
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{name}/{self.session}"

    @property
    def principal_arn(self) -> str:
        """``aws:PrincipalArn``: of a session, the ARN of its role, path included."""
        if self.user is not None:
            name = f"user/{self.user}"
        else:
            name = "root" if self.role is None else f"role/{self.role}"
        return f"arn:{self.partition}:iam::{self.account}:{name}"

    @property
    def policies(self) -> tuple[IdentityPolicy, ...] | None:
        """The parsed identity policies; None allows everything."""
        return cast("tuple[IdentityPolicy, ...] | None", self.identity_policies)

    @property
    def user_id(self) -> str:
        """``aws:userid``, invented in IAM's form, and the same for equal principals."""
        if self.type == "Account":
            return self.account
        digest = base64.b32encode(hashlib.sha256(self.principal_arn.encode()).digest()).decode()
        unique = digest[:17]
        return f"AIDA{unique}" if self.user is not None else f"AROA{unique}:{self.session}"


_ARN = (
    r"(?:arn:(?P<partition>aws[a-z-]*):(?:iam|sts)::)?(?P<account>[0-9]{12})"
    r"(?::(?:root|role/(?P<role>.+)|user/(?P<user>.+)"
    r"|assumed-role/(?P<assumed>[^/:]+)/(?P<session>[^/:]+)))?"
)


def _read_policies(
    policies: Sequence[IdentityPolicy | PolicyDocument],
) -> tuple[IdentityPolicy, ...]:
    if isinstance(policies, str | Mapping | IdentityPolicy):
        raise ConfigurationError(
            "identity_policies must be a list of policies, also for a single one"
        )
    return tuple(
        policy if isinstance(policy, IdentityPolicy) else IdentityPolicy.from_document(policy)
        for policy in policies
    )


class Caller:
    """A caller of services, with one or more sets of valid credentials.

    Made by ``LocalLattice.add_caller``. Its repr shows no credentials.
    """

    def __init__(
        self, name: str, principal: Principal, registry: CallerRegistry, credentials: Credentials
    ) -> None:
        self.name = name
        self.identity = principal
        self._registry = registry
        self._credentials = credentials
        registry.register(self, credentials)

    def __repr__(self) -> str:
        return f"<Caller {self.name!r}, {self.principal}>"

    @property
    def credentials(self) -> Credentials:
        """The newest credentials."""
        return self._credentials

    @property
    def principal(self) -> str:
        """The caller's ARN, as in policies, denials and the access log."""
        return self.identity.arn

    def rotate(
        self,
        credentials: Credentials | None = None,
        *,
        expires_at: datetime | float | None = None,
    ) -> Credentials:
        """Issue new credentials for the same principal; the old ones stay valid.

        :param credentials: the ones to register; None generates some, with a token if the present
            ones have one.
        :param expires_at: when generated credentials expire.
        :returns: the new credentials.
        :raises ValueError: if the access key is already registered.
        """
        if credentials is None:
            credentials = issue(token=self._credentials.token is not None, expires_at=expires_at)
        self._registry.register(self, credentials)
        self._credentials = credentials
        return credentials

    def revoke(self, credentials: Credentials | None = None) -> None:
        """Make credentials unknown (None: the newest): they get ``UnrecognizedClientException``."""
        self._registry.remove(credentials or self._credentials)

    def expire(self, credentials: Credentials | None = None) -> None:
        """Make credentials expire now (None: the newest): they get ``ExpiredTokenException``."""
        self._registry.expire(credentials or self._credentials)


class CallerRegistry:
    """All callers by name, and all registered credentials by access key."""

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
        """All callers by name, in the order they were added."""
        return dict(self._callers)

    def register(self, caller: Caller, credentials: Credentials) -> None:
        """Register ``credentials`` of ``caller``.

        :raises ValueError: if the caller's name or the access key is already taken.
        """
        if self._callers.get(caller.name, caller) is not caller:
            raise ValueError(f"there is a caller {caller.name!r} already; see Caller.rotate()")
        if credentials.access_key in self._credentials:
            raise ValueError(f"access key {credentials.access_key!r} is registered already")
        self._callers[caller.name] = caller
        self._credentials[credentials.access_key] = caller, credentials

    def remove(self, credentials: Credentials) -> None:
        """Remove ``credentials``. Do nothing if they are unknown."""
        self._credentials.pop(credentials.access_key, None)

    def expire(self, credentials: Credentials) -> None:
        """Make ``credentials`` expire now.

        :raises ValueError: if they are unknown.
        """
        if credentials.access_key not in self._credentials:
            raise ValueError(f"access key {credentials.access_key!r} is not registered")
        caller, known = self._credentials[credentials.access_key]
        expired = type(known)(known.access_key, known.secret_key, known.token, self._clock())
        self._credentials[credentials.access_key] = caller, expired

    def credentials(self, access_key: str) -> Credentials | None:
        """The credentials with this access key; None if they are unknown."""
        entry = self._credentials.get(access_key)
        return entry[1] if entry else None

    def principal(self, access_key: str) -> Principal | None:
        """The principal with this access key; None if it is unknown."""
        entry = self._credentials.get(access_key)
        return entry[0].identity if entry else None


def issue(*, token: bool, expires_at: datetime | float | None = None) -> Credentials:
    """Generate credentials in the form of real ones: ``ASIA…`` with a token, ``AKIA…`` without."""
    from lattice_client.credentials import Credentials

    letters = "".join(secrets.choice(_KEY_LETTERS) for _ in range(16))
    return Credentials(
        f"{'ASIA' if token else 'AKIA'}{letters}",
        secrets.token_urlsafe(30),
        secrets.token_urlsafe(256) if token else None,
        expires_at,
    )
