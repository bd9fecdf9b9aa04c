"""What users may give as ``credentials=``, told apart by shape: nothing is imported for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lattice_client._secrecy import forgetful
from lattice_client.credentials.provider import CredentialsProvider, StaticCredentials
from lattice_client.credentials.value import Credentials
from lattice_client.errors import ConfigurationError

__all__ = [
    "CredentialsSource",
    "FrozenCredentials",
    "LiveCredentials",
    "SessionLike",
    "coerce_credentials",
    "is_session",
    "refuse_asynchronous",
]


class FrozenCredentials(Protocol):
    """As botocore's ``ReadOnlyCredentials``."""

    @property
    def access_key(self) -> Any: ...
    @property
    def secret_key(self) -> Any: ...
    @property
    def token(self) -> Any: ...


class LiveCredentials(Protocol):
    """As botocore's ``Credentials``, ``RefreshableCredentials`` and so on."""

    def get_frozen_credentials(self) -> FrozenCredentials: ...


class SessionLike(Protocol):
    """As ``boto3.Session`` and ``botocore.session.Session``."""

    def get_credentials(self) -> LiveCredentials | None: ...


CredentialsSource = (
    Credentials
    | CredentialsProvider
    | SessionLike
    | LiveCredentials
    | FrozenCredentials
    | Mapping[str, Any]
)
"""What ``credentials=`` takes: a value, a provider, a session of boto3 or botocore, credentials of
theirs, or a mapping as STS gives it."""

_KEYS = "Credentials(access_key, secret_key, token)"
_PARTS = ("access_key", "secret_key", "token")
_ASYNCHRONOUS = {"aioboto3", "aiobotocore"}


@forgetful
def coerce_credentials(given: object) -> CredentialsProvider:
    """The provider of what users give.

    :raises ConfigurationError: for what is not among :data:`CredentialsSource`, with the way out.
    :raises InvalidCredentialsError: for a mapping or a set that cannot be credentials.
    """
    if isinstance(given, Credentials):
        return StaticCredentials(given)
    if isinstance(given, type):
        name = given.__name__
        raise ConfigurationError(f"credentials is the class {name}; give an object: {name}(…)")
    if isinstance(given, CredentialsProvider):
        return given
    if isinstance(given, Mapping) and given:
        return StaticCredentials(Credentials.from_sts(given))
    if isinstance(given, tuple) and all(hasattr(given, part) for part in _PARTS):
        frozen: Any = given  # immutable, so its parts are of one set
        return StaticCredentials(Credentials(*(getattr(frozen, part) for part in _PARTS)))
    if _has_method(given, "get_frozen_credentials") or is_session(given):
        refuse_asynchronous(given)
        # Deferred: it loads threads, and a program with other credentials needs none.
        from lattice_client.credentials.owned import OwnedCredentials

        return OwnedCredentials(given)
    raise ConfigurationError(
        "credentials must be a lattice_client.Credentials, have the methods peek() and get(), or "
        "be a boto3 or botocore session, credentials of theirs or a mapping as STS gives it, "
        f"not {type(given).__name__}{_way_out(given)}"
    )


def is_session(given: object) -> bool:
    """Whether it is a session of boto3's or botocore's, by shape. Some services' clients have a
    ``get_credentials()`` too, such as redshift-serverless."""
    return _has_method(given, "get_credentials") and not _has_method(given, "get_paginator")


def refuse_asynchronous(given: object) -> None:
    """:raises ConfigurationError: for a session or credentials of aiobotocore or aioboto3."""
    modules = {each.__module__.partition(".")[0] for each in type(given).__mro__}
    if not modules & _ASYNCHRONOUS:
        from inspect import iscoroutinefunction  # deferred: few programs have loaded it

        methods = (getattr(given, f"get_{what}credentials", None) for what in ("", "frozen_"))
        if not any(map(iscoroutinefunction, methods)):
            return
    raise ConfigurationError(
        f"credentials is a {type(given).__name__}, which is asynchronous. Give boto3.Session() or "
        "LatticeAuth(profile=…), which do not block the event loop either; or what "
        "await get_frozen_credentials() gives"
    )


def _has_method(given: object, name: str) -> bool:
    return callable(getattr(given, name, None))


def _way_out(given: object) -> str:
    if isinstance(given, str):
        return (
            f". For a profile's name give LatticeAuth(profile=…) or BotocoreCredentials(profile=…),"
            f" for keys {_KEYS}"
        )
    if not given:
        return ". Leave it out, or give None, to have them found in the environment and the chain"
    if isinstance(given, tuple | list) or all(hasattr(given, part) for part in _PARTS):
        return f". Give {_KEYS}"
    if _has_method(given, "get_paginator"):
        return ", a client. Give the session that made it"
    if callable(given):
        return ". Give RefreshingCredentials(function) for one that fetches them"
    is_awaitable = hasattr(given, "__await__")
    return ". Await it, and give what get_frozen_credentials() then gives" if is_awaitable else ""
