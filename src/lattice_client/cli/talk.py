"""What a call says on stderr: with -v everything but secrets, and what a refusal means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from rich.text import Text

from lattice_client import Credentials
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.sending import address_of
from lattice_client.cli.terminal import note, printable, say
from lattice_client.denial.explanation import explain_parts
from lattice_client.denial.model import Denial
from lattice_client.events import Event, RemedyApplied, RetryPlanned, Signed

if TYPE_CHECKING:
    import httpx

__all__ = ["Remarks", "VerboseLog", "explained"]

# Of a body, as much as explaining looks at.
LOOKED_AT = 8192


class VerboseLog:
    """Tells of connections, requests and responses as they happen, for -v; and remembers the last
    request, which is the one that a response answers."""

    def __init__(self, redaction: Redaction, *, verbose: bool) -> None:
        self.request: httpx.Request | None = None
        self._redaction = redaction
        self._verbose = verbose

    def __call__(self, event: Event) -> None:
        """As an observer of the second level."""
        if isinstance(event, Signed):
            self._say("*", f"signed for {event.service} in {event.region}")
        elif isinstance(event, RetryPlanned):
            why = event.error or event.status
            self._say("*", f"{event.reason} ({why}): again in {event.delay:.1f} s")
        elif isinstance(event, RemedyApplied):
            self._say("*", f"refused, and sent again with a remedy: {event.remedy}")

    def holder(self, credentials: Credentials | None) -> None:
        """Whose secrets are to be left out."""
        if credentials is not None:
            self._redaction.learn(credentials.token)
            self._redaction.learn(credentials.secret_key)

    def connected(self, stream: Any) -> None:
        tls = stream.get_extra_info("ssl_object")
        if tls is not None:
            cipher = tls.cipher()
            self._say("*", f"{tls.version()}, {cipher[0] if cipher else 'no cipher'}")
            return
        address = address_of(stream)
        if address:
            self._say("*", f"connected to {address[0]} port {address[1]}")

    def sent(self, request: httpx.Request) -> None:
        self.request = request
        self._learn(request.headers)
        self._redaction.learn(request.url.params.get("X-Amz-Signature"))
        target = self._redaction.target(request.url.raw_path.decode("latin-1"))
        self._say(">", f"{request.method} {target} HTTP/1.1")
        self._headers(">", request.headers)

    def begun(self) -> None:
        """The head has been told."""

    def received(self, response: httpx.Response) -> None:
        self._learn(response.headers)
        reason = f" {response.reason_phrase}" if response.reason_phrase else ""
        version = response.http_version
        self._say("<", f"{version} {response.status_code}{printable(reason)}")
        self._headers("<", response.headers)

    def _learn(self, headers: httpx.Headers) -> None:
        # All before any is shown: one may repeat another.
        for name, value in headers.multi_items():
            self._redaction.header(name, value)

    def _headers(self, mark: str, headers: httpx.Headers) -> None:
        for name, value in headers.raw:
            line = self._redaction.header(name.decode("latin-1"), value.decode("latin-1"))
            self._say(mark, line)
        self._say(mark, "")

    def _say(self, mark: str, text: str) -> None:
        if self._verbose:
            line = Text(f"{mark} {text}".rstrip())
            line.stylize("dim" if mark == "*" else "cyan" if mark == ">" else "green", 0, 1)
            say(line, whole=True)


class Remarks(logging.Handler):
    """What the package has to say by its log, as lines for people: a clock that is off, credentials
    that could not be renewed. Refusals are explained elsewhere."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("lattice_client.denial"):
            self.told.add(record.getMessage())
            note(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("lattice_client").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("lattice_client").removeHandler(self)


def explained(response: httpx.Response, request: httpx.Request, body: bytes) -> Denial | None:
    """Why a response refuses; None where it does not."""
    return explain_parts(
        response.status_code,
        response.headers,
        body,
        method=request.method,
        url=str(request.url),
        request_headers=request.headers,
        way=[str(one.url) for one in (*response.history, response)] if response.history else (),
    )
