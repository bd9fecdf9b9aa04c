"""Which fault of a signature a 403 names, in the exact words and form of the service.

A target can answer 403 with any text. A mention of an expired token is no reason to send a request
again that the target may have processed. So the whole form has to fit. A 403 that only resembles it
names no fault here (``lattice_client.denial`` explains that too).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from lattice_client.signing import LATTICE

__all__ = ["Fault", "fault_of"]

Fault = Literal["clock", "expired", "signature"]

_MAX_TEXT = 8192  # bytes of a body; Lattice's are one line
_PLAIN_TYPE = re.compile(r"\s*text/plain\s*(?:;|$)", re.IGNORECASE)
# Lattice's bodies are plain text that begins with the exception's name, as seen at Lattice for
# AccessDeniedException and IncompleteSignatureException.
_PLAIN = re.compile(rb"(ExpiredToken|InvalidSignature)Exception: ")
# Other services name it in x-amzn-errortype ("Common errors", Amazon API Gateway and other API
# references), with an address behind it or a namespace before it.
_ERROR_TYPE = re.compile(r"(?:[\w.]+#)?(\w{1,64}?)(?:Exception)?(?::|$)")
# "REST error responses", Amazon S3 API Reference.
_XML_TYPE = re.compile(r"\bxml\b", re.IGNORECASE)
_XML = re.compile(rb"\s*(?:<\?xml[^>]{0,100}>\s*)?<Error>\s*<Code>(\w{1,64})</Code>")

_BY_NAME: dict[str, Fault] = {
    "ExpiredToken": "expired",
    "InvalidSignature": "signature",
    "RequestTimeTooSkewed": "clock",
    "SignatureDoesNotMatch": "signature",
}
_CLOCK = re.compile(rb"Signature expired|Signature not yet current")
# Faults that neither another clock nor another path encoding mends.
_BEYOND_REMEDY = re.compile(
    rb"Signed payloads are not supported|should be scoped to|Region set should include"
)


def fault_of(service: str, headers: Mapping[str, str], body: bytes | None) -> Fault | None:
    """The fault that a 403 names in its service's own form; None for any other answer.

    :param service: the signing name. Lattice's answers are plain text. The header and the XML of
        other services are believed of those services only, so no target of Lattice can use them.
    :param headers: the answer's; names in any case.
    :param body: None where it did not come within the limits. Then there is no fault, because no
        request is sent again for an unknown answer.
    """
    if body is None:
        return None
    beginning = body[:_MAX_TEXT]
    name = _plain(headers, beginning)
    if name is None and service != LATTICE:
        name = _elsewhere(service, headers, beginning)
    fault = _BY_NAME.get(name or "")
    if fault != "signature":
        return fault
    if _CLOCK.search(beginning):
        return "clock"
    return None if _BEYOND_REMEDY.search(beginning) else "signature"


def _plain(headers: Mapping[str, str], body: bytes) -> str | None:
    if not _PLAIN_TYPE.match(headers.get("Content-Type") or "text/plain"):
        return None
    found = _PLAIN.match(body)
    return found[1].decode() if found else None


def _elsewhere(service: str, headers: Mapping[str, str], body: bytes) -> str | None:
    found = _ERROR_TYPE.match(headers.get("x-amzn-errortype") or "")
    if found:
        return found[1]
    if not (service.startswith("s3") and _XML_TYPE.search(headers.get("Content-Type") or "xml")):
        return None
    code = _XML.match(body)
    return code[1].decode().removesuffix("Exception") if code else None
