"""Headers and bodies from curl's options."""

from __future__ import annotations

import os
import re
import sys
from typing import IO, NamedTuple
from urllib.parse import quote

import click

from lattice_client.cli.failures import READ, Failure

__all__ = [
    "Body",
    "body_of",
    "display_name",
    "headers_of",
    "open_file",
    "read_file",
    "short_headers",
    "urlencoded",
]

Header = tuple[bytes, bytes]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(r"[\r\n\0]")
_JSON = ((b"Content-Type", b"application/json"), (b"Accept", b"application/json"))
_FORM = ((b"Content-Type", b"application/x-www-form-urlencoded"),)


class Body(NamedTuple):
    """What is sent, and its headers unless the user sets others."""

    content: bytes | IO[bytes] | None = None
    headers: tuple[Header, ...] = ()

    def __repr__(self) -> str:
        return f"Body(headers={self.headers!r})"


def headers_of(
    given: tuple[str, ...], *, hint: str = "'-H' / '--header'"
) -> dict[bytes, bytes | None]:
    """Curl's ``-H``: ``Name: value``, ``Name;`` for an empty value, ``Name:`` to remove the header,
    and ``@FILE`` for a file of such lines.

    :param hint: the options that gave them, for errors.
    :returns: values by name as written; None for a header to remove.
    """
    lines: list[str] = []
    for one in given:
        if one.startswith("@"):
            lines += read_file(one[1:]).decode("utf-8", "surrogateescape").splitlines()
        else:
            lines.append(one)
    headers: dict[bytes, bytes | None] = {}
    for line in filter(str.strip, lines):
        name, colon, value = line.partition(":")
        if not colon and line.rstrip().endswith(";"):
            name, colon = line.rstrip()[:-1], ";"
        name, value = name.strip(), value.strip()
        if not colon or not _NAME.fullmatch(name):
            # Without the line, which may contain a secret.
            raise click.BadParameter("a header has the form 'Name: value'", param_hint=hint)
        if _NOT_IN_A_VALUE.search(value):
            raise click.BadParameter(f"the value of {name} has a line break in it", param_hint=hint)
        headers[name.encode()] = None if colon == ":" and not value else os.fsencode(value)
    return headers


def short_headers(
    *, user_agent: str | None, referer: str | None, cookies: tuple[str, ...]
) -> dict[bytes, bytes | None]:
    """The headers of curl's ``-A``, ``-e`` and ``-b``.

    :returns: as ``headers_of``; an empty value removes the header, as with curl.
    """
    cookies = tuple(filter(None, cookies))
    if any("=" not in cookie for cookie in cookies):
        # Without the cookie, which may be a secret.
        raise click.BadParameter(
            "a cookie has the form NAME=VALUE; files of cookies are not read",
            param_hint="'-b' / '--cookie'",
        )
    if referer is not None and referer.endswith(";auto"):
        raise click.BadParameter("';auto' is not supported", param_hint="'-e' / '--referer'")
    given = {"User-Agent": user_agent, "Referer": referer, "Cookie": "; ".join(cookies) or None}
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    return headers_of(tuple(lines), hint="'--user-agent', '--referer' or '--cookie'")


def body_of(
    pieces: list[tuple[str, str]], *, json: tuple[str, ...] = (), upload: str | None = None
) -> Body:
    """The body of a request.

    :param pieces: kind (``data``, ``data-raw``, ``data-binary``, ``data-urlencode``) and value, in
        the order in which the kinds were first given.
    :raises Failure: for a file that cannot be read.
    """
    if sum(map(bool, (pieces, json, upload))) > 1:
        raise click.UsageError(
            "Give a body once: with --data and its kin, --json or --upload-file."
        )
    if upload:
        return Body(open_file(upload))
    if json:
        return Body(b"".join(map(_data_binary, json)), _JSON)
    if pieces:
        return Body(b"&".join(_DATA[kind](value) for kind, value in pieces), _FORM)
    return Body()


def open_file(path: str) -> IO[bytes]:
    """A file to stream; ``-`` and ``.`` are stdin."""
    if path in ("-", "."):
        return sys.stdin.buffer
    try:
        return open(path, "rb")  # noqa: PTH123 the caller closes it, or the end of the process
    except OSError as error:
        raise _unreadable(path, error) from None


def read_file(path: str) -> bytes:
    """The contents of a file; ``-`` is stdin."""
    file = open_file(path)
    try:
        return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        if file is not sys.stdin.buffer:
            file.close()


def display_name(path: str) -> str:
    """A file's name in messages."""
    return "stdin" if path == "-" else path


def _unreadable(path: str, error: OSError) -> Failure:
    return Failure(READ, f"{path} cannot be read: {error.strerror}.")


def _data(value: str) -> bytes:
    if not value.startswith("@"):
        return os.fsencode(value)
    # As curl does; --data-binary keeps line breaks.
    return re.sub(rb"[\r\n\0]", b"", read_file(value[1:]))


def _data_binary(value: str) -> bytes:
    return read_file(value[1:]) if value.startswith("@") else os.fsencode(value)


def urlencoded(value: str) -> bytes:
    """Curl's ``--data-urlencode``: ``content``, ``=content``, ``name=content``, ``@file`` and
    ``name@file``."""
    found = re.match(r"([^=@]*)([=@])", value)
    if found is None:
        return quote(value, safe="").encode()
    name, sign = found.groups()
    rest = value[found.end() :]
    content = quote(read_file(rest) if sign == "@" else os.fsencode(rest), safe="")
    return f"{name}={content}".encode() if name else content.encode()


_DATA = {
    "data": _data,
    "data-raw": os.fsencode,
    "data-binary": _data_binary,
    "data-urlencode": urlencoded,
}
