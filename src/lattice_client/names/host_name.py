"""The normal form of host names."""

from __future__ import annotations

import re
from functools import lru_cache

from lattice_client.errors import ConfigurationError

__all__ = ["ends_with", "is_address", "normal_name"]

# Spellings in Host headers; an application calls few hosts.
_CACHE_SIZE = 1024
_MAX_LENGTH = 253

_PORT = re.compile(r":[0-9]*$")
# RFC 952 forbids the underscore, but DNS names with one work.
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_IPV6 = re.compile(r"[0-9a-f:.]+(?:%[a-z0-9._~-]+)?")
_BRACKETED = re.compile(rf"\[(?=[^]]*:)({_IPV6.pattern})\](?::[0-9]*)?")
# Programs also accept 127.1 and 0x7f000001 as IPv4 addresses ("ends in a number", WHATWG URL
# Standard, section 3.5).
_ENDS_IN_A_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")


@lru_cache(maxsize=_CACHE_SIZE)
def normal_name(host: str) -> str:
    """A host name in lower case and IDNA, without port, brackets and trailing dot.

    :param host: as in a Host header or a URL.
    :raises ConfigurationError: if it is not a host name; a wildcard is not one.
    """
    name = _lower(host)
    bracketed = _BRACKETED.fullmatch(name)
    if bracketed:
        return bracketed[1]
    if name.count(":") > 1 and _IPV6.fullmatch(name):
        return name
    name = _PORT.sub("", name).removesuffix(".")
    if not name.isascii():
        name = _in_idna(name, host)
    if len(name) > _MAX_LENGTH or not _NAME.fullmatch(name):
        raise _not_a_host_name(host)
    return name


def is_address(name: str) -> bool:
    """Whether a normal name is an IP address, in any spelling that programs accept."""
    return ":" in name or bool(_ENDS_IN_A_NUMBER.search(name))


def ends_with(name: str, parent: str) -> bool:
    """Whether a normal name equals another one or is below it."""
    return name == parent or name.endswith("." + parent)


def _lower(host: object) -> str:
    return host.lower() if isinstance(host, str) else ""


def _in_idna(name: str, host: str) -> str:
    """In IDNA 2008, as the HTTP libraries encode it, if the package ``idna`` is installed."""
    try:
        try:
            import idna
        except ImportError:
            return name.encode("idna").decode("ascii")
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna's errors are UnicodeErrors too
        raise _not_a_host_name(host) from None


def _not_a_host_name(host: object) -> ConfigurationError:
    return ConfigurationError(
        f"{host!r} is not a host name; give one such as 'orders.example.com', without scheme, "
        "path, wildcards or white space"
    )
