"""What a refusal can be answered with: another clock, newer credentials, the other path encoding.

A 403 is decided before any target sees the request ("SIGv4 authenticated requests for Amazon VPC
Lattice", VPC Lattice User Guide), so the request may be sent again, whatever its method.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from lattice_client.clock import Clock
from lattice_client.signers import Signers
from lattice_client.signing import LATTICE, canonical_path
from lattice_client.wire import AnySigner, Outgoing

if TYPE_CHECKING:
    from lattice_client.denial import DenialLog

__all__ = ["FORBIDDEN", "Remedies", "Remedy"]

Remedy = Literal["clock", "credentials", "path encoding"]

FORBIDDEN = 403

# Of what has been logged; the oldest beyond are forgotten, and logged again.
_MANY = 256


class Remedies:
    """What one auth object has learned from refusals; shared by all its calls.

    A refusal that has no remedy is logged (``lattice_client.denial``), each kind once for a host.
    """

    def __init__(self, signers: Signers) -> None:
        self.clock = Clock()
        self._signers = signers
        self._told: dict[tuple[Remedy, str], None] = {}
        self._denials: DenialLog | None = None

    def after(
        self, refused: Outgoing, headers: Mapping[str, str], body: bytes | None, tried: set[Remedy]
    ) -> Remedy | None:
        """What to sign a request anew with, after a 403; None where that is of no use, or where its
        body cannot be sent again. Otherwise that is rewound.

        :param refused: the request as it was signed.
        :param headers: the answer's.
        :param body: the answer's; None where it was not read.
        :param tried: the remedies that this call has had already; it is kept up to date.
        """
        signer: AnySigner | None = refused.signer
        if signer is None:
            return None
        # Loaded for the first who is refused.
        from lattice_client.denial import DenialLog, explain_parts

        denial = explain_parts(
            FORBIDDEN,
            headers,
            body,
            method=refused.method,
            url=f"https://{refused.host}{refused.target}",
            request_headers=refused.request.headers,
        )
        remedy: Remedy | None = None
        # A body that did not come within the limits is no reason to send anything.
        if (
            body is not None
            and denial is not None
            and denial.kind in ("clock", "expired", "bad signature")
        ):
            learned = self.clock.learn(headers.get("Date"))
            # Another call may have learned it while this one was under way.
            if "clock" not in tried and (learned or refused.offset != self.clock.offset):
                remedy = "clock"
            elif denial.kind == "expired":
                if "credentials" not in tried and self._signers.renewed(signer.credentials):  # type: ignore[arg-type]
                    remedy = "credentials"
            elif denial.kind == "bad signature" and self._flipped(refused, signer, tried):
                remedy = "path encoding"
        if remedy is not None:
            tried.add(remedy)
            again = refused.rewind()
            self._tell(remedy, refused.host, again=again)
            return remedy if again else None
        if denial is not None:
            if self._denials is None:
                self._denials = DenialLog()
            self._denials.note(denial)
        return None

    def _flipped(self, refused: Outgoing, signer: AnySigner, tried: set[Remedy]) -> bool:
        host, path = refused.host, refused.target.partition("?")[0]
        if signer.service != LATTICE or canonical_path(path) == canonical_path(path, "single"):
            return False
        used = signer.path_encoding
        other: Literal["double", "single"] = "single" if used == "double" else "double"
        # Of many calls that are refused at once, the first one flips it for all; and if it was not
        # that, back to what it was.
        if self._signers.encoding_of(host) in (None, used):
            self._signers.encode(host, other)
        return "path encoding" not in tried

    def _tell(self, remedy: Remedy, host: str, *, again: bool) -> None:
        if (remedy, host) in self._told:
            return
        while len(self._told) >= _MANY:
            self._told.pop(next(iter(self._told)), None)
        self._told[remedy, host] = None
        import logging

        logging.getLogger("lattice_client.auth").warning(
            "%s refused a request; %s: %s",
            host,
            "it is signed anew"
            if again
            else "its body cannot be sent again, but later ones will do",
            self._words(remedy),
        )

    def _words(self, remedy: Remedy) -> str:
        if remedy == "clock":
            if not self.clock.offset:
                return "this machine's clock is right again"
            return (
                f"this machine's clock is {-self.clock.offset:+.0f} s off, by the Date of the "
                "answer; set it right"
            )
        if remedy == "credentials":
            return "the credentials have expired there; others are fetched"
        return "its paths are read in the other encoding (path_encoding), which is remembered"
