"""boto3's names of arguments, answered with ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["explains_boto_names"]

_KEYS = "Credentials(access_key, secret_key, token)"
_PROFILE = "BotocoreCredentials(profile=…)"
# For each of boto3's names: the arguments of ours that may stand for it, and what to write.
_WAYS: dict[str, dict[str, str]] = {
    "profile_name": {
        "profile": "profile=…",
        "credentials": f"credentials={_PROFILE}",
        "base": f"base={_PROFILE}",
    },
    "region_name": {"region": "region=…"},
    "aws_access_key_id": {"access_key": "access_key=…"},
    "aws_secret_access_key": {"secret_key": "secret_key=…"},
    "aws_session_token": {"token": "token=…"},
}
for _name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
    _WAYS[_name] |= {"credentials": f"credentials={_KEYS}", "base": f"base={_KEYS}"}
for _name in ("session", "boto3_session", "boto_session", "botocore_session"):
    _WAYS[_name] = {"session": "session=…", "credentials": "credentials=…", "base": "base=…"}
_ELSEWHERE = {
    "region_name": "region=… is an argument of LatticeAuth",
    "profile_name": "for a profile give LatticeAuth(profile=…)",
}

_Parameters = ParamSpec("_Parameters")
_ResultT = TypeVar("_ResultT")


def explains_boto_names(call: Callable[_Parameters, _ResultT]) -> Callable[_Parameters, _ResultT]:
    """Decorate an ``__init__``: for an argument by boto3's name, its TypeError names ours. The
    outermost decorator: the frames of others would show the value, which may be a secret."""
    inner = getattr(call, "__wrapped__", call)
    code = inner.__code__
    ours = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    class_name = inner.__qualname__.rpartition(".")[0]

    @wraps(call)
    def explaining(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _ResultT:
        try:
            for name in kwargs:
                if name in _WAYS and name not in ours:
                    raise TypeError(f"{class_name} has no argument {name}: {_way(name, ours)}")
            return call(*args, **kwargs)
        finally:
            del args, kwargs  # error reporters show a frame's locals

    return explaining


def _way(name: str, ours: tuple[str, ...]) -> str:
    for argument, way in _WAYS[name].items():
        if argument in ours:
            return f"give {way}"
    return _ELSEWHERE.get(name, f"for keys give LatticeAuth(credentials={_KEYS})")
