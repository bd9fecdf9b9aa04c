"""The checks of credentials and region, before anything is sent."""

from __future__ import annotations

import os
import re
import time

import httpx

from lattice_client import (
    BotocoreCredentials,
    Credentials,
    CredentialsProvider,
    DefaultCredentials,
    SigV4Auth,
)
from lattice_client._secrecy import redacted_key_id
from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.signing_options import Signing
from lattice_client.credentials import current
from lattice_client.errors import (
    ConfigurationError,
    CredentialsError,
    ExpiredCredentialsError,
    InvalidCredentialsError,
    RegionError,
)
from lattice_client.names import region_of

__all__ = [
    "check_credentials",
    "check_region",
    "duration",
    "region_signed_for",
    "who_am_i",
]

# Seconds. Credentials that expire sooner may be too old for the next call.
_SOON = 120


def check_credentials(
    provider: CredentialsProvider, signing: Signing
) -> tuple[Finding, Credentials | None]:
    """Check the credentials: their source and expiry."""
    try:
        credentials = current(provider)
    except CredentialsError as error:
        fault, step = next(texts for kind, *texts in _FAULTS if isinstance(error, kind))
        step = _step(error, signing) or step
        return Finding.of_fault("credentials", fault, _for_people(error), step), None
    source = _source(provider, signing)
    access_key = redacted_key_id(credentials.access_key)
    details = {"access_key": access_key, "source": source}
    text = f"{access_key}, from {source}"
    if credentials.expires_at is None:
        return Finding.ok("credentials", f"{text}.", **details), credentials
    left = credentials.expires_at.timestamp() - time.time()
    details["expires_at"] = credentials.expires_at.isoformat()
    text += f"; they expire in {duration(left)}."
    if left < _SOON:
        return Finding.warning("credentials", text, "Renew them soon.", **details), credentials
    return Finding.ok("credentials", text, **details), credentials


_FAULTS: list[tuple[type[CredentialsError], str, str]] = [
    (
        ExpiredCredentialsError,
        "expired credentials",
        "Renew them: log in again, or set new ones.",
    ),
    (
        InvalidCredentialsError,
        "malformed credentials",
        "Take access key, secret key and token from one source.",
    ),
    (
        CredentialsError,
        "no credentials",
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --profile.",
    ),
]


def _step(error: CredentialsError, signing: Signing) -> str | None:
    """A next step for this error; None if that of its class fits."""
    # From the message: the source's own error is not kept.
    command = re.search(r"run (aws .+?) \(", str(error))
    if command is not None:
        return f"Run {command[1]}."
    profile = signing.profile or os.environ.get("AWS_PROFILE")
    if profile and not isinstance(error, InvalidCredentialsError | ExpiredCredentialsError):
        return f"Look at what the profile {profile!r} says, or choose another with --profile."
    return None


# By botocore's names.
_SOURCES = {
    "environment": "the environment",
    "env": "the environment",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the configuration file",
    "assume-role": "the profile's role",
    "assume-role-with-web-identity": "a web identity token",
    "sso": "IAM Identity Center (SSO)",
    "custom-process": "the profile's process",
    "container-role": "the container's endpoint",
    "iam-role": "instance metadata",
}


_OF_PROFILES = {
    "shared-credentials-file",
    "config-file",
    "assume-role",
    "assume-role-with-web-identity",
    "sso",
    "custom-process",
}


def _source(provider: CredentialsProvider, signing: Signing) -> str:
    if signing.role:
        return f"the role {signing.role}"
    if isinstance(provider, DefaultCredentials | BotocoreCredentials):
        source = provider.source or "botocore's chain"
        profile = signing.profile or os.environ.get("AWS_PROFILE")
        of_profile = f", profile {profile}" if profile and source in _OF_PROFILES else ""
        return f"{_SOURCES.get(source, source)}{of_profile}"
    return "the command line"


def check_region(host: str, signing: Signing, auth: SigV4Auth, known: str | None) -> Finding:
    """Check which region a signature is for, and whether the service is in it.

    :param known: the service's managed name, if known.
    """
    own = region_of(host) or (known and region_of(known))
    try:
        used = region_signed_for(auth, host)
    except (RegionError, ConfigurationError) as error:
        return Finding.of_fault(
            "region", "no region", _for_people(error), "Give --region, or set AWS_REGION."
        )
    except CredentialsError:
        return Finding.skipped("region", "There are no credentials to sign with.")
    if not used:
        return Finding.skipped("region", "No request to this name is signed: see the name.")
    source = _region_source(host, signing)
    several = signing.algorithm == "sigv4a"
    if own and own != used and not several:
        return Finding.of_fault(
            "region",
            "wrong region",
            f"The signature is for {used} ({source}), and the service's name says {own}.",
            f"Sign for {own}: --region {own}, or no --region at all.",
            region=used,
            of_the_service=own,
        )
    return Finding.ok("region", f"{used}, from {source}.", region=used)


def region_signed_for(auth: SigV4Auth, host: str) -> str:
    """The region, or set of regions, that this auth object signs a host's requests for; empty if it
    signs none.

    :raises RegionError: if there is none.
    :raises CredentialsError: if there are no credentials.
    """
    request = httpx.Request("GET", httpx.URL(scheme="https", host=host))
    auth(request)
    regions: str | None = request.headers.get("x-amz-region-set")
    scope = re.search(
        r"Credential=[^/]+/\d+/([^/]+)/", request.headers.get("authorization", "")
    ) or re.search(r"X-Amz-Credential=[^%&]+%2F\d+%2F([^%&]+)%2F", str(request.url))
    return regions or (scope[1] if scope else "")


def _region_source(host: str, signing: Signing) -> str:
    if signing.region:
        return signing.region_by
    if region_of(host):
        return "the name itself"
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return name
    return "the profile"


def who_am_i(credentials: Credentials, region: str) -> str:
    """The caller's ARN from STS (GetCallerIdentity, STS API Reference, needs no permission), or why
    it is unknown."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = os.environ.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.{suffix}"
    auth = SigV4Auth("sts", region=region, credentials=credentials)
    form = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    try:
        with httpx.Client(timeout=3) as client:
            answer = client.post(url, data=form, auth=auth)
    except httpx.HTTPError:
        return "STS cannot be reached from here"
    arn = re.search(r"<Arn>(arn:[\w:/+=,.@-]+)</Arn>", answer.text)
    code = re.search(r"<Code>(\w+)</Code>", answer.text)
    return f"you are {arn[1]}" if arn else f"STS says {code[1] if code else answer.status_code}"


# The end of an error of this package, which addresses programmers.
_FOR_PROGRAMMERS = re.compile(
    r"(?:\. (?:Set AWS_PROFILE|Look at what the profile)|; pass ).*", re.DOTALL
)


def _for_people(error: Exception) -> str:
    """An error of this package as a sentence for people."""
    text = _FOR_PROGRAMMERS.sub("", str(error)).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def duration(seconds: float) -> str:
    """A duration for people, in its largest unit."""
    seconds = abs(seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
