"""Turns what a user gives as a target into an ASGI application."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lattice_client.errors import ConfigurationError
from lattice_client.testing.display import without_password

if TYPE_CHECKING:
    from collections.abc import Callable

    from lattice_client.testing.asgi import ASGIApp

__all__ = ["as_app"]


def as_app(target: ASGIApp | str) -> ASGIApp:
    """The ASGI application for a target.

    :param target: an ASGI application, or the URL of a server.
    :raises ConfigurationError: if it is neither, or does not take the arguments of one.
    """
    if isinstance(target, str):
        from lattice_client.testing.targets.http_target import HTTPTarget

        return HTTPTarget(target)
    if not callable(target):
        shown = without_password(repr(target))
        raise ConfigurationError(f"a target is an ASGI application or a URL, not {shown}")
    _check_arguments(target)
    return target


def _check_arguments(target: Callable[..., Any]) -> None:
    """Raise if it does not take an ASGI application's arguments, before every call fails."""
    try:
        # A wrapper may take other arguments than the function that it wraps.
        signature = inspect.signature(target, follow_wrapped=False)
    except Exception:  # noqa: BLE001 - without a signature there is no check
        return
    try:
        signature.bind(None, None, None)
    except TypeError:
        raise ConfigurationError(
            "a target is an ASGI application, called with (scope, receive, send); "
            f"{target!r} takes ({', '.join(signature.parameters)}): for a Lambda handler give "
            "LambdaTarget(handler), or name it as lambda:module:handler; a WSGI application "
            "must be wrapped (such as by asgiref's WsgiToAsgi), or served, and its URL given"
        ) from None
