"""Host names in one spelling."""

from __future__ import annotations

import re
from functools import lru_cache

from lattice_client.errors import ConfigurationError

__all__ = ["ends_with", "is_address", "normal_name"]

# Host headers in other spellings than the normal one; a service calls few hosts.
_REMEMBERED = 1024
_LONGEST = 253

_PORT = re.compile(r":[0-9]*$")
# The underscore is in no host name (RFC 952), but in names that work nevertheless.
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_IPV6 = re.compile(r"[0-9a-f:.]+(?:%[a-z0-9._~-]+)?")
_BRACKETED = re.compile(rf"\[(?=[^]]*:)({_IPV6.pattern})\](?::[0-9]*)?")
# What programs take for an IPv4 address: also 127.1 and 0x7f000001 ("ends in a number", WHATWG URL
# Standard, section 3.5).
_NUMBER_AT_THE_END = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")


@lru_cache(maxsize=_REMEMBERED)
def normal_name(host: str) -> str:
    """A host name in lower case and IDNA, without port, brackets and the dot at its end.

    :param host: as in a Host header or a URL.
    :raises ConfigurationError: for what is no host name; wildcards are none.
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
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise _no_name(host)
    return name


def is_address(name: str) -> bool:
    """Whether a normal name is an IP address, in any spelling that programs take for one."""
    return ":" in name or bool(_NUMBER_AT_THE_END.search(name))


def ends_with(name: str, parent: str) -> bool:
    """Whether a normal name is another one, or below it."""
    return name == parent or name.endswith("." + parent)


def _lower(host: object) -> str:
    return host.lower() if isinstance(host, str) else ""


def _in_idna(name: str, host: str) -> str:
    """As the HTTP libraries encode it, IDNA 2008, where one is there that brings its encoder."""
    try:
        try:
            import idna
        except ImportError:
            return name.encode("idna").decode("ascii")
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna's errors too
        raise _no_name(host) from None


def _no_name(host: object) -> ConfigurationError:
    return ConfigurationError(
        f"{host!r} is no host name; give one such as 'orders.example.com', without scheme, path, "
        "wildcards and white space"
    )
