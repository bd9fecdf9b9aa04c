"""Curl's ``--write-out``: facts about a call, printed after it.

Source: "-w, --write-out" (curl(1)).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from lattice_client.cli.bodies import read_file
from lattice_client.cli.redaction import Redaction
from lattice_client.cli.transport import peer_address

if TYPE_CHECKING:
    import httpx

    from lattice_client.cli.failures import Failure

__all__ = ["VARIABLES", "WriteOut"]

_PART = re.compile(r"%header\{([^}]*)\}|%\{([^}]*)\}|(%%)|\\([nrt])")
# Curl's variables without a value here: httpx does not expose it, such as the time of the name's
# look-up, or it does not exist, such as FTP's.
_UNSUPPORTED = re.compile(
    r"certs|conn_id|filename_effective|ftp_entry_path|header_json|http_connect|json|local_ip|"
    r"local_port|num_certs|num_connects|num_headers|num_retries|onerror|proxy_ssl_verify_result|"
    r"proxy_used|referer|size_delivered|size_header|size_request|size_upload|speed_upload|"
    r"ssl_verify_result|stderr|stdout|time_namelookup|time_posttransfer|time_queue|tls_earlydata|"
    r"url|urle?\..*|urlnum|xfer_id"
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


class WriteOut:
    r"""Observes a call, and fills in a template with its values.

    :param template: curl's: text with ``%{variable}``, ``%header{name}``, ``%%`` and ``\n``;
        ``@FILE`` or ``@-`` for one in a file.
    :param redaction: removes secrets from values, which may repeat the request's.
    :raises Failure: if the file cannot be read.
    """

    def __init__(self, template: str, redaction: Redaction) -> None:
        if template.startswith("@"):
            template = read_file(template[1:]).decode("utf-8", "surrogateescape")
        self._template = template
        self._redaction = redaction
        self._began = time.perf_counter()
        self.times: dict[str, float] = {}
        self.remote_ip = self.remote_port = ""
        self._redirected = False
        #: The current request, before it is signed, and its response.
        self.request: httpx.Request | None = None
        self.response: httpx.Response | None = None
        self.redirects = -1
        self.failure: Failure | None = None

    @property
    def problems(self) -> Iterator[str]:
        """The template's variables that stay empty, and why."""
        for name in dict.fromkeys(found[2] for found in _PART.finditer(self._template)):
            if name is None or name in VARIABLES:
                continue
            if _UNSUPPORTED.fullmatch(name):
                yield f"-w: curl's %{{{name}}} is not supported."
            else:
                yield f"-w: there is no variable {name!r}; there are: {', '.join(VARIABLES)}."

    def connected(self, stream: Any) -> None:
        if stream.get_extra_info("ssl_object") is not None:
            self._mark("time_appconnect")
            return
        self._mark("time_connect")
        address = peer_address(stream)
        self.remote_ip, self.remote_port = map(str, address) if address else ("", "")

    def sent(self, request: httpx.Request) -> None:  # noqa: ARG002 WireObserver
        if self._redirected:
            self._mark("time_redirect")
        self._redirected = False

    def headers_started(self) -> None:
        self._mark("time_pretransfer")

    def received(self, response: httpx.Response) -> None:
        self._mark("time_starttransfer")
        self._redirected = response.has_redirect_location

    def request_started(self, request: httpx.Request) -> None:
        """Record the first request, and each that a redirect leads to."""
        self.request, self.response = request, None
        self.redirects += 1

    def text(self, failure: Failure | None) -> str:
        """The template, filled in.

        :param failure: how the call failed, if it did.
        """
        self._mark("time_total")
        self.failure = failure

        def value(found: re.Match[str]) -> str:
            header, variable, percent, escape = found.groups()
            if header is not None:
                return self._header(header)
            if variable is not None:
                tell = VARIABLES.get(variable)
                return "" if tell is None else self._redaction.target(tell(self))
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


def _of_request(read_from: Callable[[httpx.Request], Any]) -> Callable[[WriteOut], str]:
    return lambda out: "" if out.request is None else str(read_from(out.request))


def _time(name: str) -> Callable[[WriteOut], str]:
    return lambda out: f"{out.times.get(name, 0):.6f}"


def _code(out: WriteOut) -> str:
    return f"{out.response.status_code if out.response is not None else 0:03}"


def _speed(out: WriteOut) -> str:
    size = 0 if out.response is None else out.response.num_bytes_downloaded
    return f"{size / out.times['time_total']:.0f}"


def _redirect(response: httpx.Response) -> str:
    return "" if response.next_request is None else str(response.next_request.url)


#: The names in ``%{…}``.
VARIABLES: Final[dict[str, Callable[[WriteOut], str]]] = {
    "content_type": _of_response(lambda response: response.headers.get("content-type", "")),
    "errormsg": lambda out: out.failure.text if out.failure is not None else "",
    "exitcode": lambda out: str(out.failure.code if out.failure is not None else 0),
    "http_code": _code,
    "http_version": _of_response(lambda response: response.http_version.removeprefix("HTTP/")),
    "method": _of_request(lambda request: request.method),
    "num_redirects": lambda out: str(max(out.redirects, 0)),
    "redirect_url": _of_response(_redirect),
    "remote_ip": lambda out: out.remote_ip,
    "remote_port": lambda out: out.remote_port,
    "response_code": _code,
    "scheme": _of_request(lambda request: request.url.scheme),
    "size_download": _of_response(lambda response: response.num_bytes_downloaded),
    "speed_download": _speed,
    "time_appconnect": _time("time_appconnect"),
    "time_connect": _time("time_connect"),
    "time_pretransfer": _time("time_pretransfer"),
    "time_redirect": _time("time_redirect"),
    "time_starttransfer": _time("time_starttransfer"),
    "time_total": _time("time_total"),
    "url_effective": _of_request(lambda request: request.url),
}
