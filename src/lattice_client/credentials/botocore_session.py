"""botocore's sessions and clients, made in one way. botocore is imported by the first session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lattice_client._forking import importing
from lattice_client.credentials.provider import chosen_region, provider_region

if TYPE_CHECKING:
    from lattice_client.credentials.value import Credentials

__all__ = [
    "core_of",
    "find_region",
    "make_client",
    "new_session",
    "profile_of",
    "profile_with_login",
    "session_region",
    "use_regional_sts",
]

# botocore's loader of AWS's own data, for each setting of its path: parsing these data takes 40 ms
# and more for each service, during which no other thread runs.
_LOADERS: dict[str | None, Any] = {}
# What a profile has that a person logs in for ("Settings in the config file", AWS CLI User Guide).
_LOGIN_SETTINGS = {"login_session", "sso_session", "sso_start_url"}


def new_session(profile: str | None = None) -> Any:
    """A new session, which sees changed files; AWS's own data are shared by all."""
    with importing:
        import botocore.session

    session: Any = botocore.session.Session(profile=profile)
    path = session.get_config_variable("data_path")
    if path not in _LOADERS:
        _LOADERS[path] = session.get_component("data_loader")
    session.register_component("data_loader", _LOADERS[path])
    return session


def core_of(session: Any) -> Any:
    """The botocore session within one of boto3's; any other as it is."""
    return (
        session
        if hasattr(session, "get_config_variable")
        else getattr(session, "_session", session)
    )


def session_region(session: Any) -> str | None:
    """The region of a session, as botocore finds it: the one that it was given in code, else
    AWS_DEFAULT_REGION, else its profile's."""
    core = core_of(session)
    if not hasattr(core, "get_config_variable"):
        return getattr(core, "region_name", None)
    region: str | None = core.get_config_variable("region")
    # An empty AWS_DEFAULT_REGION hides the profile's region from the line above.
    return region or core.get_scoped_config().get("region")


def find_region(session: Any, provider: object = None) -> str | None:
    """The region whose API to call: the one that the provider was given in code, the environment's,
    the provider's, the session's.

    :param provider: whose credentials will sign the call, if not the session's own.
    """
    return (
        chosen_region(provider)
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or provider_region(provider)
        or session_region(session)
    )


def use_regional_sts(session: Any, last: str | None = None) -> None:
    """Have a session of ours call STS in the region that we find. botocore does not read
    AWS_REGION, and its older versions call the global endpoint, which a private subnet cannot reach
    ("AWS STS Regional endpoints", AWS SDKs and Tools Reference Guide). The user's own setting for
    STS stays.

    :param last: the region where nothing else names one.
    """
    region = find_region(session) or last
    if not region:
        return
    session.set_config_variable("region", region)
    chosen = os.environ.get("AWS_STS_REGIONAL_ENDPOINTS")
    if not (chosen or session.get_scoped_config().get("sts_regional_endpoints")):
        session.set_config_variable("sts_regional_endpoints", "regional")


def make_client(
    session: Any,
    service: str,
    region: str,
    credentials: Credentials,
    *,
    endpoint_url: str | None = None,
    **settings: Any,
) -> Any:
    """:param settings: those of botocore's ``Config``."""
    with importing:
        from botocore.config import Config

    return session.create_client(
        service,
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=Config(**settings),
    )


def profile_of(session: Any) -> str:
    """The name of the session's profile."""
    core = core_of(session)
    ask = getattr(core, "get_config_variable", None)
    return str((ask and ask("profile")) or "default")


def profile_with_login(session: Any) -> str:
    """The profile that a person logs in to: the session's, or the one at the end of its role's
    ``source_profile``."""
    own = name = profile_of(session)
    profiles = core_of(session).full_config.get("profiles", {})
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        settings = profiles.get(name, {})
        if "role_arn" in settings and settings.get("source_profile", name) not in seen:
            name = settings["source_profile"]
        elif settings.keys() & _LOGIN_SETTINGS:
            return str(name)
    return own
