"""AWS credentials: an immutable snapshot, and where snapshots come from.

A :class:`Credentials` value is always whole: access key, secret key and token belong together and
are swapped together.  A :class:`CredentialsProvider` hands out such values through two methods, and
everything else in this package knows only these, so bringing your own (a vault, a sidecar) means
writing them, or giving :class:`RefreshingCredentials` a function that fetches.
"""

from __future__ import annotations

from lattice_client.credentials.assume_role import AssumeRole
from lattice_client.credentials.chain import BotocoreCredentials
from lattice_client.credentials.default import DefaultCredentials, as_provider
from lattice_client.credentials.environment import EnvironmentCredentials
from lattice_client.credentials.provider import (
    CredentialsProvider,
    StaticCredentials,
    checked,
    current,
)
from lattice_client.credentials.refreshing import RefreshingCredentials
from lattice_client.credentials.value import Credentials

__all__ = [
    "AssumeRole",
    "BotocoreCredentials",
    "Credentials",
    "CredentialsProvider",
    "DefaultCredentials",
    "EnvironmentCredentials",
    "RefreshingCredentials",
    "StaticCredentials",
    "as_provider",
    "checked",
    "current",
]
