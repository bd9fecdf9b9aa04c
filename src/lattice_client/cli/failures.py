"""The failures of a command: a sentence and an exit code for each.

The codes are curl's if curl has one ("EXIT CODES", curl(1)), so that scripts can be translated.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lattice_client.errors import (
    ConfigurationError,
    CredentialsError,
    LatticeClientError,
    MissingExtraError,
    NameSourceError,
    NotLatticeError,
    SigningError,
)

if TYPE_CHECKING:
    from lattice_client.cli.proxies import Proxy

__all__ = ["BROKEN_PIPE", "EXIT_CODES", "INTERRUPTED", "Failure", "failure_of", "failure_to_write"]

INTERRUPTED, BROKEN_PIPE = 130, 141
OK, FAULT, USAGE, URL, PROXY_NAME, NAME, CONNECT = 0, 1, 2, 3, 5, 6, 7
HTTP_ERROR, WRITE, READ, TIMEOUT, TLS, REDIRECTS = 22, 23, 26, 28, 35, 47
NO_ANSWER, SEND, RECEIVE, CERTIFICATE, CREDENTIALS, PROXY = 52, 55, 56, 60, 67, 97

EXIT_CODES = {
    OK: "done; for call: there was an answer, whatever it says",
    FAULT: "doctor found a fault, policy check says no, policy lint found something",
    USAGE: "wrong arguments, or no region",
    URL: "not a URL",
    PROXY_NAME: "the proxy's name did not resolve",
    NAME: "the name did not resolve",
    CONNECT: "no connection",
    HTTP_ERROR: "the answer was 400 or above, with --fail",
    WRITE: "the output could not be written",
    READ: "a file could not be read",
    TIMEOUT: "out of time",
    TLS: "no TLS with that server",
    REDIRECTS: "too many redirects",
    NO_ANSWER: "the server closed without an answer",
    SEND: "the request broke off",
    RECEIVE: "the answer broke off",
    CERTIFICATE: "the server's certificate is not accepted",
    CREDENTIALS: "no credentials, or expired ones",
    PROXY: "the proxy refused",
    INTERRUPTED: "interrupted",
    BROKEN_PIPE: "the reader of the output has closed it",
}


class Failure(Exception):  # noqa: N818 what the user sees, not an error of the program
    """The end of a command.

    :param text: a sentence for stderr; may be empty.
    :param next_step: what to do about it, as another sentence; may be empty.
    """

    def __init__(self, code: int, text: str = "", next_step: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.next_step = next_step


def failure_of(
    error: BaseException,
    host: str = "the server",
    proxy: Proxy | None = None,
    *,
    reached: bool = True,
) -> Failure | None:
    """An exception of this package or of httpx as a failure; None for an unexpected exception.

    :param host: the server's name, for people.
    :param proxy: the proxy that the call went through.
    :param reached: whether the proxy was connected.
    """
    if isinstance(error, Failure):
        return error
    if isinstance(error, LatticeClientError):
        return Failure(_code_of(error), str(error))
    if proxy is not None and (failure := _failure_of_proxy(error, host, proxy, reached=reached)):
        return failure
    return _failure_at(error, host)


def failure_to_write(error: Exception) -> Failure | None:
    """An exception for a full disk or a closed terminal as a failure; None for any other."""
    numbers = errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO
    if isinstance(error, OSError) and error.errno in numbers and error.filename is None:
        return Failure(WRITE, f"The output could not be written: {error.strerror}.")
    return None


def _failure_of_proxy(
    error: BaseException, host: str, proxy: Proxy, *, reached: bool
) -> Failure | None:
    import httpx

    if isinstance(error, httpx.ProxyError):
        # httpcore's message is the status and reason of the answer to CONNECT.
        status = str(error).partition(" ")[0]
        said = f": it answered {status}" if status.isdecimal() else ""
        text = f"{proxy} does not let it through{said}."
        return Failure(PROXY, text, proxy.remedy(host, status=status))
    failure = None if reached else _failure_at(error, str(proxy))
    if failure is None:
        return None
    code = PROXY_NAME if failure.code == NAME else failure.code
    return Failure(code, failure.text, proxy.remedy(host))


def _failure_at(error: BaseException, where: str) -> Failure | None:
    import httpx

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return Failure(NAME, f"{where} could not be resolved: {cause.strerror}.")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(
                CERTIFICATE,
                f"The certificate of {where} is not accepted: {cause.verify_message.rstrip('.')}. "
                "--cacert FILE names an authority to trust.",
            )
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "no TLS").replace("_", " ").lower()
            return Failure(TLS, f"No TLS with {where}: {reason}.")
    system = next((cause.strerror for cause in causes if isinstance(cause, OSError)), None)
    why = f": {system}" if system else ""
    failures: tuple[tuple[type[BaseException], int, str], ...] = (
        (httpx.ConnectTimeout, TIMEOUT, f"No connection to {where} in time."),
        (httpx.TimeoutException, TIMEOUT, f"No answer from {where} in time."),
        (httpx.ConnectError, CONNECT, f"No connection to {where}{why}."),
        (httpx.WriteError, SEND, f"{where} broke off while the request was sent{why}."),
        (httpx.ReadError, RECEIVE, f"{where} broke off in its answer{why}."),
        (httpx.RemoteProtocolError, NO_ANSWER, f"{where} closed without a whole answer."),
        (httpx.LocalProtocolError, USAGE, "The request is not valid HTTP."),
        (httpx.TooManyRedirects, REDIRECTS, f"Too many redirects from {where}."),
        (httpx.UnsupportedProtocol, URL, "The URL must begin with http:// or https://."),
        (httpx.InvalidURL, URL, "That is not a URL."),
        (httpx.DecodingError, RECEIVE, f"{where} sent what cannot be decompressed."),
    )
    return next(
        (Failure(code, text) for kind, code, text in failures if isinstance(error, kind)), None
    )


def _code_of(error: LatticeClientError) -> int:
    kinds: tuple[tuple[type[LatticeClientError], int], ...] = (
        (CredentialsError, CREDENTIALS),
        (ConfigurationError, USAGE),
        (SigningError, USAGE),
        (MissingExtraError, USAGE),
        (NameSourceError, NAME),
        (NotLatticeError, NAME),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), FAULT)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
