"""The charts of the page as inline SVG: lines over x, stacked areas, intervals of ratios.

Each is drawn twice, wide and narrow, so that its letters stay readable on a telephone; CSS shows one of them. It works
without a script: hovering tells the numbers by <title>, and every chart has them as a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from queen.bench.report import svg
from queen.bench.words import NOTHING, number

WIDE: Final = (860, 270)
NARROW: Final = (400, 260)
Values = list[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One curve. `colour` is a CSS class that stands for a metric everywhere; `dash`: solid, dash or dotted."""

    label: str
    colour: str
    values: Values
    dash: str = "solid"


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the x axis: a phase of the run, or a fault."""

    label: str
    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A finished chart with its legend and its numbers."""

    name: str
    title: str
    wide: Markup
    narrow: Markup
    legend: list[tuple[str, str, str]]
    head: list[str]
    rows: list[list[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is to be drawn: the same x for all lines. `x_text` writes an x, `x_ticks` replaces the round ones."""

    name: str
    title: str
    x: list[float]
    lines: list[Line]
    x_unit: str
    y_unit: str
    log_x: bool = False
    log_y: bool = False
    stacked: bool = False
    bands: list[Band] = field(default_factory=list)
    x_ticks: list[tuple[float, str]] | None = None
    x_text: Callable[[float], str] = number
    caption: str = ""
    points: bool = False


def chart(plot: Plot) -> Chart | None:
    """None when there is nothing to draw."""
    lines = [line for line in plot.lines if any(value is not None for value in line.values)]
    if not lines or not plot.x:
        return None
    rows = [
        [plot.x_text(x), *(number(line.values[at]) for line in lines)]
        for at, x in enumerate(plot.x)
        if any(line.values[at] is not None for line in lines)
    ]
    return Chart(
        name=plot.name,
        title=plot.title,
        wide=_draw(plot, lines, *WIDE),
        narrow=_draw(plot, lines, *NARROW),
        legend=[(line.label, line.colour, "area" if plot.stacked else line.dash) for line in lines],
        head=[plot.x_unit, *(f"{line.label} ({plot.y_unit})" for line in lines)],
        rows=rows,
        caption=plot.caption,
    )


def _draw(plot: Plot, lines: list[Line], width: int, height: int) -> Markup:
    across = svg.Scale(plot.x[0], max(plot.x[-1], plot.x[0] + 1e-9), svg.LEFT + 2, width - svg.RIGHT, log=plot.log_x)
    up = svg.nice_scale(_extent(plot, lines), height - svg.BOTTOM, svg.TOP, log=plot.log_y)
    ticks = plot.x_ticks or [(value, svg.compact(value)) for value in across.ticks(6 if width > 500 else 4)]
    marks = _areas(plot, lines, across, up) if plot.stacked else _curves(plot, lines, across, up)
    return svg.canvas(
        width,
        height,
        plot.title,
        *(_band(band, across, height) for band in plot.bands),
        svg.y_axis(up, width, plot.y_unit),
        svg.x_axis(across, height, plot.x_unit, ticks),
        *marks,
        *_band_names(plot.bands, across),
        *_hovers(plot, lines, across, height),
    )


def _extent(plot: Plot, lines: list[Line]) -> list[float]:
    if plot.stacked:
        return [sum(line.values[at] or 0 for line in lines) for at in range(len(plot.x))]
    return [value for line in lines for value in line.values if value is not None]


def _curves(plot: Plot, lines: list[Line], across: svg.Scale, up: svg.Scale) -> list[Markup]:
    drawn = []
    for line in lines:
        points = [
            None if value is None else (across.at(x), up.at(value))
            for x, value in zip(plot.x, line.values, strict=True)
        ]
        drawn.append(svg.tag("path", class_=f"mark line {line.colour} {line.dash}", d=svg.path(points)))
        if plot.points:
            drawn += [svg.tag("circle", class_=f"mark dot {line.colour}", cx=p[0], cy=p[1], r=4) for p in points if p]
    return drawn


def _areas(plot: Plot, lines: list[Line], across: svg.Scale, up: svg.Scale) -> list[Markup]:
    below, drawn = [0.0] * len(plot.x), []
    xs = [across.at(x) for x in plot.x]
    for line in lines:
        above = [low + (value or 0) for low, value in zip(below, line.values, strict=True)]
        shape = svg.area(xs, [up.at(value) for value in above], [up.at(value) for value in below])
        drawn.append(svg.tag("path", class_=f"mark area {line.colour}", d=shape))
        below = above
    return drawn


def _band(band: Band, across: svg.Scale, height: int) -> Markup:
    start = across.at(band.start)
    return svg.tag(
        "rect",
        svg.tag("title", f"{band.label}: {number(band.start)} to {number(band.end)} s"),
        class_=f"band {band.kind}",
        x=start,
        y=svg.TOP,
        width=_wide(band, across),
        height=height - svg.BOTTOM - svg.TOP,
    )


def _wide(band: Band, across: svg.Scale) -> float:
    return max(across.at(band.end) - across.at(band.start), 2.0)


def _band_names(bands: list[Band], across: svg.Scale) -> list[Markup]:
    """Above the curves. One that would run into the one before it stands a line lower; one of a phase needs room."""
    drawn, free_from, row = [], 0.0, 0
    for band in sorted(bands, key=lambda one: one.start):
        if band.kind != "fault" and _wide(band, across) <= 6 * len(band.label):
            continue
        length = 7.2 * len(band.label)
        start = min(across.at(band.start) + 4, across.end + svg.RIGHT - length)
        row = (row + 1) % 3 if start < free_from else 0
        free_from = start + length
        drawn.append(svg.tag("text", band.label, class_=f"band-name {band.kind}", x=start, y=svg.TOP + 12 + 12 * row))
    return drawn


def _hovers(plot: Plot, lines: list[Line], across: svg.Scale, height: int) -> list[Markup]:
    """One clear column around each x that tells all values there."""
    xs = [across.at(x) for x in plot.x]
    edges = [xs[0] - 4, *((a + b) / 2 for a, b in pairwise(xs)), xs[-1] + 4]
    columns = []
    for at, x in enumerate(plot.x):
        said = [f"{line.label}: {number(line.values[at])}" for line in lines if line.values[at] is not None]
        told = svg.tag("title", "\n".join([f"{plot.x_text(x)} {plot.x_unit}", *(said or [NOTHING])]))
        box = {"x": edges[at], "y": float(svg.TOP), "width": edges[at + 1] - edges[at]}
        columns.append(svg.tag("rect", told, class_="hover", height=height - svg.BOTTOM - svg.TOP, **box))
    return columns


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio with its interval, and the word for it."""

    label: str
    ratio: float
    low: float
    high: float
    word: str
    decides: bool = False


def intervals(name: str, title: str, ratios: list[Ratio], min_effect: float) -> Chart | None:
    """Ratios B/A as points with intervals around 1; the band in which they count as the same is shaded. Its numbers are
    in the table of the comparison."""
    if not ratios:
        return None
    return Chart(
        name=name,
        title=title,
        wide=_ratios(title, ratios, WIDE[0], 190, min_effect),
        narrow=_ratios(title, ratios, NARROW[0], 126, min_effect),
        legend=[],
        head=[],
        rows=[],
        caption=f"Intervals of 95 %. Bold: what decides. Shaded: less than {number(min_effect * 100)} % apart, "
        "which counts as the same.",
    )


def _ratios(title: str, ratios: list[Ratio], width: int, left: int, min_effect: float) -> Markup:
    height = svg.TOP + 30 * len(ratios) + svg.BOTTOM
    low = min([0.95, *(one.low for one in ratios)])
    high = max([1.05, *(one.high for one in ratios)])
    room = 0.04 * (high - low)
    across = svg.Scale(low - room, high + room, left, width - svg.RIGHT - 10)
    inner = height - svg.BOTTOM - svg.TOP
    from_x, to_x = across.at(1 - min_effect), across.at(1 + min_effect)
    parts = [
        svg.tag("rect", class_="band same", x=from_x, y=svg.TOP, width=to_x - from_x, height=inner),
        svg.tag("line", class_="axis", x1=across.at(1), x2=across.at(1), y1=svg.TOP, y2=svg.TOP + inner),
        svg.x_axis(across, height, "ratio B/A", [(value, number(value)) for value in across.ticks(4)]),
    ]
    for at, one in enumerate(ratios):
        y = svg.TOP + 30 * at + 15
        told = svg.tag(
            "title", f"{one.label}: {one.word}, {number(one.ratio)} ({number(one.low)} to {number(one.high)})"
        )
        span = {"x1": across.at(one.low), "x2": across.at(one.high), "y1": y, "y2": y}
        parts += [
            svg.tag(
                "text",
                one.label,
                class_="tick strong" if one.decides else "tick",
                x=left - 8,
                y=y + 4,
                text_anchor="end",
            ),
            svg.tag("line", told, class_=f"mark interval {one.word}", **span),
            svg.tag("circle", told, class_=f"mark dot {one.word}", cx=across.at(one.ratio), cy=y, r=5),
        ]
    return svg.canvas(width, height, title, *parts)
