"""The remedies for a refusal: another clock, newer credentials, another path encoding.

Lattice decides on its own 403 before any target sees the request ("SIGv4 authenticated requests for
Amazon VPC Lattice", VPC Lattice User Guide). So the request may be sent again, whatever its method.
A target's 403 has no remedy: only an answer in Lattice's own form has one
(``lattice_client._auth.genuine_refusal``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, cast, get_args

from lattice_client._auth.clock import Clock
from lattice_client._auth.signer_cache import SignerCache
from lattice_client._wire.request import AnySigner, SignableRequest
from lattice_client.credentials import Credentials
from lattice_client.errors import ConfigurationError
from lattice_client.signing import LATTICE, canonical_path
from lattice_client.signing.canonical import PathEncoding

if TYPE_CHECKING:
    from lattice_client._auth.genuine_refusal import Fault
    from lattice_client.denial.log import DenialLog

__all__ = ["ALL_REMEDIES", "FORBIDDEN", "Recovery", "Remedy", "Tried", "parse_remedies"]

Remedy = Literal["clock", "credentials", "path encoding"]
"""What changes for the second signature."""

ALL_REMEDIES: tuple[Remedy, ...] = get_args(Remedy)

FORBIDDEN = 403

# Log entries. Beyond, all are forgotten, and logged again.
_MAX_LOGGED = 256


def parse_remedies(remedies: object) -> tuple[Remedy, ...]:
    """The value of an auth object's ``remedies=``, in a fixed order.

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
    """What one call has tried so far."""

    __slots__ = ("encodings", "remedies")

    def __init__(self) -> None:
        self.remedies: set[Remedy] = set()
        # Path encodings, in the order of use.
        self.encodings: list[PathEncoding] = []


class Recovery:
    """What one auth object has learned from refusals, shared by all its calls.

    A refusal without a remedy is logged (``lattice_client.denial``), each kind once for a host.

    :param allowed: the remedies that may be used.
    """

    def __init__(self, signers: SignerCache, allowed: tuple[Remedy, ...] = ALL_REMEDIES) -> None:
        self.clock = Clock()
        self._signers = signers
        self._allowed = allowed
        self._logged: dict[tuple[str, str], object] = {}
        self._denials: DenialLog | None = None

    def expired(
        self, refused: SignableRequest, headers: Mapping[str, str], body: bytes | None, tried: Tried
    ) -> Credentials | None:
        """The credentials that a 403 calls expired, if newer ones may be a remedy."""
        signer: AnySigner | None = refused.signer
        if signer is None or "credentials" not in self._allowed:
            return None
        from lattice_client._auth.genuine_refusal import fault_of  # loaded by the first refusal

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
        """The remedy to sign a request again with, after a 403. Its body is rewound. None where no
        remedy is left, or where the body cannot be sent again.

        :param refused: the request as it was signed.
        :param headers: the answer's.
        :param body: the answer's; None where it was not read.
        :param tried: what this call has tried already; updated here.
        :param renewed: whether the credentials that :meth:`expired` returned have been replaced.
        """
        signer: AnySigner | None = refused.signer
        if signer is None:
            return None
        from lattice_client._auth.genuine_refusal import fault_of

        fault = fault_of(signer.service, headers, body)
        remedy: Remedy | None = None
        if fault == "expired":
            remedy = "credentials" if renewed else None
        elif fault is not None:
            remedy = self._for_signature_fault(fault, refused, signer, headers.get("Date"), tried)
        if remedy is None:
            self._explain(refused, headers, body)
            return None
        tried.remedies.add(remedy)
        again = refused.rewind()
        self._log_remedy(remedy, refused.host, again=again)
        return remedy if again else None

    def _for_signature_fault(
        self,
        fault: Fault,
        refused: SignableRequest,
        signer: AnySigner,
        date: str | None,
        tried: Tried,
    ) -> Remedy | None:
        if "clock" in self._allowed and self._clock_differs(fault, refused, date, tried):
            return "clock"
        may_reencode = fault == "signature" and "path encoding" in self._allowed
        if may_reencode and self._change_encoding(refused, signer, tried):
            return "path encoding"
        # Nothing is left to try, so the clock's offset did not help either.
        self.clock.forget(refused.host, refused.offset)
        return None

    def _clock_differs(
        self, fault: Fault, refused: SignableRequest, date: str | None, tried: Tried
    ) -> bool:
        """Whether the host's clock, as known now, differs from the one that the request was signed
        with."""
        host = refused.host
        if "clock" in tried.remedies:
            return False
        self.clock.learn(host, date)
        if fault == "clock" and self.clock.offset(host) == refused.offset:
            self.clock.forget(host, refused.offset)
        # Another call may have learned the offset while this one was being sent.
        return self.clock.offset(host) != refused.offset

    def _change_encoding(self, refused: SignableRequest, signer: AnySigner, tried: Tried) -> bool:
        """Set a path encoding for the host that this call has not tried.

        :returns: whether one is left that gives this path another canonical form.
        """
        if signer.service != LATTICE:
            return False  # how other services read paths is published
        host, path = refused.host, refused.target.partition("?")[0]
        if signer.path_encoding in tried.encodings:
            return False  # other calls have set it back: do not chase each other
        tried.encodings.append(signer.path_encoding)
        seen = {canonical_path(path, each) for each in tried.encodings}
        left = [each for each in get_args(PathEncoding) if canonical_path(path, each) not in seen]
        current = self._signers.encoding_of(host)
        if left and current not in left:
            # Of many calls that are refused at once, the first sets it and the others follow.
            self._signers.set_encoding(host, left[0])
        elif not left and current in tried.encodings:
            self._signers.set_encoding(host, tried.encodings[0])
        return bool(left)

    def _explain(
        self, refused: SignableRequest, headers: Mapping[str, str], body: bytes | None
    ) -> None:
        # Deferred: most processes see no refusal.
        from lattice_client.denial.explanation import explain_parts
        from lattice_client.denial.log import DenialLog

        denial = explain_parts(
            FORBIDDEN,
            headers,
            body,
            method=refused.method,
            url=f"https://{refused.host}{refused.target}",
            # These hold the secrets that must not be repeated from the answer.
            request_headers=refused.request.headers,
        )
        if denial is None:
            return
        if self._denials is None:
            self._denials = DenialLog()
        self._denials.note(denial)

    def _log_remedy(self, remedy: Remedy, host: str, *, again: bool) -> None:
        text = self._describe(remedy, host)
        # Each path encoding is logged; a clock that moves is logged once.
        key, mark = (text if remedy == "path encoding" else remedy, host), object()
        if len(self._logged) >= _MAX_LOGGED and key not in self._logged:
            self._logged = {}
        # One atomic step, because other threads may be here.
        if self._logged.setdefault(key, mark) is not mark:
            return
        from lattice_client._log import get_logger  # deferred: most processes log nothing

        get_logger("auth").warning(
            "%s refused a request; %s: %s",
            host,
            "it is signed and sent again"
            if again
            else "its body cannot be sent again, but later ones will do",
            text,
        )

    def _describe(self, remedy: Remedy, host: str) -> str:
        if remedy == "clock":
            offset = self.clock.offset(host)
            if not offset:
                return "by this machine's own clock, as the earlier correction is no longer right"
            return (
                f"this machine's clock is {-offset:+.0f} s off, by the Date of the "
                "answer; set it right"
            )
        if remedy == "credentials":
            return "the credentials have expired there; others were fetched"
        return f"its path is taken in the form {self._signers.encoding_of(host)!r} (path_encoding)"
