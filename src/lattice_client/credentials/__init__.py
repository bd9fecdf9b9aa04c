"""AWS credentials: an immutable snapshot, and where snapshots come from.

A :class:`Credentials` value is always whole: access key, secret key and token are swapped together.
A :class:`CredentialsProvider` hands out such values through two methods, and the rest of this
package knows only these. To bring your own source (a vault, a sidecar), write them, or give
:class:`RefreshingCredentials` a function that fetches.

The sources that fetch are loaded on first use, with the threads that they need. Credentials in the
environment need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client._lazy import lazy_exports as _lazy_exports
from lattice_client.credentials.coercion import CredentialsSource
from lattice_client.credentials.default import DefaultCredentials, as_provider
from lattice_client.credentials.environment import EnvironmentCredentials
from lattice_client.credentials.provider import (
    CredentialsProvider,
    StaticCredentials,
    checked,
    current,
    ready,
)
from lattice_client.credentials.value import Credentials

if TYPE_CHECKING:
    from lattice_client.credentials.assume_role import AssumeRole
    from lattice_client.credentials.botocore_chain import BotocoreCredentials
    from lattice_client.credentials.refreshing import RefreshingCredentials

__all__ = [
    "AssumeRole",
    "BotocoreCredentials",
    "Credentials",
    "CredentialsProvider",
    "CredentialsSource",
    "DefaultCredentials",
    "EnvironmentCredentials",
    "RefreshingCredentials",
    "StaticCredentials",
    "as_provider",
    "checked",
    "current",
    "ready",
]

_MODULE_OF = {
    "AssumeRole": "assume_role",
    "BotocoreCredentials": "botocore_chain",
    "RefreshingCredentials": "refreshing",
}

if not TYPE_CHECKING:  # to a type checker, a name that is missing is an error
    __getattr__, __dir__ = _lazy_exports(globals(), _MODULE_OF)
