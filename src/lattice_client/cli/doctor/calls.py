"""The doctor's calls, and the check of the clock."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from lattice_client.cli.doctor.findings import Finding
from lattice_client.cli.doctor.identity import duration
from lattice_client.cli.failures import PROXY, failure_of
from lattice_client.cli.proxies import Proxy
from lattice_client.cli.verbose_log import MAX_EXPLAINED_BYTES, explain_response
from lattice_client.denial.model import Denial

__all__ = ["Answer", "Prober", "check_clock", "no_answer"]

REQUEST_ID = "x-amzn-requestid"
# Seconds: SigV4's usual window, and what exceeds the precision of a Date header.
_WINDOW, _NOTICEABLE = 300, 30


class Answer(NamedTuple):
    """The answer to one call.

    :param signed: whether the request had a signature.
    :param ahead: by how many seconds this machine's clock is ahead of the answer's Date.
    :param by_lattice: whether the answer has the request's id, which Lattice sends back.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    denial: Denial | None
    signed: bool
    request: httpx.Request
    took: float
    ahead: float | None
    by_lattice: bool

    def __repr__(self) -> str:
        return f"Answer({self.status}, signed={self.signed})"

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def authenticated(self) -> bool:
        """Whether the signature was accepted."""
        return self.denial is None or self.denial.kind not in (
            "bad signature",
            "clock",
            "expired",
            "unsigned",
        )


class Prober:
    """Makes calls, each on a new connection and once, without remedies and retries.

    :param transport: makes a transport.
    """

    def __init__(
        self,
        transport: Callable[[], httpx.BaseTransport],
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
    ) -> None:
        self._transport = transport
        self.method = method
        self.url = url
        self.headers = dict(headers)

    def call(
        self,
        auth: Any,
        *,
        url: httpx.URL | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one call.

        :raises httpx.HTTPError: if there is no answer.
        """
        request_id = uuid.uuid4().hex
        sent = {**(self.headers if headers is None else headers), REQUEST_ID: request_id}
        with httpx.Client(transport=self._transport(), trust_env=False) as client:
            request = client.build_request(self.method, url or self.url, headers=sent)
            request.headers.pop("accept-encoding", None)
            before, began = time.time(), time.perf_counter()
            response = client.send(request, auth=auth, stream=True)
            try:
                took = time.perf_counter() - began
                body = b""
                for piece in response.iter_raw():
                    body += piece
                    if len(body) >= MAX_EXPLAINED_BYTES:
                        break
            finally:
                response.close()
        signed = "authorization" in response.request.headers or (
            b"X-Amz-Signature" in response.request.url.query
        )
        return Answer(
            status=response.status_code,
            headers=response.headers,
            body=body,
            denial=explain_response(response, response.request, body),
            signed=signed,
            request=response.request,
            took=took,
            ahead=_ahead(response.headers.get("Date"), before + took / 2),
            by_lattice=response.headers.get(REQUEST_ID) == request_id,
        )


def _ahead(date: str | None, now: float) -> float | None:
    try:
        then = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    # Date is truncated to whole seconds.
    return now - (then.timestamp() + 0.5)


def check_clock(answer: Answer | None) -> Finding:
    """Compare this machine's clock with the answer's Date."""
    if answer is None:
        return Finding.skipped("clock", "There is no answer to compare it with.")
    ahead = answer.ahead
    if ahead is None:
        return Finding.skipped("clock", "The answer has no Date to compare it with.")
    details = {"seconds_ahead": round(ahead)}
    if abs(ahead) < _NOTICEABLE:
        return Finding.ok("clock", "It agrees with the server's within seconds.", **details)
    text = f"{duration(ahead)} {'ahead of' if ahead > 0 else 'behind'} the server's."
    step = "Set this machine's clock, and keep it set (NTP, chrony)."
    if abs(ahead) < _WINDOW:
        return Finding.warning("clock", text, step, **details)
    return Finding.of_fault("clock", "clock", text, step, **details)


def no_answer(error: Exception, host: str, proxy: Proxy | None) -> Finding | None:
    """The finding for a call without an answer; None for an unexpected exception.

    :param proxy: the proxy that the call went through.
    """
    failure = failure_of(error, host, proxy)
    if failure is None:
        return None
    if proxy and failure.code == PROXY:
        return Finding.of_fault("call", "unusable proxy", failure.text, failure.next_step)
    return Finding.of_fault(
        "call",
        "no answer",
        failure.text,
        "Check what is in between: proxies, security groups, the service's own time-outs.",
    )
