"""Whatever botocore raises, as one of our errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lattice_client.errors import (
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    LatticeClientError,
    NoCredentialsError,
)

__all__ = ["botocore_errors"]

# Those whose text is made of the user's own configuration. Others hold what an endpoint answered or
# a process wrote, and so perhaps secrets.
_TELLING = {
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
_EXPIRED = {"LoginRefreshRequired", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}
_STS_TEXT = 300


@contextmanager
def botocore_errors(what: str) -> Iterator[None]:
    """Turns every exception into one of this package's.

    :param what: the source, as the message calls it.
    :raises CredentialsError: instead of anything else. Its text names the kind of the failure, and
        says more only where that cannot hold a secret. The original's text might, and it is the
        context of what is raised: what others see is to be raised by a ``forgetful`` call.
    """
    try:
        yield
    except InvalidCredentialsError as error:
        kind: type[CredentialsError] = InvalidCredentialsError
        why = str(error)
    except LatticeClientError:
        raise
    except Exception as error:  # noqa: BLE001 botocore lets through what its parsers and files raise
        kind, why = _told(error)
    else:
        return
    raise kind(f"{what}: {why}")


def _told(error: Any) -> tuple[type[CredentialsError], str]:
    from botocore.exceptions import BotoCoreError, ClientError, PartialCredentialsError

    name = type(error).__name__
    if isinstance(error, ClientError):
        return NoCredentialsError, _answer(error)
    if isinstance(error, PartialCredentialsError):
        return InvalidCredentialsError, f"{name}: {error}"
    if isinstance(error, BotoCoreError):
        kind = ExpiredCredentialsError if name in _EXPIRED else NoCredentialsError
        return kind, f"{name}: {error}" if name in _TELLING else name
    if isinstance(error, LookupError | TypeError | ValueError):
        missing = f" {error.args[0]!r}" if isinstance(error, KeyError) and error.args else ""
        return InvalidCredentialsError, f"what it gave is malformed ({name}{missing})"
    if isinstance(error, RuntimeError) and "expired" in str(error):
        return ExpiredCredentialsError, "what it gave had expired"
    # A file that is not there, as a web identity token; its name is the configuration's.
    place = f" {error.filename!r}" if isinstance(error, OSError) and error.filename else ""
    return NoCredentialsError, name + place


def _answer(error: Any) -> str:
    """A service's error. The first line of its text alone: a signature that does not match is
    answered with the canonical request, token included, in those that follow."""
    told = error.response.get("Error", {})
    text = str(told.get("Message", "")).partition("\n")[0][:_STS_TEXT]
    return f"{error.operation_name} was answered {told.get('Code', 'with an error')}: {text}"
