"""The request that was refused, as it was sent: its signature, secrets and canonical request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote

from lattice_client._wire.urls import split_url
from lattice_client.errors import LatticeClientError
from lattice_client.signing.canonical import (
    canonical_headers,
    canonical_path,
    canonical_target,
    collapsed,
)
from lattice_client.signing.signer import S3_SERVICES
from lattice_client.signing.validation import UNSIGNED_PAYLOAD

__all__ = ["GivenHeaders", "SentRequest", "lower_case_pairs"]

GivenHeaders = Mapping[str, Any] | Iterable[tuple[str, Any]]

_AUTHORIZATION_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")
# Schemes of the caller's own, also where Authorization was moved to another header.
_SCHEMES = ("basic ", "bearer ", "dpop ", "token ")
# Headers whose values a canonical request may show.
_SHOWN = frozenset(("host", "x-amz-content-sha256", "x-amz-date", "x-amz-region-set"))
_SIGNATURE_IN_QUERY = re.compile(r"(?<=\n)X-Amz-Signature=[^&\n]*&?|&X-Amz-Signature=[^&\n]*")
_TOKEN_IN_QUERY = re.compile(r"(X-Amz-Security-Token=)[^&\n]*")
# Characters. A text does not share a piece of this length with a secret by chance, nor a whole
# secret of this length.
_PIECE, _SHORTEST_SECRET = 16, 8
# A text is searched in adjacent blocks: every piece of it contains a whole one.
_BLOCK = _PIECE // 2


class SentRequest(NamedTuple):
    """A request's method, Host, target and headers (names in lower case), and its signature.

    ``signature`` holds the parts of the signature under their names in a query
    (``X-Amz-Credential`` and so on). It is empty for an unsigned request.
    """

    method: str
    host: str
    target: str
    headers: list[tuple[str, str]]
    signature: dict[str, str]
    in_query: bool
    secrets: tuple[str, ...]

    @classmethod
    def of(cls, method: str, url: str, headers: GivenHeaders) -> SentRequest | None:
        """The request, or None if the URL is no absolute one."""
        try:
            _, host, target = split_url(url)
        except LatticeClientError:
            return None
        pairs = lower_case_pairs(headers)
        known = dict(pairs)
        query = dict(parse_qsl(target.partition("?")[2]))
        authorization = known.get("authorization", "")
        signature: dict[str, str] = {}
        if in_query := "X-Amz-Signature" in query:
            signature = {name: value for name, value in query.items() if name[:6] == "X-Amz-"}
        elif authorization.startswith("AWS4-"):
            signature = {
                f"X-Amz-{name}": value for name, value in _AUTHORIZATION_PART.findall(authorization)
            }
            signature["X-Amz-Date"] = known.get("x-amz-date", "")
        secrets = (
            signature.get("X-Amz-Signature", ""),
            query.get("X-Amz-Security-Token", ""),
            known.get("x-amz-security-token", ""),
            known.get("cookie", ""),
            *(value.partition(" ")[2] for name, value in pairs if _holds_token(name, value)),
        )
        return cls(
            method,
            known.get("host", host),
            target,
            pairs,
            signature,
            in_query,
            tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET),
        )

    @property
    def signed_at(self) -> float | None:
        """The signature's time, in seconds since the epoch."""
        date = self.signature.get("X-Amz-Date", "")
        try:
            return datetime.strptime(f"{date}+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
        except ValueError:
            return None

    @property
    def service(self) -> str | None:
        """The signing name in the credential scope."""
        scope = self.signature.get("X-Amz-Credential", "").split("/")
        return scope[-2] if len(scope) > 1 else None

    @property
    def signed_headers(self) -> list[str]:
        """The names of the headers that were signed."""
        return [name for name in self.signature.get("X-Amz-SignedHeaders", "").split(";") if name]

    @property
    def path_is_ambiguous(self) -> bool:
        """Whether encoding the path once gives another canonical form than encoding it twice."""
        path = self.target.partition("?")[0]
        return canonical_path(path, "double") != canonical_path(path, "single")

    def shares_secret_with(self, text: str) -> bool:
        """Whether a text contains a piece of one of the request's secrets."""
        forms = {text, unquote(text)}
        return any(_contains_piece(secret, form) for secret in self.secrets for form in forms)

    def canonical_request(self) -> str | None:
        """The canonical request of the signature, or None where there is no signature.

        The path is encoded once for S3 and twice for other services. ``***`` stands for the token
        and for the values of all headers but SigV4's own.
        """
        names = self.signed_headers
        if not names:
            return None
        values = {"host": self.host}
        for name, value in self.headers:
            if name != "host":
                values[name] = f"{values[name]},{value}" if name in values else value
        shown = dict.fromkeys(names, "(not in the request)")
        for name in values.keys() & shown.keys():
            shown[name] = collapsed(values[name]) if name in _SHOWN else "***"
        is_s3 = self.service in S3_SERVICES
        try:
            lines = canonical_target("single" if is_s3 else "double", "rfc3986")(self.target)
        except LatticeClientError:
            return None
        lines = _TOKEN_IN_QUERY.sub(r"\1***", _SIGNATURE_IN_QUERY.sub("", lines))
        signed, block = canonical_headers(shown)
        if is_s3 and self.in_query:
            payload = UNSIGNED_PAYLOAD
        else:
            payload = values.get("x-amz-content-sha256", "(the SHA-256 of the body)")
        return f"{self.method}\n{lines}\n{block}\n{signed}\n{payload}"


def _holds_token(name: str, value: str) -> bool:
    if name.endswith("authorization"):
        return not value.startswith("AWS4-")
    return value.lower().startswith(_SCHEMES)


def _contains_piece(secret: str, text: str) -> bool:
    """Whether a text contains a piece of a secret, or the whole of a short one.

    No loop here is as long as the secret: texts are short, and secrets (cookies) may be long.
    """
    if len(secret) <= _PIECE:
        return secret in text
    for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
        if text[at : at + _BLOCK] in secret:
            # Where the pieces that contain this block begin.
            first, last = max(0, at + _BLOCK - _PIECE), min(at, len(text) - _PIECE)
            if any(text[start : start + _PIECE] in secret for start in range(first, last + 1)):
                return True
    return False


def lower_case_pairs(headers: GivenHeaders) -> list[tuple[str, str]]:
    """The headers of any library as pairs, names in lower case."""
    # httpx's items() joins headers of one name.
    items = getattr(headers, "multi_items", None) or getattr(headers, "items", None)
    pairs = cast("Iterable[tuple[Any, Any]]", items() if items else headers)
    return [(_text(name).lower(), _text(value)) for name, value in pairs]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
