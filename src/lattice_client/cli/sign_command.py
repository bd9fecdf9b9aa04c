"""``lattice-client sign``: a signed request, and the stages of its signature."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import click
import httpx

from lattice_client import Credentials
from lattice_client._secrecy import redacted_key_id
from lattice_client.cli.addresses import Addresses, address_options, destination
from lattice_client.cli.bodies import body_of, headers_of
from lattice_client.cli.help import Command
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.signing_options import Signing, signing_options
from lattice_client.cli.terminal import console, note, say
from lattice_client.credentials import current
from lattice_client.signing import SigV4ASigner, SigV4Signer, presign

__all__ = ["command"]

_WARNING = (
    "anyone who has this can send the request: for five minutes, or as long as --expires says. The "
    "session token in it is valid as long as the credentials. Keep it out of tickets and chats."
)
_SIGNED = ("authorization", "x-amz-")
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_FORMATS = ("headers", "curl", "url", "json")


def _format(name: str, text: str) -> _Decorator:
    return click.option(f"--{name}", "form", flag_value=name, help=text)


@click.command("sign", cls=Command)
@click.argument("url")
@click.option("-X", "--request", "method", metavar="METHOD", help="The method.")
@click.option("-H", "--header", multiple=True, metavar="LINE", help="A header of the request.")
@click.option("-d", "--data", multiple=True, metavar="DATA", help="The body; @FILE, @- for stdin.")
@click.option("--json-body", multiple=True, metavar="JSON", help="The body, as JSON.")
@_format("headers", "Print the headers to send, signature and token included.")
@_format("curl", "Print a curl command, signature and token included.")
@_format("url", "Print the URL, signature and token included; goes with --query.")
@_format("json", "Print all of it as JSON, signature and token included.")
@_format("canonical-request", "Print the canonical request, without the token.")
@_format("string-to-sign", "Print the string to sign.")
@click.option(
    "--expires",
    type=click.IntRange(1, 604_800),
    metavar="SECONDS",
    help="With --query: how long the signature holds.  [default: 300]",
)
@address_options
@signing_options
def command(
    *, url: str, signing: Signing, addresses: Addresses, form: str | None, **given: Any
) -> None:
    """Show what a signed request looks like.

    Signature and session token are shown only where an option asks for them; the secret key never
    is. "lattice-client sign --headers URL | curl -H @- URL" lets curl send the request.
    """
    if given["expires"] and signing.placement != "query":
        raise click.UsageError("--expires needs --query.")
    if form == "url" and signing.placement != "query":
        raise click.UsageError("--url shows a signature in the URL, so it needs --query.")
    signed = _signed(str(url), signing, addresses, given)
    if form in _FORMATS and sys.stderr.isatty():
        note(_WARNING)
    if form == "headers":
        _print("\n".join(f"{name}: {value}" for name, value in signed.added.items()))
    elif form == "curl":
        _print(signed.as_curl())
    elif form == "url":
        _print(signed.url)
    elif form == "json":
        _print(json.dumps(signed.as_json(), indent=2))
    elif form == "canonical-request":
        _print(signed.canonical_request)
    elif form == "string-to-sign":
        _print(signed.string_to_sign)
    else:
        _describe(signed)


class _Signed(NamedTuple):
    """A request with its signature, its canonical request without the token, and its string to
    sign."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    added: dict[str, str]
    credentials: Credentials
    region: str
    service: str
    canonical_request: str
    string_to_sign: str

    def __repr__(self) -> str:
        # Most fields contain the signature or the token.
        return f"_Signed({self.method!r}, region={self.region!r})"

    def as_curl(self) -> str:
        parts = ["curl", "--request", self.method]
        for name, value in {**self.headers, **self.added}.items():
            parts += ["--header", f"{name}: {value}"]
        if self.body is not None:
            parts += ["--data-raw", self.body.decode("utf-8", "surrogateescape")]
        return shlex.join([*parts, self.url])

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "url": self.url,
            "headers": {**self.headers, **self.added},
            "region": self.region,
            "service": self.service,
            "access_key": redacted_key_id(self.credentials.access_key),
            "canonical_request": self.canonical_request,
            "string_to_sign": self.string_to_sign,
        }


def _signed(url: str, signing: Signing, addresses: Addresses, given: dict[str, Any]) -> _Signed:
    pieces = [("data", value) for value in given["data"]]
    body = body_of(pieces, json=given["json_body"])
    content = body.content if isinstance(body.content, bytes) else None
    given_headers = {**dict(body.headers), **headers_of(given["header"])}
    own = {
        name.decode().lower(): (value or b"").decode("latin-1")
        for name, value in given_headers.items()
    }
    token = own.pop("x-amz-security-token", "")
    for name in ("x-amz-content-sha256", "x-amz-date"):  # the signer sets them
        own.pop(name, None)
    to, _, signing = destination(url, addresses, signing)
    provider = signing.provider(token or None)
    credentials = current(provider)
    method = given["method"] or ("GET" if content is None else "POST")
    request = httpx.Request(method, to, headers=own, content=content)
    expires = {"expires": given["expires"]} if given["expires"] else {}
    signing.auth(provider, **expires)(request)
    signature = _parts(request)
    kind: Any = SigV4ASigner if signing.algorithm == "sigv4a" else SigV4Signer
    signer = kind(
        credentials, signature["region"], signing.service, path_encoding=signing.path_encoding
    )
    arguments: Any = (method, request.headers["host"], request.url.raw_path.decode(), own)
    # Services other than Lattice sign the body's hash, and few of them expect it in a header.
    hashed = request.headers.get("x-amz-content-sha256") or sha256(content or b"").hexdigest()
    options = {"payload_hash": hashed, "now": signature["at"]}
    if signing.placement == "query":
        again = presign(signer, *arguments, **options, expires=signature["expires"])
        canonical, to_sign = again.canonical_request, again.string_to_sign
    else:
        canonical = signer.canonical_request(*arguments, **options)
        to_sign = signer.string_to_sign(*arguments, **options)
    redaction = Redaction()
    redaction.learn(credentials.token)
    added = {
        name: value
        for name, value in request.headers.items()
        if name.startswith(_SIGNED) and name not in own
    }
    return _Signed(
        method,
        str(request.url),
        own,
        content,
        added,
        credentials,
        signature["region"],
        signing.service,
        "\n".join(map(redaction.target, canonical.split("\n"))),
        to_sign,
    )


def _parts(request: httpx.Request) -> dict[str, Any]:
    """Region (or set of regions), time and duration of a signed request's signature."""
    query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
    credential = (
        query.get("X-Amz-Credential")
        or re.findall(r"Credential=([^,]+)", request.headers.get("authorization", ""))[0]
    )
    of_scope = credential.split("/")[2]
    regions = query.get("X-Amz-Region-Set") or request.headers.get("x-amz-region-set")
    date = query.get("X-Amz-Date") or request.headers["x-amz-date"]
    return {
        "region": regions or of_scope,
        "at": datetime.strptime(f"{date}+0000", "%Y%m%dT%H%M%SZ%z"),
        "expires": int(query.get("X-Amz-Expires", 300)),
    }


def _print(text: str) -> None:
    print(text)  # noqa: T201 rich would wrap it


def _describe(signed: _Signed) -> None:
    """Show the request without signature and token."""
    from rich.table import Table

    redaction = Redaction()
    redaction.learn(signed.credentials.token)

    expires = signed.credentials.expires_at
    unknown = "not known" if signed.credentials.token else "never"
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "request": f"{signed.method} {redaction.target(signed.url)}",
        "service": signed.service,
        "region": signed.region,
        "access key": redacted_key_id(signed.credentials.access_key),
        "expires": unknown if expires is None else f"{expires:%Y-%m-%d %H:%M:%S %Z}",
        **{
            name: redaction.header(name, value).partition(": ")[2]
            for name, value in signed.added.items()
        },
    }
    for name, value in rows.items():
        table.add_row(name, value)
    out = console()
    if out.is_terminal:
        out.print(table)
    else:
        for name, value in rows.items():
            say(f"{name}: {value}", stderr=False)
    say("--headers, --curl, --json or --url show it with signature and token.", "dim")
