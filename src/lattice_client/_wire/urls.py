"""URLs as far as signing needs them: their parts, origins and Host headers."""

from __future__ import annotations

import re
from functools import lru_cache

from lattice_client.errors import ConfigurationError, InvalidHeaderError

__all__ = [
    "DEFAULT_PORT",
    "FINAL_DOT",
    "REDIRECTS",
    "address_of",
    "bracketed",
    "is_same_name",
    "leaves_tls",
    "origin_of",
    "split_port",
    "split_url",
    "url_parts",
    "with_encoded_spaces",
]

# The statuses of answers that redirect.
REDIRECTS = frozenset((301, 302, 303, 307, 308))

DEFAULT_PORT = {"http": ":80", "https": ":443"}

FINAL_DOT = re.compile(r"\.+(?=(?::\d*)?$)")

# RFC 3986 appendix B, for URLs with an authority. Parsers disagree on whether a backslash ends it,
# so an authority with a backslash is refused.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)([^#\\]*)(#.*)?", re.DOTALL).fullmatch
_PORT = re.compile(r":\d*$")
_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?"
    r"|(?P<bare_v6>[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)"
).fullmatch
_HIGHEST_PORT = 65535


# --- URLs -------------------------------------------------------------------------------------


def url_parts(url: str) -> tuple[str, str, str, str]:
    """Scheme (in lower case), authority, path with query, and fragment with its ``#``."""
    found = _URL(url)
    if found is None:
        raise InvalidHeaderError("the URL of the request is no absolute URL, or has a backslash")
    scheme, netloc, target, fragment = found.groups("")
    return scheme.lower(), netloc, target, fragment


def split_url(url: str) -> tuple[str, str, str]:
    """The origin, Host header and target of a URL, without its user information and fragment.

    :raises ConfigurationError: for what is no absolute http(s) URL.
    """
    found = _URL(url)
    scheme, netloc, target, _ = found.groups("") if found else ("", "", "", "")
    scheme = scheme.lower()
    default = DEFAULT_PORT.get(scheme)
    host = netloc.rpartition("@")[2].removesuffix(default or "").removesuffix(":")
    if not default or not host:
        raise ConfigurationError("the URL must be absolute: https://HOST/PATH?QUERY")
    if not target.startswith("/"):
        target = f"/{target}"
    return f"{scheme}://{host}", host, with_encoded_spaces(target)


def with_encoded_spaces(target: str) -> str:
    """The target with ``+`` in its query as ``%20``.

    Form encoders send a space as ``+``. It is not published how a SigV4 verifier reads that: some
    want ``%20`` signed for it, some ``%2B``. All of them read ``%20`` alike.
    """
    path, mark, query = target.partition("?")
    return path + mark + query.replace("+", "%20")


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, without the scheme's own port; empty where it has none."""
    try:
        return split_url(url)[0].lower()
    except ConfigurationError:
        return ""


def leaves_tls(before: str, after: str) -> bool:
    """Whether two origins are ``https`` and ``http`` on one host, whatever their ports.

    Applications that do not know of the TLS in front of them redirect so.
    """
    scheme, _, host = before.partition("://")
    other_scheme, _, other_host = after.partition("://")
    return (scheme, other_scheme) == ("https", "http") and (
        _PORT.sub("", host) == _PORT.sub("", other_host)
    )


# --- Hosts ------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def address_of(connect_to: str) -> tuple[str, int | None]:
    """The name or address (IPv6 without brackets) and the port, if there is one.

    :raises ConfigurationError: for anything else.
    """
    found = _ADDRESS(connect_to)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or (port is not None and not 1 <= port <= _HIGHEST_PORT):
        raise ConfigurationError(
            f"connect_to={connect_to!r} is no address: give a name or an address, with a port or "
            "without, as '10.0.0.7', '[::1]:8443' or 'vpce-0123.example.com:443'"
        )
    return found["v6"] or found["bare_v6"] or found["name"], port


def split_port(host: str) -> tuple[str, str]:
    """The name in a Host header, without brackets, and its port with the colon."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port
    name, colon, port = host.partition(":")
    return name, colon + port


def bracketed(name: str) -> str:
    """A name or address as it stands in a Host header or URL."""
    return f"[{name}]" if ":" in name else name


def is_same_name(name: str, other: str) -> bool:
    """Whether two names are one but for upper case and a final dot."""
    return name.lower().rstrip(".") == other.lower().rstrip(".")
