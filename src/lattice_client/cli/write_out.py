"""Curl's ``--write-out``: what is said of a call when it is over.

Source: "-w, --write-out" (curl(1)).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from lattice_client.cli.bodies import read
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.sending import address_of

if TYPE_CHECKING:
    import httpx

    from lattice_client.cli.failures import Failure

__all__ = ["VARIABLES", "WriteOut"]

_PART = re.compile(r"%header\{([^}]*)\}|%\{([^}]*)\}|(%%)|\\([nrt])")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class WriteOut:
    r"""Watches a call, and says of it what a template asks for.

    :param template: curl's: text with ``%{variable}``, ``%header{name}``, ``%%`` and ``\n``;
        ``@FILE`` or ``@-`` for one in a file.
    :param redaction: what leaves secrets out of the values, which may repeat the request's.
    :raises click.BadParameter: for a variable that is not known.
    """

    def __init__(self, template: str, redaction: Redaction) -> None:
        if template.startswith("@"):
            template = read(template[1:]).decode("utf-8", "surrogateescape")
        for found in _PART.finditer(template):
            if found[2] is not None and found[2] not in VARIABLES:
                known = ", ".join(sorted(VARIABLES))
                raise click.BadParameter(
                    f"there is no variable {found[2]!r}; there are: {known}",
                    param_hint="'-w' / '--write-out'",
                )
        self._template = template
        self._redaction = redaction
        self._began = time.perf_counter()
        self.times: dict[str, float] = {}
        self.remote_ip = ""
        self.response: httpx.Response | None = None
        self.failure: Failure | None = None

    def connected(self, stream: Any) -> None:
        if stream.get_extra_info("ssl_object") is not None:
            self._mark("time_appconnect")
            return
        self._mark("time_connect")
        address = address_of(stream)
        self.remote_ip = address[0] if address else ""

    def sent(self, request: httpx.Request) -> None:
        """Of the request there is nothing to say."""

    def received(self, response: httpx.Response) -> None:  # noqa: ARG002 the protocol's
        self._mark("time_starttransfer")

    def text(self, response: httpx.Response | None, failure: Failure | None) -> str:
        """The template filled in.

        :param response: the one that was got, if there is one.
        :param failure: how the call ended, if not well.
        """
        self._mark("time_total")
        self.response, self.failure = response, failure

        def value(found: re.Match[str]) -> str:
            header, variable, percent, escape = found.groups()
            if header is not None:
                return self._header(header)
            if variable is not None:
                return self._redaction.target(VARIABLES[variable](self))
            return "%" if percent else _ESCAPES[escape]

        return _PART.sub(value, self._template)

    def _header(self, name: str) -> str:
        if self.response is None or name not in self.response.headers:
            return ""
        line = self._redaction.header(name, self.response.headers[name])
        return line.partition(": ")[2]

    def _mark(self, name: str) -> None:
        self.times[name] = time.perf_counter() - self._began


def _of_response(read_from: Callable[[httpx.Response], Any]) -> Callable[[WriteOut], str]:
    return lambda out: "" if out.response is None else str(read_from(out.response))


def _time(name: str) -> Callable[[WriteOut], str]:
    return lambda out: f"{out.times.get(name, 0):.6f}"


def _code(out: WriteOut) -> str:
    return f"{out.response.status_code if out.response is not None else 0:03}"


def _redirect(response: httpx.Response) -> str:
    return "" if response.next_request is None else str(response.next_request.url)


#: What may stand in ``%{…}``.
VARIABLES: Final[dict[str, Callable[[WriteOut], str]]] = {
    "content_type": _of_response(lambda response: response.headers.get("content-type", "")),
    "errormsg": lambda out: out.failure.text if out.failure is not None else "",
    "exitcode": lambda out: str(out.failure.code if out.failure is not None else 0),
    "http_code": _code,
    "http_version": _of_response(lambda response: response.http_version.removeprefix("HTTP/")),
    "method": _of_response(lambda response: response.request.method),
    "num_redirects": _of_response(lambda response: len(response.history)),
    "redirect_url": _of_response(_redirect),
    "remote_ip": lambda out: out.remote_ip,
    "response_code": _code,
    "scheme": _of_response(lambda response: response.url.scheme),
    "size_download": _of_response(lambda response: response.num_bytes_downloaded),
    "time_appconnect": _time("time_appconnect"),
    "time_connect": _time("time_connect"),
    "time_starttransfer": _time("time_starttransfer"),
    "time_total": _time("time_total"),
    "url_effective": _of_response(lambda response: response.url),
}
