"""Draws the map of docs/architecture.md from the contracts, the imports and the page's tables.

A picture has the modules of one contract, a row for each layer. The arrows are the imports that do
not follow from others. The numbers are the steps of one request, as a table of the page has them.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PAGE = "docs/architecture.md"
SOURCE = "src/lattice_client"


class Picture(NamedTuple):
    """What is drawn.

    ``package`` is the one whose contract is shown, ``heading`` that of the steps in the page.
    ``helpers`` counts the lowest rows, to which no arrows are drawn: too many modules import them.
    """

    file: str
    package: str
    heading: str
    helpers: int


PICTURES = (
    Picture("docs/map/client.svg", "lattice_client", "One request, from the call to the socket", 3),
    Picture(
        "docs/map/lattice.svg",
        "lattice_client.testing",
        "One refused request, in the local Lattice",
        1,
    ),
)

_ROW = 60
_BOX = 28
_GAP = 12
_MARGIN = 16
_LETTER = 7.3  # the width of one, at 12 px
_BADGE = 18
_STYLE = """
text { font: 12px ui-monospace, monospace; fill: #24292f; text-anchor: middle; }
rect { fill: #f6f8fa; stroke: #8c959f; }
path { fill: none; stroke: #8c959f; stroke-width: 1.2; }
.head { fill: #8c959f; stroke: none; }
circle { fill: #0969da; } .number { fill: #ffffff; font-size: 10px; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } rect { fill: #21262d; stroke: #6e7681; }
  path { stroke: #6e7681; } .head { fill: #6e7681; }
  circle { fill: #4493f8; } .number { fill: #0d1117; }
}
"""


class Step(NamedTuple):
    """One row of a table in the page."""

    number: int
    path: str
    function: str


class Box(NamedTuple):
    """A module's place in a picture: its left and upper edges, and its width."""

    x: float
    y: float
    width: float


def pictures(root: Path) -> dict[str, str]:
    """Each picture's file and text, as they have to be now.

    :param root: the checkout.
    """
    return {one.file: _draw(root, one) for one in PICTURES}


def stale(root: Path) -> list[str]:
    """What no longer fits the code: pictures, and files and functions that the page names."""
    found = [
        f"{file} no longer fits the code; run scripts/map"
        for file, text in pictures(root).items()
        if not (root / file).exists() or (root / file).read_text(encoding="utf-8") != text
    ]
    for picture in PICTURES:
        folder = _folder(root, picture.package)
        for step in steps(root, picture.heading):
            file = folder / step.path
            if not file.exists() or step.function not in set(_functions(file)):
                found.append(f"{PAGE}, step {step.number}: no {step.function} in {step.path}")
    found += [f"{PAGE}: there is no {path}" for path in _named_paths(root)]
    return found


def rows(root: Path, package: str) -> list[list[str]]:
    """The modules of a package, layer by layer, as its contract in pyproject.toml has them."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and contract["containers"] == [package]:
            return [[module.strip() for module in row.split("|")] for row in contract["layers"]]
    raise ValueError(f"pyproject.toml has no contract with the layers of {package}")


def imports(root: Path, package: str) -> set[tuple[str, str]]:
    """Which module of a package imports which, those for type checkers alone left out."""
    folder = _folder(root, package)
    found = set()
    for file in folder.rglob("*.py"):
        module = file.relative_to(folder).parts[0].removesuffix(".py")
        for name in _imports_of(file.read_text(encoding="utf-8")):
            if name.startswith(f"{package}."):
                other = name.removeprefix(f"{package}.").partition(".")[0]
                if other != module != "__init__" and _is_module(folder, other):
                    found.add((module, other))
    return found


def steps(root: Path, heading: str) -> list[Step]:
    """The rows of the table below a heading of the page."""
    text = (root / PAGE).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| (\d+) \| `([^`]+)` \| `([^`]+)` \|", section, flags=re.MULTILINE)
    return [Step(int(number), path, function) for number, path, function in found]


def _draw(root: Path, picture: Picture) -> str:
    """A picture, as an SVG document."""
    layers, way = rows(root, picture.package), steps(root, picture.heading)
    helpers = {module for row in layers[-picture.helpers :] for module in row}
    numbers = {
        module: [step.number for step in way if _module_of(step.path) == module]
        for row in layers
        for module in row
    }
    widths = [[_label(module) + _BADGE * len(numbers[module]) for module in row] for row in layers]
    width = max(sum(row) + _GAP * (len(row) - 1) for row in widths) + 2 * _MARGIN
    boxes = {}
    for place, (row, sizes) in enumerate(zip(layers, widths, strict=True)):
        x = (width - sum(sizes) - _GAP * (len(row) - 1)) / 2
        for module, size in zip(row, sizes, strict=True):
            boxes[module] = Box(x, _MARGIN + place * _ROW, size)
            x += size + _GAP
    parts = [
        _arrow(boxes[one], boxes[other])
        for one, other in sorted(_reduced(layers, imports(root, picture.package)))
        if other not in helpers
    ]
    for module, box in boxes.items():
        parts += _box(module, box, numbers[module])
    height = _MARGIN * 2 + _ROW * (len(layers) - 1) + _BOX
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" '
        'role="img" aria-label="The modules, and what each imports">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _label(module: str) -> float:
    return len(module) * _LETTER + 20


def _box(module: str, box: Box, numbers: list[int]) -> Iterator[str]:
    middle = box.y + _BOX / 2
    yield f'<rect x="{box.x:.0f}" y="{box.y}" width="{box.width:.0f}" height="{_BOX}" rx="5"/>'
    yield f'<text x="{box.x + _label(module) / 2:.0f}" y="{middle + 4:.0f}">{module}</text>'
    for place, number in enumerate(numbers):
        x = box.x + _label(module) + place * _BADGE + 2
        yield f'<circle cx="{x:.0f}" cy="{middle:.0f}" r="{_BADGE / 2 - 1:.0f}"/>'
        yield f'<text class="number" x="{x:.0f}" y="{middle + 4:.0f}">{number}</text>'


def _arrow(one: Box, other: Box) -> str:
    """A line from the lower edge of one box to the upper edge of another."""
    x, y = one.x + one.width / 2, one.y + _BOX
    to_x, to_y = other.x + other.width / 2, other.y - 4
    bend = min(_ROW, (to_y - y) / 2)
    line = f"M{x:.0f} {y}C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y}"
    head = f"M{to_x - 4:.0f} {to_y - 4}h8l-4 8z"
    return f'<path d="{line}"/><path class="head" d="{head}"/>'


def _reduced(
    layers: list[list[str]], arrows: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """The arrows that do not follow from others: all would hide the picture."""
    of: dict[str, set[str]] = {module: set() for row in layers for module in row}
    for one, other in arrows:
        of[one].add(other)
    reached: dict[str, set[str]] = {}
    for module in reversed(of):  # the lowest first
        below = set[str]().union(*(reached.get(other, set()) for other in of[module]))
        yield from ((module, other) for other in of[module] - below)
        reached[module] = of[module] | below


@cache  # pictures show the same files, and tests draw them again and again
def _imports_of(source: str) -> frozenset[str]:
    return frozenset(_imported(ast.parse(source)))


def _imported(tree: ast.AST) -> Iterator[str]:
    """The names that are imported when a module is loaded, or when its functions run."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
                for statement in otherwise:
                    yield from _imported(statement)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case _:
                yield from _imported(node)


def _functions(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{inner.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def _named_paths(root: Path) -> Iterator[str]:
    """The files and folders that the page names and that are not there."""
    text = (root / PAGE).read_text(encoding="utf-8")
    folders = (root, root / SOURCE, root / SOURCE / "testing")
    for path in re.findall(r"`([\w./]+(?:\.\w+|/))`", text):
        if ("/" in path or path.endswith(".py")) and not any(
            (folder / path).exists() for folder in folders
        ):
            yield path


def _folder(root: Path, package: str) -> Path:
    return root / "src" / Path(*package.split("."))


def _is_module(folder: Path, name: str) -> bool:
    return (folder / name).is_dir() or (folder / f"{name}.py").exists()


def _module_of(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")
