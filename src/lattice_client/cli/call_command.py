"""``lattice-client call``: one signed request, with curl's options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import IO, Any

import click
import httpx

from lattice_client import RetryPolicy
from lattice_client._version import __version__
from lattice_client.cli.addresses import Addresses, address_options, destination
from lattice_client.cli.bodies import Body, body_of, headers_of, short_headers
from lattice_client.cli.failures import HTTP_ERROR, Failure, failure_of
from lattice_client.cli.output import Output, head_of
from lattice_client.cli.proxies import proxy_of
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.signing_options import Signing, signing_options
from lattice_client.cli.terminal import note
from lattice_client.cli.transport import Deadline, Transport, tls_context
from lattice_client.cli.unsupported_curl_options import CurlCommand
from lattice_client.cli.verbose_log import (
    MAX_EXPLAINED_BYTES,
    LogNotes,
    RedactingProvider,
    VerboseLog,
    explain_response,
)
from lattice_client.cli.write_out import WriteOut
from lattice_client.httpx import Client

__all__ = ["command"]

_CLIENT_ERRORS = 400
# Only headers that curl sends too, so that the two can be compared.
_DEFAULT_HEADERS = {b"User-Agent": f"lattice-client/{__version__}".encode(), b"Accept": b"*/*"}


def _in_order(kind: str) -> Any:
    """A callback that collects options whose values are joined, in the order of the options."""

    def keep(ctx: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
        ctx.meta.setdefault("pieces", []).extend((kind, value) for value in values)

    return keep


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _data(kind: str, *names: str, text: str) -> _Decorator:
    return click.option(
        *names,
        multiple=True,
        metavar="DATA",
        expose_value=False,
        callback=_in_order(kind),
        help=text,
    )


@click.command("call", cls=CurlCommand)
@click.argument("url", required=False)
@click.option("--url", "urls", multiple=True, metavar="URL", help="The URL, as an option.")
@click.option("-X", "--request", "method", metavar="METHOD", help="The method.")
@click.option("-H", "--header", multiple=True, metavar="LINE", help="A header; @FILE for many.")
@click.option("-A", "--user-agent", metavar="NAME", help="The header User-Agent.")
@click.option("-e", "--referer", metavar="URL", help="The header Referer.")
@click.option("-b", "--cookie", "cookies", multiple=True, metavar="NAME=VALUE", help="A cookie.")
@_data("data", "-d", "--data", "--data-ascii", text="POST this; @FILE, or @- for stdin.")
@_data("data-raw", "--data-raw", text="POST this, @ and all.")
@_data("data-binary", "--data-binary", text="POST this; @FILE as it is, line breaks kept.")
@_data("data-urlencode", "--data-urlencode", text="POST this, encoded: NAME=TEXT.")
@click.option("--json", "json", multiple=True, metavar="JSON", help="POST this as JSON; @FILE too.")
@click.option(
    "-T",
    "--upload-file",
    type=click.Path(),
    metavar="FILE",
    help="PUT a file, streamed; - for stdin.",
)
@click.option("-G", "--get", is_flag=True, help="Put the data into the query.")
@click.option("-I", "--head", is_flag=True, help="HEAD: show the answer's head.")
@click.option(
    "-o", "--output", type=click.Path(), metavar="FILE", help="Write the answer's body there."
)
@click.option("-i", "--include", "--show-headers", is_flag=True, help="Show the head too.")
@click.option(
    "-D",
    "--dump-header",
    type=click.Path(),
    metavar="FILE",
    help="Write the heads there, redirects' too.",
)
@click.option(
    "-w", "--write-out", metavar="FORMAT", help="Print facts about the call, as %{http_code}."
)
@click.option("-f", "--fail", is_flag=True, help="Exit with 22, without the body, from 400 on.")
@click.option("--fail-with-body", is_flag=True, help="The same, with the body.")
@click.option("-L", "--location", is_flag=True, help="Follow redirects.")
@click.option("--max-redirs", type=int, default=50, metavar="N", help="Follow at most N.")
@click.option("--compressed", is_flag=True, help="Ask for compression, and undo it.")
@click.option("--retry", type=click.IntRange(0), default=0, metavar="N", help="Try again N times.")
@click.option("-m", "--max-time", type=click.FloatRange(0, min_open=True), metavar="SECONDS")
@click.option(
    "--connect-timeout",
    type=click.FloatRange(0, min_open=True),
    default=10.0,
    metavar="SECONDS",
    show_default=True,
)
@click.option(
    "--cacert", type=click.Path(), metavar="FILE", help="Trust the authorities in this file."
)
@click.option("-k", "--insecure", is_flag=True, help="Trust any certificate.")
@click.option("-x", "--proxy", metavar="URL", help="Through this proxy.")
@click.option("--unsigned", is_flag=True, help="Do not sign.")
@click.option("-v", "--verbose", is_flag=True, help="Show requests and responses, without secrets.")
@click.option("-s", "--silent", is_flag=True, help="No progress, and no errors either.")
@click.option("-S", "--show-error", is_flag=True, help="Errors also with --silent.")
@address_options
@signing_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    url: str | None,
    urls: tuple[str, ...],
    signing: Signing,
    addresses: Addresses,
    **given: Any,
) -> None:
    """Send one signed request, as curl would.

    The options are curl's if curl has them, so its examples work with "lattice-client call" instead
    of curl. The answer's body goes to stdout unchanged, and everything else to stderr, without any
    secret, token or signature.
    """
    given_urls = [*urls] if url is None else [url, *urls]
    if not given_urls:
        raise click.MissingParameter(ctx=ctx, param_hint="'URL'", param_type="argument")
    if len(given_urls) > 1:
        raise click.UsageError("Give one URL: each command sends one request.", ctx)
    call = _CurlCall(given_urls[0], signing, addresses, ctx.meta.get("pieces", []), given)
    try:
        call.run()
    except BrokenPipeError:
        raise
    except Exception as error:
        failure = call.failure_of(error)
        if failure is None:
            raise
        with suppress(Failure):  # the first failure is reported
            call.write_out(failure)
        if call.quiet or failure.text in call.log_notes.printed:
            raise Failure(failure.code) from None  # its text is printed already
        raise failure from None
    call.write_out()


class _CurlCall:
    """A call with curl's options."""

    def __init__(
        self,
        url: str,
        signing: Signing,
        addresses: Addresses,
        pieces: list[tuple[str, str]],
        given: dict[str, Any],
    ) -> None:
        self._given = given
        in_query = given["get"]
        body = body_of(pieces, json=given["json"], upload=given["upload_file"])
        self._url, self._addresses, self._signing = destination(
            url, addresses, signing, signs=not given["unsigned"]
        )
        if in_query and isinstance(body.content, bytes):
            query = b"&".join(filter(None, (self._url.query, body.content)))
            self._url, body = self._url.copy_with(query=query), Body()
        self._body = body
        self._headers = self._all_headers()
        self._token = self._take_token()
        self._refuse_authorization()
        self._redaction = Redaction()
        self._verbose_log = VerboseLog(self._redaction, verbose=given["verbose"])
        self.log_notes = LogNotes(verbose=given["verbose"])
        self._deadline = Deadline(given["max_time"])
        self._proxy = proxy_of(self._url, given["proxy"])
        self._transport: Transport | None = None
        self._responses: list[httpx.Response] = []
        self._write_out = WriteOut(given["write_out"] or "", self._redaction)

    # The request.

    @property
    def _method(self) -> str:
        if self._given["method"]:
            return str(self._given["method"])
        if self._given["head"]:
            return "HEAD"
        if self._given["upload_file"]:
            return "PUT"
        return "GET" if self._body.content is None else "POST"

    def _all_headers(self) -> dict[bytes, bytes | None]:
        defaults = dict(_DEFAULT_HEADERS)
        defaults[b"Accept-Encoding"] = b"gzip, deflate" if self._given["compressed"] else b""
        short = short_headers(
            user_agent=self._given["user_agent"],
            referer=self._given["referer"],
            cookies=self._given["cookies"],
        )
        headers: dict[bytes, bytes | None] = {**defaults, **dict(self._body.headers), **short}
        for name, value in headers_of(self._given["header"]).items():
            for known in [known for known in headers if known.lower() == name.lower()]:
                del headers[known]
            headers[name] = value
        return {
            name: value
            for name, value in headers.items()
            if value or name.lower() != b"accept-encoding"
        }

    def _take_token(self) -> str | None:
        """The session token of a curl example, which belongs to --user. Removes the header."""
        for name in list(self._headers):
            if name.lower() == b"x-amz-security-token":
                return (self._headers.pop(name) or b"").decode("latin-1") or None
        return None

    def _refuse_authorization(self) -> None:
        signs = not self._given["unsigned"] and self._signing.placement == "header"
        if signs and any(name.lower() == b"authorization" for name in self._headers):
            raise click.UsageError(
                "The signature replaces your Authorization header: --query signs in the URL "
                "instead, and keeps it."
            )

    # The call.

    def failure_of(self, error: Exception) -> Failure | None:
        """An exception of ``run`` as a failure."""
        transport = self._transport
        reached = transport is None or not transport.connecting_proxy
        return failure_of(error, self._url.host, self._proxy, reached=reached)

    @property
    def quiet(self) -> bool:
        return bool(self._given["silent"] and not self._given["show_error"])

    def run(self) -> None:
        given, quiet = self._given, self.quiet
        with ExitStack() as stack:
            if not quiet:
                stack.enter_context(self.log_notes)
            client = stack.enter_context(self._client())
            request = client.build_request(
                self._method, self._url, headers=self._header_pairs(), content=self._content(stack)
            )
            _drop_headers(request, self._headers)
            self._write_out.request = request
            try:
                response = client.send(request, stream=True)
            finally:
                self._dump_heads()
            stack.callback(response.close)
            beginning = self._write(response)
            denial = explain_response(response, self._verbose_log.request or request, beginning)
            http_error = Failure(HTTP_ERROR, f"{response.status_code} from {self._url.host}.")
            if denial is not None and not quiet:
                note(f"{denial}")
                self.log_notes.printed.add(http_error.text)
                if given["verbose"] and denial.canonical_request:
                    lines = denial.canonical_request.split("\n")
                    signed = "\n".join(map(self._redaction.target, lines))
                    note(f"what was signed:\n{signed}")
            if self._failed(response):
                raise http_error

    def write_out(self, failure: Failure | None = None) -> None:
        """Print --write-out on stdout, also for a failed call.

        :raises Failure: if it cannot be written.
        """
        # Also with -s, as curl does: a variable that is missing from stdout needs a reason.
        for problem in self._write_out.problems:
            note(problem)
        text = os.fsencode(self._write_out.text(failure))
        Output("-", progress=False).write(text, iter(()), None)

    def _client(self) -> httpx.Client:
        given = self._given
        verify = tls_context(
            given["cacert"],
            insecure=given["insecure"],
            needed=self._url.scheme == "https" or given["location"] or bool(self._proxy),
        )
        self._transport = Transport(
            verify=verify,
            connect_to=self._addresses.connect_to,
            proxy=self._proxy,
            deadline=self._deadline,
            connect_timeout=given["connect_timeout"],
            observers=(self._verbose_log, self._write_out),
        )
        settings: dict[str, Any] = {
            "transport": self._transport,
            "trust_env": False,
            "follow_redirects": given["location"],
            "max_redirects": given["max_redirs"],
            # No cookies are stored, not even from a redirect for the next request.
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            "event_hooks": {
                "request": [self._write_out.request_started],
                "response": [self._answered],
            },
        }
        if given["unsigned"]:
            return httpx.Client(**settings)
        inner = self._signing.provider(self._token, patience=given["max_time"])
        provider = RedactingProvider(inner, self._verbose_log)
        retry = RetryPolicy(attempts=given["retry"] + 1, deadline=given["max_time"])
        return Client(
            auth=self._signing.auth(provider),
            retry=retry,
            observers=[self._verbose_log],
            **settings,
        )

    def _header_pairs(self) -> list[tuple[bytes, bytes]]:
        return [(name, value) for name, value in self._headers.items() if value is not None]

    def _content(self, stack: ExitStack) -> bytes | IO[bytes] | None:
        content = self._body.content
        if content is None or isinstance(content, bytes):
            return content
        if content is not sys.stdin.buffer:
            stack.callback(content.close)
        return content

    # The response.

    def _answered(self, response: httpx.Response) -> None:
        """Record each response, redirects included, even if the call fails later."""
        self._responses.append(response)
        self._write_out.response = response

    def _dump_heads(self) -> None:
        if self._given["dump_header"] and self._responses:
            heads = b"".join(map(head_of, self._responses))
            Output(self._given["dump_header"], progress=False).write(heads, iter(()), None)

    def _write(self, response: httpx.Response) -> bytes:
        """Write a response.

        :returns: the beginning of its body, for explaining a refusal.
        """
        given = self._given
        head = head_of(response) if given["include"] or given["head"] else b""
        beginning = bytearray()
        body = self._pieces(response, beginning)
        if self._failed(response) and not given["fail_with_body"]:
            for _ in body:
                if len(beginning) >= MAX_EXPLAINED_BYTES:
                    break
            body = iter(())
        size = response.headers.get("Content-Length", "")
        output = Output(given["output"], progress=not given["silent"])
        output.write(head, body, int(size) if size.isdigit() else None)
        return bytes(beginning)

    def _pieces(self, response: httpx.Response, beginning: bytearray) -> Iterator[bytes]:
        """The body as it is received; its beginning is kept too."""
        for piece in response.iter_bytes() if self._given["compressed"] else response.iter_raw():
            self._deadline.remaining()
            beginning += piece[: MAX_EXPLAINED_BYTES - len(beginning)]
            yield piece

    def _failed(self, response: httpx.Response) -> bool:
        fails = self._given["fail"] or self._given["fail_with_body"]
        return fails and response.status_code >= _CLIENT_ERRORS


def _drop_headers(request: httpx.Request, headers: dict[bytes, bytes | None]) -> None:
    """Remove the headers that httpx adds, and those that the user removes."""
    given = {name.lower() for name, value in headers.items() if value is not None}
    unwanted = {name.lower() for name, value in headers.items() if value is None}
    for name in (b"accept-encoding", b"connection", *unwanted):
        if name not in given:
            request.headers.pop(name.decode("latin-1"), None)
