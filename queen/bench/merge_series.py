"""What results keep over time, taken together: series, slices, phases and faults.

Repeats follow one another on one clock, without the time between them. Generators share a clock: each second is the
sum of theirs, and percentiles, which cannot be added, come from the slices' histograms. Judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Final, TypeVar

import msgspec

from queen.bench import merge_parts as parts
from queen.bench import percentiles
from queen.bench.result import FaultReport, Phase, Result, Series
from queen.measure.histogram import LatencyHistogram

Slices = dict[str, list[LatencyHistogram | None]]
Values = list[float | None]
T = TypeVar("T")

_SUMS: Final = frozenset({
    "offered", "sent", "accepted", "delivered", "acked", "errors", "in_flight", "backlog",
    "generator_cpu", "generator_rss_bytes",
})  # fmt: skip
"""Series that each generator has of its own; the others are of servers and machines, which all of them saw."""
_PERCENTILE: Final = re.compile(r"(?P<metric>\w+)_p(?P<digits>\d+)_ms")
_LONGEST: Final = re.compile(r"\w+_max_ms")


def slices(runs: Sequence[Result], *, add: bool) -> Slices:
    """The slices of repeats one after the other; those of generators added where they were measured together."""
    names = dict.fromkeys(name for run in runs for name in run.slices)
    made: Slices = {name: [] for name in names}
    starts = [_measure_from(run) for run in runs]
    for run, start in zip(runs, starts, strict=True):
        length = max((len(texts) for texts in run.slices.values()), default=0)
        first = round((start - min(starts)) / run.slice_s) if add else len(next(iter(made.values()), []))
        for name, column in made.items():
            column += [None] * (first + length - len(column))
            for place, text in enumerate(run.slices.get(name, []), first):
                if text is not None:
                    _count(column, place, name, parts.decode(text, run), add=add)
    return made


def _count(column: list[LatencyHistogram | None], place: int, name: str, one: LatencyHistogram, *, add: bool) -> None:
    known = column[place]
    found = {} if known is None else {name: known}
    parts.put(found, name, one, add=add)
    column[place] = found[name]


def encoded(found: Slices) -> dict[str, list[str | None]]:
    """As a result keeps them."""
    return {name: [None if one is None else one.encode() for one in column] for name, column in found.items()}


def appended(runs: Sequence[Result]) -> Series:
    """The series of repeats, one after the other."""
    names = dict.fromkeys(name for run in runs for name in run.series.values)
    waits = dict.fromkeys(name for run in runs for name in run.series.waits)
    made = Series(second=[], phase=[], values={name: [] for name in names}, waits={name: [] for name in waits})
    for run, shift in zip(runs, _shifts(runs), strict=True):
        series, length = run.series, len(run.series.second)
        made.second.extend(second + shift for second in series.second)
        made.phase.extend(series.phase)
        for name, column in made.values.items():
            column += _padded(series.values.get(name, []), length, None)
        for event, samples in made.waits.items():
            samples += _padded(series.waits.get(event, []), length, 0)
    return made


def phases(runs: Sequence[Result]) -> list[Phase]:
    """Those of the first repeat, and of the later ones what lies on the common clock."""
    return [
        msgspec.structs.replace(phase, start_s=phase.start_s + shift, end_s=phase.end_s + shift)
        for number, (run, shift) in enumerate(zip(runs, _shifts(runs), strict=True))
        for phase in run.phases
        if not number or phase.name in ("warmup", "measure", "drain")
    ]


def faults(runs: Sequence[Result]) -> list[FaultReport]:
    """Those of all repeats on the common clock."""
    return [
        msgspec.structs.replace(fault, at_s=fault.at_s + shift, end_s=fault.end_s + shift)
        for run, shift in zip(runs, _shifts(runs), strict=True)
        for fault in run.faults
    ]


def _shifts(runs: Sequence[Result]) -> list[int]:
    """What to add to the seconds of each repeat, so that its first one follows the last of the one before."""
    lengths = [run.series.second[-1] + 1 - run.series.second[0] if run.series.second else 0 for run in runs]
    first = next((run.series.second[0] for run in runs if run.series.second), 0)
    begins = accumulate(lengths[:-1], initial=first)
    return [begin - (run.series.second[0] if run.series.second else 0) for begin, run in zip(begins, runs, strict=True)]


def added(runs: Sequence[Result], together: Slices) -> Series:
    """The series of generators on the clock of the first. A second is measured when all of them measured."""
    zero = _zero(runs[0])
    shifts = [round(_zero(run) - zero) for run in runs]
    rows = [
        {second + shift: at for at, second in enumerate(run.series.second)}
        for run, shift in zip(runs, shifts, strict=True)
    ]
    seconds = sorted({second for row in rows for second in row})
    names = dict.fromkeys(name for run in runs for name in run.series.values)
    phase = [
        _phase([run.series.phase[row[second]] for run, row in zip(runs, rows, strict=True) if second in row])
        for second in seconds
    ]
    values = {name: [_merged(name, _cells(name, second, runs, rows)) for second in seconds] for name in names}
    for name in names:
        _from_slices(name, values[name], phase, together, runs[0].slice_s)
    waits = max((run.series.waits for run in runs), key=lambda held: sum(map(sum, held.values())))
    owner = next(at for at, run in enumerate(runs) if run.series.waits is waits)
    kept = {
        event: [
            samples[at] if (at := rows[owner].get(second)) is not None and at < len(samples) else 0
            for second in seconds
        ]
        for event, samples in waits.items()
    }
    return Series(second=seconds, phase=phase, values=values, waits=kept)


def _cells(name: str, second: int, runs: Sequence[Result], rows: Sequence[dict[int, int]]) -> list[float]:
    """What the generators know of one second."""
    found = []
    for run, row in zip(runs, rows, strict=True):
        column, at = run.series.values.get(name, []), row.get(second)
        value = column[at] if at is not None and at < len(column) else None
        if value is not None:
            found.append(value)
    return found


def _merged(name: str, cells: list[float]) -> float | None:
    if not cells:
        return None
    if name in _SUMS:
        return sum(cells)
    if _LONGEST.fullmatch(name):
        return max(cells)
    form = _PERCENTILE.fullmatch(name)
    own = form is not None and form["metric"] not in parts.SEEN_BY_ALL
    return None if own and len(cells) > 1 else cells[0]


def _from_slices(name: str, column: Values, phase: list[str], together: Slices, slice_s: int) -> None:
    """Put the percentile of its slice into each measured second that has none."""
    form = _PERCENTILE.fullmatch(name)
    held = together.get(form["metric"]) if form else None
    measured = [at for at, one in enumerate(phase) if one == "measure"]
    if form is None or not held:
        return
    percent = float(f"{form['digits'][:2]}.{form['digits'][2:] or 0}")
    known = [None if one is None else percentiles.at(one, percent) for one in held]
    for number, at in enumerate(measured):
        if column[at] is None and number // slice_s < len(known):
            column[at] = known[number // slice_s]


def _phase(seen: list[str]) -> str:
    return next((phase for phase in seen if phase != "measure"), "measure")


def _padded(values: list[T], length: int, filler: T) -> list[T]:
    return [*values, *[filler] * (length - len(values))][:length]


def _zero(run: Result) -> float:
    """Seconds since the epoch at which the clock of a run began."""
    return datetime.fromisoformat(run.started_at).timestamp()


def _measure_from(run: Result) -> float:
    return _zero(run) + min((phase.start_s for phase in run.phases if phase.name == "measure"), default=0.0)
