"""A request as it was sent, for those who explain why it was refused."""

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

__all__ = ["GivenHeaders", "SentRequest", "lowered"]

GivenHeaders = Mapping[str, Any] | Iterable[tuple[str, Any]]

_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")
# What a canonical request may show of the headers.
_SHOWN = frozenset(("host", "x-amz-content-sha256", "x-amz-date", "x-amz-region-set"))
_SIGNATURE_IN_QUERY = re.compile(r"(?<=\n)X-Amz-Signature=[^&\n]*&?|&X-Amz-Signature=[^&\n]*")
_TOKEN_IN_QUERY = re.compile(r"(X-Amz-Security-Token=)[^&\n]*")
# So many characters of a secret hardly stand in a text by chance; and a whole one of so many.
_PIECE, _SHORTEST_SECRET = 16, 8
# Every piece of a text has a whole block of this length in it, where blocks follow upon each other.
_BLOCK = _PIECE // 2


class SentRequest(NamedTuple):
    """Method, Host, target and headers (names in lower case), and what was made out of them.

    ``signature`` holds the parts of a signature under the names that they have in a query
    (``X-Amz-Credential`` and so on); it is empty for a request that bears none.
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
        pairs = lowered(headers)
        known = dict(pairs)
        query = dict(parse_qsl(target.partition("?")[2]))
        authorization = known.get("authorization", "")
        signature: dict[str, str] = {}
        if in_query := "X-Amz-Signature" in query:
            signature = {name: value for name, value in query.items() if name[:6] == "X-Amz-"}
        elif authorization.startswith("AWS4-"):
            signature = {f"X-Amz-{name}": value for name, value in _PART.findall(authorization)}
            signature["X-Amz-Date"] = known.get("x-amz-date", "")
        secrets = (
            signature.get("X-Amz-Signature", ""),
            query.get("X-Amz-Security-Token", ""),
            known.get("x-amz-security-token", ""),
            known.get("cookie", ""),
            # Somebody else's token.
            "" if authorization.startswith("AWS4-") else authorization.partition(" ")[2],
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
        """The signing name of the service that it is signed for."""
        scope = self.signature.get("X-Amz-Credential", "").split("/")
        return scope[-2] if len(scope) > 1 else None

    @property
    def signed_headers(self) -> list[str]:
        """The names of the headers that were signed."""
        return [name for name in self.signature.get("X-Amz-SignedHeaders", "").split(";") if name]

    @property
    def path_is_ambiguous(self) -> bool:
        """Whether verifiers that encode paths once and twice read this one differently."""
        path = self.target.partition("?")[0]
        return canonical_path(path, "double") != canonical_path(path, "single")

    def gives_away(self, text: str) -> bool:
        """Whether a text has a piece of one of the request's secrets in it."""
        forms = {text, unquote(text)}
        return any(_share_a_piece(secret, form) for secret in self.secrets for form in forms)

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


def _share_a_piece(secret: str, text: str) -> bool:
    """Whether a text has a piece of a secret in it, or the whole of a short one.

    Texts are short, and secrets may be long (cookies): no loop here is as long as the secret.
    """
    if len(secret) <= _PIECE:
        return secret in text
    for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
        if text[at : at + _BLOCK] in secret:
            # The pieces with this block in them begin so far before it.
            first, last = max(0, at + _BLOCK - _PIECE), min(at, len(text) - _PIECE)
            if any(text[start : start + _PIECE] in secret for start in range(first, last + 1)):
                return True
    return False


def lowered(headers: GivenHeaders) -> list[tuple[str, str]]:
    """The headers of any library as pairs, names in lower case."""
    # httpx joins those of one name, unless it is asked for each.
    items = getattr(headers, "multi_items", None) or getattr(headers, "items", None)
    pairs = cast("Iterable[tuple[Any, Any]]", items() if items else headers)
    return [(_text(name).lower(), _text(value)) for name, value in pairs]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
