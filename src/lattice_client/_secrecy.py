"""Keeping secrets out of the access key, of messages and of frames' locals."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from lattice_client.errors import LatticeClientError

__all__ = ["fault_of_parts", "forgetful", "redacted_key_id"]

# "AccessKey", IAM API Reference: 16 to 128 of [\w]. AWS's own test vectors and stand-ins for AWS
# have shorter ones ("AKIDEXAMPLE", "test"), which are too short for a secret key.
_ACCESS_KEY = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"
_LONGEST_ACCESS_KEY = 128
# AWS's access keys have only capital letters and digits, so this is a secret key. That has 40 of
# [A-Za-z0-9/+] ("Manage access keys for IAM users", IAM User Guide); 28 in 100 have no / or +.
_SECRET_KEY_LENGTH = 40
_MIXED = "(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9]+"
# The prefixes of access keys ("IAM identifiers", Understanding unique ID prefixes, IAM User Guide).
_PREFIXES = ("ABIA", "ACCA", "AKIA", "ASIA")
_LIKE_AN_ACCESS_KEY = "[A-Z0-9]{16,32}"
_VISIBLE_ASCII = bytes(range(0x21, 0x7F))
_QUOTES = "\"'"
_NAMES = ("access_key", "secret_key", "token")
_SWAPPED = "are access key and secret key swapped? Its value is not shown"
_HIDDEN = "its value is not shown"
# Shorter texts are names such as "minio-admin": no vendor's secret keys are that short.
_SECRET_LENGTH = 30


def fault_of_parts(
    access_key: object,
    secret_key: object,
    token: object,
    names: tuple[str, str, str] = _NAMES,
) -> str | None:
    """Why these parts cannot be credentials, without their values; None where they can be.

    :param token: None or empty for none.
    :param names: the parts' names in the message.
    """
    return (
        _fault_of_text(names[0], access_key)
        or _fault_of_text(names[1], secret_key)
        or (None if token is None or token == "" else _fault_of_text(names[2], token))
        or _fault_of_keys(str(access_key), str(secret_key), names)
    )


def _fault_of_text(name: str, part: object) -> str | None:
    if not isinstance(part, str):
        return f"{name} must be a str, not {type(part).__name__}"
    if not part:
        return f"{name} is empty: give access key and secret key together, or neither"
    if part[0] in _QUOTES and part[-1] == part[0]:
        return f"{name} {_QUOTED}"
    if not part.isascii() or part.encode().translate(None, _VISIBLE_ASCII):
        return (
            f"{name} contains white space, a control character or non-ASCII text "
            "(a newline left over from a file?); its value is not shown"
        )
    return None


_QUOTED = (
    "has quotes in it: remove them where it is set (docker's --env-file and AWS's own files take "
    "them as part of the value)"
)


def _fault_of_keys(access_key: str, secret_key: str, names: tuple[str, str, str]) -> str | None:
    """The fault of two keys, each of which can stand in a header."""
    if access_key[0] in _QUOTES or access_key[-1] in _QUOTES:
        return f"{names[0]} {_QUOTED}"
    if access_key.encode().translate(None, _ACCESS_KEY):
        fault = (
            f"{names[0]} has characters other than letters, digits and _, which no access key has"
        )
        return fault + (f": {_SWAPPED}" if len(access_key) >= _SECRET_LENGTH else f"; {_HIDDEN}")
    if len(access_key) > _LONGEST_ACCESS_KEY:
        return (
            f"{names[0]} is longer than {_LONGEST_ACCESS_KEY} characters, which no access key is: "
            "is it the session token? Its value is not shown"
        )
    if len(access_key) == _SECRET_KEY_LENGTH and re.fullmatch(_MIXED, access_key):
        return f"{names[0]} looks like a secret key: {_SWAPPED}"
    if secret_key.startswith(_PREFIXES) and re.fullmatch(_LIKE_AN_ACCESS_KEY, secret_key):
        return f"{names[1]} looks like an access key: {_SWAPPED}"
    return None


# Secret keys have both cases, and are longer.
_LIKE_A_KEY_ID = "[A-Z0-9-]{1,32}|[A-Za-z0-9_-]{1,24}"


def redacted_key_id(access_key: str) -> str:
    """An access key to display. What does not look like one may be a misplaced secret key: it
    becomes ``***``."""
    return access_key if re.fullmatch(_LIKE_A_KEY_ID, access_key) else "***"


_Parameters = ParamSpec("_Parameters")
_ResultT = TypeVar("_ResultT")


def forgetful(call: Callable[_Parameters, _ResultT]) -> Callable[_Parameters, _ResultT]:
    """Decorate a call: errors of this package that it raises hold no frame and no cause of it.

    Error reporters show the locals of each frame (Sentry, rich, ``pytest -l``), and an argument may
    be credentials whose repr shows them. The text of another library's error may show them too.
    """

    @wraps(call)
    def forgetting(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _ResultT:
        handled = sys.exception()
        try:
            return call(*args, **kwargs)
        except LatticeClientError as error:
            del args, kwargs
            error.__cause__ = None
            # The error that the caller was handling is the caller's own, and stays visible.
            error.__suppress_context__ = False
            error.__context__ = None if _is_in_contexts(handled, error) else handled
            raise error.with_traceback(None)  # noqa: B904 it is the same error

    return forgetting


def _is_in_contexts(first: BaseException | None, error: BaseException) -> bool:
    """Whether an error is among ``first`` and its contexts. Code that follows contexts, such as
    ``contextlib.ExitStack``, would never end in a circle of them."""
    seen: set[int] = set()
    while first is not None and id(first) not in seen:
        if first is error:
            return True
        seen.add(id(first))
        first = first.__context__
    return False
