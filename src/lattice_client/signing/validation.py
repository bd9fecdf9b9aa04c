"""Checks of everything that is given to a signer, each with an error that says what to do.

No message holds a header's value, a payload hash or a part of credentials: they may be secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Protocol

from lattice_client._secrecy import fault_of_parts
from lattice_client.errors import (
    ConfigurationError,
    InvalidCredentialsError,
    InvalidHeaderError,
    SigningError,
)

__all__ = [
    "EMPTY_PAYLOAD",
    "NEVER_SIGNED",
    "UNSIGNED_PAYLOAD",
    "USUAL_METHODS",
    "CredentialsLike",
    "check_header",
    "check_host",
    "check_method",
    "check_payload_hash",
    "check_str",
    "check_target",
    "checked_names",
    "checked_parts",
    "compile_cached",
]

# Patterns are compiled on first use: most programs need few of them, and compiling all would add 1
# to 2 ms to the first signature.
compile_cached = cache(re.compile)

# --- The request ------------------------------------------------------------------------------

USUAL_METHODS = frozenset(("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"))
_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 3986 section 3.2: a name, an IPv4 address or a bracketed IPv6 address, and a port. No comma:
# that joins the values of several headers.
_HOST = r"(?:[A-Za-z0-9._~!$&'()*+;=%-]+|\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\])(?::\d*)?"


def check_method(method: str) -> None:
    """:raises InvalidHeaderError: unless the method is a token (RFC 9110 section 9.1)."""
    if method not in USUAL_METHODS:
        check_str("the method", method)
        if not compile_cached(_TCHARS).fullmatch(method):
            raise InvalidHeaderError(f"{method!r} is no HTTP method")


def check_host(host: str) -> None:
    """:raises InvalidHeaderError: unless it can stand in a Host header (RFC 9110 section 7.2)."""
    check_str("the host", host)
    if not host.isascii():
        raise InvalidHeaderError(
            f"the host {host!r} has non-ASCII letters; sign the form that is sent (IDNA): "
            f"{_idna(host)}"
        )
    if not compile_cached(_HOST).fullmatch(host):
        raise InvalidHeaderError(
            f"{host!r} cannot be a Host header: give the name or address and, if it is not the "
            "scheme's own, the port, as in 'orders.example.com:8443'"
        )


def _idna(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return "which this one does not have"


def check_target(target: str) -> None:
    """:raises InvalidHeaderError: unless the target is a path and query that can be sent."""
    check_str("the target", target)
    if not target.startswith("/"):
        raise InvalidHeaderError(
            f"the target must be the path and query as on the wire, beginning with '/'; "
            f"this one begins with {target[:1]!r}"
        )
    _check_text("the target", target)
    try:
        target.encode()
    except UnicodeEncodeError:
        raise InvalidHeaderError("the target holds half a surrogate pair") from None


def check_header(name: str, value: str) -> None:
    """:raises InvalidHeaderError: where a header cannot be sent as it is. The message does not hold
    its value, which may be a secret."""
    if not compile_cached(_TCHARS).fullmatch(name):
        raise InvalidHeaderError(f"{name!r} is no header name")
    what = f"the value of the header {name}"
    check_str(what, value)
    _check_text(what, value)
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidHeaderError(
            f"{what} has characters that no header can hold; encode it"
        ) from None


def check_str(what: str, given: object) -> None:
    """:raises InvalidHeaderError: for bytes and anything else that is no text."""
    if not isinstance(given, str):
        raise InvalidHeaderError(f"{what} must be a str, not {type(given).__name__}")


def _check_text(what: str, text: str) -> None:
    if "\r" in text or "\n" in text or "\0" in text:
        raise InvalidHeaderError(f"{what} contains CR, LF or NUL")


# --- The payload ------------------------------------------------------------------------------

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""What stands in place of a payload's hash where it is not signed, as Lattice requires."""

EMPTY_PAYLOAD = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""The SHA-256 of no bytes at all, in hexadecimal."""

_STREAMING_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"


def check_payload_hash(payload_hash: object) -> None:
    """:raises SigningError: unless it is a hash, or a word that stands for one."""
    # strip() leaves nothing of a text of these letters alone.
    known = isinstance(payload_hash, str) and (
        (len(payload_hash) == len(EMPTY_PAYLOAD) and not payload_hash.strip("0123456789abcdef"))
        or payload_hash == UNSIGNED_PAYLOAD
        or (payload_hash.startswith("STREAMING-") and not payload_hash.strip(_STREAMING_LETTERS))
    )
    if not known:
        raise SigningError(
            "payload_hash must be the body's SHA-256 in 64 lower-case hex digits, "
            "'UNSIGNED-PAYLOAD' or one of S3's 'STREAMING-…'"
        )


# --- Names of headers to sign -----------------------------------------------------------------

# Headers that may change on the way to the verifier, each with the reason.
NEVER_SIGNED = {
    "authorization": "it holds the signature",
    "baggage": "tracers add to it at every hop",
    "connection": "each hop has its own (RFC 9110 section 7.6.1)",
    "expect": "proxies answer it themselves",
    "keep-alive": "each hop has its own",
    "proxy-authenticate": "each hop has its own",
    "proxy-authorization": "each hop has its own",
    "proxy-connection": "each hop has its own",
    "te": "each hop has its own",
    "trace-context": "tracers change it",
    "traceparent": "tracers change it at every hop (W3C Trace Context section 3.2)",
    "tracestate": "tracers change it at every hop (W3C Trace Context section 3.3)",
    "trailer": "proxies drop it with the chunks",
    "transfer-encoding": "each hop has its own, and HTTP/2 has none",
    "upgrade": "each hop has its own",
    "user-agent": "proxies and libraries rewrite it",
    "x-amzn-trace-id": "load balancers and tracers rewrite it",
}


def checked_names(names: Iterable[str]) -> frozenset[str]:
    """The names in lower case.

    :raises ConfigurationError: for one str, and for what is never signed.
    :raises InvalidHeaderError: for what is no header's name.
    """
    if isinstance(names, str):
        raise ConfigurationError(f"signed_headers must be names, not one str: [{names!r}]")
    checked: set[str] = set()
    for given_name in names:
        check_str("a name in signed_headers", given_name)
        check_header(given_name, "")
        name = given_name.lower()
        if name in NEVER_SIGNED:
            raise ConfigurationError(f"{name!r} cannot be signed: {NEVER_SIGNED[name]}")
        checked.add(name)
    return frozenset(checked)


# --- Credentials ------------------------------------------------------------------------------


_FREEZE = "get_frozen_credentials"


class CredentialsLike(Protocol):
    """What a signer reads of credentials (``lattice_client.Credentials`` has it)."""

    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def token(self) -> str | None: ...


def checked_parts(credentials: CredentialsLike) -> tuple[str, str, str | None]:
    """Access key, secret key and token, each read once: credentials that refresh themselves may
    give another one at the next read. Of live ones of botocore's, one frozen set is taken.

    They go into headers as they are, and need not be of our class.

    :raises InvalidCredentialsError: where a part is missing or cannot be what it stands for.
    """
    parts = _parts_of(credentials)
    if parts is None:
        fault: str | None = (
            "a signer takes lattice_client.Credentials, or what has its access_key, secret_key and "
            f"token, not {type(credentials).__name__}; LatticeAuth(credentials=…) takes more forms"
        )
    else:
        fault = fault_of_parts(*parts)
    if parts is None or fault is not None:
        del credentials, parts
        raise InvalidCredentialsError(fault)
    return parts


def _parts_of(given: Any) -> tuple[str, str, str | None] | None:
    """None where it is of another kind."""
    # Looked for in the class: an object may have a __getattr__ for what it does not know.
    held = given.get_frozen_credentials() if hasattr(type(given), _FREEZE) else given
    try:
        return held.access_key, held.secret_key, held.token or None
    except AttributeError:
        return None
