"""The options for credentials, region and signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, get_args

import click

from lattice_client import (
    AssumeRole,
    BotocoreCredentials,
    Credentials,
    CredentialsProvider,
    DefaultCredentials,
    LatticeAuth,
    SigV4Auth,
    StaticCredentials,
)
from lattice_client.signing import LATTICE
from lattice_client.signing.canonical import PathEncoding

__all__ = ["Signing", "signing_options"]


# Seconds for a person to type an MFA code, or to log in through a browser.
_PATIENCE = 600.0


class Signing(NamedTuple):
    """The values of the options.

    :param region_by: the option or source of the region, for people.
    :param keys: access key and secret key without a token, from curl's ``--user``.
    """

    region: str | None = None
    region_by: str = "the command line"
    service: str = LATTICE
    algorithm: str = "sigv4"
    placement: str = "header"
    path_encoding: str | None = None
    profile: str | None = None
    role: str | None = None
    keys: Credentials | None = None

    def provider(
        self, token: str | None = None, *, patience: float | None = None
    ) -> CredentialsProvider:
        """The credentials provider that the options select.

        :param token: the session token of ``keys``.
        :param patience: for how many seconds to wait for credentials. None: long enough for a
            person to type a code.
        """
        patience = patience or _PATIENCE
        provider: CredentialsProvider
        if self.keys:
            held = Credentials(self.keys.access_key, self.keys.secret_key, token)
            provider = StaticCredentials(held)
        elif self.profile:
            provider = BotocoreCredentials(self.profile, patience=patience)
        else:
            provider = DefaultCredentials(patience=patience)
        if self.role is None:
            return provider
        return AssumeRole(self.role, base=provider, region=self._one_region, patience=patience)

    def auth(self, provider: CredentialsProvider, **changes: Any) -> SigV4Auth:
        """An auth object for these options, with some arguments changed."""
        several = self.algorithm == "sigv4a"
        arguments: dict[str, Any] = {
            "region": None if several else self.region,
            "region_set": self.region if several else None,
            "algorithm": self.algorithm,
            "placement": self.placement,
            "credentials": provider,
            "path_encoding": self.path_encoding,
            **changes,
        }
        if self.service != LATTICE:
            return SigV4Auth(self.service, **arguments)
        return LatticeAuth(**{**arguments, "path_encoding": arguments["path_encoding"] or "double"})

    @property
    def _one_region(self) -> str | None:
        several = self.region and ("," in self.region or "*" in self.region)
        return None if several else self.region


_Command = Callable[..., Any]


def signing_options(command: _Command) -> _Command:
    """Add the options to a command, which receives them as ``signing``."""

    @wraps(command)
    def with_signing(
        *,
        region: str | None,
        service: str | None,
        sigv4a: bool,
        aws_sigv4: str | None,
        user: str | None,
        query: bool,
        path_encoding: str | None,
        profile: str | None,
        assume_role: str | None,
        **others: Any,
    ) -> Any:
        if user is not None and aws_sigv4 is None:
            raise click.UsageError(
                "--user gives an access key and its secret, and needs --aws-sigv4; "
                "Authorization itself contains the signature."
            )
        from_curl = _region_and_service(aws_sigv4) if aws_sigv4 is not None else {}
        signing = Signing(
            region=region or from_curl.get("region"),
            service=service or from_curl.get("service") or LATTICE,
            algorithm="sigv4a" if sigv4a else "sigv4",
            placement="query" if query else "header",
            path_encoding=path_encoding,
            profile=profile,
            role=assume_role,
            keys=None if user is None else _keys(user),
        )
        return command(signing=signing, **others)

    for option in reversed(_OPTIONS):
        with_signing = option(with_signing)
    return with_signing


_OPTIONS = [
    click.option("--region", metavar="REGION", help="Sign for this region; with --sigv4a, a set."),
    click.option("--profile", metavar="NAME", help="Take credentials from this AWS profile."),
    click.option("--assume-role", metavar="ARN", help="Assume this role first."),
    click.option("--sigv4a", is_flag=True, help="Sign for several regions at once."),
    click.option("--service", metavar="NAME", help=f"Sign for another service than {LATTICE}."),
    click.option(
        "--query", is_flag=True, help="Put the signature into the URL; leaves Authorization free."
    ),
    click.option(
        "--path-encoding",
        metavar="FORM",
        type=click.Choice(get_args(PathEncoding)),
        help="How reserved characters, // and dot segments of the path are signed: "
        "double, double-raw or single.",
    ),
    click.option(
        "--aws-sigv4",
        metavar="aws:amz:REGION:SERVICE",
        help="As curl's; the region and service to sign for.",
    ),
    click.option("-u", "--user", metavar="KEY:SECRET", help="As curl's, beside --aws-sigv4."),
]


def _region_and_service(given: str) -> dict[str, str]:
    """Curl's ``provider1[:provider2[:region[:service]]]``."""
    parts = given.split(":")
    if parts[0].lower() != "aws" or len(parts) > len(("aws", "amz", "region", "service")):
        raise click.BadParameter(
            "it has the form aws:amz:REGION:SERVICE", param_hint="'--aws-sigv4'"
        )
    return dict(zip(("region", "service"), parts[2:], strict=False))


def _keys(given: str) -> Credentials:
    access_key, colon, secret_key = given.partition(":")
    if not colon or not access_key or not secret_key:
        # Without the value, which may be a secret.
        raise click.BadParameter(
            "it has the form ACCESS_KEY:SECRET_KEY (an empty variable?)", param_hint="'--user'"
        )
    return Credentials(access_key, secret_key)
