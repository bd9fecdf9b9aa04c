"""Another role's credentials, from STS."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lattice_client._arguments import explains_boto_names
from lattice_client._regions import check_region
from lattice_client._secrecy import forgetful
from lattice_client.credentials.botocore_errors import botocore_errors
from lattice_client.credentials.botocore_session import find_region, make_client, new_session
from lattice_client.credentials.coercion import CredentialsSource
from lattice_client.credentials.default import as_provider
from lattice_client.credentials.metadata_region import metadata_region
from lattice_client.credentials.provider import chosen_region, current, provider_region
from lattice_client.credentials.refreshing import (
    ADVISORY,
    JITTER,
    MANDATORY,
    RefreshingCredentials,
)
from lattice_client.credentials.value import Credentials
from lattice_client.errors import ConfigurationError, CredentialsError

__all__ = ["AssumeRole"]

_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_DURATIONS = range(900, 43_201)
# Callers wait for the answer, and RefreshingCredentials tries again by itself.
_SETTINGS: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 10,
    "retries": {"total_max_attempts": 2},
}


class AssumeRole(RefreshingCredentials):
    """The credentials of a role, which ``base`` assumes (AssumeRole, STS API Reference).

    They are refreshed in the background, each time with the base's credentials of that moment.

    :param role_arn: as ``arn:aws:iam::123456789012:role/orders``.
    :param session_name: is in CloudTrail and in the caller's ARN that Lattice's policies see.
    :param base: whose credentials call STS, in any form that ``credentials=`` of the auth objects
        takes; another AssumeRole too. None: :class:`DefaultCredentials`.
    :param duration: for how many seconds, 900 to 43,200 and no more than the role allows; 3600 at
        most where ``base`` is a role too. None: STS's default, an hour.
    :param external_id: what the role's trust policy requires of third parties.
    :param tags: session tags, which auth policies can require (``aws:PrincipalTag``).
    :param transitive_tags: the keys of the tags that are passed on when a further role is assumed.
    :param source_identity: who is behind the session; it is passed on to further roles.
    :param policy: a session policy, as JSON, that restricts what the role may do.
    :param region: whose STS to call. None: the one that a session as ``base`` was given in code,
        AWS_REGION, AWS_DEFAULT_REGION, the base's, the one of the profile that the default chain
        would use, or the one that this machine runs in.
    :raises RegionError: for what is no region, such as a zone.
    :raises ConfigurationError: for any other argument that cannot work.

    The other parameters are those of :class:`RefreshingCredentials`. AWS_ENDPOINT_URL_STS works as
    for botocore. It pickles if its base does.
    """

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        role_arn: str,
        *,
        session_name: str = "lattice-client",
        base: CredentialsSource | None = None,
        duration: int | None = None,
        external_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        transitive_tags: Iterable[str] = (),
        source_identity: str | None = None,
        policy: str | None = None,
        region: str | None = None,
        advisory: float = ADVISORY,
        mandatory: float = MANDATORY,
        jitter: float = JITTER,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not _ROLE.fullmatch(str(role_arn)):
            raise ConfigurationError(
                f"{role_arn!r} is no role's ARN, as arn:aws:iam::123456789012:role/orders"
            )
        if isinstance(transitive_tags, str):
            raise ConfigurationError(f"transitive_tags must be a list: [{transitive_tags!r}]")
        if not _SESSION_NAME.fullmatch(session_name):
            raise ConfigurationError(
                f"session_name must be 2 to 64 letters, digits and _+=,.@-, not {session_name!r}"
            )
        if duration is not None and (type(duration) is not int or duration not in _DURATIONS):
            raise ConfigurationError(
                f"duration must be 900 to 43200 whole seconds, not {duration!r}"
            )
        if tags is not None and not isinstance(tags, Mapping):
            raise ConfigurationError(f"tags must be a mapping: {{'team': 'orders'}}, not {tags!r}")
        if region is not None:
            check_region(region)
        given = {
            "DurationSeconds": duration,
            "ExternalId": external_id,
            "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
            "TransitiveTagKeys": [*transitive_tags],
            "SourceIdentity": source_identity,
            "Policy": policy,
        }
        self._request = {
            "RoleArn": role_arn,
            "RoleSessionName": session_name,
            **{name: value for name, value in given.items() if value},
        }
        self._base = as_provider(base)
        self._region = region
        super().__init__(
            self._assume,
            name=f"the role {role_arn}",
            advisory=advisory,
            mandatory=mandatory,
            jitter=jitter,
            patience=patience,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"AssumeRole({self._request['RoleArn']!r}, base={self._base!r})"

    def region(self) -> str | None:
        """The region that was given, else the base's."""
        return self._region or provider_region(self._base)

    def chosen_region(self) -> str | None:
        """The region that a session as base was given in code, if any."""
        return chosen_region(self._base)

    def _assume(self) -> Credentials:
        base = current(self._base)
        with botocore_errors("STS"):
            answer = self._call(base)["Credentials"]
            return Credentials(
                answer["AccessKeyId"],
                answer["SecretAccessKey"],
                answer["SessionToken"],
                answer["Expiration"],
            )

    def _call(self, base: Credentials) -> dict[str, Any]:
        session = new_session()
        # The global endpoint is one region's, and its tokens do not hold in every region ("Manage
        # AWS STS in an AWS Region", IAM User Guide).
        session.set_config_variable("sts_regional_endpoints", "regional")
        region = self._region or find_region(session, self._base) or metadata_region()
        if not region:
            raise CredentialsError(
                "no region whose STS to call: pass AssumeRole(…, region=…) or set AWS_REGION"
            )
        client = make_client(session, "sts", region, base, **_SETTINGS)
        try:
            answer: dict[str, Any] = client.assume_role(**self._request)
        finally:
            client.close()
        return answer
