"""Targets as people name them: an ASGI application, a URL, ``module:app``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lattice_client.errors import ConfigurationError

if TYPE_CHECKING:
    from lattice_client.testing.asgi import ASGIApp

__all__ = ["as_app"]


def as_app(target: ASGIApp | str) -> ASGIApp:
    """The ASGI application that stands for a target.

    :param target: one, or the URL of a server.
    :raises ConfigurationError: if it is neither.
    """
    if isinstance(target, str):
        from lattice_client.testing.http_target import HTTPTarget

        return HTTPTarget(target)
    if not callable(target):
        raise ConfigurationError(f"a target is an ASGI application or a URL, not {target!r}")
    return target
