"""A response that refuses, with the request that it answers: what is read from them."""

from __future__ import annotations

import re
from typing import NamedTuple

from lattice_client._http_date import http_date
from lattice_client.denial.followed_redirects import Redirection
from lattice_client.denial.sent_request import SentRequest
from lattice_client.signing import LATTICE

__all__ = ["Refusal"]

# As long as Lattice leaves it ("Request tracking", VPC Lattice User Guide), and fit for a log.
_REQUEST_ID = re.compile(r"[ -~]{1,512}")


class Refusal(NamedTuple):
    """A response that refuses, and the request if it is known.

    ``text`` is the error's name in the header, and the beginning of the body. ``answer`` holds the
    response's headers, names in lower case.
    """

    status: int
    text: str
    body_known: bool
    answer: dict[str, str]
    request: SentRequest | None
    # What the redirects did, where any were followed.
    redirection: Redirection | None
    # Why the request was not signed, and what would help, where that is known.
    unsigned: str | None = None

    @property
    def request_id(self) -> str | None:
        text = self.answer.get("x-amzn-requestid", "")
        return self.without_secret(text) if _REQUEST_ID.fullmatch(text) else None

    def without_secret(self, text: str | None) -> str | None:
        """The text; None if it holds a piece of a secret of the request."""
        return None if text and self.request and self.request.shares_secret_with(text) else text

    @property
    def is_elsewhere(self) -> bool:
        """Whether the request is signed for another service than VPC Lattice. Then Lattice's words
        and limits do not apply."""
        return self.request is not None and self.request.service not in (None, LATTICE)

    @property
    def is_to_head(self) -> bool:
        return self.request is not None and self.request.method == "HEAD"

    @property
    def seconds_ahead(self) -> float | None:
        """The signature's time minus the response's Date, in seconds."""
        date = http_date(self.answer.get("date", ""))
        signed_at = self.request.signed_at if self.request else None
        return None if date is None or signed_at is None else signed_at - date
