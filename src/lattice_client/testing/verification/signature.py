"""The signature of a request: found and parsed, not yet verified.

Source: "Elements of an AWS API request signature" (IAM User Guide). A signature stands in the
``Authorization`` header or in the query string, never in both.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from lattice_client.testing.refusals import (
    incomplete_signature,
    invalid_signature,
    missing_token,
)
from lattice_client.testing.verification import sigv4a
from lattice_client.testing.verification.canonical import query_pairs

__all__ = [
    "HMAC_ALGORITHM",
    "Placement",
    "Scope",
    "Signature",
    "WireRequest",
    "is_signed",
    "is_signed_in_query",
    "parse",
]

Placement: TypeAlias = Literal["header", "query"]

HMAC_ALGORITHM: Final = "AWS4-HMAC-SHA256"

_HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
)
_QUERY_OPTIONS = ("X-Amz-Region-Set", "X-Amz-Security-Token")
# Any of these marks a query as signed.
_QUERY_MARKS = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})
# White space around a header's value (RFC 9110 section 5.6.3). str.strip() strips more.
_OWS, _OWS_BYTES = " \t", b" \t"
_MAX_EXPIRES = 7 * 24 * 3600


@dataclass(frozen=True, slots=True, init=False, repr=False)
class WireRequest:
    """A request as it arrived: method, raw path and query, headers in wire order.

    ``by_name`` has all values of each header's name in lower case, in wire order; ``header_bytes``
    is the size of all names and values.

    Its repr omits the query and the header values: they may hold a token and a signature.
    """

    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    by_name: dict[str, list[bytes]] = field(init=False, compare=False)
    header_bytes: int = field(init=False, compare=False)

    def __init__(
        self, method: str, path: bytes, query: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        by_name: dict[str, list[bytes]] = {}
        size = 0
        given = tuple(headers)
        for name, value in given:
            size += len(name) + len(value)
            plain = name.lower().decode("latin-1")
            if plain in by_name:
                by_name[plain].append(value)
            else:
                by_name[plain] = [value]
        set_field = object.__setattr__
        set_field(self, "method", method)
        set_field(self, "path", path)
        set_field(self, "query", query)
        set_field(self, "headers", given)
        set_field(self, "by_name", by_name)
        set_field(self, "header_bytes", size)

    def __repr__(self) -> str:
        return f"<WireRequest {self.method} {self.path!r}, {len(self.headers)} headers>"


# Scope and Signature stay inside the package and are not frozen: creating a frozen one takes four
# times as long.
@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """A credential scope. SigV4A's has no region.

    :param text: the whole scope, as sent.
    """

    text: str
    date: str
    region: str | None
    service: str
    terminator: str


@dataclass(slots=True, eq=False, repr=False)
class Signature:
    """A parsed signature.

    :param date: ``x-amz-date`` as sent; ``timestamp`` is the same in seconds since the epoch.
    :param expires: how many seconds a signature in the query is valid; None in a header.
    """

    placement: Placement
    algorithm: str
    access_key: str
    scope: Scope
    signed_headers: tuple[str, ...]
    date: str
    timestamp: int
    expires: int | None
    region_set: str | None
    token: str | None
    value: str


def is_signed(request: WireRequest) -> bool:
    """Whether the request has a SigV4 or SigV4A signature, valid or not.

    A Bearer token, or any other ``Authorization``, does not count.
    """
    return bool(_authorizations(request)) or is_signed_in_query(request)


def is_signed_in_query(request: WireRequest) -> bool:
    """Whether the query has a signature, valid or not."""
    query = request.query
    if query.find(b"X-Amz-") < 0 and query.find(b"%") < 0:
        return False
    return any(_ascii(name) in _QUERY_MARKS for name, _ in query_pairs(request.query))


def parse(request: WireRequest) -> Signature:
    """The signature of a request.

    :raises RefusedError: if there is no signature, more than one, or an incomplete one.
    """
    in_header, in_query = _authorizations(request), is_signed_in_query(request)
    if (in_header and in_query) or len(in_header) > 1:
        raise invalid_signature(
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter "
            "or the Authorization header should be specified"
        )
    if in_header:
        return _from_header(in_header[0], request)
    if in_query:
        return _from_query(request)
    raise missing_token()


def _authorizations(request: WireRequest) -> list[bytes]:
    values = request.by_name.get("authorization", [])
    for value in values:
        # Any algorithm of the family counts: an unsupported one must be refused, not pass for an
        # anonymous request.
        if value.lstrip(_OWS_BYTES).startswith(b"AWS4-"):
            return values
    return []


def _from_header(authorization: bytes, request: WireRequest) -> Signature:
    algorithm, _, rest = _ascii(authorization).strip(_OWS).partition(" ")
    _check_algorithm(algorithm)
    parts: dict[str, str] = {}
    for piece in rest.split(","):
        name, _, value = piece.strip(_OWS).partition("=")
        if name not in _HEADER_PARTS or name in parts:
            raise incomplete_signature(
                "Authorization header must hold 'Credential', 'SignedHeaders' and 'Signature' "
                "as key=value pairs, once each."
            )
        parts[name] = value
    missing = [name for name in _HEADER_PARTS if not parts.get(name)]
    if missing:
        raise incomplete_signature(
            " ".join(f"Authorization header requires '{name}' parameter." for name in missing)
        )
    date = _single_header(request, "x-amz-date")
    if date is None:
        raise incomplete_signature("Authorization header requires existence of 'X-Amz-Date'.")
    access_key, scope = _credential(parts["Credential"], algorithm)
    return Signature(
        "header",
        algorithm,
        access_key,
        scope,
        _header_names(parts["SignedHeaders"]),
        date,
        _timestamp(date),
        None,
        _single_header(request, "x-amz-region-set"),
        _single_header(request, "x-amz-security-token"),
        parts["Signature"],
    )


def _from_query(request: WireRequest) -> Signature:
    parts: dict[str, str] = {}
    for raw_name, raw_value in query_pairs(request.query):
        name = _ascii(raw_name)
        if name in _QUERY_PARTS or name in _QUERY_OPTIONS:
            if name in parts:
                raise incomplete_signature(f"Query-string parameter '{name}' is there twice.")
            parts[name] = _ascii(raw_value)
    missing = [name for name in _QUERY_PARTS if not parts.get(name)]
    if missing:
        raise incomplete_signature(
            " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
            + " Re-examine the query-string parameters."
        )
    algorithm = parts["X-Amz-Algorithm"]
    _check_algorithm(algorithm)
    access_key, scope = _credential(parts["X-Amz-Credential"], algorithm)
    return Signature(
        placement="query",
        algorithm=algorithm,
        access_key=access_key,
        scope=scope,
        signed_headers=_header_names(parts["X-Amz-SignedHeaders"]),
        date=parts["X-Amz-Date"],
        timestamp=_timestamp(parts["X-Amz-Date"]),
        expires=_expires(parts["X-Amz-Expires"]),
        region_set=parts.get("X-Amz-Region-Set"),
        token=parts.get("X-Amz-Security-Token"),
        value=parts["X-Amz-Signature"],
    )


def _check_algorithm(algorithm: str) -> None:
    if algorithm not in (HMAC_ALGORITHM, sigv4a.ALGORITHM):
        raise incomplete_signature(f"Unsupported AWS 'algorithm': '{algorithm}'.")


@lru_cache(maxsize=64)
def _credential(credential: str, algorithm: str) -> tuple[str, Scope]:
    with_region = algorithm == HMAC_ALGORITHM
    form = "keyid/date/region/service/term" if with_region else "keyid/date/service/term"
    elements = credential.split("/")
    count = form.count("/") + 1
    if len(elements) != count or not all(elements):
        raise incomplete_signature(
            f"Credential must have exactly {count} slash-delimited elements, e.g. {form}."
        )
    access_key, date, *region, service, terminator = elements
    scope = "/".join(elements[1:])
    return access_key, Scope(scope, date, region[0] if region else None, service, terminator)


@lru_cache(maxsize=64)
def _header_names(names: str) -> tuple[str, ...]:
    # Cached like the credential and the date: a caller's next request usually has the same.
    return tuple(names.split(";"))


@lru_cache(maxsize=64)
def _timestamp(date: str) -> int:
    import calendar  # Imported with the first signature; strptime() needs it, too.

    if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", date):
        try:
            return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
        except ValueError:
            pass  # Digits of a day that does not exist, such as 30 February.
    raise incomplete_signature(f"Date must be in ISO-8601 'basic format'. Got '{date}'.")


def _expires(seconds: str) -> int:
    if re.fullmatch(r"[0-9]{1,6}", seconds) and 1 <= int(seconds) <= _MAX_EXPIRES:
        return int(seconds)
    raise incomplete_signature(f"X-Amz-Expires must be between 1 and {_MAX_EXPIRES} seconds.")


def _single_header(request: WireRequest, name: str) -> str | None:
    values = request.by_name.get(name)
    if values is None:
        return None
    if len(values) > 1:
        raise incomplete_signature(f"Header '{name}' is there more than once.")
    return _ascii(values[0]).strip(_OWS)


def _ascii(raw: bytes) -> str:
    # All parts of a signature are ASCII. Any other byte becomes U+FFFD and matches nothing.
    return raw.decode("ascii", "replace")
