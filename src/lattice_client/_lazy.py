"""Loads the public names of a package on first use, so that importing the package stays cheap."""

from sys import _getframe

# Type checkers know this constant by its name; importing typing takes 8 to 13 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(
    package: "Mapping[str, Any]",
    module_of: "Mapping[str, str]",
    elsewhere: "Mapping[str, tuple[str, ...]] | None" = None,
) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """The ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    :param package: the package's ``globals()``; a loaded name is stored there.
    :param module_of: the module of each name, relative to the package.
    :param elsewhere: names that the package does not have, and the modules to import them from. The
        error says so.
    """
    name_of_package = package["__name__"]

    def load(name: str) -> object:
        if name not in module_of:
            error = f"module {name_of_package!r} has no attribute {name!r}"
            if elsewhere is None or name not in elsewhere:
                raise AttributeError(error)
            ways = [f"from {name_of_package}.{module} import {name}" for module in elsewhere[name]]
            error = f"{error}, it is in the module of an HTTP library: {' or '.join(ways)}"
            # The import statement asks for the name in this function, and replaces the text of an
            # AttributeError by one without the way.
            if _getframe(1).f_code.co_name == "_handle_fromlist":
                raise ImportError(error, name=name_of_package)
            raise AttributeError(error)
        from importlib import import_module

        value = getattr(import_module(f"{name_of_package}.{module_of[name]}"), name)
        package[name] = value  # type: ignore[index]
        return value

    def names() -> list[str]:
        return sorted({*package, *module_of})

    return load, names
