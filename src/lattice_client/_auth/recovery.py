"""What a refusal can be answered with: another clock, newer credentials, another form of the path.

A 403 of Lattice's own is decided before any target sees the request ("SIGv4 authenticated requests
for Amazon VPC Lattice", VPC Lattice User Guide), so the request may be sent again, whatever its
method. A target's own 403 is none of these: only an answer in Lattice's own shape has a remedy
(``lattice_client._auth.refusal``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, cast, get_args

from lattice_client._auth.clock import Clock
from lattice_client._auth.refusal import Fault, fault_of
from lattice_client._auth.signer_cache import SignerCache
from lattice_client._wire.request import AnySigner, SignableRequest
from lattice_client.credentials import Credentials
from lattice_client.errors import ConfigurationError
from lattice_client.signing import LATTICE, canonical_path
from lattice_client.signing.canonical import PathEncoding

if TYPE_CHECKING:
    from lattice_client.denial.log import DenialLog

__all__ = ["ALL_REMEDIES", "FORBIDDEN", "Recovery", "Remedy", "Tried", "checked_remedies"]

Remedy = Literal["clock", "credentials", "path encoding"]
"""What a request is signed with the second time, in a word."""

ALL_REMEDIES: tuple[Remedy, ...] = get_args(Remedy)

FORBIDDEN = 403

# Of what has been logged; beyond, all is forgotten, and logged again.
_MANY = 256


def checked_remedies(remedies: object) -> tuple[Remedy, ...]:
    """What a user may pass as ``remedies=``, in a fixed order.

    :raises ConfigurationError: for anything but a collection of the right names.
    """
    given = tuple(remedies) if isinstance(remedies, Iterable) else (remedies,)
    if isinstance(remedies, str) or any(one not in ALL_REMEDIES for one in given):
        raise ConfigurationError(
            f"remedies must be some of {', '.join(map(repr, ALL_REMEDIES))} in a tuple, or () for "
            f"none; not {remedies!r}"
        )
    return tuple(one for one in ALL_REMEDIES if one in given)


class Tried:
    """What one call has been signed with so far."""

    __slots__ = ("forms", "remedies")

    def __init__(self) -> None:
        self.remedies: set[Remedy] = set()
        # In the order in which they were used.
        self.forms: list[PathEncoding] = []


class Recovery:
    """What one auth object has learned from refusals; shared by all its calls.

    A refusal that has no remedy is logged (``lattice_client.denial``), each kind once for a host.

    :param allowed: the remedies that may be used.
    """

    def __init__(self, signers: SignerCache, allowed: tuple[Remedy, ...] = ALL_REMEDIES) -> None:
        self.clock = Clock()
        self._signers = signers
        self._allowed = allowed
        self._told: dict[tuple[str, str], object] = {}
        self._denials: DenialLog | None = None

    def expired(
        self, refused: SignableRequest, headers: Mapping[str, str], body: bytes | None, tried: Tried
    ) -> Credentials | None:
        """The credentials that a 403 calls expired, if others may be a remedy."""
        signer: AnySigner | None = refused.signer
        if signer is None or "credentials" not in self._allowed:
            return None
        if "credentials" in tried.remedies or fault_of(signer.service, headers, body) != "expired":
            return None
        return cast("Credentials", signer.credentials)

    def after(
        self,
        refused: SignableRequest,
        headers: Mapping[str, str],
        body: bytes | None,
        tried: Tried,
        *,
        renewed: bool = False,
    ) -> Remedy | None:
        """What to sign a request with now, after a 403; None where that is of no use, or where its
        body cannot be sent again. Otherwise that is rewound.

        :param refused: the request as it was signed.
        :param headers: the answer's.
        :param body: the answer's; None where it was not read.
        :param tried: what this call has tried already; it is kept up to date.
        :param renewed: whether there are others now in place of the credentials that
            :meth:`expired` gave.
        """
        signer: AnySigner | None = refused.signer
        if signer is None:
            return None
        fault = fault_of(signer.service, headers, body)
        remedy: Remedy | None = None
        if fault == "expired":
            remedy = "credentials" if renewed else None
        elif fault is not None:
            remedy = self._for_signature(fault, refused, signer, headers.get("Date"), tried)
        if remedy is None:
            self._explain(refused, headers, body)
            return None
        tried.remedies.add(remedy)
        again = refused.rewind()
        self._tell(remedy, refused.host, again=again)
        return remedy if again else None

    def _for_signature(
        self,
        fault: Fault,
        refused: SignableRequest,
        signer: AnySigner,
        date: str | None,
        tried: Tried,
    ) -> Remedy | None:
        if "clock" in self._allowed and self._corrected(fault, refused, date, tried):
            return "clock"
        forms = fault == "signature" and "path encoding" in self._allowed
        if forms and self._reformed(refused, signer, tried):
            return "path encoding"
        # Nothing is left to try, so the offset has proved wrong too.
        self.clock.forget(refused.host, refused.offset)
        return None

    def _corrected(
        self, fault: Fault, refused: SignableRequest, date: str | None, tried: Tried
    ) -> bool:
        """Whether the host's time is now another one than the request was signed with."""
        host = refused.host
        if "clock" in tried.remedies:
            return False
        self.clock.learn(host, date)
        if fault == "clock" and self.clock.offset(host) == refused.offset:
            self.clock.forget(host, refused.offset)
        # Another call may have learned it while this one was under way.
        return self.clock.offset(host) != refused.offset

    def _reformed(self, refused: SignableRequest, signer: AnySigner, tried: Tried) -> bool:
        """Whether the host's paths are now signed in another form than this call has tried."""
        if signer.service != LATTICE:
            return False  # of Lattice alone it is unknown how it reads paths
        host, path = refused.host, refused.target.partition("?")[0]
        if signer.path_encoding not in tried.forms:
            tried.forms.append(signer.path_encoding)
        seen = {canonical_path(path, form) for form in tried.forms}
        left = [form for form in get_args(PathEncoding) if canonical_path(path, form) not in seen]
        current = self._signers.encoding_of(host)
        if left and current not in left:
            # The first of many calls that are refused at once; the others take what it has set.
            self._signers.encode(host, left[0])
        elif not left and current in tried.forms:
            self._signers.encode(host, tried.forms[0])
        return bool(left)

    def _explain(
        self, refused: SignableRequest, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        # Loaded by the first refusal.
        from lattice_client.denial.explanation import explain_parts
        from lattice_client.denial.log import DenialLog

        denial = explain_parts(
            FORBIDDEN,
            headers,
            body,
            method=refused.method,
            url=f"https://{refused.host}{refused.target}",
            # They hold the secrets that an answer may repeat.
            request_headers=refused.request.headers,
        )
        if denial is None:
            return
        if self._denials is None:
            self._denials = DenialLog()
        self._denials.note(denial)

    def _tell(self, remedy: Remedy, host: str, *, again: bool) -> None:
        words = self._words(remedy, host)
        # Each form of the path is told, a clock that moves is not.
        key, mark = (words if remedy == "path encoding" else remedy, host), object()
        if len(self._told) >= _MANY and key not in self._told:
            self._told = {}
        # One step, for other threads may be here too.
        if self._told.setdefault(key, mark) is not mark:
            return
        import logging

        logging.getLogger("lattice_client.auth").warning(
            "%s refused a request; %s: %s",
            host,
            "it is signed and sent again"
            if again
            else "its body cannot be sent again, but later ones will do",
            words,
        )

    def _words(self, remedy: Remedy, host: str) -> str:
        if remedy == "clock":
            offset = self.clock.offset(host)
            if not offset:
                return "by this machine's own clock, as the earlier correction is wrong by now"
            return (
                f"this machine's clock is {-offset:+.0f} s off, by the Date of the "
                "answer; set it right"
            )
        if remedy == "credentials":
            return "the credentials have expired there; others were fetched"
        return f"its path is taken in the form {self._signers.encoding_of(host)!r} (path_encoding)"
