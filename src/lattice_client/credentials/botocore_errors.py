"""botocore's exceptions, as errors of this package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

from lattice_client.credentials.botocore_session import profile_of, profile_with_login
from lattice_client.errors import (
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeClientError,
    NoCredentialsError,
)

__all__ = ["botocore_errors"]

# Exceptions whose text comes from the user's own configuration. The text of others holds what an
# endpoint answered or a process wrote, and so perhaps secrets.
_SAFE_TEXT = {
    "ConfigNotFound",
    "ConfigParseError",
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "InfiniteLoopConfigError",
    "InvalidConfigError",
    "InvalidRegionError",
    "LoginRefreshRequired",
    "LoginTokenLoadError",
    "MissingDependencyException",
    "NoRegionError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RefreshWithMFAUnsupportedError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "UnknownCredentialError",
}
# Exceptions that a person's login ends, and the command for it.
_LOGINS = {
    "LoginRefreshRequired": "aws login",
    "LoginTokenLoadError": "aws login",
    "SSOTokenLoadError": "aws sso login",
    "TokenRetrievalError": "aws sso login",
    "UnauthorizedSSOTokenError": "aws sso login",
}
_STS_TEXT = 300
_NAME = "[A-Za-z_]{1,32}"


@contextmanager
def botocore_errors(what: str, session: Any = None) -> Iterator[None]:
    """Turn every exception into one of this package's.

    :param what: the source's name in the message.
    :param session: the botocore session whose profile's login may have expired.
    :raises CredentialsError: instead of anything else. Its text names the kind of the failure, and
        says more only where that cannot hold a secret. The original, whose text might, is its
        context: what callers see is to be raised by a ``forgetful`` call.
    """
    try:
        yield
    except InvalidCredentialsError as error:
        kind: type[CredentialsError] = InvalidCredentialsError
        why = str(error)
    except LatticeClientError:
        raise
    except Exception as error:  # noqa: BLE001 botocore passes on what its parsers and files raise
        kind, why = _classify(error, session)
    else:
        return
    raise kind(f"{what}: {why}")


def _classify(error: Any, session: Any) -> tuple[type[CredentialsError], str]:
    from botocore.exceptions import BotoCoreError, ClientError

    name = type(error).__name__
    if isinstance(error, BotoCoreError | ClientError):
        return _classify_botocore_error(error, session)
    if isinstance(error, ValueError) and str(error).startswith("Unsupported host"):
        # botocore names only the host of the URL.
        return NoCredentialsError, f"AWS_CONTAINER_CREDENTIALS_FULL_URI: {error}"
    if isinstance(error, LookupError | TypeError | ValueError):
        key = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
        # A name is shown; what a user's own refresh raises may be anything.
        missing = f" {key!r}" if re.fullmatch(_NAME, key) else ""
        return InvalidCredentialsError, f"what it gave is malformed ({name}{missing})"
    if isinstance(error, RuntimeError) and "expired" in str(error):
        return ExpiredCredentialsError, "what it gave had expired"
    # A missing file, such as a web identity token; its name is from the configuration.
    place = f" {error.filename!r}" if isinstance(error, OSError) and error.filename else ""
    return NoCredentialsError, name + place


def _classify_botocore_error(error: Any, session: Any) -> tuple[type[CredentialsError], str]:
    name = type(error).__name__
    if hasattr(error, "operation_name"):  # a ClientError
        return NoCredentialsError, _answer(error)
    why = f"{name}: {error}" if name in _SAFE_TEXT else name + _unreachable(error)
    if name == "PartialCredentialsError":
        return InvalidCredentialsError, why
    if name not in _LOGINS:
        return NoCredentialsError, why
    profile = None if session is None else _profile_to_log_in(session)
    of_profile = f" of profile {profile!r}" if profile else ""
    command = _LOGINS[name] + (f" --profile {quote(profile)}" if profile else "")
    return ExpiredCredentialsError, (
        f"the login{of_profile} has expired or there is none: run {command} ({why})"
    )


def _profile_to_log_in(session: Any) -> str:
    with suppress(Exception):  # the files may have become unreadable
        return profile_with_login(session)
    return profile_of(session)


def _unreachable(error: BaseException) -> str:
    """The address that could not be reached, where that is the cause of an error. The rest of the
    URL may hold secrets."""
    cause: BaseException | None = error
    while cause is not None:
        url = getattr(cause, "kwargs", {}).get("endpoint_url")
        if url:
            parts = urlsplit(str(url))
            place = parts.netloc.rpartition("@")[2]
            if not place.rpartition(":")[2].isdecimal():
                place += ":443" if parts.scheme == "https" else ":80"
            return f": no connection to {place} ({type(cause).__name__})"
        cause = cause.__cause__ or cause.__context__
    return ""


def _answer(error: Any) -> str:
    """A service's error, with the first line of its text only: where a signature does not match,
    the lines that follow hold the canonical request, with the session token."""
    said = error.response.get("Error", {})
    text = str(said.get("Message", "")).partition("\n")[0][:_STS_TEXT]
    return f"{error.operation_name} was answered {said.get('Code', 'with an error')}: {text}"
