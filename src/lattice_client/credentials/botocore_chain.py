"""botocore's chain of credentials providers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lattice_client._secrecy import forgetful
from lattice_client.credentials.botocore_errors import botocore_errors
from lattice_client.credentials.botocore_session import new_session
from lattice_client.credentials.refreshing import (
    ADVISORY,
    JITTER,
    MANDATORY,
    RefreshingCredentials,
)
from lattice_client.credentials.value import Credentials
from lattice_client.errors import ConfigurationError, CredentialsError, NoCredentialsError

if TYPE_CHECKING:
    import botocore.session

__all__ = ["BotocoreCredentials"]


class BotocoreCredentials(RefreshingCredentials):
    """botocore's whole chain: environment, profiles and SSO, assume-role, web identity, containers,
    instance metadata, processes. botocore is imported on the first fetch.

    Each fetch walks the whole chain again, so it sees changed files. botocore's own refreshing is
    not used. An expiry is taken as the source gives it.

    :param profile: the profile to use, as in ``~/.aws/config``. None: AWS_PROFILE, else "default".
    :param session: a botocore session to use instead of a new one. Its credentials are refreshed
        by botocore. It does not pickle, and should not be refreshing during a fork.

    The other parameters are those of :class:`RefreshingCredentials`.
    """

    def __init__(
        self,
        profile: str | None = None,
        *,
        session: botocore.session.Session | None = None,
        advisory: float = ADVISORY,
        mandatory: float = MANDATORY,
        jitter: float = JITTER,
        patience: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if profile is not None and session is not None:
            raise ConfigurationError("give a profile or a session, not both")
        self._profile = profile
        self._session = session
        # Which of the chain's providers gave the last credentials.
        self._method: str | None = None
        super().__init__(
            self._load,
            name="botocore's chain" + (f" with profile {profile!r}" if profile else ""),
            advisory=advisory,
            mandatory=mandatory,
            jitter=jitter,
            patience=patience,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"BotocoreCredentials(profile={self._profile!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self._session is not None:
            raise TypeError(
                "BotocoreCredentials over a botocore session cannot be pickled; "
                "give the profile's name instead"
            )
        return {**super().__getstate__(), "_method": None}

    @property
    def source(self) -> str | None:
        """Which of the chain's sources gave the credentials, by botocore's name (``sso``,
        ``iam-role``, …); None before the first fetch."""
        return self._method

    @forgetful
    def region(self) -> str | None:
        """The profile's region, if it has one. Reads files, so it may block.

        :raises CredentialsError: where there is no such profile, or a file cannot be read.
        """
        with botocore_errors("the profile's region"):
            region = self._botocore_session().get_config_variable("region")
        return region if isinstance(region, str) else None

    def _botocore_session(self) -> botocore.session.Session:
        return new_session(self._profile) if self._session is None else self._session

    def _load(self) -> Credentials:
        snapshot = self._load_from_session() if self._session else self._load_from_chain()
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

    def _load_from_session(self) -> Credentials | None:
        session: Any = self._session
        with botocore_errors("the session", session):
            live = session.get_credentials()
            return None if live is None else _snapshot_of(live)

    def _load_from_chain(self) -> Credentials | None:
        with botocore_errors("its configuration"):
            session: Any = self._botocore_session()
            resolver: Any = session.get_component("credential_provider")
        for provider in resolver.providers:
            with botocore_errors(provider.METHOD, session):
                self._tame(provider)
                live = provider.load()
                if live is not None:
                    # The refresh is this class's: botocore must not fetch a second time.
                    live._advisory_refresh_timeout = live._mandatory_refresh_timeout = 0  # noqa: SLF001
                    snapshot = _snapshot_of(live)
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


def _refuse_to_prompt(_: str) -> str:
    raise CredentialsError("the profile's MFA code cannot be asked for again; restart the program")


# A set changes more than once in a row only where a session's class keeps no such set at all.
_TRIES = 5


def _snapshot_of(source: Any) -> Credentials:
    """One frozen set with its expiry.

    botocore gives the two in separate reads, and another user of the session may refresh in
    between: then the set that it holds is a different one. (Asking for a frozen set again is no
    check: short-lived credentials are refreshed at each call.)
    """
    tries = 0
    while True:
        frozen = source.get_frozen_credentials()
        expires_at = getattr(source, "_expiry_time", None)
        tries += 1
        if getattr(source, "_frozen_credentials", frozen) == frozen or tries == _TRIES:
            return Credentials(frozen.access_key, frozen.secret_key, frozen.token, expires_at)
