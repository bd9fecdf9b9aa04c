"""Bar charts as SVG, readable on light and dark pages, without a plotting library."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from benchmarks.contenders import FLOOR, OURS
from benchmarks.requests_on_loopback import BOTOCORE_HOOK, CONSTANTS
from benchmarks.scenarios import HOT, LOOP
from benchmarks.tables import Found

__all__ = ["plot"]

_WIDTH = 760
_LABELS = 190  # the bars begin here
_VALUES = 70  # kept free behind the longest bar
_BAR = 12
_GROUP_GAP = 10

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; font-size: 15px; }
.note, .value { fill: #57606a; font-size: 12px; }
.ours { font-weight: 600; }
.a { fill: #0969da; } .b { fill: #80b7f2; } .c { fill: #8c959f; } .d { fill: #c6ccd2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .note, .value { fill: #9198a1; }
  .a { fill: #4493f8; } .b { fill: #1f4f8f; } .c { fill: #9198a1; } .d { fill: #545d68; }
}
"""

# Of a group: its label, and the bars' classes and values.
_Group = tuple[str, list[tuple[str, float]]]


def plot(found: Found) -> str:
    """The whole picture, as an SVG document."""
    parts: list[str] = []
    y = 8
    python = found["machine"]["python"]
    if HOT in found["signing"]:
        title = f"One signature, microseconds ({python})"
        chart, y = _chart(y, title, "hot", "in a request loop", list(_signatures(found)), "")
        parts += chart
    if found["whole request"]:
        title = "What signing adds to a whole request on loopback"
        chart, y = _chart(y, title, OURS, BOTOCORE_HOOK, list(_requests(found)), "%")
        parts += chart
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" '
        f'role="img" aria-label="What a signature costs">\n'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )


def _signatures(found: Found) -> Iterator[_Group]:
    hot = found["signing"][HOT]["seconds"]
    loop = found["signing"].get(LOOP, {}).get("seconds", {})
    for name in sorted(hot, key=lambda name: hot[name]["median"]):
        dark, light = ("a", "b") if name in (OURS, FLOOR) else ("c", "d")
        bars = [(dark, hot[name]["median"] * 1e6)]
        if name in loop:
            bars.append((light, loop[name]["median"] * 1e6))
        yield name, bars


def _requests(found: Found) -> Iterator[_Group]:
    for library, table in found["whole request"].items():
        ratios = table[f"over {CONSTANTS}"]
        yield (
            library,
            [
                (kind, max(0.0, ratios[name]["median"] - 1) * 100)
                for kind, name in (("a", OURS), ("c", BOTOCORE_HOOK))
            ],
        )


def _chart(
    y: int, title: str, first: str, second: str, groups: list[_Group], unit: str
) -> tuple[list[str], int]:
    """The lines of one chart from ``y`` on, and where it ends."""
    largest = max(value for _, bars in groups for _, value in bars) or 1.0
    scale = (_WIDTH - _LABELS - _VALUES) / largest
    note = escape(f"upper bar: {first}; lower bar: {second}; shorter is better")
    parts = [
        f'<text class="title" x="8" y="{y + 16}">{escape(title)}</text>',
        f'<text class="note" x="8" y="{y + 34}">{note}</text>',
    ]
    y += 46
    for label, bars in groups:
        kind = ' class="ours"' if label == OURS else ""
        middle = y + len(bars) * _BAR // 2 + 4
        parts.append(
            f'<text{kind} x="{_LABELS - 10}" y="{middle}" text-anchor="end">{escape(label)}</text>'
        )
        for colour, value in bars:
            width = max(1.0, value * scale)
            parts.append(
                f'<rect class="{colour}" x="{_LABELS}" y="{y}" width="{width:.1f}" '
                f'height="{_BAR - 2}" rx="1.5"/>'
                f'<text class="value" x="{_LABELS + width + 6:.1f}" y="{y + _BAR - 2}">'
                f"{value:.1f}{unit}</text>"
            )
            y += _BAR
        y += _GROUP_GAP
    return parts, y + 10
