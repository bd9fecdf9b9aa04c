"""Targets by name: a URL, ``module:app``, or ``lambda:module:handler``."""

from __future__ import annotations

import importlib
import logging
import re
from typing import TYPE_CHECKING, Any

from lattice_client.errors import ConfigurationError
from lattice_client.testing.display import without_password
from lattice_client.testing.targets.coercion import as_app

if TYPE_CHECKING:
    from lattice_client.testing.asgi import ASGIApp

__all__ = ["imported", "named_app"]

_log = logging.getLogger("lattice_client.testing")

_SERVER = re.compile(r"(?:[^\[\]:]+|\[[0-9A-Fa-f:.]+\]):[0-9]+/?")


def named_app(name: str, *, function: bool = False) -> ASGIApp:
    """The target with a name: a URL, ``module:app``, or ``lambda:module:handler``.

    :param function: whether ``module:name`` is a Lambda handler even without ``lambda:``.
    :raises ConfigurationError: if there is no such target.
    """
    from lattice_client.testing.targets.lambda_target import LambdaTarget

    if "://" in name:
        return as_app(name)
    is_function = function or name.startswith("lambda:")
    target = imported(name.removeprefix("lambda:"))
    if is_function and not isinstance(target, LambdaTarget):
        return LambdaTarget(target)
    return as_app(target)


def imported(name: str) -> Any:
    """The object ``module:name``.

    :raises ConfigurationError: if it cannot be imported, or does not exist.
    """
    module_name, _, path = name.partition(":")
    if not module_name or not path or module_name.startswith(".") or "@" in name:
        raise ConfigurationError(
            "a target is a URL, module:app or lambda:module:handler, "
            f"not {without_password(name)!r}"
        )
    target = _import_module(module_name, of=name)
    for part in path.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            raise ConfigurationError(f"there is no {path!r} in {module_name}") from None
        except Exception as error:  # a lazy attribute may raise anything
            raise ConfigurationError(
                f"{path!r} cannot be read from {module_name}: {type(error).__name__}: {error}"
            ) from error
    if not callable(target):
        raise ConfigurationError(f"{name} is neither an application nor a function")
    return target


def _import_module(module_name: str, *, of: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a module may raise anything
        if _is_missing(module_name, error):
            hint = f"; for a server give http://{of}" if _SERVER.fullmatch(of) else ""
            raise ConfigurationError(
                f"there is no module {module_name!r} to import{hint}"
            ) from None
        _log.exception("%s cannot be imported", module_name)
        why = ": ".join(filter(None, (type(error).__name__, str(error))))
        raise ConfigurationError(f"{module_name} cannot be imported: {why}") from error


def _is_missing(module_name: str, error: BaseException) -> bool:
    """Whether the module itself is missing, and not one that it imports."""
    return (
        isinstance(error, ModuleNotFoundError)
        and error.name is not None
        and f"{module_name}.".startswith(f"{error.name}.")
    )
