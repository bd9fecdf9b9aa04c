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

from lattice_client import Credentials, CredentialsProvider, RetryPolicy
from lattice_client._version import __version__
from lattice_client.cli.addresses import Addresses, address_options, destination
from lattice_client.cli.bodies import Body, body_of, headers_of, short_headers
from lattice_client.cli.failures import HTTP_ERROR, Failure, failure_of
from lattice_client.cli.left_out import CurlCommand
from lattice_client.cli.output import Output, head_of
from lattice_client.cli.proxies import proxy_of
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.sending import Deadline, Sending, trust
from lattice_client.cli.signing_options import Signing, signing_options
from lattice_client.cli.talk import LOOKED_AT, Remarks, VerboseLog, explained
from lattice_client.cli.terminal import note
from lattice_client.cli.write_out import WriteOut
from lattice_client.httpx import Client

__all__ = ["command"]

_CLIENT_ERRORS = 400
# Whoever sends nothing else than curl does can be compared with it.
_TYPICAL = {b"User-Agent": f"lattice-client/{__version__}".encode(), b"Accept": b"*/*"}


def _in_order(kind: str) -> Any:
    """Options that are joined: those of one kind in the order in which they were given."""

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
@click.option("-w", "--write-out", metavar="FORMAT", help="Say this of it: %{http_code}.")
@click.option("-f", "--fail", is_flag=True, help="End with 22, and no body, from 400 on.")
@click.option("--fail-with-body", is_flag=True, help="The same, with the body.")
@click.option("-L", "--location", is_flag=True, help="Follow redirects.")
@click.option("--max-redirs", type=int, default=50, metavar="N", help="So many at most.")
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
@click.option("-v", "--verbose", is_flag=True, help="Tell everything but secrets.")
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

    The options are curl's where curl has them, so its examples work with "lattice-client call" in
    curl's place. The answer's body goes to stdout as it is, and everything else to stderr, without
    any secret, token or signature.
    """
    asked = [*urls] if url is None else [url, *urls]
    if not asked:
        raise click.MissingParameter(ctx=ctx, param_hint="'URL'", param_type="argument")
    if len(asked) > 1:
        raise click.UsageError("Give one URL: there is one request for each command.", ctx)
    call = _Call(asked[0], signing, addresses, ctx.meta.get("pieces", []), given)
    try:
        call.run()
    except BrokenPipeError:
        raise
    except Exception as error:
        failure = call.failure_of(error)
        if failure is None:
            raise
        with suppress(Failure):  # the first one is told
            call.write_out(failure)
        if call.quiet or failure.text in call.remarks.told:
            raise Failure(failure.code) from None  # there is no more to say
        raise failure from None
    call.write_out()


class _Call:
    """One call as the options say it."""

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
        self._url, self._addresses, self._signing = destination(url, addresses, signing)
        if in_query and isinstance(body.content, bytes):
            query = b"&".join(filter(None, (self._url.query, body.content)))
            self._url, body = self._url.copy_with(query=query), Body()
        self._body = body
        self._headers = self._all_headers()
        self._token = self._take_token()
        self._refuse_authorization()
        self._redaction = Redaction()
        self._talk = VerboseLog(self._redaction, verbose=given["verbose"])
        self.remarks = Remarks()
        self._deadline = Deadline(given["max_time"])
        self._proxy = proxy_of(self._url, given["proxy"])
        self._sending: Sending | None = None
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
        typical = dict(_TYPICAL)
        typical[b"Accept-Encoding"] = b"gzip, deflate" if self._given["compressed"] else b""
        short = short_headers(
            user_agent=self._given["user_agent"],
            referer=self._given["referer"],
            cookies=self._given["cookies"],
        )
        headers: dict[bytes, bytes | None] = {**typical, **dict(self._body.headers), **short}
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
        """The session token of a curl example, which goes with --user."""
        for name in list(self._headers):
            if name.lower() == b"x-amz-security-token":
                return (self._headers.pop(name) or b"").decode("latin-1") or None
        return None

    def _refuse_authorization(self) -> None:
        signs = not self._given["unsigned"] and self._signing.placement == "header"
        if signs and any(name.lower() == b"authorization" for name in self._headers):
            raise click.UsageError(
                "The signature takes the place of your Authorization header: --query signs in the "
                "URL instead, and leaves it alone."
            )

    # The call.

    def failure_of(self, error: Exception) -> Failure | None:
        """What an exception of ``run`` means."""
        sending = self._sending
        reached = sending is None or not sending.at_proxy
        return failure_of(error, self._url.host, self._proxy, reached=reached)

    @property
    def quiet(self) -> bool:
        return bool(self._given["silent"] and not self._given["show_error"])

    def run(self) -> None:
        given, quiet = self._given, self.quiet
        with ExitStack() as stack:
            if not quiet:
                stack.enter_context(self.remarks)
            client = stack.enter_context(self._client())
            request = client.build_request(
                self._method, self._url, headers=self._header_pairs(), content=self._content(stack)
            )
            _leave_out(request, self._headers)
            self._write_out.request = request
            try:
                response = client.send(request, stream=True)
            finally:
                self._dump_heads()
            stack.callback(response.close)
            looked_at = self._write(response)
            denial = explained(response, self._talk.request or request, looked_at)
            ended = Failure(HTTP_ERROR, f"{response.status_code} from {self._url.host}.")
            if denial is not None and not quiet:
                note(f"{denial}")
                self.remarks.told.add(ended.text)
                if given["verbose"] and denial.canonical_request:
                    lines = denial.canonical_request.split("\n")
                    signed = "\n".join(map(self._redaction.target, lines))
                    note(f"what was signed:\n{signed}")
            if self._failed(response):
                raise ended

    def write_out(self, failure: Failure | None = None) -> None:
        """Say on stdout what is asked for of the call, however it ended.

        :raises Failure: if that cannot be written.
        """
        # Also with -s, as curl does: what is missing from stdout needs a reason.
        for remark in self._write_out.remarks:
            note(remark)
        text = os.fsencode(self._write_out.text(failure))
        Output("-", progress=False).write(text, iter(()), None)

    def _client(self) -> httpx.Client:
        given = self._given
        verify = trust(
            given["cacert"],
            insecure=given["insecure"],
            needed=self._url.scheme == "https" or given["location"] or bool(self._proxy),
        )
        self._sending = Sending(
            verify=verify,
            connect_to=self._addresses.connect_to,
            proxy=self._proxy,
            deadline=self._deadline,
            connect_timeout=given["connect_timeout"],
            watchers=(self._talk, self._write_out),
        )
        settings: dict[str, Any] = {
            "transport": self._sending,
            "trust_env": False,
            "follow_redirects": given["location"],
            "max_redirects": given["max_redirs"],
            # None are kept, not even from a redirect for the request that follows.
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            "event_hooks": {"request": [self._write_out.asked], "response": [self._answered]},
        }
        if given["unsigned"]:
            return httpx.Client(**settings)
        found = self._signing.provider(self._token, patience=given["max_time"])
        provider = _Watched(found, self._talk)
        retry = RetryPolicy(attempts=given["retry"] + 1, deadline=given["max_time"])
        return Client(
            auth=self._signing.auth(provider), retry=retry, observers=[self._talk], **settings
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
        """Each one, redirects too, however the call ends."""
        self._responses.append(response)
        self._write_out.response = response

    def _dump_heads(self) -> None:
        if self._given["dump_header"] and self._responses:
            heads = b"".join(map(head_of, self._responses))
            Output(self._given["dump_header"], progress=False).write(heads, iter(()), None)

    def _write(self, response: httpx.Response) -> bytes:
        """Write it.

        :returns: its beginning, for those who explain.
        """
        given = self._given
        head = head_of(response) if given["include"] or given["head"] else b""
        beginning = bytearray()
        body = self._pieces(response, beginning)
        if self._failed(response) and not given["fail_with_body"]:
            for _ in body:
                if len(beginning) >= LOOKED_AT:
                    break
            body = iter(())
        size = response.headers.get("Content-Length", "")
        output = Output(given["output"], progress=not given["silent"])
        output.write(head, body, int(size) if size.isdigit() else None)
        return bytes(beginning)

    def _pieces(self, response: httpx.Response, beginning: bytearray) -> Iterator[bytes]:
        """The body as it comes; what it begins with is kept."""
        for piece in response.iter_bytes() if self._given["compressed"] else response.iter_raw():
            self._deadline.left()
            beginning += piece[: LOOKED_AT - len(beginning)]
            yield piece

    def _failed(self, response: httpx.Response) -> bool:
        wants = self._given["fail"] or self._given["fail_with_body"]
        return wants and response.status_code >= _CLIENT_ERRORS


class _Watched:
    """A provider whose secrets are told to whoever leaves them out of what is shown."""

    def __init__(self, provider: CredentialsProvider, talk: VerboseLog) -> None:
        self._provider = provider
        self._talk = talk

    def peek(self) -> Credentials | None:
        credentials = self._provider.peek()
        self._talk.holder(credentials)
        return credentials

    def get(self) -> Credentials:
        credentials = self._provider.get()
        self._talk.holder(credentials)
        return credentials

    def region(self) -> Any:
        ask = getattr(self._provider, "region", None)
        return ask() if callable(ask) else None

    def refused(self, credentials: Credentials) -> Any:
        tell = getattr(self._provider, "refused", None)
        return tell is not None and tell(credentials)


def _leave_out(request: httpx.Request, headers: dict[bytes, bytes | None]) -> None:
    """What httpx adds by itself, and what the user wants left out."""
    given = {name.lower() for name, value in headers.items() if value is not None}
    unwanted = {name.lower() for name, value in headers.items() if value is None}
    for name in (b"accept-encoding", b"connection", *unwanted):
        if name not in given:
            request.headers.pop(name.decode("latin-1"), None)
