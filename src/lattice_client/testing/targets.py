"""Targets as people name them: an ASGI application, a URL, ``module:app``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lattice_client.errors import ConfigurationError

if TYPE_CHECKING:
    from lattice_client.testing.asgi import ASGIApp

__all__ = ["as_app", "imported", "named_app"]


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


def named_app(name: str, *, function: bool = False) -> ASGIApp:
    """The target that a text names: a URL, ``module:app``, or ``lambda:module:handler``.

    :param function: whether ``module:name`` is a Lambda handler, also without ``lambda:``.
    :raises ConfigurationError: if there is none of that name.
    """
    from lattice_client.testing.lambda_target import LambdaTarget

    if "://" in name:
        return as_app(name)
    is_function = function or name.startswith("lambda:")
    found = imported(name.removeprefix("lambda:"))
    if is_function and not isinstance(found, LambdaTarget):
        return LambdaTarget(found)
    return as_app(found)


def imported(name: str) -> Any:
    """What ``module:name`` is.

    :raises ConfigurationError: if it cannot be imported, or is not there.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise ConfigurationError(
            f"a target is a URL, module:app or lambda:module:handler, not {name!r}"
        )
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ConfigurationError(f"there is no module {module_name!r} to import") from None
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigurationError(f"there is no {path!r} in {module_name}") from None
    if not callable(found):
        raise ConfigurationError(f"{name} is neither an application nor a function")
    return found
