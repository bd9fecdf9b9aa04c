"""What a call prints on stderr: with -v each request and response without secrets, warnings, and
what a refusal means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from rich.text import Text

from lattice_client import Credentials, CredentialsProvider
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.terminal import note, printable, say
from lattice_client.cli.transport import peer_address
from lattice_client.denial.explanation import explain_parts, why_unsigned
from lattice_client.denial.model import ATTEMPT, Denial
from lattice_client.events import Event, NotSigned, RemedyApplied, RetryPlanned, Signed

if TYPE_CHECKING:
    import httpx

__all__ = ["LogNotes", "RedactingProvider", "VerboseLog", "explain_response"]

# As much of a body as explaining a refusal reads.
MAX_EXPLAINED_BYTES = 8192


class VerboseLog:
    """Prints connections, requests and responses as they happen, for -v. It also keeps the last
    request, which is the one that the response answers."""

    def __init__(self, redaction: Redaction, *, verbose: bool) -> None:
        self.request: httpx.Request | None = None
        self._redaction = redaction
        self._verbose = verbose

    def __call__(self, event: Event) -> None:
        """Observe a client's event."""
        if isinstance(event, Signed):
            self._say("*", f"signed for {event.service} in {event.region}")
        elif isinstance(event, NotSigned):
            self._say("*", f"not signed: {event.why}; {event.advice}")
        elif isinstance(event, RetryPlanned):
            why = event.error or event.status
            self._say("*", f"{event.reason} ({why}): again in {event.delay:.1f} s")
        elif isinstance(event, RemedyApplied):
            self._say("*", f"refused, and sent again with a remedy: {event.remedy}")

    def redact(self, credentials: Credentials | None) -> None:
        """Remove the secrets of these credentials from the output."""
        if credentials is not None:
            self._redaction.learn(credentials.token)
            self._redaction.learn(credentials.secret_key)

    def connected(self, stream: Any) -> None:
        tls = stream.get_extra_info("ssl_object")
        if tls is not None:
            cipher = tls.cipher()
            self._say("*", f"{tls.version()}, {cipher[0] if cipher else 'no cipher'}")
            return
        address = peer_address(stream)
        if address:
            self._say("*", f"connected to {address[0]} port {address[1]}")

    def sent(self, request: httpx.Request) -> None:
        self.request = request
        self._learn(request.headers)
        self._redaction.learn(request.url.params.get("X-Amz-Signature"))
        target = self._redaction.target(request.url.raw_path.decode("latin-1"))
        self._say(">", f"{request.method} {target} HTTP/1.1")
        self._headers(">", request.headers)

    def headers_started(self) -> None:
        """Print nothing: ``sent`` has printed the headers."""

    def received(self, response: httpx.Response) -> None:
        self._learn(response.headers)
        reason = f" {response.reason_phrase}" if response.reason_phrase else ""
        version = response.http_version
        self._say("<", f"{version} {response.status_code}{printable(reason)}")
        self._headers("<", response.headers)

    def _learn(self, headers: httpx.Headers) -> None:
        # All before the first is printed: one may repeat another's secret.
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


class RedactingProvider:
    """A provider that has the secrets it returns redacted in the verbose log."""

    def __init__(self, provider: CredentialsProvider, verbose_log: VerboseLog) -> None:
        self._provider = provider
        self._verbose_log = verbose_log

    def peek(self) -> Credentials | None:
        credentials = self._provider.peek()
        self._verbose_log.redact(credentials)
        return credentials

    def get(self) -> Credentials:
        credentials = self._provider.get()
        self._verbose_log.redact(credentials)
        return credentials

    def region(self) -> Any:
        region = getattr(self._provider, "region", None)
        return region() if callable(region) else None

    def refused(self, credentials: Credentials) -> Any:
        refused = getattr(self._provider, "refused", None)
        return refused is not None and refused(credentials)


class LogNotes(logging.Handler):
    """Prints the package's warnings: a clock that is off, credentials that could not be renewed.
    Refusals are explained elsewhere.

    :param verbose: whether the verbose log says why a request is not signed.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__(logging.WARNING)
        self.printed: set[str] = set()
        self._elsewhere: tuple[str, ...] = ("lattice_client.denial",)
        if verbose:
            self._elsewhere += ("lattice_client.unsigned",)

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(self._elsewhere):
            self.printed.add(record.getMessage())
            note(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger("lattice_client").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("lattice_client").removeHandler(self)


def explain_response(
    response: httpx.Response, request: httpx.Request, body: bytes
) -> Denial | None:
    """Why a response is a refusal; None if it is not one."""
    sent = response.extensions.get(ATTEMPT) or request
    return explain_parts(
        response.status_code,
        response.headers,
        body,
        method=request.method,
        url=str(request.url),
        request_headers=request.headers,
        way=[str(one.url) for one in (*response.history, response)] if response.history else (),
        unsigned=why_unsigned(response, sent),
    )
