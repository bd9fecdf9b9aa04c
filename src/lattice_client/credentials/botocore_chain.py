"""botocore's chain of credentials providers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from lattice_client._arguments import explains_boto_names
from lattice_client._secrecy import forgetful
from lattice_client.credentials.botocore_errors import botocore_errors
from lattice_client.credentials.botocore_session import new_session, use_regional_sts
from lattice_client.credentials.coercion import SessionLike, is_session, refuse_asynchronous
from lattice_client.credentials.owned import OwnedCredentials, snapshot_of
from lattice_client.credentials.refreshing import ADVISORY, JITTER, MANDATORY
from lattice_client.credentials.value import Credentials
from lattice_client.errors import ConfigurationError, CredentialsError, NoCredentialsError

__all__ = ["BotocoreCredentials"]


class BotocoreCredentials(OwnedCredentials):
    """botocore's whole chain: environment, profiles and SSO, assume-role, web identity, containers,
    instance metadata, processes. botocore is imported on the first fetch.

    Each fetch walks the whole chain again, so it sees changed files. botocore's own refreshing is
    not used. An expiry is taken as the source gives it.

    :param profile: the profile to use, as in ``~/.aws/config``. None: AWS_PROFILE, else "default".
    :param session: a session of botocore's or boto3's to use instead of a new one. Its credentials
        are refreshed by botocore. It does not pickle.
    :raises ConfigurationError: for what is no profile's name.

    The chain's calls to STS go to the endpoint in AWS_REGION, AWS_DEFAULT_REGION, the profile's
    region, or that of the auth object that was given the profile. The other parameters are those of
    :class:`RefreshingCredentials`.
    """

    # The auth object's region, whose STS the chain calls where nothing else names one.
    _auth_region: str | None = None

    @explains_boto_names
    @forgetful
    def __init__(
        self,
        profile: str | None = None,
        *,
        session: SessionLike | None = None,
        advisory: float = ADVISORY,
        mandatory: float = MANDATORY,
        jitter: float = JITTER,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if profile is not None and session is not None:
            raise ConfigurationError("give a profile or a session, not both")
        _check(profile, session)
        self._profile = profile
        # Which of the chain's providers gave the last credentials.
        self._method: str | None = None
        chain = "botocore's chain" + (f" with profile {profile!r}" if profile else "")
        super().__init__(
            session,
            fetch=self._load if session is None else None,
            name=chain if session is None else None,
            advisory=advisory,
            mandatory=mandatory,
            jitter=jitter,
            patience=patience,
            clock=clock,
        )

    def __repr__(self) -> str:
        if self._owner is not None:
            return f"BotocoreCredentials(session={self._name!r})"
        return f"BotocoreCredentials(profile={self._profile!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_method": None}

    @property
    def source(self) -> str | None:
        """Which of the chain's sources gave the credentials, by botocore's name (``sso``,
        ``iam-role``, …); None before the first fetch."""
        return self._method or super().source

    def _session_for_region(self) -> Any:
        return new_session(self._profile) if self._owner is None else self._owner

    def _load(self) -> Credentials:
        snapshot = self._load_from_chain()
        if snapshot is None:
            before = f"; {self._method!r} gave some before" if self._method else ""
            profile = self._profile or os.environ.get("AWS_PROFILE")
            hint = (
                f"Look at what the profile {profile!r} says"
                if profile
                else "Set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
            raise NoCredentialsError(
                "it is empty (environment, profile, assume-role, web identity, container, instance "
                f"metadata{before}). {hint}, or pass credentials=…"
            )
        return snapshot

    def _load_from_chain(self) -> Credentials | None:
        with botocore_errors("its configuration"):
            session = new_session(self._profile)
            use_regional_sts(session, self._auth_region)
            resolver: Any = session.get_component("credential_provider")
        for provider in resolver.providers:
            with botocore_errors(provider.METHOD, session):
                self._tame(provider)
                live = provider.load()
                if live is not None:
                    # The refresh is this class's: botocore must not fetch a second time.
                    live._advisory_refresh_timeout = live._mandatory_refresh_timeout = 0  # noqa: SLF001
                    snapshot = snapshot_of(live)
                    self._method = provider.METHOD
                    return snapshot
        return None

    def _tame(self, provider: Any) -> None:
        """Switch off two habits of botocore, through private attributes for want of public ones."""
        if provider.METHOD == "iam-role":
            # From 25 minutes before the expiry on, botocore invents a later one, even for expired
            # credentials ("static stability"). The true one is needed here.
            fetcher = getattr(provider, "_role_fetcher", None)
            if fetcher is not None:
                fetcher._evaluate_expiration = lambda _: None  # noqa: SLF001
        elif provider.METHOD == "assume-role" and self._method is not None:
            # Only at the first fetch may a person be there to type an MFA device's code.
            provider._prompter = _refuse_to_prompt  # noqa: SLF001


def _check(profile: object, session: object) -> None:
    if profile == "":
        raise ConfigurationError("profile is empty; give the name of a profile, or leave it out")
    if profile is not None and not isinstance(profile, str):
        raise ConfigurationError(
            f"profile must be a profile's name, not a {type(profile).__name__}: give a session as "
            "session=…, and other credentials as LatticeAuth(credentials=…)"
        )
    if session is not None:
        refuse_asynchronous(session)
        if not is_session(session):
            raise ConfigurationError(
                f"session must be one of boto3's or botocore's, not a {type(session).__name__}: "
                "give a profile's name as profile=…"
            )


def _refuse_to_prompt(_: str) -> str:
    raise CredentialsError("the profile's MFA code cannot be asked for again; restart the program")
