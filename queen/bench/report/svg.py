"""Small pieces of SVG: elements with escaped text, scales, axes. Knows nothing of results; colours are CSS classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from queen.bench.words import number

LEFT: Final = 58
RIGHT: Final = 24
TOP: Final = 12
BOTTOM: Final = 42
"""Room around the plot for the axes, in units of the view box."""


def tag(name: str, *inner: str | Markup, **attributes: str | float) -> Markup:
    """One element. An attribute `class_` is `class`, `stroke_width` is `stroke-width`; floats have one decimal."""
    written = " ".join(
        f'{key.rstrip("_").replace("_", "-")}="{escape(f"{value:.1f}" if isinstance(value, float) else value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name} {written}>" + "".join(escape(one) for one in inner) + f"</{name}>")


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps `low`..`high` onto pixels `start`..`end`; by its logarithm when `log`, which needs `low` above 0."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high = self._bent(self.low), self._bent(self.high)
        inside = min(max(value, self.low), self.high)
        return self.start + (self.end - self.start) * (self._bent(inside) - low) / ((high - low) or 1)

    def _bent(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers within the scale."""
        return _log_ticks(self.low, self.high) if self.log else _even_ticks(self.low, self.high, about)


def _even_ticks(low: float, high: float, about: int) -> list[float]:
    rough = (high - low) / about or 1
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(decades) > 4 else (1, 2, 5)
    return [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high * 1.0001]


def nice_scale(values: list[float], start: float, end: float, log: bool = False) -> Scale:
    """A scale with room for all values; from 0 when it is not logarithmic."""
    if not log:
        return Scale(0, max(values, default=1) * 1.08 or 1, start, end)
    above = [value for value in values if value > 0] or [1]
    low, high = min(above) / 1.3, max(above) * 1.3
    return Scale(low, max(high, low * 10), start, end, log=True)


def compact(value: float) -> str:
    """A number for an axis: 10k, 2.5M, 0.2."""
    for name, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{number(value / factor)}{name}"
    return number(value)


def y_axis(scale: Scale, width: int, unit: str) -> Markup:
    """Grid lines, their labels, and the unit along the axis."""
    parts = []
    for value in scale.ticks():
        y = scale.at(value)
        parts.append(tag("line", class_="grid", x1=LEFT, x2=width - RIGHT, y1=y, y2=y))
        parts.append(tag("text", compact(value), class_="tick", x=LEFT - 6, y=y + 4, text_anchor="end"))
    middle = (scale.start + scale.end) / 2
    turned = f"rotate(-90 12 {middle:.0f})"
    parts.append(tag("text", unit, class_="unit", x=12, y=middle, text_anchor="middle", transform=turned))
    return Markup("").join(parts)


def x_axis(scale: Scale, height: int, unit: str, labels: list[tuple[float, str]]) -> Markup:
    """Labels below the plot, and the unit."""
    y = height - BOTTOM
    parts = [tag("line", class_="axis", x1=scale.start, x2=scale.end, y1=y, y2=y)]
    for value, text in labels:
        x = scale.at(value)
        parts.append(tag("line", class_="axis", x1=x, x2=x, y1=y, y2=y + 4))
        parts.append(tag("text", text, class_="tick", x=x, y=y + 17, text_anchor="middle"))
    middle = (scale.start + scale.end) / 2
    parts.append(tag("text", unit, class_="unit", x=middle, y=height - 6, text_anchor="middle"))
    return Markup("").join(parts)


def path(points: list[tuple[float, float] | None]) -> str:
    """The `d` of a line that is broken where a point is missing; a point alone becomes a dot."""
    parts, pen_down = [], False
    for at, point in enumerate(points):
        if point is not None:
            parts.append(f"{'L' if pen_down else 'M'}{point[0]:.1f} {point[1]:.1f}")
            alone = not pen_down and (at + 1 == len(points) or points[at + 1] is None)
            parts += ["h0.1"] if alone else []
        pen_down = point is not None
    return "".join(parts)


def area(xs: list[float], tops: list[float], bottoms: list[float]) -> str:
    """The `d` of the surface between two lines."""
    up = [f"{x:.1f} {y:.1f}" for x, y in zip(xs, tops, strict=True)]
    down = [f"{x:.1f} {y:.1f}" for x, y in zip(reversed(xs), reversed(bottoms), strict=True)]
    return "M" + "L".join([*up, *down]) + "Z"


def canvas(width: int, height: int, label: str, *inner: Markup) -> Markup:
    """The whole picture, with a name for readers that do not see it."""
    return tag("svg", *inner, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
