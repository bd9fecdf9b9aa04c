"""Loads the public names of a package on first use, so that importing the package stays cheap."""

# Type checkers know this constant by its name; importing typing takes 8 to 13 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(
    package: "Mapping[str, Any]", module_of: "Mapping[str, str]"
) -> "tuple[Callable[[str], object], Callable[[], list[str]]]":
    """The ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    :param package: the package's ``globals()``; a loaded name is stored there.
    :param module_of: the module of each name, relative to the package.
    """
    name_of_package = package["__name__"]

    def load(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {name_of_package!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{name_of_package}.{module_of[name]}"), name)
        package[name] = value  # type: ignore[index]
        return value

    def names() -> list[str]:
        return sorted({*package, *module_of})

    return load, names
