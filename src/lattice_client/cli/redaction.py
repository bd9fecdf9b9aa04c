"""Requests and responses as they may be shown: without secrets."""

from __future__ import annotations

import re
from urllib.parse import quote

from lattice_client._secrecy import redacted_key_id
from lattice_client.cli.terminal import printable

__all__ = ["Redaction"]

_SIGNATURE = re.compile(r"(Signature=)[0-9A-Za-z%]+")
_IN_QUERY = re.compile(
    r"([?&][^=&]*(?:signature|token|secret|password|api[-_]?key|code)[^=&]*=)[^&#]*", re.IGNORECASE
)
# Names of headers that contain a secret, of AWS or of others.
_SECRET_HEADER = re.compile(
    r"authori[sz]ation|cookie|token|secret|password|api-?key|credential|signature|session",
    re.IGNORECASE,
)
# An access key before the date of its credential scope, in a header or a query.
_CREDENTIAL = re.compile(
    r"(Credential=)([^,&\s]{1,512}?)(?=(?:/|%2F)[0-9]{8}(?:/|%2F))", re.IGNORECASE
)
# Shorter values occur in texts by chance.
_MIN_LENGTH = 8


class Redaction:
    """Remembers each secret that it sees, and removes it from later texts."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def learn(self, secret: str | None) -> None:
        if secret and len(secret) >= _MIN_LENGTH:
            # Quoted twice if a URL is another URL's parameter.
            quoted = quote(secret, safe="")
            self._secrets |= {secret, quoted, quote(quoted, safe="")}

    def header(self, name: str, value: str) -> str:
        """A header as a line."""
        if name.lower() == "authorization" and value.startswith("AWS4-"):
            self.learn(value.rpartition("Signature=")[2])
            text = _SIGNATURE.sub(r"\1***", _CREDENTIAL.sub(_redacted_key, value))
        elif _SECRET_HEADER.search(name):
            # The scheme of Authorization is not a secret, so it stays.
            scheme, space, rest = value.partition(" ")
            self.learn(rest or value)
            text = f"{scheme} ***" if space and rest and "authori" in name.lower() else "***"
        else:
            text = self.text(value)
        return printable(f"{name}: {text}")

    def target(self, target: str) -> str:
        """A path with its query."""
        target = _CREDENTIAL.sub(_redacted_key, target)
        return self.text(_IN_QUERY.sub(r"\1***", target))

    def text(self, text: str) -> str:
        """Any other text."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return printable(_SIGNATURE.sub(r"\1***", text))


def _redacted_key(found: re.Match[str]) -> str:
    return found[1] + redacted_key_id(found[2])
