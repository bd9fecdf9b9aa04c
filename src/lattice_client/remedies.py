"""What a refusal can be answered with: another clock, newer credentials, the other path encoding.

A 403 is decided before any target sees the request, so it may be sent again, whatever its method.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from lattice_client.clock import Clock
from lattice_client.credentials import Credentials, CredentialsProvider
from lattice_client.signing.canonical import PathEncoding, canonical_path

__all__ = ["FORBIDDEN", "Refusal", "Remedies", "Remedy"]

Remedy = Literal["clock", "credentials", "path encoding"]

FORBIDDEN = 403

# Hosts of which something is remembered; the oldest ones beyond are forgotten.
_MANY = 256
_logger = logging.getLogger("lattice_client.auth")


class Refusal:
    """A 403 and the attempt that it answers.

    :param body: None where it was not read.
    """

    __slots__ = ("body", "credentials", "encoding", "headers", "host", "target")

    def __init__(
        self,
        *,
        host: str,
        target: str,
        credentials: Credentials,
        encoding: PathEncoding,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> None:
        self.host = host
        self.target = target
        self.credentials = credentials
        self.encoding = encoding
        self.headers = headers
        self.body = body


class Remedies:
    """What one auth object has learned from refusals; shared by all its calls.

    :param provider: whose credentials may have expired.
    :param flips_encoding: whether the service is one that may read paths in either encoding.
    """

    def __init__(self, provider: CredentialsProvider, *, flips_encoding: bool) -> None:
        self.clock = Clock()
        self._provider = provider
        self._flips_encoding = flips_encoding
        self._encodings: dict[str, PathEncoding] = {}
        self._told: dict[tuple[Remedy, str], None] = {}

    def encoding_for(self, host: str) -> PathEncoding | None:
        """The encoding that a host was found to want; None where nothing is known."""
        return self._encodings.get(host)

    def after(self, refusal: Refusal, tried: set[Remedy]) -> Remedy | None:
        """What to sign the request anew with, or None where that is of no use.

        :param tried: the remedies that this call has had already; it is kept up to date.
        """
        from lattice_client.denial import explain_parts  # for the first who is refused

        denial = explain_parts(FORBIDDEN, refusal.headers, refusal.body)
        remedy = None if denial is None else self._cure(denial.kind, refusal, tried)
        if remedy is not None:
            tried.add(remedy)
            self._tell(remedy, refusal.host)
        return remedy

    def _cure(self, kind: str, refusal: Refusal, tried: set[Remedy]) -> Remedy | None:
        if kind not in ("clock", "expired", "bad signature"):
            return None
        if "clock" not in tried and self.clock.learn(refusal.headers.get("Date")):
            return "clock"
        if kind == "expired":
            return "credentials" if "credentials" not in tried and self._renew(refusal) else None
        if kind == "bad signature":
            return self._flip(refusal, tried)
        return None

    def _renew(self, refusal: Refusal) -> bool:
        current = self._provider.peek()
        if current is not None and current is not refusal.credentials:
            return True  # they have been renewed meanwhile
        refused = getattr(self._provider, "refused", None)
        return refused is not None and bool(refused(refusal.credentials))

    def _flip(self, refusal: Refusal, tried: set[Remedy]) -> Remedy | None:
        path = refusal.target.partition("?")[0]
        if not self._flips_encoding or canonical_path(path) == canonical_path(path, "single"):
            return None
        if "path encoding" in tried:
            # It was not that: back to what it was, unless another call knows better by now.
            if self._encodings.get(refusal.host) == refusal.encoding:
                del self._encodings[refusal.host]
            return None
        # Of many calls that are refused at once, the first one flips it for all.
        if self._encodings.get(refusal.host) in (None, refusal.encoding):
            while len(self._encodings) >= _MANY:
                self._encodings.pop(next(iter(self._encodings)), None)
            other: PathEncoding = "single" if refusal.encoding == "double" else "double"
            self._encodings[refusal.host] = other
        return "path encoding"

    def _tell(self, remedy: Remedy, host: str) -> None:
        if (remedy, host) in self._told:
            return
        while len(self._told) >= _MANY:
            self._told.pop(next(iter(self._told)), None)
        self._told[remedy, host] = None
        _logger.warning("%s refused a request; signing it anew: %s", host, self._words(remedy))

    def _words(self, remedy: Remedy) -> str:
        if remedy == "clock":
            return (
                f"this machine's clock is {-self.clock.offset:+.0f} s off, by the Date of the "
                "answer; set it right"
            )
        if remedy == "credentials":
            return "the credentials have expired at the service; fetching others"
        return "it reads paths in the other encoding (path_encoding), which is remembered"
